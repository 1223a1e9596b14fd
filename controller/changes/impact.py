"""What traffic really notices of a changed service: what its fields declare, or worse where light has to move.

A field says what a change of it may do at best. A circuit that keeps its name is changed in place by the optical
domain: 1+1 hides a leg that moves while the other one carries; every other change of it stops its light for a moment,
a resize too, since no container of a constant bit rate can be resized while it carries (G.7044).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from controller.intent import FieldChange, Impact
from controller.planning.placement import CircuitPlacement, Placement

_ACCESS = re.compile(r"spec\.(?:sites|endpoints)\[([^\]]*)\]\.(vlan|port)")
_ORDER = (Impact.NONE, Impact.MAKE_BEFORE_BREAK, Impact.INTERRUPTING)


def impact_of(fields: Sequence[FieldChange], old: Placement | None, new: Placement | None) -> Impact:
    """Return the worst that happens to the service's traffic. Without placements: what its fields declare."""
    declared = [field.impact for field in fields]
    return max([*declared, *_moved_circuits(old, new)], key=_ORDER.index, default=Impact.NONE)


def as_placed(fields: Sequence[FieldChange], old: Placement | None, new: Placement | None) -> tuple[FieldChange, ...]:
    """Return the fields with what their placements make of them: to pin what the planner had chosen moves nothing."""
    if old is None or new is None:
        return tuple(fields)
    before = {a.access: (a.node, a.port, a.vlan) for a in old.attachments}
    after = {a.access: (a.node, a.port, a.vlan) for a in new.attachments}

    def stays(field: FieldChange) -> bool:
        found = _ACCESS.fullmatch(field.path)
        return found is not None and before.get(found[1], ()) == after.get(found[1])

    return tuple(replace(field, impact=Impact.NONE) if stays(field) else field for field in fields)


def stops_everywhere(old: Placement | None, new: Placement | None) -> bool:
    """Say whether light stops under the service, so that no part of it is spared."""
    return Impact.INTERRUPTING in _moved_circuits(old, new)


def _moved_circuits(old: Placement | None, new: Placement | None) -> list[Impact]:
    if old is None or new is None:
        return []
    standing = {circuit.id: circuit for circuit in old.circuits}
    return [_moved(standing[c.id], c) for c in new.circuits if c.id in standing]


def _moved(old: CircuitPlacement, new: CircuitPlacement) -> Impact:
    if (old.layer, old.odu, old.mode, old.a, old.z) != (new.layer, new.odu, new.mode, new.a, new.z):
        return Impact.INTERRUPTING
    if old.working == new.working:
        return Impact.NONE
    covered = old.standby is not None and old.standby == new.standby
    return Impact.MAKE_BEFORE_BREAK if covered else Impact.INTERRUPTING
