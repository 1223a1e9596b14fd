"""What only the old placements of a change hold: reserved under names of their own until the change has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from controller.changes.state import Standing
from controller.intent.model import ServiceId
from controller.network.labels import Instant, overlap
from controller.planning.placement import LabelReservation, Placement, RateReservation

Services = Mapping[ServiceId, Standing]


def leavings(before: Services, after: Services, concerned: Iterable[ServiceId], change_id: str) -> list[Placement]:
    """Return what only the old placements hold, under names of their own, until the change has ended."""
    found = []
    for sid in sorted(concerned):
        old = before.get(sid)
        if old is None or old.expired:
            continue
        new = after.get(sid)
        kept = new.placement if new is not None and not new.expired else None
        labels = _left(old.placement.labels, kept.labels if kept else ())
        rates = _less(old.placement.rates, kept.rates if kept else ())
        if labels or rates:
            found.append(Placement(ServiceId(f"{sid}#{change_id}"), old.placement.kind, 0, rates=rates, labels=labels))
    return found


def _left(old: Iterable[LabelReservation], new: Iterable[LabelReservation]) -> tuple[LabelReservation, ...]:
    held = {(label.resource, label.label, label.stands_by_for): label for label in new}
    left: list[LabelReservation] = []
    for label in old:
        kept = held.get((label.resource, label.label, label.stands_by_for))
        outside = [(label.start, label.end)] if kept is None else outside_of(label, kept)
        left += [replace(label, start=start, end=end) for start, end in outside]
    return tuple(left)


def _less(old: Iterable[RateReservation], new: Iterable[RateReservation]) -> tuple[RateReservation, ...]:
    """Return what of the old rates the new ones do not cover: less of it at the same time, all of it at others."""
    new = tuple(new)
    held: dict[str, int] = {}
    when: dict[str, RateReservation] = {}
    for rate in new:
        held[rate.link] = held.get(rate.link, 0) + rate.rate_bps
        when[rate.link] = rate  # those of one service have one window
    left = []
    for rate in old:
        covered = min(rate.rate_bps, held.get(rate.link, 0))
        held[rate.link] = held.get(rate.link, 0) - covered
        if rate.rate_bps > covered:
            left.append(replace(rate, rate_bps=rate.rate_bps - covered))
        if covered:
            outside = outside_of(rate, when[rate.link])
            left += [replace(rate, rate_bps=covered, start=start, end=end) for start, end in outside]
    return tuple(left)


def outside_of(
    held: RateReservation | LabelReservation, kept: RateReservation | LabelReservation
) -> list[tuple[Instant, Instant]]:
    """Return when something is held that is not kept then."""
    if not overlap(held.start, held.end, kept.start, kept.end):
        return [(held.start, held.end)]
    found: list[tuple[Instant, Instant]] = []
    if kept.start is not None and (held.start is None or held.start < kept.start):
        found.append((held.start, kept.start))
    if kept.end is not None and (held.end is None or held.end > kept.end):
        found.append((kept.end, held.end))
    return found
