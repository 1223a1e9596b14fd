"""One change from acceptance to its end: planned, proven, reserved, carried out step by step, written down.

Before the first step the change is in the store with what it will make of desired state; after the last it takes
effect there, or is dropped. A daemon killed in between finds it open and ends it (`recovery`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from controller.changes import present
from controller.changes.chronicle import Chronicle, Ended
from controller.changes.company import Arrival, Company
from controller.changes.desk import Desk, Taken
from controller.changes.domains import Domains
from controller.changes.keep import change_record, replacement, stored
from controller.changes.live import LiveChange
from controller.changes.orders import Order
from controller.changes.pipeline import Planned, Wanted
from controller.changes.recovery import Ending, carry, resume
from controller.changes.steps import steps_of
from controller.changes.views import ChangeResult, DomainFailureView, Outcome, ServiceAction
from controller.errors import ConflictError, OnecityError, StoreError
from controller.intent.model import ServiceId
from controller.planning.emergency import is_emergency
from controller.rendering.tree import Edit
from controller.store.codec import dumps
from controller.store.records import ChangeRecord
from controller.store.store import Store
from controller.transactions.engine import Transactions
from controller.transactions.step import Step, StepOutcome, StepResult

log = logging.getLogger(__name__)

DOUBT_PATIENCE_S = 5.0  # how long a change waits for one in doubt over the same services
DISK_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A change whose end is not known yet: a domain out of reach has to hear of `awaited` first."""

    taken: Taken
    record: ChangeRecord
    steps: tuple[Step, ...]
    awaited: str


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
        self.as_it_runs: Callable[[tuple[Edit, ...]], tuple[Edit, ...]] = lambda edits: edits  # accepted differences
        self._company = Company()
        self._doubtful: dict[str, InDoubt] = {}
        self._cleared = asyncio.Condition()  # notified when a change is no longer in doubt
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_late: list[Callable[[frozenset[ServiceId]], None]] = []  # services of a change in doubt that stands now

    async def carry_out(self, order: Order, live: LiveChange) -> ChangeResult:
        """Carry one order to its end; the result is also the last event of `live`."""
        live.say("queued")
        try:
            async with self._desk.flight(order.wanted) as held:
                await self._certain(order.wanted)
                with self._company.arrival(urgent=order.urgent) as arrival:
                    result = await self._carry_out(order, live, held, arrival)
        except OnecityError as error:
            result = ChangeResult(Outcome.REFUSED, str(error))
        return replace(result, elapsed_s=live.elapsed_s)

    async def _carry_out(
        self, order: Order, live: LiveChange, held: AbstractSet[ServiceId], arrival: Arrival
    ) -> ChangeResult:
        def newcomers(planned: Planned) -> list[ServiceId]:
            """Services that would give way to this change, and kept nothing in common with it when it began."""
            return sorted(s for s, put in planned.puts.items() if s not in held and is_emergency(put.placement))

        def sound(planned: Planned) -> bool:
            good = _placed(planned, order) and not planned.proofs.broken and not newcomers(planned)
            return good and not order.moved(planned.base)

        planned = await self._desk.take(order.wanted, live.id, sound)
        live.say("planned")
        if moved := order.moved(planned.base):
            return ChangeResult(Outcome.REFUSED, moved)
        actions = self._actions(order, planned)
        if not _placed(planned, order):
            text = "\n".join(str(r) for r in planned.refusals)
            return ChangeResult(Outcome.REFUSED, text, actions)
        if planned.proofs.broken:
            text = "verification failed, nothing was sent:\n" + "\n".join(f"  {b}" for b in planned.proofs.broken)
            return ChangeResult(Outcome.REFUSED, text, actions)
        if late := newcomers(planned):
            text = f"{', '.join(late)} came to keep a way in common with it meanwhile; try again"
            return ChangeResult(Outcome.REFUSED, text, actions)
        live.say("verified", f"{planned.proofs.checks} facts")
        if planned.changes_nothing:
            return ChangeResult(Outcome.UNCHANGED, services=actions)
        record = change_record(live.id, order, planned, self._now())
        steps = steps_of(live.id, self.as_it_runs(planned.edits), self._domains.kinds)
        live.step_names.update({step.index: step.name for step in steps})
        if not steps:
            return await self._only_reserved(planned, record, actions)
        puts = tuple(stored(s) for s in planned.puts.values())
        try:
            await self._store.open_change(record, puts, tuple(sorted(planned.drops)), plan_text(steps))
        except OnecityError as error:
            await self._desk.withdraw(Taken.of(planned, live.id))
            return ChangeResult(Outcome.FAILED, str(error), actions)
        live.say("reserved")
        sent = self.chronicle.sent(steps)
        await arrival.here()
        ending = await carry(self._transactions, steps, progress=live.hear, urgent=order.urgent)
        result = await self._end(planned, record, steps, ending, actions)
        if result.outcome is Outcome.COMMITTED:
            self.chronicle.add(Ended(live.id, steps, planned.base.desired, planned.after.desired, sent))
        return result

    def _actions(self, order: Order, planned: Planned) -> tuple[ServiceAction, ...]:
        refusals = {r.service: str(r) for r in reversed(planned.refusals)}
        named = ((p, refusals.get(p.service, "")) for p in planned.plans)
        if order.kind == "repair":
            return tuple(present.repaired_action(p, refusal) for p, refusal in named)
        return tuple(present.service_action(p, planned.city, refusal) for p, refusal in named)

    async def _only_reserved(
        self,
        planned: Planned,
        record: ChangeRecord,
        actions: tuple[ServiceAction, ...],
    ) -> ChangeResult:
        """End a change that no domain hears of, in one write: what is held moves, what is configured stays.

        A service under way is nobody else's, so that what is kept of it is what stood when this was planned.
        """
        taken, ended = Taken.of(planned, record.id), replace(record, outcome=Outcome.COMMITTED, ended=self._now())
        found = {sid: replacement(planned.base.services.get(sid), new) for sid, new in planned.puts.items()}
        moves = tuple(move for move in found.values() if move is not None)
        puts = tuple(stored(planned.puts[sid]) for sid, move in found.items() if move is None)
        try:
            await self._store.record_change(ended, puts, tuple(sorted(planned.drops)), moves)
        except OnecityError as error:
            await self._desk.withdraw(taken)
            return ChangeResult(Outcome.FAILED, str(error), actions)
        await self._desk.settle(taken)
        return ChangeResult(Outcome.COMMITTED, services=actions)

    async def _end(
        self,
        planned: Planned,
        record: ChangeRecord,
        steps: tuple[Step, ...],
        ending: Ending,
        actions: tuple[ServiceAction, ...],
    ) -> ChangeResult:
        result = ending.result
        outcome = OUTCOMES[result.outcome]
        failures = tuple(DomainFailureView(f.domain, f.stage, f.message) for f in result.failures)
        message = "; ".join(f"{f.domain}: {f.message}" for f in result.failures)
        taken = Taken.of(planned, record.id)
        if outcome is Outcome.IN_DOUBT:
            self.await_end(InDoubt(taken, record, steps, ending.awaited))
        else:
            await self.close(taken, record, outcome, message)
        return ChangeResult(outcome, message, actions, failures, result.warnings)

    def await_end(self, doubtful: InDoubt) -> None:
        """Keep a change whose end is not known yet; `on_state` ends it."""
        self._desk.in_doubt(doubtful.taken.change_id)
        self._doubtful[doubtful.taken.change_id] = doubtful

    async def _certain(self, wanted: Wanted) -> None:
        """Wait a little for changes in doubt over the same services; raises ConflictError where they stay so."""
        named = {s.metadata.service for s in wanted.puts} | wanted.drops | wanted.opens | wanted.closes | wanted.again
        try:
            async with asyncio.timeout(DOUBT_PATIENCE_S), self._cleared:
                await self._cleared.wait_for(lambda: not self._doubts(named))
        except TimeoutError:
            doubt = self._doubts(named)[0]
            text = f"{', '.join(sorted(doubt.taken.concerned & named))}: change {doubt.record.id} is in doubt"
            raise ConflictError(f"{text}; it ends by itself when its domains can be reached, try again then") from None

    def _doubts(self, named: AbstractSet[ServiceId]) -> list[InDoubt]:
        return [d for d in self._doubtful.values() if not d.taken.concerned.isdisjoint(named)]

    async def close(self, taken: Taken, record: ChangeRecord, outcome: Outcome, message: str) -> None:
        """Write down how a change ended, and give its effect to desired state, or take it back."""
        applied = outcome is Outcome.COMMITTED
        ended = replace(record, outcome=outcome.value, detail=message, ended=self._now())
        while True:
            try:
                await self._store.close_change(ended, applied=applied)
                break
            except StoreError as error:
                # Nobody is told before it is on disk, and no later change of its services may be: whoever starts
                # after a crash would end this one after that one.
                log.error("change %s ended (%s), to be written down: %s", record.id, outcome.value, error)
                await asyncio.sleep(DISK_RETRY_S)
        if applied:
            await self._desk.settle(taken)
        else:
            await self._desk.withdraw(taken)

    def on_state(self, step: Step, result: StepResult) -> None:
        """Hear from the transaction room how a step in doubt ended; go on with its change, or end it."""
        doubtful = self._doubtful.get(step.change_id)
        if doubtful is None or doubtful.awaited != step.txn or result.outcome is StepOutcome.IN_DOUBT:
            return
        self._doubtful[step.change_id] = replace(doubtful, awaited="")
        task = asyncio.create_task(self._go_on(doubtful, step, result))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go_on(self, doubtful: InDoubt, step: Step, result: StepResult) -> None:
        ending = await resume(self._transactions, doubtful.steps, step, result)
        if ending.awaited:
            self.await_end(replace(doubtful, awaited=ending.awaited))
            return
        message = "; ".join(f"{f.domain}: {f.message}" for f in ending.result.failures)
        await self.close(doubtful.taken, doubtful.record, OUTCOMES[ending.result.outcome], message)
        async with self._cleared:
            del self._doubtful[step.change_id]
            self._cleared.notify_all()
        if ending.result.outcome is StepOutcome.COMMITTED:
            for hear in self.on_late:
                hear(doubtful.taken.concerned)
        await self.chronicle.catch_up()

    def steps(self, planned: Planned) -> tuple[Step, ...]:
        return steps_of("plan", planned.edits, self._domains.kinds)

    def step_counts(self, planned: Planned) -> Counter[str]:
        return Counter(e.domain for step in self.steps(planned) for e in step.edits)


OUTCOMES = {
    StepOutcome.COMMITTED: Outcome.COMMITTED,
    StepOutcome.ROLLED_BACK: Outcome.FAILED,
    StepOutcome.COMPENSATED: Outcome.COMPENSATED,
    StepOutcome.IN_DOUBT: Outcome.IN_DOUBT,
}


def _placed(planned: Planned, order: Order) -> bool:
    """Say whether the change may go on: all of it was placed, or each service stands alone and some were."""
    return not planned.refusals or (order.alone and not planned.changes_nothing)


def plan_text(steps: tuple[Step, ...]) -> str:
    """Return the steps as kept with the change; a single step is in its own journal record already."""
    return dumps(tuple[Step, ...], steps) if len(steps) > 1 else ""
