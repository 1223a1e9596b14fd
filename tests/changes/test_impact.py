"""What traffic notices of a changed field depends on where the planner puts the service, not on what was written."""

from __future__ import annotations

import pytest

from controller.changes.pipeline import Wanted
from controller.network.model import CityMap
from tests.changes.wanted import empty, office, planned, services, slice_over_three

PLANE, SLICE = office(), slice_over_three()


@pytest.mark.parametrize("text", [PLANE, SLICE])
def test_to_pin_the_vlan_that_the_planner_had_chosen_moves_nothing(city: CityMap, text: str) -> None:
    stands = planned(city, *empty(city), Wanted(services(text)))
    (standing,) = stands.after.services.values()
    chosen = next(a.vlan for a in standing.placement.attachments if a.site == "longgang")
    for vlan, impact in ((chosen, "none"), (chosen + 7, "interrupting")):
        pinned = text.replace("{site: longgang,", f"{{site: longgang, vlan: {vlan},")
        (action,) = planned(city, stands.after, stands.model, Wanted(services(pinned))).plans
        assert action.impact == impact
        assert [(f.path.rpartition(".")[2], f.impact) for f in action.fields] == [("vlan", impact)]
    pinned = text.replace("{site: longgang,", f"{{site: longgang, vlan: {chosen},")
    stands = planned(city, stands.after, stands.model, Wanted(services(pinned)))
    (action,) = planned(city, stands.after, stands.model, Wanted(services(text))).plans
    assert action.impact == "none"
