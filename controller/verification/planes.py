"""Dedicated planes: everybody who should reaches everybody, over either border; spokes meet only at the hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controller.intent.model import Boundaries, DedicatedPlane
from controller.verification.forwarding import Key, Routes, Way
from controller.verification.loads import Loads
from controller.verification.promises import Prover, crosses_two_borders
from controller.verification.proof import CounterExample, Property
from controller.verification.walks import Walks


class PlaneProver(Prover):
    """Checks one plane, pair by pair of routing instances rather than of sites."""

    def __init__(self, plane: DedicatedPlane, walks: Walks) -> None:
        super().__init__(plane, walks)
        self.plane = plane
        self.groups = self.by_instance(self.configured(plane.accesses))
        self.hubs = {key for key, pairs in self.groups.items() if any(site.hub for site, _ in pairs)}

    def check(self) -> Iterator[CounterExample]:
        yield from self.sites(self.plane.accesses)
        for src, dst in self._pairs():
            way = self.walks.way(src, dst)
            witness = f"{self._name(src)} → {self._name(dst)}"
            yield from self.judge(way, witness)
            yield from self._affinity(way, witness)
            if way.straying and not self.anywhere:
                yield from self._leaving(way, witness)
            if not way.failure and crosses_two_borders(self.forwarding, way) and self.bounds == Boundaries():
                second = self.walks.way(src, dst, cut=True)
                if not second.torn:  # a second failure would part it, whatever is configured
                    yield from self.judge(second, f"{witness}, first border cut", timed=False)
        if self.plane.hub_and_spoke:
            yield from self._apart()

    def _pairs(self) -> Iterator[tuple[Key, Key]]:
        for src in self.groups:
            for dst in self.groups:
                if src != dst and (not self.plane.hub_and_spoke or src in self.hubs or dst in self.hubs):
                    yield src, dst

    def _affinity(self, way: Way, witness: str) -> Iterator[CounterExample]:
        wanted = self.plane.plane
        stray = next((k for k in way.links if wanted is not None and k.plane not in (None, wanted)), None)
        if stray is not None:
            reason = f"{stray.id} is of plane {stray.plane}, {wanted} was asked"
            yield self.broken(Property.REGIONS, witness, tuple(way.nodes), reason)

    def _leaving(self, way: Way, witness: str) -> Iterator[CounterExample]:
        """Name what is not dropped where its tunnel is gone though it has boundaries: routing knows none."""
        for domain, src, dst in way.straying:
            reason = (
                f"from {src} to {dst} in {domain} nothing keeps it inside once its tunnel is gone: it is not dropped"
            )
            yield self.broken(Property.REGIONS, witness, tuple(way.nodes), reason)

    def _apart(self) -> Iterator[CounterExample]:
        """Check that no spoke has a route to another that does not pass the hub.

        Spokes of one routing instance meet inside it: no route target decides over that, and the plan says so.
        """
        spokes = [key for key in self.groups if key not in self.hubs]
        for dst in spokes:
            routes = self.walks.routes(dst)
            for src in spokes:
                self.forwarding.steps += 1
                passed = tuple(_passed(routes, src)) if src != dst and src in routes else ()
                if passed and not self.hubs & set(passed):
                    path = tuple(key[2] for key in passed)
                    reason = "two spokes reach each other past the hub"
                    yield self.broken(Property.ISOLATION, f"{self._name(src)} → {self._name(dst)}", path, reason)

    def _name(self, key: Key) -> str:
        site, access = self.groups[key][0]
        return access.lans[0][0] if access.lans else site.name

    def loads(self) -> Loads:
        """Return what the hose puts on every link, in tunnels or not, at the floor: the lesser of both sides."""
        keys = list(self.groups)
        bit = {key: 1 << i for i, key in enumerate(keys)}
        sent = [sum(a.from_site_bps for _, a in pairs) for pairs in self.groups.values()]
        taken = [sum(a.to_site_bps for _, a in pairs) for pairs in self.groups.values()]
        senders: dict[str, int] = {}
        receivers: dict[str, int] = {}
        for src, dst in self._pairs():
            one, other = bit[src], bit[dst]
            for link in self.walks.way(src, dst).links:
                senders[link.id] = senders.get(link.id, 0) | one
                receivers[link.id] = receivers.get(link.id, 0) | other
        floor, sums = self.plane.floor_ratio, dict[tuple[int, int], int]()
        found: dict[str, int] = {}
        for link_id, before in senders.items():
            sides = (before, receivers[link_id])
            if sides not in sums:
                sums[sides] = round(min(_sum(sides[0], sent), _sum(sides[1], taken)) * floor)
            found[link_id] = sums[sides]
        return found


def _sum(members: int, rates: Sequence[int]) -> int:
    """Add the rates whose bits are set."""
    return sum([rate for i, rate in enumerate(rates) if members >> i & 1])


def _passed(routes: Routes, src: Key) -> Iterator[Key]:
    """Yield the instances on the way to the origin of these routes."""
    at: Key | None = src
    for _ in range(len(routes)):
        if at is None:
            return
        yield at
        at = routes[at].towards
