"""Where packets go follows from the configuration units alone: compiled, and run through imagined switches."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest

from lab.openflow import frames
from lab.openflow.domain import Domain
from lab.openflow.program import cookie
from tests.city.plant_units import access, node, office, tunnel, vpn
from tests.openflow.imagined import LONGGANG, NAMES, VLAN_PRESENT, Arrival, ImaginedCity, ipv4, number

SITES = {"lg-buji": "10.1.0.9", "lg-jihua": "10.2.0.9", "lg-baolong": "10.3.0.9"}
HOPS = [("lg-buji", "ge-1"), ("lg-nanwan", "ge-1")]  # buji → nanwan → zhihui


@pytest.fixture
def city(tmp_path: Path) -> ImaginedCity:
    return ImaginedCity(tmp_path, office())


def at(arrivals: list[Arrival]) -> list[tuple[str, str]]:
    return [(a.node, a.port) for a in arrivals]


def test_every_site_of_a_plane_reaches_every_other_over_two_domains(city: ImaginedCity) -> None:
    for a, z in itertools.permutations(SITES, 2):
        (arrived,) = city.send(a, "acc-1", ipv4(SITES[a], SITES[z], 100))
        assert (arrived.node, arrived.port) == (z, "acc-1")
        assert arrived.packet["vlan_vid"] == VLAN_PRESENT | 100
        assert arrived.packet["eth_src"] == number(f"0a:00:00:00:00:{NAMES.number[z]:02x}")
        assert arrived.packet["ttl"] < 64


def test_a_packet_crosses_at_the_primary_border_and_at_the_other_when_that_is_cut(city: ImaginedCity) -> None:
    packet = ipv4(SITES["lg-buji"], SITES["lg-baolong"], 100)
    assert "lg-longgang" in city.send("lg-buji", "acc-1", dict(packet))[0].nodes
    city.cut("lg-zhihui", "ge-4")
    city.compile()
    assert "lg-henggang" in city.send("lg-buji", "acc-1", dict(packet))[0].nodes


@pytest.mark.parametrize(
    "packet",
    [
        ipv4("203.0.113.7", SITES["lg-jihua"], 100),
        ipv4(SITES["lg-jihua"], SITES["lg-jihua"], 100),
        ipv4(SITES["lg-buji"], SITES["lg-jihua"], 101),
        ipv4(SITES["lg-buji"], SITES["lg-jihua"], 0),
        ipv4(SITES["lg-buji"], "10.9.0.1", 100),
        ipv4(SITES["lg-buji"], SITES["lg-jihua"], 100, eth_dst="ff:ff:ff:ff:ff:ff"),
        ipv4(SITES["lg-buji"], SITES["lg-jihua"], 100, eth_type=0x86DD),
        ipv4(SITES["lg-buji"], SITES["lg-jihua"], 100, eth_type=0x88B5),
    ],
    ids=["false sender", "another site's sender", "other VLAN", "no VLAN", "nobody", "broadcast", "IPv6", "unknown"],
)
def test_what_nobody_ordered_is_dropped(city: ImaginedCity, packet: dict[str, int]) -> None:
    assert city.send("lg-buji", "acc-1", packet) == []


def test_a_frame_with_labels_of_the_city_is_dropped_at_every_access(city: ImaginedCity) -> None:
    for path, vrf in itertools.product(range(1, 20), range(1, 5)):
        forged = ipv4(SITES["lg-buji"], SITES["lg-jihua"], 100, eth_dst=frames.label(path, vrf))
        assert city.send("lg-buji", "acc-1", forged | {"eth_src": number(frames.source(7, 1))}) == []


def test_planes_with_the_same_addresses_never_meet(tmp_path: Path) -> None:
    twin = office("0:65001:1002")
    for units in twin.values():
        service = units["vpn-service/office"]
        service["vpn-id"] = "twin"
        for member in service["vpn-nodes"]["vpn-node"]:
            for entry in member["vpn-network-accesses"]["vpn-network-access"]:
                entry["id"] = entry["id"].replace("office", "twin")
                tag = entry["connection"]["encapsulation"]["dot1q"]
                tag["cvlan-id"] = str(int(tag["cvlan-id"]) + 1)
    both = {d: {**office()[d], "vpn-service/twin": twin[d]["vpn-service/office"]} for d in twin}
    city = ImaginedCity(tmp_path, both)
    for vlan, (a, z) in itertools.product((100, 101), itertools.permutations(SITES, 2)):
        (arrived,) = city.send(a, "acc-1", ipv4(SITES[a], SITES[z], vlan))
        assert (arrived.node, arrived.packet["vlan_vid"]) == (z, VLAN_PRESENT | vlan)


INNER = sorted({link.source for link in Domain(LONGGANG, "city-ip").inner})


@pytest.mark.parametrize("cut", INNER, ids="/".join)
def test_any_link_may_be_cut_without_a_loop_and_without_a_loss_once_that_is_known(
    city: ImaginedCity, cut: tuple[str, str]
) -> None:
    city.cut(*cut)
    for a, z in itertools.permutations(("lg-buji", "lg-jihua"), 2):
        packet = ipv4(SITES[a], SITES[z], 100)
        assert at(city.send(a, "acc-1", dict(packet))) in ([], [(z, "acc-1")])  # what switches do by themselves
    city.compile()
    for a, z in itertools.permutations(("lg-buji", "lg-jihua"), 2):
        assert at(city.send(a, "acc-1", ipv4(SITES[a], SITES[z], 100))) == [(z, "acc-1")]


def test_a_switch_whose_own_port_goes_dark_takes_the_alternate_at_once(city: ImaginedCity) -> None:
    """From buji to zhihui's border: nanwan is the shortest, and the ring the other way round is loop-free."""
    packet = ipv4(SITES["lg-jihua"], SITES["lg-baolong"], 100)
    before = city.send("lg-jihua", "acc-1", dict(packet))[0].nodes
    city.cut("lg-jihua", next(port for (node, port), far in city.far.items() if (node, far[0]) == before[:2]))
    after = city.send("lg-jihua", "acc-1", dict(packet))[0].nodes
    assert after[1] != before[1]
    assert after[-1] == "lg-baolong"


def slice_units(drop: bool) -> dict[str, dict[str, Any]]:
    """Buji to zhihui by a pinned tunnel over nanwan, and the long way round as its second."""
    ring = [("lg-buji", "ge-2"), ("lg-jihua", "ge-2"), ("lg-bantian", "ge-2"), ("lg-pinghu", "ge-2")]
    pinned = tunnel("t", "lg-buji", "lg-zhihui", HOPS)
    second = tunnel("t", "lg-buji", "lg-zhihui", ring)["primary-paths"]["primary-path"][0]
    pinned["secondary-paths"] = {"secondary-path": [{**second, "name": "standby"}]}
    steering = [{"remote-ne-id": "node:lg-zhihui", "class-id": "*", "tunnel": ["t"]}]
    if drop:
        steering[0]["fallback"] = "drop"  # type: ignore[assignment]
    ends = [
        node("lg-buji", 65001, [access("s.b", "acc-1", 7, "172.16.1.1", "172.16.1.2", ("10.7.1.0/24",))]),
        node("lg-zhihui", 65001, [access("s.z", "acc-1", 7, "172.16.1.5", "172.16.1.6", ("10.7.2.0/24",))]),
    ]
    ends[0]["steering"] = steering
    return {"city-ip": {"vpn-service/s": vpn("s", "0:65001:7", ends), "tunnel/t": pinned}}


def links_of(city: ImaginedCity, *hops: tuple[str, str]) -> None:
    for a, z in itertools.pairwise([*hops]):
        assert city.far[a][0] == z[0]


def test_a_pinned_path_is_followed_then_its_standby_then_nothing(tmp_path: Path) -> None:
    city = ImaginedCity(tmp_path, slice_units(drop=True))
    pinned = city.domains["city-ip"].tunnels["t"].paths
    for path in pinned:
        links_of(city, *path.hops)
    packet = ipv4("10.7.1.9", "10.7.2.9", 7)
    assert city.send("lg-buji", "acc-1", dict(packet))[0].nodes == ("lg-buji", "lg-nanwan", "lg-zhihui")
    city.cut(*pinned[0].hops[0])  # its first hop: the switch sees that by itself
    around = city.send("lg-buji", "acc-1", dict(packet))[0].nodes
    assert around == ("lg-buji", "lg-jihua", "lg-bantian", "lg-pinghu", "lg-zhihui")
    city.cut(*pinned[1].hops[-1])  # further away: it has to be told
    assert city.send("lg-buji", "acc-1", dict(packet)) == []
    city.compile()
    assert city.send("lg-buji", "acc-1", dict(packet)) == []


def test_a_service_that_may_falls_back_to_the_shortest_path(tmp_path: Path) -> None:
    city = ImaginedCity(tmp_path, slice_units(drop=False))
    for path in city.domains["city-ip"].tunnels["t"].paths:
        city.cut(*path.hops[-1])
    city.compile()
    # Left is bantian's own link to zhihui, which neither path uses.
    found = city.send("lg-buji", "acc-1", ipv4("10.7.1.9", "10.7.2.9", 7))
    assert at(found) == [("lg-zhihui", "acc-1")]
    assert found[0].nodes[-2] == "lg-bantian"


def vip_units() -> dict[str, dict[str, Any]]:
    units = slice_units(drop=False)
    entry = units["city-ip"]["vpn-service/s"]["vpn-nodes"]["vpn-node"][0]
    service = entry["vpn-network-accesses"]["vpn-network-access"][0]["service"]
    ports = {"destination-port-range-or-operator": {"lower-port": "20000", "upper-port": "20999"}}
    rule = {"id": "vip.1", "ipv4": {"protocol": "17"}, "udp": ports, "target-class-id": "vip.c.video"}
    action = {"target-class-id": "vip.c.video", "queue": "6", "mark-dscp": "34", "committed-rate": "200000000"}
    service["qos"] = {"qos-classification-policy": {"rule": [rule]}, "qos-action": {"rule": [action]}}
    return units


@pytest.mark.parametrize(("port", "queue", "dscp"), [(20000, 6, 34), (20999, 6, 34), (19999, 0, 0), (21000, 0, 0)])
def test_a_class_is_known_by_its_ports_and_gets_its_queue_mark_and_meter(
    tmp_path: Path, port: int, queue: int, dscp: int
) -> None:
    city = ImaginedCity(tmp_path, vip_units())
    (arrived,) = city.send("lg-buji", "acc-1", ipv4("10.7.1.9", "10.7.2.9", 7, udp=(4000, port)))
    assert arrived.packet["ip_dscp"] == dscp
    assert [source >> frames.QUEUE_SHIFT & 7 for source in arrived.between] == [queue, queue]
    ((where, meter),) = arrived.met
    assert where == "lg-buji"  # once, where it enters
    rate = city.programs["lg-buji"].meters[meter].rate_kbps
    assert rate == (20 if queue else 100)  # 200 Mbit/s of the class, or the access's 1 Gbit/s; 10,000 are one here


def test_what_rides_a_partition_says_so_on_every_link_and_to_no_customer(tmp_path: Path) -> None:
    units = slice_units(drop=True)
    units["city-ip"]["tunnel/t"]["nrp-id"] = "9"
    links = [f"link:{a[0]}.{a[1]}..{z[0]}.{z[1]}" for a, z in ImaginedCity(tmp_path, {}).far.items() if a in HOPS]
    group = {"resource-reservation": {"maximum-bandwidth": "1000000000"}, "link": links}
    policy = {"name": "p", "nrp-id": "9", "topology": {"select": {"topology-group": [group]}}}
    city = ImaginedCity(tmp_path, {"city-ip": {**units["city-ip"], "nrp-policy/p": policy}})
    packet = ipv4("10.7.1.9", "10.7.2.9", 7)
    (arrived,) = city.send("lg-buji", "acc-1", dict(packet))
    assert [source >> frames.PARTITION_SHIFT & 0xFFFF for source in arrived.between] == [9, 9]
    assert arrived.packet["eth_src"] == number(f"0a:00:00:00:00:{NAMES.number['lg-zhihui']:02x}")
    assert city.domains["city-ip"].partition_rates()["lg-buji", "ge-1"] == {9: 1e9}
    # The second path has no part of the partition: with the first cut nothing may use it.
    city.cut(*HOPS[0])
    city.compile()
    assert city.send("lg-buji", "acc-1", dict(packet)) == []


def test_the_same_units_give_the_same_programs_in_whatever_order_they_came(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    units = slice_units(drop=True)
    again = {d: dict(reversed(list(put.items()))) for d, put in copy.deepcopy(units).items()}
    assert ImaginedCity(first, units).programs == ImaginedCity(second, again).programs


def test_a_process_that_starts_anew_recognises_every_rule_of_its_switches(tmp_path: Path) -> None:
    before = ImaginedCity(tmp_path, office())
    for numbers in before.numbers.values():
        numbers.save()
    after = ImaginedCity(tmp_path, office())
    for name, program in before.programs.items():
        named = {cookie(k, steps) for k, steps in program.rules.items()}
        assert named == {cookie(k, steps) for k, steps in after.programs[name].rules.items()}
        assert len(named) == len(program.rules)


def test_nothing_is_left_of_a_service_that_is_taken_away(tmp_path: Path) -> None:
    bare = ImaginedCity(tmp_path, {})
    empty = copy.deepcopy(bare.programs)
    for domain, put in office().items():
        bare.domains[domain].configure(put, (), replace=False)
    bare.compile()
    assert bare.programs != empty
    for domain, put in office().items():
        bare.domains[domain].configure({}, tuple(put), replace=False)
        bare.domains[domain].heard.clear()
    bare.compile()
    assert bare.programs == empty
