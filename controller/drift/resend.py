"""Bringing back what a domain should run: places of ours are sent again, as a change of its own.

It is planned on what runs there at that moment, proven, kept in the history, journaled and read back like any other.
Its edit starts from what runs, not from what we left there: the domain is held to that before anything is sent
(`Step.guarded`), so that what somebody, or another change of ours, did meanwhile is never overwritten unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from controller.changes.chronicle import Ended
from controller.changes.conduct import OUTCOMES, Conductor, InDoubt, plan_text
from controller.changes.desk import Desk, Taken
from controller.changes.domains import Domains
from controller.changes.keep import document_text
from controller.changes.live import LiveChange
from controller.changes.orders import Order
from controller.changes.recovery import carry
from controller.changes.state import DesiredState
from controller.changes.steps import steps_of
from controller.changes.views import ChangeResult, DomainFailureView, Outcome, Whose
from controller.drift.compare import Deviation
from controller.errors import OnecityError
from controller.intent.model import ServiceId
from controller.rendering.desired import Desired
from controller.rendering.diff import apply
from controller.rendering.paths import at, extract, outermost, smallest_entry
from controller.rendering.schema import Schema
from controller.rendering.tree import Edit, Path, Tree
from controller.store.records import ChangeRecord, ServiceChange
from controller.store.store import Store
from controller.transactions.engine import Transactions
from controller.transactions.step import Step
from controller.verification.prove import prove

Chosen = Callable[[Deviation], bool]


@dataclass(frozen=True, slots=True)
class Resending:
    """What to bring back on one domain: of places of ours that deviate, those that `chosen` says."""

    domain: str
    found: tuple[Deviation, ...]  # as last compared; only these are looked at
    chosen: Chosen

    @property
    def wanted(self) -> tuple[Deviation, ...]:
        return tuple(one for one in self.found if self.chosen(one))

    @property
    def services(self) -> frozenset[ServiceId]:
        return frozenset(owner for one in self.wanted for owner in one.owners)


class Resender:
    """Carries out resendings; any number at once."""

    def __init__(
        self,
        desk: Desk,
        domains: Domains,
        conductor: Conductor,
        transactions: Transactions,
        store: Store,
        now: Callable[[], datetime],
    ) -> None:
        self._desk, self._domains, self._conductor = desk, domains, conductor
        self._transactions, self._store, self._now = transactions, store, now

    async def carry_out(self, asked: Resending, order: Order, live: LiveChange) -> ChangeResult:
        """Bring back what still deviates; the result is also the last event of `live`."""
        live.say("queued")
        try:
            async with self._desk.flight(order.wanted):
                result = await self._carry_out(asked, order, live)
        except OnecityError as error:
            result = ChangeResult(Outcome.REFUSED, str(error))
        return replace(result, elapsed_s=live.elapsed_s)

    async def _carry_out(self, asked: Resending, order: Order, live: LiveChange) -> ChangeResult:
        state, held = self._desk.state, order.wanted.restores
        touched = outermost(smallest_entry(one.operation.path) for one in asked.wanted)
        around = dict.fromkeys(key for one in asked.wanted for key in _around(one.operation.path))
        running = await self._domains.drivers[asked.domain].read((*touched, *around))
        edit = await asyncio.to_thread(self._edit, asked, state.desired, running, held)
        live.say("planned")
        if not edit.operations:
            return ChangeResult(Outcome.UNCHANGED)
        intents = {sid: s.service for sid, s in state.services.items() if s.active}
        proofs = await asyncio.to_thread(prove, self._desk.model, self._domains.city, intents, held)
        if proofs.broken:
            text = "verification failed, nothing was sent:\n" + "\n".join(f"  {b}" for b in proofs.broken)
            return ChangeResult(Outcome.REFUSED, text)
        live.say("verified", f"{proofs.checks} facts")
        steps = tuple(replace(s, guarded=True) for s in steps_of(live.id, (edit,), self._domains.kinds))
        live.step_names.update({step.index: step.name for step in steps})
        record = unchanged_record(live.id, order, state, _summary(edit), self._now())
        try:
            await self._store.open_change(record, plan=plan_text(steps))
        except OnecityError as error:
            return ChangeResult(Outcome.FAILED, str(error))
        live.say("reserved")
        return await self._send(record, steps, state, held, live)

    async def _send(
        self,
        record: ChangeRecord,
        steps: tuple[Step, ...],
        state: DesiredState,
        held: frozenset[ServiceId],
        live: LiveChange,
    ) -> ChangeResult:
        sent = self._conductor.chronicle.sent(steps)
        ending = await carry(self._transactions, steps, progress=live.hear)
        result, outcome = ending.result, OUTCOMES[ending.result.outcome]
        message = "; ".join(f"{f.domain}: {f.message}" for f in result.failures) or record.summary
        before = {sid: state.services[sid] for sid in held if sid in state.services}
        taken = Taken(record.id, held & before.keys(), before, ())
        if outcome is Outcome.IN_DOUBT:
            self._conductor.await_end(InDoubt(taken, record, steps, ending.awaited))
        else:
            await self._conductor.close(taken, record, outcome, "" if outcome is Outcome.COMMITTED else message)
        if outcome is Outcome.COMMITTED:
            self._conductor.chronicle.add(Ended(record.id, steps, state.desired, state.desired, sent))
        failures = tuple(DomainFailureView(f.domain, f.stage, f.message) for f in result.failures)
        return ChangeResult(outcome, message, (), failures, result.warnings)

    def _edit(self, asked: Resending, desired: Desired, running: Tree, held: frozenset[ServiceId]) -> Edit:
        """Return what mends those places asked for that still are as they were found, and are nobody's who moves."""
        tree = desired.tree(asked.domain)
        operations = tuple(
            one.operation
            for one in asked.wanted
            if one.owners
            and held.issuperset(one.owners)
            and at(running, one.operation.path) == one.running
            and at(tree, one.operation.path) == one.wanted
            and all(at(running, key) is not None for key in _around(one.operation.path))
        )
        places = outermost(smallest_entry(op.path) for op in operations)
        after = apply(running, operations)
        return Edit(asked.domain, operations, places, extract(running, places), extract(after, places))


def _around(path: Path) -> tuple[Path, ...]:
    """Return a key of the entry that a place is in, to see that it is there: nothing fits in one that is gone."""
    entry = next((path[:n] for n in range(len(path) - 1, 0, -1) if isinstance(path[n - 1], tuple)), ())
    node = Schema.load().find(entry) if entry else None
    return ((*entry, node.keys[0]),) if node is not None and node.keys else ()


def unchanged_record(change_id: str, order: Order, state: DesiredState, summary: str, now: datetime) -> ChangeRecord:
    """Return the history's entry of a change that leaves every intent as it is."""
    texts = {sid: document_text(state.services[sid].service) for sid in order.services if sid in state.services}
    return ChangeRecord(
        id=change_id,
        author=order.author,
        reason=order.reason,
        at=now.astimezone(UTC),
        kind=order.kind,
        summary=summary,
        services=tuple(ServiceChange(sid, text, text) for sid, text in sorted(texts.items())),
    )


def choice(*, services: Iterable[str] = (), added: bool = False, accepted: bool = False) -> Chosen:
    """Return which deviations are meant: ours always; with these words also what others added, what was accepted."""
    kinds = {Whose.OURS} | ({Whose.ADDED} if added else set()) | ({Whose.ACCEPTED} if accepted else set())
    named = frozenset(services)
    return lambda one: one.whose in kinds and (not named or not named.isdisjoint(one.owners))


def _summary(edit: Edit) -> str:
    places = len(edit.operations)
    return f"{places} place{'s' if places != 1 else ''} of {edit.domain} sent again"
