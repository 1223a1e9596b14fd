"""Requests that are nearest to a refused one: each eases one thing and keeps everything else.

Every variant is really planned, so what is offered is true of this network. Those that ease the least come first
along each line; a line stops at its first variant that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from controller.intent.model import (
    Boundaries,
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
from controller.planning.draft import CannotPlaceError, instant_words, ratio_text, time_text
from controller.planning.limits import jitter_text
from controller.planning.placement import Placement

Place = Callable[[Service], Placement]
MOST_MORE_HOPS = 8
FACTORS = (1.5, 2, 5, 10, 100)  # by which a jitter or a loss is eased


def attempt(place: Place, variant: Service) -> Placement | None:
    """Return the placement of a variant, None where it does not fit either."""
    try:
        return place(variant)
    except CannotPlaceError:
        return None


def eased(service: Service, said: str, place: Place) -> Iterator[str]:
    """Yield offers that ease hops, jitter, loss, company, plane or boundaries; `said`: rate and latency as asked."""
    yield from _objectives(service, said, place)
    if isinstance(service, ExclusiveSlice):
        yield from _slice_ties(service, said, place)
    planar = isinstance(service, DedicatedPlane | ExclusiveSlice) and service.plane is not None
    if planar and attempt(place, replace(service, plane=None)) is not None:  # type: ignore[arg-type]
        yield f"{said} over both planes"
    if not isinstance(service, ExclusiveSlice):
        found = attempt(place, _with(service, availability=0.0))
        if found is not None and found.promises:
            yield f"{said} at availability {ratio_text(min(p.availability for p in found.promises))}"
    if service.boundaries != Boundaries() and attempt(place, replace(service, boundaries=Boundaries())) is not None:
        yield f"{said} without the boundaries"


def at_times(service: Service, said: str, place: Place, times: Iterable[Window]) -> Iterator[str]:
    """Yield the same request at the first of these times at which it fits."""
    if isinstance(service, VipAssurance):
        return
    for window in times:
        if attempt(place, replace(service, window=window)) is not None:
            moment = window.end if service.window is None else window.start
            yield f"{said} {'until' if service.window is None else 'from'} {instant_words(moment)}"
            return


def _with(service: Service, **slo: float | None) -> Service:
    changed: Slo = replace(service.slo, **slo)  # type: ignore[arg-type]
    return replace(service, slo=changed)


def _objectives(service: Service, said: str, place: Place) -> Iterator[str]:
    slo = service.slo
    if slo.most_hops is not None:
        for hops in range(slo.most_hops + 1, slo.most_hops + MOST_MORE_HOPS + 1):
            if attempt(place, _with(service, most_hops=hops)) is not None:
                yield f"{said} in {hops} hops"
                break
    for factor in FACTORS if slo.jitter_s is not None else ():
        jitter = (slo.jitter_s or 0.0) * factor
        if attempt(place, _with(service, jitter_s=jitter)) is not None:
            yield f"{said} with jitter ≤ {jitter_text(jitter)}"
            break
    for factor in FACTORS if slo.loss_ratio is not None else ():
        loss = min(0.5, (slo.loss_ratio or 0.0) * factor)
        if attempt(place, _with(service, loss_ratio=loss)) is not None:
            yield f"{said} with loss ≤ {loss:.2g}"
            break


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


def by_latency(service: Service, rate: str, place: Place) -> Iterator[str]:
    """Yield the same request at the least latency that this network gives it, and over which nodes."""
    if service.slo.latency_s is None:
        return
    found = attempt(place, _with(service, latency_s=None))
    if found is not None and found.promises and _worst(found) > service.slo.latency_s:
        yield f"{rate} ≤ {time_text(_worst(found) * 1.0005)}{_of_standby(found)}"


def _worst(placement: Placement) -> float:
    if placement.kind == "DedicatedPlane":  # a pair of accesses meets at the tree's root
        delays = sorted((p.delay_s for p in placement.promises), reverse=True)
        return sum(delays[:2])
    return max(max(p.delay_s, p.standby_delay_s or 0.0) for p in placement.promises)


def _of_standby(placement: Placement) -> str:
    """Say so where it is the standby that takes the time: without it, or over another duct, less would do."""
    working = max(p.delay_s for p in placement.promises)
    if placement.kind == "DedicatedPlane":
        return ""
    if _worst(placement) <= working:
        slowest = max(placement.promises, key=lambda p: p.delay_s)
        nodes = [n.removeprefix("node:") for n in slowest.via[2:-1:2]]
        return f" over {', '.join(nodes[:4])}{', …' if len(nodes) > 4 else ''}" if nodes else ""
    return f" (its standby; the working way takes {time_text(working)})"
