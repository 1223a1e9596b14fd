"""An image that is sent again is written down before it leaves: after a crash on the way, that one is asked for."""

from __future__ import annotations

import pytest

from controller.transactions.step import StepOutcome
from tests.transactions.model_city import City

TXN = "onecity-c1-0"


@pytest.fixture
async def city():
    """c1 is decided; city-ip went away, rolled back meanwhile, and is back for the next daemon."""
    city = City()

    def lose(kind: str) -> None:
        if kind == "decided":
            city.domains["city-ip"].reachable = False

    city.journal.before_durable = lose
    assert (await city.apply()).outcome is StepOutcome.IN_DOUBT
    await city.engine.close()
    city.clock.now += 100
    city.journal.crash()
    city.journal.before_durable = lambda kind: None
    city.domains["city-ip"].reachable = True
    yield city
    await city.engine.close()


async def _die_and_come_back(city: City) -> StepOutcome:
    with pytest.raises(BaseException, match=r"^$"):  # a dead coordinator's tasks are cancelled
        await city.start().recover()
    await city.engine.close()
    city.journal.crash()
    ((_, result),) = await city.start().recover()
    await city.ended()
    return result.outcome


def _sent(city: City, verb: str) -> list[str]:
    return [txn for done, txn in city.domains["city-ip"].calls if done == verb and txn.startswith(TXN + "-r")]


@pytest.mark.parametrize(
    ("verb", "how", "prepared"),
    [
        ("prepare", "crash-before", [f"{TXN}-r1", f"{TXN}-r2"]),
        ("prepare", "crash-after", [f"{TXN}-r1", f"{TXN}-r2"]),
        ("commit", "crash-before", [f"{TXN}-r1", f"{TXN}-r2"]),
        ("commit", "crash-after", [f"{TXN}-r1"]),  # it runs already: only to be confirmed
        ("confirm", "crash-before", [f"{TXN}-r1"]),
        ("confirm", "crash-after", [f"{TXN}-r1"]),
    ],
)
async def test_a_crash_while_it_is_sent_again_ends_with_the_image_there_once(city, verb, how, prepared):
    city.fault("city-ip", verb, how)
    assert await _die_and_come_back(city) is StepOutcome.COMMITTED
    assert _sent(city, "prepare") == prepared
    assert city.values() == ["1", "1", "1"]
    assert city.settled()


async def test_the_record_is_durable_before_the_first_message(city):
    city.fault("city-ip", "prepare", "crash-before")
    with pytest.raises(BaseException, match=r"^$"):
        await city.start().recover()
    await city.engine.close()
    city.journal.crash()
    (opened,) = city.journal.open_transactions()
    assert (opened.attempts, opened.attempt_id("city-ip")) == ({"city-ip": 1}, f"{TXN}-r1")


async def test_that_a_domain_is_settled_may_be_forgotten(city):
    """The record is lazy: lost with the crash, the domain is asked, and nothing is sent to it again."""
    city.fault("city-ip", "prepare", "lost")
    await city.start().recover()
    await city.engine.close()
    city.journal.crash()  # loses `settled` of the other two, and whatever else was lazy
    for domain in city.domains.values():
        domain.calls.clear()
    await city.start().recover()
    await city.ended()
    assert [verb for verb, _ in city.domains["district-ip"].calls if verb in ("prepare", "commit")] == []
    assert city.values() == ["1", "1", "1"]
