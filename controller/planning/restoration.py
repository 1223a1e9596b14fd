"""Shared restoration: a second way kept free for a circuit, in common with circuits that cannot fail with it.

What takes a working way down has names that stay the same on every map: its fibres, their ducts, the nodes that it
passes. Two circuits without any of them in common are never both cut by one failure, so one channel or slot kept free
serves both; whoever needs it first has it, and gives the others notice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod

from controller.intent.model import ServiceId
from controller.network.ledger import Ledger
from controller.network.model import CityMap, Fibre, OduLink
from controller.planning.emergency import is_emergency, marked
from controller.planning.placement import CircuitPlacement, LabelReservation, Leg, Placement

# The share of time for which we assume that another has taken what is kept in common: ten rivals over ways of 99.9 %.
TAKEN_BY_OTHERS = 0.01
LIGHT = ("channel:", "slot:")
LEFT = ServiceId("left/light")


def risks_under(parts: Iterable[Fibre | OduLink], fibres: dict[str, Fibre], ends: frozenset[str]) -> tuple[str, ...]:
    """Return what takes a way down, in order: the fibres under its parts, their ducts, the nodes between its ends."""
    found: set[str] = set()
    for part in parts:
        under = [part] if isinstance(part, Fibre) else [fibres[f] for f in part.fibres if f in fibres]
        found |= {f"fibre:{f.id}" for f in under} | {f"srlg:{r}" for p in (part, *under) for r in p.srlgs}
        found |= {f"node:{n}" for p in (part, *under) for n in (p.a, p.z) if n not in ends}
    return tuple(sorted(found))


def with_contention(one_way: float, both: float) -> float:
    """Return the availability of a way whose second is kept in common: sometimes another has taken that."""
    return both - (1 - one_way) * TAKEN_BY_OTHERS


def labels_of(circuit: CircuitPlacement, leg: Leg) -> Iterable[tuple[str, int]]:
    """Yield each resource and label that a leg needs."""
    for position, hop in enumerate(leg.route):
        if circuit.layer == "wavelength":
            yield f"channel:{hop}", leg.channel or 0
        else:
            yield from ((f"slot:{hop}", slot) for slot in leg.slots[position])


def giving_way(ledger: Ledger, placement: Placement, before: Placement | None) -> tuple[ServiceId, ...]:
    """Return who keeps in common what this placement, which kept it too, has in use now."""
    if before is None or not any(c.shared for c in before.circuits):
        return ()
    used = [r for r in placement.labels if not r.stands_by_for and r.resource.startswith(LIGHT)]
    return tuple(sorted({s for r in used for s in ledger.rivals(r)} - {placement.service}))


def light_left(before: Placement, after: Placement) -> list[LabelReservation]:
    """Return the channels and slots of a placement that the next one has no more."""
    held = {(r.resource, r.label) for r in after.labels}
    return [r for r in before.labels if (r.resource, r.label) not in held and r.resource.startswith(LIGHT)]


def beside(ledger: Ledger, left: Iterable[LabelReservation], own: Placement | None) -> Ledger | None:
    """Return a ledger in which light that was left is held still, but for one's own; None: nothing was left.

    Until a change has ended, an optical domain holds what a circuit has and what it will have. If another service of
    the same change had that, it would fail as a whole, and be tried again in parts.
    """
    mine = {(r.resource, r.label) for r in own.labels} if own is not None else set()
    held = [r for r in left if (r.resource, r.label) not in mine and not ledger.rivals(r)]
    if not held:
        return None
    found = ledger.copy()
    for label in held:
        found.take(LEFT, label)
    return found


def sharing_with(ledger: Ledger, placement: Placement) -> tuple[ServiceId, ...]:
    """Return who keeps something in common with a placement: they give way if it has to be lit."""
    kept = [LabelReservation(r.resource, r.label, r.start, r.end) for r in placement.labels if r.stands_by_for]
    return tuple(sorted({s for r in kept for s in ledger.rivals(r)} - {placement.service}))


def unguarded(city: CityMap, placement: Placement, taken: frozenset[tuple[str, int]]) -> Placement:
    """Return a placement without the ways kept for it of which something was taken; what works goes on as it is."""
    circuits, promises = list(placement.circuits), list(placement.promises)
    gone: set[tuple[str, int]] = set()
    for at, circuit in enumerate(placement.circuits):
        kept = set(labels_of(circuit, circuit.protect)) if circuit.shared and circuit.protect is not None else set()
        if taken.isdisjoint(kept):
            continue
        gone |= kept
        circuits[at] = replace(circuit, protect=None, shared=False)
        promises[at] = replace(promises[at], standby_delay_s=None, availability=_of_one_way(circuit, city))
    labels = tuple(r for r in placement.labels if not r.stands_by_for or (r.resource, r.label) not in gone)
    left = replace(placement, circuits=tuple(circuits), promises=tuple(promises), labels=labels)
    return left if is_emergency(left) else marked(left)


def _of_one_way(circuit: CircuitPlacement, city: CityMap) -> float:
    parts = [city.fibres.get(hop) or city.odu_links.get(hop) for hop in circuit.working.route]
    known = [part for part in parts if part is not None]
    passed = {n for part in known for n in (part.a, part.z)} - {circuit.a.node, circuit.z.node}
    return prod(part.availability for part in known) * prod(city.nodes[n].availability for n in passed)
