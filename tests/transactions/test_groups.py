"""Changes that wait for the same domains travel in one transaction, and each gets an answer of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from controller.changes.recovery import resume
from controller.store.codec import loads
from controller.transactions.engine import Transactions
from controller.transactions.failpoints import failpoint
from controller.transactions.group import names, together, whole, without_edits
from controller.transactions.journal import intention
from controller.transactions.step import DomainFailure, Step, StepOutcome, StepResult
from tests.transactions.model_city import NAMES, City
from tests.transactions.model_domain import TIMERS, put

COMMITTED, ROLLED_BACK = StepOutcome.COMMITTED, StepOutcome.ROLLED_BACK
LETTERS = ("a", "b", "c", "d")


@pytest.fixture
async def city():
    city = City()
    yield city
    await city.engine.close()


async def slow_first(city: City, names: tuple[str, ...] = NAMES) -> asyncio.Task[StepResult]:
    """Begin a change that is under way until its first domain lets go of it."""
    city.fault(names[0], "commit", "held", txn="first")
    first = asyncio.create_task(city.apply("first", entry="first", names=names))
    await until(lambda: ("commit", "onecity-first-0") in city.domains[names[0]].calls)
    return first


async def until(holds: Callable[[], bool]) -> None:
    """Let others go on until something holds."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def all_wait(city: City, count: int, behind: str = NAMES[0]) -> None:
    """Wait until so many stand before the gate, then let the one go on that is inside."""
    await until(lambda: len(city.engine._gate._queue) == count)
    city.domains[behind].let_go.set()


async def at_once(city: City, *entries: str, names: tuple[str, ...] = NAMES) -> list[StepOutcome]:
    """Apply one change, and while it is under way these, each with an entry of its own."""
    first = await slow_first(city, names)
    others = [asyncio.ensure_future(city.apply(f"c-{e}", entry=e, names=names)) for e in entries]
    await all_wait(city, len(entries), names[0])
    assert (await first).outcome is COMMITTED
    return [(await other).outcome for other in others]


def transactions(city: City) -> list[str]:
    """Return the ids of the transactions, in order."""
    return [record.txn for record in city.journal.disk if record.kind == "intention"]


async def test_who_waits_for_the_same_domains_travels_together(city):
    assert await at_once(city, *LETTERS) == [COMMITTED] * 4
    assert transactions(city) == ["onecity-first-0", "onecity-group-c-a-0-1"]
    assert [city.values(e) for e in LETTERS] == [["1"] * 3] * 4
    assert {f"onecity-c-{e}-0" for e in LETTERS} <= city.journal.ends().keys()


async def test_who_finds_nobody_in_the_way_waits_for_nobody(city):
    assert (await city.apply("c1")).outcome is COMMITTED
    assert transactions(city) == ["onecity-c1-0"]
    assert city.progress[0].change_id == "c1"


async def test_each_hears_of_its_own_progress(city):
    await at_once(city, "a", "b")
    for change in ("c-a", "c-b"):
        told = [(line.domain, line.stage) for line in city.progress if line.change_id == change]
        assert len(told) == len(set(told)) == 15


async def test_who_is_refused_by_name_is_set_apart_and_the_rest_is_tried_again(city):
    city.domains["city-ip"].refused = {"b": "/t:entry[t:name='b']"}
    assert await at_once(city, *LETTERS) == [COMMITTED, ROLLED_BACK, COMMITTED, COMMITTED]
    assert transactions(city)[2:] == ["onecity-group-c-a-0-2", "onecity-c-b-0"]
    assert city.values("b") == [None] * 3
    failed = [line for line in city.progress if line.stage == "failed"]
    assert {line.change_id for line in failed} == {"c-b"}


async def test_where_nothing_is_named_halves_are_tried(city):
    city.domains["district-ip"].refused = {"c": ""}
    assert await at_once(city, *LETTERS) == [COMMITTED, COMMITTED, ROLLED_BACK, COMMITTED]
    assert city.values("c") == [None] * 3
    assert city.settled()


async def test_who_is_named_for_what_another_did_is_accepted_all_the_same(city):
    city.domains["city-otn"].refused = {"c": "/t:entry[t:name='a']"}
    assert await at_once(city, *LETTERS) == [COMMITTED, COMMITTED, ROLLED_BACK, COMMITTED]


async def test_a_domain_that_is_gone_is_everybodys_answer_and_nobody_is_tried_again(city):
    city.fault("city-ip", "prepare", "lost", txn="group")
    assert await at_once(city, *LETTERS) == [ROLLED_BACK] * 4
    assert len(transactions(city)) == 2
    await city.ended()
    assert city.settled()


async def test_urgent_ones_go_before_others(city):
    domains = ("city-ip",)
    first = await slow_first(city, domains)
    plain = asyncio.ensure_future(city.apply("plain", entry="plain", names=("city-ip", "city-otn")))
    await until(lambda: len(city.engine._gate._queue) == 1)
    step = Step("vip", 0, "build", (put("city-ip", "vip", "1"),), (("city-ip",),))
    urgent = asyncio.ensure_future(city.engine.run(step, urgent=True))
    await all_wait(city, 2, "city-ip")
    assert (await urgent).outcome is COMMITTED
    await asyncio.gather(first, plain)
    assert transactions(city) == ["onecity-first-0", "onecity-vip-0", "onecity-plain-0"]


async def test_who_touches_the_same_place_travels_later(city):
    first = await slow_first(city)
    steps = [
        Step(f"c{v}", 0, "build", (put("city-ip", "x", v, b),), (("city-ip",),)) for v, b in (("1", None), ("2", "1"))
    ]
    both = [asyncio.ensure_future(city.engine.run(step)) for step in steps]
    await all_wait(city, 2)
    assert [(await one).outcome for one in both] == [COMMITTED] * 2
    assert (await first).outcome is COMMITTED
    assert city.values("x")[1] == "2"
    assert transactions(city)[1:] == ["onecity-c1-0", "onecity-c2-0"]


async def test_who_gives_up_takes_nobody_along(city):
    first = await slow_first(city)
    others = [asyncio.ensure_future(city.apply(f"c-{e}", entry=e)) for e in LETTERS]
    city.fault("city-ip", "commit", "held", txn="group")
    await all_wait(city, len(LETTERS))
    await until(lambda: ("commit", "onecity-group-c-a-0-1") in city.domains["city-ip"].calls)
    others[1].cancel()
    await asyncio.sleep(0)
    city.domains["city-ip"].let_go.set()
    results = await asyncio.gather(first, *others, return_exceptions=True)
    assert isinstance(results[2], asyncio.CancelledError)
    assert [city.values(e) for e in LETTERS] == [["1"] * 3, [None] * 3, ["1"] * 3, ["1"] * 3]
    assert city.settled()


async def test_a_group_in_doubt_leaves_each_of_its_changes_in_doubt_and_ends_each(city):
    city.fault("city-ip", "confirm", "lost", txn="group")
    city.fault("city-ip", "outcome", "lost")
    assert await at_once(city, "a", "b") == [StepOutcome.IN_DOUBT] * 2
    assert city.engine.in_doubt() == {"c-a": frozenset({"city-ip"}), "c-b": frozenset({"city-ip"})}
    await city.ended()
    assert city.told == [("c-a", COMMITTED), ("c-b", COMMITTED)]


async def test_who_was_undone_in_company_after_the_decision_is_tried_again_by_itself(city):
    city.fault("city-ip", "confirm", "lost", txn="group")
    city.fault("city-ip", "outcome", "lost")
    assert await at_once(city, "a", "b", "c") == [StepOutcome.IN_DOUBT] * 3
    city.domains["city-ip"].refused["b"] = "/t:entry[b]"
    city.clock.now += 2 * TIMERS.confirm_s  # it has rolled back when it is asked again, and takes b no more
    await city.ended()
    assert [city.ends[f"c-{e}"][1].again for e in "abc"] == [True] * 3
    assert [city.values(e) for e in "abc"] == [[None] * 3] * 3
    ends = [await resume(city.engine, (), *city.ends[f"c-{e}"]) for e in "abc"]
    assert [end.result.outcome for end in ends] == [COMMITTED, ROLLED_BACK, COMMITTED]
    assert "b is not for me" in ends[1].result.failures[0].message
    assert [city.values(e) for e in "abc"] == [["1"] * 3, [None] * 3, ["1"] * 3]


@pytest.mark.parametrize(("kind", "ends"), [("decided", COMMITTED), ("intention", ROLLED_BACK)])
async def test_after_a_crash_every_member_ends_as_the_journal_says(city, kind, ends):
    steps = [Step(f"c-{e}", 0, "build", tuple(put(d, e, "1") for d in NAMES), (NAMES,)) for e in "ab"]
    group = together(steps, 1)
    await city.journal.begin(group)
    if kind == "decided":
        await city.journal.append(group.txn, "decided")
    recovered = await city.start().recover()
    assert [(step.txn, result.outcome) for step, result in recovered] == [(s.txn, ends) for s in steps]
    assert city.values("a") == city.values("b") == (["1"] * 3 if ends is COMMITTED else [None] * 3)


def test_what_a_group_does_is_written_down_once():
    steps = [Step(f"c-{e}", 0, "build", (put("city-ip", e, "1"),), (("city-ip",),)) for e in "ab"]
    group = together(steps, 3)
    assert without_edits(group).edits == ()
    assert whole(loads(Step, intention(group))) == group


@pytest.mark.parametrize(
    "path",
    [
        "/l3nm:l3vpn-ntw/l3nm:vpn-services/l3nm:vpn-service[l3nm:vpn-id='t.a']/l3nm:vpn-nodes",
        '/ns:vpn-service[ns:vpn-id="t.a"]',
        "/vpn-service[t.a]",
        "/vpn-service[vpn-id=t.a]",
    ],
)
def test_a_member_is_known_by_the_keys_of_its_entries(path):
    steps = [Step(f"c{e}", 0, "build", (put("city-ip", f"t.{e}", "1"),), (("city-ip",),)) for e in ("a", "aa")]
    failure = DomainFailure("city-ip", "prepare", "no", path)
    assert [names(failure, step) for step in steps] == [True, False]
    assert not names(DomainFailure("district-ip", "prepare", "no", path), steps[0])


async def test_to_gather_and_to_part_are_failpoints(monkeypatch):
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number))
    for point in ("gathered", "parted"):
        die = failpoint({"ONECITY_DIE_AT": f"{point}:1"})
        assert die is not None
        city = City()
        city.domains["city-ip"].refused = {"b": ""}
        timers = dict.fromkeys(NAMES, TIMERS)
        city.engine = Transactions(die.before(city.journal), city.domains, timers, city.clock, watch=die.hear)
        await at_once(city, *LETTERS)
        await city.engine.close()
    assert sent == [signal.SIGKILL] * 2
