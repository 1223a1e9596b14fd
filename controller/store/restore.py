"""`onecity restore`: put a backup in the place of the store, while no daemon holds it.

The file is checked whole before anything is touched, the store that it replaces stays beside it, and the new one
appears by one rename. What was under way when the backup was made is closed as undone: a journal that speaks of a
moment long past must not be carried out on the network of today. Nothing is sent by a restore, nor by the start that
follows it; `onecity diff` then says where the network is ahead of the restored state.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import sqlite3
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from controller.errors import OnecityError, StoreError
from controller.store import tables
from controller.store.file import check, lock_file, named, sync_directory
from controller.store.migrations import migrate
from controller.store.records import JournalRecord

_BESIDE = ("-wal", "-shm")  # files that SQLite keeps with one that was not closed
_UNDONE = "was under way when the backup was made; `onecity diff` shows what of it stands"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore left behind."""

    services: int
    revision: int  # the newest change of the restored history
    open_changes: int  # closed as undone
    kept: Path | None  # the store that was replaced; None where there was none


def restore(backup: Path, state: Path) -> Restored:
    """Put a copy of `backup` in the place of the store `state`. Raises StoreError; then nothing was touched."""
    if not backup.is_file():
        raise StoreError(f"{backup}: there is no such file")
    if state.exists() and backup.samefile(state):
        raise StoreError(f"{backup} is the store itself; name a backup made with `onecity backup`")
    lock = lock_file(state)
    partial = state.with_name(f".{state.name}.{secrets.token_hex(4)}")
    try:
        services, revision, undone = _prepared(backup, partial)
        kept = _set_aside(state) if state.exists() else None
        partial.replace(state)
        sync_directory(state.parent)
    except OSError as error:
        raise StoreError(f"the restore of {state} failed: {error.strerror or error}") from error
    finally:
        for path in (partial, *(partial.with_name(partial.name + end) for end in _BESIDE)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        os.close(lock)
    return Restored(services, revision, undone, kept)


def _prepared(backup: Path, partial: Path) -> tuple[int, int, int]:
    """Copy, check, bring to today's schema, close what was open; return services, revision, changes closed."""
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    shutil.copyfile(backup, partial)
    try:
        db = sqlite3.connect(partial, isolation_level=None)
        with contextlib.closing(db):
            db.execute("PRAGMA synchronous = FULL")
            check(db, backup)
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone():
                raise StoreError(f"{backup} is empty: it is no backup of a store")
            migrate(db)
            undone = _close_open(db)
            services, revision = len(tables.select_services(db)), tables.last_revision(db)
            db.execute("PRAGMA journal_mode = DELETE")
    except (sqlite3.Error, StoreError) as error:
        raise _of_backup(backup, error) from error
    with partial.open("rb") as done:
        os.fsync(done.fileno())
    return services, revision, undone


def _of_backup(backup: Path, error: Exception) -> StoreError:
    text = str(named(backup, error))
    if "is corrupt" in text:
        return StoreError(f"the backup {backup} is corrupt: nothing was touched; restore another one")
    place = "" if str(backup) in text else f"{backup}: "
    return StoreError(f"{place}{text}; nothing was touched")


def _close_open(db: sqlite3.Connection) -> int:
    """End every open transaction and change of the backup as undone."""
    db.execute("BEGIN IMMEDIATE")
    for records in tables.select_open_transactions(db):
        tables.end(db, JournalRecord(records[0].txn, "end", "rolled-back", time.time()))
    open_changes = tables.select_open_changes(db)
    for change in open_changes:
        ended = replace(change.record, outcome="failed", detail=_UNDONE, ended=datetime.now(UTC))
        tables.finish_change(db, ended, applied=False)
    db.execute("COMMIT")
    return len(open_changes)


def _set_aside(state: Path) -> Path:
    """Keep the store as `….before-restore` (or with a number behind); a name that is taken is left alone."""
    # A log left by a killed daemon belongs to this file alone: beside the restored one it would destroy it.
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(state, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
    number = 1
    while True:
        kept = state.with_name(f"{state.name}.before-restore" + (f"-{number}" if number > 1 else ""))
        try:
            os.link(state, kept)
            break
        except FileExistsError:
            number += 1
    for end in _BESIDE:  # left only where the store is damaged
        beside = state.with_name(state.name + end)
        if beside.exists():
            beside.replace(kept.with_name(kept.name + end))
    sync_directory(state.parent)
    return kept


def command(arguments: list[str]) -> int:
    """Run `onecity restore`; return its exit code."""
    parser = argparse.ArgumentParser(prog="onecity restore", description="Put a backup in the place of the store.")
    parser.add_argument("file", type=Path, metavar="FILE", help="made by `onecity backup`")
    parser.add_argument("--state", type=Path, default=Path("onecity.db"), metavar="STORE",
                        help="the store to replace: `state:` in onecity.yaml (onecity.db)")  # fmt: skip
    found = parser.parse_args(arguments)
    try:
        done = restore(found.file, found.state)
    except OnecityError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Restored {found.state} from {found.file}: {done.services} services, revision {done.revision}.")
    if done.open_changes:
        print(f"{done.open_changes} changes were under way when it was made; they count as undone.")
    if done.kept is not None:
        print(f"The store before it is kept as {done.kept}.")
    print("Start the daemon, then `onecity diff`: nothing is sent to the network by a restore.")
    return 0
