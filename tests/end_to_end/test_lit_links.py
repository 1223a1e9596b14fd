"""An IP link that was not there is lit for a slice that finds no room, shared by others, and gone with the last."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import topology_pb2

from tests.end_to_end.intents import in_window
from tests.support.stage import COMMITTED, Stage, eventually

LINK, BACK = "link:lg-buji.otn-1..lg-nanwan.otn-1", "link:lg-nanwan.otn-1..lg-buji.otn-1"
LIGHT = "link/lg-buji.otn-1..lg-nanwan.otn-1"
DARK = 2  # channels of f-nanwan-buji that are taken while nothing is lit: the city's own


def _slice(name: str, number: int, rate: str, a: str, z: str, latency: str = "0.25ms") -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: lit}}
spec:
  bandwidth: {rate}
  isolation: nrp
  protection: none
  slo: {{latency: {latency}, availability: 90%}}
  endpoints:
    - {{site: {a}, lan: 10.5{number}.1.0/24}}
    - {{site: {z}, lan: 10.5{number}.2.0/24}}
"""


FULL = _slice("full", 0, "90Gbps", "nanwan", "jihua")  # takes most of the link nanwan–buji
FIRST = _slice("first", 1, "80Gbps", "zhihui", "buji")
SECOND = _slice("second", 2, "18Gbps", "zhihui", "buji")  # more than the old link has left


def _links(stage: Stage) -> dict[str, topology_pb2.Link]:
    topology = stage.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology
    return {k.id: k for k in topology.links}


def _arrives(stage: Stage, name: str, number: int, a: str = "zhihui", domain: str = "city-ip") -> list[str]:
    """Return where a packet of a slice goes; empty where it does not arrive."""
    packet = {"type": "trace", "vpn": f"lit.{name}", "domain": domain, "access": f"lit.{name}.{a}"}
    found = stage.city.plant({**packet, "dst": f"10.5{number}.2.9"})
    return [str(hop) for hop in found.get("links", found.get("hops", ["?"]))] if found.get("delivered") else []


def _configured(stage: Stage) -> bool:
    """Whether the IP domain itself holds the link, in both directions or in none."""
    with stage.session("city-ip") as session:
        text = session.get_config("running").data_xml
    assert (LINK in text) == (BACK in text)
    return LINK in text


def _channels(stage: Stage) -> int:
    return _links(stage)["f-nanwan-buji"].channels_taken


@pytest.fixture(autouse=True)
def _dark(longgang: Stage) -> None:
    """What was read while a link of the test before went dark is read again: until then its ports seem taken."""
    eventually(lambda: _channels(longgang) == DARK)


def test_a_link_is_lit_shared_and_gone_with_the_last(longgang: Stage) -> None:
    apply = longgang.client.apply
    assert apply(FULL)[1].outcome == COMMITTED
    plan = longgang.client.plan(FIRST)
    said = [n for s in plan.services for n in s.notes if "lights IP link lg-buji–lg-nanwan" in n]
    assert len(said) == 1
    assert "100 Gbit/s over f-nanwan-buji (price 31)" in said[0]
    assert LINK not in _links(longgang)

    _, result = apply(FIRST)
    assert result.outcome == COMMITTED, result.message
    assert _configured(longgang)
    eventually(lambda: _arrives(longgang, "first", 1))
    assert not any(longgang.client.differences().values())

    _, result = apply(SECOND)
    assert result.outcome == COMMITTED, result.message
    eventually(lambda: _arrives(longgang, "second", 2))
    assert _links(longgang)[LINK].reserved_bps == 98 * 10**9
    rides = [n for n in longgang.client.describe("lit/second").notes if LIGHT in n or "lg-buji–lg-nanwan" in n]
    assert rides

    eventually(lambda: _channels(longgang) == DARK + 1)
    assert longgang.client.delete("lit/first")[1].outcome == COMMITTED
    assert _configured(longgang)
    assert _arrives(longgang, "second", 2)
    assert longgang.client.delete("lit/second")[1].outcome == COMMITTED
    assert not _configured(longgang)
    assert LINK not in _links(longgang)
    eventually(lambda: _channels(longgang) == DARK)
    assert not any(longgang.client.differences().values())


@pytest.mark.parametrize(
    ("point", "stands"), [("prepared:1", False), ("committed:2", False), ("decided:1", True), ("confirmed:1", True)]
)
def test_killed_while_a_link_is_lit_it_is_there_with_its_service_or_not_at_all(
    longgang: Stage, point: str, stands: bool
) -> None:
    assert longgang.client.apply(FULL)[1].outcome == COMMITTED
    longgang.kill_daemon()
    longgang.start_daemon(ONECITY_DIE_AT=point)
    eventually(lambda: not longgang.down())
    with contextlib.suppress(grpc.RpcError):
        longgang.client.begin(FIRST)
    longgang.daemon.wait(60)
    longgang.start_daemon()
    eventually(lambda: not any(longgang.client.differences().values()))
    assert ("lit/first" in longgang.client.services()) is stands
    assert _configured(longgang) is stands
    assert (LINK in _links(longgang)) is stands
    eventually(lambda: _channels(longgang) == DARK + stands)
    if stands:
        eventually(lambda: _arrives(longgang, "first", 1))
        assert longgang.client.apply(SECOND)[1].outcome == COMMITTED
        assert longgang.client.delete("lit/first")[1].outcome == COMMITTED
        assert _configured(longgang)


def test_two_that_come_at_once_share_one_link(longgang: Stage) -> None:
    assert longgang.client.apply(FULL)[1].outcome == COMMITTED
    changes = [longgang.client.begin(text) for text in (FIRST, SECOND)]
    assert [longgang.client.ended(change)[1].outcome for change in changes] == [COMMITTED, COMMITTED]
    eventually(lambda: _arrives(longgang, "first", 1))
    eventually(lambda: _arrives(longgang, "second", 2))
    assert list(_links(longgang)[LINK].lit_for) == ["lit/first", "lit/second"]
    assert not any(longgang.client.differences().values())
    changes = [str(longgang.client.stub.Delete(pb.DeleteRequest(services=[f"lit/{n}"], reason="test")).change_id)
               for n in ("first", "second")]  # fmt: skip
    assert [longgang.client.ended(change)[1].outcome for change in changes] == [COMMITTED, COMMITTED]
    assert not _configured(longgang)


def test_a_cut_under_it_moves_its_services_and_takes_it_away(longgang: Stage) -> None:
    assert longgang.client.apply(FULL)[1].outcome == COMMITTED
    wide = [text.replace("0.25ms", "9ms") for text in (FIRST, SECOND)]
    for text in (FIRST, SECOND):
        assert longgang.client.apply(text)[1].outcome == COMMITTED
    for text in wide:  # they may go the other way round from now on
        assert longgang.client.apply(text)[1].outcome == COMMITTED
    assert _configured(longgang)
    longgang.city.plant({"type": "cut", "fibre": "f-nanwan-buji"})
    try:
        eventually(lambda: _arrives(longgang, "first", 1) and _arrives(longgang, "second", 2))
        eventually(lambda: not _configured(longgang))
        eventually(lambda: LINK not in _links(longgang))
    finally:
        longgang.mend()
    eventually(lambda: not any(longgang.client.differences().values()))


def _gone(tag: str, name: str, key: str = "name", space: str = "") -> str:
    """An entry of a list to be deleted."""
    where = f' xmlns="urn:ietf:params:xml:ns:yang:{space}"' if space else ""
    return f'<{tag}{where} nc:operation="delete"><{key}>{name}</{key}></{tag}>'


def test_a_domain_that_lost_it_differs_and_is_given_it_again(longgang: Stage) -> None:
    assert longgang.client.apply(FULL)[1].outcome == COMMITTED
    assert longgang.client.apply(FIRST)[1].outcome == COMMITTED
    tunnels = "".join(_gone("tunnel", f"slice/lit.first/{n}") for n in ("lg-buji-lg-zhihui", "lg-zhihui-lg-buji"))
    links = "".join(_gone("link", name, "link-id", "ietf-network-topology") for name in (LINK, BACK))
    yang = "urn:ietf:params:xml:ns:yang"
    config = (
        '<nc:config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">'
        f'<networks xmlns="{yang}:ietf-network"><network><network-id>net:city-ip</network-id>{links}</network>'
        f"{_gone('network', 'vpn:lit.first', 'network-id')}"
        f'<nrp-policies xmlns="{yang}:ietf-nrp">{_gone("nrp-policy", "slice/lit.first")}</nrp-policies></networks>'
        f'<l3vpn-ntw xmlns="{yang}:ietf-l3vpn-ntw"><vpn-services>{_gone("vpn-service", "lit.first", "vpn-id")}'
        "</vpn-services></l3vpn-ntw>"
        f'<te xmlns="{yang}:ietf-te"><tunnels>{tunnels}</tunnels></te></nc:config>'
    )
    with longgang.session("city-ip") as session:
        session.edit_config(config, target="candidate")
        session.commit()
    missing = [path for path in longgang.client.differences()["city-ip"] if "nt:link" in path]
    assert len(missing) == 2
    eventually(lambda: "nt:link" in longgang.command("drift", "city-ip").stdout)
    found = longgang.command("drift", "revert", "city-ip", "--service", "lit/first", "--yes")
    assert found.returncode == 0, found.stderr
    eventually(lambda: _arrives(longgang, "first", 1))
    assert not any(longgang.client.differences().values())


def test_people_see_what_is_lit_for_whom_and_why(longgang: Stage) -> None:
    assert longgang.client.apply(FULL)[1].outcome == COMMITTED
    assert longgang.client.apply(FIRST)[1].outcome == COMMITTED
    links = longgang.command("topology", "links").stdout
    (line,) = [text for text in links.splitlines() if text.startswith(LINK)]
    assert line.endswith("lit/first")
    described = longgang.command("describe", "lit/first").stdout
    assert "lights IP link lg-buji–lg-nanwan" in described
    assert "otn-buji → f-nanwan-buji → otn-nanwan" in described
    assert (
        "lg-buji–lg-nanwan: 100 Gbit/s over f-nanwan-buji (price 31)" in longgang.command("explain", "lit/first").stdout
    )
    left = longgang.command("simulate", "--fail", "fibre:f-nanwan-buji").stdout
    assert "lit/first" in left


def test_in_a_window_it_is_lit_when_that_opens_and_gone_when_it_closes(longgang: Stage) -> None:
    assert longgang.client.apply(FULL)[1].outcome == COMMITTED
    now = datetime.now(UTC)
    later, far = now + timedelta(seconds=1800), now + timedelta(seconds=3600)
    assert longgang.client.apply(in_window(FIRST, later, far))[1].outcome == COMMITTED
    assert not _configured(longgang)
    assert longgang.client.apply(SECOND)[1].outcome == COMMITTED  # for good: it shares what is only reserved so far
    assert list(_links(longgang)[LINK].lit_for) == ["lit/first", "lit/second"]
    assert _configured(longgang)
    assert longgang.client.delete("lit/second")[1].outcome == COMMITTED
    assert not _configured(longgang)
    eventually(lambda: _channels(longgang) == DARK)  # what was read before the end of a transaction is read again

    soon = datetime.now(UTC) + timedelta(seconds=1)
    _, result = longgang.client.apply(in_window(FIRST, soon, far))
    assert result.outcome == COMMITTED, result.message
    eventually(lambda: _configured(longgang) and _arrives(longgang, "first", 1))
    assert not any(longgang.client.differences().values())
    for ahead_s in (3, 20, 60):  # a moment that is gone before it is heard of is refused
        end = datetime.now(UTC) + timedelta(seconds=ahead_s)
        if longgang.client.apply(in_window(FIRST, soon, end))[1].outcome == COMMITTED:
            break
    eventually(lambda: not _configured(longgang), 90.0)
    eventually(lambda: LINK not in _links(longgang))
    assert not any(longgang.client.differences().values())


CARDS = ("infra/lg-longgang.ge-1-lg-baolong.ge-1", "infra/lg-baolong.ge-2-lg-pingdi.ge-1")  # all that lead to baolong


def _lit_for(stage: Stage, service: str) -> set[str]:
    return {name for name, link in _links(stage).items() if service in link.lit_for}


def test_a_router_whose_links_have_all_failed_is_joined_by_light_first_by_the_repair(longgang: Stage) -> None:
    lit = {"link:lg-baolong.otn-1..lg-longgang.otn-1", "link:lg-longgang.otn-1..lg-baolong.otn-1"}
    old = _slice("old", 3, "1Gbps", "longgang", "baolong", "20ms")
    assert longgang.client.apply(old)[1].outcome == COMMITTED
    try:
        for card in CARDS:
            longgang.city.plant({"type": "fail", "circuit": card})
            eventually(longgang.down)
            eventually(lambda: _arrives(longgang, "old", 3, "longgang", "district-ip"))
        eventually(lambda: _lit_for(longgang, "lit/old") == lit)
        notes = longgang.client.describe("lit/old").notes
        assert any("IP link lg-baolong–lg-longgang: 100 Gbit/s over f-longgang-baolong" in note for note in notes)
        new = _slice("new", 4, "1Gbps", "longgang", "baolong", "20ms")
        # What was read of the optical domain while the repair lit it is read again: until then its light seems taken.
        eventually(lambda: longgang.client.apply(new)[1].outcome == COMMITTED)
        eventually(lambda: _arrives(longgang, "new", 4, "longgang", "district-ip"))
        assert _lit_for(longgang, "lit/new") == lit
    finally:
        longgang.mend()
    assert longgang.client.delete("lit/old", "lit/new")[1].outcome == COMMITTED
    eventually(lambda: lit.isdisjoint(_links(longgang)))
    assert not any(longgang.client.differences().values())
