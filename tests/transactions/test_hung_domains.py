"""A hung domain costs the others one deadline, not one for each thing that is tried on it."""

from __future__ import annotations

import time

import pytest

from controller.southbound.driver import DomainTimers
from controller.transactions.engine import Transactions
from controller.transactions.step import StepOutcome
from tests.transactions.model_city import NAMES, City

DEADLINE_S = 0.1


@pytest.fixture
async def city(monkeypatch):
    monkeypatch.setattr("controller.transactions.calls._GRACE_S", 0.0)
    monkeypatch.setattr("controller.transactions.protocol._HUNG_S", DEADLINE_S / 2)
    city = City()
    timers = DomainTimers(DEADLINE_S, DEADLINE_S, DEADLINE_S, 60.0, DEADLINE_S)
    city.engine = Transactions(city.journal, city.domains, dict.fromkeys(NAMES, timers), time.monotonic)
    yield city
    await city.engine.close()


@pytest.mark.parametrize("verb", ["prepare", "commit", "read"])
async def test_before_the_decision_it_is_taken_back_in_the_background(city, verb):
    for hung in (verb, "cancel"):
        city.fault("city-ip", hung, "hang")
    started = time.monotonic()
    result = await city.apply()
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert "ended in the background" in result.failures[-1].message
    other = await city.apply("c2", names=("city-otn", "district-ip"), entry="y")
    assert other.outcome is StepOutcome.COMMITTED
    assert time.monotonic() - started < 1.7 * DEADLINE_S
    await city.ended()
    assert city.values() == [None, None, None]
    assert city.settled()


async def test_after_the_decision_it_is_confirmed_in_the_background(city):
    for hung in ("confirm", "outcome"):
        city.fault("city-ip", hung, "hang")
    started = time.monotonic()
    assert (await city.apply()).outcome is StepOutcome.IN_DOUBT
    other = await city.apply("c2", names=("city-otn", "district-ip"), entry="y")
    assert other.outcome is StepOutcome.COMMITTED
    assert time.monotonic() - started < 1.7 * DEADLINE_S
    await city.ended()
    assert city.values() == ["1", "1", "1"]
    assert city.settled()


async def test_a_connection_that_is_lost_at_once_is_tried_again_at_once(city):
    city.fault("city-ip", "commit", "late")
    assert (await city.apply()).outcome is StepOutcome.ROLLED_BACK
    assert city.values() == [None, None, None]
    assert city.engine.unsettled() == {}
