"""What only the old placements of a change hold: reserved under names of their own until the change has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from controller.changes.state import Standing
from controller.intent.model import ServiceId
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
    held = {(label.resource, label.label, label.stands_by_for) for label in new}
    return tuple(label for label in old if (label.resource, label.label, label.stands_by_for) not in held)


def _less(old: Iterable[RateReservation], new: Iterable[RateReservation]) -> tuple[RateReservation, ...]:
    held: dict[str, int] = {}
    for rate in new:
        held[rate.link] = held.get(rate.link, 0) + rate.rate_bps
    left = []
    for rate in old:
        covered = min(rate.rate_bps, held.get(rate.link, 0))
        held[rate.link] = held.get(rate.link, 0) - covered
        if rate.rate_bps > covered:
            left.append(replace(rate, rate_bps=rate.rate_bps - covered))
    return tuple(left)
