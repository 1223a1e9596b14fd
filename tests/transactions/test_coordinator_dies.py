"""A coordinator that dies comes back and ends what it left open."""

from __future__ import annotations

import pytest

from controller.store.store import Store
from controller.transactions.journal import StoreJournal
from controller.transactions.step import StepOutcome
from tests.transactions.model_city import NAMES, City
from tests.transactions.model_domain import Crash, put


@pytest.fixture
async def city():
    city = City()
    yield city
    await city.engine.close()


@pytest.mark.parametrize("verb", ["prepare", "commit", "read", "confirm"])
@pytest.mark.parametrize("how", ["crash-before", "crash-after"])
@pytest.mark.parametrize("skip", [0, 60])
async def test_a_coordinator_that_dies_comes_back_and_ends_the_change(city, verb, how, skip):
    """skip: how long it is away, in seconds of the confirm timers."""
    city.fault("city-ip", verb, how)
    with pytest.raises(Crash):
        await city.apply()
    await city.engine.close()
    city.journal.crash()
    city.clock.now += skip * 2
    city.start()
    await city.engine.recover()
    await city.ended()
    assert len(set(city.values())) == 1
    assert city.values()[0] == ("1" if verb == "confirm" else None)
    assert city.settled()


async def test_recovery_does_not_wait_for_a_domain_that_is_away(city):
    city.fault("city-otn", "confirm", "crash-before")
    with pytest.raises(Crash):
        await city.apply()
    city.journal.crash()
    city.domains["city-ip"].reachable = False
    city.start()
    ((step, result),) = await city.engine.recover()
    assert (step.change_id, result.outcome) == ("c1", StepOutcome.IN_DOUBT)
    assert city.told == [("c1", StepOutcome.IN_DOUBT)]
    assert city.engine.unsettled() == {"city-ip": "onecity-c1-0"}
    city.domains["city-ip"].reachable = True
    await city.ended()
    assert city.values() == ["1", "1", "1"]


@pytest.mark.parametrize(("verb", "ends"), [("commit", None), ("confirm", "1")])
async def test_a_change_left_open_in_the_store_is_ended_by_the_next_daemon(city, tmp_path, verb, ends):
    store = Store.open(tmp_path / "onecity.db")
    city.journal = StoreJournal(store)
    city.start()
    city.fault("district-ip", verb, "crash-after")
    with pytest.raises(Crash):
        await city.apply()
    store.close()
    city.domains["city-ip"].restart()
    store = Store.open(tmp_path / "onecity.db")
    city.journal = StoreJournal(store)
    city.start()
    ((step, result),) = await city.engine.recover()
    assert step.edits == tuple(put(name, "x", "1") for name in NAMES)
    assert result.outcome is (StepOutcome.COMMITTED if ends else StepOutcome.ROLLED_BACK)
    assert city.values() == [ends] * 3
    store.close()
    store = Store.open(tmp_path / "onecity.db")
    assert store.open_transactions() == ()
    store.close()
