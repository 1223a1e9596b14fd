"""Over a fibre that must be cut though its domain does not say so, who is measured not to arrive is led elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from controller.assurance.components import leg_components
from controller.network.model import CityMap
from tests.loop.test_repairs import SURVEY, Room, eventually


@pytest.fixture
async def room(city: CityMap) -> AsyncIterator[Room]:
    room = Room(city)
    await room.repairs.start()
    yield room
    room.may_end.set()
    await room.repairs.stop()


def _under(room: Room) -> frozenset[str]:
    """All that carries the slice, and what stands by for it."""
    every = (
        leg_components(c.layer, leg)
        for c in room.desk.state.services[SURVEY].placement.circuits
        for leg in (c.working, c.protect)
        if leg is not None
    )
    return frozenset(part for parts in every for part in parts)


async def _looks(room: Room, times: int) -> None:
    for _ in range(times):
        before = room.rounds
        room.now += 1.0
        room.repairs._wake.set()
        await eventually(lambda before=before: room.rounds > before)  # type: ignore[misc]


async def test_who_is_measured_not_to_arrive_is_led_elsewhere_and_nobody_else(room: Room) -> None:
    lost = set[str]()
    room.repairs.switched.lost = lambda sid, placement: sid in lost
    parts = _under(room)
    assert parts
    room.repairs.switched.suspect(parts)
    await eventually(lambda: room.rounds > 0)
    await _looks(room, 3)
    assert room.asked == [], "it may be well: only its fibre is suspected"
    lost.add(SURVEY)
    await _looks(room, 3)
    await eventually(lambda: room.asked == [frozenset({SURVEY})])
    assert room.dead == {SURVEY}


async def test_who_does_not_ride_what_is_suspected_is_left_alone_however_it_is_measured(room: Room) -> None:
    room.repairs.switched.lost = lambda sid, placement: True
    room.repairs.switched.suspect(frozenset({"fibre:of-nobody"}))
    await eventually(lambda: room.rounds > 0)
    await _looks(room, 3)
    room.repairs.switched.suspect(frozenset())
    await _looks(room, 3)
    assert room.asked == []
