"""Parties of an assured conference: watched in the window and only there, gaps kept as gaps, told afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.changes.party_views import PartyView
from controller.changes.state import Standing
from controller.errors import StoreError
from controller.intent import from_document
from controller.intent.model import ServiceId, VipAssurance
from controller.loop.parties import Parties
from controller.planning.placement import Placement
from controller.southbound.driver import Sample
from controller.store.attained import Outage, ServiceHour
from controller.store.store import Store
from controller.telemetry.telemetry import Telemetry

START = datetime(2026, 11, 21, 9, 59, 30, tzinfo=UTC)
SID = ServiceId("gov/council")


def vip(parties: int = 2) -> VipAssurance:
    found = from_document(
        {
            "apiVersion": "onecity/v1",
            "kind": "VipAssurance",
            "metadata": {"name": "council", "tenant": "gov"},
            "spec": {
                "protects": "office",
                "window": {"start": "2026-11-21T09:59:30Z", "end": "2026-11-21T10:59:30Z"},
                "slo": {"latency": "20ms", "loss": "1e-4"},
                "conference": {
                    "mcu": {"access": "zhihui", "address": "10.10.0.10"},
                    "parties": [
                        {"name": f"p{n}", "access": "buji", "address": f"10.10.1.{20 + n}"} for n in range(parties)
                    ],
                },
            },
        },
        "test",
    )
    assert isinstance(found, VipAssurance)
    return found


class World:
    """One assurance in its window; the test moves the clock and measures."""

    def __init__(self, store: Store, parties: int = 2) -> None:
        self.store, self.now_s = store, 0.0
        placement = cast(Placement, SimpleNamespace(start=START, end=START + timedelta(hours=1)))
        self.standing = cast(
            Standing, SimpleNamespace(service=vip(parties), placement=placement, active=True, expired=False)
        )
        self.telemetry = Telemetry((), lambda: self.now_s)
        state = lambda: cast(Any, SimpleNamespace(services={SID: self.standing}))  # noqa: E731
        self.parties = Parties(
            state, self.telemetry, store, lambda: START + timedelta(seconds=self.now_s), lambda: self.now_s
        )

    def measure(self, party: int, direction: str, delay_s: float = 0.005, loss: float = 0.0) -> None:
        subject = f"host:gov.office/10.10.1.{20 + party}/{direction}"
        values = {"delay_s": delay_s, "jitter_s": 0.001, "loss_ratio": loss}
        self.telemetry.take(Sample("city-ip", subject, name, value, self.now_s) for name, value in values.items())

    async def second(self, **one: tuple[float, float]) -> None:
        """Let a second pass; one: party → (delay, loss) heard. Parties that are not named are well."""
        self.now_s += 1.0
        for number in range(2):
            delay_s, loss = one.get(f"p{number}", (0.005, 0.0))
            self.measure(number, "sent")
            self.measure(number, "heard", delay_s, loss)
        await self.parties.round(1.0)

    def seen(self) -> dict[str, PartyView]:
        return {p.name: p for p in self.parties.now(self.standing)}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = Store.open(tmp_path / "s.db")
    yield World(store)
    store.close()


async def test_each_party_is_judged_by_its_worse_direction_and_by_nobody_elses(world: World) -> None:
    await world.second(p1=(0.030, 0.0))
    found = {n: (p.health, p.delay_s) for n, p in world.seen().items()}
    assert found == {"p0": ("ok", 0.005), "p1": ("violated", 0.03)}
    await world.second(p1=(0.005, 1.0))
    assert world.seen()["p1"].health == "down"
    assert world.seen()["p1"].delay_s is None  # what does not arrive has no delay
    condition = world.parties.condition(world.standing)
    assert condition is not None
    assert (condition.status, condition.message) == ("False", "1 of 2 parties: p1 (down)")


async def test_a_party_of_whom_one_direction_is_silent_is_unknown_and_never_well(world: World) -> None:
    world.measure(0, "sent")
    world.measure(1, "sent")
    world.measure(1, "heard")
    assert {n: p.health for n, p in world.seen().items()} == {"p0": "unknown", "p1": "ok"}
    condition = world.parties.condition(world.standing)
    assert condition is not None
    assert condition.status == "Unknown"
    world.now_s += 60.0  # nothing came for a minute
    assert {p.health for p in world.seen().values()} == {"unknown"}
    assert world.parties.condition(world.standing) is None  # where no party can be measured, nothing is claimed


async def test_the_record_tells_what_each_party_had_over_hours_restarts_and_a_disk_that_was_full(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(60):  # over the full hour
        await world.second(p1=(0.030, 0.0) if n < 15 else (0.005, 0.0))
    add = world.store.add_parties

    async def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(world.store, "add_parties", refuse)
    with pytest.raises(StoreError):
        await world.parties.flush()
    monkeypatch.setattr(world.store, "add_parties", add)
    await world.parties.flush()
    again = World(world.store)
    again.now_s = world.now_s
    await again.second()
    began = START.timestamp() + 5
    await world.store.add_attained((), (), (Outage(SID, began, began + 10, "violated", "delay"),))
    record = again.parties.record(again.standing)
    assert record is not None
    assert not record.over
    assert (record.outages, record.broken_s, record.repairs) == (1, 10.0, 0)
    fine, late = record.parties
    assert (fine.name, fine.ok_s, fine.violated_s, fine.down_s, fine.unknown_s) == ("p0", 61.0, 0.0, 0.0, 0.0)
    assert (late.ok_s, late.violated_s, late.delay_worst_s) == (46.0, 15.0, 0.030)
    assert late.delay_mean_s == pytest.approx((15 * 0.030 + 46 * 0.005) / 61)


async def test_what_is_on_its_way_to_the_store_is_told_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    on_its_way, may_arrive, add = asyncio.Event(), asyncio.Event(), world.store.add_parties

    async def slow(rows: tuple[ServiceHour, ...]) -> None:
        on_its_way.set()
        await may_arrive.wait()
        await add(rows)

    monkeypatch.setattr(world.store, "add_parties", slow)
    await world.second()
    flushing = asyncio.create_task(world.parties.flush())
    await on_its_way.wait()
    meanwhile = world.parties.record(world.standing)
    assert meanwhile is not None
    assert [p.ok_s for p in meanwhile.parties] == [1.0, 1.0]
    may_arrive.set()
    await flushing
    assert world.parties.record(world.standing) == meanwhile


async def test_after_its_window_nobody_is_watched_and_the_record_stays(world: World) -> None:
    await world.second()
    world.standing = cast(Standing, SimpleNamespace(**{**vars(world.standing), "active": False, "expired": True}))
    world.now_s = 3700.0
    await world.parties.round(1.0)
    assert world.seen() == {}
    record = world.parties.record(world.standing)
    assert record is not None
    assert record.over
    assert record.until == START + timedelta(hours=1)
    assert [(p.name, p.ok_s) for p in record.parties] == [("p0", 1.0), ("p1", 1.0)]
    assert world.store.parties(SID, 0, 10**6) != ()  # written when it was disarmed, without being asked


async def test_time_in_which_nobody_looked_is_unknown(world: World) -> None:
    await world.parties.round(500.0, unseen=True)
    world.now_s = 1.0
    record = world.parties.record(world.standing)
    assert record is not None
    assert [(p.ok_s, p.unknown_s, p.delay_mean_s) for p in record.parties] == [(0.0, 500.0, None)] * 2
