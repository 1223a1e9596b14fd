"""The SQL: one function per question or write, on the connection it is given.

A write here runs inside the writer's transaction, perhaps twice; it touches nothing but the connection.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from controller.errors import ConflictError, StoreError
from controller.intent.model import ServiceId
from controller.network.discovered import DomainTopology
from controller.planning.placement import Placement
from controller.rendering.tree import Path
from controller.store.codec import dumps, loads
from controller.store.records import (
    Acceptance,
    ChangeRecord,
    DomainChange,
    JournalRecord,
    OpenChange,
    Replacement,
    StoredService,
)

Database = sqlite3.Connection

_KEPT_TRANSACTIONS = 512  # ended ones whose journal stays for whoever looks into a fault


def select_services(db: Database) -> tuple[StoredService, ...]:
    rows = db.execute("SELECT record FROM services ORDER BY id")
    return tuple(loads(StoredService, record) for (record,) in rows)


def write_services(db: Database, puts: tuple[StoredService, ...], drops: tuple[ServiceId, ...]) -> None:
    db.executemany("DELETE FROM services WHERE id = ?", [(service,) for service in drops])
    rows = [(put.id, put.kind, put.generation, put.revision, dumps(StoredService, put)) for put in puts]
    db.executemany("INSERT OR REPLACE INTO services VALUES (?, ?, ?, ?, ?)", rows)


def _replace_services(db: Database, moves: tuple[Replacement, ...]) -> None:
    """Write where services stand now. SQLite leaves the rest of each record as it is, which is nearly all of it."""
    rows = [(m.id, m.generation, m.revision, dumps(Placement, m.placement), m.window.value) for m in moves]
    cursor = db.executemany(
        """UPDATE services SET generation = ?2, revision = ?3, record = json_set(
               record, '$.generation', ?2, '$.revision', ?3, '$.placement', json(?4), '$.window', ?5) WHERE id = ?1""",
        rows,
    )
    if cursor.rowcount != len(rows):
        raise StoreError(f"{len(rows) - cursor.rowcount} services that a change places anew are not in the store")


def _change(row: tuple[int, str]) -> ChangeRecord:
    return replace(loads(ChangeRecord, row[1]), revision=row[0])


def select_change(db: Database, column: str, value: str) -> ChangeRecord | None:
    row = db.execute(f"SELECT seq, record FROM changes WHERE {column} = ?", (value,)).fetchone()
    return _change(row) if row else None


def select_history(db: Database, limit: int, before: int | None, service: ServiceId | None) -> tuple[ChangeRecord, ...]:
    rows = db.execute(
        """SELECT seq, record FROM changes WHERE (?1 IS NULL OR seq < ?1)
           AND (?2 IS NULL OR seq IN (SELECT seq FROM change_services WHERE service = ?2))
           ORDER BY seq DESC LIMIT ?3""",
        (before, service, limit),
    )
    return tuple(_change(row) for row in rows)


def select_last_applied(db: Database, service: ServiceId) -> str:
    """Return the id of the last change of a service that took effect; "" where none is known."""
    row = db.execute(
        """SELECT id FROM changes WHERE outcome = 'committed'
           AND seq IN (SELECT seq FROM change_services WHERE service = ?) ORDER BY seq DESC LIMIT 1""",
        (service,),
    ).fetchone()
    return str(row[0]) if row else ""


def select_last_changes(db: Database, services: Iterable[ServiceId]) -> Iterator[ChangeRecord]:
    """Yield the last changes of these services that took effect, each once."""
    found = set()
    for service in services:
        (seq,) = db.execute(
            """SELECT max(seq) FROM changes WHERE outcome = 'committed'
               AND seq IN (SELECT seq FROM change_services WHERE service = ?)""",
            (service,),
        ).fetchone()
        found.add(seq)
    for seq in sorted(found - {None}):
        row = db.execute("SELECT seq, record FROM changes WHERE seq = ?", (seq,)).fetchone()
        yield _change(row)


def select_applied(db: Database, after: int, limit: int) -> tuple[ChangeRecord, ...]:
    """Return changes that took effect, oldest first: those of a higher revision than `after`."""
    rows = db.execute(
        "SELECT seq, record FROM changes WHERE seq > ? AND outcome = 'committed' ORDER BY seq LIMIT ?", (after, limit)
    )
    return tuple(_change(row) for row in rows)


def last_revision(db: Database) -> int:
    (seq,) = db.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()
    return int(seq)


def compressed(change: DomainChange) -> bytes:
    """Return a domain's part of a change as it is kept. Callers compress before they queue a write."""
    return zlib.compress(dumps(DomainChange, change).encode())


def write_change_domains(db: Database, bodies: Mapping[tuple[str, str], bytes]) -> None:
    rows = [(change, domain, body) for (change, domain), body in bodies.items()]
    db.executemany("INSERT OR REPLACE INTO change_domains VALUES (?, ?, ?)", rows)


def select_change_domains(db: Database, change_id: str) -> tuple[DomainChange, ...]:
    rows = db.execute("SELECT body FROM change_domains WHERE change = ? ORDER BY domain", (change_id,))
    return tuple(loads(DomainChange, zlib.decompress(body).decode()) for (body,) in rows)


def forget_change_domains(db: Database, before: datetime, newest: int, most: int) -> int:
    """Drop what changes accepted before `before` did to domains, at most so many rows; return how many went.

    The `newest` changes keep theirs whatever their age.
    """
    last = min(_last_accepted_before(db, before), last_revision(db) - newest)
    rows = db.execute(
        """SELECT change_domains.rowid FROM changes JOIN change_domains ON change = changes.id
           WHERE changes.seq <= ? LIMIT ?""",
        (last, most),
    ).fetchall()
    db.executemany("DELETE FROM change_domains WHERE rowid = ?", rows)
    return len(rows)


def _last_accepted_before(db: Database, before: datetime) -> int:
    """Return the revision of the last change accepted before a moment, found by halving: times grow with revisions."""
    low, high = 0, last_revision(db)
    while low < high:
        middle = (low + high + 1) // 2
        query = "SELECT seq, json_extract(record, '$.at') FROM changes WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
        row = db.execute(query, (middle,)).fetchone()
        if row is None or datetime.fromisoformat(row[1]) < before:
            low = middle
        else:
            high = middle - 1
    return low


def select_undescribed(db: Database) -> dict[str, tuple[str, ...]]:
    """Return the changes that took effect and whose effect on domains is not kept: id → the journal's steps of each."""
    rows = db.execute(
        """SELECT changes.id, steps.body, own.txn FROM (
               SELECT seq, txn AS own, txn FROM transactions
               UNION ALL
               SELECT transactions.seq, members.body, txn FROM journal AS members JOIN transactions USING (txn)
               JOIN journal AS ends USING (txn)
               WHERE members.kind = 'member' AND ends.kind = 'end' AND ends.body = 'committed'
           ) AS own
           JOIN journal AS steps ON steps.txn = own.txn AND steps.kind = 'intention'
           JOIN changes ON own.own GLOB 'onecity-' || changes.id || '-[0-9]*'
           WHERE changes.outcome = 'committed' AND changes.seq > (SELECT max(seq) FROM changes) - ?
             AND NOT EXISTS (SELECT 1 FROM change_domains WHERE change = changes.id)
           ORDER BY own.seq""",
        (_KEPT_TRANSACTIONS,),
    )
    found: dict[str, tuple[str, ...]] = {}
    for change_id, body, txn in rows:
        own = body if txn.startswith(f"onecity-{change_id}-") else _member(body, change_id)
        found[change_id] = (*found.get(change_id, ()), own)
    return found


def _member(body: str, change_id: str) -> str:
    """Return of a group's intention the step of one change."""
    members = json.loads(body)["members"]
    return _text(next(one for one in members if one["change_id"] == change_id))


def _text(encoded: Any) -> str:
    return json.dumps(encoded, ensure_ascii=False, separators=(",", ":"))


def select_open_changes(db: Database) -> tuple[OpenChange, ...]:
    rows = db.execute("SELECT seq, pending FROM changes WHERE pending IS NOT NULL ORDER BY seq")
    found = [(seq, loads(OpenChange, pending)) for seq, pending in rows]
    return tuple(replace(change, record=replace(change.record, revision=seq)) for seq, change in found)


def insert_change(db: Database, record: ChangeRecord, pending: OpenChange | None) -> ChangeRecord:
    """Add a change, unless its request id already made another one: return the one that stands."""
    if record.request_id and (known := select_change(db, "request_id", record.request_id)):
        return known
    if select_change(db, "id", record.id):
        raise ConflictError(f"change {record.id} is already in the history")
    cursor = db.execute(
        "INSERT INTO changes (id, request_id, outcome, record, pending) VALUES (?, ?, ?, ?, ?)",
        (
            record.id,
            record.request_id or None,
            record.outcome,
            dumps(ChangeRecord, record),
            dumps(OpenChange, pending) if pending else None,
        ),
    )
    seq = int(cursor.lastrowid or 0)
    _index_services(db, seq, record)
    return replace(record, revision=seq)


def _index_services(db: Database, seq: int, record: ChangeRecord) -> None:
    rows = [(one.service, seq) for one in record.services]
    db.executemany("INSERT OR IGNORE INTO change_services VALUES (?, ?)", rows)


def finish_change(db: Database, record: ChangeRecord, *, applied: bool) -> ChangeRecord:
    row = db.execute("SELECT pending FROM changes WHERE id = ? AND pending IS NOT NULL", (record.id,)).fetchone()
    if row is None:
        raise ConflictError(f"change {record.id} is not open")
    if applied:
        # As it was written when the change began, and by SQLite itself: to read it as values, only to write them
        # again, would be work for nothing in the way of all later writes.
        db.execute("DELETE FROM services WHERE id IN (SELECT value FROM json_each(?, '$.drops'))", row)
        db.execute(
            """INSERT OR REPLACE INTO services
               SELECT json_extract(value, '$.id'), json_extract(value, '$.kind'), json_extract(value, '$.generation'),
                      json_extract(value, '$.revision'), value FROM json_each(?, '$.puts')""",
            row,
        )
    return _close(db, record)


def record_change(
    db: Database,
    record: ChangeRecord,
    puts: tuple[StoredService, ...],
    drops: tuple[ServiceId, ...],
    moves: tuple[Replacement, ...] = (),
) -> ChangeRecord:
    if record.request_id:
        known = select_change(db, "request_id", record.request_id)
        if known is not None and known.id != record.id:
            return known
    write_services(db, puts, drops)
    _replace_services(db, moves)
    if db.execute("SELECT 1 FROM changes WHERE id = ? AND pending IS NOT NULL", (record.id,)).fetchone():
        return _close(db, record)
    if (known := select_change(db, "id", record.id)) is not None and known.request_id == record.request_id:
        # The same change once more: a repeat after a lost answer.
        return _close(db, record)
    return insert_change(db, record, None)


def _close(db: Database, record: ChangeRecord) -> ChangeRecord:
    (seq,) = db.execute(
        "UPDATE changes SET outcome = ?, record = ?, pending = NULL WHERE id = ? RETURNING seq",
        (record.outcome, dumps(ChangeRecord, record), record.id),
    ).fetchone()
    _index_services(db, seq, record)
    return replace(record, revision=seq)


def select_acceptances(db: Database) -> tuple[Acceptance, ...]:
    rows = db.execute("SELECT record FROM acceptances ORDER BY domain, path")
    return tuple(loads(Acceptance, record) for (record,) in rows)


def write_acceptances(db: Database, puts: tuple[Acceptance, ...], drops: tuple[tuple[str, Path], ...]) -> None:
    db.executemany(
        "DELETE FROM acceptances WHERE domain = ? AND path = ?", [(domain, dumps(Path, path)) for domain, path in drops]
    )
    db.executemany(
        "INSERT OR REPLACE INTO acceptances VALUES (?, ?, ?)",
        [(put.domain, dumps(Path, put.path), dumps(Acceptance, put)) for put in puts],
    )


def write_topology(db: Database, topology: DomainTopology, at: float) -> None:
    db.execute(
        "INSERT OR REPLACE INTO topologies VALUES (?, ?, ?)", (topology.domain, at, dumps(DomainTopology, topology))
    )


def select_topologies(db: Database) -> dict[str, tuple[DomainTopology, float]]:
    rows = db.execute("SELECT domain, topology, at FROM topologies ORDER BY domain")
    return {domain: (loads(DomainTopology, text), at) for domain, text, at in rows}


def begin(db: Database, intention: JournalRecord, members: tuple[str, ...] = ()) -> None:
    if db.execute("SELECT 1 FROM transactions WHERE txn = ?", (intention.txn,)).fetchone():
        raise StoreError(f"transaction {intention.txn} is already in the journal")
    db.execute("INSERT INTO transactions (txn) VALUES (?)", (intention.txn,))
    append(db, intention)
    for member in members:
        append(db, JournalRecord(intention.txn, "member", member, intention.at))


def append(db: Database, record: JournalRecord) -> None:
    row = (record.txn, record.at, record.kind, record.body)
    db.execute("INSERT INTO journal (txn, at, kind, body) VALUES (?, ?, ?, ?)", row)


def end(db: Database, record: JournalRecord) -> None:
    """Close the transaction; forget the journal of one that ended long ago."""
    append(db, record)
    row = db.execute("UPDATE transactions SET ended = 1 WHERE txn = ? RETURNING seq", (record.txn,)).fetchone()
    if row is None:
        raise StoreError(f"transaction {record.txn} is not in the journal")
    oldest = row[0] - _KEPT_TRANSACTIONS
    old = db.execute("SELECT txn FROM transactions WHERE seq <= ? AND ended = 1", (oldest,)).fetchall()
    if not old:
        return
    # What an open change consists of must be known for as long as it is open: its recovery asks how each step ended.
    still_open = [change for (change,) in db.execute("SELECT id FROM changes WHERE pending IS NOT NULL")]
    for (txn,) in old:
        members = db.execute("SELECT body FROM journal WHERE txn = ? AND kind = 'member'", (txn,)).fetchall()
        names = [txn, *(body for (body,) in members)]
        if not any(name.startswith(f"onecity-{change}-") for name in names for change in still_open):
            db.execute("DELETE FROM journal WHERE txn = ?", (txn,))
            db.execute("DELETE FROM transactions WHERE txn = ?", (txn,))


def select_end(db: Database, txn: str) -> str | None:
    """Return how a transaction ended; of one that travelled in groups, how the last ended, or the one that stands."""
    rows = db.execute("SELECT body FROM journal WHERE txn = ? AND kind = 'end'", (txn,)).fetchall()
    rows += db.execute(
        """SELECT ends.body FROM journal AS members JOIN journal AS ends ON ends.txn = members.txn AND ends.kind = 'end'
           WHERE members.kind = 'member' AND members.body = ? ORDER BY ends.seq""",
        (txn,),
    ).fetchall()
    words = [str(body) for (body,) in rows]
    return "committed" if "committed" in words else words[-1] if words else None


def select_open_transactions(db: Database) -> tuple[tuple[JournalRecord, ...], ...]:
    rows = db.execute(
        """SELECT journal.txn, kind, body, at FROM journal JOIN transactions USING (txn)
           WHERE ended = 0 ORDER BY transactions.seq, journal.seq"""
    )
    grouped: dict[str, list[JournalRecord]] = {}
    for txn, kind, body, at in rows:
        grouped.setdefault(txn, []).append(JournalRecord(txn, kind, body, at))
    return tuple(tuple(records) for records in grouped.values())
