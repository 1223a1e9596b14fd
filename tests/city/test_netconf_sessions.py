"""Locks, confirmed commits, notifications and restarts of the IP domain, with stock ncclient over real SSH."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from city_ip import documents as doc
from city_ip.process import IpProcess, read
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

_LOADED = doc.config(doc.services(doc.small_service("gov.a", 100)))


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[IpProcess]:
    process = IpProcess(tmp_path)
    process.start()
    yield process
    process.kill()


def _eventually(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _services(session: Any, source: str = "running") -> list[str]:
    return read(session, "vpn-service/vpn-id", source)


def _refused(action: Callable[[], Any]) -> RPCError:
    with pytest.raises(RPCError) as refused:
        action()
    return refused.value


def test_a_lock_keeps_others_out_and_says_who_holds_it(domain: IpProcess) -> None:
    with domain.session() as first, domain.session() as second:
        first.lock("candidate")
        denied = _refused(lambda: second.lock("candidate"))
        assert denied.tag == "lock-denied"
        assert f"<session-id>{first.session_id}</session-id>" in denied.info.replace("nc:", "")
        assert _refused(lambda: second.edit_config(_LOADED, target="candidate")).tag == "in-use"
        assert _refused(second.commit).tag == "in-use"
        assert _refused(second.discard_changes).tag == "in-use"
        first.edit_config(_LOADED, target="candidate")
        first.unlock("candidate")
        assert _refused(lambda: second.lock("candidate")).tag == "lock-denied"  # the candidate holds changes
        second.discard_changes()
        second.lock("candidate")


def test_a_lock_and_its_uncommitted_changes_die_with_the_session(domain: IpProcess) -> None:
    with domain.session() as second:
        with domain.session() as first:
            first.lock("running")
            first.lock("candidate")
            first.edit_config(_LOADED, target="candidate")
            first._session.transport.close()
        assert _eventually(lambda: not _services(second, "candidate"))
        second.lock("candidate")
        second.lock("running")


def test_a_killed_session_is_gone_and_its_locks_are_free(domain: IpProcess) -> None:
    with domain.session() as first, domain.session() as second:
        first.lock("candidate")
        second.kill_session(first.session_id)
        second.lock("candidate")
        assert _eventually(lambda: not first.connected)
        assert _refused(lambda: second.kill_session("99")).tag == "invalid-value"


def test_a_confirmed_commit_that_nobody_confirms_goes_back(domain: IpProcess) -> None:
    with domain.session() as session:
        session.edit_config(_LOADED, target="candidate")
        session.commit(confirmed=True, timeout="1")
        assert _services(session) == ["gov.a"]
        assert _eventually(lambda: _services(session) == [])
        assert _services(session, "candidate") == []


def test_a_confirming_commit_makes_it_final_and_a_second_one_extends(domain: IpProcess) -> None:
    with domain.session() as session:
        session.edit_config(_LOADED, target="candidate")
        session.commit(confirmed=True, timeout="2")
        session.commit(confirmed=True, timeout="30")
        time.sleep(2.2)
        assert _services(session) == ["gov.a"]
        session.commit()
        session.edit_config(doc.config(doc.services(doc.removed("gov.a"))), target="candidate")
        session.commit(confirmed=True, timeout="30")
        session.cancel_commit()
        assert _services(session) == ["gov.a"]


def test_without_persist_a_confirmed_commit_dies_with_its_session(domain: IpProcess) -> None:
    with domain.session() as second:
        with domain.session() as first:
            first.edit_config(_LOADED, target="candidate")
            first.commit(confirmed=True, timeout="60")
            assert _refused(second.commit).tag == "in-use"
        assert _eventually(lambda: _services(second) == [])


def test_with_persist_it_outlives_its_session_and_needs_its_name(domain: IpProcess) -> None:
    with domain.session() as first:
        first.edit_config(_LOADED, target="candidate")
        first.commit(confirmed=True, timeout="60", persist="txn-1")
    with domain.session() as second:
        assert _services(second) == ["gov.a"]
        assert _refused(second.commit).tag == "invalid-value"
        assert _refused(lambda: second.commit(persist_id="txn-2")).tag == "invalid-value"
        assert _refused(lambda: second.lock("running")).tag == "lock-denied"
        second.lock("candidate")
        second.commit(persist_id="txn-1")
        assert _refused(lambda: second.commit(persist_id="txn-1")).tag == "invalid-value"
        assert _services(second) == ["gov.a"]


def test_cancel_with_the_persist_id_goes_back(domain: IpProcess) -> None:
    with domain.session() as first:
        first.edit_config(_LOADED, target="candidate")
        first.commit(confirmed=True, timeout="60", persist="txn-1")
    with domain.session() as second:
        assert _refused(second.cancel_commit).tag == "invalid-value"
        second.cancel_commit("txn-1")
        assert _services(second) == []


def test_kill_9_keeps_running_and_an_open_confirmed_commit(domain: IpProcess) -> None:
    with domain.session() as session:
        session.edit_config(_LOADED, target="candidate")
        session.commit()
        session.edit_config(doc.config(doc.services(doc.small_service("gov.b", 101))), target="candidate")
        session.commit(confirmed=True, timeout="60", persist="txn-1")
        domain.kill()
    domain.start()
    with domain.session() as session:
        assert _services(session) == ["gov.a", "gov.b"]
        session.commit(persist_id="txn-1")
    domain.kill()
    domain.start()
    with domain.session() as session:
        assert _services(session) == ["gov.a", "gov.b"]


def test_an_open_commit_goes_back_in_time_after_a_restart(domain: IpProcess) -> None:
    for timeout_s in (2, 10, 40):  # as soon as the machine lets it be back before the time is over
        with domain.session() as session:
            session.edit_config(_LOADED, target="candidate")
            before = time.monotonic()
            session.commit(confirmed=True, timeout=str(timeout_s), persist="txn-1")
            domain.kill()
        domain.start()
        with domain.session() as session:
            found, looked = _services(session), time.monotonic()
            assert _eventually(lambda: _services(session) == [], timeout_s + 20.0)
        if looked < before + timeout_s:
            break
    assert found == ["gov.a"]


def test_a_commit_that_expired_while_the_process_was_down_is_back_before_anyone_sees_it(domain: IpProcess) -> None:
    with domain.session() as session:
        session.edit_config(_LOADED, target="candidate")
        session.commit(confirmed=True, timeout="1", persist="txn-1")
        domain.kill()
    time.sleep(1.0)
    domain.start()
    with domain.session() as session:
        assert _services(session) == []


def test_a_torn_last_record_is_cut_off(domain: IpProcess) -> None:
    with domain.session() as session:
        session.edit_config(_LOADED, target="candidate")
        session.commit()
        domain.kill()
    log = next((domain.directory / "city-ip").glob("log-*"))
    whole = log.read_bytes()
    log.write_bytes(whole + whole[:40])
    domain.start()
    with domain.session() as session:
        assert _services(session) == ["gov.a"]
        session.edit_config(doc.config(doc.services(doc.small_service("gov.b", 101))), target="candidate")
        session.commit()
        domain.kill()
    domain.start()
    with domain.session() as session:
        assert _services(session) == ["gov.a", "gov.b"]


def test_subscribers_hear_of_changes_and_confirmed_commits(domain: IpProcess) -> None:
    with domain.session() as listener, domain.session() as editor:
        listener.create_subscription()
        editor.edit_config(_LOADED, target="candidate")
        editor.commit(confirmed=True, timeout="1")
        heard = [listener.take_notification(timeout=5).notification_xml for _ in range(4)]
        assert "netconf-config-change" in heard[0]
        assert "vpn-service[l3nm:vpn-id='gov.a']" in heard[0] or "/l3nm:l3vpn-ntw/l3nm:vpn-services" in heard[0]
        assert f"<session-id>{editor.session_id}</session-id>" in heard[0]
        assert "<confirm-event>start</confirm-event><timeout>1</timeout>" in heard[1]
        assert "<server/>" in heard[2]
        assert "<confirm-event>timeout</confirm-event>" in heard[3]
        assert listener.get_config("running") is not None  # requests and notifications share the session


def test_it_ends_with_its_parent(domain: IpProcess) -> None:
    domain.wait_for_end_without_parent(3.0)


def test_not_xml_is_answered_and_the_session_lives(domain: IpProcess) -> None:
    with domain.session() as session:
        assert _refused(lambda: session.dispatch(to_ele("<commit><confirmed/></commit>"))).type == "protocol"
        assert _services(session) == []
