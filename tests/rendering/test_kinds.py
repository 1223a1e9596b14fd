"""Every kind of service, rendered: it validates, it is in normal form, and it comes back from the wire as it went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.intent.model import Service
from controller.network.model import CityMap
from controller.planning.placement import Placement
from controller.rendering.merge import merge
from controller.rendering.normalise import normalise
from controller.rendering.paths import at
from controller.rendering.render import render
from controller.rendering.tree import Tree
from controller.rendering.xml import from_xml, to_xml
from tests.rendering import wanted
from tests.rendering.yang import complaints, needs_yanglint, with_surroundings

Pair = tuple[Service, Placement]


def _conference() -> tuple[list[Pair], Pair]:
    carrier = wanted.plane(20)
    return [carrier], wanted.conference(carrier[0], 30)


def _all_traffic() -> tuple[list[Pair], Pair]:
    carrier = wanted.plane(6)
    return [carrier], wanted.everything_assured(carrier[0].metadata.service)


KINDS: dict[str, Callable[[], tuple[list[Pair], Pair]]] = {
    "plane": lambda: ([], wanted.plane(20)),
    "hub-and-spoke": lambda: ([], wanted.plane(20, hub=True)),
    "partition": lambda: ([], wanted.nrp_slice()),
    "circuit": lambda: ([], wanted.circuit_slice()),
    "conference": _conference,
    "all-traffic": _all_traffic,
}


def fragments(kind: str) -> tuple[dict[str, Tree], dict[str, Tree]]:
    """Return the fragments of a service alone, and merged with those of the services that it needs."""
    others, (service, placement) = KINDS[kind]()
    standing = {one.metadata.service: (one, where) for one, where in others}
    alone = render(service, placement, wanted.city(), standing)
    whole = dict(alone)
    for one, where in others:
        for domain, tree in render(one, where, wanted.city(), {}).items():
            whole[domain] = merge(tree, whole.get(domain, {}))
    return alone, whole


@needs_yanglint
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rendered_validates_against_the_published_modules(kind: str, tmp_path: Path) -> None:
    _, whole = fragments(kind)
    city = wanted.city()
    for domain, tree in whole.items():
        if domain != "city-otn":
            assert complaints(with_surroundings(tree, city, domain), tmp_path) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rendered_is_in_normal_form_from_the_start(kind: str) -> None:
    for tree in fragments(kind)[0].values():
        assert normalise(tree) == tree


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_out_as_xml_comes_back_the_same(kind: str) -> None:
    for domain, tree in fragments(kind)[1].items():
        if domain != "city-otn":
            back = from_xml(to_xml(tree))
            assert back == tree
            assert str(back) == str(from_xml(to_xml(back))), "order is kept"


def test_a_circuit_slice_leaks_nothing_and_routes_statically_over_its_circuit() -> None:
    alone, _ = fragments("circuit")
    assert set(alone) == {"city-ip", "city-otn", "district-ip"}
    vpn = at(alone["city-ip"], ("l3nm:l3vpn-ntw", "l3nm:vpn-services", ("l3nm:vpn-service", "health.records")))
    text = to_xml(alone["city-ip"]).decode()
    assert isinstance(vpn, dict)
    assert "vpn-target" not in text
    assert "bgp" not in text
    assert "<lan>10.60.1.0/24</lan><next-hop>172.31.1.1</next-hop>" in text, "the far LAN lies behind the circuit"
    assert "<lan>10.60.0.0/24</lan><next-hop>172.16.14.218</next-hop>" in text, "the near one behind the site"
    far = to_xml(alone["district-ip"]).decode()
    assert "<cvlan-id>101</cvlan-id>" in far, "the router uses the VLAN of its end of the circuit"
    circuit = alone["city-otn"]["opt:circuit", "health.records/buji-pingdi"]
    assert isinstance(circuit, dict)
    assert circuit["opt:working"] == {"opt:route": ("odu-a", "odu-b"), "opt:slots": ("1", "4")}


def test_two_spokes_meet_only_at_the_hub() -> None:
    alone, _ = fragments("hub-and-spoke")
    profile = {
        domain: {
            content["l3nm:vpn-instance-profile"]
            for node in _nodes(tree)
            for step, content in _accesses(node)
            if ".border." in step[1]
        }
        for domain, tree in alone.items()
    }
    assert profile == {"city-ip": {"border-district-ip"}, "district-ip": {"hub"}}, "the hub stands in the city network"


def test_a_slice_without_our_module_falls_back_to_names() -> None:
    service, placement = wanted.nrp_slice()
    city = wanted.city()
    text = to_xml(render(service, placement, city, {})["city-ip"]).decode()
    assert "<oc:steering>" in text
    assert "<oc:nrp-id>4001</oc:nrp-id>" in text
    plain = _without_binding()
    text = to_xml(render(service, placement, plain, {})["city-ip"]).decode()
    assert "oc:" not in text
    assert "<transport-instance-id>slice/resources.survey</transport-instance-id>" in text


def test_rate_limits_are_percentages_of_the_access_and_add_up_at_the_mcu() -> None:
    carrier = wanted.plane(11)
    service, placement = wanted.conference(carrier[0], 10)
    tree = render(service, placement, wanted.city(), {carrier[0].metadata.service: carrier})["city-ip"]
    text = to_xml(tree).decode()
    party = "<id>vip.flood.video</id><target-class-id>vip.flood.video</target-class-id><inbound-rate-limit>4.0<"
    assert party in text, "4 of 100 Mbit/s"
    assert party.replace("4.0<", "40.0<") in text, "ten parties at the MCU"
    assert party.replace("4.0<", "4.0<") in text
    assert "<oc:committed-rate>20000000</oc:committed-rate>" in text, "five parties lie beyond the border"


def _without_binding() -> CityMap:
    city = wanted.city()
    domains = {n: replace(d, modules=d.modules - {"onecity-binding"}) for n, d in city.domains.items()}
    return replace(city, domains=domains)


def _nodes(tree: Tree) -> list[Tree]:
    services = at(tree, ("l3nm:l3vpn-ntw", "l3nm:vpn-services"))
    assert isinstance(services, dict)
    (vpn,) = services.values()
    assert isinstance(vpn, dict)
    nodes = vpn["l3nm:vpn-nodes"]
    assert isinstance(nodes, dict)
    return [node for node in nodes.values() if isinstance(node, dict)]


def _accesses(node: Tree) -> list[tuple[tuple[str, ...], Tree]]:
    accesses = node["l3nm:vpn-network-accesses"]
    assert isinstance(accesses, dict)
    return [(step, one) for step, one in accesses.items() if isinstance(step, tuple) and isinstance(one, dict)]
