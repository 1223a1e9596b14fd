"""Who can wait gives way while the first services after a failure are repaired: briefly, and not again at once.

Measurements of ten thousand services keep the processor busy for a tenth of every second. A repair of a VIP takes half
as long altogether: where both meet it takes twice that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

MOST_S = 0.25  # at a time: so much older measurements may get
APART_S = 1.0  # between the beginnings of two: failures without end must not make us blind


class Courtesy:
    """Begun by a failure, ended when nobody urgent waits any more. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = float("-inf")
        self._clear = asyncio.Event()
        self._clear.set()
        self.given = 0  # how often somebody waited

    def begin(self) -> None:
        """Somebody urgent has come."""
        now = self._clock()
        if now >= self._began + APART_S:
            self._began = now
            self._clear.clear()

    def end(self) -> None:
        """Nobody urgent waits."""
        self._clear.set()

    async def wait(self) -> None:
        """Return at once, or when whoever is urgent has been served, at the latest MOST_S after they came."""
        if self._clear.is_set():
            return
        left_s = self._began + MOST_S - self._clock()
        if left_s > 0:
            self.given += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._clear.wait()
