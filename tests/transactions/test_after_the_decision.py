"""After the decision there is only forward: what is lost is asked for, what rolled back is sent again."""

from __future__ import annotations

import asyncio

import pytest

from controller.transactions.step import StepOutcome
from tests.transactions.model_city import City
from tests.transactions.model_domain import Fault, ModelDomain, put


@pytest.fixture
async def city():
    city = City()
    yield city
    await city.engine.close()


@pytest.mark.parametrize("how", ["lost", "late", "refuse", "defect"])
async def test_a_lost_confirm_is_asked_for_and_ends_committed_at_once(city, how):
    city.fault("city-ip", "confirm", how)
    assert (await city.apply()).outcome is StepOutcome.COMMITTED
    assert city.values() == ["1", "1", "1"]
    assert city.settled()


async def test_a_domain_that_cannot_say_is_compared_by_image(city):
    city.fault("city-ip", "confirm", "late")
    city.fault("city-ip", "outcome", "forget")
    assert (await city.apply()).outcome is StepOutcome.COMMITTED
    assert city.values() == ["1", "1", "1"]


def _lose_after_decision(city: City, domain: str) -> None:
    def lose(kind: str) -> None:
        if kind == "decided":
            city.domains[domain].reachable = False

    city.journal.before_durable = lose


async def test_a_domain_lost_after_the_decision_is_in_doubt_until_it_returns(city):
    _lose_after_decision(city, "city-ip")
    result = await city.apply()
    assert result.outcome is StepOutcome.IN_DOUBT
    assert city.engine.in_doubt() == {"c1": frozenset({"city-ip"})}
    city.domains["city-ip"].reachable = True
    city.engine.nudge("city-ip")
    await city.ended()
    assert city.told == [("c1", StepOutcome.COMMITTED)]
    assert city.values() == ["1", "1", "1"]
    assert city.settled()


async def test_a_domain_that_rolled_back_after_the_decision_gets_its_configuration_again(city):
    _lose_after_decision(city, "city-ip")
    await city.apply()
    city.clock.now += 100
    assert city.values() == ["1", None, "1"]
    city.domains["city-ip"].reachable = True
    await city.ended()
    assert city.values() == ["1", "1", "1"]
    assert ("prepare", "onecity-c1-0-r1") in city.domains["city-ip"].calls
    assert city.settled()


async def test_a_domain_that_refuses_its_configuration_after_the_decision_takes_the_others_back(city):
    assert (await city.apply("c0", "0")).outcome is StepOutcome.COMMITTED
    _lose_after_decision(city, "city-ip")
    await city.apply("c1", "1")
    city.clock.now += 100
    city.domains["city-ip"].broken = True
    city.domains["city-ip"].reachable = True
    await city.ended()
    assert city.told == [("c1", StepOutcome.COMPENSATED)]
    assert city.values() == ["0", "0", "0"]
    assert city.settled()


async def test_a_compensation_that_cannot_reach_a_domain_goes_on_until_it_ends(city):
    _lose_after_decision(city, "city-ip")
    await city.apply("c1", "1")
    city.clock.now += 100
    city.domains["city-ip"].broken = True
    city.domains["district-ip"].reachable = False
    city.domains["city-ip"].reachable = True
    await asyncio.sleep(0.05)
    assert city.engine.in_doubt() == {"c1": frozenset({"district-ip"})}
    await city.engine.close()
    city.journal.crash()
    city.start()
    city.domains["district-ip"].reachable = True
    ((_, result),) = await city.engine.recover()
    assert result.outcome is StepOutcome.COMPENSATED
    assert "VLAN 7 in use" in result.failures[0].message
    assert city.values() == [None, None, None]
    assert city.settled()


async def test_a_compensation_takes_back_what_a_domain_confirmed_in_an_earlier_life_and_cannot_tell(city):
    _lose_after_decision(city, "city-ip")
    await city.apply("c1", "1")
    city.clock.now += 100
    city.domains["city-ip"].broken = True
    city.domains["district-ip"].reachable = False
    city.domains["city-ip"].reachable = True
    await asyncio.sleep(0.05)
    await city.engine.close()
    city.journal.crash()
    city.start()
    city.domains["district-ip"].reachable = True
    city.domains["district-ip"].faults += [Fault("outcome", "forget", txn="c1") for _ in range(50)]
    ((_, result),) = await city.engine.recover()
    assert result.outcome is StepOutcome.COMPENSATED
    assert city.values() == [None, None, None]
    assert city.settled()


async def test_a_passing_refusal_after_the_decision_is_not_a_refusal_on_the_merits(city):
    _lose_after_decision(city, "city-ip")
    await city.apply()
    city.clock.now += 100
    city.values()
    foreign = city.domains["city-ip"]
    await foreign_prepare(foreign)
    await asyncio.sleep(0.03)
    assert city.engine.in_doubt()
    foreign.restart()
    await city.ended()
    assert city.values() == ["1", "1", "1"]


async def foreign_prepare(domain: ModelDomain) -> None:
    domain.reachable = True
    await domain.prepare("somebody-else", put(domain.domain, "z", "9"))


async def test_a_change_that_overlaps_one_in_doubt_waits_and_others_go_on(city):
    _lose_after_decision(city, "city-ip")
    await city.apply()
    city.journal.before_durable = lambda kind: None
    other = await city.apply("c2", names=("city-otn", "district-ip"), entry="y")
    assert other.outcome is StepOutcome.COMMITTED  # same domains as c1's settled ones, other places
    overlapping = await city.apply("c3", "3", names=("city-otn",))
    assert (overlapping.outcome, overlapping.failures[0].stage) == (StepOutcome.ROLLED_BACK, "connect")
    assert "still has to end transaction onecity-c1-0" in overlapping.failures[0].message
    touched = await city.apply("c4", names=("city-ip",), entry="y")
    assert "connection refused" in touched.failures[0].message


async def test_a_cancel_that_is_lost_is_repeated_until_it_has_had_its_effect(city):
    city.fault("district-ip", "read", "refuse")
    city.fault("city-ip", "cancel", "lost")
    result = await city.apply()
    assert result.outcome is StepOutcome.ROLLED_BACK
    await city.ended()
    assert city.values() == [None, None, None]
    assert city.settled()
