"""Windows turn by what the clock says now, never by what a timer was once set to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from controller.changes import windows
from controller.changes.pipeline import Wanted
from controller.changes.state import DesiredState
from controller.changes.windows import LONGEST_SLEEP_S, due, keep, next_turn
from controller.errors import ConflictError
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


class _Keeper:
    """Windows that are kept at a moment that stands still; what each turn was asked for."""

    def __init__(self, state: DesiredState) -> None:
        self.state, self.now = state, NOW + timedelta(hours=1)
        self.down = frozenset[str]()
        self.asked: list[Wanted] = []
        self.moved, self._more = asyncio.Event(), asyncio.Condition()
        self.during: Callable[[], None] = lambda: None

    async def turn(self, wanted: Wanted) -> None:
        async with self._more:
            self.asked.append(wanted)
            self._more.notify_all()
        self.during()

    async def run(self, turns: int, *, within_s: float = 20.0) -> None:
        """Keep windows until so many turns were asked for."""
        keeping = asyncio.create_task(keep(lambda: self.state, lambda: self.now, self.turn, self.moved, self._down))
        try:
            async with asyncio.timeout(within_s), self._more:
                await self._more.wait_for(lambda: len(self.asked) >= turns)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    def _down(self) -> frozenset[str]:
        return self.down


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


async def test_a_window_waits_for_a_domain_out_of_reach_without_a_try_and_turns_when_it_answers(
    city: CityMap, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(windows, "RETRY_S", 0.02)
    keeper = _Keeper(_scheduled(city))
    keeper.down = frozenset({"city-ip"})
    with pytest.raises(TimeoutError):
        await keeper.run(1, within_s=0.3)
    assert keeper.asked == []
    assert len(_errors(caplog)) == 1, "it is said once, and not with every look"
    assert "gov/council waits for city-ip, out of reach" in _errors(caplog)[0]
    keeper.down = frozenset({"compute-ip"})  # touches nothing of it
    await keeper.run(1)
    assert keeper.asked[0].opens == {COUNCIL}


async def test_a_turn_that_fails_is_tried_again_ever_later_and_told_once_for_each_reason(
    city: CityMap, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(windows, "RETRY_S", 0.01)
    keeper = _Keeper(_scheduled(city))

    def refuse() -> None:
        keeper.moved.set()  # as a change does that took something and let it go again
        raise ConflictError("no room" if len(keeper.asked) < 4 else "still no room")

    keeper.during = refuse
    await keeper.run(6)
    assert [e.partition(": ")[2] for e in _errors(caplog)] == ["no room", "still no room"]


async def test_a_defect_does_not_keep_windows_from_turning(city: CityMap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "RETRY_S", 0.01)
    keeper = _Keeper(_scheduled(city))

    def fail() -> None:
        if len(keeper.asked) == 1:
            raise KeyError("a defect")

    keeper.during = fail
    await keeper.run(2)


async def test_what_becomes_due_while_another_window_turns_does_not_wait(city: CityMap) -> None:
    keeper = _Keeper(_scheduled(city))

    def change() -> None:
        keeper.now += timedelta(hours=1)  # the window ends while it is being opened
        keeper.moved.set()

    keeper.during = change
    await keeper.run(2, within_s=LONGEST_SLEEP_S - 2.0)
    assert keeper.asked[1].closes == {COUNCIL}
