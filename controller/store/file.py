"""The store's file itself: opened by one process, durable, and refused with the remedy where it is not ours to use."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controller.errors import StoreError
from controller.store.writer import as_store_error

_BUSY_S = 5.0  # how long SQLite waits for another reader's checkpoint


@contextlib.contextmanager
def sqlite_errors() -> Iterator[None]:
    """Turn what SQLite raises into a StoreError."""
    try:
        yield
    except sqlite3.Error as err:
        raise as_store_error(err) from err


def sync_directory(directory: Path) -> None:
    """Make names that came or went in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_file(file: Path) -> int:
    """Take the file for this process alone: two daemons over one store would both command the domains."""
    try:
        descriptor = os.open(file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise StoreError(f"the store {file} cannot be opened: {err.strerror}; use a writable directory") from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        os.close(descriptor)
        raise StoreError(f"the store {file} is in use by another onecity; stop that one first") from err
    return descriptor


def connect(file: Path) -> sqlite3.Connection:
    """Open the file, made where there is none, so that what is committed is on disk."""
    # 0600 from the start: the store names who ordered what.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def check(connection: sqlite3.Connection, file: Path) -> None:
    """Refuse a file that is damaged, or that is some other program's, before the first write to it."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        why = " ".join(verdict.split())
        raise StoreError(
            f"the store {file} is corrupt ({why}): restore a backup with `onecity restore FILE --state {file}`"
        )
    names: set[Any] = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if names and "schema_version" not in names:
        raise StoreError(f"{file} is a database of some other program; name another file as `state:`")


def named(file: Path, err: Exception) -> StoreError:
    """Return the error that names the file and the remedy."""
    if isinstance(err, StoreError):
        return err
    text = str(err)
    if "not a database" in text or "malformed" in text:
        return StoreError(
            f"the store {file} is corrupt ({text}): restore a backup with `onecity restore FILE --state {file}`"
        )
    return StoreError(f"the store {file} cannot be opened ({text})")
