"""Incidents as the store keeps them, and back: one that is open outlives the daemon that opened it."""

from __future__ import annotations

from collections.abc import Sequence

from controller.assurance.incidents import Entry, Incident
from controller.store.attained import KeptIncident


def kept(incident: Incident, seen: float) -> KeptIncident:
    """Return an incident as it is kept; seen: seconds since the epoch."""
    return KeptIncident(
        incident.id,
        incident.opened,
        seen,
        incident.closed,
        incident.kind,
        incident.root,
        incident.title,
        incident.severity,
        tuple(sorted(incident.services)),
        tuple(sorted(incident.dead)),
        tuple(sorted(incident.members)),
        incident.flaps,
        tuple((entry.at, entry.text, entry.said_at) for entry in incident.timeline),
    )


def remembered(found: Sequence[KeptIncident], now: float) -> tuple[Incident, ...]:
    """Return kept incidents as they stood; now: monotonic seconds, from which the open ones are watched again."""
    return tuple(
        Incident(
            one.id,
            one.root,
            one.kind,
            one.title,
            one.opened,
            now,
            frozenset(one.members or (one.root,)),
            set(one.services),
            set(one.dead),
            [Entry(*entry) for entry in one.timeline],
            told=True,
            closed=one.closed,
            flaps=one.flaps,
            version=1,
        )
        for one in found
    )
