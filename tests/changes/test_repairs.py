"""The fast loop: who is repaired before whom, and what wakes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet

import pytest

from controller.assurance.components import closure
from controller.changes.desk import Desk
from controller.changes.pipeline import Wanted
from controller.changes.repair import Repairs
from controller.changes.views import ChangeResult, Outcome
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from controller.network.outage import without
from controller.southbound.driver import Sample
from tests.changes.wanted import NOW, council, empty, office, planned, services

OFFICE, COUNCIL = ServiceId("gov/office"), ServiceId("gov/council")


class Domains:
    """Shows as down what is said to be; no session behind it."""

    def __init__(self, city: CityMap) -> None:
        self.city = self._whole = city

    def outage(self, down: AbstractSet[str]) -> frozenset[str]:
        fallen = closure(self._whole, down, {})
        self.city = without(self._whole, fallen)
        return fallen


class Room:
    """A loop over an office and an assurance of it, and the repairs that it asked for, each ended by the test."""

    def __init__(self, city: CityMap) -> None:
        state, model = empty(city)
        first = planned(city, state, model, Wanted(services(office(), council(0, 3600))))
        self.desk = Desk(first.after, lambda: city, lambda: NOW)
        vip = first.after.services[COUNCIL].placement
        self.links = [rate.link for rate in vip.rates if rate.link.startswith("link:")]
        self.asked: list[frozenset[ServiceId]] = []
        self.may_end = asyncio.Event()
        self.now = 1000.0  # the test moves it, so that no deadline depends on how busy the machine is
        self.repairs = Repairs(self.desk, Domains(city), self._repair, lambda: self.now)  # type: ignore[arg-type]
        self.rounds = 0
        look = self.repairs._look

        def counted() -> None:
            self.rounds += 1
            look()

        self.repairs._look = counted  # type: ignore[method-assign]

    async def _repair(self, wave: frozenset[ServiceId], dead: frozenset[ServiceId], reason: str) -> ChangeResult:
        self.asked.append(wave)
        await self.may_end.wait()
        return ChangeResult(Outcome.COMMITTED)

    def hear(self, subject: str, value: float, metric: str = "up") -> None:
        self.repairs.hear([Sample("city-ip", subject, metric, value, 0.0)])


async def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("not within 30 s")


@pytest.fixture
async def room(city: CityMap) -> AsyncIterator[Room]:
    room = Room(city)
    await room.repairs.start()
    yield room
    room.may_end.set()
    await room.repairs.stop()


async def test_all_others_wait_until_the_assurance_stands_also_when_more_is_heard_of_the_cut(room: Room) -> None:
    room.hear(f"link:{room.links[0]}", 0.0)
    await eventually(lambda: len(room.asked) > 0)
    rounds = room.rounds
    room.hear(f"link:{room.links[-1]}", 0.0)
    await eventually(lambda: room.rounds > rounds)
    assert room.asked == [frozenset({COUNCIL})]
    assert room.repairs.hurried
    room.may_end.set()
    await eventually(lambda: len(room.asked) > 1)
    assert frozenset({OFFICE}) in room.asked


async def test_an_assurance_whose_domain_hangs_holds_up_nobody_for_long(room: Room) -> None:
    room.hear(f"link:{room.links[0]}", 0.0)
    await eventually(lambda: len(room.asked) > 0)
    room.now += 5.0
    room.hear(f"link:{room.links[-1]}", 0.0)
    await eventually(lambda: len(room.asked) > 1)
    assert room.asked == [frozenset({COUNCIL}), frozenset({OFFICE})]
    assert not room.may_end.is_set()


async def test_a_state_that_is_told_again_wakes_nobody(room: Room) -> None:
    room.hear(f"link:{room.links[0]}", 0.0)
    await eventually(lambda: len(room.asked) > 0)
    await asyncio.sleep(0.1)
    rounds = room.rounds
    for _ in range(20):
        room.hear(f"link:{room.links[0]}", 0.0)
        room.hear("tunnel:vip/gov.council/a-b", 0.0)
        await asyncio.sleep(0.01)
    assert room.rounds <= rounds + 1  # it looks by itself when something is due
