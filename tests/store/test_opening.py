"""What cannot be opened says so in one sentence; what a kill or a newer schema met is whole."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from controller.errors import StoreError
from controller.store.migrations import MIGRATIONS, migrate
from controller.store.store import Store
from tests.store.stored import record, service


def test_a_newer_file_is_left_alone(tmp_path):
    path = tmp_path / "onecity.db"
    Store.open(path).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO schema_version VALUES (?, 0)", (len(MIGRATIONS) + 1,))
    with pytest.raises(StoreError, match="newer onecity"):
        Store.open(path)


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
def test_a_corrupt_file_is_refused_with_the_remedy(tmp_path, damage):
    path = tmp_path / "onecity.db"
    store = Store.open(path)
    for n in range(50):
        asyncio.run(store.record_change(record(f"c{n}"), (service(f"s{n}"),)))
    store.close()
    raw = bytearray(path.read_bytes())
    if damage == "header":
        raw[:100] = os.urandom(100)
    elif damage == "middle":
        raw[4096:20480] = os.urandom(16384)
    else:
        raw = bytearray(b"not a database at all\n" * 500)
    path.write_bytes(raw)
    with pytest.raises(StoreError, match=r"corrupt.*restore a backup"):
        Store.open(path)


def test_a_foreign_database_is_left_alone(tmp_path):
    path = tmp_path / "onecity.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StoreError, match="some other program"):
        Store.open(path)


def test_a_second_daemon_is_refused(store):
    with pytest.raises(StoreError, match="in use by another onecity"):
        Store.open(store.path)


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(tmp_path / "nowhere" / "onecity.db")


async def test_a_closed_store_refuses_writes(store):
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.append("t", "decided")


_CHILD = """
import asyncio, sys
from controller.store.store import Store

async def one(store, n):
    await store.begin(f"t{n}", lambda: "x" * 500)
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()

async def main():
    store = Store.open(sys.argv[1])
    n = 0
    while True:
        await asyncio.gather(*(one(store, n + k) for k in range(8)))
        n += 8

asyncio.run(main())
"""


def test_a_kill_in_mid_write_keeps_all_that_was_acknowledged(tmp_path):
    path = tmp_path / "onecity.db"
    with subprocess.Popen([sys.executable, "-c", _CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        acknowledged = [child.stdout.readline() for _ in range(300)]
        child.send_signal(signal.SIGKILL)
        acknowledged += child.stdout.read().splitlines(keepends=True)
    store = Store.open(path)
    kept = {records[0].txn for records in store.open_transactions()}
    store.close()
    assert {f"t{line.strip()}" for line in acknowledged if line.endswith("\n")} <= kept


NEXT = (*MIGRATIONS, ("ALTER TABLE services ADD COLUMN colour TEXT", "CREATE TABLE later (x INTEGER)"))


async def test_a_later_migration_keeps_what_is_there(store):
    await store.record_change(record("c1"), (service("a"),))
    store.close()
    with sqlite3.connect(store.path) as db:
        db.isolation_level = None
        migrate(db, NEXT)
        versions = [row[0] for row in db.execute("SELECT version FROM schema_version ORDER BY version")]
        assert versions == list(range(1, len(NEXT) + 1))
        assert db.execute("SELECT id, colour FROM services").fetchall() == [("gov/a", None)]


def test_a_migration_that_fails_leaves_the_schema_before_it(tmp_path):
    path = tmp_path / "onecity.db"
    Store.open(path).close()
    with sqlite3.connect(path) as db:
        db.isolation_level = None
        with pytest.raises(sqlite3.OperationalError):
            migrate(db, (*MIGRATIONS, ("CREATE TABLE later (x INTEGER)", "no SQL at all")))
    store = Store.open(path)
    assert store._read(lambda db: db.execute("SELECT name FROM sqlite_master WHERE name = 'later'").fetchall()) == []
    store.close()
