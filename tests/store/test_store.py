"""What was acknowledged is there after anything, and what cannot be opened or written says so in one sentence."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.errors import ConflictError, StoreError, UnknownNameError
from controller.intent.model import ServiceId
from controller.network.discovered import DomainKind, DomainTopology
from controller.planning.placement import Placement
from controller.store.codec import dumps
from controller.store.records import (
    Acceptance,
    ChangeRecord,
    DomainChange,
    Replacement,
    ServiceChange,
    StoredService,
    WindowState,
)
from controller.store.store import Store
from tests.store.stored import NOW, record, reopen, service


async def test_a_change_and_its_services_are_one_write(store):
    before = store.fsyncs
    done = await store.record_change(record("c1", outcome="committed"), (service("a"), service("b")), ())
    assert store.fsyncs == before + 1
    assert done.revision == 1
    await store.record_change(record("c2"), (service("a", 2),), (ServiceId("gov/b"),))
    store = reopen(store)
    assert store.load_services() == (service("a", 2),)
    assert [change.id for change in store.history()] == ["c2", "c1"]
    assert [change.id for change in store.history(before=2)] == ["c1"]
    assert store.change("c1") == done
    store.close()


PLACED = Placement("gov/a", "DedicatedPlane", 7)


async def test_a_service_that_is_only_placed_anew_keeps_its_intent_and_its_configuration(store):
    await store.record_change(record("c1"), (service("a"), service("b")))
    move = Replacement(ServiceId("gov/a"), 1, 2, PLACED, WindowState.OPEN)
    await store.record_change(record("c2"), moves=(move,))
    store = reopen(store)
    moved = replace(service("a", 2), placement=PLACED, window=WindowState.OPEN)
    assert store.load_services() == (moved, service("b"))
    text = sqlite3.connect(store.path).execute("SELECT record FROM services WHERE id = 'gov/a'").fetchone()[0]
    assert text == dumps(StoredService, moved)  # as if all of it had been written
    store.close()


async def test_a_service_that_is_not_there_cannot_be_placed_anew_and_nothing_of_the_change_is_kept(store):
    await store.record_change(record("c1"), (service("a"),))
    moves = tuple(Replacement(ServiceId(f"gov/{name}"), 1, 2, PLACED, WindowState.NONE) for name in "ac")
    with pytest.raises(StoreError, match="1 services"):
        await store.record_change(record("c2"), moves=moves)
    assert store.load_services() == (service("a"),)
    assert [change.id for change in store.history()] == ["c1"]


async def test_an_unknown_change_is_named(store):
    with pytest.raises(UnknownNameError, match="c9"):
        store.change("c9")


async def test_the_same_request_id_gives_the_same_change(store):
    first = await store.record_change(record("c1", "r1"), (service("a"),))
    assert await store.record_change(record("c2", "r1"), (service("b"),)) == first
    assert await store.open_change(record("c3", "r1"), (service("b"),)) == first
    assert store.change_by_request("r1") == first
    assert store.change_by_request("") is None
    assert [one.id for one in store.load_services()] == ["gov/a"]


async def test_an_open_change_survives_and_takes_effect_when_it_ends(store):
    await store.open_change(record("c1"), (service("a"),), (), plan="the steps")
    await store.open_change(record("c2"), (service("b"),))
    assert store.load_services() == ()
    store = reopen(store)
    first, second = store.load_open_changes()
    assert (first.plan, first.puts, first.record.revision) == ("the steps", (service("a"),), 1)
    ended = await store.close_change(replace(first.record, outcome="committed"), applied=True)
    await store.close_change(replace(second.record, outcome="rolled-back"), applied=False)
    assert store.load_open_changes() == ()
    assert store.load_services() == (service("a"),)
    assert [one.outcome for one in store.history()] == ["rolled-back", "committed"]
    with pytest.raises(ConflictError):
        await store.close_change(ended, applied=True)
    store.close()


async def test_recording_an_open_change_ends_it_with_these_services(store):
    await store.open_change(record("c1"), (service("a"),))
    await store.record_change(record("c1", outcome="committed"), (service("b"),))
    assert [one.id for one in store.load_services()] == ["gov/b"]
    assert store.load_open_changes() == ()


async def test_history_of_one_service(store):
    touched = (ServiceChange(ServiceId("gov/a"), "", "{}"),)
    await store.record_change(record("c1", services=touched), ())
    await store.record_change(record("c2"), ())
    assert [one.id for one in store.history(service=ServiceId("gov/a"))] == ["c1"]
    assert store.last_applied(ServiceId("gov/a")) == ""
    await store.record_change(record("c3", outcome="committed", services=touched), ())
    await store.record_change(record("c4", outcome="failed", services=touched), ())
    assert store.last_applied(ServiceId("gov/a")) == "c3"
    assert store.last_applied(ServiceId("gov/b")) == ""


async def test_the_last_map_is_kept_per_domain(store):
    topology = DomainTopology("city-ip", DomainKind.IP, "net:city-ip", (), (), qos_profiles=frozenset({"gold"}))
    await store.save_topology(replace(topology, qos_profiles=frozenset()))
    await store.save_topology(topology)
    assert store.load_topologies()["city-ip"][0] == topology


async def test_waiting_writes_share_one_fsync(store):
    before = store.fsyncs
    await asyncio.gather(*(store.record_change(record(f"c{n}"), (service(f"s{n}"),)) for n in range(100)))
    assert store.fsyncs - before <= 5
    assert len(store.load_services()) == 100


async def test_a_write_that_fails_fails_alone(store):
    await store.open_change(record("c0"))
    answers = await asyncio.gather(
        store.record_change(record("c1"), (service("a"),)),
        store.open_change(record("c0")),
        store.record_change(record("c2"), (service("b"),)),
        return_exceptions=True,
    )
    assert [type(one) for one in answers] == [ChangeRecord, ConflictError, ChangeRecord]
    assert len(store.load_services()) == 2


async def test_the_journal_holds_open_transactions_in_order(store):
    await store.begin("t1", lambda: "intention 1")
    await store.begin("t2", lambda: "intention 2")
    await store.append("t1", "decided")
    store.append_soon("t1", "settled", "city-ip")
    store.end_soon("t2", "committed")
    store = reopen(store)
    ((first, *rest),) = store.open_transactions()
    assert (first.txn, first.kind, first.body) == ("t1", "intention", "intention 1")
    assert [(one.kind, one.body) for one in rest] == [("decided", ""), ("settled", "city-ip")]
    with pytest.raises(StoreError, match="already in the journal"):
        await store.begin("t1", lambda: "")
    store.close()


async def test_a_lazy_record_is_on_disk_before_any_later_durable_one(store):
    await store.begin("t1", lambda: "")
    store.end_soon("t1", "committed")
    await store.begin("t2", lambda: "")
    assert [records[0].txn for records in store.open_transactions()] == ["t2"]


async def test_the_journal_forgets_what_ended_long_ago(store):
    for n in range(600):
        store._writer.write_soon(
            lambda db, n=n: db.execute("INSERT INTO transactions (txn, ended) VALUES (?, 1)", (f"o{n}",))
        )
    await store.begin("t", lambda: "")
    await store.end("t", "committed")
    (left,) = store._reading.execute("SELECT count(*) FROM transactions").fetchone()
    assert left == 512


async def test_who_travelled_in_a_group_is_found_by_its_own_name(store):
    for txn, ended in (("onecity-group-c1-0-1", "rolled-back"), ("onecity-group-c1-0-2", "committed")):
        await store.begin(txn, lambda: "{}", ("onecity-c1-0", "onecity-c2-0"))
        await store.end(txn, ended)
    await store.begin("onecity-group-c2-0-1", lambda: "{}", ("onecity-c2-0",))
    await store.end("onecity-group-c2-0-1", "rolled-back")
    assert store.ended_transaction("onecity-c1-0") == "committed"
    assert store.ended_transaction("onecity-c2-0") == "committed"
    assert store.ended_transaction("onecity-c3-0") is None


async def test_the_journal_keeps_what_an_open_change_consists_of(store, monkeypatch):
    monkeypatch.setattr("controller.store.tables._KEPT_TRANSACTIONS", 5)
    await store.open_change(record("open1"), (), (), "")
    await store.open_change(record("open2"), (), (), "")
    await store.begin("onecity-open1-0", lambda: "{}")
    await store.end("onecity-open1-0", "committed")
    await store.begin("onecity-group-x-0-1", lambda: "{}", ("onecity-x-0", "onecity-open2-0"))
    await store.end("onecity-group-x-0-1", "committed")
    for n in range(10):
        await store.begin(f"onecity-c{n}-0", lambda: "{}")
        await store.end(f"onecity-c{n}-0", "committed")
    assert store.ended_transaction("onecity-open1-0") == store.ended_transaction("onecity-open2-0") == "committed"
    assert store.ended_transaction("onecity-c1-0") is None


async def test_what_a_member_of_a_group_did_is_found_in_the_journal(store):
    body = '{"members":[{"change_id":"c1","edits":[]},{"change_id":"c2","edits":["\\u0000é"]}]}'
    for change in ("c1", "c2"):
        await store.record_change(record(change, outcome="committed"))
    for attempt, ended in ((1, "rolled-back"), (2, "committed")):
        txn = f"onecity-group-c1-0-{attempt}"
        await store.begin(txn, lambda: body, ("onecity-c1-0", "onecity-c2-0"))
        await store.end(txn, ended)
    found = store.undescribed()
    assert found["c1"] == ('{"change_id":"c1","edits":[]}',)
    assert json.loads(found["c2"][0]) == {"change_id": "c2", "edits": ["\0é"]}


async def test_a_full_disk_fails_the_write_cleanly_and_nothing_of_it_stays(store):
    await store.record_change(record("c1"), (service("a"),))
    await store.begin("t1", lambda: "")
    await store._writer.write(_limit_to_present_size)
    big = replace(service("b"), document="x" * 200_000)
    with pytest.raises(StoreError, match="disk is full"):
        await store.record_change(record("c2"), (big,))
    assert [one.id for one in store.load_services()] == ["gov/a"]
    assert [one.id for one in store.history()] == ["c1"]
    await store._writer.write(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall())
    await store.record_change(record("c2"), (big,))
    assert len(store.load_services()) == 2


async def test_nothing_overtakes_a_lazy_record_that_the_disk_refused(store):
    await store.begin("t1", lambda: "")
    await store._writer.write(_limit_to_present_size)
    store.append_soon("t1", "settled", "x" * 200_000)
    with pytest.raises(StoreError, match="disk is full"):
        await store.begin("t2", lambda: "")
    assert [records[0].txn for records in store.open_transactions()] == ["t1"]


def _limit_to_present_size(db: sqlite3.Connection) -> None:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}").fetchall()


async def test_a_backup_made_while_running_opens_and_is_complete(store, tmp_path):
    await store.record_change(record("c1"), (service("a"),))
    await store.backup(tmp_path / "copy.db")
    await store.record_change(record("c2"), (service("b"),))
    copy = Store.open(tmp_path / "copy.db")
    assert copy.load_services() == (service("a"),)
    copy.close()
    with pytest.raises(StoreError, match="the backup to"):
        await store.backup(tmp_path / "nowhere" / "copy.db")


async def test_old_native_diffs_go_and_the_history_and_the_newest_stay(store, monkeypatch):
    monkeypatch.setattr("controller.store.store.KEPT_WHATEVER_AGE", 3)
    monkeypatch.setattr("controller.store.store._ROWS_AT_ONCE", 2)
    for n in range(10):
        await store.record_change(record(f"c{n}", outcome="committed", at=NOW + timedelta(days=n)))
        effects = tuple(DomainChange(domain, "<config/>", ()) for domain in ("city-ip", "city-otn"))
        await store.keep_domains({f"c{n}": effects})

    def kept() -> list[int]:
        return [n for n in range(10) if store.change_domains(f"c{n}")]

    assert await store.forget_domains(NOW) == 0
    assert await store.forget_domains(NOW + timedelta(days=4, hours=1)) == 10
    assert kept() == [5, 6, 7, 8, 9]
    assert await store.forget_domains(NOW + timedelta(days=100)) == 4
    assert kept() == [7, 8, 9]
    assert len(store.history()) == 10
    assert store.change("c0").author == "ada"


async def test_acceptances_come_back_and_go_by_place(store):
    path = ("l3nm:l3vpn-ntw", "l3nm:vpn-services", ("l3nm:vpn-service", "gov.a"), "l3nm:vpn-description")
    first = Acceptance("city-ip", path, "theirs", None, "c1", NOW)
    gone = Acceptance("city-ip", path[:3], None, {"l3nm:vpn-id": "gov.a"}, "c1", NOW)
    await store.accept(record("c1", outcome="committed", kind="drift"), (first, gone))
    store = reopen(store)
    assert set(map(repr, store.acceptances())) == {repr(first), repr(gone)}
    assert store.history()[0].kind == "drift"
    await store.forget_acceptances((("city-ip", path), ("city-otn", path[:3])))
    assert store.acceptances() == (gone,)
    store.close()
