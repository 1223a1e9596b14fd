"""What engineers ask of planning, over a live city: moves that the domains accept, reasons, other objectives."""

from __future__ import annotations

import pytest

from tests.end_to_end.intents import slice_over_three
from tests.support.stage import COMMITTED, Stage


@pytest.mark.parametrize("isolation", ["timeslot", "wavelength"])
def test_a_slice_whose_ends_move_is_built_beside_the_old_one(longgang: Stage, isolation: str) -> None:
    before = slice_over_three().replace("isolation: timeslot", f"isolation: {isolation}").replace("99.99%", "99%")
    before = before.replace("protection: standby", "protection: none").replace("longgang", "compute")
    assert longgang.client.apply(before)[1].outcome == COMMITTED
    result = longgang.client.apply(before.replace("buji", "nanwan"))[1]
    assert result.outcome == COMMITTED, result.message
    assert not any(longgang.client.differences().values())
