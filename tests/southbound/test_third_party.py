"""Our driver against a NETCONF server that nobody here wrote (netconfd), through a real OpenSSH server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from ncclient import manager

from controller.errors import DomainError
from controller.rendering.diff import edit
from controller.rendering.tree import Edit, Tree
from controller.southbound.driver import FINAL, DomainTimers, EventKind, TransactionState
from controller.southbound.netconf import operations as op
from controller.southbound.netconf.driver import NetconfDriver, netconf_driver
from controller.transactions.engine import Transactions
from controller.transactions.step import Step, StepOutcome
from tests.southbound.netconfd import TIMERS, ThirdParty, needs_netconfd, third_party
from tests.transactions.memory_journal import MemoryJournal
from tests.transactions.model_domain import Clock, Fault, ModelDomain, put

pytestmark = needs_netconfd
L3NM = "urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThirdParty]:
    with third_party(tmp_path_factory.mktemp("netconfd")) as running:
        yield running


@pytest.fixture
async def driver(server: ThirdParty) -> AsyncIterator[NetconfDriver]:
    """Yield a driver of a server that holds nothing, and leave it so."""
    made = netconf_driver(server.settings())
    await empty(made)
    yield made
    await made.close()
    after = netconf_driver(server.settings())
    await empty(after)
    await after.close()


async def empty(driver: NetconfDriver) -> None:
    if standing := await driver.read(()):
        await carry(driver, "empty", edit("third", standing, {}))


async def carry(driver: NetconfDriver, txn: str, change: Edit) -> None:
    await driver.prepare(txn, change)
    await driver.commit(txn, 8.0)
    await driver.confirm(txn)


def vpns(**names: str) -> Tree:
    entries: Tree = {
        ("l3nm:vpn-service", vpn): {"l3nm:vpn-id": vpn, "l3nm:customer-name": customer}
        for vpn, customer in names.items()
    }
    return {"l3nm:l3vpn-ntw": {"l3nm:vpn-services": entries}}


def person(server: ThirdParty) -> manager.Manager:
    """Somebody else's session."""
    settings = server.settings()
    return manager.connect(
        host="127.0.0.1",
        port=server.port,
        username=settings.username,
        key_filename=settings.key_file,
        hostkey_verify=False,
        look_for_keys=False,
        allow_agent=False,
        timeout=10,
    )


def put_by(other: manager.Manager, entry: str) -> None:
    tree = f'<l3vpn-ntw xmlns="{L3NM}"><vpn-services>{entry}</vpn-services></l3vpn-ntw>'
    other.edit_config(f'<config xmlns="{BASE}">{tree}</config>', target="candidate")
    other.commit()


ONE, TWO = vpns(a="gov"), vpns(a="gov", b="health")


async def test_the_hello_says_what_a_change_needs(driver: NetconfDriver) -> None:
    client = await driver._main()
    assert {op.CANDIDATE, op.CONFIRMED_COMMIT, op.ROLLBACK_ON_ERROR, op.NOTIFICATION} <= client.capabilities
    assert client.session_id.isdecimal()


async def test_a_change_is_committed_read_back_and_final(driver: NetconfDriver) -> None:
    change = edit("third", {}, TWO)
    assert await driver.prepare("t1", change) == ()
    assert await driver.read(()) == {}
    await driver.commit("t1", 8.0)
    assert await driver.read(change.touched) == TWO
    assert await driver.outcome("t1", change) is TransactionState.COMMITTED
    await driver.confirm("t1")
    await driver.confirm("t1")  # a repeat after a lost reply
    assert await driver.outcome("t1", change) is TransactionState.CONFIRMED
    third = vpns(b="health", c="school")
    await carry(driver, "t2", edit("third", TWO, third))
    assert await driver.read(()) == third


async def test_a_cancelled_commit_leaves_nothing(driver: NetconfDriver) -> None:
    await carry(driver, "t1", edit("third", {}, ONE))
    change = edit("third", ONE, vpns(a="other", b="health"))
    await driver.prepare("t2", change)
    await driver.commit("t2", 8.0)
    await driver.cancel("t2")
    await driver.cancel("t2")
    assert await driver.read(()) == ONE
    assert await driver.outcome("t2", change) is TransactionState.ABSENT
    await carry(driver, "t3", change)  # lock and candidate are free
    assert await driver.read(()) == vpns(a="other", b="health")


async def test_what_nobody_confirms_rolls_back_by_itself(driver: NetconfDriver) -> None:
    await carry(driver, "t1", edit("third", {}, ONE))
    change = edit("third", ONE, TWO)
    await driver.prepare("t2", change)
    await driver.commit("t2", 1.0)
    assert await driver.read(()) == TWO
    await asyncio.sleep(3.5)  # in silence: this server looks at its timers only when nobody asks it anything
    assert await driver.read(()) == ONE
    assert await driver.outcome("t2", change) is TransactionState.ABSENT
    await driver.cancel("t2")
    await carry(driver, "t3", change)
    assert await driver.read(()) == TWO


@pytest.mark.parametrize("confirm", [True, False], ids=["confirm", "cancel"])
async def test_another_session_ends_what_a_lost_one_committed(
    driver: NetconfDriver, server: ThirdParty, confirm: bool
) -> None:
    change = edit("third", {}, ONE)
    await driver.prepare("t1", change)
    await driver.commit("t1", 8.0)
    (await driver._main()).cut()
    later = netconf_driver(server.settings())  # as a daemon that was started again
    assert await later.outcome("t1", change) is TransactionState.COMMITTED
    await (later.confirm("t1") if confirm else later.cancel("t1"))
    assert await later.read(()) == (ONE if confirm else {})
    await asyncio.sleep(0.3)
    assert await later.read(()) == (ONE if confirm else {})
    await later.close()


async def test_a_lost_session_takes_its_edit_with_it(driver: NetconfDriver) -> None:
    change = edit("third", {}, ONE)
    await driver.prepare("t1", change)
    (await driver._main()).cut()
    await driver.cancel("t1")
    await carry(driver, "t2", edit("third", {}, vpns(b="health")))
    assert await driver.read(()) == vpns(b="health")  # and nothing of what the first left in the candidate


async def test_a_refusal_is_in_the_server_s_words_with_its_path(driver: NetconfDriver) -> None:
    long: Tree = {"l3nm:vpn-id": "a", "l3nm:vpn-description": "x" * 65}
    wrong: Tree = {"l3nm:l3vpn-ntw": {"l3nm:vpn-services": {("l3nm:vpn-service", "a"): long}}}
    with pytest.raises(DomainError) as refused:
        await driver.prepare("t1", edit("third", {}, wrong))
    assert refused.value.tag == "invalid-value"
    assert "vpn-description" in refused.value.path
    await carry(driver, "t2", edit("third", {}, ONE))  # the candidate is clean and free
    assert await driver.read(()) == ONE


async def test_a_surprise_is_told_apart_from_a_conflict(driver: NetconfDriver, server: ThirdParty) -> None:
    await carry(driver, "t1", edit("third", {}, TWO))
    with person(server) as other:
        entry = f'<vpn-service xmlns:nc="{BASE}" nc:operation="delete"><vpn-id>b</vpn-id></vpn-service>'
        put_by(other, entry)
    warnings = await driver.prepare("t2", edit("third", TWO, ONE))
    assert any("was already gone" in warning for warning in warnings)
    await driver.commit("t2", 8.0)
    await driver.confirm("t2")
    assert await driver.read(()) == ONE


async def test_somebody_else_s_lock_is_waited_for_and_named(server: ThirdParty, driver: NetconfDriver) -> None:
    short = netconf_driver(server.settings(timers=DomainTimers(20.0, 3.0, 20.0, 8.0, 20.0)))
    with person(server) as other:
        other.lock("candidate")
        with pytest.raises(DomainError) as refused:
            await short.prepare("t1", edit("third", {}, ONE))
        assert refused.value.tag in ("lock-denied", "in-use")
        assert f"session {other.session_id}" in str(refused.value)
        waiting = asyncio.create_task(driver.prepare("t2", edit("third", {}, ONE)))
        await asyncio.sleep(0.3)
        other.unlock("candidate")
        await waiting
    await driver.commit("t2", 8.0)
    await driver.confirm("t2")
    with pytest.raises(DomainError) as final:
        await driver.cancel("t2")
    assert final.value.tag == FINAL
    await short.close()


async def test_what_others_change_is_announced_and_what_we_change_is_not(
    driver: NetconfDriver, server: ThirdParty
) -> None:
    events = driver.events()
    seen = [await asyncio.wait_for(anext(events), 10)]
    assert seen[0].kind is EventKind.CONNECTED
    await carry(driver, "t1", edit("third", {}, ONE))
    with person(server) as other:
        entry = "<vpn-service><vpn-id>theirs</vpn-id></vpn-service>"
        put_by(other, entry)
        session = other.session_id
        event = await asyncio.wait_for(anext(events), 10)
    assert (event.kind, event.detail) == (EventKind.CONFIG_CHANGED, f"by session {session}")


async def test_a_step_over_it_and_another_domain_is_all_or_none(driver: NetconfDriver) -> None:
    clock = Clock()
    model = ModelDomain("model", clock)
    timers = {"third": TIMERS, "model": TIMERS}
    engine = Transactions(MemoryJournal(), {"third": driver, "model": model}, timers, clock)
    model.faults.append(Fault("commit", "refuse"))
    edits = (edit("third", {}, ONE), put("model", "x", "1"))
    outcomes = []
    for change in ("c1", "c2"):
        step = Step(change, 0, "build", edits, (("model", "third"),))
        outcomes.append((await engine.run(step)).outcome)
        running = await driver.read(())
        assert running == (ONE if outcomes[-1] is StepOutcome.COMMITTED else {})
    assert outcomes == [StepOutcome.ROLLED_BACK, StepOutcome.COMMITTED]
    await engine.close()
