"""(map, ledger, services) → placements, or refusals that say why and what would fit.

Deterministic: the same inputs give the same bytes. Services that are protected by a VIP of the batch go first,
then VIPs, exclusive slices, dedicated planes. A service that already stands is placed again with least
disturbance: unchanged and still sound it keeps its placement, changed it keeps every number it can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, ServiceId, VipAssurance, Window
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.draft import CannotPlaceError, Draft, Pools
from controller.planning.emergency import is_emergency
from controller.planning.layers import Layers, layers
from controller.planning.placement import Placement, Refusal
from controller.planning.planes import follows, place_plane
from controller.planning.refusal import refuse
from controller.planning.slices import place_slice
from controller.planning.standing import still_sound
from controller.planning.vip import place_vip

Standing = Mapping[ServiceId, tuple[Service, Placement]]


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """What became of a batch. `ledger` holds everything that stands afterwards; refused services keep what they had."""

    placements: dict[ServiceId, Placement]
    refusals: tuple[Refusal, ...]
    ledger: Ledger


def place(
    city: CityMap,
    ledger: Ledger,
    wanted: Sequence[Service],
    standing: Standing,
    now: datetime,
    iterations: int = 1,
    pools: Pools | None = None,
) -> PlanOutcome:
    """Place a batch on top of what stands in the ledger.

    `standing` holds the services that stay and, for those wanted again, what they are now. With more than one
    iteration, services that were refused are tried again ahead of their equals; the best outcome is returned.
    """
    first: frozenset[ServiceId] = frozenset()
    best: PlanOutcome | None = None
    for _ in range(max(1, iterations)):
        batch = _Batch(city, ledger.on(city), standing, now, pools or Pools())
        outcome = batch.run(_in_order(wanted, first))
        if best is None or len(outcome.refusals) < len(best.refusals):
            best = outcome
        refused = frozenset(r.service for r in outcome.refusals)
        if not refused or refused <= first:
            break
        first |= refused
    assert best is not None
    return best


def _in_order(wanted: Sequence[Service], first: frozenset[ServiceId]) -> list[Service]:
    """By priority; but a slice comes after the services that it is to keep away from, or beside."""
    protected = {s.protects for s in wanted if isinstance(s, VipAssurance)}
    named = {s.metadata.service: s for s in wanted}

    def key(service: Service) -> tuple[int, int, bool, str]:
        name = service.metadata.service
        if isinstance(service, VipAssurance):
            return (1, service.priority, name not in first, name)
        if name in protected:
            return (0, 0, name not in first, name)
        return (2 if isinstance(service, ExclusiveSlice) else 3, 0, name not in first, name)

    ordered: dict[ServiceId, Service] = {}

    def put(service: Service, below: frozenset[ServiceId]) -> None:
        name = service.metadata.service
        for other in referred_to(service):
            if other in named and other not in ordered and other not in below:
                put(named[other], below | {name})
        ordered.setdefault(name, service)

    for service in sorted(wanted, key=key):
        put(service, frozenset())
    return list(ordered.values())


def referred_diverse(service: Service) -> tuple[ServiceId, ...]:
    """Return the services that this one is to be diverse from."""
    return service.diverse_from if isinstance(service, ExclusiveSlice) else ()


def referred_to(service: Service) -> tuple[ServiceId, ...]:
    """Return the services whose ways decide about this one's."""
    return (*service.diverse_from, *service.together_with) if isinstance(service, ExclusiveSlice) else ()


@dataclass(slots=True)
class _Batch:
    city: CityMap
    ledger: Ledger
    standing: Standing
    now: datetime
    pools: Pools
    waiting: frozenset[ServiceId] = frozenset()  # those of the batch whose turn has not come

    def run(self, wanted: Iterable[Service]) -> PlanOutcome:
        net = layers(self.city)
        placed: dict[ServiceId, tuple[Service, Placement]] = {}
        refusals: list[Refusal] = []
        wanted = list(wanted)
        self.waiting = frozenset(s.metadata.service for s in wanted)
        for service in wanted:
            name = service.metadata.service
            self.waiting -= {name}
            old = self.standing.get(name)
            without = self.ledger.copy()
            without.remove(name)
            attempt = _Attempt(self, net, without, old, placed)
            try:
                placement = attempt.place(service)
            except CannotPlaceError as error:
                refusals.append(refuse(service, str(error), attempt.place))
                continue
            without.add(placement)
            self.ledger = without
            placed[name] = (service, placement)
        placements = {name: placement for name, (_, placement) in sorted(placed.items())}
        return PlanOutcome(placements, tuple(refusals), self.ledger)


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
        return Draft(service.metadata.service, self.ledger.copy(), self.batch.pools, old)

    def place(self, service: Service) -> Placement:
        """Return the placement; raises CannotPlaceError."""
        city, net = self.batch.city, self.net
        if isinstance(service, VipAssurance):
            if isinstance(service.window, Window) and service.window.end <= self.batch.now:
                raise CannotPlaceError(f"its window ended at {service.window.end.isoformat()}")
            below = self.placed.get(service.protects) or self.batch.standing.get(service.protects)
            return place_vip(city, net, self.draft(service), service, below)
        if self.old is not None and self._unchanged(service) and self._serves(service, self.old[1]):
            return self.old[1]
        if isinstance(service, DedicatedPlane):
            return place_plane(city, net, self.draft(service), service)
        return place_slice(city, net, lambda: self.draft(service), self._mutual(service), self._others(service))

    def _serves(self, service: DedicatedPlane | ExclusiveSlice, standing: Placement) -> bool:
        if is_emergency(standing) or not still_sound(self.batch.city, self.net, self.ledger, standing):
            return False
        # A link that came back may draw a plane's traffic away from what is held for it.
        return not isinstance(service, DedicatedPlane) or follows(self.net, service, standing)

    def _unchanged(self, service: DedicatedPlane | ExclusiveSlice) -> bool:
        """Whether only the description changed: labels and places in files do not move traffic."""
        if self.old is None or not isinstance(self.old[0], type(service)):
            return False
        before = self.old[0]
        if isinstance(service, ExclusiveSlice) and (service.diverse_from or service.together_with):
            return False  # the other service may have moved
        return replace(service, metadata=before.metadata) == before

    def _mutual(self, service: ExclusiveSlice) -> ExclusiveSlice:
        """Diversity holds both ways: whoever stands and keeps away from this service is kept away from by it.

        Of two that name each other in one batch the first has nobody to keep away from yet; the second does it.
        """
        name = service.metadata.service
        # Of thousands that stand few keep away from anybody: only those are looked at.
        picky: list[tuple[ServiceId, Service]] = [
            (s, other)
            for s, (other, _) in self.batch.standing.items()
            if isinstance(other, ExclusiveSlice) and other.diverse_from and s not in self.placed
        ]
        picky += [(s, other) for s, (other, _) in self.placed.items() if referred_diverse(other)]
        back = sorted(s for s, other in picky if name in referred_diverse(other) and s != name)
        waiting = self.batch.waiting - self.placed.keys() - self.batch.standing.keys()
        named = [s for s in service.diverse_from if s not in waiting]
        return replace(service, diverse_from=tuple(dict.fromkeys((*named, *back))))

    def _others(self, service: ExclusiveSlice) -> dict[ServiceId, Placement]:
        """The placements of the services that this one is to keep away from, or beside."""
        known = {}
        for name in referred_to(self._mutual(service)):
            other = self.placed.get(name) or self.batch.standing.get(name)
            if other is not None:
                known[name] = other[1]
        return known
