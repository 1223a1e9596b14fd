"""The transaction verbs against servers that refuse, warn, hold locks, die and stay silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lxml import etree

from controller.errors import DomainError, DomainUnreachableError
from controller.rendering.tree import Edit
from controller.rendering.xml import to_xml
from controller.southbound.driver import EventKind, TransactionState
from controller.southbound.netconf.driver import NetconfDriver, netconf_driver
from tests.southbound.edits import adding, vpn_tree
from tests.southbound.scripted_server import CAPABILITIES, NC, OK, ScriptedServer, error, scripted_server

TXN = "onecity-7f3c-0"
EDIT = adding("city-ip", vpn_tree("gov.office"))
NOT_PENDING = error("invalid-value", "no confirmed commit of this persist-id is open")


@pytest.fixture
async def driver(server: ScriptedServer) -> AsyncIterator[NetconfDriver]:
    driver = netconf_driver(server.settings)
    yield driver
    await driver.close()


@dataclass
class Running:
    """The running configuration that a scripted server shows: one edit, there or not."""

    edit: Edit
    there: bool = False
    pending: set[str] = field(default_factory=set)

    def attach(self, server: ScriptedServer) -> None:
        server.answer |= {"get-config": self.get_config, "commit": self.commit, "cancel-commit": self.cancel}

    def get_config(self, operation: etree._Element) -> str:
        config = to_xml(self.edit.after if self.there else self.edit.before).decode()
        return config.replace("<config ", "<data ").replace("</config>", "</data>")

    def commit(self, operation: etree._Element) -> str:
        persist, persist_id = operation.findtext(f"{{{NC}}}persist"), operation.findtext(f"{{{NC}}}persist-id")
        if persist_id is not None:
            if persist_id not in self.pending:
                return NOT_PENDING
            self.pending.discard(persist_id)
            return OK
        assert persist is not None
        self.pending.add(persist)
        self.there = True
        return OK

    def cancel(self, operation: etree._Element) -> str:
        persist_id = operation.findtext(f"{{{NC}}}persist-id")
        if persist_id not in self.pending:
            return NOT_PENDING
        self.pending.clear()
        self.there = False
        return OK


@pytest.fixture
def running(server: ScriptedServer) -> Running:
    running = Running(EDIT)
    running.attach(server)
    return running


async def test_a_change_locks_edits_validates_commits_and_confirms(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    assert await driver.prepare(TXN, EDIT) == ()
    assert await driver.outcome(TXN, EDIT) is TransactionState.PREPARED
    await driver.commit(TXN, 60)
    assert await driver.read(EDIT.touched) == EDIT.after
    assert await driver.outcome(TXN, EDIT) is TransactionState.COMMITTED
    await driver.confirm(TXN)
    assert await driver.outcome(TXN, EDIT) is TransactionState.CONFIRMED
    await driver.confirm(TXN)
    sent = [name for name in server.received if name != "get-config"]
    assert sent == ["lock", "discard-changes", "edit-config", "validate", "commit", "commit", "unlock"]


async def test_a_refusal_keeps_the_domains_words_and_leaves_nothing_behind(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    path = "/l3nm:l3vpn-ntw/l3nm:vpn-services"
    server.answer["validate"] = error("operation-failed", "VLAN 1203 in use on ge-0/0/3", path)
    with pytest.raises(DomainError) as caught:
        await driver.prepare(TXN, EDIT)
    words = f"domain city-ip refused (operation-failed): {path}: VLAN 1203 in use on ge-0/0/3"
    assert str(caught.value) == words
    assert not isinstance(caught.value, DomainUnreachableError)
    assert server.received[-2:] == ["discard-changes", "unlock"]
    assert await driver.outcome(TXN, EDIT) is TransactionState.ABSENT


async def test_a_warning_is_told_and_is_no_error(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    server.answer["edit-config"] = error("operation-failed", "QoS profile vip is deprecated", severity="warning") + OK
    assert await driver.prepare(TXN, EDIT) == ("QoS profile vip is deprecated",)
    await driver.cancel(TXN)


async def test_a_foreign_lock_is_waited_for(server: ScriptedServer, driver: NetconfDriver, running: Running) -> None:
    held_until = time.monotonic() + 0.2
    denied = error("lock-denied", "locked", info="<error-info><session-id>77</session-id></error-info>")
    server.answer["lock"] = lambda _: denied if time.monotonic() < held_until else OK
    await driver.prepare(TXN, EDIT)
    assert server.received.count("lock") > 1
    assert server.received.index("edit-config") > server.received.index("discard-changes")
    await driver.cancel(TXN)


async def test_a_lock_that_never_comes_free_is_a_refusal_that_names_its_holder(
    server: ScriptedServer, driver: NetconfDriver
) -> None:
    info = "<error-info><session-id>77</session-id></error-info>"
    server.answer["lock"] = error("lock-denied", "candidate is locked", info=info)
    with pytest.raises(DomainError, match=r"session 77 has held the candidate lock for 0\.6 s") as caught:
        await driver.prepare(TXN, EDIT)
    assert not isinstance(caught.value, DomainUnreachableError)
    assert "edit-config" not in server.received


async def test_a_second_transaction_must_wait(server: ScriptedServer, driver: NetconfDriver, running: Running) -> None:
    await driver.prepare(TXN, EDIT)
    with pytest.raises(DomainError, match="is open"):
        await driver.prepare("onecity-8000-0", EDIT)
    await driver.cancel("onecity-8000-0")
    assert await driver.outcome(TXN, EDIT) is TransactionState.PREPARED
    await driver.cancel(TXN)


async def test_after_a_lost_session_the_commit_stands_and_is_confirmed_by_its_id(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    await driver.prepare(TXN, EDIT)
    await driver.commit(TXN, 60)
    server.drop_sessions()
    await asyncio.sleep(0.05)
    server.received.clear()
    assert await driver.outcome(TXN, EDIT) is TransactionState.COMMITTED
    await driver.confirm(TXN)
    assert server.received == [
        *("lock", "discard-changes", "get-config", "discard-changes", "unlock"),
        *("lock", "discard-changes", "commit", "unlock"),
    ]
    assert not running.pending
    assert running.there


async def test_a_lost_answer_to_a_commit_is_found_out_by_reading(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    await driver.prepare(TXN, EDIT)

    def commits_and_says_nothing(operation: etree._Element) -> None:
        running.commit(operation)

    server.answer["commit"] = commits_and_says_nothing
    with pytest.raises(DomainUnreachableError, match=r"no answer to commit within 0\.6 s"):
        await driver.commit(TXN, 60)
    running.attach(server)
    assert await driver.outcome(TXN, EDIT) is TransactionState.COMMITTED
    await driver.cancel(TXN)
    assert await driver.outcome(TXN, EDIT) is TransactionState.ABSENT


async def test_an_unknown_transaction_is_cancelled_without_complaint(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    await driver.cancel("onecity-0000-0")
    await driver.cancel("onecity-0000-0")
    assert server.received[-1] == "unlock"


async def test_what_is_final_is_never_reported_as_cancelled(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    running.there = True  # confirmed by an earlier life of the daemon
    assert await driver.outcome(TXN, EDIT) is TransactionState.COMMITTED
    with pytest.raises(DomainError, match="is final and stands"):
        await driver.cancel(TXN)
    await driver.confirm(TXN)


async def test_a_refused_prepare_is_cancelled_also_where_the_network_is_as_wanted_anyway(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    running.there = True  # somebody else's work
    server.answer["edit-config"] = error("data-exists", "it is there")
    with pytest.raises(DomainError, match="it is there"):
        await driver.prepare(TXN, EDIT)
    server.received.clear()
    await driver.cancel(TXN)
    assert "cancel-commit" not in server.received


async def test_a_commit_that_never_took_place_is_cancelled_also_where_the_network_is_as_wanted_anyway(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    await driver.prepare(TXN, EDIT)
    server.answer["commit"] = None
    with pytest.raises(DomainUnreachableError):
        await driver.commit(TXN, 60)
    running.attach(server)
    running.there = True  # somebody else's work
    await driver.cancel(TXN)
    assert "cancel-commit" in server.received


@pytest.mark.parametrize("verb", ["confirm", "cancel"])
async def test_a_server_that_cannot_do_it_now_is_not_taken_to_have_done_it(
    server: ScriptedServer, driver: NetconfDriver, running: Running, verb: str
) -> None:
    await driver.prepare(TXN, EDIT)
    await driver.commit(TXN, 60)
    operation = "commit" if verb == "confirm" else "cancel-commit"
    server.answer[operation] = error("operation-failed", "the disk is full")
    for _ in range(2):
        with pytest.raises(DomainError, match="disk is full"):
            await getattr(driver, verb)(TXN)
    assert await driver.outcome(TXN, EDIT) is TransactionState.COMMITTED
    running.attach(server)
    await getattr(driver, verb)(TXN)
    assert running.there is (verb == "confirm")


async def test_what_stands_after_its_timer_is_final_also_to_a_server_that_is_vague(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    await driver.prepare(TXN, EDIT)
    await driver.commit(TXN, 0.1)
    server.answer["commit"] = error("operation-failed", "operation failed")
    with pytest.raises(DomainError):
        await driver.confirm(TXN)
    await asyncio.sleep(0.8)  # the timer, and one commit deadline
    await driver.confirm(TXN)


async def test_a_transaction_that_ended_in_its_prepare_waits_for_no_hung_server(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    server.answer["edit-config"] = None
    with pytest.raises(DomainUnreachableError):
        await driver.prepare(TXN, EDIT)
    server.answer["lock"] = None
    await driver.cancel(TXN)


async def test_the_second_form_of_an_edit_is_sent_only_where_the_place_is_as_wanted(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    forms: list[str] = []

    def edit(operation: etree._Element) -> str:
        forms.append(etree.tostring(operation).decode())
        return error("data-exists", "it is there") if 'operation="create"' in forms[-1] else OK

    server.answer["edit-config"] = edit
    with pytest.raises(DomainError, match="it is there"):
        await driver.prepare(TXN, EDIT)  # the domain does not show what it speaks of
    assert len(forms) == 1
    running.there = True
    (told,) = await driver.prepare("onecity-7f3c-1", EDIT)
    assert "was already there" in told
    assert 'operation="replace"' in forms[-1]


async def test_confirming_what_rolled_back_is_a_refusal(
    server: ScriptedServer, driver: NetconfDriver, running: Running
) -> None:
    await driver.prepare(TXN, EDIT)
    await driver.commit(TXN, 60)
    running.pending.clear()
    running.there = False  # its timer ended
    with pytest.raises(DomainError, match="no confirmed commit") as caught:
        await driver.confirm(TXN)
    assert not isinstance(caught.value, DomainUnreachableError)
    assert await driver.outcome(TXN, EDIT) is TransactionState.ABSENT


async def test_a_server_without_confirmed_commit_is_not_trusted_with_a_change(tmp_path: Path) -> None:
    capabilities = tuple(c for c in CAPABILITIES if "confirmed-commit" not in c)
    async with scripted_server(tmp_path, capabilities) as server:
        driver = netconf_driver(server.settings)
        with pytest.raises(DomainError, match="confirmed-commit"):
            await driver.prepare(TXN, EDIT)
        await driver.close()


async def test_events_tell_of_connection_change_by_others_and_loss(
    server: ScriptedServer, driver: NetconfDriver
) -> None:
    await driver.connect()
    own = next(iter(driver._own_sessions()))
    events = driver.events()
    assert (await anext(events)).kind is EventKind.CONNECTED
    changed = (
        '<netconf-config-change xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"><changed-by>'
        "<username>u</username><session-id>{}</session-id></changed-by></netconf-config-change>"
    )
    server.notify(changed.format(own))
    server.notify(changed.format("77"))
    event = await asyncio.wait_for(anext(events), 2)
    assert (event.kind, event.detail) == (EventKind.CONFIG_CHANGED, "by session 77")
    server.drop_sessions()
    assert (await asyncio.wait_for(anext(events), 2)).kind is EventKind.LOST
    assert (await asyncio.wait_for(anext(events), 2)).kind is EventKind.CONNECTED
    await events.aclose()  # type: ignore[attr-defined]
