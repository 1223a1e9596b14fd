"""The nearest request where no single thing that is eased would do: as little is given up as the network allows.

Everything is given up first; then one thing after the other is asked for again, dearest first, and kept where the
service still fits. What could not be kept is said with the value at which it fits, which was really planned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce

from controller.intent.model import Boundaries, DedicatedPlane, ExclusiveSlice, Isolation, Protection, Service
from controller.planning.draft import asked_time_text, ratio_text, rounded_up
from controller.planning.easing import (
    MOST_JITTER_S,
    MOST_LOSS,
    MOST_MORE_HOPS,
    Place,
    attempt,
    least_above,
    most_available,
    with_slo,
    worst_delay_s,
)
from controller.planning.limits import jitter_text
from controller.planning.placement import Placement

Said = tuple[str, Service]  # what is given up, in words, and the request that says so


@dataclass(frozen=True, slots=True)
class _Part:
    """One thing that was asked: how to do without it, and what to say of the variant that does."""

    ease: Callable[[Service], Service]
    say: Callable[[Service, Placement], Said | None]


def boundary_offers(service: Service, said: str, place: Place) -> Iterator[str]:
    """Yield the same request with the fewest of its boundaries given up."""
    found = _least_given_up(service, list(_boundary_parts(service, place)), place)
    if found is not None and found[0]:
        yield f"{said} {', '.join(found[0])}"


def compromise(service: Service, rate: str, place: Place) -> Iterator[str]:
    """Yield the request at the rate asked that gives up the least of everything else; nothing where none fits."""
    if not isinstance(service, DedicatedPlane | ExclusiveSlice):
        return
    parts = [*_boundary_parts(service, place), *_company_parts(service), *_objective_parts(service, place)]
    found = _least_given_up(service, parts, place)
    if found is None or not found[0]:
        return
    words, variant = found
    latency = "" if variant.slo.latency_s is None else f"≤ {asked_time_text(variant.slo.latency_s)}"
    yield " ".join(x for x in (rate, latency, ", ".join(w for w in words if w)) if x)


def _least_given_up(service: Service, parts: list[_Part], place: Place) -> tuple[list[str], Service] | None:
    eased = dict.fromkeys(range(len(parts)))

    def without(given_up: list[int]) -> Service:
        return reduce(lambda variant, i: parts[i].ease(variant), given_up, service)

    if attempt(place, without(list(eased))) is None:
        return None
    for i in list(eased):
        if attempt(place, without([k for k in eased if k != i])) is not None:
            del eased[i]
    variant, words = without(list(eased)), []
    for i in eased:
        found = attempt(place, variant)
        said = None if found is None else parts[i].say(variant, found)
        if said is None:
            return None
        words.append(said[0])
        variant = said[1]
    return None if attempt(place, variant) is None else (words, variant)


def _bounded(service: Service, **changes: object) -> Service:
    bounds: Boundaries = replace(service.boundaries, **changes)  # type: ignore[arg-type]
    return replace(service, boundaries=bounds)


def _boundary_parts(service: Service, place: Place) -> Iterator[_Part]:
    bounds = service.boundaries
    for region in sorted(bounds.exclude_regions):
        yield _Part(
            lambda s, r=region: _bounded(s, exclude_regions=s.boundaries.exclude_regions - {r}),  # type: ignore[misc]
            lambda s, _, r=region: (f"through {r} too", s),  # type: ignore[misc]
        )
    if bounds.include_regions:
        words = f"also outside {' and '.join(sorted(bounds.include_regions))}"
        yield _Part(lambda s: _bounded(s, include_regions=frozenset()), lambda s, _: (words, s))
    for node in sorted(bounds.exclude_nodes):
        yield _Part(
            lambda s, n=node: _bounded(s, exclude_nodes=s.boundaries.exclude_nodes - {n}),  # type: ignore[misc]
            lambda s, _, n=node: (f"over {n.removeprefix('node:')} too", s),  # type: ignore[misc]
        )
    if bounds.include_nodes:
        yield _Part(lambda s: _bounded(s, include_nodes=frozenset()), lambda s, _: ("over any node", s))

    def trust(variant: Service, _: Placement) -> Said | None:
        for level in range(bounds.least_trust - 1, 0, -1):
            less = _bounded(variant, least_trust=level)
            if attempt(place, less) is not None:
                return f"at trust L{level}", less
        return None

    if bounds.least_trust > 1:
        yield _Part(lambda s: _bounded(s, least_trust=1), trust)


def _company_parts(service: Service) -> Iterator[_Part]:
    if isinstance(service, ExclusiveSlice):
        if service.diverse_from:
            words = f"in ducts that {' and '.join(service.diverse_from)} also uses"
            yield _Part(lambda s: _changed(s, diverse_from=()), lambda s, _: (words, s))
        if service.together_with:
            yield _Part(lambda s: _changed(s, together_with=()), lambda s, _: ("over ways of its own", s))
        if service.isolation is not Isolation.AUTO:
            yield _Part(lambda s: _changed(s, isolation=Isolation.AUTO), _as_found)
    if isinstance(service, DedicatedPlane | ExclusiveSlice) and service.plane is not None:
        yield _Part(lambda s: _changed(s, plane=None), lambda s, _: ("over both planes", s))


def _changed(service: Service, **changes: object) -> Service:
    return replace(service, **changes)  # type: ignore[arg-type]


def _as_found(variant: Service, found: Placement) -> Said:
    return f"as {found.isolation}", _changed(variant, isolation=Isolation(found.isolation))


def _objective_parts(service: Service, place: Place) -> Iterator[_Part]:
    """What is promised; last what is given up first."""

    def latency(variant: Service, found: Placement) -> Said:
        return "", with_slo(variant, latency_s=rounded_up(worst_delay_s(found)))

    def jitter(variant: Service, _: Placement) -> Said | None:
        least = least_above(service.slo.jitter_s or 0.0, MOST_JITTER_S, lambda x: with_slo(variant, jitter_s=x), place)
        return None if least is None else (f"with jitter ≤ {jitter_text(least)}", with_slo(variant, jitter_s=least))

    def loss(variant: Service, _: Placement) -> Said | None:
        least = least_above(service.slo.loss_ratio or 0.0, MOST_LOSS, lambda x: with_slo(variant, loss_ratio=x), place)
        return None if least is None else (f"with loss ≤ {least:.2g}", with_slo(variant, loss_ratio=least))

    def hops(variant: Service, _: Placement) -> Said | None:
        asked = service.slo.most_hops or 0
        for more in range(asked + 1, asked + 2 * MOST_MORE_HOPS + 1):
            eased = with_slo(variant, most_hops=more)
            if attempt(place, eased) is not None:
                return f"in {more} hops", eased
        return None

    if service.slo.latency_s is not None:
        yield _Part(lambda s: with_slo(s, latency_s=None), latency)
    if service.slo.most_hops is not None:
        yield _Part(lambda s: with_slo(s, most_hops=None), hops)
    if service.slo.jitter_s is not None:
        yield _Part(lambda s: with_slo(s, jitter_s=None), jitter)
    if service.slo.loss_ratio is not None:
        yield _Part(lambda s: with_slo(s, loss_ratio=None), loss)
    yield from _protection_parts(service, place)


def _protection_parts(service: Service, place: Place) -> Iterator[_Part]:
    protection = service.protection if isinstance(service, ExclusiveSlice) else Protection.NONE
    spare = "restoration" if protection is Protection.RESTORATION else "standby"

    def availability(variant: Service, _: Placement) -> Said | None:
        given = most_available(variant, service.slo.availability, place)
        if given is None:
            return None
        words = f"at availability {ratio_text(given)}"
        if protection is not Protection.NONE:
            words = f"without {spare} (availability {ratio_text(given)})"
        return words, with_slo(variant, availability=given)

    if protection is Protection.NONE:
        yield _Part(lambda s: with_slo(s, availability=0.0), availability)
    else:
        yield _Part(lambda s: _changed(with_slo(s, availability=0.0), protection=Protection.NONE), availability)
