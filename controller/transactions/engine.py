"""All or none, for one step over n domains, whatever dies on the way.

`run` takes a step from the intention to its end. What it cannot end (a domain is unreachable) stays open in the
journal and is finished in the background, also after a restart of the daemon (`recover`). Until then no step may
touch an unsettled domain, nor a place that an undecided direction could still change; every other step goes on.
One transaction at a time per domain; disjoint steps run in parallel, and steps that wait for the same domains travel
in one transaction (`group`), each with an answer of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import cast

from controller.errors import StoreError
from controller.southbound.driver import DomainTimers, Driver
from controller.transactions.calls import Calls, CallSink
from controller.transactions.gate import Gate, Waiting
from controller.transactions.group import answer_to, members_of, parts, together
from controller.transactions.journal import Journal, OpenTransaction
from controller.transactions.member import Member
from controller.transactions.protocol import Approach, Report, StepAbortedError, in_parallel, noting, out_of_reach
from controller.transactions.settlement import Attempt, Settlement
from controller.transactions.step import DomainFailure, ProgressSink, Step, StepOutcome, StepResult
from controller.transactions.telling import Telling
from controller.transactions.unfinished import Unfinished, behind

log = logging.getLogger(__name__)

StateHook = Callable[[Step, StepResult], None]
Sleep = Callable[[float], Awaitable[None]]

_FIRST_RETRY_S = 0.2
_LONGEST_RETRY_S = 15.0
_DISK_RETRY_S = 1.0


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
        on_call: CallSink | None = None,
    ) -> None:
        """on_state is told how a transaction ends, or stays in doubt, outside of `run`; drivers may grow later.

        watch hears the progress of every transaction, also of those that end in the background; on_call is told of
        every call to a driver.
        """
        self._journal = journal
        self._calls = Calls(drivers, timers or {})
        self._calls.on_call = on_call
        self._settlement = Settlement(self._calls, journal)
        self._clock = clock
        self._on_state = on_state
        self._sleep = sleep
        self._telling = Telling(clock, watch)
        self._gate = Gate(clock)
        self._unfinished: dict[str, Unfinished] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._journeys: set[asyncio.Task[None]] = set()  # end by themselves; `close` leaves them to their callers

    async def run(self, step: Step, *, progress: ProgressSink | None = None, urgent: bool = False) -> StepResult:
        """Bring the step to all of its domains or to none, perhaps in the company of others that wait for the same.

        If the caller is cancelled, the step is undone (before the decision) or finished (after it) before
        CancelledError goes on. Failures of domains and of the disk are in the result, never raised.
        urgent: goes before others where there is a queue.
        """
        _check(step)
        member = Member(step, self._telling.of(step, progress), urgent=urgent)
        if missing := await out_of_reach(step, self._calls, member.report):
            return StepResult(StepOutcome.ROLLED_BACK, missing)
        while True:
            if (blocked := await self._wait_for_unfinished(step)) is not None:
                member.report(blocked.domain, "failed", blocked.message)
                return StepResult(StepOutcome.ROLLED_BACK, (blocked,))
            waiting = member.waiting(self._set_out)
            self._gate.join(waiting)
            answer = await member.answered(lambda: self._gate.withdraw(waiting))  # noqa: B023
            if answer is not None:
                return answer

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
        unfinished = Unfinished(transaction)
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

        Returns how each step of a change stands; a group's members each have the group's result. Their domains are
        closed to new steps from the first moment. Call once, before the first `run`.
        """
        opened = [Unfinished(transaction) for transaction in self._journal.open_transactions()]
        for unfinished in opened:
            self._finish_later(unfinished)
        results = await asyncio.gather(*(unfinished.first_attempt for unfinished in opened))
        return tuple(
            (member, result)
            for one, result in zip(opened, results, strict=True)
            for member in members_of(one.transaction.step)
        )

    def in_doubt(self) -> Mapping[str, frozenset[str]]:
        """Return the decided changes that have not ended: change id → domains not yet settled."""
        open_changes: dict[str, frozenset[str]] = {}
        for one in self._unfinished.values():
            if one.transaction.decided or one.transaction.maybe_decided:
                for change in one.transaction.changes:
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
        self._gate.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # A party: one step, or several together

    def _set_out(self, party: tuple[Waiting, ...]) -> None:
        """Begin with those who were let in together; who must wait for an unfinished transaction goes out again."""
        members = tuple(cast(Member, one.whose) for one in party)
        ready = tuple(m for m in members if not any(one.blocks(m.step) for one in self._unfinished.values()))
        for member in members:
            if member not in ready:
                member.settle(None)
        if not ready:
            self._gate.leave(party[0].domains)
            return
        task = asyncio.ensure_future(self._travel(ready, party[0].domains))
        self._journeys.add(task)
        task.add_done_callback(self._journeys.discard)

    async def _travel(self, members: tuple[Member, ...], domains: frozenset[str]) -> None:
        try:
            await self._each_answered(members)
        except BaseException as err:
            if isinstance(err, Exception):
                log.exception("a defect in the transaction room")
            for member in members:
                member.fail(err)
            if isinstance(err, asyncio.CancelledError):
                raise
        finally:
            self._gate.leave(domains)

    async def _each_answered(self, members: tuple[Member, ...]) -> None:
        """Carry the members out together; where that is refused, set apart whose fault it is and try the rest."""
        todo, attempt = deque([members]), 0
        while todo:
            batch = tuple(member for member in todo.popleft() if not member.given_up())
            if not batch:
                continue
            attempt += 1
            steps = tuple(member.step for member in batch)
            step = steps[0] if len(batch) == 1 else together(steps, attempt)
            result = await self._one(step, batch)
            again = () if step.txn in self._unfinished else parts(steps, result)
            if again:
                self._telling.watched(step)("", "parted", "")
                log.info("%s of %d changes was taken back and is tried in %d parts", step.txn, len(batch), len(again))
                todo.extendleft(tuple(batch[n] for n in part) for part in reversed(again))
                continue
            for member in batch:
                if len(batch) > 1:
                    for failure in result.failures:
                        member.report(failure.domain, "failed", failure.message)
                member.settle(answer_to(member.step, steps, result))

    async def _one(self, step: Step, batch: tuple[Member, ...]) -> StepResult:
        """Run one transaction to its end."""
        report = self._telling.to_all(step, batch)
        if len(batch) > 1:
            self._telling.watched(step)("", "gathered", "")
        transaction = OpenTransaction(step)
        abandoned = lambda: any(member.abandoned for member in batch)  # noqa: E731
        approach = Approach(transaction, self._calls, self._journal, self._clock, report, abandoned)
        return await self._run(approach, transaction, report)

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
        unfinished = Unfinished(transaction, (*failures, *attempt.failures))
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

    def _finish_later(self, unfinished: Unfinished, *, tried: bool = False) -> None:
        earlier = tuple(self._unfinished.values())
        self._unfinished[unfinished.transaction.txn] = unfinished
        task = asyncio.ensure_future(self._finish(unfinished, tried, earlier))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, unfinished: Unfinished, tried: bool, earlier: Sequence[Unfinished]) -> None:
        try:
            await self._finish_at_last(unfinished, tried, earlier)
        finally:
            unfinished.first_attempt.cancel()  # has no effect once it is answered

    async def _finish_at_last(self, unfinished: Unfinished, tried: bool, earlier: Sequence[Unfinished]) -> None:
        transaction = unfinished.transaction
        report = self._telling.watched(transaction.step)
        pause_s = _FIRST_RETRY_S
        if tried:
            await self._pause(unfinished, pause_s)
        elif first := [one.first_attempt for one in earlier if one.transaction.domains & transaction.domains]:
            await asyncio.wait(first)
        while True:
            attempt = behind(transaction, earlier)
            if attempt is None:
                async with self._gate.holding(transaction.unsettled):
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

    async def _pause(self, unfinished: Unfinished, seconds: float) -> None:
        """Sleep until the next attempt is due, or somebody is in a hurry."""
        waits = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(unfinished.hurry.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        unfinished.hurry.clear()

    def _tell(self, step: Step, result: StepResult) -> None:
        if result.outcome is StepOutcome.COMPENSATED and parts(members_of(step), result):
            result = replace(result, again=True)
        for member in members_of(step) if self._on_state is not None else ():
            try:
                self._on_state(member, result)  # type: ignore[misc]
            except Exception:
                log.exception("the listener for the end of %s failed", member.txn)

    async def _wait_for_unfinished(self, step: Step) -> DomainFailure | None:
        """Wait a little for the end of what is open where this step goes; say for what it would take too long."""
        patience_s = max(self._calls.timers(edit.domain).connect_s for edit in step.edits)
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


def _check(step: Step) -> None:
    """Refuse a step that is not well formed: a defect of the caller."""
    edited = [edit.domain for edit in step.edits]
    waves = [domain for wave in step.waves for domain in wave]
    if not edited or len(set(edited)) != len(edited) or len(set(waves)) != len(waves) or not set(edited) <= set(waves):
        raise ValueError(f"step {step.txn}: every edited domain must stand in exactly one wave, and be edited once")
