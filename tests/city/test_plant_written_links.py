"""IP links that clients wrote: what carries them, how fast, how long, and what interior routing makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from plant_units import access, circuit, node, tunnel, vpn
from test_plant_forwarding import plant, trace
from test_plant_performance import sampled

from lab.plant.world import World

A, Z = ("lg-buji", "otn-1"), ("lg-zhihui", "otn-1")
THERE, BACK = "link:lg-buji.otn-1..lg-zhihui.otn-1", "link:lg-zhihui.otn-1..lg-buji.otn-1"
LIGHT = "link/buji..zhihui"
GBPS_100, GBPS_10 = "0x1.74876ep+33", "0x1.2a05f2p+30"
OVER = ["f-nanwan-buji", "f-zhihui-nanwan"]
Units = dict[str, Any]


def link(a: tuple[str, str] = A, z: tuple[str, str] = Z, rate: str = GBPS_100, **more: Any) -> Units:
    """One direction as the domain sends it: unit → document."""
    name = f"link:{a[0]}.{a[1]}..{z[0]}.{z[1]}"
    attributes = {
        "admin-status": "up",
        "max-link-bandwidth": {"te-bandwidth": {"generic": rate}},
        "te-igp-metric": "16777214",
        **more,
    }
    entry = {
        "link-id": name,
        "source": {"source-node": f"node:{a[0]}", "source-tp": f"tp:{a[1]}"},
        "destination": {"dest-node": f"node:{z[0]}", "dest-tp": f"tp:{z[1]}"},
        "te": {"te-link-attributes": attributes},
    }
    return {f"link/{name}": entry}


def light(a: str = "otn-buji/c3", z: str = "otn-zhihui/c6", rate: str = "100000000000", **more: Any) -> Units:
    wave = {
        "layer": "LAYER_WAVELENGTH",
        "rate_bps": rate,
        "odu": "ODU4",
        "mode": "100G QPSK oFEC",
        "working": {"route": OVER, "channel": 40},
        **more,
    }
    return {f"circuit/{LIGHT}": circuit(LIGHT, (a, 0), (z, 0), **wave)}


def service(steered: bool = True) -> Units:
    """buji and zhihui, pinned to the written link by a tunnel each way."""

    def steer(far: str, name: str) -> list[Units]:
        return [{"remote-ne-id": f"node:{far}", "class-id": "*", "tunnel": [name], "fallback": "drop"}]

    more = [{"steering": steer(far, name)} if steered else {} for far, name in (("lg-zhihui", "x"), ("lg-buji", "y"))]
    buji = access("x.buji", "acc-1", 200, "172.16.1.1", "172.16.1.2", ("10.1.0.0/24",))
    zhihui = access("x.zhihui", "acc-1", 200, "172.16.1.5", "172.16.1.6", ("10.2.0.0/24",))
    nodes = [node("lg-buji", 65001, [buji], **more[0]), node("lg-zhihui", 65001, [zhihui], **more[1])]
    ways = {"tunnel/x": tunnel("x", A[0], Z[0], [A]), "tunnel/y": tunnel("y", Z[0], A[0], [Z])}
    return {"vpn-service/x": vpn("x", "0:65001:7", nodes), **ways}


def lit(*, steered: bool = True, **links: Any) -> World:
    units = service(steered) | (
        link() | link(Z, A) if not links else {k: v for one in links.values() for k, v in one.items()}
    )
    return plant({"city-otn": light(), "city-ip": units})


def delivered(world: World) -> Any:
    return trace(world, "x", "buji", "10.2.0.1")["delivered"]


def test_a_pinned_tunnel_rides_on_light_and_takes_as_long_as_it() -> None:
    way = trace(lit(), "x", "buji", "10.2.0.1")
    assert way["delivered"] == "x/x.zhihui"
    assert way["links"] == [THERE]
    assert any(f"over circuit {LIGHT}" in hop for hop in way["hops"])
    assert 20_000 * 4.897e-9 < way["delay_s"] < 20_000 * 4.897e-9 + 60e-6  # and its transponders and routers


def test_light_and_links_may_come_in_any_order_and_each_going_takes_it_down() -> None:
    parts = [("city-otn", light()), ("city-ip", link()), ("city-ip", link(Z, A))]
    for first in range(3):
        world = plant({"city-ip": service()})
        order = parts[first:] + parts[:first]
        for domain, units in order:
            assert delivered(world) is None
            world.configure(domain, units, [], replace=False)
        assert delivered(world) == "x/x.zhihui"
        domain, units = order[-1]
        world.configure(domain, {}, list(units), replace=False)
        assert delivered(world) is None
        assert not world.physical.link_up.get(THERE)


@pytest.mark.parametrize(
    ("light_units", "links"),
    [
        (light(a="otn-buji/c4"), link() | link(Z, A)),
        (light(a="otn-zhihui/c6", z="otn-buji/c3"), link() | link(Z, A)),
        (light(working={"route": OVER, "channel": 1}), link() | link(Z, A)),
        (light(), link() | link(Z, A, **{"admin-status": "down"})),
        (light(), link() | link(Z, ("lg-buji", "otn-2"))),
        (light(), link() | link(Z, A) | link(A, ("lg-nanwan", "otn-1"))),
        (light(), link(rate="") | link(Z, A)),
    ],
    ids=[
        "another port", "a circuit that runs the other way round", "a channel that is lit already",
        "the way back is disabled", "the way back comes from elsewhere", "its port is another link's too", "no rate",
    ],
)  # fmt: skip
def test_what_stands_wrong_under_a_link_takes_it_down(light_units: Units, links: Units) -> None:
    world = plant({"city-otn": light_units, "city-ip": service() | links})
    assert world.physical.link_up[THERE] is False
    assert delivered(world) is None


def test_the_ends_of_a_circuit_may_be_named_either_way_round() -> None:
    route = {"route": OVER[::-1], "channel": 40}
    world = plant({"city-otn": light(a="otn-zhihui/c6", z="otn-buji/c3", working=route), "city-ip": service()})
    world.configure("city-ip", link() | link(Z, A), [], replace=False)
    assert delivered(world) == "x/x.zhihui"


def test_a_vlan_of_a_port_is_no_light_for_a_link() -> None:
    units = light()
    units[f"circuit/{LIGHT}"]["a"]["vlan"] = 300
    assert plant({"city-otn": units, "city-ip": link() | link(Z, A)}).physical.link_up[THERE] is False


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "cut", "fibre": "f-zhihui-nanwan"},
        {"type": "down", "node": "lg-zhihui"},
        {"type": "down", "node": "otn-nanwan"},
        {"type": "fail", "circuit": LIGHT},
        {"type": "degrade", "link": "f-nanwan-buji", "light_db": 40.0},
    ],
    ids=["a cut under it", "a router", "a node under it", "its line card", "too little light"],
)
def test_a_fault_under_a_link_takes_it_down_until_it_is_repaired(fault: dict[str, Any]) -> None:
    world = lit()
    assert world.physical.state_for("city-ip")["links"][THERE] is True
    world.operate(fault)
    assert world.physical.state_for("city-ip")["links"][THERE] is False
    assert delivered(world) is None
    world.operate({"type": "restore", "what": "all"})
    assert delivered(world) == "x/x.zhihui"


def test_a_worn_fibre_is_felt_on_the_link_over_it() -> None:
    world = lit()
    before = sampled(world)["links"][THERE]
    world.operate({"type": "degrade", "link": "f-nanwan-buji", "loss": 0.01, "delay_s": 0.005})
    after = sampled(world)["links"][THERE]
    assert after["loss_ratio"] == pytest.approx(0.01, rel=0.05)
    assert after["delay_s"] - before["delay_s"] == pytest.approx(0.005, rel=0.05)


def test_a_link_carries_what_is_configured_as_far_as_its_circuit_does() -> None:
    slow = plant({"city-otn": light(), "city-ip": link(rate=GBPS_10) | link(Z, A, rate=GBPS_10)})
    assert slow.physical.links[THERE].rate_bps == 10 * 10**9
    thin = light(rate="10000000000", odu="ODU2e", mode="10G NRZ")
    bounded = plant({"city-otn": thin, "city-ip": link() | link(Z, A)})
    assert bounded.physical.links[THERE].rate_bps == 10 * 10**9


def test_interior_routing_uses_a_link_of_the_greatest_metric_only_where_there_is_nothing_else() -> None:
    world = lit(steered=False)
    direct, way = [THERE], trace(world, "x", "buji", "10.2.0.1")["links"]
    assert way == ["link:lg-buji.ge-1..lg-nanwan.ge-2", "link:lg-nanwan.ge-1..lg-zhihui.ge-1"]
    cheap = {"te-igp-metric": "1"}
    world.configure("city-ip", link(**cheap) | link(Z, A, **cheap), [], replace=False)
    assert trace(world, "x", "buji", "10.2.0.1")["links"] == direct
    worst = {"te-igp-metric": "16777215"}
    world.configure("city-ip", link(**worst) | link(Z, A, **worst), [], replace=False)
    world.operate({"type": "down", "node": "lg-nanwan"})
    world.operate({"type": "down", "node": "lg-jihua"})
    assert delivered(world) is None  # a link of the maximum is none for interior routing (RFC 5305)
    last = {"te-igp-metric": "16777214"}
    world.configure("city-ip", link(**last) | link(Z, A, **last), [], replace=False)
    assert trace(world, "x", "buji", "10.2.0.1")["links"] == direct


def test_a_fault_of_a_link_goes_with_the_link() -> None:
    world = lit()
    world.operate({"type": "flood", "link": THERE, "rate_bps": 50e9})
    world.operate({"type": "degrade", "link": THERE, "loss": 0.1})
    assert sampled(world)["links"][THERE]["throughput_bps"] > 50e9
    world.configure("city-ip", {}, list(link() | link(Z, A)), replace=False)
    assert THERE not in sampled(world)["links"]
    faults = world.operate({"type": "status"})
    assert (faults["floods"], faults["degraded"]) == ({}, {})


def test_status_names_what_is_lit_and_over_what() -> None:
    world = lit()
    assert world.operate({"type": "status"})["lit"] == [
        {"link": THERE, "rate_bps": 100 * 10**9, "circuit": LIGHT, "up": True}
    ]
    world.configure("city-otn", {}, [f"circuit/{LIGHT}"], replace=False)
    assert world.operate({"type": "status"})["lit"] == [
        {"link": THERE, "rate_bps": 100 * 10**9, "circuit": None, "up": False}
    ]


def test_a_plant_that_has_not_heard_of_circuits_says_nothing_of_links_over_them() -> None:
    world = plant({"city-ip": link() | link(Z, A)})
    assert THERE not in world.physical.state_for("city-ip")["links"]
    world.configure("city-otn", {}, [], replace=True)
    assert world.physical.state_for("city-ip")["links"][THERE] is False


def test_the_name_and_the_port_of_a_link_of_the_city_are_nobody_elses() -> None:
    own = "link:lg-zhihui.ge-1..lg-nanwan.ge-1"
    stolen = link(("lg-zhihui", "ge-1"), ("lg-nanwan", "ge-1"), rate=GBPS_10)
    crossed = link(("lg-zhihui", "ge-1"), A) | link(A, ("lg-zhihui", "ge-1"))
    world = plant({"district-ip": stolen | crossed})
    assert world.physical.links[own].rate_bps == 100 * 10**9
    assert world.physical.link_from["lg-zhihui", "ge-1"].id == own
    assert world.physical.link_up[own] is True
