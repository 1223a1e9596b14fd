"""(map, ledger, services) → placements, or refusals that say why and what would fit.

Deterministic: the same inputs give the same bytes. Services that are protected by a VIP of the batch go first,
then VIPs, exclusive slices, dedicated planes. A service that already stands is placed again with least
disturbance: unchanged and still sound it keeps its placement, changed it keeps every number it can.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, ServiceId, VipAssurance
from controller.network.fading import calm
from controller.network.ledger import Ledger
from controller.network.lit import with_lit
from controller.network.model import CityMap
from controller.planning.ahead import Ahead, proposals
from controller.planning.care import with_care
from controller.planning.draft import CannotPlaceError, Draft, Pools, Proposal
from controller.planning.emergency import is_emergency
from controller.planning.layers import Layers, layers
from controller.planning.lightened import Lightened, Lighting
from controller.planning.orders import Orders, merit, referred_diverse, referred_to
from controller.planning.placement import LabelReservation, Placement, Refusal
from controller.planning.planes import follows, led_again, place_plane
from controller.planning.refusal import refuse
from controller.planning.restoration import beside, giving_way, light_left, unguarded
from controller.planning.slices import place_slice
from controller.planning.standing import still_sound
from controller.planning.timed import as_accepted, in_window, meet, other_times, when_full, window_of
from controller.planning.unlit import lights, lit_on, offered
from controller.planning.vip import place_vip

MOST_EXPLAINED = 50  # services of a batch that say what they avoid, which takes placing them twice
MOST_IN_VAIN = 4  # services of a batch for which a link to light is looked for and none found: it takes maps each

Standing = Mapping[ServiceId, tuple[Service, Placement]]


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """What became of a batch. `ledger` holds everything that stands afterwards; refused services keep what they had.

    `unguarded`: services that nobody asked about, and what they are without the ways kept for them that others had to
    light.
    """

    placements: dict[ServiceId, Placement]
    refusals: tuple[Refusal, ...]
    ledger: Ledger
    unguarded: Mapping[ServiceId, Placement] = field(default_factory=dict)
    city: CityMap | None = None  # the map with what was lit for these services; None: the one that was given


def place(
    city: CityMap,
    ledger: Ledger,
    wanted: Sequence[Service],
    standing: Standing,
    now: datetime,
    iterations: int = 1,
    pools: Pools | None = None,
    *,
    explain: bool = True,
) -> PlanOutcome:
    """Place a batch on top of what stands in the ledger.

    explain: say what would fit instead of what is refused, which takes many trials for each; not for who is in a hurry
    or places the same a thousand times.

    `standing` holds the services that stay and, for those wanted again, what they are now. With more than one
    iteration, slices that do not all fit compete at once in the second, and in the others those refused go ahead of
    their equals; of all, the outcome that serves the most of the highest priority is returned.
    """

    def run(order: Sequence[Service], rounds: int, *, last: bool) -> PlanOutcome:
        batch = _Batch(city, ledger.on(city), standing, now, pools or Pools(), explain=explain and last, rounds=rounds)
        return batch.run(order)

    orders = Orders(wanted)
    order = orders.next()
    if iterations <= 1 or len(order) <= 1:
        return run(order, 0, last=True)
    best = None
    for number in range(iterations):
        rounds = iterations if number == 1 else 0
        outcome = run(order, rounds, last=False)
        found = merit(wanted, outcome.placements)
        if best is None or found > best[0]:
            best = found, order, rounds
        if not outcome.refusals:
            return outcome
        if not rounds:  # who was left out by all at once is no worse off for his place in the order
            orders.refused(frozenset(r.service for r in outcome.refusals))
        order = orders.next() if number else order
    assert best is not None
    return run(best[1], best[2], last=True)


@dataclass(slots=True)
class _Batch:
    city: CityMap
    ledger: Ledger
    standing: Standing
    now: datetime
    pools: Pools
    explain: bool = True  # say what would fit instead of what is refused, which takes many trials
    waiting: set[ServiceId] = field(default_factory=set)  # those of the batch whose turn has not come
    rounds: int = 0  # in which slices compete at once
    wanted: tuple[Service, ...] = ()
    _ahead: Ahead | None = None
    _away: dict[ServiceId, set[ServiceId]] = field(default_factory=dict)  # service → those to be diverse from it
    _looked: bool = False  # through what stands, for those
    _unguarded: dict[ServiceId, Placement] = field(default_factory=dict)
    _left: list[LabelReservation] = field(default_factory=list)  # light that services of the batch have no more
    _in_vain: int = 0

    def run(self, wanted: Iterable[Service]) -> PlanOutcome:
        net, given = layers(self.city), self.city
        placed: dict[ServiceId, tuple[Service, Placement]] = {}
        refusals: list[Refusal] = []
        self.wanted = wanted = tuple(wanted)
        self.waiting = {s.metadata.service for s in wanted}
        turns = deque(wanted)
        while turns:
            if isinstance(turns[0], ExclusiveSlice) and self._ahead is None:
                turns = self._look_ahead(turns)
            service = turns.popleft()
            name = service.metadata.service
            self.waiting.discard(name)
            old = self.standing.get(name)
            if name in self._unguarded and old is not None:
                old = (old[0], self._unguarded[name])
            without = self.ledger.copy()
            without.remove(name)
            attempt = _Attempt(self, net, without, old, placed)
            try:
                placement = self._beside_what_is_left(attempt, service) or attempt.with_care(service)
            except CannotPlaceError as error:
                lit = self._lightened(attempt, service)
                if lit is None or not lit.taken:
                    refusals.append(self._refused(attempt, service, error, lit))
                    continue
                placement = lights(lit.placement, self.city.lit)
                net = self._with(placement)
                without = without.on(self.city)
            if old is not None:
                self._left += light_left(old[1], placement)
                for rival in giving_way(without, placement, old[1]):
                    self._give_way(rival, placement, without, placed)
            without.add(placement)
            self.ledger = without
            placed[name] = (service, placement)
            self._unguarded.pop(name, None)
            self._note(service)
        placements = {name: placement for name, (_, placement) in sorted(placed.items())}
        changed = self.city if self.city is not given else None
        return PlanOutcome(placements, tuple(refusals), self.ledger, self._unguarded, changed)

    def _beside_what_is_left(self, attempt: _Attempt, service: Service) -> Placement | None:
        """Return the placement without the light that others of the batch leave; None: it needs that, or none is."""
        ledger = beside(attempt.ledger, self._left, attempt.old[1] if attempt.old is not None else None)
        try:
            return None if ledger is None else replace(attempt, ledger=ledger).with_care(service)
        except CannotPlaceError:
            return None

    def _lightened(self, attempt: _Attempt, service: Service) -> Lightened | None:
        """Return how a service would be placed over IP links that are lit for it; None where none would help."""
        if self._in_vain >= MOST_IN_VAIN:
            return None
        lighting = Lighting(self.city, attempt.net, attempt.ledger, attempt._known, attempt.place_on)
        found = lighting.of(service, offer=self.explain)
        self._in_vain += found is None or not found.taken
        return found

    def _with(self, placement: Placement) -> Layers:
        """Go on with the map on which the links that a placement lights are there."""
        self.city = with_lit(self.city, (*lit_on(self.city), *placement.lit_links))
        if self._ahead is not None:
            self._ahead = replace(self._ahead, ways={})  # they are ways on the map before
        return layers(self.city)

    def _refused(self, attempt: _Attempt, service: Service, error: CannotPlaceError, lit: Lightened | None) -> Refusal:
        ledger = attempt.ledger
        binds = f"{error}{when_full(ledger, service, error.full)}"
        others = other_times(ledger, service, error.full, self.now) if self.explain else ()
        place = attempt.place if self.explain else _nothing_fits
        links = [offered(one) for one in lit.placement.lit_links] if lit is not None else []
        return refuse(service, binds, place, others, (f"as asked, once {' and '.join(links)}",) if links else ())

    def _give_way(
        self,
        other: ServiceId,
        to: Placement,
        ledger: Ledger,
        placed: dict[ServiceId, tuple[Service, Placement]],
    ) -> None:
        """Take from a service the ways kept for it that another has to light."""
        there = placed.get(other) or self.standing.get(other)
        if there is None:
            return  # it goes with a change under way
        before = self._unguarded.get(other, there[1])
        left = unguarded(self.city, before, frozenset((r.resource, r.label) for r in to.labels))
        self._left += light_left(before, left)
        ledger.add(left)
        if other in placed:
            placed[other] = (there[0], left)
        else:
            self._unguarded[other] = left

    def keeping_away(self, name: ServiceId) -> Collection[ServiceId]:
        """Return the services that are, or were before this batch, to be diverse from one."""
        if not self._looked:  # only slices ask
            self._looked = True
            for other, _ in self.standing.values():
                if isinstance(other, ExclusiveSlice) and other.diverse_from:
                    self._note(other)
        return self._away.get(name, ())

    def _note(self, service: Service) -> None:
        for other in referred_diverse(service):
            self._away.setdefault(other, set()).add(service.metadata.service)

    def _look_ahead(self, turns: Collection[Service]) -> deque[Service]:
        """Find ways for the batch's slices together; who was left out lets those go first who were not."""
        # What is free differs from moment to moment: who stands for a while only is placed by itself.
        new = [s for s in turns if s.metadata.service not in self.standing and s.window is None]
        first = {s.protects for s in self.wanted if isinstance(s, VipAssurance)}
        city = calm(self.city) or self.city
        self._ahead = found = proposals(city, layers(city), self.ledger.free_array(), new, first, self.rounds)
        if not self.rounds:
            return deque(turns)
        named = {other for s in turns for other in referred_to(s)}  # others' ways depend on theirs

        def late(service: Service) -> tuple[bool, bool, bool]:
            name = service.metadata.service
            left_out = name in found.left_out and name not in named
            return isinstance(service, DedicatedPlane), left_out and name not in first, left_out

        return deque(turns) if not found.left_out else deque(sorted(turns, key=late))

    def ahead(self, service: Service) -> Proposal:
        """Return the ways found for a slice together with the others of the batch."""
        return {} if self._ahead is None else self._ahead.ways.get(service.metadata.service, {})


def _nothing_fits(_: Service) -> Placement:
    raise CannotPlaceError("not asked")


@dataclass(slots=True)
class _Attempt:
    """Ways to place one service; every one starts from the same ledger and leaves it as it was."""

    batch: _Batch
    net: Layers
    ledger: Ledger  # without the service's own old placement
    old: tuple[Service, Placement] | None
    placed: Mapping[ServiceId, tuple[Service, Placement]]

    def draft(self, service: Service) -> Draft:
        old = self.old[1] if self.old is not None and type(self.old[0]) is type(service) else None
        ahead = self.batch.ahead(service)
        window = None if isinstance(service, VipAssurance) else window_of(service, self.batch.now)
        ledger = self.ledger.copy() if window is None else self.ledger.during(window.start, window.end)
        return Draft(service.metadata.service, ledger, self.batch.pools, old, ahead=ahead)

    def on(self, city: CityMap, ledger: Ledger) -> _Attempt:
        """Return the same on another picture of the map, or beside other services."""
        if city is self.batch.city:
            return replace(self, ledger=ledger)
        batch = replace(self.batch, city=city)
        if city.lit != self.batch.city.lit:
            batch._ahead = None  # they are ways on the map without the link
        return _Attempt(batch, layers(city), ledger, self.old, self.placed)

    def with_care(self, service: Service) -> Placement:
        """Return the placement, away from what fades where that keeps what is asked; raises CannotPlaceError."""
        city, standing = self.batch.city, self.old[1] if self.old is not None else None

        def on_map(other: CityMap) -> Placement:
            return self.place(service) if other is city else self.on(other, self.ledger.on(other)).place(service)

        known = self._known(service.protects) if isinstance(service, VipAssurance) else None
        return with_care(
            city, service, standing, on_map, below=known[1] if known is not None else None,
            sound=lambda: standing is not None and still_sound(city, self.net, self.ledger, standing),
            explained=len(self.batch.wanted) <= MOST_EXPLAINED,
        )  # fmt: skip

    def place_on(self, city: CityMap, ledger: Ledger, service: Service) -> Placement:
        """Return the placement on another picture of the map; raises CannotPlaceError."""
        return self.on(city, ledger).place(service)

    def place(self, service: Service) -> Placement:
        """Return the placement; raises CannotPlaceError."""
        city, net = self.batch.city, self.net
        window = window_of(service, self.batch.now)
        if isinstance(service, VipAssurance):
            below = self.placed.get(service.protects) or self.batch.standing.get(service.protects)
            return place_vip(city, net, self.draft(service), service, below)
        if self.old is not None and self._unchanged(service):
            if self._serves(service, self.old[1]):
                return self.old[1]
            if isinstance(service, DedicatedPlane) and window is None and self.old[1].start is None:
                again = led_again(city, net, self.ledger, service, self.old[1])
                if again is not None:
                    return again
        if isinstance(service, DedicatedPlane):
            return in_window(place_plane(city, net, self.draft(service), service), window)
        placed = place_slice(city, net, lambda: self.draft(service), self._mutual(service), self._others(service))
        return in_window(placed, window)

    def _serves(self, service: DedicatedPlane | ExclusiveSlice, standing: Placement) -> bool:
        if is_emergency(standing) or not still_sound(self.batch.city, self.net, self.ledger, standing):
            return False
        # A link that came back may draw a plane's traffic away from what is held for it.
        return not isinstance(service, DedicatedPlane) or follows(self.net, service, standing)

    def _unchanged(self, service: DedicatedPlane | ExclusiveSlice) -> bool:
        """Whether only the description changed: labels and places in files do not move traffic."""
        if self.old is None or not isinstance(self.old[0], type(service)):
            return False
        before = as_accepted(*self.old)
        if isinstance(service, ExclusiveSlice) and (service.diverse_from or service.together_with):
            return False  # the other service may have moved
        return replace(service, metadata=before.metadata) == before

    def _mutual(self, service: ExclusiveSlice) -> ExclusiveSlice:
        """Diversity holds both ways: whoever stands and keeps away from this service is kept away from by it.

        Of two that name each other in one batch the first has nobody to keep away from yet; the second does it.
        """
        name = service.metadata.service
        back = []
        for known in sorted(self.batch.keeping_away(name)):
            there = self._known(known)
            if known != name and there is not None and name in referred_diverse(there[0]):
                back.append(known)
        named = [s for s in service.diverse_from if self._known(s) is not None or not self._waits(s)]
        mutual = tuple(s for s in dict.fromkeys((*named, *back)) if self._meets(service, s))
        return service if mutual == service.diverse_from else replace(service, diverse_from=mutual)

    def _known(self, name: ServiceId) -> tuple[Service, Placement] | None:
        return self.placed.get(name) or self.batch.standing.get(name)

    def _meets(self, service: ExclusiveSlice, name: ServiceId) -> bool:
        """Whether another service ever stands beside this one: who has gone by then is nobody to keep away from."""
        there = self._known(name)
        return there is None or meet(service, as_accepted(*there))

    def _waits(self, name: ServiceId) -> bool:
        return name in self.batch.waiting

    def _others(self, service: ExclusiveSlice) -> dict[ServiceId, Placement]:
        """The placements of the services that this one is to keep away from, or beside."""
        known = {}
        for name in referred_to(self._mutual(service)):
            other = self._known(name)
            if other is not None:
                known[name] = other[1]
        return known
