"""What a plane puts on every link: its traffic follows the domains' own routing, except where tunnels pin it.

Seen from one domain a plane is a few points: nodes with accesses, and borders with everything beyond them. Over a
link can never pass more than the smaller of what the points before it may send and the points behind it may receive
(the hose model), so that is what is held. Points, not sites: 1,300 sites cost what a dozen nodes cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from controller.planning.joined import Joined
from controller.planning.layers import Layers
from controller.planning.paths import Path

Pins = Mapping[tuple[str, str], Path]  # (from, to) inside one domain → the way that a tunnel takes


@dataclass(frozen=True, slots=True)
class Hose:
    """The rates that meet at a place: of accesses that may talk to all (any-to-any: everybody), and to hubs only."""

    hubs_bps: int = 0
    spokes_bps: int = 0

    def __add__(self, other: Hose) -> Hose:
        return Hose(self.hubs_bps + other.hubs_bps, self.spokes_bps + other.spokes_bps)

    @property
    def total_bps(self) -> int:
        return self.hubs_bps + self.spokes_bps

    def talks_to(self, other: Hose) -> bool:
        return bool((self.hubs_bps and other.total_bps) or (self.spokes_bps and other.hubs_bps))


@dataclass(frozen=True, slots=True)
class Point:
    """Where traffic enters or leaves a domain: a node's accesses, or a border with all beyond it."""

    number: int  # unique among the plane's points
    node: str
    hose: Hose
    out: Path = ()  # the border link that leaves the domain here
    spare: bool = False  # carries only while another border is gone


@dataclass(slots=True)
class _Load:
    senders: dict[tuple[int, bool], int] = field(default_factory=dict)
    receivers: dict[tuple[int, bool], int] = field(default_factory=dict)

    def add(self, p: Point, q: Point) -> None:
        """Let everybody at p who may talk to somebody at q send to him."""
        if p.hose.hubs_bps:
            self.senders[p.number, True] = p.hose.hubs_bps
            self.receivers[q.number, False] = q.hose.spokes_bps
        if q.hose.hubs_bps:
            self.receivers[q.number, True] = q.hose.hubs_bps
            self.senders[p.number, False] = p.hose.spokes_bps

    @property
    def bps(self) -> int:
        return min(sum(self.senders.values()), sum(self.receivers.values()))


class Ways:
    """The ways of one plane over joined domains. `hoses`: by node."""

    def __init__(self, net: Layers, joined: Joined, hoses: Mapping[str, Hose], pins: Pins) -> None:
        self.net, self.joined, self.hoses, self.pins = net, joined, hoses, pins
        self.points: dict[str, tuple[Point, ...]] = self._points()
        self._delays: dict[tuple[str, str], float] = {}

    def _points(self) -> dict[str, tuple[Point, ...]]:
        domains: dict[str, list[tuple[str, Hose, Path, bool]]] = {}
        behind: dict[str, Hose] = {}
        for node, hose in sorted(self.hoses.items()):
            domain = self.net.nodes[node].domain
            domains.setdefault(domain, []).append((node, hose, (), False))
            behind[domain] = behind.get(domain, Hose()) + hose
        for (here, there), crossing in sorted(self.joined.crossings.items()):
            beyond = sum((behind.get(d, Hose()) for d in self.joined.beyond(here, there)), Hose())
            for i in (crossing.primary, *crossing.spares):
                place = (self.net.links[i].src.node, beyond, (i,), i != crossing.primary)
                domains.setdefault(here, []).append(place)
        numbers = iter(range(sum(len(p) for p in domains.values())))
        return {d: tuple(Point(next(numbers), *p) for p in places) for d, places in sorted(domains.items())}

    def pairs(self, domain: str) -> Iterator[tuple[Point, Point]]:
        """Yield who talks to whom in a domain; two borders to the same neighbour do not."""
        for p in self.points[domain]:
            for q in self.points[domain]:
                if p is not q and p.hose.talks_to(q.hose) and not (p.out and q.out and self._alike(p, q)):
                    yield p, q

    def _alike(self, p: Point, q: Point) -> bool:
        links, nodes = self.net.links, self.net.nodes
        return nodes[links[p.out[0]].dst.node].domain == nodes[links[q.out[0]].dst.node].domain

    def inside(self, src: str, dst: str) -> Path:
        """Return the way between two nodes of one domain."""
        if src == dst:
            return ()
        pinned = self.pins.get((src, dst))
        return pinned if pinned is not None else self.net.interior.path(self.net.nodes[src].domain, src, dst) or ()

    def loads(self) -> dict[int, int]:
        """Return the rate to hold on every link that carries, by its index."""
        found: dict[int, _Load] = {}
        for domain in self.points:
            for p, q in self.pairs(domain):
                if not p.spare and not q.spare:
                    for i in (*self.inside(p.node, q.node), *q.out):
                        found.setdefault(i, _Load()).add(p, q)
        return {i: load.bps for i, load in sorted(found.items()) if load.bps}

    def pinned_bps(self) -> dict[tuple[str, str], int]:
        """Return the most that each pinned way may have to carry."""
        found: dict[tuple[str, str], _Load] = {}
        for domain in self.points:
            for p, q in self.pairs(domain):
                if (p.node, q.node) in self.pins:
                    found.setdefault((p.node, q.node), _Load()).add(p, q)
        return {ends: load.bps for ends, load in sorted(found.items())}

    def way(self, src: str, dst: str) -> Path:
        """Return the links from one node to another, over the borders in use."""
        path, at = [], src
        for link in self._borders(src, dst):
            path += [*self.inside(at, self.net.links[link].src.node), link]
            at = self.net.links[link].dst.node
        return (*path, *self.inside(at, dst))

    def delay_s(self, src: str, dst: str) -> float:
        total, at = 0.0, src
        for link in self._borders(src, dst):
            total += self._inside_s(at, self.net.links[link].src.node) + self.net.links[link].delay_s
            at = self.net.links[link].dst.node
        return total + self._inside_s(at, dst)

    def _inside_s(self, src: str, dst: str) -> float:
        ends = (src, dst)
        if ends not in self._delays:
            self._delays[ends] = self.net.ip.delay_of(self.inside(src, dst))
        return self._delays[ends]

    def _borders(self, src: str, dst: str) -> Iterable[int]:
        here, there = self.net.nodes[src].domain, self.net.nodes[dst].domain
        if here == there:
            return ()
        return (self.joined.crossings[pair].primary for pair in pairwise(self.joined.route(here, there)))

    def worst_s(self) -> float:
        """Return the longest delay between two nodes whose accesses talk to each other."""
        every = self.hoses.items()
        pairs = ((a, z) for a, one in every for z, other in every if a != z and one.talks_to(other))
        return max((self.delay_s(a, z) for a, z in pairs), default=0.0)
