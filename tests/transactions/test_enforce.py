"""The way back of a step that stands: it ends on every domain, whoever is away now and whatever is still open there."""

from __future__ import annotations

import pytest

from controller.transactions.step import Step, StepOutcome
from tests.transactions.model_city import NAMES, WAVES, City
from tests.transactions.model_domain import drop


@pytest.fixture
async def city():
    city = City()
    yield city
    await city.engine.close()


def _undo() -> Step:
    return Step("c1", 100, "undo", tuple(drop(name, "x", "1") for name in NAMES), tuple(reversed(WAVES)))


async def test_it_takes_a_standing_step_back(city):
    await city.apply()
    result = await city.engine.enforce(_undo())
    assert result.outcome is StepOutcome.COMMITTED
    assert city.values() == [None, None, None]
    assert city.settled()


async def test_a_domain_that_is_away_leaves_it_in_doubt_and_gets_it_when_it_returns(city):
    await city.apply()
    city.domains["city-ip"].reachable = False
    assert (await city.engine.enforce(_undo())).outcome is StepOutcome.IN_DOUBT
    assert city.values() == [None, "1", None]
    city.domains["city-ip"].reachable = True
    await city.ended()
    assert city.values() == [None, None, None]
    assert city.told[-1] == ("c1", StepOutcome.COMMITTED)
    assert city.settled()


async def test_a_restart_goes_on_with_it(city):
    await city.apply()
    city.domains["city-ip"].reachable = False
    await city.engine.enforce(_undo())
    await city.engine.close()
    city.journal.crash()
    city.start()
    city.domains["city-ip"].reachable = True
    ((step, result),) = await city.engine.recover()
    assert (step.index, result.outcome) == (100, StepOutcome.COMMITTED)
    assert city.values() == [None, None, None]


async def test_it_waits_for_a_disk_that_is_full(city):
    await city.apply()
    city.journal.full = True
    failed = []

    async def freed(_: float) -> None:
        failed.append(list(city.values()))
        city.journal.full = False

    city.engine._sleep = freed
    assert (await city.engine.enforce(_undo())).outcome is StepOutcome.COMMITTED
    assert failed == [["1", "1", "1"]]  # nothing was sent before it was written down
    assert city.values() == [None, None, None]


async def test_an_earlier_transaction_that_is_open_on_a_domain_ends_there_first(city):
    """Its next step was sent, a domain went away, and both that step and the one before it have to go back."""
    await city.apply()
    city.fault("city-ip", "commit", "late")
    city.fault("city-ip", "cancel", "lost")
    city.fault("city-ip", "cancel", "lost")
    result = await city.apply("c2", "2")
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert city.engine.unsettled() == {"city-ip": "onecity-c2-0"}
    await city.engine.enforce(_undo())
    await city.ended()
    assert city.values() == [None, None, None]
    assert city.settled()
    sent = [line for line in city.log if (line.startswith("city-ip ") and "cancel" in line) or "-100" in line]
    first = next(i for i, line in enumerate(sent) if line.startswith("city-ip") and "-100" in line)
    assert sum("city-ip cancel onecity-c2-0" in line for line in sent[:first]) == 3
