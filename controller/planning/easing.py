"""Requests that are nearest to a refused one: each eases one thing and keeps everything else.

Every variant is really planned, so what is offered is true of this network. Those that ease the least come first
along each line; a line stops at its first variant that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

from controller.intent.model import (
    DedicatedPlane,
    Disjointness,
    ExclusiveSlice,
    Isolation,
    Protection,
    Service,
    Slo,
    VipAssurance,
    Window,
)
from controller.planning.draft import CannotPlaceError, instant_words, ratio_text, rounded_up, time_text
from controller.planning.limits import jitter_text
from controller.planning.placement import Placement

Place = Callable[[Service], Placement]
MOST_MORE_HOPS = 8
MOST_QUICKER = 8  # attempts to find a quicker way than the first one that fits
MOST_JITTER_S, MOST_LOSS = 1.0, 0.5
HALVINGS = 5  # of the gap between a jitter or a loss that does not fit and one that does


def attempt(place: Place, variant: Service) -> Placement | None:
    """Return the placement of a variant, None where it does not fit either."""
    try:
        return place(variant)
    except CannotPlaceError:
        return None


def eased(service: Service, said: str, place: Place) -> Iterator[str]:
    """Yield offers that ease hops, jitter, loss, company or plane; `said`: rate and latency as asked."""
    yield from _objectives(service, said, place)
    if isinstance(service, ExclusiveSlice):
        yield from _slice_ties(service, said, place)
    planar = isinstance(service, DedicatedPlane | ExclusiveSlice) and service.plane is not None
    if planar and attempt(place, replace(service, plane=None)) is not None:  # type: ignore[arg-type]
        yield f"{said} over both planes"
    if not isinstance(service, ExclusiveSlice):
        given = most_available(service, service.slo.availability, place)
        if given is not None:
            yield f"{said} at availability {ratio_text(given)}"


def at_times(service: Service, said: str, place: Place, times: Iterable[Window]) -> Iterator[str]:
    """Yield the same request at the first of these times at which it fits."""
    if isinstance(service, VipAssurance):
        return
    for window in times:
        if attempt(place, replace(service, window=window)) is not None:
            moment = window.end if service.window is None else window.start
            yield f"{said} {'until' if service.window is None else 'from'} {instant_words(moment)}"
            return


def with_slo(service: Service, **slo: float | None) -> Service:
    """Return the same request with other promises."""
    changed: Slo = replace(service.slo, **slo)  # type: ignore[arg-type]
    return replace(service, slo=changed)


def _objectives(service: Service, said: str, place: Place) -> Iterator[str]:
    slo = service.slo
    if slo.most_hops is not None:
        for hops in range(slo.most_hops + 1, slo.most_hops + MOST_MORE_HOPS + 1):
            if attempt(place, with_slo(service, most_hops=hops)) is not None:
                yield f"{said} in {hops} hops"
                break
    if slo.jitter_s is not None:
        jitter = least_above(slo.jitter_s, MOST_JITTER_S, lambda x: with_slo(service, jitter_s=x), place)
        if jitter is not None:
            yield f"{said} with jitter ≤ {jitter_text(jitter)}"
    if slo.loss_ratio is not None:
        loss = least_above(slo.loss_ratio, MOST_LOSS, lambda x: with_slo(service, loss_ratio=x), place)
        if loss is not None:
            yield f"{said} with loss ≤ {loss:.2g}"


def least_above(asked: float, most: float, variant: Callable[[float], Service], place: Place) -> float | None:
    """Return about the least value above the one asked that fits, rounded up to two digits; None where none does."""
    if attempt(place, variant(most)) is None:
        return None
    low, high = asked, asked
    while high < most:
        low, high = high, min(most, high * 8)
        if attempt(place, variant(high)) is not None:
            break
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        if attempt(place, variant(middle)) is not None:
            high = middle
        else:
            low = middle
    return rounded_up(high, 2)


def _slice_ties(service: ExclusiveSlice, said: str, place: Place) -> Iterator[str]:
    for kinds, words in (
        ((Disjointness.NODE,), "node-disjoint standby that may share a duct"),
        ((Disjointness.SRLG,), "SRLG-disjoint standby that may share a node"),
        ((Disjointness.LINK,), "standby over other cables of the same ducts"),
    ):
        weaker = set(kinds) < set(service.disjoint) or {*kinds} == {Disjointness.LINK} != set(service.disjoint)
        if service.protection is Protection.NONE or not weaker:
            continue
        if attempt(place, replace(service, disjoint=kinds)) is not None:
            yield f"{said} with {words}"
            break
    if service.together_with and attempt(place, replace(service, together_with=())) is not None:
        yield f"{said} over ways of its own"
    if service.diverse_from and attempt(place, replace(service, diverse_from=())) is not None:
        yield f"{said} in ducts that {', '.join(service.diverse_from)} also uses"
    if service.isolation is not Isolation.AUTO:
        for kind in (Isolation.TIMESLOT, Isolation.WAVELENGTH, Isolation.NRP):
            if kind is not service.isolation and attempt(place, replace(service, isolation=kind)) is not None:
                yield f"{said} as {kind}"
                break


def most_available(service: Service, asked: float, place: Place) -> float | None:
    """Return about the highest availability up to that asked, as an offer writes it, at which a service fits.

    None where it fits at none.
    """
    found = attempt(place, with_slo(service, availability=0.0))
    if found is None or not found.promises:
        return None
    given = written(min(p.availability for p in found.promises))
    fits = attempt(place, with_slo(service, availability=given)) is not None
    # The quickest way need not be the most available; and a plane promises from its root, while between two of its
    # accesses more can fail.
    missed = least_above(max(1e-9, 1 - asked), 1.0, lambda x: with_slo(service, availability=1 - x), place)
    found = None if missed is None else attempt(place, with_slo(service, availability=1 - missed))
    if missed is None or found is None:
        return given if fits else None
    better = written(min(p.availability for p in found.promises))
    if attempt(place, with_slo(service, availability=better)) is None:
        better = written(1 - missed)
    return max(given, better) if fits else better


def written(ratio: float) -> float:
    """Return an availability as an offer writes it."""
    return float(Decimal(ratio_text(ratio).removesuffix(" %")) / 100)


def by_latency(service: Service, rate: str, place: Place) -> Iterator[str]:
    """Yield the same request at the least latency that this network gives it, and over which nodes."""
    if service.slo.latency_s is None:
        return
    found = attempt(place, with_slo(service, latency_s=None))
    if found is None or not found.promises or worst_delay_s(found) <= service.slo.latency_s:
        return
    for _ in range(MOST_QUICKER):  # of two ways the quickest in all are not those whose slower one is quickest
        below_s = max(service.slo.latency_s, worst_delay_s(found) * (1 - 1e-6))
        quicker = attempt(place, with_slo(service, latency_s=below_s))
        if quicker is None or worst_delay_s(quicker) >= worst_delay_s(found):
            break
        found = quicker
    yield f"{rate} ≤ {time_text(rounded_up(worst_delay_s(found)))}{_as_kind(service, found)}{_of_standby(found)}"


def _as_kind(service: Service, found: Placement) -> str:
    """Name the kind of isolation where the planner is free to choose it: what binds is told of its first choice."""
    free = isinstance(service, ExclusiveSlice) and service.isolation is Isolation.AUTO
    return f" as {found.isolation}" if free else ""


def worst_delay_s(placement: Placement) -> float:
    """Return the highest delay, in seconds, that a placement gives over any way of its pairs, standbys included."""
    if placement.kind == "DedicatedPlane":  # a pair of accesses meets at the tree's root
        delays = sorted((p.delay_s for p in placement.promises), reverse=True)
        return sum(delays[:2])
    return max(max(p.delay_s, p.standby_delay_s or 0.0) for p in placement.promises)


def _of_standby(placement: Placement) -> str:
    """Say so where it is the standby that takes the time: without it, or over another duct, less would do."""
    working = max(p.delay_s for p in placement.promises)
    if placement.kind == "DedicatedPlane":
        return ""
    if worst_delay_s(placement) <= working:
        slowest = max(placement.promises, key=lambda p: p.delay_s)
        nodes = [n.removeprefix("node:") for n in slowest.via[2:-1:2]]
        return f" over {', '.join(nodes[:4])}{', …' if len(nodes) > 4 else ''}" if nodes else ""
    return f" (its standby; the working way takes {time_text(working)})"
