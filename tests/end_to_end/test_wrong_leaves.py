"""One wrong leaf on a domain, put there past every check of ours: the traffic must really go wrong, and we must see it.

This is what makes the modelled city evidence: it behaves as it is configured, not as we meant it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lxml import etree
from ncclient import manager

from tests.end_to_end.intents import office, partition, slice_over_three
from tests.support.stage import COMMITTED, Stage, eventually

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
OURS = [
    '<l3vpn-ntw xmlns="urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw"><vpn-services/></l3vpn-ntw>',
    '<te xmlns="urn:ietf:params:xml:ns:yang:ietf-te"><tunnels/></te>',
]


@contextmanager
def tampered(longgang: Stage, domain: str, xpath: str, change: Callable[[str], str]) -> Iterator[None]:
    """Somebody who does not ask us changes the text of every leaf at `xpath` (local names), and puts it back later."""
    with longgang.session(domain) as session:
        before = session.get_config("running", filter=OURS).data_ele
        wrong = etree.fromstring(etree.tostring(before))
        leaves = wrong.xpath("//" + "/".join(f"*[local-name()='{s}']" for s in xpath.split("/")))
        leaves = [leaf for leaf in leaves if change(leaf.text) != leaf.text]
        assert leaves, f"{xpath} is not configured on {domain}"
        for leaf in leaves:
            leaf.text = change(leaf.text)
        _put(session, wrong)
        try:
            yield
        finally:
            _put(session, before)


def _put(session: manager.Manager, data: Any) -> None:
    config = etree.fromstring(etree.tostring(data))
    config.tag = f"{{{BASE}}}config"  # renamed, not rebuilt: prefixes in values hang on its declarations
    for entry in config.xpath("//*[local-name()='vpn-service' or local-name()='tunnel'][.//*]"):
        entry.set(f"{{{BASE}}}operation", "replace")
    try:
        session.edit_config(config, target="candidate")
        session.commit()
    finally:
        session.discard_changes()


def arrives(longgang: Stage, vpn: str, access: str, dst: str) -> bool:
    command = {"type": "trace", "vpn": vpn, "domain": "city-ip", "access": f"{vpn}.{access}", "dst": dst}
    answer: dict[str, Any] = longgang.city.plant(command)
    assert answer["ok"], answer
    return bool(answer["delivered"])


def test_a_wrong_vlan_on_both_borders_cuts_the_plane_in_two(longgang: Stage) -> None:
    assert longgang.client.apply(office())[1].outcome == COMMITTED
    eventually(lambda: arrives(longgang, "gov.office", "buji", "10.10.2.9"))
    shifted = {"2001": "2901", "2002": "2902"}
    with tampered(longgang, "city-ip", "dot1q/cvlan-id", lambda vlan: shifted.get(vlan, vlan)):
        eventually(lambda: not arrives(longgang, "gov.office", "buji", "10.10.2.9"))
        assert any("cvlan-id" in path for path in longgang.client.differences()["city-ip"])
    eventually(lambda: arrives(longgang, "gov.office", "buji", "10.10.2.9"))


def test_a_swapped_route_target_leaks_one_plane_into_another(longgang: Stage) -> None:
    audit = office("audit", tenant="audit").replace("10.10.", "10.20.")
    assert longgang.client.apply(office(), audit)[1].outcome == COMMITTED
    eventually(lambda: arrives(longgang, "gov.office", "buji", "10.10.0.9"))
    assert not arrives(longgang, "gov.office", "buji", "10.20.0.9")
    targets = sorted({f"0:65001:{n}" for n in (1001, 1002)})
    with tampered(longgang, "city-ip", "route-targets/route-target", lambda rt: targets[0] if rt in targets else rt):
        eventually(lambda: arrives(longgang, "gov.office", "buji", "10.20.0.9"))
        assert any("route-target" in path for path in longgang.client.differences()["city-ip"])
    eventually(lambda: not arrives(longgang, "gov.office", "buji", "10.20.0.9"))


def test_traffic_steered_into_the_tunnel_of_the_other_direction_is_lost(longgang: Stage) -> None:
    assert longgang.client.apply(partition())[1].outcome == COMMITTED
    eventually(lambda: arrives(longgang, "lands.partition", "buji", "10.60.2.9"))
    with tampered(longgang, "city-ip", "steering/tunnel", _turned_around):
        eventually(lambda: not arrives(longgang, "lands.partition", "buji", "10.60.2.9"))
    eventually(lambda: arrives(longgang, "lands.partition", "buji", "10.60.2.9"))


def _turned_around(tunnel: str) -> str:
    """slice/x/lg-buji-lg-zhihui → slice/x/lg-zhihui-lg-buji."""
    head, _, ends = tunnel.rpartition("/")
    near, _, far = ends.removeprefix("lg-").partition("-lg-")
    return f"{head}/lg-{far}-lg-{near}"


def test_a_wrong_vlan_towards_the_optical_base_misses_the_circuit(longgang: Stage) -> None:
    assert longgang.client.apply(slice_over_three())[1].outcome == COMMITTED
    eventually(lambda: arrives(longgang, "lands.survey", "buji", "10.40.2.9"))
    with tampered(longgang, "city-ip", "dot1q/cvlan-id", lambda vlan: str(int(vlan) + 7)):
        eventually(lambda: not arrives(longgang, "lands.survey", "buji", "10.40.2.9"))
    eventually(lambda: arrives(longgang, "lands.survey", "buji", "10.40.2.9"))
