"""What a service looks like: the words around its window."""

from __future__ import annotations

from datetime import timedelta

from controller.answers.status import _in_time, _until
from controller.changes.views import Condition
from tests.changes.wanted import NOW


def test_a_window_that_did_not_turn_in_time_is_late_and_not_about_to() -> None:
    def said(left_s: float) -> str:
        return _until(NOW + timedelta(seconds=left_s), "opens", "should have opened", NOW)

    assert said(90.0) == "opens in 90 s"
    assert said(-0.3) == "opens in 0 ms"
    assert said(-150.0) == "should have opened 2 min ago"


def test_nothing_is_ready_whose_window_should_have_opened_long_ago() -> None:
    armed = Condition("Ready", "True", "Armed", "8 tunnels up")
    lacking = Condition("Ready", "False", "NotReady", "city-ip cannot be reached")
    assert _in_time(armed, NOW + timedelta(seconds=60), NOW) == armed
    assert _in_time(armed, None, NOW) == armed
    late = _in_time(armed, NOW - timedelta(seconds=90), NOW)
    assert (late.status, late.reason, late.message) == ("False", "Late", "its window should have opened 90 s ago")
    assert _in_time(lacking, NOW - timedelta(seconds=90), NOW) == lacking
