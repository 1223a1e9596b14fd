"""What of a transaction is on disk, and what that means after a crash.

    intention   the step, whole. Nothing was sent before it. Alone: always back (presumed abort).
    member      of a group: the transaction that this change would have been alone (written with the intention)
    decided     the point of no return. From here always forward.
    attempt     a domain that rolled back after the decision is sent its after-image in a new transaction
    settled     the domain holds its image for good (lazy: a repeat finds out)
    refused     the domain refused its after-image on the merits: from here all go to their before-images
    restore     a domain is sent its before-image in a new transaction
    restored    … and holds it (lazy)
    end         nothing is left to do

Durable records are written before the effect that they announce; lazy ones after an effect that can be observed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from controller.errors import StoreError
from controller.store.codec import dumps, loads
from controller.store.records import JournalRecord
from controller.store.store import Store
from controller.transactions.group import members_of, whole, without_edits
from controller.transactions.step import DomainFailure, Step, StepOutcome


@dataclass(slots=True)
class OpenTransaction:
    """A transaction that has not ended; the journal in memory."""

    step: Step
    decided: bool = False
    refused: DomainFailure | None = None  # compensating because of this
    attempts: dict[str, int] = field(default_factory=dict)  # domain → how often its after-image was sent again
    restores: dict[str, int] = field(default_factory=dict)  # domain → how often its before-image was sent
    settled: set[str] = field(default_factory=set)  # domains that hold the image of the present direction for good
    maybe_decided: bool = False  # writing `decided` failed: the disk may hold it or not

    @property
    def txn(self) -> str:
        return self.step.txn

    @property
    def domains(self) -> frozenset[str]:
        return frozenset(edit.domain for edit in self.step.edits)

    @property
    def changes(self) -> frozenset[str]:
        return frozenset(member.change_id for member in members_of(self.step))

    @property
    def unsettled(self) -> frozenset[str]:
        return self.domains - self.settled

    def attempt_id(self, domain: str) -> str:
        """Id under which the domain last got its after-image."""
        count = self.attempts.get(domain, 0)
        return f"{self.txn}-r{count}" if count else self.txn

    def restore_id(self, domain: str) -> str:
        """Id under which the domain last got its before-image; empty where it was never sent."""
        count = self.restores.get(domain, 0)
        return f"{self.txn}-c{count}" if count else ""

    def apply(self, kind: str, body: str) -> None:
        """Take one record of the journal into account."""
        if kind == "decided":
            self.decided = True
        elif kind == "attempt":
            self.attempts[body] = self.attempts.get(body, 0) + 1
        elif kind == "refused":
            self.refused = loads(DomainFailure, body)
            self.settled.clear()
        elif kind == "restore":
            self.restores[body] = self.restores.get(body, 0) + 1
        elif (kind == "settled" and self.refused is None) or kind == "restored":
            self.settled.add(body)


class Journal(Protocol):
    """Where transactions are written down. Awaited calls return when the record is durable."""

    async def begin(self, step: Step) -> None: ...

    async def append(self, txn: str, kind: str, body: str = "") -> None: ...

    def append_soon(self, txn: str, kind: str, body: str = "") -> None: ...

    async def end(self, txn: str, outcome: StepOutcome) -> None: ...

    def end_soon(self, txn: str, outcome: StepOutcome) -> None: ...

    def open_transactions(self) -> tuple[OpenTransaction, ...]: ...


class StoreJournal:
    """The journal in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, step: Step) -> None:
        members = tuple(member.txn for member in step.members)
        await self._store.begin(step.txn, lambda: intention(step), members)

    async def append(self, txn: str, kind: str, body: str = "") -> None:
        await self._store.append(txn, kind, body)

    def append_soon(self, txn: str, kind: str, body: str = "") -> None:
        self._store.append_soon(txn, kind, body)

    async def end(self, txn: str, outcome: StepOutcome) -> None:
        await self._store.end(txn, outcome)

    def end_soon(self, txn: str, outcome: StepOutcome) -> None:
        self._store.end_soon(txn, outcome)

    def open_transactions(self) -> tuple[OpenTransaction, ...]:
        return tuple(replay(records) for records in self._store.open_transactions())


def intention(step: Step) -> str:
    """Return a step as the journal keeps it."""
    return dumps(Step, without_edits(step))


def replay(records: tuple[JournalRecord, ...]) -> OpenTransaction:
    """Rebuild an open transaction from its records, in order."""
    first = records[0]
    if first.kind != "intention":
        raise StoreError(
            f"the journal of {first.txn} begins with {first.kind!r}: the store is corrupt; restore a backup"
        )
    transaction = OpenTransaction(whole(loads(Step, first.body)))
    for record in records[1:]:
        transaction.apply(record.kind, record.body)
    return transaction
