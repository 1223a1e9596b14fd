"""Changes that a killed daemon left open: each is brought to its end before anything new is accepted.

The journal says of every step whether it is everywhere or nowhere. A change whose steps all stand takes effect; one
whose first step does not is dropped; one that stands half-way resumes its remaining steps.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from controller.changes.views import Outcome
from controller.errors import StoreError
from controller.rendering.diff import edit as edit_between
from controller.store.codec import loads
from controller.store.records import OpenChange
from controller.store.store import Store
from controller.transactions.engine import Transactions
from controller.transactions.step import Step, StepOutcome, StepResult

log = logging.getLogger(__name__)

UNDO_INDEX = 100  # steps that undo finished steps are numbered from here, so that their ids differ


async def end_open_changes(store: Store, transactions: Transactions, now: datetime) -> tuple[OpenChange, ...]:
    """End what can be ended and return what cannot yet: decided changes with a domain out of reach."""
    results = {step.txn: result for step, result in await transactions.recover()}
    doubtful = []
    for change in store.load_open_changes():
        outcome = await _outcome(change, results, store, transactions)
        if outcome is StepOutcome.IN_DOUBT:
            doubtful.append(change)
            continue
        log.info("change %s, open when the daemon stopped, ended: %s", change.record.id, outcome.value)
        await close(store, change, outcome, now)
    return tuple(doubtful)


async def close(store: Store, change: OpenChange, outcome: StepOutcome, now: datetime) -> None:
    """Write down how an open change ended, with its effect on desired state or without."""
    applied = outcome is StepOutcome.COMMITTED
    word = (
        Outcome.COMMITTED if applied else Outcome.COMPENSATED if outcome is StepOutcome.COMPENSATED else Outcome.FAILED
    )
    detail = "" if applied else "undone after the daemon was restarted"
    await store.close_change(replace(change.record, outcome=word.value, detail=detail, ended=now), applied=applied)


async def _outcome(
    change: OpenChange, results: dict[str, StepResult], store: Store, transactions: Transactions
) -> StepOutcome:
    steps = loads(tuple[Step, ...], change.plan) if change.plan else ()
    count = len(steps) or 1
    for index in range(count):
        txn = f"onecity-{change.record.id}-{index}"
        result = results.get(txn)
        known = result.outcome if result is not None else _ended(store, txn)
        if known is None and index and steps:
            known = (await transactions.run(steps[index])).outcome
        if known is StepOutcome.COMMITTED:
            continue
        if known is StepOutcome.IN_DOUBT or not index:
            return known or StepOutcome.ROLLED_BACK
        # A later step failed on the merits: what stands before it cannot stay alone.
        await undo(transactions, steps[:index])
        return known or StepOutcome.ROLLED_BACK
    return StepOutcome.COMMITTED


async def undo(transactions: Transactions, finished: tuple[Step, ...]) -> None:
    """Bring finished steps back, last first; what a domain cannot do now, the transaction room goes on with."""
    for step in reversed(finished):
        edits = tuple(edit_between(e.domain, e.after, e.before) for e in step.edits)
        waves = tuple(reversed(step.waves))
        await transactions.run(Step(step.change_id, UNDO_INDEX + step.index, "undo", edits, waves))


def _ended(store: Store, txn: str) -> StepOutcome | None:
    try:
        word = store.ended_transaction(txn)
    except StoreError:
        return None
    return StepOutcome(word) if word else None
