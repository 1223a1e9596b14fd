"""Changes of several steps, when a domain goes away between them: whole or nothing, in this life or the next."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from controller.changes.conduct import Conductor, InDoubt
from controller.changes.desk import Taken
from controller.changes.recovery import Ending, bring_back, carry, end_open_changes, resume
from controller.store.codec import dumps
from controller.store.records import ChangeRecord
from controller.store.store import Store
from controller.transactions.engine import Transactions
from controller.transactions.journal import StoreJournal
from controller.transactions.step import Step, StepOutcome, StepResult
from tests.transactions.model_city import NAMES, WAVES, City
from tests.transactions.model_domain import TIMERS, drop, put

NOW = datetime(2026, 11, 21, tzinfo=UTC)
COMMITTED, ROLLED_BACK, IN_DOUBT = StepOutcome.COMMITTED, StepOutcome.ROLLED_BACK, StepOutcome.IN_DOUBT


@pytest.fixture
async def city():
    city = City()
    await city.apply("c0", "0", entry="old")
    yield city
    await city.engine.close()


def _steps() -> tuple[Step, ...]:
    """Build `new` everywhere, then remove `old` from the optical domain and the city's."""
    build = Step("c1", 0, "switch", tuple(put(name, "new", "1") for name in NAMES), WAVES)
    gone = ("city-otn", "city-ip")
    remove = Step("c1", 1, "remove", tuple(drop(name, "old", "0") for name in gone), (("city-ip",), ("city-otn",)))
    return build, remove


def _lose(city: City, domain: str, kind: str = "decided", skip: int = 0) -> None:
    """The domain goes away when the journal is about to say this."""
    left = [skip]

    def lose(record: str) -> None:
        if record == kind:
            if left[0] == 0:
                city.domains[domain].reachable = False
            left[0] -= 1

    city.journal.before_durable = lose


async def test_a_switch_in_doubt_is_followed_by_its_removal_once_it_is_certain(city):
    _lose(city, "district-ip")
    ending = await carry(city.engine, _steps())
    assert (ending.result.outcome, ending.awaited) == (IN_DOUBT, "onecity-c1-0")
    city.domains["district-ip"].reachable = True
    await city.ended()
    ending = await resume(city.engine, _steps(), _steps()[0], StepResult(COMMITTED))
    assert (ending.result.outcome, ending.awaited) == (COMMITTED, "")
    assert city.values("new") == ["1", "1", "1"]
    assert city.values("old") == [None, None, "0"]


async def test_a_removal_that_fails_takes_the_switch_back_also_from_a_domain_that_went_away(city):
    def hear(line):
        if line.step == 1 and line.stage == "prepared":
            city.domains["district-ip"].reachable = False  # not touched by the removal

    city.domains["city-otn"].faults.clear()
    city.fault("city-otn", "commit", "refuse", txn="c1-1")
    ending = await carry(city.engine, _steps(), progress=hear)
    assert (ending.result.outcome, ending.awaited) == (IN_DOUBT, "onecity-c1-100")
    city.domains["district-ip"].reachable = True
    await city.ended()
    undo = Step("c1", 100, "undo", (), ())
    ending = await resume(city.engine, _steps(), undo, StepResult(COMMITTED))
    assert (ending.result.outcome, ending.awaited) == (ROLLED_BACK, "")
    assert city.values("new") == [None, None, None]
    assert city.values("old") == ["0", "0", "0"]


async def test_a_domain_that_refuses_to_go_back_is_said_to_stand_otherwise(city):
    build, _ = _steps()
    await city.engine.run(build)
    city.domains["city-ip"].broken = True
    ending = await bring_back(city.engine, (build,), StepResult(ROLLED_BACK))
    assert ending.result.outcome is StepOutcome.COMPENSATED
    assert city.values("new") == ["1", "1", "1"]  # whole, at least


@pytest.mark.parametrize("died", ["before the removal", "in the removal", "in the undoing", "before it was decided"])
async def test_the_next_daemon_ends_it_whole(city, tmp_path, died):
    steps = _steps()
    store = Store.open(tmp_path / "onecity.db")
    await store.open_change(ChangeRecord("c1", "", "", NOW, ""), (), (), dumps(tuple[Step, ...], steps))
    engine = _engine(city, store)
    await engine.run(steps[0])
    if died == "in the removal":
        await StoreJournal(store).begin(steps[1])
    if died in ("in the undoing", "before it was decided"):
        await StoreJournal(store).begin(steps[1])
        await StoreJournal(store).end(steps[1].txn, ROLLED_BACK)
        undo = Step("c1", 100, "undo", tuple(drop(name, "new", "1") for name in NAMES), tuple(reversed(WAVES)))
        await StoreJournal(store).begin(undo)
        if died == "in the undoing":
            await StoreJournal(store).append(undo.txn, "decided")
            city.domains["city-ip"].reachable = False
    await engine.close()
    store.close()

    store = Store.open(tmp_path / "onecity.db")
    engine = _engine(city, store)
    doubtful = await end_open_changes(store, engine, NOW)
    if died == "in the undoing":
        assert [(one.change.record.id, one.awaited) for one in doubtful] == [("c1", "onecity-c1-100")]
        city.domains["city-ip"].reachable = True
        city.engine = engine
        await city.ended()
    else:
        assert doubtful == ()
        assert store.change("c1").outcome == ("committed" if died == "before the removal" else "failed")
    if died == "before the removal":
        assert (city.values("new"), city.values("old")) == (["1", "1", "1"], [None, None, "0"])
    else:
        assert (city.values("new"), city.values("old")) == ([None] * 3, ["0"] * 3)
    await engine.close()
    store.close()


def _engine(city: City, store: Store) -> Transactions:
    async def soon(_: float) -> None:
        await asyncio.sleep(0.002)

    return Transactions(StoreJournal(store), city.domains, dict.fromkeys(NAMES, TIMERS), city.clock, sleep=soon)


async def test_a_change_that_was_in_doubt_tells_of_its_services_once_it_stands_everywhere(monkeypatch):
    done, told = Ending(StepResult(COMMITTED)), []
    monkeypatch.setattr("controller.changes.conduct.resume", _returns(done))
    nothing, domains = SimpleNamespace(), SimpleNamespace(drivers={})
    desk = SimpleNamespace(in_doubt=lambda _: None, settle=_returns(None), under_way=())
    conductor = Conductor(desk, domains, nothing, SimpleNamespace(close_change=_returns(None)), lambda: NOW)
    conductor.chronicle = SimpleNamespace(catch_up=_returns(None))
    conductor.on_late.append(told.append)
    taken = Taken("c1", frozenset({"gov/video"}), {}, ())
    (step,) = _steps()[:1]
    conductor.await_end(InDoubt(taken, ChangeRecord("c1", "", "", NOW, ""), (step,), step.txn))
    conductor.on_state(step, StepResult(IN_DOUBT))
    assert not conductor._tasks
    conductor.on_state(step, StepResult(COMMITTED))
    await asyncio.gather(*conductor._tasks)
    assert told == [taken.concerned]


def _returns(value):
    async def answer(*_, **__):
        return value

    return answer
