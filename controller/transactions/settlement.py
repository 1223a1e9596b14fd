"""How a transaction ends when it did not end by itself.

Not decided: every domain goes back. Decided: every domain goes forward, and one that rolled back meanwhile gets
its after-image again in a new transaction of its own. If it refuses that on the merits, the decision cannot be
kept and all the others get their before-images back. Each attempt begins by asking the domain how far it got, so
an attempt may be broken off anywhere and repeated for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from controller.errors import DomainError, DomainUnreachableError, StoreError
from controller.rendering.tree import Edit
from controller.southbound.driver import FINAL, TransactionState
from controller.store.codec import dumps
from controller.transactions.calls import Calls
from controller.transactions.images import disagreement, holds, inverse
from controller.transactions.journal import Journal, OpenTransaction
from controller.transactions.protocol import Report, in_parallel
from controller.transactions.step import DomainFailure, StepOutcome

_Act = Callable[[str], Coroutine[Any, Any, None]]

# Refusals that say "not now", not "never": somebody else holds the configuration.
_PASSING_TAGS = frozenset({"lock-denied", "in-use", "resource-denied"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt to end a transaction came to."""

    outcome: StepOutcome | None  # None: not yet
    failures: tuple[DomainFailure, ...] = ()
    turned: bool = False  # the direction changed: go on at once, now with all domains


class _RefusedError(Exception):
    """A domain refused its after-image on the merits."""

    def __init__(self, failure: DomainFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Settlement:
    """Ends open transactions. The caller holds the locks of the transaction's unsettled domains."""

    def __init__(self, calls: Calls, journal: Journal) -> None:
        self._calls = calls
        self._journal = journal

    async def attempt(
        self, transaction: OpenTransaction, report: Report, hung: AbstractSet[str] = frozenset()
    ) -> Attempt:
        """Go as far as the domains allow today. Never raises one of our errors.

        Domains that have just let a deadline pass (`hung`) are left for later: the caller holds the locks of others.
        """
        try:
            if not transaction.decided:
                return await self._back(transaction, report, hung)
            if transaction.refused is None:
                return await self._forward(transaction, report, hung)
            return await self._compensate(transaction, report, hung)
        except StoreError as err:
            return Attempt(None, (DomainFailure("store", "journal", str(err)),))

    async def _back(self, transaction: OpenTransaction, report: Report, hung: AbstractSet[str]) -> Attempt:
        async def cancel(domain: str) -> None:
            await self._calls.cancel(transaction.txn, domain)
            transaction.settled.add(domain)
            report(domain, "cancelled", "")

        failures = await self._in_reverse(transaction, "cancel", cancel, hung)
        if failures:
            return Attempt(None, failures)
        if transaction.maybe_decided:
            await self._journal.end(transaction.txn, StepOutcome.ROLLED_BACK)
        else:
            self._journal.end_soon(transaction.txn, StepOutcome.ROLLED_BACK)
        return Attempt(StepOutcome.ROLLED_BACK)

    async def _forward(self, transaction: OpenTransaction, report: Report, hung: AbstractSet[str]) -> Attempt:
        edits = {edit.domain: edit for edit in transaction.step.edits}
        refusals: list[DomainFailure] = []

        async def forward(domain: str) -> None:
            try:
                await self._drive(transaction, edits[domain], "attempt")
            except _RefusedError as err:
                refusals.append(err.failure)
                report(domain, "failed", err.failure.message)
            else:
                self.settled(transaction, domain)
                report(domain, "confirmed", "")

        _, failures = await in_parallel("confirm", sorted(transaction.unsettled - hung), forward)
        failures += _left(transaction, "confirm", hung)
        if refusals:
            body = dumps(DomainFailure, refusals[0])
            await self._journal.append(transaction.txn, "refused", body)
            transaction.apply("refused", body)
            return Attempt(None, failures, turned=True)
        if failures:
            return Attempt(None, failures)
        self._journal.end_soon(transaction.txn, StepOutcome.COMMITTED)
        return Attempt(StepOutcome.COMMITTED)

    def settled(self, transaction: OpenTransaction, domain: str) -> None:
        """Note that the domain confirmed. Lazily: whoever does not find this asks the domain."""
        self._journal.append_soon(transaction.txn, "settled", domain)
        transaction.settled.add(domain)

    async def _compensate(self, transaction: OpenTransaction, report: Report, hung: AbstractSet[str]) -> Attempt:
        edits = {edit.domain: edit for edit in transaction.step.edits}
        assert transaction.refused is not None

        async def restore(domain: str) -> None:
            try:
                await self._restore(transaction, edits[domain])
            except _RefusedError as err:
                raise DomainError(domain, f"cannot be put back: {err.failure.message}") from err
            self._journal.append_soon(transaction.txn, "restored", domain)
            transaction.settled.add(domain)
            report(domain, "compensated", "")

        failures = await self._in_reverse(transaction, "cancel", restore, hung)
        if failures:
            return Attempt(None, (transaction.refused, *failures))
        self._journal.end_soon(transaction.txn, StepOutcome.COMPENSATED)
        return Attempt(StepOutcome.COMPENSATED, (transaction.refused,))

    async def _in_reverse(
        self, transaction: OpenTransaction, stage: str, act: _Act, hung: AbstractSet[str]
    ) -> tuple[DomainFailure, ...]:
        """Act wave by wave, the last first; a domain that cannot be reached does not keep the others waiting."""
        failures: list[DomainFailure] = []
        for wave in reversed(transaction.step.waves):
            _, failed = await in_parallel(stage, [one for one in wave if one in transaction.unsettled - hung], act)
            failures.extend(failed)
        return (*failures, *_left(transaction, stage, hung))

    async def _restore(self, transaction: OpenTransaction, edit: Edit) -> None:
        """Bring the domain to its before-image, whichever way is left."""
        if not transaction.restore_id(edit.domain):
            txn = transaction.attempt_id(edit.domain)
            if await self._calls.outcome(txn, edit) is not TransactionState.CONFIRMED:
                await self._call_off(txn, edit.domain)
            if holds(edit.before, edit.touched, await self._calls.read(edit.domain, edit.touched)):
                return
            await self._send(transaction, inverse(edit), "restore")
            return
        await self._drive(transaction, inverse(edit), "restore")

    async def _call_off(self, txn: str, domain: str) -> None:
        """Cancel, where it can still be cancelled: not every domain can tell that it confirmed in an earlier life."""
        try:
            await self._calls.cancel(txn, domain)
        except DomainError as err:
            if err.tag != FINAL:
                raise

    async def _drive(self, transaction: OpenTransaction, edit: Edit, kind: str) -> None:
        """Make the domain hold the edit's after-image for good; send it again where it does not."""
        domain = edit.domain
        txn = transaction.attempt_id(domain) if kind == "attempt" else transaction.restore_id(domain)
        state = await self._calls.outcome(txn, edit)
        if state is TransactionState.CONFIRMED:
            return
        if state is TransactionState.UNKNOWN and not await self._runs(edit):
            state = TransactionState.ABSENT
        if state in (TransactionState.COMMITTED, TransactionState.UNKNOWN):
            try:
                await self._calls.confirm(txn, domain)
                return
            except DomainUnreachableError:
                raise
            except DomainError:
                # Its timer ended while we asked, or it knows nothing of us and runs the image for good.
                if state is TransactionState.UNKNOWN and await self._runs(edit):
                    return
        await self._calls.cancel(txn, domain)  # so that nothing still on its way comes to effect later
        await self._send(transaction, edit, kind)

    async def _runs(self, edit: Edit) -> bool:
        return not disagreement(edit, await self._calls.read(edit.domain, edit.touched))

    async def _send(self, transaction: OpenTransaction, edit: Edit, kind: str) -> None:
        """Send an image in a new transaction: the old one has ended on the domain and never opens again."""
        domain = edit.domain
        await self._journal.append(transaction.txn, kind, domain)
        transaction.apply(kind, domain)
        txn = transaction.attempt_id(domain) if kind == "attempt" else transaction.restore_id(domain)
        try:
            await self._calls.prepare(txn, edit, replay=True)
            await self._calls.commit(txn, domain, self._calls.timers(domain).confirm_s)
        except DomainUnreachableError:
            raise
        except DomainError as err:
            if err.tag in _PASSING_TAGS:
                raise
            raise _RefusedError(DomainFailure(domain, "confirm", str(err), err.path)) from err
        difference = disagreement(edit, await self._calls.read(domain, edit.touched))
        if difference:
            await self._calls.cancel(txn, domain)
            text = f"domain {domain}: runs something else than it was sent: {difference}"
            raise _RefusedError(DomainFailure(domain, "verify", text))
        await self._calls.confirm(txn, domain)


def _left(transaction: OpenTransaction, stage: str, hung: AbstractSet[str]) -> tuple[DomainFailure, ...]:
    text = "domain {}: does not answer; what it has of this change is ended in the background"
    return tuple(DomainFailure(domain, stage, text.format(domain)) for domain in sorted(transaction.unsettled & hung))
