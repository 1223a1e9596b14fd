"""What is kept of the past, and for how long: what changes did to domains is the bulk of the store, and goes in time.

Who changed what, when, why and how it ended stays for ever; so does what a rollback needs, which is the intents.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from controller.errors import OnecityError
from controller.store.store import Store

log = logging.getLogger(__name__)

EVERY_S = 3600.0


class Upkeep:
    """Owns a task that forgets once an hour what is old enough."""

    def __init__(self, store: Store, keep_days: int, now: Callable[[], datetime], every_s: float = EVERY_S) -> None:
        self._store, self._keep_days, self._now, self._every_s = store, keep_days, now, every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; nothing to do where all is kept for ever (0 days)."""
        if self._keep_days:
            self._task = asyncio.create_task(self._work(), name="upkeep")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                gone = await self._store.forget_domains(self._now() - timedelta(days=self._keep_days))
                if gone:
                    log.info("forgot the native diffs of changes older than %d days: %d", self._keep_days, gone)
            except OnecityError as error:
                log.warning("old native diffs could not be forgotten: %s", error)
            await asyncio.sleep(self._every_s)
