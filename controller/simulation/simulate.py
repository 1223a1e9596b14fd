"""What would happen if: the same planner on a copy of everything, with something down. Nothing live is touched.

A failure is followed in the order in which a network feels it. Protection and routing act first, by themselves. What
is then still cut, too slow or without its bandwidth is placed again, by priority, on what is left. Only services that
ride on something that failed are looked at, so a failure costs what it touches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from controller.intent.model import Boundaries, DedicatedPlane, Service, ServiceId, VipAssurance
from controller.network.damage import Damage, Elements, Failure, damaged
from controller.network.ledger import BitsPerSecond, Ledger
from controller.network.model import CityMap
from controller.planning.at_any_rate import at_any_rate
from controller.planning.layers import layers
from controller.planning.orders import referred_to
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import Placement
from controller.planning.timed import as_accepted, released
from controller.simulation.hose import hose_loads
from controller.simulation.report import WORST_FIRST, Fate, LinkLoad, Outcome, ServiceEffect
from controller.simulation.rides import Carried, Ride, Roads, Standing, carried, leg_up, ride_of
from controller.simulation.screen import Screen

MOST_LINKS = 5  # full links that an outcome names
AFTER = "; placed again"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of everything: the map, what stands on it, what that holds."""

    city: CityMap
    standing: Standing
    ledger: Ledger
    now: datetime


class Simulation:
    """Answers for one snapshot; what it learns of it is shared by all failures."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot, self.city = snapshot, snapshot.city
        self.net = layers(snapshot.city)
        self.elements = Elements(snapshot.city)
        self._whole = Roads(self.city, self.net, None)
        self._rides = {sid: self._ride(*pair) for sid, pair in snapshot.standing.items() if self._carries(pair[1])}
        self._above: dict[ServiceId, list[ServiceId]] = {}
        self._on_link: dict[int, set[ServiceId]] = {}
        self._on_hop: dict[str, set[ServiceId]] = {}  # fibres, ODU links and nodes
        self._used = _used(snapshot.ledger, self.city)
        self._capacity = np.array([link.capacity_bps for link in self.city.links], dtype=np.int64)
        for sid, ride in self._rides.items():
            self._index(sid, ride)

    @property
    def services(self) -> int:
        """Return how many services carry traffic."""
        return len(self._rides)

    def _carries(self, placement: Placement) -> bool:
        """Whether a service carries anything now: a VIP before its window does not."""
        start, end = placement.start, placement.end
        return (start is None or start <= self.snapshot.now) and (end is None or self.snapshot.now < end)

    def _ride(self, service: Service, placement: Placement) -> Ride:
        below = self.snapshot.standing.get(service.protects) if isinstance(service, VipAssurance) else None
        ride = ride_of(self.net, service, placement, below)
        ride.before.update({talk: carried(ride, talk, self._whole) for talk in ride.talks})
        return ride

    def _index(self, sid: ServiceId, ride: Ride) -> None:
        """Note everything whose loss could matter to a service."""
        links = {i for way in ride.before.values() for i in way.links}
        links |= {i for listed in ride.tunnels.values() for _, work, spare in listed for i in (*work, *(spare or ()))}
        links |= {i for crossed in ride.borders.values() for i in crossed}
        for i in links:
            self._on_link.setdefault(i, set()).add(sid)
        hops = {end for talk in ride.talks for end in (talk.src, talk.dst)}
        hops |= {a.node for a in ride.placement.attachments}
        for circuit in (talk.circuit for talk in ride.talks if talk.circuit is not None):
            hops |= {circuit.a.node, circuit.z.node, *circuit.working.route}
            hops |= set(circuit.protect.route) if circuit.protect is not None else set()
        for hop in hops:
            self._on_hop.setdefault(hop, set()).add(sid)
        if isinstance(ride.service, VipAssurance):
            self._above.setdefault(ride.service.protects, []).append(sid)

    def fail(self, failures: Iterable[Failure]) -> Outcome:
        """Return what happens when all of these fail at the same moment."""
        damage = self.elements.damage(failures)
        roads = Roads(self.city, self.net, damage)
        felt = {sid: self._felt(self._rides[sid], roads) for sid in sorted(self._touched(damage))}
        felt = {sid: state for sid, state in felt.items() if state.noticed}
        wanted = [sid for sid, state in felt.items() if state.wants]
        outcome = self._place_again(damage, wanted) if wanted else None
        effects = [self._effect(sid, state, outcome, damage) for sid, state in felt.items()]
        effects.sort(key=lambda e: (WORST_FIRST.index(e.fate), -e.cut_in_the_end, -e.cut_at_once, e.service))
        return Outcome(
            damage.failures,
            tuple(sum(1 for e in effects if e.fate is fate) for fate in WORST_FIRST),
            tuple(effects),
            len(self._rides) - len(effects),
            self._fullest(damage, felt, outcome),
        )

    def quick(self, failures: Iterable[Failure]) -> Outcome:
        """Return the same as `fail` where thousands of failures are to be followed.

        Services that protection or routing carries on are counted and not told one by one, and the fullest links are
        those that are the fullest already.
        """
        failures = tuple(failures)
        damage, screen = self.elements.damage(failures), self._screen
        roads = Roads(self.city, self.net, damage, few=True)
        touched = sorted(self._touched(damage) - screen.services)
        felt = {sid: state for sid in touched if (state := self._felt(self._rides[sid], roads)).noticed}
        wanted = [sid for sid, state in felt.items() if state.wants]
        holds = sum(max((r.rate_bps for r in self._rides[sid].placement.rates), default=0) for sid in wanted)
        plain = screen.judge(damage, holds)
        if plain is None:
            return self.fail(failures)
        sure = {sid for sid in wanted if _surely_placed(felt[sid])}
        unsure = [sid for sid in wanted if sid not in sure and not _surely_torn(felt[sid])]
        outcome = self._place_again(damage, unsure) if unsure else None
        effects = [self._effect(sid, state, outcome, damage) for sid, state in felt.items() if sid not in sure]
        effects += [self._moved(sid, felt[sid]) for sid in sorted(sure)]
        effects += [self._ended(sid, damage) for sid in plain.ends]
        effects += [self._replaced(sid, delay) for sid, delay in plain.replaced]
        effects += [self._broken(sid, cut) for sid, cut in plain.broken]
        effects.sort(key=lambda e: (WORST_FIRST.index(e.fate), -e.cut_in_the_end, -e.cut_at_once, e.service))
        counts = {fate: sum(1 for e in effects if e.fate is fate) for fate in WORST_FIRST}
        counts[Fate.SWITCHES] += plain.switched
        counts[Fate.EXPOSED] += plain.exposed
        return Outcome(
            damage.failures, tuple(counts.values()), tuple(effects), len(self._rides) - sum(counts.values()),
            self._fullest(damage, {}, None),
        )  # fmt: skip

    @cached_property
    def _screen(self) -> Screen:
        return Screen(self.net, self._rides, self.snapshot.ledger.free_array())

    def _moved(self, sid: ServiceId, state: _Felt) -> ServiceEffect:
        """A service that routing carries until the planner has found it the same way with its bandwidth."""
        ride, delay = state.ride, state.delay_s
        return ServiceEffect(
            sid, ride.service.kind, Fate.REPLACED, len(ride.talks), 0, 0, _slowest(ride.before.values()), delay, delay,
            _budget(ride), state.reason,
        )  # fmt: skip

    def _ended(self, sid: ServiceId, damage: Damage) -> ServiceEffect:
        ride = self._rides[sid]
        cut = sum(1 for talk in ride.talks if {talk.src, talk.dst} & damage.nodes)
        down = min(n for talk in ride.talks for n in (talk.src, talk.dst) if n in damage.nodes)
        return ServiceEffect(
            sid, ride.service.kind, Fate.ENDS, len(ride.talks), cut, cut, _slowest(ride.before.values()), None, None,
            _budget(ride), f"{down.removeprefix('node:')} is down",
        )  # fmt: skip

    def _broken(self, sid: ServiceId, cut: int) -> ServiceEffect:
        ride = self._rides[sid]
        return ServiceEffect(
            sid, ride.service.kind, Fate.BREAKS, len(ride.talks), cut, cut, _slowest(ride.before.values()), None, None,
            _budget(ride), "nothing that is up joins its ends",
        )  # fmt: skip

    def _replaced(self, sid: ServiceId, delay_s: float) -> ServiceEffect:
        ride = self._rides[sid]
        return ServiceEffect(
            sid, ride.service.kind, Fate.REPLACED, 1, 1, 0, _slowest(ride.before.values()), None, delay_s,
            _budget(ride), "its tunnels are down and nothing stands in for them",
        )  # fmt: skip

    def _touched(self, damage: Damage) -> set[ServiceId]:
        found: set[ServiceId] = set()
        for i in damage.links:
            found |= self._on_link.get(i, set())
        for hop in (*damage.fibres, *damage.odu_links, *damage.nodes):
            found |= self._on_hop.get(hop, set())
        return found

    def _felt(self, ride: Ride, roads: Roads) -> _Felt:
        ways = [carried(ride, talk, roads) for talk in ride.talks]
        return _Felt(ride, ways, _exposed(ride, roads))

    def _place_again(self, damage: Damage, wanted: Sequence[ServiceId]) -> PlanOutcome:
        """Place what is cut, slow or moved again, and the VIPs over it; everything else stays where it is."""
        city = damaged(self.city, damage)
        standing = self.snapshot.standing
        every = dict.fromkeys((*wanted, *(vip for sid in wanted for vip in self._above.get(sid, ()))))
        gone = {s for sid in every for s in referred_to(standing[sid][0])} - standing.keys()
        services = [released(as_accepted(*standing[sid]), gone) for sid in every]
        outcome = place(city, self.snapshot.ledger.on(city), services, standing, self.snapshot.now, explain=False)
        return at_any_rate(city, outcome, services, standing, self.snapshot.now, frozenset(every))

    def _effect(self, sid: ServiceId, state: _Felt, outcome: PlanOutcome | None, damage: Damage) -> ServiceEffect:
        ride, reason = state.ride, state.reason
        fate = Fate.SWITCHES if state.changed else Fate.EXPOSED
        cut, delay = state.cut, state.delay_s
        if cut:
            fate = Fate.ENDS if all(way.dead_end for way in state.ways if way.cut) else Fate.BREAKS
        placed = outcome.placements.get(sid) if outcome is not None and state.wants else None
        if placed is not None and outcome is not None:
            after = self._after(ride.service, placed, outcome, damage)
            cut, delay = after.cut, after.delay_s
            fate = Fate.REPLACED if state.cut or state.outside else Fate.SWITCHES
            if after.cut or after.late:
                fate = Fate.BREAKS if after.cut else Fate.DEGRADES
        elif state.wants and outcome is not None:
            refusal = next((r.binds for r in outcome.refusals if r.service == sid), "")
            reason = f"{reason}; {refusal}" if reason and refusal else reason or refusal
            fate = Fate.BREAKS if state.cut else Fate.DEGRADES
        return ServiceEffect(
            sid, ride.service.kind, fate, len(ride.talks), state.cut, cut,
            _slowest(ride.before.values()), state.delay_s, delay, _budget(ride), reason,
        )  # fmt: skip

    def _after(self, service: Service, placed: Placement, outcome: PlanOutcome, damage: Damage) -> _Felt:
        """Follow a service over its new placement."""
        below = None
        if isinstance(service, VipAssurance):
            ground = self.snapshot.standing[service.protects]
            below = (ground[0], outcome.placements.get(service.protects, ground[1]))
        roads, net = Roads(self.city, self.net, damage), self.net
        if outcome.city is not None:  # over IP links that were lit meanwhile
            net = layers(outcome.city)
            roads = Roads(outcome.city, net, _numbered(damage, self.city, outcome.city))
        ride = ride_of(net, service, placed, below)
        return _Felt(ride, [carried(ride, talk, roads) for talk in ride.talks], False)

    def _fullest(
        self, damage: Damage, felt: Mapping[ServiceId, _Felt], outcome: PlanOutcome | None
    ) -> tuple[LinkLoad, ...]:
        """Return the links with the least left, as they are once everything is placed that can be."""
        used = self._used if outcome is None else _used(outcome.ledger.on(self.city), self.city)
        for sid, state in felt.items():
            if state.strays and (
                outcome is None or sid not in outcome.placements
            ):  # routing leads it there all the same
                used = used.copy()
                for i, bps in hose_loads(self.net, state.ride.placement, state.ways, state.ride):
                    used[i] += bps
        shares = np.where(self.net.up, used / np.maximum(self._capacity, 1), 0.0)
        shares[list(damage.links)] = 0.0
        most = min(MOST_LINKS, len(shares))
        least = np.partition(shares, len(shares) - most)[len(shares) - most] if most else 0.0
        near = np.flatnonzero(shares >= least)  # a handful; of equals the first of the map's order
        order = near[np.argsort(-shares[near], kind="stable")][:most]
        return tuple(
            LinkLoad(self.city.links[i].id, int(used[i]), int(self._used[i]), self.city.links[i].capacity_bps)
            for i in order.tolist()
            if used[i] > 0
        )


def _numbered(damage: Damage, before: CityMap, after: CityMap) -> Damage:
    """Return the same damage in the numbers that links have on another map."""
    names = (before.links[i].id for i in damage.links)
    return replace(damage, links=frozenset(after.link_index[n] for n in names if n in after.link_index))


def _used(ledger: Ledger, city: CityMap) -> BitsPerSecond:
    """Return what is held of every link, at the fullest moment that is known of."""
    capacity = np.array([link.capacity_bps for link in city.links], dtype=np.int64)
    used: BitsPerSecond = capacity - ledger.free_array()
    return used


@dataclass(slots=True)
class _Felt:
    """How a service takes a failure before anybody places it again."""

    ride: Ride
    ways: list[Carried]
    exposed: bool

    @property
    def changed(self) -> bool:
        return any(way != self.ride.before.get(talk) for talk, way in zip(self.ride.talks, self.ways, strict=True))

    @property
    def noticed(self) -> bool:
        return self.changed or self.exposed

    @property
    def cut(self) -> int:
        return sum(1 for way in self.ways if way.cut)

    @property
    def late(self) -> bool:
        return any(
            t.budget_s is not None and not w.cut and w.delay_s > t.budget_s
            for t, w in zip(self.ride.talks, self.ways, strict=True)
        )

    @property
    def outside(self) -> bool:
        """Whether what gets through is outside its SLO."""
        return self.late or any(way.shared for way in self.ways)

    @property
    def wants(self) -> bool:
        """Whether it is to be placed again: a plane that routing moved too, for it holds nothing where it is now.

        Nothing brings an end back that is down itself.
        """
        if any(way.dead_end for way in self.ways):
            return False
        return bool(self.cut) or self.outside or self.strays

    @property
    def strays(self) -> bool:
        """Whether routing leads a plane over links where nothing is held for it."""
        return self.changed and isinstance(self.ride.service, DedicatedPlane)

    @property
    def delay_s(self) -> float | None:
        return _slowest(self.ways)

    @property
    def reason(self) -> str:
        lost = next((way.lost for way in self.ways if way.cut), "")
        if lost:
            return lost
        if self.late:
            return "the way that is left is too slow"
        if any(way.shared for way in self.ways):
            return "its own tunnels are gone; it shares links with everybody"
        return "" if self.changed else "what stands by for it is gone"


def _surely_placed(state: _Felt) -> bool:
    """Whether a VIP that routing carries in time has a place wherever its rate fits: nothing else decides about it."""
    service, slo = state.ride.service, state.ride.service.slo
    bound = (slo.jitter_s, slo.loss_ratio, slo.most_hops) != (None, None, None)
    plain = isinstance(service, VipAssurance) and service.boundaries == Boundaries() and not state.ride.borders
    return plain and not bound and not state.cut and not state.late


def _surely_torn(state: _Felt) -> bool:
    """Whether a VIP is cut though any way would do for it: then there is none, for the planner either."""
    ride = state.ride
    cut = [talk for talk, way in zip(ride.talks, state.ways, strict=True) if way.cut]
    free = all((talk.src, talk.dst) not in ride.drops for talk in cut)
    return bool(cut) and isinstance(ride.service, VipAssurance) and free and not ride.borders


def _exposed(ride: Ride, roads: Roads) -> bool:
    """Whether something that stands by for a service is gone."""
    for listed in ride.tunnels.values():
        for _, _, standby in listed:
            if standby is not None and not roads.up(standby) and all(i >= 0 and roads.net.up[i] for i in standby):
                return True
    for talk in ride.talks:
        circuit = talk.circuit
        if circuit is not None and circuit.protect is not None and not leg_up(circuit.protect, circuit, roads):
            return True
    return False


def _slowest(ways: Iterable[Carried]) -> float | None:
    return max((way.delay_s for way in ways if not way.cut), default=None)


def _budget(ride: Ride) -> float | None:
    return min((t.budget_s for t in ride.talks if t.budget_s is not None), default=None)


def with_added(snapshot: Snapshot, services: Sequence[Service]) -> tuple[Snapshot, PlanOutcome]:
    """Return the snapshot as it would be with further services placed; those refused are in the outcome."""
    outcome = place(snapshot.city, snapshot.ledger, services, snapshot.standing, snapshot.now)
    named = {s.metadata.service: s for s in services}
    added = {sid: (named[sid], placement) for sid, placement in outcome.placements.items()}
    city = outcome.city or snapshot.city  # with what is lit for them
    return replace(snapshot, city=city, standing={**snapshot.standing, **added}, ledger=outcome.ledger), outcome
