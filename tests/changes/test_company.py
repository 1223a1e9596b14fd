"""Changes that come close together wait for each other at the door, briefly; who comes alone does not wait."""

from __future__ import annotations

import asyncio

from controller.changes.company import Company
from controller.changes.desk import Desk
from controller.changes.pipeline import Planned, Wanted
from controller.changes.state import rebuilt
from controller.network.model import CityMap
from tests.changes.wanted import NOW, services, slice_over_three

LONG_S = 60.0  # longer than any test lasts


async def _walk(company: Company, ready: asyncio.Event, log: list[str], name: str, *, urgent: bool = False) -> None:
    with company.arrival(urgent=urgent) as arrival:
        await ready.wait()
        log.append(f"{name} is here")
        await arrival.here()
    log.append(f"{name} goes in")


async def test_the_first_waits_for_those_who_are_on_their_way() -> None:
    company, log = Company(LONG_S), list[str]()
    ready = [asyncio.Event() for _ in range(3)]
    walks = [asyncio.create_task(_walk(company, one, log, f"c{n}")) for n, one in enumerate(ready)]
    await asyncio.sleep(0)
    for one in ready:
        one.set()
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*walks), 10)
    assert log[:3] == ["c0 is here", "c1 is here", "c2 is here"]


async def test_who_comes_alone_does_not_wait() -> None:
    company, log = Company(LONG_S), list[str]()
    ready = asyncio.Event()
    ready.set()
    await asyncio.wait_for(_walk(company, ready, log, "c"), 10)
    assert log == ["c is here", "c goes in"]


async def test_who_never_comes_is_not_waited_for() -> None:
    company, log = Company(LONG_S), list[str]()
    ready, never = asyncio.Event(), asyncio.Event()
    ready.set()
    lost = asyncio.create_task(_walk(company, never, log, "lost"))
    await asyncio.sleep(0)
    walk = asyncio.create_task(_walk(company, ready, log, "c"))
    await asyncio.sleep(0)
    assert not walk.done()
    lost.cancel()
    await asyncio.wait_for(walk, 10)
    assert log == ["c is here", "c goes in"]


async def test_nobody_waits_for_long() -> None:
    company, log = Company(0.001), list[str]()
    ready, never = asyncio.Event(), asyncio.Event()
    ready.set()
    slow = asyncio.create_task(_walk(company, never, log, "slow"))
    await asyncio.sleep(0)
    await asyncio.wait_for(_walk(company, ready, log, "c"), 10)
    assert log == ["c is here", "c goes in"]
    slow.cancel()


async def test_the_urgent_wait_for_nobody_and_nobody_for_them() -> None:
    company, log = Company(LONG_S), list[str]()
    ready, never = asyncio.Event(), asyncio.Event()
    ready.set()
    slow = asyncio.create_task(_walk(company, never, log, "slow"))
    repair = asyncio.create_task(_walk(company, never, log, "repair", urgent=True))
    await asyncio.sleep(0)
    await asyncio.wait_for(_walk(company, ready, log, "vip", urgent=True), 10)
    slow.cancel()
    await asyncio.wait([slow])
    await asyncio.wait_for(_walk(company, ready, log, "c"), 10)  # though the repair is not there yet
    assert log == ["vip is here", "vip goes in", "c is here", "c goes in"]
    repair.cancel()


async def test_those_who_come_while_others_are_under_way_are_planned_in_one_go(city: CityMap) -> None:
    desk = Desk(rebuilt({}, city), lambda: city, lambda: NOW)
    wanted = [Wanted(services(slice_over_three(f"s{n}", f"10.{40 + n}"))) for n in range(4)]

    def always(_: Planned) -> bool:
        return True

    await desk.take(wanted[0], "c0", always)
    found = await asyncio.gather(*(desk.take(wanted[n], f"c{n}", always) for n in (1, 2, 3)))
    assert len({id(planned.after) for planned in found}) == 1
    assert len(desk.state.services) == 4
