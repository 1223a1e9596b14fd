"""Every rule of the transaction room, one at a time, against modelled domains."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from controller.rendering.tree import Edit, Operation, OperationKind
from controller.store.store import Store
from controller.transactions.engine import Transactions
from controller.transactions.images import beside
from controller.transactions.journal import StoreJournal
from controller.transactions.step import Progress, Step, StepOutcome, StepResult
from tests.transactions.model_city import NAMES, WAVES, City
from tests.transactions.model_domain import TIMERS, Crash, put


@pytest.fixture
async def city():
    city = City()
    yield city
    await city.engine.close()


async def test_a_step_reaches_all_domains(city):
    result = await city.apply()
    assert result == StepResult(StepOutcome.COMMITTED)
    assert city.values() == ["1", "1", "1"]
    assert city.settled()
    seen = {(line.domain, line.stage) for line in city.progress}
    assert seen == {(n, s) for n in NAMES for s in ("connected", "prepared", "committed", "verified", "confirmed")}


async def test_waves_commit_in_order_and_nothing_is_confirmed_before_everything_is_verified(city):
    await city.apply()
    verbs = [line.rsplit(" ", 1)[0] if "onecity" in line else line for line in city.log]
    assert verbs.index("city-otn commit") < min(verbs.index("city-ip commit"), verbs.index("district-ip commit"))
    assert max(i for i, v in enumerate(verbs) if v.endswith("read")) < min(
        i for i, v in enumerate(verbs) if v.endswith("confirm")
    )


async def test_the_decision_is_on_disk_before_the_first_confirm(city):
    seen: list[list[str]] = []
    city.journal.before_durable = lambda kind: seen.append([line for line in city.log if "confirm" in line])
    await city.apply()
    assert seen == [[]]
    assert [record.kind for record in city.journal.disk] == ["intention", "decided"]  # all that waits for the disk


async def test_an_unreachable_domain_fails_the_step_before_anything_is_sent(city):
    city.domains["district-ip"].reachable = False
    result = await city.apply()
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert [(f.domain, f.stage) for f in result.failures] == [("district-ip", "connect")]
    assert "connection refused" in result.failures[0].message
    assert not [line for line in city.log if "prepare" in line]
    assert city.settled()


async def test_a_down_domain_that_the_change_does_not_touch_is_not_noticed(city):
    city.domains["district-ip"].reachable = False
    assert (await city.apply(names=("city-otn", "city-ip"))).outcome is StepOutcome.COMMITTED
    assert city.values() == ["1", "1", None]


@pytest.mark.parametrize("verb", ["prepare", "commit", "read"])
@pytest.mark.parametrize("how", ["refuse", "lost", "late", "defect"])
@pytest.mark.parametrize("domain", NAMES)
async def test_whatever_fails_before_the_decision_goes_back_everywhere(city, domain, verb, how):
    city.fault(domain, verb, how)
    result = await city.apply()
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert [(f.domain, f.stage) for f in result.failures] == [(domain, "verify" if verb == "read" else verb)]
    assert city.values() == [None, None, None]
    assert city.settled()
    assert (await city.apply("c2")).outcome is StepOutcome.COMMITTED


async def test_the_refusal_is_in_the_domain_s_own_words_with_its_path(city):
    city.fault("city-ip", "prepare", "refuse")
    failure = (await city.apply()).failures[0]
    assert failure.message == "domain city-ip refused (invalid-value): /t:entry[x]: prepare: no, thank you"
    assert failure.path == "/t:entry[x]"


async def test_undoing_goes_against_the_order_of_the_waves(city):
    city.fault("district-ip", "read", "refuse")
    await city.apply()
    cancels = [line.split()[0] for line in city.log if " cancel " in line]
    assert cancels[-1] == "city-otn"
    assert set(cancels[:-1]) == {"city-ip", "district-ip"}


async def test_a_domain_that_runs_something_else_than_it_was_sent_fails_the_step(city):
    city.fault("city-ip", "read", "lie")
    result = await city.apply()
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert "/t:entry[x]/t:name: is missing" in result.failures[0].message
    assert city.values() == [None, None, None]


async def test_a_guarded_step_goes_only_where_its_before_image_still_runs(city):
    await city.apply(value="1")
    city.domains["city-ip"].running = put("city-ip", "x", "theirs").after
    edits = tuple(put(name, "x", "2", "1") for name in ("city-ip", "district-ip"))
    step = Step("c2", 0, "build", edits, (("city-ip", "district-ip"),), guarded=True)
    result = await city.engine.run(step)
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert ["runs something else than a moment ago" in f.message for f in result.failures] == [True]
    assert city.values() == ["1", "theirs", "1"]
    city.domains["city-ip"].running = put("city-ip", "x", "1").after
    assert (await city.engine.run(replace(step, change_id="c3"))).outcome is StepOutcome.COMMITTED
    assert city.values() == ["1", "2", "2"]


async def test_too_little_time_on_a_confirm_timer_means_back(city):
    def slow(line: Progress) -> None:
        if line.stage == "verified":
            city.clock.now += 15

    step = Step("c1", 0, "build", tuple(put(n, "x", "1") for n in NAMES), WAVES)
    result = await city.engine.run(step, progress=slow)
    assert result.outcome is StepOutcome.COMMITTED  # 15 of 60 s left, three deadlines are 3 s

    def slower(line: Progress) -> None:
        if line.stage == "verified":
            city.clock.now += 19.5

    step = Step("c2", 0, "build", tuple(put(n, "y", "1") for n in NAMES), WAVES)
    result = await city.engine.run(step, progress=slower)
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert "too late to decide" in result.failures[0].message
    assert city.values("y") == [None, None, None]


async def test_warnings_are_shown_and_not_fatal(city):
    city.fault("city-ip", "prepare", "warn")
    result = await city.apply()
    assert result.outcome is StepOutcome.COMMITTED
    assert result.warnings == ("city-ip: fan is loud",)


async def test_a_hung_domain_fails_the_step_within_its_deadline(city, monkeypatch):
    monkeypatch.setattr("controller.transactions.calls._GRACE_S", 0.0)
    city.engine._calls._timers = {n: type(TIMERS)(0.05, 0.05, 0.05, 60.0, 0.05) for n in NAMES}
    city.fault("city-ip", "prepare", "hang")
    started = time.monotonic()
    result = await city.apply()
    assert result.outcome is StepOutcome.ROLLED_BACK
    assert "prepare was not answered within 0.05 s" in result.failures[0].message
    assert time.monotonic() - started < 0.5


async def test_a_full_disk_before_anything_was_sent_fails_the_change_cleanly(city):
    city.journal.full = True
    result = await city.apply()
    assert (result.outcome, result.failures[0].stage) == (StepOutcome.ROLLED_BACK, "journal")
    assert not [line for line in city.log if "prepare" in line]


async def test_a_decision_that_the_disk_refused_goes_back_and_says_so_only_when_that_is_on_disk(city):
    def fill(kind: str) -> None:
        city.journal.full = True

    city.journal.before_durable = fill
    result = await city.apply()
    assert result.outcome is StepOutcome.IN_DOUBT
    assert city.values() == [None, None, None]
    city.journal.full = False
    await asyncio.sleep(0.05)
    assert city.told == [("c1", StepOutcome.ROLLED_BACK)]
    assert city.settled()


async def test_cancelling_the_caller_before_the_decision_undoes_the_step(city):
    task = asyncio.create_task(city.apply())
    async with asyncio.timeout(30):
        while not any(" prepare " in line for line in city.log):  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert city.values() == [None, None, None]
    assert city.settled()


async def test_cancelling_the_caller_after_the_decision_finishes_the_step(city):
    task = asyncio.create_task(city.apply())
    city.journal.before_durable = lambda kind: task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert city.values() == ["1", "1", "1"]
    assert city.settled()


async def test_steps_over_one_domain_take_turns_and_disjoint_ones_run_together(city):
    results = await asyncio.gather(
        city.apply("a", names=("city-otn", "city-ip"), entry="a"),
        city.apply("b", names=("city-ip", "district-ip"), entry="b"),
        city.apply("c", names=("district-ip",), entry="c"),
    )
    assert {result.outcome for result in results} == {StepOutcome.COMMITTED}
    holder = None
    for verb, txn in city.domains["city-ip"].calls:
        if verb == "prepare":
            assert holder is None
            holder = txn
        elif verb == "confirm":
            assert holder == txn
            holder = None


async def test_confirm_timers_of_earlier_waves_outlast_those_of_later_ones(city):
    city.fault("city-otn", "confirm", "crash-before")
    with pytest.raises(Crash):
        await city.apply()
    expiry = {name: domain.open.expires_at for name, domain in city.domains.items() if domain.open}
    assert expiry["city-otn"] > expiry.get("city-ip", 0.0)
    await city.engine.close()


async def test_a_malformed_step_is_refused(city):
    with pytest.raises(ValueError, match="exactly one wave"):
        await city.engine.run(Step("c", 0, "build", (put("city-ip", "x", "1"),), ()))


@pytest.mark.alone
async def test_engine_and_journal_cost_at_most_five_milliseconds_a_step(city, tmp_path):
    store = Store.open(tmp_path / "onecity.db")
    city.engine = Transactions(StoreJournal(store), city.domains, {}, city.clock)
    for index in range(10):
        await city.apply(f"warm{index}", entry=f"warm{index}")
    times = []
    fsyncs = store.fsyncs
    for index in range(40):
        started = time.perf_counter()
        assert (await city.apply(f"c{index}", entry=f"e{index}")).outcome is StepOutcome.COMMITTED
        times.append(time.perf_counter() - started)
    assert store.fsyncs - fsyncs <= 2 * 40 + 10
    store.close()
    times.sort()
    print(f"median {times[20] * 1e3:.2f} ms, p95 {times[38] * 1e3:.2f} ms")
    assert times[20] < 0.005


def test_what_somebody_else_changed_beside_an_edit_is_told_as_such():
    entry = ("t:entry", "x")
    edit = Edit(
        "city-ip",
        (Operation(OperationKind.REPLACE, (entry, "t:value"), "2"),),
        ((entry,),),
        {entry: {"t:name": "x", "t:value": "1", "t:label": "a"}},
        {entry: {"t:name": "x", "t:value": "2", "t:label": "a"}},
    )
    ours, theirs = {"t:name": "x", "t:value": "1"}, {"t:name": "x", "t:value": "2", "t:label": "b"}
    assert beside(edit, {entry: theirs}) == "/t:entry[x]/t:label"
    assert beside(edit, {entry: {**ours, "t:label": "a"}}) == ""  # what it wrote is not there: that is its own
    assert beside(edit, {entry: {**ours, "t:label": "b"}}) == ""
    assert beside(edit, {}) == ""
    assert beside(edit, edit.after) == ""
