"""A hung domain costs the others one deadline, not one for each thing that is tried on it."""

from __future__ import annotations

import asyncio
import time

import pytest

from controller.southbound.driver import DomainTimers
from controller.transactions.engine import Transactions
from controller.transactions.step import StepOutcome
from tests.transactions.model_city import NAMES, City

DEADLINE_S = 0.1
pytestmark = pytest.mark.alone


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


@pytest.mark.parametrize("verb", ["prepare", "read"])
async def test_whatever_it_hangs_in_it_holds_others_for_one_commit_deadline(city, verb):
    patient = DomainTimers(DEADLINE_S, 50 * DEADLINE_S, DEADLINE_S, 60.0, 50 * DEADLINE_S)
    city.engine = Transactions(city.journal, city.domains, dict.fromkeys(NAMES, patient), time.monotonic)
    for hung in (verb, "cancel"):
        city.fault("city-ip", hung, "hang")
    started = time.monotonic()
    first = asyncio.create_task(city.apply())
    await asyncio.sleep(DEADLINE_S / 10)
    other = await city.apply("c2", names=("city-otn", "district-ip"), entry="y")
    assert other.outcome is StepOutcome.COMMITTED
    assert time.monotonic() - started < 1.7 * DEADLINE_S
    result = await first
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert "domain city-ip" in result.failures[0].message
    await city.ended()


async def test_behind_it_stand_only_those_who_need_it(city, monkeypatch):
    monkeypatch.setattr("controller.transactions.gate.SLOW_S", DEADLINE_S / 10)
    for hung in ("prepare", "cancel"):
        city.fault("city-ip", hung, "hang")
    first = asyncio.create_task(city.apply("c1", names=("city-otn", "city-ip")))
    await asyncio.sleep(DEADLINE_S / 20)
    waits = asyncio.create_task(city.apply("c2", names=("city-ip", "district-ip"), entry="y"))
    await asyncio.sleep(DEADLINE_S / 5)
    started = time.monotonic()
    free = await city.apply("c3", names=("district-ip",), entry="z")
    assert free.outcome is StepOutcome.COMMITTED
    assert time.monotonic() - started < DEADLINE_S / 2
    assert not first.done()
    await asyncio.gather(first, waits)
    await city.ended()


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
