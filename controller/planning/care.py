"""Placing with care for what wears out: away from it, else with it only standing by, else over it sooner than not.

Of what is worn nothing is promised less, so nobody is refused for it. Who stands soundly stays where he is: to lead
away what is there is the slow loop's to decide, which gives the parts that may only stand by with the map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from controller.intent.model import DedicatedPlane, Service, VipAssurance
from controller.network.fading import calm, fading_under, wary
from controller.network.model import CityMap, Link
from controller.planning.draft import CannotPlaceError
from controller.planning.placement import Placement
from controller.planning.worked import carried_by, crossed_by, stands_by_over, worked_over

RIDES, AVOIDS, STANDS_BY = "rides fibre ", "avoids fibre ", "standby rides fibre "

PlaceOn = Callable[[CityMap], Placement]  # raises CannotPlaceError


def with_care(
    city: CityMap,
    wanted: Service,
    standing: Placement | None,
    place_on: PlaceOn,
    *,
    below: Placement | None,
    sound: Callable[[], bool],
    explained: bool,
) -> Placement:
    """Return the placement; raises CannotPlaceError.

    below: what a VIP protects; sound: whether what stands still serves; explained: say which way was left for one that
    does not wear out, which takes placing twice. Planes choose their borders with care, all else of their ways is their
    routers' choice.
    """
    quiet = calm(city)
    if quiet is None:
        return _as_noted(place_on(city), standing)
    if isinstance(wanted, DedicatedPlane):
        found = place_on(city)
        return _as_noted(_noted(found, AVOIDS, fading_under(city, _left_aside(city, found)), "it is fading"), standing)
    if isinstance(wanted, VipAssurance) and below is not None:
        place_on = _over_borders(city, wanted, below, place_on)
    if standing is not None and not city.standby_only and sound():
        found = place_on(city)
        if _worn(city, found) <= _worn(city, standing):  # what was led away is not led back by the way
            return _as_noted(found, standing)
    try:
        found = _around(quiet, wary(city), wanted, place_on)
    except CannotPlaceError:
        if wary(city) is city:
            raise
        found = _led(city, place_on)
        return _noted(found, RIDES, _worn(city, found), "it is fading, and no way around it keeps what is asked")
    standby = fading_under(city, stands_by_over(found))
    if standby or not explained or city.standby_only:
        return _as_noted(_noted(found, STANDS_BY, standby, "which is fading: no other way", ", "), standing)
    try:
        return _noted(found, AVOIDS, _worn(city, place_on(city)), "it is fading")
    except CannotPlaceError:
        return found


def _left_aside(city: CityMap, plane: Placement) -> Iterator[str]:
    """Yield the borders that would carry a plane first, and do not: they are up, and another one comes before them."""
    between: dict[frozenset[str], list[tuple[int, Link]]] = {}
    for stitch in plane.stitches:
        link = city.link_by_id.get(stitch.link or "")
        if link is not None and link.up:
            between.setdefault(frozenset((stitch.a.domain, stitch.z.domain)), []).append((stitch.rank, link))
    for stitched in between.values():
        carries = min(stitched, key=lambda one: one[0])[1]
        yield from (link.id for _, link in stitched if link.rank < carries.rank)


def _over_borders(city: CityMap, wanted: VipAssurance, below: Placement, place_on: PlaceOn) -> PlaceOn:
    """Have a VIP say where the border that it crosses wears out: it has no choice of its own there."""

    def noted(other: CityMap) -> Placement:
        found = place_on(other)
        worn = fading_under(city, crossed_by(city, found, below))
        return _noted(found, RIDES, worn, f"it is fading, and the border of {wanted.protects} runs over it")

    return noted


def _around(quiet: CityMap, spare: CityMap, wanted: Service, place_on: PlaceOn) -> Placement:
    """Place without what is worn, or with it only standing by where that is refused, or leaves more without a standby.

    A VIP has a standby wherever there is one, and none is promised: being led around is not to cost it that.
    """
    found = None
    try:
        found = place_on(quiet)
        if not _unguarded(wanted, found):
            return found
        other = _led(spare, place_on)
    except CannotPlaceError:
        if found is not None:
            return found
        return _led(spare, place_on)
    return other if _unguarded(wanted, other) < _unguarded(wanted, found) else found


def _led(city: CityMap, place_on: PlaceOn) -> Placement:
    """Place on a map; what may only stand by there carries nothing."""
    found = place_on(city)
    left = sorted(city.standby_only & carried_by(found)) if city.standby_only else ()
    if left:
        raise CannotPlaceError(f"every way it can take works over {left[0].partition(':')[2]}")
    return found


def _unguarded(wanted: Service, found: Placement) -> int:
    return sum(t.standby is None for t in found.tunnels) if isinstance(wanted, VipAssurance) else 0


def _worn(city: CityMap, placement: Placement) -> frozenset[str]:
    return frozenset(fading_under(city, worked_over(placement)))


def _noted(found: Placement, verb: str, fibres: Iterable[str], why: str, mark: str = ": ") -> Placement:
    notes = tuple(f"{verb}{f}{mark}{why}" for f in sorted(fibres))
    return replace(found, notes=(*found.notes, *notes)) if notes else found


def _as_noted(found: Placement, standing: Placement | None) -> Placement:
    """Return what stands where nothing but its words on fading fibres differs: those were of their day."""
    return standing if standing is not None and _plain(found) == _plain(standing) else found


def _plain(placement: Placement) -> Placement:
    notes = tuple(n for n in placement.notes if not n.startswith((RIDES, AVOIDS, STANDS_BY)))
    return placement if notes == placement.notes else replace(placement, notes=notes)
