"""The three lines of a refusal: what was needed, what binds, and the nearest requests that would fit.

What would fit is found by placing eased variants of the service, so every number in it is true of this network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

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
from controller.planning.compromise import boundary_offers, compromise
from controller.planning.draft import asked_rate_text, asked_ratio_text, asked_time_text, ratio_text
from controller.planning.easing import Place, at_times, attempt, by_latency, eased, most_available
from controller.planning.limits import jitter_text
from controller.planning.placement import Refusal
from controller.planning.reasons import boundary_text

MOST_OFFERS = 4
BISECTIONS = 12  # the largest rate that fits is found to 1 part in 4,096 of what was asked


def refuse(
    service: Service, binds: str, place: Place, times: Sequence[Window] = (), more: Iterable[str] = ()
) -> Refusal:
    """Return the refusal of a service; `place` tries a variant and raises CannotPlaceError.

    times: when it might fit as it is; more: what would have to be there for it to fit.
    """
    offers = dict.fromkeys((*_offers(service, place, times), *more))
    meta = service.metadata
    place_of_it = f"{meta.source}:{meta.line}" if meta.source and meta.line else meta.source or meta.name
    return Refusal(meta.service, service.kind, place_of_it, _needs(service), binds, tuple(offers))


def _needs(service: Service) -> str:
    bounds = boundary_text(service.boundaries)
    slo = service.slo
    parts = [_rate(service), _latency(slo.latency_s)]
    parts += [] if slo.jitter_s is None else [f"jitter ≤ {jitter_text(slo.jitter_s)}"]
    parts += [] if slo.loss_ratio is None else [f"loss ≤ {slo.loss_ratio:.2g}"]
    parts += [] if slo.most_hops is None else [f"≤ {slo.most_hops} {'hop' if slo.most_hops == 1 else 'hops'}"]
    if isinstance(service, ExclusiveSlice):
        parts += ["" if service.isolation is Isolation.AUTO else str(service.isolation), _standby(service)]
        parts += [f"diverse from {s}" for s in service.diverse_from]
        parts += [f"together with {s}" for s in service.together_with]
    if isinstance(service, DedicatedPlane):
        parts.append(f"availability ≥ {asked_ratio_text(slo.availability)}")
    if isinstance(service, DedicatedPlane | ExclusiveSlice) and service.plane is not None:
        parts.append(f"plane {service.plane}")
    parts.append("" if bounds == "none" else bounds)
    return ", ".join(p for p in parts if p)


def _standby(service: ExclusiveSlice) -> str:
    if service.protection is Protection.RESTORATION:
        return "a way kept for restoration"
    if service.protection is Protection.STANDBY:
        words = {Disjointness.LINK: "link", Disjointness.SRLG: "SRLG", Disjointness.NODE: "node"}
        return f"{'- and '.join(words[k] for k in service.disjoint)}-disjoint standby"
    return f"availability ≥ {asked_ratio_text(service.slo.availability)}"


def _rate(service: Service) -> str:
    if isinstance(service, ExclusiveSlice):
        return asked_rate_text(max((d.rate_bps for d in service.demands), default=0))
    if isinstance(service, DedicatedPlane):
        return f"{len(service.accesses)} accesses, {asked_rate_text(sum(a.rate_bps for a in service.accesses))} in all"
    if service.conference is not None:
        media = sum(f.rate_bps for f in service.conference.flows)
        count = len(service.conference.parties)
        return f"{count} {'party' if count == 1 else 'parties'} with {asked_rate_text(media)} each"
    return asked_rate_text(service.rate_bps) if service.rate_bps else "the whole of what it protects"


def _latency(budget_s: float | None) -> str:
    return "" if budget_s is None else f"≤ {asked_time_text(budget_s)}"


def _offers(service: Service, place: Place, times: Sequence[Window]) -> Iterable[str]:
    """The nearest along protection, latency and whatever else was asked; the largest rate has its place at the end."""
    said = f"{_rate(service)} {_latency(service.slo.latency_s)}".rstrip()
    found: list[str] = []
    for offer in chain(
        at_times(service, said, place, times),
        _protection(service, said, place),
        by_latency(service, _rate(service), place),
        eased(service, said, place),
        boundary_offers(service, said, place),
    ):
        if offer not in found:
            found.append(offer)
        if len(found) == MOST_OFFERS - 1:
            break
    yield from found
    less = list(_less(service, place))
    yield from less
    if not found and not less:
        yield from _in_all(service, place)


def _protection(service: Service, said: str, place: Place) -> Iterable[str]:
    if not isinstance(service, ExclusiveSlice):
        return
    alone = replace(service, protection=Protection.NONE, slo=replace(service.slo, availability=0.0))
    both = replace(alone, protection=Protection.STANDBY)
    standby = None if service.protection in (Protection.NONE, Protection.RESTORATION) else attempt(place, both)
    if standby is not None:
        # Two ways miss only the availability: one alone would be worse still, and is not what was asked.
        yield f"{said} with standby at availability {ratio_text(min(p.availability for p in standby.promises))}"
        return
    given = most_available(alone, service.slo.availability, place)
    if given is None:
        return
    if service.protection is Protection.NONE:
        yield f"{said} at availability {ratio_text(given)}"
    else:
        spare = "restoration" if service.protection is Protection.RESTORATION else "standby"
        yield f"{said} without {spare} (availability {ratio_text(given)})"


def _in_all(service: Service, place: Place) -> Iterable[str]:
    """Where easing one thing is not enough: the most of everything that fits together."""
    found = list(compromise(service, _rate(service), place))
    yield from found
    if not found and isinstance(service, ExclusiveSlice | DedicatedPlane):
        bare = replace(service, boundaries=Boundaries(), plane=None, slo=Slo(availability=0.0))
        if isinstance(bare, ExclusiveSlice):
            bare = replace(
                bare, isolation=Isolation.AUTO, protection=Protection.NONE, diverse_from=(), together_with=()
            )
        share = _largest_share(bare, place)
        if share is not None:
            smaller = _scaled(service, share)
            yield from compromise(smaller, _rate(smaller), place)


def _less(service: Service, place: Place) -> Iterable[str]:
    """The largest share of the asked rates that fits."""
    share = _largest_share(service, place)
    if share is not None:
        yield f"{_rate(_scaled(service, share))} {_latency(service.slo.latency_s)}".rstrip()


def _largest_share(service: Service, place: Place) -> float | None:
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if attempt(place, _scaled(service, middle)) is not None:
            low = middle
        else:
            high = middle
        if low == 0.0 and middle < 1 / 256:
            return None
    return low or None


def _scaled(service: Service, share: float) -> Service:
    if isinstance(service, ExclusiveSlice):
        demands = tuple(replace(d, rate_bps=_part(d.rate_bps, share)) for d in service.demands)
        ends = tuple(replace(e, rate_bps=_part(e.rate_bps, share)) for e in service.endpoints)
        return replace(service, demands=demands, endpoints=ends)
    if isinstance(service, DedicatedPlane):
        return replace(service, accesses=tuple(replace(a, rate_bps=_part(a.rate_bps, share)) for a in service.accesses))
    assert isinstance(service, VipAssurance)
    if service.conference is None:
        flows = tuple(replace(f, rate_bps=_part(f.rate_bps, share)) for f in service.flows)
        return replace(service, rate_bps=_part(service.rate_bps, share), flows=flows)
    flows = tuple(replace(f, rate_bps=_part(f.rate_bps, share)) for f in service.conference.flows)
    return replace(service, conference=replace(service.conference, flows=flows))


def _part(rate_bps: int, share: float) -> int:
    """A share of a rate, rounded down to what people write (1 Mbit/s, or 1 kbit/s below 10)."""
    step = 10**6 if rate_bps * share >= 10**7 else 10**3
    return max(1, int(rate_bps * share) // step * step)
