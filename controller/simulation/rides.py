"""What the traffic of a standing service rides on, and where it goes once something is down.

Everything comes from the placement, which is what was configured: tunnels with their standby, the steering that
prefers them and says what happens without, borders by rank, circuits with their protect leg; between them the
routers' own shortest ways. What an element carries is indexed, so a failure looks only at the services it touches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, ServiceId, VipAssurance
from controller.network.damage import Damage
from controller.network.model import CityMap
from controller.planning.interior import Interior
from controller.planning.layers import Layers
from controller.planning.paths import Path
from controller.planning.placement import CircuitPlacement, Leg, Placement, Promise, Stitch, TunnelPlacement

Pair = tuple[ServiceId, Placement]
Standing = Mapping[ServiceId, tuple[Service, Placement]]
MOST_MESHED = 16  # nodes of a plane of which every pair is looked at; of a larger one every way from its root
REST = "*"


@dataclass(frozen=True, slots=True)
class Talk:
    """Two ends of a service that were promised to reach each other."""

    a: str  # as the promise names them
    z: str
    src: str  # node ids
    dst: str
    budget_s: float | None
    circuit: CircuitPlacement | None = None  # the one that joins them, instead of IP networks
    promise: Promise | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """How a talk gets through: `how` is "working", "standby", "routing" or "border"; or why it does not."""

    how: str
    delay_s: float = 0.0
    links: Path = ()
    shared: bool = False  # it left what was held for it and shares links with everybody
    lost: str = ""
    dead_end: bool = False  # an end itself is down

    @property
    def cut(self) -> bool:
        return bool(self.lost)


@dataclass(slots=True)
class Ride:
    """One service with everything that its traffic is configured to ride on."""

    service: Service
    placement: Placement
    talks: tuple[Talk, ...]
    tunnels: Mapping[tuple[str, str], tuple[tuple[TunnelPlacement, Path, Path | None], ...]]  # by both ends, in order
    drops: frozenset[tuple[str, str]]  # ends between which nothing but the tunnels may carry
    borders: Mapping[tuple[str, str], Path]  # two domains → border links that leave the first, by rank
    before: dict[Talk, Carried] = field(default_factory=dict)


def ride_of(net: Layers, service: Service, placement: Placement, below: tuple[Service, Placement] | None) -> Ride:
    """Return what a service rides on; `below` is what a VIP protects."""
    carrier = below[1] if below is not None else placement
    tunnels: dict[tuple[str, str], list[tuple[TunnelPlacement, Path, Path | None]]] = {}
    named = {t.name: t for p in (placement, carrier) for t in p.tunnels}
    drops = set()
    for entry in (*placement.steering, *(s for s in carrier.steering if s.target_class == REST)):
        ends = (entry.node, entry.remote)
        for name in entry.tunnels:
            tunnel = named.get(name)
            listed = tunnels.setdefault(ends, [])
            if tunnel is not None and all(tunnel is not t for t, _, _ in listed):
                standby = _indices(net, tunnel.standby.links) if tunnel.standby is not None else None
                listed.append((tunnel, _indices(net, tunnel.working.links), standby))
        if entry.fallback == "drop":
            drops.add(ends)
    return Ride(
        service, placement, tuple(_talks(service, placement, below)),
        {ends: tuple(t) for ends, t in tunnels.items()}, frozenset(drops), _borders(net, carrier.stitches),
    )  # fmt: skip


def _indices(net: Layers, links: Iterable[str]) -> Path:
    """A link that is no longer on the map is index -1: never up."""
    return tuple(net.link_index.get(k, -1) for k in links)


def _borders(net: Layers, stitches: Iterable[Stitch]) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for stitch in stitches:
        at = net.link_index.get(stitch.link) if stitch.link is not None else None
        if at is not None:
            found.setdefault((stitch.a.domain, stitch.z.domain), []).append((stitch.rank, at))
            found.setdefault((stitch.z.domain, stitch.a.domain), []).append((stitch.rank, int(net.reverse[at])))
    return {ends: tuple(at for _, at in sorted(links)) for ends, links in found.items()}


def _talks(service: Service, placement: Placement, below: tuple[Service, Placement] | None) -> Iterator[Talk]:
    if isinstance(service, DedicatedPlane):
        yield from _plane_talks(service, placement)
        return
    ground, over = below if below is not None else (service, placement)
    node = {a.access: a.node for a in over.attachments}
    if isinstance(service, VipAssurance) and service.conference is not None and not over.circuits:
        mcu = service.conference.mcu
        seen: set[str] = set()
        for party in service.conference.parties:
            ends = (node.get(mcu.access, ""), node.get(party.access, ""))
            if ends[0] != ends[1] and ends[1] not in seen:
                seen.add(ends[1])
                yield Talk(mcu.name, party.name, *ends, service.slo.latency_s)
    elif isinstance(ground, ExclusiveSlice):
        promised = {(p.a, p.z): p for p in over.promises}
        circuits = {c.id.rpartition("/")[2].removesuffix(".2"): c for c in over.circuits}
        for demand in ground.demands:
            circuit = circuits.get(f"{demand.a}-{demand.z}")
            src, dst = node.get(demand.a, ""), node.get(demand.z, "")
            if circuit is not None:
                src, dst = src or circuit.a.node, dst or circuit.z.node
            budget = service.slo.latency_s
            yield Talk(demand.a, demand.z, src, dst, budget, circuit, promised.get((demand.a, demand.z)))
    elif isinstance(ground, DedicatedPlane):
        yield from _plane_talks(ground, over, service.slo.latency_s)


def _plane_talks(plane: DedicatedPlane, placement: Placement, budget_s: float | None = None) -> Iterator[Talk]:
    """One talk for each two nodes: accesses of one node share their ways."""
    budget = plane.slo.latency_s if budget_s is None else budget_s
    first: dict[str, tuple[str, bool]] = {}
    for a in placement.attachments:
        name, hub = first.get(a.node, (a.access, False))
        first[a.node] = (name, hub or a.hub)
    nodes = sorted(first)
    centre = {p.a for p in placement.promises}
    if plane.hub_and_spoke:
        hubs = [n for n in nodes if first[n][1]]
        pairs = [(h, n) for h in hubs for n in nodes if n != h and (n not in hubs or h < n)]
    elif len(nodes) <= MOST_MESHED:
        pairs = list(combinations(nodes, 2))
    else:
        root = next((a.node for a in placement.attachments if a.access in centre), nodes[0])
        pairs = [(root, n) for n in nodes if n != root]
    for src, dst in pairs:
        yield Talk(first[src][0], first[dst][0], src, dst, budget)


class Roads:
    """Where routers lead traffic by themselves while something is down. `gone`: links that carry nothing."""

    def __init__(self, city: CityMap, net: Layers, damage: Damage | None, *, few: bool = False) -> None:
        """`few`: only a few ways will be asked for; of equally quick ones another may be found then."""
        self.city, self.net, self.damage, self._few = city, net, damage, few
        self.gone = damage.links if damage is not None else frozenset[int]()
        self._around: Interior | None = None

    def up(self, path: Path) -> bool:
        """Whether every link of a path is there and up."""
        gone, alive = self.gone, self.net.up
        return all(i >= 0 and i not in gone and alive[i] for i in path)

    def inside(self, domain: str, src: str, dst: str) -> Path | None:
        """Return the routers' way between two nodes of a domain; None where nothing is up."""
        if src == dst:
            return ()
        path = self.net.interior.path(domain, src, dst)
        if path is None or not any(i in self.gone for i in path):
            return path  # taking links away elsewhere makes no other way quicker
        if self._few:
            usable = self.net.inside[domain] & self.net.up
            usable[list(self.gone)] = False
            return self.net.ip.shortest(src, dst, usable)
        if self._around is None:
            interior = self.net.interior
            self._around = Interior(tuple((i, k) for i, k in interior.links if i not in self.gone), interior.nodes)
        return self._around.path(domain, src, dst)

    def delay_s(self, path: Path) -> float:
        return float(sum(self.net.links[i].delay_s for i in path))


def carried(ride: Ride, talk: Talk, roads: Roads) -> Carried:
    """Follow one talk through the network as it is with this damage."""
    damage, nodes = roads.damage, roads.net.nodes
    for end in (talk.src, talk.dst):
        if end not in nodes or not nodes[end].up or (damage is not None and end in damage.nodes):
            return Carried("", lost=f"{_short(end)} is down", dead_end=True)
    if talk.circuit is not None:
        for ref in (talk.circuit.a, talk.circuit.z):
            if damage is not None and ref.node in damage.nodes:
                return Carried("", lost=f"{_short(ref.node)} is down", dead_end=True)
        return _on_circuit(talk, talk.circuit, roads)
    return _Walk(ride, roads).to(talk)


def _on_circuit(talk: Talk, circuit: CircuitPlacement, roads: Roads) -> Carried:
    promise = talk.promise
    if leg_up(circuit.working, circuit, roads):
        return Carried("working", promise.delay_s if promise is not None else circuit.working.delay_s)
    if circuit.standby is not None and leg_up(circuit.standby, circuit, roads):
        standby = promise.standby_delay_s if promise is not None else None
        return Carried("standby", circuit.standby.delay_s if standby is None else standby)
    legs = "its only leg" if circuit.protect is None else "its working leg" if circuit.shared else "both legs"
    return Carried("", lost=f"circuit {circuit.id} loses {legs}")


def leg_up(leg: Leg, circuit: CircuitPlacement, roads: Roads) -> bool:
    """Whether light or timeslots get from one end of a leg to the other."""
    damage, city = roads.damage, roads.city
    for hop in leg.route:
        part = city.fibres.get(hop) or city.odu_links.get(hop)
        if part is None or not part.up or not (city.nodes[part.a].up and city.nodes[part.z].up):
            return False
        if damage is not None and (hop in damage.fibres or hop in damage.odu_links):
            return False
        if damage is not None and damage.nodes & {part.a, part.z}:
            return False
    return all(damage is None or ref.node not in damage.nodes for ref in (circuit.a, circuit.z))


@dataclass(slots=True)
class _Walk:
    """One packet's way over the domains, as their own routing would lead it."""

    ride: Ride
    roads: Roads
    path: list[int] = field(default_factory=list)
    how: str = "working"
    shared: bool = False
    lost: str = ""

    def to(self, talk: Talk) -> Carried:
        net = self.roads.net
        at, here, last = talk.src, net.nodes[talk.src].domain, net.nodes[talk.dst].domain
        visited = {here}
        while here != last and not self.lost:
            link = self._leave(at, here, last, visited)
            if link is not None:
                self._inside(here, at, net.links[link].src.node)
                self.path.append(link)
                at = net.links[link].dst.node
                here = net.nodes[at].domain
                visited.add(here)
        if not self.lost:
            self._inside(here, at, talk.dst)
        if self.lost:
            return Carried("", lost=self.lost)
        path = tuple(self.path)
        return Carried(self.how, self.roads.delay_s(path), path, self.shared)

    def _leave(self, at: str, here: str, last: str, visited: set[str]) -> int | None:
        """Return the border that leads on: of the nearest way, by rank, the first that is up and can be reached."""
        net, roads = self.roads.net, self.roads
        there = self._next(here, last, visited)
        if there is None:
            self.lost = f"no border that is up leads from {here} towards {last}"
            return None
        for rank, link in enumerate(self.ride.borders[here, there]):
            if roads.up((link,)) and roads.inside(here, at, net.links[link].src.node) is not None:
                if rank:
                    self.how = "border"
                return link
        self.lost = f"{_short(at)} reaches no border of {here} towards {there}"
        return None

    def _next(self, here: str, last: str, visited: set[str]) -> str | None:
        """Return the next domain on the shortest chain of domains whose borders are up."""
        usable = [pair for pair, links in self.ride.borders.items() if any(self.roads.up((i,)) for i in links)]
        front, first = [here], {here: here}
        while front:
            following = []
            for domain in front:
                for there in sorted(z for a, z in usable if a == domain and z not in first and z not in visited):
                    first[there] = there if domain == here else first[domain]
                    following.append(there)
            if last in first:
                return first[last]
            front = following
        return None

    def _inside(self, domain: str, src: str, dst: str) -> None:
        """Cross a domain: by the first tunnel that is up on one of its paths, else as the routers lead."""
        if src == dst or self.lost:
            return
        listed = self.ride.tunnels.get((src, dst), ())
        for tunnel, working, standby in listed:
            if tunnel.domain != domain:
                continue
            if self.roads.up(working):
                self.path += working
                return
            if standby is not None and self.roads.up(standby):
                self.path += standby
                self.how = "standby" if self.how == "working" else self.how
                return
        path = self.roads.inside(domain, src, dst)
        if listed and ((src, dst) in self.ride.drops or path is None):
            self.lost = f"tunnel {listed[0][0].name} is down and nothing stands in for it"
        elif path is None:
            self.lost = f"nothing that is up joins {_short(src)} and {_short(dst)} inside {domain}"
        else:
            self.path += path
            self.shared = self.shared or bool(listed)
            if listed:
                self.how = "routing"


def _short(node: str) -> str:
    return node.removeprefix("node:")
