"""When garbage is collected: never while services wait for their repair, and never over what stands for months.

Desired state is millions of small objects. To walk them all takes a fifth of a second, and to walk a second's worth
of new ones tens of milliseconds, in which every change waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator

THRESHOLDS = (50_000, 20, 100)
LOOK_S = 0.25
MOST_HELD_S = 10.0  # garbage in cycles is not let grow for longer than this
ENOUGH_MORE = 500  # services that came to stand since; then these are left out of collection too


@contextlib.contextmanager
def _enabled() -> Iterator[None]:
    try:
        yield
    finally:
        gc.enable()


class Collector:
    """Owns the task that looks. `hurried`: whether repairs are under way; `busy`: whether changes are;
    `standing`: how many services stand."""

    def __init__(self, hurried: Callable[[], bool], busy: Callable[[], bool], standing: Callable[[], int]) -> None:
        self._hurried, self._busy, self._standing = hurried, busy, standing
        self._frozen = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Leave what stands out of collection, and look less often at the rest."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        self._frozen = self._standing()
        self._task = asyncio.create_task(self._run(), name="garbage collection")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hold(self) -> None:
        """Collect nothing for now; call when something failed."""
        gc.disable()

    async def _run(self) -> None:
        held_s = 0.0
        with _enabled():
            while True:
                await asyncio.sleep(LOOK_S)
                held_s = 0.0 if gc.isenabled() else held_s + LOOK_S
                if not gc.isenabled() and (held_s >= MOST_HELD_S or not self._hurried()):
                    gc.enable()
                elif not self._busy() and self._standing() >= self._frozen + ENOUGH_MORE:
                    self._frozen = self._standing()
                    gc.collect(0)
                    gc.freeze()
