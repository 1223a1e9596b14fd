"""A late party is one edit of the intent: it is let in beside the others, of whom nothing is taken away or moved."""

from __future__ import annotations

import re

from controller.changes.leaves import leaves
from controller.changes.pipeline import Wanted
from controller.changes.state import DesiredState
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from tests.changes.wanted import council, empty, office, planned, services

COUNCIL = ServiceId("gov/council")


def _open(parties: int) -> str:
    window = 'window: {start: "2026-11-21T07:00:00Z", end: "2026-11-21T11:00:00Z"}'
    return re.sub(r"window: .*", window, council(0, 60, parties))


def _configured(state: DesiredState) -> dict[str, str]:
    desired = state.desired
    return {f"{d}{place.text}": place.value for d in desired.domains for place in leaves(desired.tree(d))}


def test_a_late_party_is_let_in_and_nothing_of_the_others_goes_or_moves(city: CityMap) -> None:
    before = planned(city, *empty(city), Wanted(services(office(), _open(20))))
    assert before.after.services[COUNCIL].active
    late = planned(city, before.after, before.model, Wanted(services(_open(21))))
    (action,) = (p for p in late.plans if p.action != "unchanged")
    assert (action.service, action.impact) == (COUNCIL, "none")
    had, has = _configured(before.after), _configured(late.after)
    assert had.keys() <= has.keys()
    changed = {path for path in had if had[path] != has[path]}
    assert all("bandwidth" in path or "rate" in path for path in changed), changed  # there is one more to carry
    address = "10.10.1.40"  # of the late one
    assert any(address in path or address in value for path, value in has.items() if path not in had)
    assert not any(address in value for value in had.values())


def test_a_party_that_leaves_takes_nothing_of_the_others_along(city: CityMap) -> None:
    many = planned(city, *empty(city), Wanted(services(office(), _open(21))))
    fewer = planned(city, many.after, many.model, Wanted(services(_open(20))))
    few = planned(city, *empty(city), Wanted(services(office(), _open(20))))
    assert all(p.impact == "none" for p in fewer.plans)
    assert _configured(fewer.after).keys() == _configured(few.after).keys()
