"""A backup comes back whole, the store before it stays, and what is no backup is refused before anything is touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from controller.errors import StoreError
from controller.store.migrations import MIGRATIONS, migrate
from controller.store.records import DomainChange, PlaceChange
from controller.store.restore import command, restore
from controller.store.store import Store
from tests.store.stored import record, service


async def backed_up(tmp_path: Path) -> tuple[Path, Path]:
    """A store with one service, its backup, and then one more service."""
    state, copy = tmp_path / "onecity.db", tmp_path / "copy.db"
    store = Store.open(state)
    await store.record_change(record("c1", outcome="committed"), (service("a"),))
    await store.backup(copy)
    await store.record_change(record("c2", outcome="committed"), (service("b"),))
    store.close()
    return state, copy


def drop_a_service_and_die(state: Path) -> None:
    """Leave the files as a process does that is killed after a write: the write is in the log only."""
    killed = sqlite3.connect(state, isolation_level=None)
    killed.execute("DELETE FROM services WHERE id = 'gov/a'")
    left = {end: Path(f"{state}{end}").read_bytes() for end in ("", "-wal")}
    assert left["-wal"]
    killed.close()
    for end, raw in left.items():
        Path(f"{state}{end}").write_bytes(raw)


async def test_a_restore_brings_back_the_state_of_the_backup_and_keeps_the_one_before_it(tmp_path):
    state, copy = await backed_up(tmp_path)
    done = restore(copy, state)
    assert (done.services, done.revision, done.open_changes) == (1, 1, 0)
    assert done.kept == tmp_path / "onecity.db.before-restore"
    store, before = Store.open(state), Store.open(done.kept)
    assert [s.id for s in store.load_services()] == ["gov/a"]
    assert [s.id for s in before.load_services()] == ["gov/a", "gov/b"]
    store.close()
    before.close()
    assert restore(copy, state).kept == tmp_path / "onecity.db.before-restore-2"
    assert state.stat().st_mode & 0o777 == 0o600


async def test_what_a_killed_daemon_left_in_its_log_is_kept_with_the_store_before(tmp_path):
    state, copy = await backed_up(tmp_path)
    drop_a_service_and_die(state)
    done = restore(copy, state)
    assert not list(tmp_path.glob("onecity.db-*"))
    assert done.kept is not None
    with sqlite3.connect(done.kept) as db:
        assert db.execute("SELECT id FROM services").fetchall() == [("gov/b",)]


async def test_a_store_in_use_is_not_restored_over(tmp_path):
    state, copy = await backed_up(tmp_path)
    store = Store.open(state)
    with pytest.raises(StoreError, match="in use by another onecity; stop that one first"):
        restore(copy, state)
    assert len(store.load_services()) == 2
    store.close()


async def test_a_change_under_way_in_the_backup_counts_as_undone(tmp_path):
    state, copy = tmp_path / "onecity.db", tmp_path / "copy.db"
    store = Store.open(state)
    await store.open_change(record("c1"), (service("a"),), (), "")
    await store.begin("onecity-c1-0", lambda: "{}")
    await store.backup(copy)
    store.close()
    assert restore(copy, state).open_changes == 1
    store = Store.open(state)
    assert store.load_open_changes() == ()
    assert store.open_transactions() == ()
    assert store.load_services() == ()
    assert "when the backup was made" in store.change("c1").detail
    store.close()


async def test_a_backup_of_an_older_schema_is_brought_to_todays(tmp_path):
    state, copy = tmp_path / "onecity.db", tmp_path / "copy.db"
    with sqlite3.connect(copy) as db:
        db.isolation_level = None
        migrate(db, MIGRATIONS[:1])
    restore(copy, state)
    store = Store.open(state)
    assert store.change_domains("c1") == ()
    store.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("newer", "run the newer onecity that wrote it"),
        ("text", "is corrupt: nothing was touched; restore another one"),
        ("cut", "is corrupt: nothing was touched; restore another one"),
        ("foreign", "a database of some other program"),
        ("empty", "is empty: it is no backup of a store"),
        ("none", "there is no such file"),
    ],
)
async def test_what_is_no_backup_is_refused_and_nothing_is_touched(tmp_path, capsys, content, words):
    state, copy = await backed_up(tmp_path)
    raw = copy.read_bytes()
    if content == "newer":
        with sqlite3.connect(copy) as db:
            db.execute("INSERT INTO schema_version VALUES (?, 0)", (len(MIGRATIONS) + 1,))
    elif content == "foreign":
        copy.unlink()
        with sqlite3.connect(copy) as db:
            db.execute("CREATE TABLE songs (title TEXT)")
    elif content == "none":
        copy.unlink()
    else:
        copy.write_bytes({"text": b"no database at all\n" * 500, "cut": raw[: len(raw) // 2], "empty": b""}[content])
    before = state.read_bytes()
    assert command([str(copy), "--state", str(state)]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert state.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.endswith("restore") or p.name.startswith(".")) == []


async def test_a_backup_is_private_whole_and_never_overwritten(tmp_path):
    state, copy = await backed_up(tmp_path)
    assert copy.stat().st_mode & 0o777 == 0o600
    store = Store.open(state)
    before = copy.read_bytes()
    with pytest.raises(StoreError, match="there is such a file already"):
        await store.backup(copy)
    assert copy.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    store.close()


async def test_what_a_change_did_to_each_domain_is_kept_beside_the_history(tmp_path):
    state, _ = await backed_up(tmp_path)
    store = Store.open(state)
    one = DomainChange("city-ip", "<edit-config/>", (PlaceChange("/a", None, "1", "gov/a"),), 3)
    await store.keep_domains({"c1": (one,)})
    assert store.change_domains("c1") == (one,)
    assert store.change("1").native == {"city-ip": "<edit-config/>"}
    assert all(not r.native for r in store.history())
    assert [r.id for r in store.applied_after(1)] == ["c2"]
    assert store.last_revision() == 2
    store.close()
