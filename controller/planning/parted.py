"""Routers of one domain that nothing joins any more, and between which of them light would join the parts again.

A domain is in parts where every link between them is gone or down. The nearest routers of two parts are those with the
fewest fibres between the ports that they have to spare: that is the cheapest light, whoever then rides it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from controller.planning.chains import Segment
from controller.planning.joined import Pieces, pieces
from controller.planning.layers import Layers
from controller.planning.paths import Mask

NEAREST = 2  # pairs of routers of two parts that are looked at beside the two that are to be joined
Pair = tuple[str, str]  # routers, in the order of their names
Cabled = Callable[[str], Collection[str]]  # router → the optical nodes to which ports of it are cabled that are free


@dataclass(frozen=True, slots=True)
class Gap:
    """Two routers of one domain without any way between them: `pairs` that could be joined by light, nearest first."""

    ends: Pair
    pairs: tuple[Pair, ...]


def gaps(net: Layers, up: Mask, segments: Iterable[Segment], cabled: Cabled) -> tuple[Gap, ...]:
    """Return where the domains under these segments are in parts; none where light could not join two of them.

    up: the links that are ways. One gap for every two parts, however many segments cross it.
    """
    part, index = pieces(net, up), net.ip.node_index
    torn: dict[tuple[int, int], tuple[str, Pair]] = {}
    for domain, src, dst in sorted((domain, *_named(*ends)) for domain, *ends in segments):
        sides = int(part[index[src]]), int(part[index[dst]])
        if sides[0] != sides[1]:
            torn.setdefault((min(sides), max(sides)), (domain, (src, dst)))
    found = []
    for sides, (domain, ends) in torn.items():
        pairs = tuple(dict.fromkeys(_pairs(net, part, sides, domain, ends, cabled)))
        if not pairs:
            return ()
        found.append(Gap(ends, pairs))
    return tuple(found)


def _pairs(
    net: Layers, part: Pieces, sides: tuple[int, int], domain: str, ends: Pair, cabled: Cabled
) -> Iterator[Pair]:
    """Yield the nearest two routers, then those that are to be joined, then the next nearest."""
    ones, others = (_with_light(net, part, side, domain, cabled) for side in sides)
    if not ones or not others:
        return
    far = _fibres_between(net, [o for _, o in ones], [o for _, o in others])
    order = sorted((float(far[i, j]), _named(a, z)) for i, (a, _) in enumerate(ones) for j, (z, _) in enumerate(others))
    near = [pair for much, pair in order if 0 < much < np.inf]  # between ports of one node there is nothing to light
    yield from near[:1]
    if ends in near:
        yield ends
    yield from near[1:NEAREST]


def _with_light(net: Layers, part: Pieces, side: int, domain: str, cabled: Cabled) -> list[tuple[str, str]]:
    """Return the routers of a part that have a port to spare, each with the optical nodes it is cabled to."""
    found = []
    for router in sorted(net.spare):
        node = net.nodes[router]
        if node.domain == domain and node.up and part[net.ip.node_index[router]] == side:
            found += [(router, optical) for optical in sorted(cabled(router)) if optical in net.fibres.node_index]
    return found


def _fibres_between(net: Layers, ones: list[str], others: list[str]) -> npt.NDArray[np.float64]:
    """Return how many fibres that are up lie between nodes, with their delay in seconds as what decides of equals."""
    graph = net.fibres
    lit = np.array([f.up and net.nodes[f.a].up and net.nodes[f.z].up for f in net.fibre_of], dtype=np.bool_)
    size = len(graph.nodes)
    weights = (1.0 + np.array([e.delay_s for e in graph.edges], dtype=np.float64))[lit]
    src, dst = graph.src[lit], graph.dst[lit]
    quickest = np.lexsort((weights, dst, src))  # of parallel fibres the first: a sparse array would add them up
    _, first = np.unique((src * size + dst)[quickest], return_index=True)
    few = quickest[first]
    least = csr_array((weights[few], (src[few], dst[few])), shape=(size, size))
    rows = np.array([graph.node_index[n] for n in ones], dtype=np.int64)
    columns = np.array([graph.node_index[n] for n in others], dtype=np.int64)
    distances: npt.NDArray[np.float64] = np.atleast_2d(dijkstra(least, indices=rows))
    return distances[:, columns]


def _named(a: str, z: str) -> Pair:
    return (min(a, z), max(a, z))
