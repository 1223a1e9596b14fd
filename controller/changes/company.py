"""Changes wait a moment at the door for those that come right behind them, so that they travel in one commit.

What a commit costs each domain it costs once, however many travel in it. Where many clients order at once, the first
to be ready would go alone, and all others would meet again behind it. A change that comes alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

MOST_S = 0.05  # nobody waits for longer than this for others, who may be planned slowly or refused


class Company:
    """Who is between the decision to plan it and the door. Belongs to one event loop."""

    def __init__(self, most_s: float = MOST_S) -> None:
        self._most_s = most_s
        self._coming = 0
        self._all_here = asyncio.Event()  # set when nobody is on the way

    def arrival(self, *, urgent: bool) -> Arrival:
        """Return one change's way to the door; an urgent one waits for nobody, and nobody for it."""
        return Arrival(self, urgent=urgent)

    def _more(self, change: int) -> None:
        self._coming += change
        if self._coming:
            self._all_here.clear()
        else:
            self._all_here.set()

    async def _gathered(self) -> None:
        if self._coming:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._most_s):
                    await self._all_here.wait()


class Arrival:
    """Enter it when the change sets out; leaving it without `here` means that it never came."""

    def __init__(self, company: Company, *, urgent: bool) -> None:
        self._company, self._urgent = company, urgent
        self._on_the_way = False

    def __enter__(self) -> Arrival:
        if not self._urgent:
            self._on_the_way = True
            self._company._more(+1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._arrived()

    async def here(self) -> None:
        """Be at the door, and wait for those who were on the way then; not for long."""
        self._arrived()
        if not self._urgent:
            await self._company._gathered()

    def _arrived(self) -> None:
        if self._on_the_way:
            self._on_the_way = False
            self._company._more(-1)
