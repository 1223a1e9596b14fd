"""A transaction that its own run could not end, and what has to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from controller.rendering.tree import Path
from controller.transactions.journal import OpenTransaction
from controller.transactions.settlement import Attempt
from controller.transactions.step import DomainFailure, Step, StepOutcome, StepResult


class Unfinished:
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


def behind(transaction: OpenTransaction, earlier: Sequence[Unfinished]) -> Attempt | None:
    """Return what holds a transaction up: an earlier one that has yet to end on the same domain comes first."""
    for one in earlier:
        if not one.ended.is_set() and (shared := one.transaction.unsettled & transaction.unsettled):
            text = f"waits for the end of transaction {one.transaction.txn}"
            return Attempt(None, (DomainFailure(min(shared), "connect", text),))
    return None
