"""Routing tables as the routers would build them from their configuration.

Each VRF originates the subnets and static LANs of its accesses whose ports are up, hands them to VRFs of its domain
that import one of its export targets (whoever those belong to: a wrong target leaks), and to its border neighbours
over BGP. The best route: own subnet or static, then preference, shorter AS path, own session, lower node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab.plant.units import DEFAULT_PREFERENCE, Access, Address, Prefix, Vrf, covers

VrfKey = tuple[str, str, str, str]
_ROUNDS = 16  # BGP settles in as many rounds as domains are chained


@dataclass(frozen=True, slots=True)
class Route:
    prefix: Prefix
    access: Access  # where it leaves the domain
    vrf: VrfKey  # which table it comes from
    next_hop: Address | None  # None: connected
    as_path: tuple[int, ...]
    preference: int

    def rank(self, here: VrfKey) -> tuple[int, int, int, int, str, str]:
        """Lower is better, seen from a VRF."""
        own = self.vrf == here
        local = own and not self.as_path
        return (0 if local else 1, -self.preference, len(self.as_path), 0 if own else 1, self.vrf[2], self.access.id)


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session that is up, seen from the side that learns."""

    learner: VrfKey
    access: Access
    teacher: VrfKey
    teacher_access: Access


class Table:
    """One VRF's routes, longest prefix first."""

    __slots__ = ("lengths", "routes")

    def __init__(self, routes: Mapping[Prefix, Route]) -> None:
        self.routes = routes
        self.lengths = sorted({(p[0], p[1]) for p in routes}, key=lambda v: -v[1])

    def lookup(self, address: Address) -> Route | None:
        version, number = address
        bits = 32 if version == 4 else 128
        for family, length in self.lengths:
            if family == version:
                shift = bits - length
                route = self.routes.get((version, length, number >> shift << shift))
                if route is not None:
                    return route
        return None


def tables(vrfs: Sequence[Vrf], sessions: Iterable[Session], port_up: Callable[[Access], bool]) -> dict[VrfKey, Table]:
    """Return the settled routing table of every VRF of a set that is closed under imports and sessions."""
    own = {v.key: originated(v, port_up) for v in vrfs}
    imported = sources(vrfs)
    session_list = list(sessions)
    learnt: dict[VrfKey, dict[Prefix, Route]] = {v.key: {} for v in vrfs}
    full: dict[VrfKey, dict[Prefix, Route]] = {}
    for _ in range(_ROUNDS):
        held = {k: merge(k, own[k], learnt[k].values()) for k in own}
        full = {k: with_imports(k, held, imported[k]) for k in own}
        now: dict[VrfKey, dict[Prefix, Route]] = {k: {} for k in own}
        for s in session_list:
            _teach(s, full[s.teacher], now[s.learner])
        if now == learnt:
            break
        learnt = now
    return {k: Table(routes) for k, routes in full.items()}


def originated(vrf: Vrf, port_up: Callable[[Access], bool]) -> dict[Prefix, Route]:
    found: dict[Prefix, Route] = {}
    for access in vrf.accesses:
        if not port_up(access):
            continue
        for subnet, _, _ in access.addresses:
            offer(vrf.key, found, Route(subnet, access, vrf.key, None, (), DEFAULT_PREFERENCE))
        for lan, hop in access.lans:
            if any(covers(subnet, hop) and hop != ours for subnet, ours, _ in access.addresses):
                offer(vrf.key, found, Route(lan, access, vrf.key, hop, (), DEFAULT_PREFERENCE))
    return found


def sources(vrfs: Sequence[Vrf]) -> dict[VrfKey, list[VrfKey]]:
    """Return from which VRFs each one imports, by an index over the export targets of each domain."""
    exporters: dict[tuple[str, str], list[VrfKey]] = {}
    for vrf in vrfs:
        for target in vrf.exports:
            exporters.setdefault((vrf.key[0], target), []).append(vrf.key)
    found = {}
    for vrf in vrfs:
        keys = {k for target in vrf.imports for k in exporters.get((vrf.key[0], target), ())}
        found[vrf.key] = sorted(keys - {vrf.key})
    return found


def merge(here: VrfKey, own: Mapping[Prefix, Route], more: Iterable[Route]) -> dict[Prefix, Route]:
    merged = dict(own)
    for route in more:
        offer(here, merged, route)
    return merged


def with_imports(
    here: VrfKey, held: Mapping[VrfKey, Mapping[Prefix, Route]], sources: Sequence[VrfKey]
) -> dict[Prefix, Route]:
    merged = dict(held[here])
    for source in sources:
        for prefix, route in held[source].items():
            if prefix not in merged:
                merged[prefix] = route
            else:
                offer(here, merged, route)
    return merged


def offer(here: VrfKey, routes: dict[Prefix, Route], route: Route) -> None:
    standing = routes.get(route.prefix)
    if standing is None or route.rank(here) < standing.rank(here):
        routes[route.prefix] = route


def _teach(session: Session, table: Mapping[Prefix, Route], learnt: dict[Prefix, Route]) -> None:
    """Hand the teacher's routes over, but none that has been in the learner's AS: no loops (allow-own-as 0)."""
    bgp, teacher = session.access.bgp, session.teacher_access.bgp
    assert bgp is not None
    assert teacher is not None
    for prefix, route in table.items():
        if bgp.local_as in route.as_path or bgp.local_as == teacher.local_as:
            continue
        path = (teacher.local_as, *route.as_path)
        offer(
            session.learner,
            learnt,
            Route(prefix, session.access, session.learner, teacher_hop(session), path, bgp.preference),
        )


def teacher_hop(session: Session) -> Address | None:
    """The next hop of what a session teaches: the teacher's own address."""
    return session.access.bgp.neighbor if session.access.bgp else None
