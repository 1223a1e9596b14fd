"""A large city of routers as the controller would know it, and services over it: to measure at size.

One IP domain over a seeded network of cables, an access port at every router, every cable two links of 100 Gbit/s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from random import Random
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from controller.intent.model import (
    AccessSite,
    DedicatedPlane,
    Demand,
    ExclusiveSlice,
    Isolation,
    Metadata,
    Protection,
    Service,
    ServiceId,
    SiteId,
    Slo,
    VipAssurance,
    Window,
)
from controller.network.discovered import DomainKind
from controller.network.ledger import Ledger
from controller.network.model import CityMap, Domain, Link, Node, Port, PortRef, Site
from controller.planning.place import place
from controller.planning.placement import Placement, Route, TunnelPlacement
from tests.support.cities import MODULES
from tests.support.intents import FLOWS

DOMAIN = "city-ip"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
OPEN = Window(NOW - timedelta(hours=1), NOW + timedelta(hours=8))
GBPS = 10**9
MBPS = 10**6


class Cables(Protocol):
    """What is taken of a sample network: cable i joins nodes a[i] and z[i]; ducts are sets of cables."""

    @property
    def name(self) -> str: ...
    @property
    def nodes(self) -> int: ...
    @property
    def a(self) -> npt.NDArray[np.int64]: ...
    @property
    def z(self) -> npt.NDArray[np.int64]: ...
    @property
    def km(self) -> npt.NDArray[np.float64]: ...
    @property
    def ducts(self) -> tuple[tuple[int, ...], ...]: ...


def large_city(cables: Cables, rate_bps: int = 100 * GBPS) -> CityMap:
    """Return the map: routers r0000 …, one site each, cables with the risks of their ducts."""
    names = [f"node:r{i:04}" for i in range(cables.nodes)]
    risks: dict[int, set[int]] = {}
    for number, members in enumerate(cables.ducts, start=1):
        for cable in members:
            risks.setdefault(cable, set()).add(number)
    ports: dict[PortRef, Port] = {}
    links: list[Link] = []
    ends = zip(cables.a.tolist(), cables.z.tolist(), cables.km.tolist(), strict=True)
    for i, (a, z, km) in enumerate(ends):
        out, back = PortRef(names[a], f"tp:c{i}"), PortRef(names[z], f"tp:c{i}")
        there, here = f"link:r{a:04}.c{i}..r{z:04}.c{i}", f"link:r{z:04}.c{i}..r{a:04}.c{i}"
        for src, dst, link, reverse in ((out, back, there, here), (back, out, here, there)):
            links.append(
                Link(link, DOMAIN, src, dst, rate_bps, km * 4.897e-6, frozenset(risks.get(i, ())), None, 3, 0.99999,
                     None, reverse, up=True)
            )  # fmt: skip
            ports[src] = Port(src, DOMAIN, (rate_bps,), "core", None, None, True)
    for name in names:
        ref = PortRef(name, "tp:access")
        ports[ref] = Port(ref, DOMAIN, (400 * GBPS,), "access", None, name[5:], True)
    return CityMap(
        version=1,
        sites={n[5:]: Site(n[5:], n[5:], "city", 0.0, 0.0, PortRef(n, "tp:access")) for n in names},
        domains={DOMAIN: Domain(DOMAIN, DomainKind.IP, "net:city-ip", 65001, MODULES,
                                frozenset({"plane-default", "slice-committed", "vip"}), frozenset({"border-primary"}))},
        nodes={n: Node(n, DOMAIN, DomainKind.IP, n[5:], frozenset({"city"}), 3, 0.9999, f"10.0.{i // 250}.{i % 250}",
                       True) for i, n in enumerate(names)},
        ports=dict(sorted(ports.items())),
        links=tuple(sorted(links, key=lambda k: k.id)),
        fibres={}, odu_links={}, srlg_names={n: f"duct {n}" for n in range(1, len(cables.ducts) + 1)},
    )  # fmt: skip


def services(count: int, cables: Cables, seed: int = 1) -> Iterator[Service]:
    """Yield of every hundred: 69 protected slices, 15 unprotected, 15 planes of four sites and one VIP.

    Ends are drawn evenly from the whole city; those of protected slices are drawn again until two ways without a
    common duct join them. A VIP assures named flows over the plane before it.
    """
    random, plane, apart = Random(seed), ServiceId(""), _Apart(cables)
    for number in range(count):
        turn = number * 37 % 100
        if turn < 84:
            ends = random.sample(range(cables.nodes), 2)
            while turn < 69 and not apart.joins(*ends):
                ends = random.sample(range(cables.nodes), 2)
            yield _slice(number, *ends, protected=turn < 69)
        elif turn < 99 or not plane:
            wanted = _plane(number, random, cables.nodes)
            plane = wanted.metadata.service
            yield wanted
        else:
            yield VipAssurance(
                Metadata(f"v{number:05}", "city"),
                plane,
                OPEN,
                flows=FLOWS[:1],
                slo=Slo(latency_s=0.05, availability=0.9),
            )


class _Apart:
    """Whether the quickest way between two nodes leaves a second one that shares no duct and no cable with it."""

    def __init__(self, cables: Cables) -> None:
        self._a, self._z, self._km, self._nodes = cables.a, cables.z, cables.km, cables.nodes
        self._cable = {frozenset(e): i for i, e in enumerate(zip(self._a.tolist(), self._z.tolist(), strict=True))}
        self._ducts: dict[int, set[int]] = {}
        self._found: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        for members in cables.ducts:
            for cable in members:
                self._ducts.setdefault(cable, set()).update(members)

    def joins(self, a: int, z: int) -> bool:
        return all(self.ways(a, z))

    def ways(self, a: int, z: int) -> tuple[list[int], list[int]]:
        """Return the cables of both ways from a to z; the second is empty where there is none."""
        if (a, z) not in self._found:
            usable = np.ones(len(self._km), dtype=np.bool_)
            first = self._way(a, z, usable)
            for cable in first:
                usable[[cable, *self._ducts.get(cable, ())]] = False
            self._found[a, z] = (first, self._way(a, z, usable))
        return self._found[a, z]

    def other(self, cable: int, end: int) -> int:
        a, z = int(self._a[cable]), int(self._z[cable])
        return z if end == a else a

    def _way(self, a: int, z: int, usable: npt.NDArray[np.bool_]) -> list[int]:
        weights = (self._km[usable], (self._a[usable], self._z[usable]))
        graph = csr_array(weights, shape=(self._nodes, self._nodes))
        before = dijkstra(graph, directed=False, indices=a, return_predecessors=True)[1]
        found, at = [], z
        while at != a:
            if before[at] < 0:
                return []
            found.append(self._cable[frozenset((int(before[at]), at))])
            at = int(before[at])
        return found[::-1]


def _access(name: str, site: int, rate_bps: int, lan: int) -> AccessSite:
    lans = (IPv4Network(((10 << 24) + (lan << 8), 24)),)
    return AccessSite(name, SiteId(f"r{site:04}"), rate_bps, lans=lans)


def _slice(number: int, a: int, z: int, *, protected: bool) -> ExclusiveSlice:
    ends = (_access("a", a, 20 * MBPS, 4 * number % 65536), _access("z", z, 20 * MBPS, (4 * number + 1) % 65536))
    return ExclusiveSlice(
        Metadata(f"s{number:05}", "city"), ends, (Demand("a", "z", 20 * MBPS),), isolation=Isolation.NRP,
        protection=Protection.STANDBY if protected else Protection.NONE, slo=Slo(latency_s=0.02, availability=0.9),
    )  # fmt: skip


def _plane(number: int, random: Random, nodes: int) -> DedicatedPlane:
    sites = random.sample(range(nodes), 4)
    accesses = tuple(_access(f"s{i}", s, 10 * MBPS, (4 * number + i) % 65536) for i, s in enumerate(sites))
    return DedicatedPlane(Metadata(f"p{number:05}", "city"), accesses, slo=Slo(availability=0.9))


def grown(city: CityMap, cables: Cables, count: int, batch: int = 500) -> dict[ServiceId, tuple[Service, Placement]]:
    """Return services as the planner places them, in batches, over the ways that `_Apart` finds.

    The ways are handed over as those of an earlier placement, which the planner keeps where they serve: at ten thousand
    services the exact search for every pair would take longer than all that is to be measured.
    """
    ledger, standing, apart = Ledger(city), dict[ServiceId, tuple[Service, Placement]](), _Apart(cables)
    wanted = list(services(count, cables))
    for at in range(0, count, batch):
        part = wanted[at : at + batch]
        known = {s.metadata.service: (s, _earlier(city, apart, s, 1001 + at + i)) for i, s in enumerate(part)}
        earlier = {n: (_other(s), p) for n, (s, p) in known.items() if p is not None}
        outcome = place(city, ledger, part, {**standing, **earlier}, NOW)
        ledger = outcome.ledger
        standing.update({n: (known[n][0], p) for n, p in outcome.placements.items()})
    return standing


def _other(service: Service) -> Service:
    """Return a service that is not the same, or the planner would leave its placement alone."""
    return replace(service, traffic_class="earlier") if isinstance(service, ExclusiveSlice) else service


def _earlier(city: CityMap, apart: _Apart, service: Service, number: int) -> Placement | None:
    """Return a placement that holds nothing but the ways of a slice."""
    if not isinstance(service, ExclusiveSlice):
        return None
    a, z = (int(e.site[1:]) for e in service.endpoints)
    ways = apart.ways(a, z) if service.protection is Protection.STANDBY else apart.ways(a, z)[:1]
    tunnels = []
    for ends in ((a, z), (z, a)):
        routes = [_route(city, apart, ends[0], way if ends == (a, z) else way[::-1]) for way in ways]
        names = [f"node:r{n:04}" for n in ends]
        tunnels.append(
            TunnelPlacement(
                "", "", DOMAIN, *names, 0, routes[0], routes[1] if len(routes) > 1 else None, None, None, 7, 7
            )
        )
    return Placement(service.metadata.service, service.kind, number, tunnels=tuple(tunnels))


def _route(city: CityMap, apart: _Apart, at: int, way: list[int]) -> Route:
    links = []
    for cable in way:
        there = apart.other(cable, at)
        links.append(city.links[city.link_index[f"link:r{at:04}.c{cable}..r{there:04}.c{cable}"]])
        at = there
    return Route(tuple(k.src for k in links), tuple(k.id for k in links), sum(k.delay_s for k in links))


def replaced_rate(service: ExclusiveSlice, rate_bps: int) -> ExclusiveSlice:
    """Return the slice with another rate: a small change."""
    return replace(
        service, demands=tuple(replace(d, rate_bps=rate_bps) for d in service.demands),
        endpoints=tuple(replace(e, rate_bps=rate_bps) for e in service.endpoints),
    )  # fmt: skip
