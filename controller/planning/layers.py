"""The map as graphs: routers with their links, fibres, and lit ODU links, built once per map.

Edge i of `ip` is link i of the map, so that the ledger's arrays fit. Fibres and ODU links give two edges each.
A pair of directions without a known duct is a risk of its own (a negative number), so that "risk-disjoint"
always means "no common cable" too.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from math import log1p

import numpy as np
import numpy.typing as npt

from controller.intent.model import Boundaries
from controller.network.discovered import DomainKind
from controller.network.light import OTN_JITTER_S, OTN_SWITCH_S, ROADM_S, Mode
from controller.network.model import CityMap, Fibre, Link, Node, OduLink, Port
from controller.planning.constrained import Burdens
from controller.planning.containers import reach_share
from controller.planning.interior import Interior
from controller.planning.paths import Edge, Graph, Mask, mask_without

BINDING = "onecity-binding"  # our own module: without it a domain cannot be told which traffic rides which tunnel


@dataclass(frozen=True, slots=True)
class Carrying:
    """The edges of each graph that more than standbys may ride."""

    ip: Mask
    fibres: Mask
    odu: Mask


@dataclass(frozen=True, slots=True)
class Layers:
    """Graphs of one map and the look-ups that every query needs."""

    nodes: Mapping[str, Node]
    links: tuple[Link, ...]
    link_index: Mapping[str, int]
    ip: Graph
    fibres: Graph
    odu: Graph
    ip_burdens: Burdens
    fibre_burdens: Burdens
    odu_burdens: Burdens
    fibre_of: tuple[Fibre, ...]  # by edge of `fibres`
    odu_of: tuple[OduLink, ...]  # by edge of `odu`
    reverse: npt.NDArray[np.int64]  # link index of the other direction
    up: Mask  # of IP links: they, their reverse and both nodes are up
    routed: Mask  # of IP links: not lit for services; planes keep to these, up or not
    ports: Mapping[str, Port]  # by "node/port"
    spare: Mapping[str, tuple[tuple[Port, Port], ...]]  # router → (its otn port, the client port it is cabled to)
    srlg_names: Mapping[int, str]
    borders: Mapping[frozenset[str], tuple[Link, ...]]  # two domains → one direction of each border, by rank
    inside: Mapping[str, Mask]  # domain → its own links
    outer: Mask  # links that cross a border
    interior: Interior  # the ways that routers choose by themselves
    binds: frozenset[str]  # domains that can steer a VPN into tunnels
    mode: Mode | None  # of new wavelengths, where it is known what fibres do to light
    fading: frozenset[str]  # fibres that wear out
    carrying: Carrying | None  # where working ways may run; None: wherever standbys may
    laid: dict[Hashable, object] = field(default_factory=dict)  # how planes of a shape lie on this map, once found


_KNOWN: dict[int, tuple[weakref.ref[CityMap], Layers]] = {}


def layers(city: CityMap) -> Layers:
    """Return the graphs of a map, built on first use and forgotten with it."""
    known = _KNOWN.get(id(city))
    if known is not None and known[0]() is city:
        return known[1]
    built = _build(city)
    key = id(city)
    # The layers hold the map's parts but not the map itself, or it would never be let go.
    _KNOWN[key] = (weakref.ref(city, lambda _: _KNOWN.pop(key, None)), built)
    return built


def _build(city: CityMap) -> Layers:
    pair_risk = {link.id: -1 - min(i, city.link_index[link.reverse]) for i, link in enumerate(city.links)}
    fibres = [f for _, f in sorted(city.fibres.items())]
    odu = [o for _, o in sorted(city.odu_links.items())]
    reverse = np.array([city.link_index[k.reverse] for k in city.links], dtype=np.int64)
    ip = Graph(
        (n.id for n in city.nodes.values() if n.kind is DomainKind.IP),
        [Edge(k.src.node, k.dst.node, k.delay_s, k.srlgs or frozenset({pair_risk[k.id]})) for k in city.links],
        reverse,
    )
    here = np.arange(len(city.links), dtype=np.int64)
    up = np.array(
        [k.up and city.nodes[k.src.node].up and city.nodes[k.dst.node].up for k in city.links], dtype=np.bool_
    )
    up = up & up[reverse] if len(up) else up
    owner = np.array([k.domain or "" for k in city.links], dtype=np.str_)
    fibre_graph = _both_ways([(f.a, f.z, f.delay_s + ROADM_S, f.srlgs) for f in fibres])
    odu_graph = _both_ways([(o.a, o.z, o.delay_s + OTN_SWITCH_S, o.srlgs) for o in odu])
    return Layers(
        nodes=city.nodes,
        links=city.links,
        link_index=city.link_index,
        ip=ip,
        fibres=fibre_graph,
        odu=odu_graph,
        ip_burdens=_burdens(ip, [(k.jitter_s, k.loss_ratio, 0.0) for k in city.links], np.minimum(here, reverse)),
        fibre_burdens=_fibre_burdens(fibre_graph, [f for f in fibres for _ in (0, 1)], city.line_mode is not None),
        mode=city.line_mode,
        fading=city.fading,
        carrying=_carrying(city, reverse, fibres, odu) if city.standby_only else None,
        odu_burdens=_burdens(odu_graph, [(OTN_JITTER_S, 0.0, 0.0)] * (2 * len(odu))),
        fibre_of=tuple(f for f in fibres for _ in (0, 1)),
        odu_of=tuple(o for o in odu for _ in (0, 1)),
        reverse=reverse,
        up=up,
        routed=np.array([k.id not in city.lit for k in city.links], dtype=np.bool_),
        ports={str(ref): port for ref, port in city.ports.items()},
        spare=_spare(city),
        srlg_names=city.srlg_names,
        borders=_borders(city),
        inside={d: owner == d for d in city.domains},
        outer=owner == "",
        interior=Interior(
            tuple((i, k) for i, k in enumerate(city.links) if up[i]),
            tuple(sorted((n.domain, n.id) for n in city.nodes.values())),
        ),
        binds=frozenset(d.id for d in city.domains.values() if BINDING in d.modules),
    )


def _carrying(city: CityMap, reverse: npt.NDArray[np.int64], fibres: list[Fibre], odu: list[OduLink]) -> Carrying:
    out = city.standby_only
    dark = {c[6:] for c in out if c.startswith("fibre:")}  # also under links that were lit since
    ip = np.array([f"link:{k.id}" not in out and dark.isdisjoint(k.fibres) for k in city.links], dtype=np.bool_)
    light = [f.id not in dark for f in fibres for _ in (0, 1)]
    slots = [f"odu:{o.id}" not in out and dark.isdisjoint(o.fibres) for o in odu for _ in (0, 1)]
    return Carrying(
        ip & ip[reverse] if len(ip) else ip, np.array(light, dtype=np.bool_), np.array(slots, dtype=np.bool_)
    )


def _burdens(
    graph: Graph, rest: list[tuple[float, float, float]], cable: npt.NDArray[np.int64] | None = None
) -> Burdens:
    """Jitter, loss and share of reach beside delay and one hop; loss as a logarithm, so that it adds up."""
    rows = [
        (edge.delay_s, jitter, -log1p(-min(loss, 1 - 1e-12)), 1.0, reach)
        for edge, (jitter, loss, reach) in zip(graph.edges, rest, strict=True)
    ]
    sums = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    return Burdens(graph, sums, np.arange(len(rows), dtype=np.int64) // 2 if cable is None else cable)


def _fibre_burdens(graph: Graph, fibres: list[Fibre], known: bool) -> Burdens:
    """Beside the sums of every layer those of light; a fibre whose light is not known counts by the table of reach."""
    light = [f.light if known else None for f in fibres]
    reach = [0.0 if k is not None else reach_share(f.length_m) for k, f in zip(light, fibres, strict=True)]
    burdens = _burdens(graph, [(0.0, 0.0, r) for r in reach])
    sums = np.array([k.sums if k is not None else (0.0,) * 4 for k in light], dtype=np.float64).reshape(-1, 4)
    return Burdens(graph, np.hstack((burdens.sums, sums)), burdens.cable)


def _both_ways(items: Iterable[tuple[str, str, float, frozenset[int]]]) -> Graph:
    edges: list[Edge] = []
    for i, (a, z, delay_s, srlgs) in enumerate(items):
        risks = srlgs or frozenset({-1 - i})
        edges += [Edge(a, z, delay_s, risks), Edge(z, a, delay_s, risks)]
    return Graph((), edges, np.arange(len(edges), dtype=np.int64) ^ 1)


def _spare(city: CityMap) -> dict[str, tuple[tuple[Port, Port], ...]]:
    found: dict[str, list[tuple[Port, Port]]] = {}
    for ref, port in sorted(city.ports.items()):
        client = city.ports.get(port.peer) if port.role == "otn" and port.peer else None
        if client is not None:
            found.setdefault(ref.node, []).append((port, client))
    return {node: tuple(sorted(pairs, key=lambda p: natural(p[0].ref.port))) for node, pairs in found.items()}


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key under which `otn-2` comes before `otn-10`."""
    parts = re.split(r"(\d+)", text)
    return tuple((int(p), "") if p.isdigit() else (-1, p) for p in parts)


def _borders(city: CityMap) -> dict[frozenset[str], tuple[Link, ...]]:
    found: dict[frozenset[str], list[Link]] = {}
    for link in city.links:
        if link.border and link.id < link.reverse:
            ends = frozenset((city.nodes[link.src.node].domain, city.nodes[link.dst.node].domain))
            found.setdefault(ends, []).append(link)
    return {ends: tuple(sorted(links, key=lambda k: (k.rank, k.id))) for ends, links in found.items()}


def node_allowed(node: Node, bounds: Boundaries) -> bool:
    """Return whether a service with these boundaries may use a node, up or not."""
    names = {node.id, node.id.removeprefix("node:")}
    if node.trust < bounds.least_trust or names & bounds.exclude_nodes:
        return False
    if bounds.include_nodes and not names & bounds.include_nodes:
        return False
    if node.regions & bounds.exclude_regions:
        return False
    return not bounds.include_regions or bool(node.regions & bounds.include_regions)


def forbidden_nodes(net: Layers, bounds: Boundaries) -> frozenset[str]:
    """Return the nodes that are down or that the boundaries rule out."""
    if bounds == Boundaries():
        return frozenset(n.id for n in net.nodes.values() if not n.up)
    return frozenset(n.id for n in net.nodes.values() if not n.up or not node_allowed(n, bounds))


def planes_of(part: Fibre | OduLink) -> frozenset[str]:
    """Return the planes A and B that a part of the optical layer belongs to; most belong to none."""
    if isinstance(part, OduLink):
        return part.planes
    return frozenset() if part.plane is None else frozenset({part.plane})


def allowed_mask(net: Layers, bounds: Boundaries, plane: str | None = None) -> Mask:
    """Return the same links whether they are up or not."""
    out = frozenset(n.id for n in net.nodes.values() if bounds != Boundaries() and not node_allowed(n, bounds))
    return _within(net, net.ip.everything(), out, bounds, plane)


def ip_mask(net: Layers, bounds: Boundaries, plane: str | None = None) -> Mask:
    """Return the IP links that are up, within the boundaries and, where asked, of the plane (borders have none)."""
    return _within(net, net.up, forbidden_nodes(net, bounds), bounds, plane)


def _within(net: Layers, start: Mask, out: frozenset[str], bounds: Boundaries, plane: str | None) -> Mask:
    usable = mask_without(net.ip, start, out)
    if bounds.least_trust > 1:
        usable = usable & np.array([k.trust >= bounds.least_trust for k in net.links], dtype=np.bool_)
    if plane is not None:
        usable = usable & np.array([k.plane in (None, plane) for k in net.links], dtype=np.bool_)
    return usable
