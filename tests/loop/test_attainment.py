"""What services attain: time counted, gaps kept as gaps, nothing lost but the last minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.changes.map_views import LinkView
from controller.changes.views import ServiceReading, SloView
from controller.errors import StoreError
from controller.loop.attainment import AT_ONCE, Attainment
from controller.store.store import Store
from controller.telemetry.indicator import Indicator, ServiceIndicators

START = datetime(2026, 11, 21, 9, 59, 0, tzinfo=UTC)
HOUR = int(START.timestamp() // 3600)


class World:
    """One service whose health the test sets, and a clock that the test moves."""

    def __init__(self, store: Store) -> None:
        self.now, self.health, self.delay_s, self.there = START, "ok", 0.01, True
        self.rate: float | None = 4e9
        self.carried = 2e9
        self.store = store
        self.attainment = Attainment(store, self.readings, self.links, lambda: self.now, lambda: 0.0)

    def readings(self) -> Iterator[ServiceReading]:
        delay = Indicator("t", "delay_s", self.delay_s, self.delay_s, self.delay_s, 1, 0.0)
        if self.there:
            rate = Indicator("t", "throughput_bps", self.carried, self.carried, self.carried, 1, 0.0)
            measured = ServiceIndicators(delay_s=delay, throughput_bps=rate, subjects=1)
            yield ServiceReading(
                "gov/a", "ExclusiveSlice", "Active", SloView(delay_s=0.02), measured, self.health, "cut"
            )

    async def links(self) -> tuple[tuple[LinkView, ...], dict[str, float]]:
        link = LinkView("link:x", "ip", "ip", "a", "z", 10**10, 10**9, 1e-3, 0, 0, (), True)
        return (link,), {} if self.rate is None else {"link:x": self.rate}

    async def pass_s(self, seconds: int, *, unseen: bool = False) -> None:
        self.now += timedelta(seconds=seconds)
        await self.attainment.round(float(seconds), unseen=unseen)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = Store.open(tmp_path / "s.db")
    yield World(store)
    store.close()


async def test_time_is_given_to_states_and_what_nobody_saw_is_neither_good_nor_bad(world: World) -> None:
    await world.pass_s(30)
    world.health, world.delay_s, world.carried = "violated", 0.03, 6e9
    await world.pass_s(10)
    await world.pass_s(500, unseen=True)
    await world.attainment.flush()
    (row,) = world.store.service_hours("gov", HOUR, HOUR + 2)
    assert (row.ok_s, row.violated_s, row.down_s, row.unknown_s) == (30.0, 10.0, 0.0, 500.0)
    assert row.delay_over_s == 10.0
    assert row.delay_max == 0.03
    assert (row.rate_max, row.rate_sum / row.rate_seen_s) == (6e9, (30 * 2e9 + 10 * 6e9) / 40)
    assert row.delay_sum / row.delay_seen_s == pytest.approx((30 * 0.01 + 10 * 0.03) / 40)
    assert world.attainment.seconds("gov/a") == {"good": 30.0, "bad": 10.0, "unknown": 500.0}
    assert world.store.service_hours("go", HOUR, HOUR + 2) == ()  # another tenant whose name begins alike


async def test_while_repairs_are_in_a_hurry_nothing_is_measured_and_afterwards_all_of_it(world: World) -> None:
    many = [next(iter(world.readings()))] * (2 * AT_ONCE)
    world.attainment = Attainment(world.store, lambda: many, world.links, lambda: world.now, lambda: 0.0)
    asked = 0

    def hurried() -> bool:
        nonlocal asked
        asked += 1
        return asked < 4

    world.attainment.hurried = hurried
    await world.pass_s(10)
    assert asked >= 4
    assert world.attainment.seconds("gov/a")["good"] == 10 * len(many)


async def test_an_hour_may_be_written_in_parts_and_hours_stay_apart(world: World) -> None:
    for _ in range(4):
        await world.pass_s(30)
        await world.attainment.flush()
    (first,) = world.store.service_hours("", HOUR, HOUR + 1)
    (second,) = world.store.service_hours("", HOUR + 1, HOUR + 2)
    assert (first.ok_s, second.ok_s) == (30.0, 90.0)


async def test_an_outage_is_kept_from_its_begin_to_its_end_over_gaps_and_restarts(world: World) -> None:
    await world.pass_s(1)
    world.health = "violated"
    await world.pass_s(1)
    began = world.now.timestamp()
    world.health = "down"
    await world.pass_s(10)
    world.health = "unknown"
    await world.pass_s(10)  # nobody saw it recover
    await world.attainment.flush()
    again = World(world.store)  # the daemon was started again
    again.now, again.health = world.now, "down"
    await again.pass_s(10)
    again.health = "ok"
    await again.pass_s(5)
    await again.attainment.flush()
    (outage,) = world.store.outages("gov", 0.0, 4e9)
    assert (outage.began, outage.ended, outage.state) == (began, began + 35.0, "down")
    assert world.store.open_outages() == ()


async def test_a_service_that_is_withdrawn_while_down_is_down_no_longer(world: World) -> None:
    world.health = "down"
    await world.pass_s(1)
    world.there = False
    await world.pass_s(1)
    await world.attainment.flush()
    (outage,) = world.store.outages("", 0.0, 4e9)
    assert outage.ended == world.now.timestamp()


async def test_what_the_disk_refuses_is_written_with_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.pass_s(10)
    await world.attainment.take_links()
    add = world.store.add_attained

    async def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(world.store, "add_attained", refuse)
    with pytest.raises(StoreError):
        await world.attainment.flush()
    await world.pass_s(10)
    monkeypatch.setattr(world.store, "add_attained", add)
    await world.attainment.flush()
    await world.attainment.flush()
    (row,) = world.store.service_hours("", HOUR, HOUR + 1)
    assert row.ok_s == 20.0
    (link,) = world.store.link_hours(HOUR, HOUR + 1)
    assert (link.looks, link.rate_sum, link.reserved_max) == (1.0, 4e9, 1e9)


async def test_old_hours_become_days_and_nothing_of_them_is_lost(world: World) -> None:
    for _ in range(50):
        await world.attainment.take_links()
        await world.pass_s(3600)
    world.rate = None  # a link that nobody measures: no look, not a zero
    await world.attainment.take_links()
    await world.attainment.flush()
    before = world.store.service_hours("", 0, HOUR + 100)
    later = START + timedelta(days=200)
    await world.store.fold_attained(later.timestamp())
    assert world.store.service_hours("", 0, HOUR + 100)[0].ok_s == before[0].ok_s == 50 * 3600.0
    days = world.store.link_hours(0, HOUR + 100)
    assert len(days) <= 4
    assert sum(d.looks for d in days) == 50.0
    await world.store.fold_attained((START + timedelta(days=900)).timestamp())
    assert world.store.service_hours("", 0, HOUR + 100) == ()
