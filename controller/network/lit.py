"""IP links that we lit for services, on the map: between their commit and their discovery, and after their last user.

A domain shows such a link only once it has made it, so the map is extended by those that stand; what discovery shows
already is taken from there (its state, its circuit). One that no service rides on any more is on its way out and is
left off, however long the domain still shows it. Their metric keeps routers from choosing them: only pinned tunnels
ride them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from controller.network.model import CityMap, Fibre, Link, LitForServices, Node, Port, PortRef

LIT = "link/"  # how the circuits under such links are called, and who owns them
LAST_METRIC = 16_777_214  # the largest metric that IS-IS uses (RFC 5305 §3: 0xFFFFFE)

CABLE_AVAILABILITY = 0.99999
NODE_AVAILABILITY = 0.9999
QUEUE_BITS = 10 * 12_000  # what guaranteed traffic meets at most before it in a queue: ten packets of 1,500 bytes
LINK_LOSS = 1e-7  # of guaranteed traffic: the least that RFC 9375 can tell

MOST_KNOWN = 4
_known: list[tuple[weakref.ref[CityMap], tuple[LitForServices, ...], CityMap]] = []  # newest first


def link_id(src: PortRef, dst: PortRef) -> str:
    """Return the id of a directed link between two router ports: `link:lg-buji.otn-1..lg-minzhi.otn-2`."""
    return f"link:{_plain(src)}..{_plain(dst)}"


def circuit_id(a: PortRef, z: PortRef) -> str:
    """Return the id of the wavelength under a link between two router ports, which is also its owner's name."""
    return f"{LIT}{_plain(a)}..{_plain(z)}"


def _plain(ref: PortRef) -> str:
    return f"{ref.node.removeprefix('node:')}.{ref.port.removeprefix('tp:')}"


def with_lit(city: CityMap, lit: Iterable[LitForServices]) -> CityMap:
    """Return the map with exactly these links of ours: added where it does not show them, those of nobody left off."""
    every = tuple(sorted({one.id: one for one in lit}.values(), key=lambda one: one.id))
    names = {name: one for one in every for name in (one.id, one.reverse)}
    gone = frozenset(k.id for k in city.pinned_links if k.id not in names and ours(city, k))
    if city.lit == names and not gone:
        return city
    for ref, known, found in _known[:]:
        if known == every and ref() is city:
            return found
    found = _extended(city, every, names, gone)
    _known[:] = [(weakref.ref(city), every, found), *_known[: MOST_KNOWN - 1]]
    return found


def ours(city: CityMap, link: Link) -> bool:
    """Say whether a link that a domain shows was lit by us, also while its circuit was not discovered yet, or no more.

    An operator may take a link of his own out of the routers' choice too; that one is no link between spare ports.
    """
    if link.circuit is not None or not link.pinned:
        return link.circuit is not None and link.circuit.startswith(LIT)
    ends = [city.ports.get(ref) for ref in (link.src, link.dst)]
    return link.id == link_id(link.src, link.dst) and all(p is not None and p.peer is not None for p in ends)


def _extended(
    city: CityMap, lit: tuple[LitForServices, ...], names: Mapping[str, LitForServices], gone: Set[str]
) -> CityMap:
    missing = [one for one in lit if one.id not in city.link_index and _ends_known(city, one)]
    if not gone and not missing:
        after = replace(city, lit=names)
        vars(after)["link_index"] = city.link_index  # the same links in the same order: ledgers stay where they are
        return after
    left = [k for k in city.links if k.id not in gone]
    links = sorted((*left, *(k for one in missing for k in directions(city, one))), key=lambda k: k.id)
    roles = {ref: "core" for one in missing for ref in (one.a, one.z)}
    roles |= {k.src: "otn" for k in city.pinned_links if k.id in gone and k.src not in roles}
    ports = {ref: replace(p, role=roles[ref]) if ref in roles else p for ref, p in city.ports.items()}
    return replace(city, links=tuple(links), ports=ports, lit=names)


def _ends_known(city: CityMap, one: LitForServices) -> bool:
    return all(ref in city.ports and ref.node in city.nodes for ref in (one.a, one.z))


def directions(city: CityMap, one: LitForServices) -> tuple[Link, Link]:
    """Return both directions of a link as the map shows them once its domain has told of it."""
    there = as_link(city.nodes, city.ports, city.fibres, one)
    up = there.up
    return there, replace(there, id=one.reverse, src=one.z, dst=one.a, reverse=one.id, up=up)


def as_link(
    nodes: Mapping[str, Node], ports: Mapping[PortRef, Port], fibres: Mapping[str, Fibre], one: LitForServices
) -> Link:
    """Return the direction a → z. It is up where its ports, routers and fibres are."""
    under = [fibres[f] for f in one.fibres if f in fibres]
    ends = [nodes[ref.node] for ref in (one.a, one.z)]
    clients = [ports[ref].peer for ref in (one.a, one.z)]
    alive = all(ports[ref].up for ref in (one.a, one.z)) and all(n.up for n in ends)
    alive = alive and all(c is not None and c in ports and ports[c].up for c in clients)
    return Link(
        id=one.id, domain=one.domain, src=one.a, dst=one.z, capacity_bps=one.rate_bps, delay_s=one.delay_s,
        srlgs=frozenset(one.srlgs).union(*(f.srlgs for f in under)), plane=plane_over(under),
        trust=min((*(n.trust for n in ends), *(f.trust for f in under))),
        availability=CABLE_AVAILABILITY * light_availability(under, nodes), circuit=one.circuit_id,
        reverse=one.reverse, up=alive and len(under) == len(one.fibres) and all(f.up for f in under),
        fibres=tuple(f.id for f in under), jitter_s=QUEUE_BITS / max(1, one.rate_bps), loss_ratio=LINK_LOSS,
        pinned=True,
    )  # fmt: skip


def light_availability(fibres: Iterable[Fibre], nodes: Mapping[str, Node]) -> float:
    """Return how available light over these fibres is: all of them, and every node that they touch."""
    under, result = tuple(fibres), 1.0
    for node in sorted({n for f in under for n in (f.a, f.z)}):
        result *= nodes[node].availability if node in nodes else NODE_AVAILABILITY
    for fibre in under:
        result *= fibre.availability
    return result


def plane_over(fibres: Iterable[Fibre]) -> str | None:
    """Return the plane A or B of what runs over these fibres; over both it is of neither, `A+B`."""
    planes = sorted({f.plane for f in fibres if f.plane is not None})
    return "+".join(planes) or None
