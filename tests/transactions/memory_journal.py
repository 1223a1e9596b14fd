"""A journal in memory that loses and keeps on a crash what a disk would.

Lost: lazy records not followed by a durable one. Kept, perhaps: a write that the disk refused, unless another one
has succeeded since; whoever was told that it failed must not rely on its absence.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.errors import StoreError
from controller.store.codec import dumps
from controller.store.records import JournalRecord
from controller.transactions.journal import OpenTransaction, replay
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
        self._write(JournalRecord(step.txn, "intention", dumps(Step, step), 0.0))

    async def append(self, txn: str, kind: str, body: str = "") -> None:
        self.before_durable(kind)
        self._write(JournalRecord(txn, kind, body, 0.0))

    def append_soon(self, txn: str, kind: str, body: str = "") -> None:
        self._lazy.append(JournalRecord(txn, kind, body, 0.0))

    async def end(self, txn: str, outcome: StepOutcome) -> None:
        self._write(JournalRecord(txn, "end", outcome, 0.0))

    def end_soon(self, txn: str, outcome: StepOutcome) -> None:
        self._lazy.append(JournalRecord(txn, "end", outcome, 0.0))

    def _write(self, record: JournalRecord) -> None:
        if self.full:
            self._ghost = [*self._lazy, record]
            raise StoreError("the store's disk is full: free some space")
        if self.crash_at is not None:
            self.crash_at -= 1
            if self.crash_at == 0:
                raise Crash
        self._ghost.clear()
        self.disk += self._lazy
        self._lazy.clear()
        self.disk.append(record)
        if self.crash_at is not None:
            self.crash_at -= 1
            if self.crash_at == 0:
                raise Crash

    def open_transactions(self) -> tuple[OpenTransaction, ...]:
        records = self.disk + self._lazy
        ended = {record.txn for record in records if record.kind == "end"}
        grouped: dict[str, list[JournalRecord]] = {}
        for record in records:
            if record.txn not in ended:
                grouped.setdefault(record.txn, []).append(record)
        return tuple(replay(tuple(one)) for one in grouped.values())
