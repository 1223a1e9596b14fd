"""What a service looks like: the words around its window."""

from __future__ import annotations

from datetime import timedelta

from controller.answers.status import _until
from tests.changes.wanted import NOW


def test_a_window_that_did_not_turn_in_time_is_late_and_not_about_to() -> None:
    def said(left_s: float) -> str:
        return _until(NOW + timedelta(seconds=left_s), "opens", "should have opened", NOW)

    assert said(90.0) == "opens in 90 s"
    assert said(-0.3) == "opens in 0 ms"
    assert said(-150.0) == "should have opened 2 min ago"
