"""Reservations of changes under way: both what they take and what they let go are held until they end."""

from __future__ import annotations

import asyncio

import pytest

from controller.changes.desk import Desk, Taken
from controller.changes.pipeline import Planned, Wanted
from controller.changes.state import rebuilt
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from tests.changes.wanted import NOW, office, services, slice_over_three

SURVEY = ServiceId("lands/survey")


def _always(_: Planned) -> bool:
    return True


@pytest.fixture
def desk(city: CityMap) -> Desk:
    return Desk(rebuilt({}, city), lambda: city, lambda: NOW)


def _slots(planned: Planned, service: ServiceId) -> set[tuple[str, int]]:
    labels = planned.after.services[service].placement.labels
    return {(label.resource, label.label) for label in labels if label.resource.startswith("slot:")}


async def test_two_changes_at_once_never_take_the_same_timeslot(desk: Desk) -> None:
    wanted = [Wanted(services(slice_over_three(f"s{n}", f"10.{40 + n}"))) for n in range(8)]
    taken = await asyncio.gather(*(desk.take(w, f"c{n}", _always) for n, w in enumerate(wanted)))
    slots = [_slots(p, ServiceId(f"lands/s{n}")) for n, p in enumerate(taken)]
    assert sum(len(s) for s in slots) == len(set().union(*slots))


async def test_what_is_being_removed_is_not_given_away_before_it_is_gone(desk: Desk) -> None:
    first = await desk.take(Wanted(services(slice_over_three())), "c1", _always)
    held = _slots(first, SURVEY)
    going = await desk.take(Wanted(drops=frozenset({SURVEY})), "c2", _always)
    next_one = await desk.take(Wanted(services(slice_over_three("next", "10.50"))), "c3", _always)
    assert not held & _slots(next_one, ServiceId("lands/next"))
    await desk.settle(Taken.of(going, "c2"))
    last = await desk.take(Wanted(services(slice_over_three("last", "10.51"))), "c4", _always)
    assert held & _slots(last, ServiceId("lands/last"))


async def test_a_change_that_came_to_nothing_leaves_no_trace(desk: Desk, city: CityMap) -> None:
    kept = await desk.take(Wanted(services(office(), slice_over_three())), "c1", _always)
    before = desk.state
    changed = slice_over_three().replace("1Gbps", "2Gbps")
    failed = await desk.take(Wanted(services(changed, office("more"))), "c2", _always)
    await desk.withdraw(Taken.of(failed, "c2"))
    assert dict(desk.state.services) == dict(before.services)
    assert desk.state.ledger.dump() == before.ledger.dump()
    assert all(desk.state.desired.tree(d) == before.desired.tree(d) for d in city.domains)
    again = await desk.look(Wanted(services(office(), slice_over_three())))
    assert again.changes_nothing
    assert kept.model.claims == desk.model.claims


async def test_a_change_waits_only_for_those_that_touch_its_services(desk: Desk) -> None:
    order: list[str] = []

    async def fly(name: str, wanted: Wanted, go: asyncio.Event) -> None:
        async with desk.flight(wanted):
            order.append(f"{name} flies")
            await go.wait()

    held, free = asyncio.Event(), asyncio.Event()
    free.set()
    first = asyncio.create_task(fly("office", Wanted(services(office())), held))
    await asyncio.sleep(0)
    second = asyncio.create_task(fly("office again", Wanted(services(office())), free))
    third = asyncio.create_task(fly("survey", Wanted(services(slice_over_three())), free))
    await asyncio.wait_for(third, 30)
    assert order == ["office flies", "survey flies"]
    held.set()
    await asyncio.gather(first, second)
    assert order[-1] == "office again flies"


SMALL = slice_over_three("small", "10.71")
BIG = slice_over_three("big").replace("1Gbps", "60Gbps")
BIGGER = slice_over_three("bigger", "10.70").replace("1Gbps", "60Gbps")


def _fits(planned: Planned) -> bool:
    return not planned.refusals


@pytest.mark.parametrize("fails", [True, False])
async def test_who_is_refused_for_room_that_a_change_under_way_holds_waits_for_its_end(desk: Desk, fails: bool) -> None:
    ended = asyncio.Event()

    async def first() -> None:
        wanted = Wanted(services(BIG))
        async with desk.flight(wanted):
            taken = Taken.of(await desk.take(wanted, "c1", _fits), "c1")
            await ended.wait()
            await (desk.withdraw(taken) if fails else desk.settle(taken))

    under_way = asyncio.create_task(first())
    async with asyncio.timeout(30):
        while not desk.state.services:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    second = asyncio.create_task(desk.take(Wanted(services(BIGGER)), "c2", _fits))
    await asyncio.sleep(0.05)
    assert not second.done()
    ended.set()
    planned = await asyncio.wait_for(second, 30)
    assert bool(planned.refusals) is not fails
    await under_way


async def test_only_what_is_decided_is_committing_and_who_waits_for_it_is_not(desk: Desk) -> None:
    small, big = services(SMALL), services(BIG)
    survey = {s.metadata.service for s in small}
    async with desk.flight(Wanted(small)):
        assert desk.under_way == survey
        assert desk.committing == frozenset()  # not planned yet
        taken = Taken.of(await desk.take(Wanted(small), "c1", _fits), "c1")
        assert desk.committing == survey
        async with desk.flight(Wanted(big)):
            assert desk.committing == survey
        await desk.settle(taken)
        assert desk.committing == frozenset()


async def test_who_is_refused_by_what_stands_waits_for_nobody(desk: Desk) -> None:
    taken = Taken.of(await desk.take(Wanted(services(BIG)), "c1", _fits), "c1")
    await desk.settle(taken)
    planned = await asyncio.wait_for(desk.take(Wanted(services(BIGGER)), "c2", _fits), 30)
    assert planned.refusals


def _pinned(name: str, number: int, rate: str, a: str = "zhihui", z: str = "buji") -> str:
    """A slice of the IP networks that may only go the short way."""
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: lit}}
spec:
  bandwidth: {rate}
  isolation: nrp
  protection: none
  slo: {{latency: 0.25ms, availability: 90%}}
  endpoints:
    - {{site: {a}, lan: 10.5{number}.1.0/24}}
    - {{site: {z}, lan: 10.5{number}.2.0/24}}
"""


@pytest.mark.parametrize("fails", [True, False])
async def test_who_would_share_a_link_that_is_just_being_lit_waits_until_it_is_there_or_lights_it(
    desk: Desk, fails: bool
) -> None:
    await desk.take(Wanted(services(_pinned("full", 0, "92Gbps", "nanwan", "jihua"))), "c0", _fits)
    ended, shown = asyncio.Event(), list[int]()
    desk.on_lit = lambda lit: shown.append(len(lit))

    async def first() -> None:
        wanted = Wanted(services(_pinned("first", 1, "80Gbps")))
        async with desk.flight(wanted):
            taken = Taken.of(await desk.take(wanted, "c1", _fits), "c1")
            await ended.wait()
            await (desk.withdraw(taken) if fails else desk.settle(taken))

    under_way = asyncio.create_task(first())
    async with asyncio.timeout(30):
        while not desk.state.lit:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    second = asyncio.create_task(desk.take(Wanted(services(_pinned("second", 2, "18Gbps"))), "c2", _fits))
    await asyncio.sleep(0.05)
    assert not second.done()
    ended.set()
    planned = await asyncio.wait_for(second, 30)
    await under_way
    creates = [o for e in planned.edits for o in e.operations if "nt:link" in str(o.path[-1])]
    assert len(creates) == (2 if fails else 0)
    assert shown == ([1, 0, 1] if fails else [1])


async def test_the_last_two_that_leave_a_link_at_once_take_it_away_once(desk: Desk) -> None:
    for n, (name, rate) in enumerate((("full", "92Gbps"), ("first", "80Gbps"), ("second", "18Gbps"))):
        ends = ("nanwan", "jihua") if name == "full" else ("zhihui", "buji")
        taken = await desk.take(Wanted(services(_pinned(name, n, rate, *ends))), name, _fits)
        await desk.settle(Taken.of(taken, name))

    async def leave(name: str) -> Planned:
        wanted = Wanted(drops=frozenset({ServiceId(f"lit/{name}")}))
        async with desk.flight(wanted):
            planned = await desk.take(wanted, f"-{name}", _fits)
            await asyncio.sleep(0.01)
            await desk.settle(Taken.of(planned, f"-{name}"))
            return planned

    gone = await asyncio.wait_for(asyncio.gather(leave("first"), leave("second")), 60)
    removed = [o for p in gone for e in p.edits for o in e.operations if "nt:link" in str(o.path[-1])]
    assert len(removed) == 2
    assert not desk.state.lit
