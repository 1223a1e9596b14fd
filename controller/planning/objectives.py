"""One-key tuning: services that stand are placed anew where that serves an objective, without anything being cut.

What may move are slices whose traffic can be switched over: tunnels of their own, or circuits between provider edges,
which are built beside the old ones under another name. While a change is under way old and new are both there, so a
way counts as free only where it is free beside everything that stands and everything that moved before it: at no
moment is more promised than there is. Every candidate keeps all that the intent asks; a move has to be worth it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.intent.model import (
    Disjointness,
    ExclusiveSlice,
    Protection,
    Service,
    ServiceId,
    VipAssurance,
)
from controller.network.fading import wary
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.draft import CannotPlaceError, Draft, Pools, ratio_text, time_text
from controller.planning.layers import Layers, layers
from controller.planning.placement import LabelReservation, Placement, RateReservation
from controller.planning.price import price
from controller.planning.slices import place_slice

Standing = Mapping[ServiceId, tuple[Service, Placement]]
WORTH = 0.01  # a move is made where it betters its measure by this part at least
BALANCE_STEPS = 7  # the load that is aimed at is found to one part in 128


class Objective(StrEnum):
    LATENCY = "latency"  # the slowest way of each service
    COST = "cost"  # what each service takes of the city, see price.py
    BALANCE = "balance"  # the fullest IP link that each service rides on
    AVAILABILITY = "availability"  # the least available way of each service


@dataclass(frozen=True, slots=True)
class Move:
    """One service that is better off elsewhere; before and after in people's units."""

    service: Service
    old: Placement
    new: Placement
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Tuned:
    """What moves, and the ledger once everything has."""

    moves: tuple[Move, ...]
    ledger: Ledger


def movable(standing: Standing) -> Iterator[ServiceId]:
    """Yield the slices that may be moved: placed between provider edges, and under no assurance of their own."""
    protected = {s.protects for s, _ in standing.values() if isinstance(s, VipAssurance)}
    slices = [s for s, _ in standing.values() if isinstance(s, ExclusiveSlice)]
    tied = {other for s in slices for other in (*s.diverse_from, *s.together_with)}
    for sid, (service, placement) in sorted(standing.items()):
        free = isinstance(service, ExclusiveSlice) and not service.diverse_from and not service.together_with
        free = free and service.window is None  # when it stands says where there is room, too
        if free and sid not in protected and sid not in tied and placement.attachments:
            yield sid


def tune(
    city: CityMap, ledger: Ledger, candidates: Iterable[ServiceId], standing: Standing, objective: Objective
) -> Tuned:
    """Return the moves that serve an objective, the worst service first. `ledger` holds all that stands."""
    city = wary(city)  # nobody works better over what wears out
    net, held = layers(city), ledger.on(city)
    ranked = sorted(candidates, key=lambda sid: (-_measure(city, held, standing[sid][1], objective), sid))
    moves: list[Move] = []
    for sid in ranked:
        service, old = standing[sid]
        if not isinstance(service, ExclusiveSlice):
            continue
        found = _better(city, net, held, service, old, objective)
        if found is None:
            continue
        new, before, after = found
        held.remove(sid)
        held.add(new)
        held.add(_beside(old, new))
        moves.append(Move(service, old, new, before, after))
    for move in moves:
        held.remove(_before(move.service.metadata.service))
    return Tuned(tuple(moves), held)


def _before(sid: ServiceId) -> ServiceId:
    return ServiceId(f"{sid}#before")


def _beside(old: Placement, new: Placement) -> Placement:
    """What only the old placement holds: it is given back when the change has ended."""
    left: dict[str, int] = {}
    for r in new.rates:
        left[r.link] = left.get(r.link, 0) + r.rate_bps
    rates = []
    for r in old.rates:
        more = r.rate_bps - left.get(r.link, 0)
        if more > 0:
            rates.append(RateReservation(r.link, more, r.start, r.end))
    kept = {(r.resource, r.label) for r in new.labels}
    labels = tuple(r for r in old.labels if (r.resource, r.label) not in kept)
    return Placement(_before(old.service), old.kind, 0, rates=tuple(rates), labels=labels)


def _better(
    city: CityMap, net: Layers, held: Ledger, service: ExclusiveSlice, old: Placement, objective: Objective
) -> tuple[Placement, str, str] | None:
    """Return the best new placement that is worth the move, and its measure before and after."""
    without = held.copy()
    without.remove(service.metadata.service)
    was = _measure(city, held, old, objective)
    best: tuple[float, Placement] | None = None
    for variant, room in _variants(city, without, service, old, objective):
        placed = _placed(city, net, room, variant, old)
        if placed is None or not _may_move(old, placed):
            continue
        after = without.copy()
        after.add(placed)
        measure = _measure(city, after, placed, objective)
        if best is None or measure < best[0] - 1e-12:
            best = (measure, placed)
    if best is None or best[0] >= was - max(1e-9, abs(was) * WORTH):
        return None
    return best[1], _text(objective, was), _text(objective, best[0])


def _placed(city: CityMap, net: Layers, room: Ledger, variant: ExclusiveSlice, old: Placement) -> Placement | None:
    present = replace(old, tunnels=())  # labels are kept, ways are not

    def draft() -> Draft:
        return Draft(variant.metadata.service, room.copy(), Pools(), present, moving=True)

    try:
        placed = place_slice(city, net, draft, variant, {})
    except CannotPlaceError:
        return None
    return placed if placed.isolation == old.isolation else None


def _may_move(old: Placement, new: Placement) -> bool:
    """Whether it is another way at all, and one whose traffic can be switched over."""
    ways = [(c.working.route, c.protect.route if c.protect else ()) for c in old.circuits]
    if old.circuits and ways == [(c.working.route, c.protect.route if c.protect else ()) for c in new.circuits]:
        return False
    if old.circuits:
        # Circuits that change nothing keep their way; those that do must stand beside the old ones.
        return not {c.id for c in old.circuits} & {c.id for c in new.circuits}
    before = {t.name: (t.working.links, t.standby.links if t.standby else ()) for t in old.tunnels}
    return before != {t.name: (t.working.links, t.standby.links if t.standby else ()) for t in new.tunnels}


def _variants(
    city: CityMap, without: Ledger, service: ExclusiveSlice, old: Placement, objective: Objective
) -> Iterator[tuple[ExclusiveSlice, Ledger]]:
    """Yield stricter requests whose placements also keep the original one."""
    yield service, without
    if objective is Objective.COST:
        longest = max((len(w) for w in _ways(old)), default=1)
        for hops in range(longest - 1, 0, -1):
            asked = min(hops, service.slo.most_hops or hops)
            yield replace(service, slo=replace(service.slo, most_hops=asked)), without
    elif objective is Objective.AVAILABILITY and service.protection is not Protection.NONE:
        for kinds in ((Disjointness.NODE, Disjointness.SRLG), (Disjointness.SRLG,)):
            strict = tuple(sorted({*kinds, *service.disjoint}))
            kept = service.protection is Protection.RESTORATION
            stricter = service.protection if kept else Protection.STANDBY
            yield replace(service, protection=stricter, disjoint=strict), without
    elif objective is Objective.BALANCE:
        low, high = 0.0, _measure(city, without, old, objective)
        for _ in range(BALANCE_STEPS):
            middle = (low + high) / 2
            yield service, _no_fuller_than(city, without, middle)
            low, high = low, middle


def _ways(placement: Placement) -> Iterator[Sequence[str]]:
    for c in placement.circuits:
        yield from (leg.route for leg in (c.working, c.protect) if leg is not None)
    for t in placement.tunnels:
        yield t.working.links


def _no_fuller_than(city: CityMap, ledger: Ledger, share: float) -> Ledger:
    """Return the ledger with the rest of every IP link taken, so that what fits leaves no link fuller than that."""
    other = ledger.copy()
    rest = tuple(RateReservation(k.id, round(k.capacity_bps * (1 - share))) for k in city.links)
    other.add(Placement(ServiceId("#rest"), "", 0, rates=rest, labels=tuple[LabelReservation, ...]()))
    return other


def _measure(city: CityMap, ledger: Ledger, placement: Placement, objective: Objective) -> float:
    """Return how a placement does, less being better. `ledger` holds it, or its links are as full as without it."""
    if objective is Objective.LATENCY:
        return max((p.delay_s for p in placement.promises), default=0.0)
    if objective is Objective.COST:
        return price(placement, city)
    if objective is Objective.AVAILABILITY:
        return 1 - min((p.availability for p in placement.promises), default=1.0)
    mine = [r for r in placement.rates if r.link in city.link_by_id]
    own = placement.service in ledger
    loads = []
    for r in mine:
        capacity = max(1, city.link_by_id[r.link].capacity_bps)
        loads.append((capacity - ledger.free_bps(r.link) + (0 if own else r.rate_bps)) / capacity)
    return max(loads, default=0.0)


def _text(objective: Objective, measure: float) -> str:
    if objective is Objective.LATENCY:
        return time_text(measure)
    if objective is Objective.COST:
        return f"price {measure:.4g}"
    if objective is Objective.AVAILABILITY:
        return ratio_text(1 - measure)
    return f"fullest link {measure:.3g}" if measure > 1 else f"fullest link {measure:.1%}"
