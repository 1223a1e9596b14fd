"""One change from acceptance to its end: planned, proven, reserved, carried out step by step, written down.

Before the first step the change is in the store with what it will make of desired state; after the last it takes
effect there, or is dropped. A daemon killed in between finds it open and ends it (`recovery`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from controller.changes import present
from controller.changes.chronicle import Chronicle, Ended
from controller.changes.desk import Desk, Taken
from controller.changes.domains import Domains
from controller.changes.keep import change_record, stored
from controller.changes.live import LiveChange
from controller.changes.orders import Order
from controller.changes.pipeline import Planned
from controller.changes.recovery import undo
from controller.changes.steps import steps_of
from controller.changes.views import ChangeResult, DomainFailureView, Outcome, ServiceAction
from controller.errors import OnecityError
from controller.store.codec import dumps
from controller.store.records import ChangeRecord
from controller.store.store import Store
from controller.transactions.engine import Transactions
from controller.transactions.step import Step, StepOutcome, StepResult

log = logging.getLogger(__name__)


class Conductor:
    """Carries out orders. Each runs in a task of the caller's; any number at once."""

    def __init__(
        self,
        desk: Desk,
        domains: Domains,
        transactions: Transactions,
        store: Store,
        now: Callable[[], datetime],
    ) -> None:
        self._desk, self._domains, self._transactions, self._store = desk, domains, transactions, store
        self._now = now
        self.chronicle = Chronicle(store, domains.drivers, lambda: bool(desk.under_way))
        self._doubtful: dict[str, tuple[Taken, ChangeRecord]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def carry_out(self, order: Order, live: LiveChange) -> ChangeResult:
        """Carry one order to its end; the result is also the last event of `live`."""
        live.say("queued")
        try:
            async with self._desk.flight(order.wanted):
                result = await self._carry_out(order, live)
        except OnecityError as error:
            result = ChangeResult(Outcome.REFUSED, str(error))
        return replace(result, elapsed_s=live.elapsed_s)

    async def _carry_out(self, order: Order, live: LiveChange) -> ChangeResult:
        def sound(planned: Planned) -> bool:
            return not planned.refusals and not planned.proofs.broken and not order.moved(planned.base)

        planned = await self._desk.take(order.wanted, live.id, sound)
        live.say("planned")
        if moved := order.moved(planned.base):
            return ChangeResult(Outcome.REFUSED, moved)
        actions = tuple(
            present.service_action(p, self._domains.city, _refusal_of(planned, p.service)) for p in planned.plans
        )
        if planned.refusals:
            text = "\n".join(str(r) for r in planned.refusals)
            return ChangeResult(Outcome.REFUSED, text, actions)
        if planned.proofs.broken:
            text = "verification failed, nothing was sent:\n" + "\n".join(f"  {b}" for b in planned.proofs.broken)
            return ChangeResult(Outcome.REFUSED, text, actions)
        live.say("verified", f"{planned.proofs.checks} facts")
        if planned.changes_nothing:
            return ChangeResult(Outcome.UNCHANGED, services=actions)
        record = change_record(live.id, order, planned, self._now())
        steps = steps_of(live.id, planned.edits, self._domains.kinds)
        live.step_names.update({step.index: step.name for step in steps})
        try:
            await self._store.open_change(
                record,
                tuple(stored(s) for s in planned.puts.values()),
                tuple(sorted(planned.drops)),
                _plan_text(steps),
            )
        except OnecityError as error:
            await self._desk.withdraw(Taken.of(planned, live.id))
            return ChangeResult(Outcome.FAILED, str(error), actions)
        live.say("reserved")
        sent = self.chronicle.sent(steps)
        outcome = await self._run(steps, live)
        result = await self._end(planned, record, outcome, actions, live)
        if result.outcome is Outcome.COMMITTED:
            self.chronicle.add(Ended(live.id, steps, planned.base.desired, planned.after.desired, sent))
        return result

    async def _run(self, steps: tuple[Step, ...], live: LiveChange) -> StepResult:
        """Run the steps in order; where one fails, undo those before it, last first."""
        warnings: tuple[str, ...] = ()
        result = StepResult(StepOutcome.COMMITTED)
        for number, step in enumerate(steps):
            result = await self._transactions.run(step, progress=live.hear)
            warnings += result.warnings
            if result.outcome is not StepOutcome.COMMITTED:
                if result.outcome is not StepOutcome.IN_DOUBT:
                    await undo(self._transactions, steps[:number])
                break
        return replace(result, warnings=warnings)

    async def _end(
        self,
        planned: Planned,
        record: ChangeRecord,
        result: StepResult,
        actions: tuple[ServiceAction, ...],
        live: LiveChange,
    ) -> ChangeResult:
        outcome = _OUTCOMES[result.outcome]
        failures = tuple(DomainFailureView(f.domain, f.stage, f.message) for f in result.failures)
        message = "; ".join(f"{f.domain}: {f.message}" for f in result.failures)
        taken = Taken.of(planned, live.id)
        if outcome is Outcome.IN_DOUBT:
            self.await_end(taken, record)
        else:
            await self._close(taken, record, outcome, message)
        return ChangeResult(outcome, message, actions, failures, result.warnings)

    def await_end(self, taken: Taken, record: ChangeRecord) -> None:
        """Keep a decided change whose end is not known yet; `on_state` ends it."""
        self._doubtful[taken.change_id] = (taken, record)

    async def _close(self, taken: Taken, record: ChangeRecord, outcome: Outcome, message: str) -> None:
        applied = outcome is Outcome.COMMITTED
        ended = replace(record, outcome=outcome.value, detail=message, ended=self._now())
        try:
            await self._store.close_change(ended, applied=applied)
        except OnecityError as error:
            # The journal knows how it ended, and recovery closes it at the next start; nothing is lost.
            log.error("change %s ended (%s) but could not be written down: %s", record.id, outcome.value, error)
        if applied:
            await self._desk.settle(taken)
        else:
            await self._desk.withdraw(taken)

    def on_state(self, step: Step, result: StepResult) -> None:
        """Hear from the transaction room how a step in doubt ended; end its change accordingly."""
        doubtful = self._doubtful.get(step.change_id)
        if doubtful is None or result.outcome is StepOutcome.IN_DOUBT:
            return
        del self._doubtful[step.change_id]
        message = "; ".join(f"{f.domain}: {f.message}" for f in result.failures)
        task = asyncio.create_task(self._close_late(*doubtful, _OUTCOMES[result.outcome], message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close_late(self, taken: Taken, record: ChangeRecord, outcome: Outcome, message: str) -> None:
        await self._close(taken, record, outcome, message)
        await self.chronicle.catch_up()

    def steps(self, planned: Planned) -> tuple[Step, ...]:
        return steps_of("plan", planned.edits, self._domains.kinds)

    def step_counts(self, planned: Planned) -> Counter[str]:
        return Counter(e.domain for step in self.steps(planned) for e in step.edits)


_OUTCOMES = {
    StepOutcome.COMMITTED: Outcome.COMMITTED,
    StepOutcome.ROLLED_BACK: Outcome.FAILED,
    StepOutcome.COMPENSATED: Outcome.COMPENSATED,
    StepOutcome.IN_DOUBT: Outcome.IN_DOUBT,
}


def _refusal_of(planned: Planned, service: str) -> str:
    return next((str(r) for r in planned.refusals if r.service == service), "")


def _plan_text(steps: tuple[Step, ...]) -> str:
    """Return the steps as kept with the change; a single step is in its own journal record already."""
    return dumps(tuple[Step, ...], steps) if len(steps) > 1 else ""
