"""The NETCONF driver against the lab's IP domain controller, a process of its own."""

from __future__ import annotations

import asyncio
import copy
import statistics
import time

import pytest

from controller.errors import DomainError, DomainUnreachableError
from controller.rendering.diff import apply as rewritten
from controller.rendering.diff import edit as edit_of
from controller.rendering.normalise import normalise
from controller.rendering.paths import at
from controller.rendering.tree import Edit, Operation, OperationKind, Tree
from controller.southbound.driver import EventKind, TransactionState
from controller.southbound.netconf.driver import NetconfDriver, netconf_driver
from tests.southbound.conftest import RunningDomain
from tests.southbound.edits import adding, lit_link, removed, vpn_tree


def removing(edit: Edit) -> Edit:
    return edit_of(edit.domain, edit.after, {})


async def apply(driver: NetconfDriver, txn: str, edit: Edit) -> None:
    await driver.prepare(txn, edit)
    await driver.commit(txn, 10)
    assert await driver.read(edit.touched) == edit.after
    await driver.confirm(txn)


async def test_discovery_tells_nodes_links_borders_profiles_and_modules(ip: NetconfDriver) -> None:
    topology = await ip.discover()
    nodes = {node.id: node for node in topology.nodes}
    assert nodes["node:lg-buji"].te_node_id == "10.0.1.3"
    assert nodes["node:lg-buji"].asn == 65001
    links = {link.id: link for link in topology.links}
    link = links["link:lg-zhihui.ge-1..lg-nanwan.ge-1"]
    assert (link.capacity_bps, link.plane, link.srlgs) == (100 * 10**9, "A", frozenset({1001}))
    assert link.delay_s == pytest.approx(12_000 * 4.897e-9, abs=1e-6)
    borders = [link for link in topology.links if link.dst is None]
    plugs = {(port.node, port.id) for port in topology.ports if port.plug}
    assert {(link.src, link.src_port) for link in borders} == plugs
    assert (1001, "D1-shenhui-road") in topology.srlg_names
    assert {"border-primary", "border-secondary"} <= topology.routing_profiles
    assert {"vip", "slice-committed"} <= topology.qos_profiles
    assert {"ietf-l3vpn-ntw", "ietf-te", "onecity-binding"} <= topology.modules


async def test_a_service_is_brought_in_read_back_and_taken_away(ip: NetconfDriver, txn: str) -> None:
    edit = adding("city-ip", vpn_tree("gov.office", vlan=110))
    await apply(ip, txn, edit)
    assert await ip.outcome(txn, edit) is TransactionState.CONFIRMED
    assert await ip.read(()) == edit.after
    await apply(ip, f"{txn}-away", removing(edit))
    assert await ip.read(()) == {}


async def test_a_link_that_we_light_is_written_read_back_and_found_among_those_of_the_domain(
    ip: NetconfDriver, txn: str
) -> None:
    edit, plane = lit_link(), adding("city-ip", vpn_tree("gov.beside", vlan=113))
    before = await ip.discover()
    await apply(ip, txn, edit)
    await apply(ip, f"{txn}-beside", plane)
    assert await ip.outcome(txn, edit) is TransactionState.CONFIRMED
    everything = await ip.read(())
    assert {k: everything[k] for k in edit.after} == edit.after  # none of the domain's own links, nor its nodes
    assert {k: everything[k] for k in plane.after} == plane.after
    found = {link.id: link for link in (await ip.discover()).links}
    assert found.keys() - {link.id for link in before.links} == {path[-1][1] for path in edit.touched}
    link = found["link:lg-buji.otn-1..lg-zhihui.otn-1"]
    assert (link.capacity_bps, link.metric, link.srlgs) == (100 * 10**9, 16_777_214, frozenset({1001, 1002}))
    assert (link.dst, link.dst_port, link.delay_s) == ("node:lg-zhihui", "tp:otn-1", pytest.approx(98e-6))
    assert not link.up  # nobody has told of light under it
    await apply(ip, f"{txn}-plane", removing(plane))
    await apply(ip, f"{txn}-away", removed(edit))
    assert await ip.read(()) == {}
    assert await ip.discover() == before


async def test_a_link_of_ours_of_which_somebody_changed_a_metric_is_read_as_it_is_now(
    ip: NetconfDriver, txn: str
) -> None:
    edit = lit_link()
    await apply(ip, txn, edit)
    place = (*edit.touched[0], "tet:te", "tet:te-link-attributes")
    changed = Operation(OperationKind.REPLACE, (*place, "tet:te-default-metric"), "20")
    after = rewritten(edit.after, [changed])
    await apply(ip, f"{txn}-theirs", Edit("city-ip", (changed,), edit.touched, edit.after, after))
    assert await ip.read(()) == after
    await apply(ip, f"{txn}-away", removed(edit))


async def test_a_link_that_others_wrote_for_routers_to_choose_is_not_taken_for_ours(
    ip: NetconfDriver, txn: str
) -> None:
    edit = lit_link(metric="20")
    await apply(ip, txn, edit)
    assert await ip.read(()) == {}
    await apply(ip, f"{txn}-away", removed(edit))


async def test_a_link_is_refused_where_its_port_is_taken_and_the_domain_says_by_whom(
    ip: NetconfDriver, txn: str
) -> None:
    edit = lit_link()
    await apply(ip, txn, edit)
    with pytest.raises(DomainError, match=r"tp:otn-1 of node:lg-buji is used by link:lg-buji\.otn-1\.\.lg-zhihui"):
        await ip.prepare(f"{txn}-2", lit_link(z=("node:lg-nanwan", "tp:otn-1")))
    await ip.cancel(f"{txn}-2")
    await apply(ip, f"{txn}-away", removed(edit))


async def test_what_was_cancelled_after_the_commit_is_gone(ip: NetconfDriver, txn: str) -> None:
    edit = adding("city-ip", vpn_tree("gov.cancelled", vlan=111))
    await ip.prepare(txn, edit)
    await ip.commit(txn, 10)
    await ip.cancel(txn)
    await ip.cancel(txn)
    assert await ip.outcome(txn, edit) is TransactionState.ABSENT


async def test_what_nobody_confirms_rolls_back_by_itself(ip: NetconfDriver, txn: str) -> None:
    edit = adding("city-ip", vpn_tree("gov.forgotten", vlan=112))
    await ip.prepare(txn, edit)
    await ip.commit(txn, 1)
    events = ip.events()
    assert (await anext(events)).kind is EventKind.CONNECTED
    event = await asyncio.wait_for(anext(events), 20)
    assert event.kind is EventKind.CONFIG_CHANGED
    assert await ip.outcome(txn, edit) is TransactionState.ABSENT
    await ip.cancel(txn)


async def test_a_refusal_names_the_place_and_the_reason_and_holds_nothing(ip: NetconfDriver, txn: str) -> None:
    with pytest.raises(DomainError, match=r"interface-id: .*has no port 'tp:nope'") as caught:
        await ip.prepare(txn, adding("city-ip", vpn_tree("gov.nowhere", port="tp:nope")))
    assert "l3nm:interface-id" in caught.value.path
    assert str(caught.value).count(caught.value.path) == 1
    edit = adding("city-ip", vpn_tree("gov.after", vlan=113))
    await ip.prepare(txn, edit)
    await ip.cancel(txn)


async def test_a_replay_of_what_is_there_already_is_no_surprise(ip: NetconfDriver, txn: str) -> None:
    edit = adding("city-ip", vpn_tree("gov.again", vlan=114))
    await apply(ip, txn, edit)
    assert await ip.prepare(f"{txn}-c", edit, replay=True) == ()
    await ip.commit(f"{txn}-c", 10)
    await ip.confirm(f"{txn}-c")
    await apply(ip, f"{txn}-d", removing(edit))


async def test_what_is_there_or_gone_already_is_told_and_the_change_goes_on(ip: NetconfDriver, txn: str) -> None:
    edit = adding("city-ip", vpn_tree("gov.twice", vlan=121))
    await apply(ip, txn, edit)
    (told,) = await ip.prepare(f"{txn}-b", edit)
    assert told.endswith("[l3nm:vpn-id='gov.twice'] was already there")
    await ip.cancel(f"{txn}-b")
    assert await ip.read(edit.touched) == edit.after
    await apply(ip, f"{txn}-c", removing(edit))
    (told,) = await ip.prepare(f"{txn}-d", removing(edit))
    assert told.endswith("[l3nm:vpn-id='gov.twice'] was already gone")
    await ip.commit(f"{txn}-d", 10)
    await ip.confirm(f"{txn}-d")


async def test_what_somebody_else_made_of_a_place_is_not_overwritten(ip: NetconfDriver, txn: str) -> None:
    edit, other = (adding("city-ip", vpn_tree("gov.taken", vlan=vlan)) for vlan in (122, 123))
    await apply(ip, txn, other)
    with pytest.raises(DomainError, match=r"somebody else changed .*gov\.taken.* see `onecity diff`") as caught:
        await ip.prepare(f"{txn}-b", edit)
    assert caught.value.tag == "data-exists"
    await ip.cancel(f"{txn}-b")
    assert await ip.read(other.touched) == other.after
    await apply(ip, f"{txn}-c", removing(other))


async def test_nothing_is_put_into_an_entry_that_is_gone(ip: NetconfDriver, txn: str) -> None:
    whole = vpn_tree("gov.hollow", vlan=124)
    with pytest.raises(DomainError, match=r"gov\.hollow'\].* is gone; see `onecity diff`"):
        await ip.prepare(txn, edit_of("city-ip", whole, without(whole, "gov.hollow")))
    await ip.cancel(txn)
    assert not await ip.read(adding("city-ip", whole).touched)


async def test_a_replay_completes_what_is_half_there(ip: NetconfDriver, txn: str) -> None:
    whole = vpn_tree("gov.half", vlan=125)
    edit = adding("city-ip", whole)
    await apply(ip, txn, adding("city-ip", without(whole, "gov.half")))
    await ip.prepare(f"{txn}-b", edit, replay=True)
    await ip.commit(f"{txn}-b", 10)
    await ip.confirm(f"{txn}-b")
    assert await ip.read(edit.touched) == edit.after
    await apply(ip, f"{txn}-c", removing(edit))


def without(whole: Tree, vpn: str) -> Tree:
    """Return a plane without its access."""
    less = copy.deepcopy(whole)
    accesses = ("l3nm:vpn-nodes", ("l3nm:vpn-node", "node:lg-buji"), "l3nm:vpn-network-accesses")
    place = at(less, ("l3nm:l3vpn-ntw", "l3nm:vpn-services", ("l3nm:vpn-service", vpn), *accesses))
    assert isinstance(place, dict)
    place.clear()
    return normalise(less)


async def test_a_server_that_dies_after_the_commit_keeps_it_for_the_confirmation(
    ip_domain: RunningDomain, ip: NetconfDriver, txn: str
) -> None:
    edit = adding("city-ip", vpn_tree("gov.survivor", vlan=115))
    await ip.prepare(txn, edit)
    await ip.commit(txn, 30)
    ip_domain.process.kill()
    with pytest.raises(DomainUnreachableError):
        await ip.confirm(txn)
    ip_domain.process.restart()
    assert await ip.outcome(txn, edit) is TransactionState.COMMITTED
    await ip.confirm(txn)
    assert await ip.outcome(txn, edit) is TransactionState.CONFIRMED
    await apply(ip, f"{txn}-away", removing(edit))


async def test_a_server_that_dies_before_the_commit_has_forgotten_it(
    ip_domain: RunningDomain, ip: NetconfDriver, txn: str
) -> None:
    edit = adding("city-ip", vpn_tree("gov.lost", vlan=116))
    await ip.prepare(txn, edit)
    ip_domain.process.kill()
    with pytest.raises(DomainUnreachableError):
        await ip.commit(txn, 30)
    ip_domain.process.restart()
    assert await ip.outcome(txn, edit) is TransactionState.ABSENT
    await ip.cancel(txn)


async def test_a_hung_server_costs_one_deadline_and_its_commit_is_found_afterwards(
    ip_domain: RunningDomain, ip: NetconfDriver, txn: str
) -> None:
    edit = adding("city-ip", vpn_tree("gov.hung", vlan=117))
    await ip.prepare(txn, edit)
    ip_domain.process.pause()
    try:
        start = time.perf_counter()
        with pytest.raises(DomainUnreachableError, match="no answer to commit within 1 s"):
            await ip.commit(txn, 30)
        assert time.perf_counter() - start < 2
        with pytest.raises(DomainUnreachableError):
            await ip.outcome(txn, edit)
    finally:
        ip_domain.process.resume()
    state = await ip.outcome(txn, edit)
    assert state in (TransactionState.COMMITTED, TransactionState.ABSENT)
    await ip.cancel(txn)
    assert await ip.outcome(txn, edit) is TransactionState.ABSENT


async def test_a_session_that_stands_proves_that_the_server_does_not_hang(
    ip_domain: RunningDomain, ip: NetconfDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ip.connect()
    monkeypatch.setattr("controller.southbound.netconf.driver.PROVEN_S", 0.0)
    await ip.connect()
    ip_domain.process.pause()
    try:
        with pytest.raises(DomainUnreachableError, match="within 1 s"):
            await ip.connect()
    finally:
        ip_domain.process.resume()
    await ip.connect()


async def test_two_coordinators_take_turns(ip_domain: RunningDomain, ip: NetconfDriver, txn: str) -> None:
    other = netconf_driver(ip_domain.settings)
    edit = adding("city-ip", vpn_tree("gov.first", vlan=118))
    await ip.prepare(txn, edit)
    waiting = asyncio.create_task(other.prepare(f"{txn}-b", adding("city-ip", vpn_tree("gov.second", vlan=119))))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await ip.cancel(txn)
    await waiting
    await other.cancel(f"{txn}-b")
    await other.close()


@pytest.mark.alone
async def test_a_change_takes_milliseconds(ip: NetconfDriver, txn: str) -> None:
    taken_s = []
    edit = adding("city-ip", vpn_tree("gov.quick", vlan=120))
    for n in range(10):
        step = edit if n % 2 == 0 else removing(edit)
        start = time.perf_counter()
        await apply(ip, f"{txn}-{n}", step)
        taken_s.append(time.perf_counter() - start)
    assert statistics.median(taken_s) < 0.1
