"""A journal in memory that loses and keeps on a crash what a disk would.

Lost: lazy records not followed by a durable one. Kept, perhaps: a write that the disk refused, unless another one
has succeeded since; whoever was told that it failed must not rely on its absence.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.errors import StoreError
from controller.store.records import JournalRecord
from controller.transactions.group import members_of
from controller.transactions.journal import OpenTransaction, intention, replay
from controller.transactions.step import Step, StepOutcome
from tests.transactions.model_domain import Crash


class MemoryJournal:
    def __init__(self) -> None:
        self.disk: list[JournalRecord] = []
        self._lazy: list[JournalRecord] = []
        self._ghost: list[JournalRecord] = []
        self.full = False
        self.crash_at: int | None = None  # the coordinator dies at this half write: odd before it, even after it
        self.before_durable: Callable[[str], None] = lambda kind: None

    def crash(self) -> None:
        self.disk += self._ghost
        self._ghost.clear()
        self._lazy.clear()
        self.crash_at = None

    async def begin(self, step: Step) -> None:
        members = [JournalRecord(step.txn, "member", member.txn, 0.0) for member in step.members]
        self._write(JournalRecord(step.txn, "intention", intention(step), 0.0), *members)

    async def append(self, txn: str, kind: str, body: str = "") -> None:
        self.before_durable(kind)
        self._write(JournalRecord(txn, kind, body, 0.0))

    def append_soon(self, txn: str, kind: str, body: str = "") -> None:
        self._lazy.append(JournalRecord(txn, kind, body, 0.0))

    async def end(self, txn: str, outcome: StepOutcome) -> None:
        self._write(JournalRecord(txn, "end", outcome, 0.0))

    def end_soon(self, txn: str, outcome: StepOutcome) -> None:
        self._lazy.append(JournalRecord(txn, "end", outcome, 0.0))

    def _write(self, *records: JournalRecord) -> None:
        """Write records together: all are on disk, or none."""
        if self.full:
            self._ghost = [*self._lazy, *records]
            raise StoreError("the store's disk is full: free some space")
        if self.crash_at is not None:
            self.crash_at -= 1
            if self.crash_at == 0:
                raise Crash
        self._ghost.clear()
        self.disk += self._lazy
        self._lazy.clear()
        self.disk += records
        if self.crash_at is not None:
            self.crash_at -= 1
            if self.crash_at == 0:
                raise Crash

    def ends(self) -> dict[str, StepOutcome]:
        """Return how transactions ended, also under the names of those who travelled in them.

        Who is in one that has not ended has not ended, whatever became of those that it was in before.
        """
        records = [*self.disk, *self._lazy]
        found = {record.txn: StepOutcome(record.body) for record in records if record.kind == "end"}
        for record in records:
            outcome = found.get(record.txn)
            if record.kind == "member" and outcome and found.get(record.body) is not StepOutcome.COMMITTED:
                found[record.body] = outcome
        opened = {member.txn for one in self.open_transactions() for member in members_of(one.step)}
        return {txn: outcome for txn, outcome in found.items() if txn not in opened}

    def open_transactions(self) -> tuple[OpenTransaction, ...]:
        records = self.disk + self._lazy
        ended = {record.txn for record in records if record.kind == "end"}
        grouped: dict[str, list[JournalRecord]] = {}
        for record in records:
            if record.txn not in ended:
                grouped.setdefault(record.txn, []).append(record)
        return tuple(replay(tuple(one)) for one in grouped.values())
