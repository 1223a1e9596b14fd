"""Durable state: one SQLite file, written by one thread, opened by one daemon.

What returns from an awaited write is on disk (WAL, synchronous=FULL). Reads go through a connection of their own
and see the last finished write. A file that is corrupt, newer, foreign or in use is refused when it is opened,
with the remedy, before anything is done to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from controller.errors import StoreError, UnknownNameError
from controller.intent.model import ServiceId
from controller.network.discovered import DomainTopology
from controller.rendering.tree import Path as DataPath
from controller.store import attained, tables
from controller.store.attained import KeptIncident, LinkHour, Outage, ServiceHour
from controller.store.file import check, connect, lock_file, named, sqlite_errors, sync_directory
from controller.store.migrations import migrate
from controller.store.records import (
    Acceptance,
    ChangeRecord,
    DomainChange,
    JournalRecord,
    OpenChange,
    Replacement,
    StoredService,
)
from controller.store.writer import Writer

T = TypeVar("T")

KEPT_WHATEVER_AGE = 1000  # newest changes whose effect on domains is never forgotten
_ROWS_AT_ONCE = 200  # forgotten in one write
_PAGE = 200  # changes read at once


class Store:
    """The daemon's state on disk. Open with `Store.open`; give back with `close`."""

    def __init__(self, path: Path, lock: int, writing: sqlite3.Connection, reading: sqlite3.Connection) -> None:
        self.path = path
        self._lock = lock
        self._writing = writing
        self._reading = reading
        self._read_guard = threading.Lock()
        self._writer = Writer(writing)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """Open the file, create it where it is not there, migrate it where it is older. Raises StoreError."""
        file = Path(path)
        lock = lock_file(file)
        connections: list[sqlite3.Connection] = []
        try:
            writing = connect(file)
            connections.append(writing)
            check(writing, file)
            writing.execute("PRAGMA journal_mode = WAL")
            migrate(writing)
            reading = connect(file)
            connections.append(reading)
            reading.execute("PRAGMA query_only = ON")
        except (sqlite3.Error, StoreError) as err:
            for connection in connections:
                connection.close()
            os.close(lock)
            raise named(file, err) from err
        return cls(file, lock, writing, reading)

    def close(self) -> None:
        """Write what is waiting and let go of the file. Idempotent."""
        if self._lock < 0:
            return
        self._writer.close()
        self._reading.close()
        self._writing.close()
        os.close(self._lock)
        self._lock = -1

    @property
    def fsyncs(self) -> int:
        """SQLite transactions written so far; each costs one fsync."""
        return self._writer.commits

    # Desired state

    def load_services(self) -> tuple[StoredService, ...]:
        """Return the desired state, ordered by id."""
        return self._read(tables.select_services)

    async def replace_services(self, puts: tuple[StoredService, ...], drops: tuple[ServiceId, ...] = ()) -> None:
        """Put and drop services outside any change (a window that opens, an intent that expires)."""
        await self._writer.write(lambda db: tables.write_services(db, puts, drops))

    # Changes

    async def open_change(
        self,
        record: ChangeRecord,
        puts: tuple[StoredService, ...] = (),
        drops: tuple[ServiceId, ...] = (),
        plan: str = "",
    ) -> ChangeRecord:
        """Keep an accepted change with what it will do, before it starts; a crash leaves it in `load_open_changes`.

        Where another change already has this request id, that one is returned and nothing is kept.
        """
        pending = OpenChange(record, puts, drops, plan)
        return await self._writer.write(lambda db: tables.insert_change(db, record, pending))

    async def close_change(self, record: ChangeRecord, *, applied: bool) -> ChangeRecord:
        """End an open change, in one durable transaction: with its effect on the desired state, or without."""
        return await self._writer.write(lambda db: tables.finish_change(db, record, applied=applied))

    async def record_change(
        self,
        record: ChangeRecord,
        puts: tuple[StoredService, ...] = (),
        drops: tuple[ServiceId, ...] = (),
        moves: tuple[Replacement, ...] = (),
    ) -> ChangeRecord:
        """Keep a finished change and its effect on the desired state in one durable transaction.

        `moves` are services in the store of which nothing but their placement changes; StoreError where one is not.

        Where another change already has this request id, that one is returned and nothing is written.
        An open change of the same id is ended by this, with these puts and drops instead of those it was opened with.
        """
        return await self._writer.write(lambda db: tables.record_change(db, record, puts, drops, moves))

    def load_open_changes(self) -> tuple[OpenChange, ...]:
        """Return the changes that had not ended, oldest first."""
        return self._read(tables.select_open_changes)

    def history(
        self, limit: int = 50, before: int | None = None, service: ServiceId | None = None
    ) -> tuple[ChangeRecord, ...]:
        """Return the newest changes first: older than revision `before`, touching `service`, where these are given."""
        return self._read(lambda db: tables.select_history(db, limit, before, service))

    def last_applied(self, service: ServiceId) -> str:
        """Return the id of the last change of a service that took effect; "" where none is known."""
        return self._read(lambda db: tables.select_last_applied(db, service))

    def change(self, name: str) -> ChangeRecord:
        """Return one change by its id or its revision, with the text each domain was sent. Raises UnknownNameError."""
        found = self._read(lambda db: tables.select_change(db, "seq", name)) if name.isdecimal() else None
        found = found or self._read(lambda db: tables.select_change(db, "id", name))
        if found is None:
            raise UnknownNameError(f"no change {name!r}; `onecity history` lists them")
        native = {domain.domain: domain.native for domain in self.change_domains(found.id)}
        return replace(found, native={**found.native, **native})

    def change_domains(self, change_id: str) -> tuple[DomainChange, ...]:
        """Return what a change did to each domain, by its id; empty where that is not kept."""
        return self._read(lambda db: tables.select_change_domains(db, change_id))

    async def keep_domains(self, effects: Mapping[str, tuple[DomainChange, ...]]) -> None:
        """Keep what changes, by their ids, did to each domain; any number of them in one durable write."""
        bodies = await asyncio.to_thread(
            lambda: {(c, one.domain): tables.compressed(one) for c, found in effects.items() for one in found}
        )
        await self._writer.write(lambda db: tables.write_change_domains(db, bodies))

    async def forget_domains(self, before: datetime) -> int:
        """Drop what changes accepted before a moment did to domains, but for the newest; return how many rows went.

        The changes themselves stay in the history. Goes on in small writes, so that no other waits long.
        """
        gone = 0
        while True:
            some = await self._writer.write(
                lambda db: tables.forget_change_domains(db, before, KEPT_WHATEVER_AGE, _ROWS_AT_ONCE)
            )
            gone += some
            if some < _ROWS_AT_ONCE:
                return gone

    def undescribed(self) -> dict[str, tuple[str, ...]]:
        """Return recent changes whose effect on domains a crash kept from being kept: id → its steps in the journal."""
        return self._read(tables.select_undescribed)

    def applied_after(self, revision: int) -> Iterator[ChangeRecord]:
        """Yield the changes that took effect after a revision, oldest first; others may read in between."""
        while page := self._read(lambda db, after=revision: tables.select_applied(db, after, _PAGE)):  # type: ignore[misc]
            yield from page
            revision = page[-1].revision

    def last_revision(self) -> int:
        """Return the newest revision; 0 where there is no history yet."""
        return self._read(tables.last_revision)

    def change_by_request(self, request_id: str) -> ChangeRecord | None:
        """Return the change that this request id made, or None."""
        return self._read(lambda db: tables.select_change(db, "request_id", request_id)) if request_id else None

    # What may run otherwise than desired

    def acceptances(self) -> tuple[Acceptance, ...]:
        """Return the places that may run otherwise than desired."""
        return self._read(tables.select_acceptances)

    async def accept(self, record: ChangeRecord, puts: tuple[Acceptance, ...]) -> None:
        """Let places run otherwise than desired from now on, with the entry in the history that says who and why."""

        def write(db: sqlite3.Connection) -> None:
            tables.record_change(db, record, (), ())
            tables.write_acceptances(db, puts, ())

        await self._writer.write(write)

    async def forget_acceptances(self, places: tuple[tuple[str, DataPath], ...]) -> None:
        """Drop acceptances, by domain and path, of places that do not run any more what was accepted."""
        await self._writer.write(lambda db: tables.write_acceptances(db, (), places))

    # The last known map

    async def save_topology(self, topology: DomainTopology) -> None:
        """Keep what a domain last said of itself, for a start without it."""
        at = time.time()
        await self._writer.write(lambda db: tables.write_topology(db, topology, at))

    def load_topologies(self) -> dict[str, tuple[DomainTopology, float]]:
        """Return the last known topology of each domain and when it was saved (seconds since the epoch)."""
        return self._read(tables.select_topologies)

    # The journal

    async def begin(self, txn: str, encode_body: Callable[[], str], members: tuple[str, ...] = ()) -> None:
        """Open a transaction in the journal, durably. The body is encoded in the writer's thread.

        members: the transactions that those who travel in this one would have been alone; `ended_transaction` finds
        how they ended by these names too.
        """
        at = time.time()
        await self._writer.write(
            lambda db: tables.begin(db, JournalRecord(txn, "intention", encode_body(), at), members)
        )

    async def append(self, txn: str, kind: str, body: str = "") -> None:
        """Add a record to an open transaction, durably."""
        record = JournalRecord(txn, kind, body, time.time())
        await self._writer.write(lambda db: tables.append(db, record))

    def append_soon(self, txn: str, kind: str, body: str = "") -> None:
        """Add a record that a crash may lose; it is on disk before any record appended later."""
        record = JournalRecord(txn, kind, body, time.time())
        self._writer.write_soon(lambda db: tables.append(db, record))

    async def end(self, txn: str, body: str) -> None:
        """End a transaction in the journal, durably."""
        record = JournalRecord(txn, "end", body, time.time())
        await self._writer.write(lambda db: tables.end(db, record))

    def end_soon(self, txn: str, body: str) -> None:
        """End a transaction; a crash may lose that, but not once a later record is on disk."""
        record = JournalRecord(txn, "end", body, time.time())
        self._writer.write_soon(lambda db: tables.end(db, record))

    def open_transactions(self) -> tuple[tuple[JournalRecord, ...], ...]:
        """Return the records of every transaction that has not ended, oldest transaction first."""
        return self._read(tables.select_open_transactions)

    def ended_transaction(self, txn: str) -> str | None:
        """Return how a transaction ended (a StepOutcome), or None where it is open, unknown or long forgotten."""
        return self._read(lambda db: tables.select_end(db, txn))

    # What was measured

    async def add_attained(
        self, services: Sequence[ServiceHour], links: Sequence[LinkHour], outages: Sequence[Outage]
    ) -> None:
        """Add what was measured to the hours that are kept."""
        await self._writer.write(lambda db: attained.add(db, services, links, outages))

    async def add_parties(self, parties: Sequence[ServiceHour]) -> None:
        """Add what was measured of the parties of assurances."""
        await self._writer.write(lambda db: attained.add_parties(db, parties))

    def parties(self, service: str, first: int, last: int) -> tuple[ServiceHour, ...]:
        """Return, party by party ("tenant/name#party"), what a service's parties had in hours [first, last)."""
        return self._read(lambda db: attained.select_parties(db, "", service, first, last))

    async def fold_attained(self, at: float) -> None:
        """Make days of old hours and forget the oldest; at: seconds since the epoch."""
        while await self._writer.write(lambda db: attained.fold(db, int(at // 3600))):
            pass

    async def keep_incident(self, incident: KeptIncident) -> None:
        """Keep an incident as it is now."""
        await self._writer.write(lambda db: attained.write_incident(db, incident))

    def recent_incidents(self, most: int) -> tuple[KeptIncident, ...]:
        """Return every incident that is open, and the newest of those that are over; oldest first."""
        return self._read(lambda db: attained.select_recent_incidents(db, most))

    async def aside(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Ask something that takes long, in a thread and on a connection of its own: nobody waits for it but you."""

        def ask() -> T:
            with sqlite_errors(), contextlib.closing(connect(self.path)) as connection:
                connection.execute("PRAGMA query_only = ON")
                return query(connection)

        return await asyncio.to_thread(ask)

    def service_hours(self, tenant: str, first: int, last: int) -> tuple[ServiceHour, ...]:
        """Return, service by service, what was measured in hours [first, last); tenant "": all."""
        return self._read(lambda db: attained.select_service_hours(db, tenant, first, last))

    def link_hours(self, first: int, last: int) -> tuple[LinkHour, ...]:
        """Return what links carried in hours [first, last), by link and hour."""
        return self._read(lambda db: attained.select_link_hours(db, first, last))

    def outages(self, tenant: str, since: float, until: float) -> tuple[Outage, ...]:
        """Return when services were broken within [since, until), oldest first; tenant "": all."""
        return self._read(lambda db: attained.select_outages(db, tenant, since, until))

    def open_outages(self) -> tuple[Outage, ...]:
        """Return what was broken and had not ended when last seen."""
        return self._read(attained.select_open_outages)

    # Upkeep

    def on_commit(self, told: Callable[[float], None]) -> None:
        """Have every durable write told, in the writer's thread: how long it took, seconds."""
        self._writer.on_commit = told

    async def backup(self, path: str | os.PathLike[str]) -> int:
        """Write a consistent copy while running and return its bytes; it appears whole or not at all.

        Raises StoreError, also where a file of that name is there: a backup is never overwritten.
        """
        return await asyncio.to_thread(self._backup, Path(path))

    def _backup(self, target: Path) -> int:
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            # 0600 from the start, as the store itself.
            os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            source, copy = connect(self.path), sqlite3.connect(partial, isolation_level=None)
            with contextlib.closing(source), contextlib.closing(copy):
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            with partial.open("rb") as done:
                os.fsync(done.fileno())
                size = os.fstat(done.fileno()).st_size
            os.link(partial, target)  # fails where the name is taken, unlike a rename
            sync_directory(target.parent)
        except FileExistsError as err:
            raise StoreError(f"the backup to {target} failed: there is such a file already; name another") from err
        except (sqlite3.Error, OSError) as err:
            why = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
            raise StoreError(f"the backup to {target} failed: {why}") from err
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        return size

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        with self._read_guard, sqlite_errors():
            return query(self._reading)
