"""How the domains of a plane hang together: a tree of domains, and the borders that it crosses between each two.

All borders that the plane may use are stitched. One of each two domains carries, the best that is up and reaches the
plane's nodes; the others stand by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from controller.planning.layers import Layers
from controller.planning.paths import Mask

Pieces = npt.NDArray[np.int32]  # by node of the IP graph: which connected part of its domain it is in


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a plane may go. While a border is gone, a plane of A sooner runs over B than not at all.

    `usable`: what is up of `asked`; `asked`: within the boundaries and of plane A or B as wanted, up or not;
    `allowed`: within the boundaries, whichever plane.
    """

    usable: Mask
    asked: Mask
    allowed: Mask


@dataclass(frozen=True, slots=True)
class Crossing:
    """The borders between two neighbouring domains, as links that leave the first, in the order of preference."""

    order: tuple[int, ...]
    primary: int  # the one that carries: the first that is up

    @property
    def spares(self) -> tuple[int, ...]:
        return tuple(i for i in self.order if i != self.primary)


@dataclass(frozen=True, slots=True)
class Joined:
    """The domains of a plane. `crossings`: by ordered pair of neighbours; `lost`: nodes that nothing joins."""

    parents: Mapping[str, str]  # domain → the next one towards the first; the first has none
    crossings: Mapping[tuple[str, str], Crossing]
    lost: tuple[str, ...]

    def route(self, first: str, last: str) -> tuple[str, ...]:
        """Return the domains from one to another."""
        up, down = self._to_root(first), self._to_root(last)
        while len(up) > 1 and len(down) > 1 and up[-2] == down[-2]:
            up.pop()
            down.pop()
        return (*up, *reversed(down[:-1]))

    def _to_root(self, domain: str) -> list[str]:
        return list(_chain(domain, self.parents))

    def beyond(self, here: str, there: str) -> frozenset[str]:
        """Return the domains that lie behind a border."""
        every = {d for pair in self.crossings for d in pair}
        return frozenset(d for d in every if d != here and self.route(here, d)[1] == there)


def join(net: Layers, bounds: Bounds, nodes: Collection[str], root: str) -> Joined:
    """Join the nodes from one of them, over as few borders as will do."""
    usable = bounds.usable
    index, up = net.ip.node_index, pieces(net, usable)
    home = net.nodes[root].domain
    ends = {net.nodes[n].domain: up[index[n]] for n in sorted(nodes)}  # where a domain is torn: the part to be in
    parents: dict[str, str] = {}
    piece = {home: int(up[index[root]])}  # of each domain, the part that the plane is in
    primary: dict[tuple[str, str], int] = {}
    front = [home]
    while front:
        following: list[str] = []
        for here in front:
            for there, borders in _neighbours(net, here):
                open_ = [i for i in borders if usable[i] and up[net.ip.src[i]] == piece[here]]
                homely = (i for i in open_ if up[net.ip.dst[i]] == ends.get(there))
                best = next(homely, next(iter(open_), None))
                if there not in piece and best is not None:
                    piece[there], parents[there] = int(up[net.ip.dst[best]]), here
                    primary[here, there] = best
                    following.append(there)
        front = following
    lost = tuple(sorted(n for n in nodes if up[index[n]] != piece.get(net.nodes[n].domain, -1)))
    needed = {d for n in nodes if n not in lost for d in _chain(net.nodes[n].domain, parents)}
    parents = {d: p for d, p in parents.items() if d in needed}
    anchors = {net.nodes[n].domain: index[n] for n in nodes if n not in lost}
    for (here, there), i in primary.items():
        anchors.setdefault(here, int(net.ip.src[i]))
        anchors.setdefault(there, int(net.ip.dst[i]))
    return Joined(parents, _crossings(net, bounds, parents, primary, anchors), lost)


def _crossings(
    net: Layers,
    bounds: Bounds,
    parents: Mapping[str, str],
    primary: Mapping[tuple[str, str], int],
    anchors: Mapping[str, int],
) -> dict[tuple[str, str], Crossing]:
    """Order the borders that the plane may use: those that keep to the plane A or B, then the rest; each by rank."""
    found: dict[tuple[str, str], Crossing] = {}
    masks = [(mask, pieces(net, mask)) for mask in (bounds.asked, bounds.allowed)]
    for there, here in sorted(parents.items()):
        order: dict[int, None] = {}
        for mask, piece in masks:
            for i in dict(_neighbours(net, here))[there]:
                ends = ((int(net.ip.src[i]), anchors[here]), (int(net.ip.dst[i]), anchors[there]))
                if mask[i] and all(piece[end] == piece[anchor] for end, anchor in ends):
                    order[i] = None
        first = primary[here, there]
        # What is up but does not reach the plane's nodes would still draw its traffic if it came first.
        idle = [i for i in list(order)[: list(order).index(first)] if net.up[i]]
        order = dict.fromkeys((*(i for i in order if i not in idle), *idle))
        found[here, there] = Crossing(tuple(order), first)
        found[there, here] = Crossing(tuple(int(net.reverse[i]) for i in order), int(net.reverse[first]))
    return found


_known_pieces: list[tuple[object, dict[bytes, Pieces]]] = []  # of the newest map: planes ask the same again and again
MOST_PIECES = 1000


def pieces(net: Layers, mask: Mask) -> Pieces:
    """Return in which connected part of its domain each node is, over the links of a mask that cross no border."""
    if not _known_pieces or _known_pieces[0][0] is not net.ip:
        _known_pieces[:] = [(net.ip, {})]
    known, key = _known_pieces[0][1], mask.tobytes()
    if key not in known:
        if len(known) >= MOST_PIECES:
            known.clear()
        known[key] = _find_pieces(net, mask)
    return known[key]


def _find_pieces(net: Layers, mask: Mask) -> Pieces:
    graph, size = net.ip, len(net.ip.nodes)
    inner = mask & ~net.outer
    edges = (np.ones(int(inner.sum()), dtype=np.int8), (graph.src[inner], graph.dst[inner]))
    labels: Pieces = connected_components(csr_array(edges, shape=(size, size)), directed=False)[1]
    return labels


def _neighbours(net: Layers, here: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the domains next to one, each with the borders that leave for it, by rank."""
    for ends in sorted((e for e in net.borders if here in e), key=sorted):
        there = next(iter(ends - {here}), here)
        yield (
            there,
            tuple(
                net.link_index[k.id if net.nodes[k.src.node].domain == here else k.reverse] for k in net.borders[ends]
            ),
        )


def _chain(domain: str, parents: Mapping[str, str]) -> Iterator[str]:
    yield domain
    while domain in parents:
        domain = parents[domain]
        yield domain
