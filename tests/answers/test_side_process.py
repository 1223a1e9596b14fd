"""Long work goes on in a process of its own: the event loop hardly notices, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from controller.answers import side_process
from controller.answers.side_process import SideProcess, TooLongError
from controller.changes.pipeline import Wanted
from controller.errors import PreconditionError, UnknownNameError
from controller.simulation.campaign import Progress, SimulationEvent, SimulationRequest, Summary
from controller.simulation.report import Outcome
from tests.support.stage import eventually
from tests.verification.scene import NOW, Scene
from tests.verification.standing import one_more, standing

ONE = SimulationRequest(("fibre:f-nanwan-buji",))
MOST_LOOP_S = 0.005


@pytest.fixture
async def aside() -> AsyncIterator[SideProcess]:
    process = SideProcess()
    yield process
    await process.stop()


async def _asked(aside: SideProcess, scene: Scene, request: SimulationRequest = ONE) -> list[SimulationEvent]:
    async with aclosing(aside.simulate(request, scene.state, scene.city, NOW)) as events:
        return [event async for event in events]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _told(events: list[SimulationEvent]) -> tuple[Summary, Outcome]:
    return next(e for e in events if isinstance(e, Summary)), next(e for e in events if isinstance(e, Outcome))


async def test_it_answers_and_follows_what_changes(aside: SideProcess) -> None:
    scene = standing(10)
    summary, outcome = _told(await _asked(aside, scene))
    assert summary.services == 10
    more, _ = scene.after(Wanted((one_more(),)))
    pid = aside.pid
    again, touched = _told(await _asked(aside, more))
    assert (again.services, aside.pid) == (11, pid)
    assert {e.service for e in touched.effects} - {e.service for e in outcome.effects} == {"gov/one-more"}
    assert _told(await _asked(aside, scene))[1] == outcome


async def test_the_event_loop_is_held_only_for_moments_while_much_stands(aside: SideProcess) -> None:
    """Counted in processor time of the loop's own thread, so that a busy machine does not count against it.

    What stands is left out of garbage collection, as the daemon does it.
    """
    scene, longest, going = standing(300), 0.0, True
    gc.collect()
    gc.freeze()

    async def watch() -> None:
        nonlocal longest
        while going:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    watching = asyncio.create_task(watch())
    await _asked(aside, scene)
    going = False
    await watching
    gc.unfreeze()
    assert longest < MOST_LOOP_S


async def test_leaving_ends_the_work_and_the_next_request_is_answered(aside: SideProcess) -> None:
    scene = standing(10)
    async with aclosing(aside.simulate(SimulationRequest(("double:3000",)), scene.state, scene.city, NOW)) as events:
        assert isinstance(await anext(events), Progress)
        pid = aside.pid
    assert pid is not None
    await asyncio.to_thread(eventually, lambda: not _alive(pid))
    assert _told(await _asked(aside, scene))[0].failures == 1


async def test_a_mistake_is_answered_and_the_process_stays(aside: SideProcess) -> None:
    scene = standing(10)
    with pytest.raises(UnknownNameError, match="did you mean"):
        await _asked(aside, scene, SimulationRequest(("fibre:f-nanwan-buj",)))
    pid = aside.pid
    await _asked(aside, scene)
    assert aside.pid == pid


async def test_a_deadline_ends_it() -> None:
    aside, scene = SideProcess(most_s=0.2), standing(10)
    try:
        with pytest.raises(TooLongError, match="stopped after"):
            await _asked(aside, scene, SimulationRequest(("double:3000",)))
        assert aside.pid is None
    finally:
        await aside.stop()


async def test_more_than_a_few_do_not_queue_up(aside: SideProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_process, "MOST_WAITING", 1)
    scene = standing(10)
    async with aclosing(aside.simulate(SimulationRequest(("double:3000",)), scene.state, scene.city, NOW)) as events:
        await anext(events)
        with pytest.raises(PreconditionError, match="waiting already"):
            await _asked(aside, scene)


def test_it_dies_with_its_parent() -> None:
    """Also with kill -9, and while it computes."""
    program = (
        "import asyncio, os\n"
        "from contextlib import aclosing\n"
        "from controller.answers.side_process import SideProcess\n"
        "from controller.simulation.campaign import SimulationRequest\n"
        "from tests.verification.scene import NOW, empty\n"
        "async def main():\n"
        "    aside, scene = SideProcess(), empty()\n"
        "    asked = aside.simulate(SimulationRequest(('double:1500',)), scene.state, scene.city, NOW)\n"
        "    async with aclosing(asked) as events:\n"
        "        await anext(events)\n"
        "        print(aside.pid, flush=True)\n"
        "        os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    eventually(lambda: not _alive(pid))
