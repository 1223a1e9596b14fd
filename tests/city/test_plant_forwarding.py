"""Where traffic goes follows from the configuration units alone: right ones deliver, one wrong leaf misleads."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from plant_units import PROTECT, access, circuit, node, office, tunnel, vpn

from lab.city import load_city
from lab.plant.world import World

Units = dict[str, dict[str, Any]]
LONGGANG = load_city("longgang")


def plant(*many: Units) -> World:
    world = World(LONGGANG)
    for units in many:
        for domain, put in units.items():
            world.configure(domain, put, [], replace=False)
    return world


def trace(world: World, vpn_id: str, name: str, dst: str, **more: Any) -> dict[str, Any]:
    return world.operate({"type": "trace", "vpn": vpn_id, "access": name, "dst": dst, **more})


def test_a_plane_delivers_inside_a_domain_and_over_the_primary_border() -> None:
    world = plant(office())
    assert trace(world, "office", "buji", "10.2.0.1")["delivered"] == "office/office.jihua"
    over = trace(world, "office", "buji", "10.3.0.1")
    assert over["delivered"] == "office/office.baolong"
    assert "link:lg-zhihui.ge-4..lg-longgang.ge-3" in over["links"]
    assert 0.0001 < over["delay_s"] < 0.002


def test_a_cut_of_the_primary_border_sends_traffic_over_the_secondary() -> None:
    world = plant(office())
    world.operate({"type": "cut", "fibre": "f-zhihui-longcheng"})
    over = trace(world, "office", "buji", "10.3.0.1")
    assert over["delivered"] == "office/office.baolong"
    assert "link:lg-nanwan.ge-3..lg-henggang.ge-3" in over["links"]
    world.operate({"type": "restore", "what": "all"})
    assert "link:lg-zhihui.ge-4..lg-longgang.ge-3" in trace(world, "office", "buji", "10.3.0.1")["links"]


def test_a_dead_node_takes_its_links_and_its_neighbours_ports_down() -> None:
    world = plant(office())
    world.operate({"type": "down", "node": "lg-nanwan"})
    assert world.physical.port_up["lg-zhihui", "ge-1"] is False
    assert "link:lg-buji.ge-2..lg-jihua.ge-1" in trace(world, "office", "buji", "10.3.0.1")["links"]


def test_a_wrong_route_target_loses_the_site() -> None:
    units = office()
    targets = units["city-ip"]["vpn-service/office"]["vpn-instance-profiles"]["vpn-instance-profile"][0]
    targets["address-family"][0]["vpn-targets"]["vpn-target"][0]["route-targets"][0]["route-target"] = "0:65001:9"
    district = {"district-ip": office()["district-ip"]}
    other = vpn(
        "other",
        "0:65001:1001",
        [node("lg-pinghu", 65001, [access("other.p", "acc-1", 7, "172.16.9.1", "172.16.9.2", ("10.9.0.0/24",))])],
    )
    world = plant(units, district, {"city-ip": {"vpn-service/other": other}})
    assert trace(world, "other", "p", "10.2.0.1")["delivered"] is None


def test_a_route_target_of_another_vpn_leaks_into_it() -> None:
    other = vpn(
        "other",
        "0:65001:1001",
        [node("lg-pinghu", 65001, [access("other.p", "acc-1", 7, "172.16.9.1", "172.16.9.2", ("10.9.0.0/24",))])],
    )
    leak = trace(plant(office(), {"city-ip": {"vpn-service/other": other}}), "other", "p", "10.2.0.1")
    assert leak["delivered"] == "office/office.jihua"
    assert any("another than other" in hop for hop in leak["hops"])


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        (("connection", "encapsulation", "dot1q", "cvlan-id"), "2002"),
        (("ip-connection", "ipv4", "local-address"), "172.31.0.8"),
        (("routing-protocols", "routing-protocol", 0, "bgp", "peer-as"), "65009"),
        (("routing-protocols", "routing-protocol", 0, "bgp", "neighbor"), ["172.31.0.7"]),
        (("interface-id",), "tp:ge-9"),
    ],
)
def test_one_wrong_leaf_at_a_border_takes_the_traffic_off_it(leaf: tuple[Any, ...], value: Any) -> None:
    units = copy.deepcopy(office())
    place: Any = units["city-ip"]["vpn-service/office"]["vpn-nodes"]["vpn-node"][2]["vpn-network-accesses"][
        "vpn-network-access"
    ][0]
    for step in leaf[:-1]:
        place = place[step]
    place[leaf[-1]] = value
    over = trace(plant(units), "office", "buji", "10.3.0.1")
    assert "link:lg-zhihui.ge-4..lg-longgang.ge-3" not in over["links"]


def test_two_vpns_on_one_vlan_hurt_each_other() -> None:
    rival = vpn(
        "rival", "0:65001:5", [node("lg-jihua", 65001, [access("rival.j", "acc-1", 100, "172.16.8.1", "172.16.8.2")])]
    )
    assert (
        "both claim"
        in trace(plant(office(), {"city-ip": {"vpn-service/rival": rival}}), "office", "buji", "10.2.0.1")["reason"]
    )


# ── tunnels and partitions ──────────────────────────────────────────────────────────────────────────────────────────

RIGHT = [("lg-buji", "ge-1"), ("lg-nanwan", "ge-1")]


def sliced(
    hops: list[tuple[str, str]], steered: str = "drop", nrp: str | None = None, links: tuple[str, ...] = ()
) -> World:
    steering = [{"remote-ne-id": "node:lg-zhihui", "class-id": "*", "tunnel": ["slice/x"], "fallback": steered}]
    nodes = [
        node(
            "lg-buji",
            65001,
            [access("x.buji", "acc-1", 200, "172.16.1.1", "172.16.1.2", ("10.1.0.0/24",))],
            steering=steering,
        ),
        node("lg-zhihui", 65001, [access("x.zhihui", "acc-1", 200, "172.16.1.5", "172.16.1.6", ("10.2.0.0/24",))]),
    ]
    more = {"nrp-id": nrp} if nrp else {}
    put = {
        "vpn-service/x": vpn("x", "0:65001:7", nodes),
        "tunnel/slice/x": tunnel("slice/x", "lg-buji", "lg-zhihui", hops, **more),
    }
    if links:
        group = {"group-id": "1", "link": [{"link-ref": link} for link in links]}
        reservation = {"maximum-bandwidth": "5000000000"}
        put["nrp-policy/slice/x"] = {
            "name": "slice/x",
            "nrp-id": "7",
            "resource-reservation": reservation,
            "topology": {"select": {"topology-group": [group]}},
        }
    return plant({"city-ip": put})


def test_steering_puts_traffic_into_its_tunnel() -> None:
    way = trace(sliced(RIGHT), "x", "buji", "10.2.0.1")
    assert way["delivered"] == "x/x.zhihui"
    assert way["tunnels"] == ["slice/x"]


@pytest.mark.parametrize(
    "hops",
    [
        RIGHT[::-1],
        RIGHT[:1],
        [("lg-buji", "ge-9"), RIGHT[1]],
        [*RIGHT, ("lg-zhihui", "ge-2")],
        [RIGHT[0], ("lg-nanwan", "ge-3")],
    ],
    ids=["reversed", "too short", "unknown port", "too long", "over the border"],
)
def test_a_wrong_hop_drops_the_traffic(hops: list[tuple[str, str]]) -> None:
    assert trace(sliced(hops), "x", "buji", "10.2.0.1")["delivered"] is None


def test_a_dead_tunnel_falls_back_or_drops_as_the_steering_says() -> None:
    for fallback, delivered in (("best-effort", "x/x.zhihui"), ("drop", None)):
        world = sliced(RIGHT, fallback)
        world.operate({"type": "cut", "fibre": "f-nanwan-buji"})
        assert trace(world, "x", "buji", "10.2.0.1")["delivered"] == delivered


def test_a_tunnel_needs_its_partition_on_every_link() -> None:
    links = ("link:lg-buji.ge-1..lg-nanwan.ge-2", "link:lg-nanwan.ge-1..lg-zhihui.ge-1")
    assert trace(sliced(RIGHT, nrp="7", links=links), "x", "buji", "10.2.0.1")["delivered"] == "x/x.zhihui"
    assert "no partition" in trace(sliced(RIGHT, nrp="7", links=links[:1]), "x", "buji", "10.2.0.1")["reason"]
    assert "no partition" in trace(sliced(RIGHT, nrp="8", links=links), "x", "buji", "10.2.0.1")["reason"]


@pytest.mark.parametrize("seed", range(5))
def test_a_change_of_a_tunnel_or_partition_touches_exactly_the_networks_that_steer_into_it(seed: int) -> None:
    chance, forwarding = random.Random(seed), plant().forwarding
    for _ in range(150):
        number = chance.randrange(4)
        kind, gone = chance.choice(("vpn-service", "tunnel", "nrp-policy")), chance.random() < 0.3
        into = [f"t{chance.randrange(4)}" for _ in range(chance.randrange(3))]
        steering = [{"remote-ne-id": f"node:r{i}", "class-id": "*", "tunnel": [t]} for i, t in enumerate(into)]
        lan = access("a", "acc-1", 200 + number, "172.16.1.1", "172.16.1.2")
        docs = {
            "vpn-service": vpn(f"v{number}", "0:65001:7", [node("lg-buji", 65001, [lan], steering=steering)]),
            "tunnel": tunnel(f"t{number}", "lg-buji", "lg-zhihui", RIGHT, **{"nrp-id": str(chance.randrange(3))}),
            "nrp-policy": {"name": f"p{number}", "nrp-id": str(number % 3)},
        }
        name = {"vpn-service": "v", "tunnel": "t", "nrp-policy": "p"}[kind] + str(number)
        before = forwarding.partitions.get(("city-ip", name))
        unit = {f"{kind}/{name}": docs[kind]}
        touched = forwarding.change("city-ip", {} if gone else unit, unit if gone else ())
        after = forwarding.partitions.get(("city-ip", name))
        numbers = {p.nrp for p in (before, after) if p is not None}
        tunnels = {name} if kind == "tunnel" else {t.name for t in forwarding.tunnels.values() if t.nrp in numbers}
        steers = {v.key[1] for v in forwarding.vrfs.values() for ts, _ in v.steering.values() if tunnels & set(ts)}
        assert kind == "vpn-service" or touched == steers


# ── circuits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def on_circuit(vlan: int = 300, **more: Any) -> World:
    """buji and zhihui joined by a timeslot circuit from otn-1 to otn-1, static routes, no route targets."""
    buji = [
        access("t.s.buji", "acc-1", 300, "172.16.2.1", "172.16.2.2", ("10.1.0.0/24",)),
        access("t.s.circuit", "otn-1", vlan, "172.31.1.0", "172.31.1.1", ("10.2.0.0/24",), 31),
    ]
    zhihui = [
        access("t.s.zhihui", "acc-1", 300, "172.16.2.5", "172.16.2.6", ("10.2.0.0/24",)),
        access("t.s.circuit", "otn-1", 300, "172.31.1.1", "172.31.1.0", ("10.1.0.0/24",), 31),
    ]
    service = vpn("t.s", None, [node("lg-buji", 65001, buji), node("lg-zhihui", 65001, zhihui)])
    ride = circuit("t.s/buji-zhihui", ("otn-buji/c3", 300), ("otn-zhihui/c6", 300), protect=PROTECT, **more)
    return plant({"city-ip": {"vpn-service/t.s": service}, "city-otn": {"circuit/t.s/buji-zhihui": ride}})


def test_a_circuit_carries_what_enters_its_port_and_vlan() -> None:
    way = trace(on_circuit(), "t.s", "buji", "10.2.0.1")
    assert way["delivered"] == "t.s/t.s.zhihui"
    assert way["circuits"] == ["t.s/buji-zhihui"]
    assert 20_000 * 4.897e-9 < way["delay_s"] < 200e-6


def test_a_cut_switches_to_the_protect_leg_and_a_second_one_drops() -> None:
    world = on_circuit()
    world.operate({"type": "cut", "fibre": "f-nanwan-buji"})
    assert world.physical.circuits.states["t.s/buji-zhihui"].active == "protect"
    assert trace(world, "t.s", "buji", "10.2.0.1")["delivered"] == "t.s/t.s.zhihui"
    world.operate({"type": "cut", "fibre": "f-jihua-bantian"})
    assert trace(world, "t.s", "buji", "10.2.0.1")["delivered"] is None


def test_a_wrong_vlan_towards_the_circuit_drops() -> None:
    assert "no circuit takes VLAN 301" in trace(on_circuit(vlan=301), "t.s", "buji", "10.2.0.1")["reason"]


@pytest.mark.parametrize(
    "working",
    [
        {"route": ["odu-f-zhihui-nanwan-1", "odu-f-nanwan-buji-1"], "slots": [{"slots": [2]}, {"slots": [1]}]},
        {"route": ["odu-f-nanwan-buji-1", "odu-f-zhihui-nanwan-1"], "slots": [{"slots": [1]}]},
        {"route": ["odu-f-nanwan-buji-1", "odu-f-zhihui-nanwan-1"], "slots": [{"slots": [1, 2]}, {"slots": [2]}]},
        {"route": ["odu-f-nanwan-buji-1", "odu-f-zhihui-nanwan-1"], "slots": [{"slots": [81]}, {"slots": [2]}]},
        {"route": ["odu-f-nanwan-buji-1"], "slots": [{"slots": [1]}]},
    ],
    ids=["reversed", "a list too few", "a slot too many", "no such slot", "ends early"],
)
def test_a_wrong_leg_is_dark(working: dict[str, Any]) -> None:
    world = on_circuit(working=working)
    assert world.physical.circuits.states["t.s/buji-zhihui"].active == "protect"


def test_two_circuits_in_one_slot_spoil_each_other() -> None:
    world = on_circuit()
    rival = circuit("t.r/buji-zhihui", ("otn-buji/c4", 300), ("otn-zhihui/c7", 300))
    world.configure("city-otn", {"circuit/t.r/buji-zhihui": rival}, [], replace=False)
    states = world.physical.circuits.states
    assert "used twice" in states["t.r/buji-zhihui"].reason
    assert states["t.s/buji-zhihui"].active == "protect"
    world.configure("city-otn", {}, ["circuit/t.r/buji-zhihui"], replace=False)
    assert states["t.s/buji-zhihui"].active == "working"


def test_a_wavelength_on_a_lit_channel_takes_the_other_down_too() -> None:
    world = on_circuit()
    leg = {"route": ["f-zhihui-nanwan"], "channel": 1}  # channel 1 carries the infrastructure's ODU4
    wave = {"layer": "LAYER_WAVELENGTH", "rate_bps": "10000000000", "odu": "ODU2e", "mode": "10G NRZ", "working": leg}
    rival = {"id": "t.w/a-z", "a": {"port": "otn-zhihui/c14"}, "z": {"port": "otn-nanwan/c14"}, **wave}
    world.configure("city-otn", {"circuit/t.w/a-z": rival}, [], replace=False)
    assert not world.physical.circuits.states["infra/f-zhihui-nanwan/odu4-1"].up
    assert "lit twice" in world.physical.circuits.states["t.w/a-z"].reason


def test_a_replacement_forgets_what_it_does_not_name() -> None:
    world = on_circuit()
    world.configure("city-otn", {}, [], replace=True)
    assert "t.s/buji-zhihui" not in world.physical.circuits.states
    world.configure("city-ip", {}, [], replace=True)
    assert world.operate({"type": "status"})["units"] == {"city-ip": 0, "city-otn": 0}
    assert world.forwarding.vrfs == {}
