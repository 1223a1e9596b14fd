"""All or none, for one step over n domains, whatever dies on the way.

`run` takes a step from the intention to its end. What it cannot end (a domain is unreachable) stays open in the
journal and is finished in the background, also after a restart of the daemon (`recover`). Until then no step may
touch an unsettled domain, nor a place that an undecided direction could still change; every other step goes on.
One transaction at a time per domain; disjoint steps run in parallel.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager

from controller.errors import StoreError
from controller.rendering.tree import Path
from controller.southbound.driver import DomainTimers, Driver
from controller.transactions.calls import Calls
from controller.transactions.journal import Journal, OpenTransaction
from controller.transactions.protocol import Approach, Report, StepAbortedError, in_parallel, noting, out_of_reach
from controller.transactions.settlement import Attempt, Settlement
from controller.transactions.step import DomainFailure, Progress, ProgressSink, Step, StepOutcome, StepResult

log = logging.getLogger(__name__)

StateHook = Callable[[Step, StepResult], None]
Sleep = Callable[[float], Awaitable[None]]

_FIRST_RETRY_S = 0.2
_LONGEST_RETRY_S = 15.0
_DISK_RETRY_S = 1.0


def _nobody(_: Progress) -> None:
    return None


class _Unfinished:
    """A transaction that the background has to end."""

    def __init__(self, transaction: OpenTransaction, failures: tuple[DomainFailure, ...] = ()) -> None:
        self.transaction = transaction
        self.failures = failures  # of the last attempt
        self.first_attempt: asyncio.Future[StepResult] = asyncio.get_running_loop().create_future()
        self.hurry = asyncio.Event()  # try again now
        self.ended = asyncio.Event()
        self._places = {
            edit.domain: (frozenset(edit.touched), frozenset(p[:n] for p in edit.touched for n in range(len(p))))
            for edit in transaction.step.edits
        }

    def blocks(self, step: Step) -> str:
        """Return the domain in which the step must wait for this one; empty where it need not."""
        for edit in step.edits:
            if edit.domain in self.transaction.unsettled:
                return edit.domain
            # A decided one may still have to put back what it did here; one that goes back is done here.
            decided = self.transaction.decided and edit.domain in self._places
            if decided and any(self._covers(edit.domain, path) for path in edit.touched):
                return edit.domain
        return ""

    def _covers(self, domain: str, path: Path) -> bool:
        touched, above = self._places[domain]
        return path in above or any(path[:n] in touched for n in range(len(path) + 1))

    def result(self) -> StepResult:
        outcome = StepOutcome.IN_DOUBT
        if not self.transaction.decided and not self.transaction.maybe_decided:
            outcome = StepOutcome.ROLLED_BACK  # presumed: the domain's own timer does it if we cannot
        return StepResult(outcome, self.failures)


class Transactions:
    """The transaction room. One instance per journal; belongs to one event loop."""

    def __init__(
        self,
        journal: Journal,
        drivers: Mapping[str, Driver],
        timers: Mapping[str, DomainTimers] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        on_state: StateHook | None = None,
        sleep: Sleep = asyncio.sleep,
        watch: ProgressSink | None = None,
    ) -> None:
        """on_state is told how a transaction ends, or stays in doubt, outside of `run`; drivers may grow later.

        watch hears the progress of every transaction, also of those that end in the background.
        """
        self._journal = journal
        self._calls = Calls(drivers, timers or {})
        self._settlement = Settlement(self._calls, journal)
        self._clock = clock
        self._on_state = on_state
        self._sleep = sleep
        self._watch = watch
        self._locks: dict[str, asyncio.Lock] = {}
        self._unfinished: dict[str, _Unfinished] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, step: Step, *, progress: ProgressSink = _nobody) -> StepResult:
        """Bring the step to all of its domains or to none.

        If the caller is cancelled, the step is undone (before the decision) or finished (after it) before
        CancelledError goes on. Failures of domains and of the disk are in the result, never raised.
        """
        _check(step)
        report = self._reporter(step, progress)
        if missing := await out_of_reach(step, self._calls, report):
            return StepResult(StepOutcome.ROLLED_BACK, missing)
        async with AsyncExitStack() as held:
            blocked = await self._enter(step, held)
            if blocked is not None:
                report(blocked.domain, "failed", blocked.message)
                return StepResult(StepOutcome.ROLLED_BACK, (blocked,))
            transaction = OpenTransaction(step)
            approach = Approach(transaction, self._calls, self._journal, self._clock, report)
            return await _to_the_end(asyncio.ensure_future(self._run(approach, transaction, report)), approach)

    async def enforce(self, step: Step) -> StepResult:
        """Bring the step to all of its domains, however long that takes: the way back of a step that stands.

        It is decided from the start: a domain out of reach leaves it in doubt, never rolled back, and the background
        goes on. A disk that refuses the journal is waited for; a crash before that leaves the step to be asked again.
        """
        _check(step)
        transaction = OpenTransaction(step)
        await self._surely(lambda: self._journal.begin(step))
        await self._surely(lambda: self._journal.append(step.txn, "decided"))
        transaction.apply("decided", "")
        unfinished = _Unfinished(transaction)
        self._finish_later(unfinished)
        return await asyncio.shield(unfinished.first_attempt)

    async def _surely(self, write: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await write()
            except StoreError as err:
                log.error("waiting for the disk: %s", err)
                await self._sleep(_DISK_RETRY_S)

    async def recover(self) -> tuple[tuple[Step, StepResult], ...]:
        """Try once to end every transaction that the journal holds open; go on in the background with the rest.

        Their domains are closed to new steps from the first moment. Call once, before the first `run`.
        """
        opened = [_Unfinished(transaction) for transaction in self._journal.open_transactions()]
        for unfinished in opened:
            self._finish_later(unfinished)
        results = await asyncio.gather(*(unfinished.first_attempt for unfinished in opened))
        return tuple((one.transaction.step, result) for one, result in zip(opened, results, strict=True))

    def in_doubt(self) -> Mapping[str, frozenset[str]]:
        """Return the decided changes that have not ended: change id → domains not yet settled."""
        open_changes: dict[str, frozenset[str]] = {}
        for one in self._unfinished.values():
            if one.transaction.decided or one.transaction.maybe_decided:
                change = one.transaction.step.change_id
                open_changes[change] = open_changes.get(change, frozenset()) | one.transaction.unsettled
        return open_changes

    def unsettled(self) -> Mapping[str, str]:
        """Return the domains closed to new steps: domain → transaction that has yet to end there."""
        return {domain: txn for txn, one in self._unfinished.items() for domain in one.transaction.unsettled}

    def nudge(self, domain: str) -> None:
        """The domain is back: try at once to end what is open on it."""
        for one in self._unfinished.values():
            if domain in one.transaction.domains:
                one.hurry.set()

    async def close(self) -> None:
        """Stop working in the background. What is open stays in the journal for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # One step

    async def _run(self, approach: Approach, transaction: OpenTransaction, report: Report) -> StepResult:
        failures: tuple[DomainFailure, ...] = ()
        try:
            await approach.decide()
        except StepAbortedError as err:
            failures = err.failures
        except Exception as err:  # a defect of ours must not leave a domain half changed
            log.exception("transaction %s failed before its decision", transaction.txn)
            failures = (DomainFailure("onecity", "internal", f"{type(err).__name__}: {err}"),)
        warnings = tuple(sorted(approach.warnings))
        if transaction.decided:
            result = await self._confirm(transaction, report)
        elif approach.sent:
            result = await self._settle(transaction, report, approach.hung, failures)
        else:
            if approach.journaled:
                self._journal.end_soon(transaction.txn, StepOutcome.ROLLED_BACK)
            result = StepResult(StepOutcome.ROLLED_BACK)
        return StepResult(result.outcome, (*failures, *result.failures), warnings)

    async def _confirm(self, transaction: OpenTransaction, report: Report) -> StepResult:
        async def confirm(domain: str) -> None:
            await self._calls.confirm(transaction.txn, domain)
            self._settlement.settled(transaction, domain)
            report(domain, "confirmed", "")

        hung: set[str] = set()
        act = noting(hung, self._clock, confirm)
        _, failures = await in_parallel("confirm", sorted(transaction.domains), act)
        if not failures:
            self._journal.end_soon(transaction.txn, StepOutcome.COMMITTED)
            return StepResult(StepOutcome.COMMITTED)
        return await self._settle(transaction, report, hung)

    async def _settle(
        self,
        transaction: OpenTransaction,
        report: Report,
        hung: AbstractSet[str],
        failures: tuple[DomainFailure, ...] = (),
    ) -> StepResult:
        """Try once, with all locks held; what does not end now, or has hung, ends in the background."""
        attempt = await self._attempt(transaction, report, hung)
        while attempt.turned:
            attempt = await self._attempt(transaction, report, hung)
        if attempt.outcome is not None:
            return StepResult(attempt.outcome, attempt.failures)
        unfinished = _Unfinished(transaction, (*failures, *attempt.failures))
        self._finish_later(unfinished, tried=True)
        return StepResult(unfinished.result().outcome, attempt.failures)

    async def _attempt(
        self, transaction: OpenTransaction, report: Report, hung: AbstractSet[str] = frozenset()
    ) -> Attempt:
        try:
            return await self._settlement.attempt(transaction, report, hung)
        except Exception as err:  # a defect of ours: the transaction stays open, and is tried again
            log.exception("transaction %s cannot be ended", transaction.txn)
            return Attempt(None, (DomainFailure("onecity", "internal", f"{type(err).__name__}: {err}"),))

    # In the background

    def _finish_later(self, unfinished: _Unfinished, *, tried: bool = False) -> None:
        earlier = tuple(self._unfinished.values())
        self._unfinished[unfinished.transaction.txn] = unfinished
        task = asyncio.ensure_future(self._finish(unfinished, tried, earlier))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, unfinished: _Unfinished, tried: bool, earlier: Sequence[_Unfinished]) -> None:
        try:
            await self._finish_at_last(unfinished, tried, earlier)
        finally:
            unfinished.first_attempt.cancel()  # has no effect once it is answered

    async def _finish_at_last(self, unfinished: _Unfinished, tried: bool, earlier: Sequence[_Unfinished]) -> None:
        transaction = unfinished.transaction
        report = self._reporter(transaction.step, _nobody)
        pause_s = _FIRST_RETRY_S
        if tried:
            await self._pause(unfinished, pause_s)
        elif first := [one.first_attempt for one in earlier if one.transaction.domains & transaction.domains]:
            await asyncio.wait(first)
        while True:
            attempt = _behind(transaction, earlier)
            if attempt is None:
                async with self._holding(transaction.unsettled):
                    attempt = await self._attempt(transaction, report)
            if attempt.outcome is not None:
                break
            if attempt.turned:
                continue
            unfinished.failures = attempt.failures
            log.warning(
                "transaction %s is still open: %s", transaction.txn, "; ".join(f.message for f in attempt.failures)
            )
            if not unfinished.first_attempt.done():
                unfinished.first_attempt.set_result(unfinished.result())
                if not tried:
                    self._tell(transaction.step, unfinished.result())
            await self._pause(unfinished, pause_s)
            pause_s = min(2 * pause_s, _LONGEST_RETRY_S)
        result = StepResult(attempt.outcome, attempt.failures)
        del self._unfinished[transaction.txn]
        unfinished.ended.set()
        for domain in transaction.domains:
            self.nudge(domain)
        if not unfinished.first_attempt.done():
            unfinished.first_attempt.set_result(result)
        self._tell(transaction.step, result)

    async def _pause(self, unfinished: _Unfinished, seconds: float) -> None:
        """Sleep until the next attempt is due, or somebody is in a hurry."""
        waits = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(unfinished.hurry.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        unfinished.hurry.clear()

    def _tell(self, step: Step, result: StepResult) -> None:
        if self._on_state is not None:
            try:
                self._on_state(step, result)
            except Exception:
                log.exception("the listener for the end of %s failed", step.txn)

    # Who may go in

    async def _enter(self, step: Step, held: AsyncExitStack) -> DomainFailure | None:
        """Take the locks of the step's domains; or say for which domain it would have to wait too long."""
        domains = frozenset(edit.domain for edit in step.edits)
        patience_s = max(self._calls.timers(domain).connect_s for domain in domains)
        while True:
            if (failure := await self._wait_for_unfinished(step, patience_s)) is not None:
                return failure
            stack = AsyncExitStack()
            await stack.enter_async_context(self._holding(domains))
            if not any(one.blocks(step) for one in self._unfinished.values()):
                held.push_async_exit(stack.__aexit__)
                return None
            await stack.aclose()

    async def _wait_for_unfinished(self, step: Step, patience_s: float) -> DomainFailure | None:
        deadline = self._clock() + patience_s
        for one in list(self._unfinished.values()):
            if not (domain := one.blocks(step)):
                continue
            one.hurry.set()
            try:
                async with asyncio.timeout(max(0.0, deadline - self._clock())):
                    await one.ended.wait()
            except TimeoutError:
                why = "; ".join(failure.message for failure in one.failures) or "it has not answered yet"
                text = f"domain {domain} still has to end transaction {one.transaction.txn}: {why}"
                return DomainFailure(domain, "connect", text)
        return None

    @asynccontextmanager
    async def _holding(self, domains: frozenset[str]) -> AsyncIterator[None]:
        """Hold the domains' locks; everybody takes them in the same order, so nobody waits in a circle."""
        async with AsyncExitStack() as stack:
            for domain in sorted(domains):
                await stack.enter_async_context(self._locks.setdefault(domain, asyncio.Lock()))
            yield

    def _reporter(self, step: Step, progress: ProgressSink) -> Report:
        started = self._clock()
        watch = self._watch

        def report(domain: str, stage: str, detail: str) -> None:
            line = Progress(step.change_id, step.index, domain, stage, self._clock() - started, detail)
            try:
                if watch is not None:
                    watch(line)
                progress(line)
            except Exception:  # whoever watches must not be able to stop a transaction
                log.exception("a progress listener failed")

        return report


def _behind(transaction: OpenTransaction, earlier: Sequence[_Unfinished]) -> Attempt | None:
    """Return what holds a transaction up: an earlier one that has yet to end on the same domain comes first."""
    for one in earlier:
        if not one.ended.is_set() and (shared := one.transaction.unsettled & transaction.unsettled):
            text = f"waits for the end of transaction {one.transaction.txn}"
            return Attempt(None, (DomainFailure(min(shared), "connect", text),))
    return None


async def _to_the_end(task: asyncio.Task[StepResult], approach: Approach) -> StepResult:
    """Wait for the step also while the caller is being cancelled; tell the step to go back where it still can."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as err:
            cancelled, approach.abandoned = err, True
    if cancelled is not None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an abandoned step failed", exc_info=error)
        raise cancelled
    return task.result()


def _check(step: Step) -> None:
    """Refuse a step that is not well formed: a defect of the caller."""
    edited = [edit.domain for edit in step.edits]
    waves = [domain for wave in step.waves for domain in wave]
    if not edited or len(set(edited)) != len(edited) or len(set(waves)) != len(waves) or not set(edited) <= set(waves):
        raise ValueError(f"step {step.txn}: every edited domain must stand in exactly one wave, and be edited once")
