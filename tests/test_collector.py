"""Garbage is not collected while services wait for their repair."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable

import pytest

from controller.collector import ENOUGH_MORE, Collector


class World:
    """What the collector asks of the daemon."""

    def __init__(self) -> None:
        self.hurried, self.busy, self.standing = False, False, 10
        self.collector = Collector(lambda: self.hurried, lambda: self.busy, lambda: self.standing)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    thresholds = gc.get_threshold()
    world = World()
    await world.collector.start()
    yield world
    await world.collector.stop()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("not within 30 s")


async def test_nothing_is_collected_until_the_repair_has_ended(world: World) -> None:
    world.hurried = True
    world.collector.hold()
    await asyncio.sleep(0.6)
    assert not gc.isenabled()
    world.hurried = False
    await _until(gc.isenabled)


async def test_whoever_stops_it_finds_collection_on(world: World) -> None:
    world.hurried = True
    world.collector.hold()
    await world.collector.stop()
    assert gc.isenabled()


async def test_what_came_to_stand_is_left_out_once_no_change_is_under_way(world: World) -> None:
    kept = [[n] for n in range(5000)]
    world.busy, world.standing = True, 10 + ENOUGH_MORE
    before = gc.get_freeze_count()
    await asyncio.sleep(0.6)
    assert gc.get_freeze_count() <= before
    world.busy = False
    await _until(lambda: gc.get_freeze_count() >= before + len(kept) // 2)
