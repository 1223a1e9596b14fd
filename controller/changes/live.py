"""A change while it runs: its events so far, and whoever watches. Leaving does not touch the change."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

from controller.changes.views import ChangeEvent, ChangeResult, ProgressEvent
from controller.errors import UnknownNameError
from controller.transactions.step import Progress

KEPT_ENDED = 500  # ended changes whose progress can still be replayed; the history keeps the rest for ever


class LiveChange:
    """Events are numbered from 1 and kept, so that a watch can re-attach anywhere; the result is the last."""

    def __init__(self, change_id: str, services: tuple[str, ...], clock: Callable[[], float]) -> None:
        self.id, self.services, self._clock = change_id, services, clock
        self.accepted = clock()
        self.events: list[ChangeEvent] = []
        self.result: ChangeResult | None = None
        self.step_names: dict[int, str] = {}
        self._more: asyncio.Event | None = None  # where somebody waits for more
        self._ended = asyncio.Event()

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self.accepted

    def say(self, stage: str, detail: str = "") -> None:
        """Report a stage of the whole change."""
        self._add(progress=ProgressEvent(stage, elapsed_s=self.elapsed_s, detail=detail))

    def hear(self, progress: Progress) -> None:
        """Report what one domain reached."""
        name = self.step_names.get(progress.step, "")
        self._add(
            progress=ProgressEvent(
                progress.stage, progress.domain, progress.step, name, self.elapsed_s, progress.detail
            )
        )

    def end(self, result: ChangeResult) -> None:
        self.result = result
        self._add(result=result)
        self._ended.set()

    def _add(self, progress: ProgressEvent | None = None, result: ChangeResult | None = None) -> None:
        services = self.services if not self.events else ()
        self.events.append(ChangeEvent(len(self.events) + 1, progress, result, services))
        if self._more is not None:
            self._more.set()
            self._more = None

    async def ended(self) -> ChangeEvent:
        """Wait for the event that ends the change."""
        await self._ended.wait()
        return self.events[-1]

    async def watch(self, after: int) -> AsyncIterator[ChangeEvent]:
        """Yield events with sequence > after, up to the result."""
        position = max(after, 0)
        while True:
            while position < len(self.events):
                event = self.events[position]
                position += 1
                yield event
                if event.result is not None:
                    return
            if self.result is not None:
                return
            if self._more is None:
                self._more = asyncio.Event()
            await self._more.wait()


class LiveChanges:
    """The changes of this life of the daemon, running and lately ended."""

    def __init__(self) -> None:
        self._changes: OrderedDict[str, LiveChange] = OrderedDict()

    def add(self, change: LiveChange) -> None:
        self._changes[change.id] = change
        if len(self._changes) < KEPT_ENDED + KEPT_ENDED // 4:
            return  # to look for those that ended costs what is kept: not with every change
        ended = [c.id for c in self._changes.values() if c.result is not None]
        for old in ended[: max(0, len(ended) - KEPT_ENDED)]:
            del self._changes[old]

    def get(self, change_id: str) -> LiveChange:
        """Return a change; raises UnknownNameError."""
        try:
            return self._changes[change_id]
        except KeyError:
            raise UnknownNameError(
                f"no change {change_id!r} is running; `onecity history` lists those that ended"
            ) from None
