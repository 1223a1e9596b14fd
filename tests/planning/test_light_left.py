"""What a service of a change leaves in the optical layer is nobody else's before that change has ended."""

from __future__ import annotations

from dataclasses import replace

from controller.intent.model import Boundaries, Isolation, Protection, Slo
from controller.network.ledger import Ledger
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import LabelReservation, Placement
from tests.support.cities import city_map
from tests.support.intents import NOW, slice_between

CITY = city_map("longgang")
LEAST = {"isolation": Isolation.TIMESLOT, "protection": Protection.NONE, "slo": Slo(availability=0.9)}
STANDS = slice_between("a-stands", "zhihui", "buji", **LEAST)
COMES = slice_between(
    "b-comes", "nanwan", "buji", **LEAST, boundaries=Boundaries(exclude_nodes=frozenset({"otn-jihua"}))
)
ELSEWHERE = replace(STANDS, boundaries=Boundaries(exclude_nodes=frozenset({"otn-nanwan"})))  # the other way round
OTHERS = LabelReservation("slot:odu-f-nanwan-buji-1", 0)


def _slots(placement: Placement) -> set[tuple[str, int]]:
    return {(r.resource, r.label) for r in placement.labels if r.resource.startswith("slot:")}


def _moved(*, slots_elsewhere: bool) -> tuple[Placement, PlanOutcome]:
    """Return what stood, and the change in which it goes elsewhere while another comes to where it was."""
    first = place(CITY, Ledger(CITY), [STANDS], {}, NOW)
    before = first.placements[STANDS.metadata.service]
    if not slots_elsewhere:
        taken = {label for resource, label in _slots(before) if resource == OTHERS.resource}
        assert taken
        for label in sorted(set(range(1, CITY.odu_links["odu-f-nanwan-buji-1"].slots + 1)) - taken):
            if first.ledger.holder(OTHERS.resource, label) is None:
                first.ledger.take(COMES.metadata.service, replace(OTHERS, label=label))
    return before, place(CITY, first.ledger, [ELSEWHERE, COMES], {STANDS.metadata.service: (STANDS, before)}, NOW)


def test_who_comes_takes_no_slot_that_another_of_the_change_leaves() -> None:
    before, both = _moved(slots_elsewhere=True)
    assert not both.refusals
    for placement in both.placements.values():
        assert _slots(placement).isdisjoint(_slots(before))
    for name in sorted(both.placements):
        both.ledger.remove(name)
    assert both.ledger.dump() == Ledger(CITY).dump()


def test_who_fits_nowhere_else_takes_it() -> None:
    """The change is tried in parts then: that is better than to refuse what there is room for."""
    before, both = _moved(slots_elsewhere=False)
    assert not both.refusals
    assert not _slots(both.placements[COMES.metadata.service]).isdisjoint(_slots(before))
