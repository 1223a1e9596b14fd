"""The proof of capacity, made whole again after a failure: a little at a time, and never in the way of a repair.

What a service loads links with follows from the map. When links go down or come up, the first repair is not held up
until that was found anew for a whole city: a change finds it for the services that it concerns and a few others, and
this task for the rest, as soon as nobody waits for a repair.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from controller.changes.desk import Desk

log = logging.getLogger(__name__)

LOOK_S = 0.25
AT_ONCE = 100  # services for which it is found while others wait for the desk: some 10 ms


class Soundness:
    """Owns the task. `hurried`: whether services wait for their repair."""

    def __init__(self, desk: Desk, hurried: Callable[[], bool]) -> None:
        self._desk, self._hurried = desk, hurried
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="proof of capacity")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        left = 1  # after a start nothing is known
        while True:
            if self._hurried() or (not left and self._desk.whole):
                await asyncio.sleep(LOOK_S)
                continue
            try:
                left = await self._desk.make_whole(AT_ONCE)
            except Exception:  # a defect must not end the task; the next change proves what it concerns
                log.exception("the proof of capacity could not be renewed")
                await asyncio.sleep(LOOK_S)
            await asyncio.sleep(0.01)  # whoever waits for the desk goes first
