"""What nothing carries and was refused is placed once more: sooner without a standby than not at all."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from controller.intent.model import Service, ServiceId
from controller.network.model import CityMap
from controller.planning.emergency import marked, relaxed
from controller.planning.place import PlanOutcome, Standing, place


def at_any_rate(
    city: CityMap,
    outcome: PlanOutcome,
    services: Sequence[Service],
    standing: Standing,
    now: datetime,
    dead: AbstractSet[ServiceId],
) -> PlanOutcome:
    """Return the outcome of a batch with what is dead and was refused placed where that can be.

    `standing`: as the batch was placed on; `services`: all of the batch.
    """
    refused = {r.service for r in outcome.refusals} & dead
    if not refused:
        return outcome
    less = [relaxed(s) for s in services if s.metadata.service in refused]
    named = {s.metadata.service: s for s in services}
    so_far = {sid: (named[sid], placement) for sid, placement in outcome.placements.items()}
    so_far |= {sid: (standing[sid][0], placement) for sid, placement in outcome.unguarded.items()}
    there = outcome.city or city
    second = place(there, outcome.ledger, less, {**standing, **so_far}, now, explain=False)
    found = {sid: marked(placement) for sid, placement in second.placements.items()}
    unguarded = {**outcome.unguarded, **second.unguarded}
    placements = {**outcome.placements, **found}
    placements.update((sid, unguarded.pop(sid)) for sid in sorted(unguarded.keys() & placements.keys()))
    left = tuple(r for r in outcome.refusals if r.service not in found)
    return PlanOutcome(placements, left, second.ledger, unguarded, second.city or outcome.city)
