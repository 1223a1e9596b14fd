"""What a domain reads back compares equal to what was sent, however the domain writes it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.rendering.bandwidth import bandwidth_bps, bandwidth_text
from controller.rendering.diff import diff
from controller.rendering.normalise import normalise
from controller.rendering.schema import Schema
from controller.rendering.tree import Leaf, Tree
from controller.rendering.xml import from_xml
from tests.rendering.test_kinds import KINDS, fragments

READ_BACK = b"""<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
<x:l3vpn-ntw xmlns:x="urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw" xmlns:v="urn:ietf:params:xml:ns:yang:ietf-vpn-common">
 <x:vpn-services><x:vpn-service><x:vpn-id>v</x:vpn-id><x:vpn-type>v:l3vpn</x:vpn-type>
  <x:vpn-service-topology>v:any-to-any</x:vpn-service-topology>
  <x:status><x:admin-status><x:status>v:admin-up</x:status><x:last-change>2026-11-21T00:00:00Z</x:last-change>
   </x:admin-status><x:oper-status><x:status>v:op-up</x:status></x:oper-status></x:status>
  <x:vpn-nodes><x:vpn-node><x:vpn-node-id>n</x:vpn-node-id>
   <x:vpn-network-accesses><x:vpn-network-access><x:id>a</x:id>
    <x:vpn-network-access-type>v:point-to-point</x:vpn-network-access-type>
    <x:routing-protocols><x:routing-protocol><x:id>s</x:id><x:type>v:static-routing</x:type><x:static>
     <x:cascaded-lan-prefixes><x:ipv4-lan-prefixes><x:lan>10.31.1.77/24</x:lan><x:next-hop>172.16.0.2</x:next-hop>
     </x:ipv4-lan-prefixes></x:cascaded-lan-prefixes></x:static></x:routing-protocol></x:routing-protocols>
    <x:service><x:mtu>0x5dc</x:mtu><x:qos><x:qos-action><x:rule><x:id>c</x:id>
     <x:inbound-rate-limit>20.00000</x:inbound-rate-limit></x:rule></x:qos-action>
     <x:qos-classification-policy/></x:qos></x:service>
   </x:vpn-network-access></x:vpn-network-accesses></x:vpn-node></x:vpn-nodes>
  <unknown xmlns="urn:else">1</unknown></x:vpn-service></x:vpn-services></x:l3vpn-ntw>
<te xmlns="urn:ietf:params:xml:ns:yang:ietf-te"><tunnels><tunnel><name>t</name><identifier>7</identifier>
 <description>None</description><te-bandwidth><generic>0X1.74876EP+33</generic></te-bandwidth>
 <signaling-type xmlns:tt="urn:ietf:params:xml:ns:yang:ietf-te-types">tt:path-setup-rsvp</signaling-type>
 </tunnel></tunnels></te></data>"""


def test_defaults_state_server_leaves_and_other_spellings_vanish() -> None:
    access: Tree = {
        "l3nm:id": "a",
        "l3nm:routing-protocols": {
            ("l3nm:routing-protocol", "s"): {
                "l3nm:id": "s",
                "l3nm:type": "ietf-vpn-common:static-routing",
                "l3nm:static": {
                    "l3nm:cascaded-lan-prefixes": {
                        ("l3nm:ipv4-lan-prefixes", "10.31.1.0/24", "172.16.0.2"): {
                            "l3nm:lan": "10.31.1.0/24",
                            "l3nm:next-hop": "172.16.0.2",
                        }
                    }
                },
            }
        },
        "l3nm:service": {
            "l3nm:mtu": "1500",
            "l3nm:qos": {"l3nm:qos-action": {("l3nm:rule", "c"): {"l3nm:id": "c", "l3nm:inbound-rate-limit": "20.0"}}},
        },
    }
    node: Tree = {
        "l3nm:vpn-node-id": "n",
        "l3nm:vpn-network-accesses": {("l3nm:vpn-network-access", "a"): access},
    }
    vpn: Tree = {
        "l3nm:vpn-id": "v",
        "l3nm:vpn-type": "ietf-vpn-common:l3vpn",
        "l3nm:status": {"l3nm:admin-status": {"l3nm:status": "ietf-vpn-common:admin-up"}},
        "l3nm:vpn-nodes": {("l3nm:vpn-node", "n"): node},
    }
    assert normalise(from_xml(READ_BACK)) == {
        "l3nm:l3vpn-ntw": {"l3nm:vpn-services": {("l3nm:vpn-service", "v"): vpn}},
        "te:te": {
            "te:tunnels": {("te:tunnel", "t"): {"te:name": "t", "te:te-bandwidth": {"te:generic": "0x1.74876ep+33"}}}
        },
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_domain_that_reports_every_default_shows_no_drift(kind: str) -> None:
    for tree in fragments(kind)[1].values():
        assert diff(normalise(_with_defaults(tree)), tree) == ()


@settings(max_examples=50, deadline=None)
@example(197_558_968_321)  # one float32 beside a round rate
@given(st.integers(min_value=0, max_value=10**12))
def test_bandwidth_text_is_stable_and_exact_to_a_float32(rate_bps: int) -> None:
    text = bandwidth_text(rate_bps)
    assert bandwidth_text(bandwidth_bps(text)) == text
    assert abs(bandwidth_bps(text) - rate_bps) <= rate_bps / 2**23 + 8


@pytest.mark.parametrize("gigabits", [1, 10, 20, 25, 40, 100, 200, 400, 800])
def test_whole_gigabits_read_back_whole(gigabits: int) -> None:
    assert bandwidth_bps(bandwidth_text(gigabits * 10**9)) == gigabits * 10**9
    assert bandwidth_text(10 * 10**9) == "0x1.2a05f2p+30"


def test_every_identity_and_leafref_of_the_table_resolves() -> None:
    schema = Schema.load()
    for node in schema.nodes():
        base = node.type.get("identity-base")
        assert base is None or base in schema.identities, node.path
        if node.kind == "list":
            assert all(key in node.children for key in node.keys), node.path


def _with_defaults(tree: Tree) -> Tree:
    """Return the tree as a server with `report-all` shows it: every default, and its own leaves."""
    schema = Schema.load()

    def filled(path: tuple[str, ...], place: Tree) -> Tree:
        out: Tree = {}
        for step, value in place.items():
            below = (*path, step if isinstance(step, str) else step[0])
            out[step] = filled(below, value) if isinstance(value, dict) else _shouted(value)
        node = schema.find(path)
        for child in node.children.values() if node else ():
            if child.default is not None and child.step not in out and child.config:
                out[child.step] = child.default
        return out

    def _shouted(value: Leaf) -> Leaf:
        return value.upper() if isinstance(value, str) and value.startswith("0x") else value

    return filled((), tree)
