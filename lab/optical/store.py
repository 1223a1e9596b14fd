"""What the optical domain must still know after a kill -9: transactions, circuits, tombstones, the highest term.

One SQLite file, WAL with synchronous=FULL: a step is on disk when `with store.step()` ends. Times are seconds
since the epoch, because downtime counts against leases.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RETENTION_S = 7 * 86400.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS txn(
  id TEXT PRIMARY KEY, state INTEGER NOT NULL, content BLOB NOT NULL, request BLOB NOT NULL, deadline REAL NOT NULL,
  confirm_s REAL NOT NULL, before BLOB NOT NULL, reason TEXT NOT NULL, ended REAL NOT NULL);
CREATE TABLE IF NOT EXISTS circuit(
  id TEXT PRIMARY KEY, spec BLOB, version INTEGER NOT NULL, last_txn TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class StoredTxn:
    """`before`: serialised circuits as they were, for a rollback; `deadline`: of the lease or the confirm timer."""

    id: str
    state: int
    content: bytes
    request: bytes
    deadline: float
    confirm_s: float
    before: bytes
    reason: str
    ended: float


@dataclass(frozen=True, slots=True)
class StoredCircuit:
    """spec None: deleted; the record keeps version and last_txn so that versions never repeat."""

    id: str
    spec: bytes | None
    version: int
    last_txn: str


class Store:
    """The file. Used from one thread."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Everything inside reaches the disk together, before this returns, or nothing does and it raises."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has already gone back where the disk was full
                self._db.execute("ROLLBACK")
            raise

    def put_txn(self, txn: StoredTxn) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO txn VALUES(?,?,?,?,?,?,?,?,?)",
            (
                txn.id,
                txn.state,
                txn.content,
                txn.request,
                txn.deadline,
                txn.confirm_s,
                txn.before,
                txn.reason,
                txn.ended,
            ),
        )

    def put_circuit(self, circuit: StoredCircuit) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO circuit VALUES(?,?,?,?)",
            (circuit.id, circuit.spec, circuit.version, circuit.last_txn),
        )

    def put_fact(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO fact VALUES(?,?)", (name, value))

    def fact(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM fact WHERE name=?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def transactions(self, now: float) -> list[StoredTxn]:
        """Return what is open or ended within the retention time."""
        rows = self._db.execute("SELECT * FROM txn WHERE ended <= 0 OR ended >= ?", (now - RETENTION_S,))
        return [StoredTxn(*row) for row in rows]

    def forget(self, now: float) -> None:
        """Drop what ended before the retention time."""
        self._db.execute("DELETE FROM txn WHERE ended > 0 AND ended < ?", (now - RETENTION_S,))

    def circuits(self) -> list[StoredCircuit]:
        return [StoredCircuit(*row) for row in self._db.execute("SELECT * FROM circuit")]
