"""Every call to a driver, with a deadline of ours behind the driver's own and every failure in the error family.

A driver that hangs, or fails in a way that it should not, is to the protocol a domain whose outcome is unknown:
that is the one answer which is always safe.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from controller.errors import DomainError, DomainUnreachableError, OnecityError
from controller.rendering.tree import Edit, Path, Tree
from controller.southbound.driver import DomainTimers, Driver, TransactionState

log = logging.getLogger(__name__)

T = TypeVar("T")

_GRACE_S = 1.0  # the driver's own deadline comes first, with better words
_DEFAULT_TIMERS = DomainTimers()

CallSink = Callable[[str, str, str, float], None]  # domain, verb, how it ended, seconds


class Calls:
    """The drivers' verbs, guarded. Each raises DomainError (refused) or DomainUnreachableError (unknown)."""

    def __init__(self, drivers: Mapping[str, Driver], timers: Mapping[str, DomainTimers]) -> None:
        self._drivers = drivers
        self._timers = timers
        self.on_call: CallSink | None = None  # told of every call that ended

    def timers(self, domain: str) -> DomainTimers:
        return self._timers.get(domain, _DEFAULT_TIMERS)

    def knows(self, domain: str) -> bool:
        return domain in self._drivers

    def confirm_deadline_s(self, domain: str) -> float:
        """How long one confirm may take. Three of these must be left on the domain's timer at the decision."""
        timers = self.timers(domain)
        return min(timers.commit_s, timers.confirm_s / 6)

    async def connect(self, domain: str) -> None:
        await self._call(domain, "connect", self.timers(domain).connect_s, lambda driver: driver.connect())

    async def prepare(
        self, txn: str, edit: Edit, *, replay: bool = False, within_s: float = math.inf
    ) -> tuple[str, ...]:
        """within_s: what the caller has left, where that is less than the domain's own deadline."""
        limit = self.timers(edit.domain).edit_s

        async def act(driver: Driver) -> tuple[str, ...]:
            return await driver.prepare(txn, edit, replay=replay)

        return await self._call(edit.domain, "prepare", limit, act, within_s)

    async def commit(self, txn: str, domain: str, confirm_timeout_s: float, *, within_s: float = math.inf) -> None:
        limit = self.timers(domain).commit_s
        await self._call(domain, "commit", limit, lambda driver: driver.commit(txn, confirm_timeout_s), within_s)

    async def confirm(self, txn: str, domain: str) -> None:
        await self._call(domain, "confirm", self.confirm_deadline_s(domain), lambda driver: driver.confirm(txn))

    async def cancel(self, txn: str, domain: str) -> None:
        await self._call(domain, "cancel", self.timers(domain).commit_s, lambda driver: driver.cancel(txn))

    async def outcome(self, txn: str, edit: Edit) -> TransactionState:
        timers = self.timers(edit.domain)
        limit = timers.connect_s + timers.read_s
        return await self._call(edit.domain, "outcome", limit, lambda driver: driver.outcome(txn, edit))

    async def read(self, domain: str, paths: Sequence[Path], *, within_s: float = math.inf) -> Tree:
        return await self._call(domain, "read", self.timers(domain).read_s, lambda driver: driver.read(paths), within_s)

    async def _call(
        self,
        domain: str,
        verb: str,
        limit_s: float,
        call: Callable[[Driver], Awaitable[T]],
        within_s: float = math.inf,
    ) -> T:
        """Make a guarded call and tell how it ended."""
        began, outcome = time.perf_counter(), "ok"
        try:
            return await self._guarded(domain, verb, limit_s, call, within_s)
        except DomainUnreachableError:
            outcome = "unreachable"
            raise
        except DomainError:
            outcome = "refused"
            raise
        except asyncio.CancelledError:
            outcome = "abandoned"
            raise
        finally:
            if self.on_call is not None:
                self.on_call(domain, verb, outcome, time.perf_counter() - began)

    async def _guarded(
        self,
        domain: str,
        verb: str,
        limit_s: float,
        call: Callable[[Driver], Awaitable[T]],
        within_s: float,
    ) -> T:
        driver = self._drivers.get(domain)
        if driver is None:
            raise DomainUnreachableError(domain, "is not configured; add it to `domains:` in onecity.yaml")
        try:
            async with asyncio.timeout(min(limit_s + _GRACE_S, within_s)):
                return await call(driver)
        except DomainError:
            raise
        except TimeoutError as err:
            raise DomainUnreachableError(
                domain, f"{verb} was not answered within {min(limit_s, within_s):.3g} s"
            ) from err
        except OnecityError as err:
            raise DomainUnreachableError(domain, f"{verb}: {err}") from err
        except Exception as err:
            log.exception("the driver of %s failed in %s", domain, verb)
            raise DomainUnreachableError(domain, f"{verb} failed in the driver ({type(err).__name__}: {err})") from err
