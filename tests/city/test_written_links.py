"""IP links that a client writes into the domain's own network: which are taken, which refused, and what lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from city_ip import documents as doc
from city_ip.process import IpProcess, read
from ncclient.operations import RPCError

THERE, BACK = doc.link_name(doc.A, doc.Z), doc.link_name(doc.Z, doc.A)
OWN = "link:lg-zhihui.ge-1..lg-nanwan.ge-1"
WITHIN_S = 20.0


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpProcess]:
    process = IpProcess(tmp_path_factory.mktemp("city"))
    process.start()
    yield process
    process.kill()


@pytest.fixture
def session(domain: IpProcess) -> Iterator[Any]:
    """A session with the candidate locked; what it commits is taken away afterwards."""
    with domain.session() as connection:
        connection.lock("candidate")
        yield connection
        connection.discard_changes()
        edit(connection, *(doc.services(doc.removed(v)) for v in read(connection, "vpn-service/vpn-id")))
        for name in read(connection, "tunnel/name"):
            edit(connection, doc.tunnels(f'<tunnel nc:operation="delete"><name>{name}</name></tunnel>'))
        policies = '<nrp-policies xmlns="urn:ietf:params:xml:ns:yang:ietf-nrp" nc:operation="remove"/>'
        edit(connection, doc.networks(policies), doc.link_removed(*written(connection)))
        connection.commit()
        connection.unlock("candidate")


def edit(session: Any, *parts: str) -> None:
    session.edit_config(doc.config(*parts), target="candidate")


def links(session: Any, source: str = "running") -> set[str]:
    return set(read(session, "network/link/link-id", source))


def written(session: Any, source: str = "running") -> set[str]:
    return {name for name in links(session, source) if ".otn-" in name}


def refusals(session: Any, *parts: str) -> list[RPCError]:
    """The errors of validate after an edit; commit is refused alike, and running stays as it was."""
    before = links(session)
    edit(session, *parts)
    with pytest.raises(RPCError) as refused:
        session.validate("candidate")
    with pytest.raises(RPCError):
        session.commit()
    assert links(session) == before
    return list(refused.value.errlist or [refused.value])


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_link_between_two_free_ports_stands_beside_those_of_the_device(session: Any) -> None:
    before = links(session)
    edit(session, doc.link_both_ways())
    session.validate("candidate")
    session.commit()
    assert links(session) - before == {THERE, BACK}
    assert len(before) == 18
    edit(session, doc.link_removed(THERE, BACK))
    session.commit()
    assert links(session) == before


def _end(port: str, node: str = "node:lg-buji") -> tuple[str, str]:
    return node, port


@pytest.mark.parametrize(
    ("entries", "tag", "app_tag", "path", "says"),
    [
        ([doc.link()], "data-missing", "instance-required", f"nt:link[nt:link-id='{THERE}']", "other direction"),
        (
            [doc.link(_end("tp:otn-1", "node:lg-pingdi")), doc.link(doc.Z, _end("tp:otn-1", "node:lg-pingdi"))],
            "data-missing",
            "instance-required",
            "nt:source-node",
            "names nothing",
        ),
        (
            [doc.link(_end("tp:acc-1")), doc.link(doc.Z, _end("tp:acc-1"))],
            "invalid-value",
            None,
            "nt:source-tp",
            "not cabled to the optical network",
        ),
        (
            [doc.link(_end("tp:acc-2")), doc.link(doc.Z, _end("tp:acc-2"))],
            "invalid-value",
            None,
            "nt:source-tp",
            "node:lg-buji has no port 'tp:acc-2'",
        ),
        (
            [doc.link(_end("tp:ge-1")), doc.link(doc.Z, _end("tp:ge-1"))],
            "in-use",
            None,
            "nt:source-tp",
            "used by link:lg-buji.ge-1..lg-nanwan.ge-2",
        ),
        (
            [doc.link(rate="0x1.d1a94ap+33"), doc.link(doc.Z, doc.A, rate="0x1.d1a94ap+33")],
            "invalid-value",
            None,
            "max-link-bandwidth/tet:te-bandwidth/tet:generic",
            "more than the 100000000000 bit/s of its ports",
        ),
        (
            [doc.link(), doc.link(doc.Z, doc.A, rate=doc.GBPS_10)],
            "invalid-value",
            None,
            "max-link-bandwidth/tet:te-bandwidth/tet:generic",
            "both directions run at one rate",
        ),
        (
            [doc.link(rate=""), doc.link(doc.Z, doc.A, rate="")],
            "data-missing",
            "missing-element",
            "max-link-bandwidth/tet:te-bandwidth/tet:generic",
            "needs its rate",
        ),
        (
            [doc.link(rate=doc.GBPS_10, reservable=doc.GBPS_100), doc.link(doc.Z, doc.A, rate=doc.GBPS_10)],
            "invalid-value",
            None,
            "max-resv-link-bandwidth/tet:te-bandwidth/tet:generic",
            "can be reserved on a link of 10000000000 bit/s",
        ),
        (
            [doc.link(name="link:mine"), doc.link(doc.Z, doc.A)],
            "invalid-value",
            None,
            "nt:link-id",
            f"is called {THERE} here",
        ),
        (
            [doc.link(doc.A, _end("tp:otn-2")), doc.link(_end("tp:otn-2"), doc.A)],
            "invalid-value",
            None,
            "nt:dest-node",
            "not one with itself",
        ),
    ],
    ids=[
        "one direction only", "foreign node", "no lock", "no such port", "port of an own link", "rate above the port's",
        "two rates", "no rate", "more reservable than there is", "another name", "a loop",
    ],
)  # fmt: skip
def test_what_the_ports_cannot_carry_is_refused(
    session: Any, entries: list[str], tag: str, app_tag: str | None, path: str, says: str
) -> None:
    refused = refusals(session, doc.own_network(*entries))
    first = refused[0]
    assert (first.type, first.tag, first.app_tag) == ("application", tag, app_tag)
    assert first.path.endswith(path)
    assert any(says in e.message for e in refused)


def test_a_half_link_is_refused(session: Any) -> None:
    half = doc.link().partition("<destination>")[0] + doc.link().partition("</destination>")[2]
    first = refusals(session, doc.own_network(half))[0]
    assert (first.tag, first.app_tag) == ("data-missing", "missing-element")
    assert "both its ends" in first.message


def test_a_port_carries_one_written_link(session: Any) -> None:
    edit(session, doc.link_both_ways())
    session.commit()
    refused = refusals(session, doc.link_both_ways(doc.A, ("node:lg-nanwan", "tp:otn-1")))
    assert {e.tag for e in refused} == {"in-use"}
    assert any("tp:otn-1 of node:lg-buji is used by" in e.message for e in refused)


def test_one_direction_of_a_standing_link_cannot_go_alone(session: Any) -> None:
    edit(session, doc.link_both_ways())
    session.commit()
    first = refusals(session, doc.link_removed(THERE))[0]
    assert first.path.endswith(f"nt:link[nt:link-id='{BACK}']")
    assert f"the other direction, {THERE}, is not there" in first.message


def test_an_access_and_a_link_keep_off_each_others_ports(session: Any) -> None:
    access = doc.service("gov.a", [doc.node("node:lg-buji", [doc.access("x", "tp:otn-1", 100)])])
    edit(session, doc.services(access))
    session.commit()
    first = refusals(session, doc.link_both_ways())[0]
    assert first.tag == "in-use"
    assert "tp:otn-1 of node:lg-buji is in use by x" in first.message
    session.discard_changes()
    edit(session, doc.services(doc.removed("gov.a")), doc.link_both_ways())  # freed and taken in one change
    session.commit()
    first = refusals(session, doc.services(access))[0]
    assert (first.tag, first.path.rpartition("/")[2]) == ("in-use", "l3nm:interface-id")
    assert f"tp:otn-1 of node:lg-buji is used by {THERE}" in first.message


@pytest.mark.parametrize("operation", ["merge", "replace", "create", "delete", "remove"])
def test_the_devices_own_links_cannot_be_written(session: Any, operation: str) -> None:
    entry = doc.link(("node:lg-zhihui", "tp:ge-1"), ("node:lg-nanwan", "tp:ge-1"), operation=operation)
    with pytest.raises(RPCError) as refused:
        edit(session, doc.own_network(entry))
    assert refused.value.tag == "access-denied"
    assert refused.value.path.endswith(f"nt:link[nt:link-id='{OWN}']")


@pytest.mark.parametrize("operation", ["replace", "create", "delete", "remove"])
def test_the_network_around_them_cannot_be_replaced_or_removed(session: Any, operation: str) -> None:
    part = doc.link_both_ways().replace("<network>", f'<network nc:operation="{operation}">')
    with pytest.raises(RPCError) as refused:
        edit(session, part)
    assert refused.value.tag == "access-denied"


def test_a_pinned_tunnel_may_use_a_link_of_the_same_change_and_holds_it(session: Any) -> None:
    tunnel = doc.tunnel("slice/gov.a/zhihui-buji", [doc.Z])
    partition = doc.networks(doc.partition("slice/gov.a", 4001, BACK))
    edit(session, doc.tunnels(tunnel), doc.link_both_ways())
    session.commit()
    first = refusals(session, doc.link_removed(THERE, BACK))[0]
    assert (first.tag, first.app_tag) == ("data-missing", "instance-required")
    assert first.path.endswith("te:tunnel[te:name='slice/gov.a/zhihui-buji']")
    assert f"{BACK} is still in use" in first.message
    session.discard_changes()
    gone = doc.tunnels('<tunnel nc:operation="delete"><name>slice/gov.a/zhihui-buji</name></tunnel>')
    edit(session, gone, partition)
    session.commit()
    first = refusals(session, doc.link_removed(THERE, BACK))[0]  # now it is the partition that names it
    assert first.path.endswith("nrp:link-ref")
    session.discard_changes()


def test_a_tunnel_does_not_follow_its_port_to_another_node(session: Any) -> None:
    edit(session, doc.tunnels(doc.tunnel("t", [doc.Z])), doc.link_both_ways())
    session.commit()
    elsewhere = doc.link_both_ways(("node:lg-nanwan", "tp:otn-1"), doc.Z)
    refused = refusals(session, doc.link_removed(THERE, BACK), elsewhere)
    assert any(f"{BACK} is still in use" in e.message for e in refused)


def test_a_route_over_a_link_that_nobody_wrote_is_refused(session: Any) -> None:
    first = refusals(session, doc.tunnels(doc.tunnel("t", [doc.Z])))[0]
    assert "'tp:otn-1' of node:lg-zhihui leads to no node" in first.message


def test_a_confirmed_commit_takes_links_back_both_ways(domain: IpProcess) -> None:
    with domain.session() as session:
        edit(session, doc.link_both_ways())
        session.commit(confirmed=True, timeout="60", persist="t1")
        assert written(session) == {THERE, BACK}
        session.cancel_commit("t1")
        assert written(session) == set()
        edit(session, doc.link_both_ways())
        session.commit(confirmed=True, timeout="1")
        eventually(lambda: not written(session))  # nobody confirmed
        session.discard_changes()
        edit(session, doc.link_both_ways())
        session.commit()
        edit(session, doc.link_removed(THERE, BACK))
        session.commit(confirmed=True, timeout="60", persist="t2")
        assert written(session) == set()
        session.cancel_commit("t2")
        assert written(session) == {THERE, BACK}
        session.discard_changes()
        edit(session, doc.link_removed(THERE, BACK))
        session.commit()


def test_links_outlast_the_process_and_an_open_confirmed_commit_goes_on(tmp_path: Path) -> None:
    process = IpProcess(tmp_path)
    process.start()
    with process.session() as session:
        edit(session, doc.link_both_ways())
        session.commit()
        edit(session, doc.link_removed(THERE, BACK), doc.link_both_ways(("node:lg-nanwan", "tp:otn-2"), doc.Z))
        session.commit(confirmed=True, timeout="600", persist="t1")
        process.kill()
    process.start()
    with process.session() as session:
        assert len(links(session)) == 20
        assert THERE not in links(session)
        state = session.get(filter=("subtree", doc.own_network())).data
        assert {e.text for e in state.iter("{*}oper-status")} == {"up"}  # until the plant says otherwise
        session.cancel_commit("t1")
        assert written(session) == {THERE, BACK}
        refused = refusals(session, doc.link_both_ways(doc.A, ("node:lg-nanwan", "tp:otn-1")))
        assert refused[0].tag == "in-use"
    process.kill()
    process.start()
    with process.session() as session:
        assert written(session) == {THERE, BACK}
        edit(session, doc.tunnels(doc.tunnel("t", [doc.Z])))
        session.commit()
    process.kill()
    process.start()
    with process.session() as session:
        assert "still in use" in refusals(session, doc.link_removed(THERE, BACK))[0].message
    process.kill()


def test_routers_that_are_cabled_once_and_for_all_take_none(tmp_path: Path) -> None:
    process = IpProcess(tmp_path, "--devices", str(tmp_path / "nobody.sock"))
    process.start()
    with process.session() as session:
        with pytest.raises(RPCError) as refused:
            edit(session, doc.link_both_ways())
        assert refused.value.tag == "access-denied"
    process.kill()
