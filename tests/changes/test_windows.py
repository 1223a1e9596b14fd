"""Windows turn by what the clock says now, never by what a timer was once set to."""

from __future__ import annotations

from datetime import timedelta

from controller.changes.pipeline import Wanted
from controller.changes.state import DesiredState
from controller.changes.windows import LONGEST_SLEEP_S, due, next_turn
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from tests.changes.wanted import NOW, council, empty, office, planned, services

COUNCIL = ServiceId("gov/council")


def _scheduled(city: CityMap) -> DesiredState:
    text = council(0, 60)
    window = text[text.index("  window:") : text.index("  conference:")]
    text = text.replace(window, '  window: {start: "2026-11-21T09:00:00Z", duration: 1h}\n')
    return planned(city, *empty(city), Wanted(services(office(), text))).after


def test_a_window_is_due_from_its_start_and_over_at_its_end(city: CityMap) -> None:
    state = _scheduled(city)
    start, end = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    assert due(state, start - timedelta(microseconds=1)) == Wanted()
    assert due(state, start).opens == {COUNCIL}
    assert due(state, end - timedelta(microseconds=1)).opens == {COUNCIL}
    assert due(state, end).closes == {COUNCIL}


def test_a_daemon_that_slept_through_a_window_closes_it_without_opening_it(city: CityMap) -> None:
    found = due(_scheduled(city), NOW + timedelta(days=3))
    assert found.closes == {COUNCIL}
    assert not found.opens


def test_the_clock_is_asked_again_long_before_a_far_window(city: CityMap) -> None:
    state = _scheduled(city)
    assert next_turn(state, NOW) == NOW + timedelta(seconds=LONGEST_SLEEP_S)
    just_before = NOW + timedelta(hours=1) - timedelta(seconds=2)
    assert next_turn(state, just_before) == NOW + timedelta(hours=1)
