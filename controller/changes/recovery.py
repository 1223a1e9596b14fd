"""Changes that a killed daemon left open: each is brought to its end before anything new is accepted.

The journal says of every step whether it is everywhere or nowhere. A change whose steps all stand takes effect; one
whose first step does not is dropped; one that stands half-way resumes its remaining steps, or is brought back. What
waits for a domain out of reach is in doubt until that domain has heard of it, in this life of the daemon or the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

from controller.changes.views import Outcome
from controller.errors import StoreError
from controller.store.codec import loads
from controller.store.records import OpenChange
from controller.store.store import Store
from controller.transactions.engine import Transactions
from controller.transactions.images import inverse
from controller.transactions.step import Progress, ProgressSink, Step, StepOutcome, StepResult

log = logging.getLogger(__name__)

UNDO_INDEX = 100  # steps that undo finished steps are numbered from here, so that their ids differ

# Of several outcomes of one step the weightiest is its own: before the group that stands it was in some that do not.
_WEIGHT = {
    StepOutcome.ROLLED_BACK: 0,
    StepOutcome.COMPENSATED: 1,
    StepOutcome.IN_DOUBT: 2,
    StepOutcome.COMMITTED: 3,
}

Known = Callable[[str], StepOutcome | None]  # how a transaction ended, as far as the journal knows


@dataclass(frozen=True, slots=True)
class Ending:
    """How a change stands; `awaited` is the transaction in doubt that it waits for, if it is in doubt."""

    result: StepResult
    awaited: str = ""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A change that cannot be ended yet."""

    change: OpenChange
    steps: tuple[Step, ...]  # empty: it has only one, which is in the journal
    awaited: str


def _nobody(_: Progress) -> None:
    return None


async def carry(
    transactions: Transactions,
    steps: tuple[Step, ...],
    first: int = 0,
    progress: ProgressSink = _nobody,
    *,
    urgent: bool = False,
) -> Ending:
    """Run the steps in order, from `first`; where one fails, bring back those before it, last first."""
    warnings: tuple[str, ...] = ()
    result = StepResult(StepOutcome.COMMITTED)
    for step in steps[first:]:
        result = await transactions.run(step, progress=progress, urgent=urgent)
        warnings += result.warnings
        result = replace(result, warnings=warnings)
        if result.outcome is StepOutcome.IN_DOUBT:
            return Ending(result, step.txn)
        if result.outcome is not StepOutcome.COMMITTED:
            return await bring_back(transactions, steps[: step.index], result)
    return Ending(result)


async def resume(transactions: Transactions, steps: tuple[Step, ...], step: Step, result: StepResult) -> Ending:
    """Go on with a change whose step in doubt (or the undoing of one) has now ended.

    A step that was undone in company is tried again by itself, so that its answer is its own.
    """
    if step.index >= UNDO_INDEX:
        finished = steps[: step.index % UNDO_INDEX]
        if result.outcome is StepOutcome.COMMITTED:
            result = StepResult(StepOutcome.ROLLED_BACK, result.failures)
        return await bring_back(transactions, finished, result)
    if result.outcome is StepOutcome.COMMITTED:
        return await carry(transactions, steps, step.index + 1)
    if result.again:
        return await carry(transactions, steps or (step,), step.index)
    return await bring_back(transactions, steps[: step.index], result)


def _unknown(_: str) -> StepOutcome | None:
    return None


async def bring_back(
    transactions: Transactions, finished: tuple[Step, ...], result: StepResult, known: Known = _unknown
) -> Ending:
    """Undo finished steps, last first. `result` is why, and what the change comes to once that is done."""
    for step in reversed(finished):
        undo, outcome = await _undo(transactions, step, known)
        if outcome is StepOutcome.IN_DOUBT:
            return Ending(replace(result, outcome=outcome), undo.txn)
        if outcome is not StepOutcome.COMMITTED:
            log.critical("%s cannot be undone by %s: a domain refuses to go back", step.txn, undo.txn)
            return Ending(replace(result, outcome=StepOutcome.COMPENSATED))
    return Ending(result)


async def _undo(transactions: Transactions, step: Step, known: Known) -> tuple[Step, StepOutcome]:
    # Not the difference of the images: they hold what was touched, and what stood around it is missing in them.
    edits = tuple(inverse(edit) for edit in step.edits)
    waves = tuple(reversed(step.waves))
    for attempt in count(1):
        undo = Step(step.change_id, attempt * UNDO_INDEX + step.index, "undo", edits, waves)
        outcome = known(undo.txn)
        if outcome is None:
            outcome = (await transactions.enforce(undo)).outcome
        if outcome is not StepOutcome.ROLLED_BACK:  # else the daemon died before it was decided: it never left
            return undo, outcome
    raise AssertionError("count never ends")


async def end_open_changes(store: Store, transactions: Transactions, now: datetime) -> tuple[Doubtful, ...]:
    """End what can be ended and return what cannot yet: those that wait for a domain out of reach."""
    results: dict[str, StepResult] = {}
    for step, result in await transactions.recover():  # in groups that came to nothing a step may have been before
        before = results.get(step.txn)
        if before is None or _WEIGHT[before.outcome] <= _WEIGHT[result.outcome]:
            results[step.txn] = result

    def known(txn: str) -> StepOutcome | None:
        found, ended = results.get(txn), _ended(store, txn)
        return max((o for o in (found and found.outcome, ended) if o), key=_WEIGHT.__getitem__, default=None)

    doubtful = []
    for change in store.load_open_changes():
        steps = loads(tuple[Step, ...], change.plan) if change.plan else ()
        ending = await _ending(change.record.id, steps, known, transactions)
        if ending.awaited:
            doubtful.append(Doubtful(change, steps, ending.awaited))
            continue
        outcome = ending.result.outcome
        log.info("change %s, open when the daemon stopped, ended: %s", change.record.id, outcome.value)
        await close(store, change, ending.result, now)
    return tuple(doubtful)


async def close(store: Store, change: OpenChange, result: StepResult, now: datetime) -> None:
    """Write down how an open change ended, with its effect on desired state or without."""
    outcome = result.outcome
    applied = outcome is StepOutcome.COMMITTED
    word = (
        Outcome.COMMITTED if applied else Outcome.COMPENSATED if outcome is StepOutcome.COMPENSATED else Outcome.FAILED
    )
    why = "; ".join(f"{one.domain}: {one.message}" for one in result.failures)
    detail = "" if applied else f"undone after the daemon was restarted{': ' if why else ''}{why}"
    await store.close_change(replace(change.record, outcome=word.value, detail=detail, ended=now), applied=applied)


async def _ending(change_id: str, steps: tuple[Step, ...], known: Known, transactions: Transactions) -> Ending:
    for index in range(len(steps) or 1):
        txn = f"onecity-{change_id}-{index}"
        outcome = known(txn)
        if outcome is StepOutcome.COMMITTED:
            continue
        if outcome is StepOutcome.IN_DOUBT:
            return Ending(StepResult(outcome), txn)
        if outcome is None and index:
            return await carry(transactions, steps, index)
        # Where a later step is nowhere, what stands before it cannot stay alone.
        return await bring_back(transactions, steps[:index], StepResult(outcome or StepOutcome.ROLLED_BACK), known)
    return Ending(StepResult(StepOutcome.COMMITTED))


def _ended(store: Store, txn: str) -> StepOutcome | None:
    try:
        word = store.ended_transaction(txn)
    except StoreError:
        return None
    return StepOutcome(word) if word else None
