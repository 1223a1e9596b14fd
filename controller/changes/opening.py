"""Proofs ahead: what is accepted for a window to come is proven as it will be when that opens.

The configuration of that moment is made from what stands: with everything that is open then, without what has gone by
then. Rooms and labels were given for the whole window when the service was placed; what only configuration shows (a
leaf that two claim, a prefix that leads elsewhere) would else come out at the opening, when nobody can wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from controller.changes.state import DesiredState, Standing, promised
from controller.errors import ConflictError
from controller.intent.model import Service, ServiceId
from controller.network.model import CityMap
from controller.planning.draft import instant_words
from controller.rendering.desired import Desired
from controller.rendering.desired import edits as edits_between
from controller.verification.model import ConfigurationModel
from controller.verification.proof import CounterExample, Proofs
from controller.verification.prove import prove

MOST_MOMENTS = 16  # openings that one change is proven for ahead; a later one is proven when it comes, as all are then


def asked_of(services: Mapping[ServiceId, Standing]) -> dict[ServiceId, Service]:
    """Return what is to be proven of services."""
    return {sid: promised(s) for sid, s in services.items()}


def with_openings(
    proofs: Proofs,
    after: DesiredState,
    model: ConfigurationModel,
    city: CityMap,
    puts: Mapping[ServiceId, Standing],
) -> Proofs:
    """Return the proofs of a change and of every opening that it brings about, the nearest first.

    model: of `after`, the state that the change leads to. Raises ConflictError where two services would claim one leaf.
    """
    coming = {sid: s for sid, s in puts.items() if not s.active and not s.expired and s.placement.start is not None}
    moments = sorted({s.placement.start for s in coming.values() if s.placement.start is not None})
    for moment in moments[:MOST_MOMENTS]:
        opening = {sid: s for sid, s in coming.items() if s.placement.start == moment}
        found = _at(moment, after, model, city, opening)
        if found is not None:
            proofs = _both(proofs, found)
    return proofs


def _at(
    moment: datetime,
    after: DesiredState,
    model: ConfigurationModel,
    city: CityMap,
    opening: Mapping[ServiceId, Standing],
) -> Proofs | None:
    """Prove an opening; None where others, who were accepted before, would already not stand beside each other."""
    there = {sid: s for sid, s in after.services.items() if not s.expired and s.window_state(moment) in _STANDS}
    beside = {sid: s for sid, s in there.items() if sid not in opening}
    try:
        before = _turned(after.desired, after.services, beside)
    except ConflictError:
        return None
    edits = edits_between(after.desired, before)
    ground = model.updated({e.domain: before.tree(e.domain) for e in edits}, edits)
    desired = before.with_changes({sid: s.fragments for sid, s in opening.items()})
    edits = edits_between(before, desired)
    opened = ground.updated({e.domain: desired.tree(e.domain) for e in edits}, edits)
    found = prove(opened, city, asked_of(there), opening.keys())
    when = f" (when its window opens, {instant_words(moment)})"
    return replace(found, broken=tuple(replace(b, reason=b.reason + when) for b in found.broken))


_STANDS = ("always", "open")


def _turned(desired: Desired, services: Mapping[ServiceId, Standing], there: Mapping[ServiceId, Standing]) -> Desired:
    """Return the configuration with just these services in it."""
    comes = {sid: s.fragments for sid, s in there.items() if not s.active}
    goes = {sid for sid, s in services.items() if s.active and sid not in there}
    return desired.with_changes(comes, goes) if comes or goes else desired


def _both(one: Proofs, other: Proofs) -> Proofs:
    broken: Iterable[CounterExample] = dict.fromkeys((*one.broken, *other.broken))
    held = tuple(p for p in one.held if p in other.held)
    return Proofs(held, tuple(broken), one.checks + other.checks)
