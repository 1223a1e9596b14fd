"""Delay, loss and jitter follow from configuration, offered traffic and faults, and cost little while idle."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plant_units import access, node, office, vpn
from test_plant_forwarding import LONGGANG, RIGHT, on_circuit, plant, sliced

from lab.plant.light import margin_db, pre_fec_ber
from lab.plant.queues import waits_and_losses
from lab.plant.world import PLANE_TURNS, World


def sampled(world: World, domain: str = "city-ip") -> dict[str, Any]:
    for _ in world.refresh():
        pass
    found: dict[str, Any] = {}
    for _ in range(PLANE_TURNS):  # until every access had its turn
        for kind, values in world.samples()[domain].items():
            found.setdefault(kind, {}).update(values)
    return found


def test_an_access_tells_its_worst_promised_peer() -> None:
    world = plant(office())
    here = sampled(world)["accesses"]["office/office.buji"]
    assert (here["reachable"], here["expected"]) == (2, 2)
    assert here["throughput_bps"] == pytest.approx(300e6, rel=0.01)
    assert 0.0001 < here["delay_s"] < 0.001
    assert here["loss_ratio"] < 1e-6
    world.operate({"type": "down", "node": "lg-baolong"})
    assert sampled(world)["accesses"]["office/office.buji"]["reachable"] == 1


def test_a_degradation_is_felt_by_all_that_pass_and_by_nobody_else() -> None:
    world = plant(office())
    before = sampled(world)["accesses"]
    world.operate({"type": "degrade", "link": "f-zhihui-longcheng", "loss": 0.01, "delay_s": 0.005})
    after = sampled(world)["accesses"]["office/office.buji"]
    assert after["loss_ratio"] == pytest.approx(0.01, rel=0.05)
    assert after["delay_s"] - before["office/office.buji"]["delay_s"] == pytest.approx(0.005, rel=0.05)
    world.operate({"type": "restore", "what": "all"})
    assert sampled(world)["accesses"]["office/office.buji"]["loss_ratio"] < 1e-6


def test_an_unsteady_fibre_varies_for_all_that_pass_and_is_no_slower() -> None:
    world = plant(office())
    before = sampled(world)
    assert before["accesses"]["office/office.buji"]["jitter_s"] < 1e-6
    world.operate({"type": "degrade", "link": "f-zhihui-longcheng", "jitter_s": 0.003})
    after = sampled(world)
    varied = {link for link, values in after["links"].items() if values["jitter_s"] > 1e-3}
    link = "link:lg-zhihui.ge-4..lg-longgang.ge-3"
    assert varied == {link}
    assert after["links"][link]["jitter_s"] == pytest.approx(0.003, rel=1e-3)
    assert after["links"][link]["delay_s"] == pytest.approx(before["links"][link]["delay_s"], abs=1e-6)
    assert after["links"][link]["least_delay_s"] == pytest.approx(after["links"][link]["delay_s"], abs=1e-6)
    here = after["accesses"]["office/office.buji"]
    assert here["jitter_s"] == pytest.approx(0.003, rel=1e-3)
    assert here["delay_s"] == pytest.approx(before["accesses"]["office/office.buji"]["delay_s"], abs=1e-6)
    assert here["loss_ratio"] < 1e-6
    world.operate({"type": "degrade", "link": link, "jitter_s": 0.004})  # 3 ms below it, 4 ms of its own
    assert sampled(world)["links"][link]["jitter_s"] == pytest.approx(0.005, rel=1e-3)
    world.operate({"type": "restore", "what": "all"})
    assert sampled(world)["accesses"]["office/office.buji"]["jitter_s"] < 1e-6


def test_a_circuit_varies_with_its_fibres_and_its_line_card() -> None:
    world = on_circuit()
    under = world.physical.circuits.odu_links["odu-f-nanwan-buji-1"].circuit
    for way, jitter_s in (("f-nanwan-buji", 0.003), ("f-zhihui-nanwan", 0.004), (under, 0.012)):
        world.operate({"type": "degrade", "link": way, "jitter_s": jitter_s})
    states = world.physical.circuits.states
    assert states["t.s/buji-zhihui"].jitter_s == pytest.approx(0.013)  # √(3² + 4² + 12²)
    assert states["t.s/buji-zhihui"].loss == 0.0
    assert sampled(world)["accesses"]["t.s/t.s.buji"]["jitter_s"] == pytest.approx(0.013, rel=1e-3)
    world.operate({"type": "restore", "what": under})
    assert sampled(world)["accesses"]["t.s/t.s.buji"]["jitter_s"] == pytest.approx(0.005, rel=1e-3)


def test_a_wavelength_is_as_late_as_its_line_card_was_made_to_be() -> None:
    world = on_circuit()
    under = world.physical.circuits.odu_links["odu-f-nanwan-buji-1"].circuit
    before_s = world.physical.circuits.states["t.s/buji-zhihui"].latency_s
    world.operate({"type": "degrade", "link": under, "delay_s": 0.005})
    assert world.physical.circuits.states["t.s/buji-zhihui"].latency_s == pytest.approx(before_s + 0.005)


def test_more_than_the_hose_is_policed() -> None:
    world = plant(office())
    world.operate({"type": "offer", "vpn": "office", "access": "buji", "rate_bps": 2e9})
    assert sampled(world)["accesses"]["office/office.buji"]["loss_ratio"] == pytest.approx(0.5, abs=0.01)


def test_a_partition_does_not_feel_the_crowd_beside_it() -> None:
    links = ("link:lg-buji.ge-1..lg-nanwan.ge-2", "link:lg-nanwan.ge-1..lg-zhihui.ge-1")
    world = sliced(RIGHT, nrp="7", links=links)
    crowd = [
        node("lg-buji", 65001, [access("c.buji", "acc-1", 900, "172.16.3.1", "172.16.3.2", ("10.8.0.0/24",))]),
        node("lg-nanwan", 65001, [access("c.nanwan", "acc-1", 900, "172.16.3.5", "172.16.3.6", ("10.9.0.0/24",))]),
    ]
    for n in crowd:
        n["vpn-network-accesses"]["vpn-network-access"][0]["service"]["ce-to-pe-bandwidth"] = "200000000000"
    world.configure("city-ip", {"vpn-service/c": vpn("c", "0:65001:8", crowd)}, [], replace=False)
    world.operate({"type": "offer", "vpn": "c", "access": "buji", "rate_bps": 150e9})
    samples = sampled(world)
    assert samples["accesses"]["c/c.buji"]["loss_ratio"] > 0.3
    assert samples["accesses"]["x/x.buji"]["loss_ratio"] < 1e-6
    assert samples["tunnels"]["slice/x"]["throughput_bps"] == pytest.approx(300e6)


def test_a_circuit_is_measured_by_its_own_domain() -> None:
    world = on_circuit()
    circuits = sampled(world, "city-otn")["circuits"]
    assert circuits["t.s/buji-zhihui"]["latency_s"] == pytest.approx(
        20_000 * 4.897e-9 + 3 * 10e-6 + 2 * 11e-6, rel=0.02
    )
    assert sampled(world)["accesses"]["t.s/t.s.buji"]["reachable"] == 1


@given(st.lists(st.floats(0, 5e9), min_size=8, max_size=8))
def test_a_higher_queue_never_waits_or_loses_more(load: list[float]) -> None:
    wait, loss = waits_and_losses(np.array([load]), np.array([10e9]))
    assert all(wait[0, k] >= wait[0, k + 1] - 1e-12 for k in range(7))
    assert all(loss[0, k] < 1e-9 for k in range(8) if sum(load[k:]) <= 10e9)
    carried = sum(load[k] * (1 - loss[0, k]) for k in range(8))
    assert carried <= 10e9 * (1 + 1e-6)


def test_light_loses_margin_hop_by_hop_as_the_reference_says() -> None:
    typical = {1: 16.3, 3: 13.1, 6: 10.6, 10: 8.5}  # GNPy, 100G, after 2 dB of planning margin
    for hops, left in typical.items():
        margin = margin_db("100G QPSK oFEC", [4.0] * hops)
        assert margin is not None
        assert margin - 2 == pytest.approx(left, abs=0.7)
    assert pre_fec_ber("100G QPSK oFEC", 0.0) == pytest.approx(2e-2, rel=0.1)


def big_plane(sites: int) -> dict[str, dict[str, Any]]:
    names = [n.id for n in LONGGANG.ip["city-ip"].nodes]
    accesses: dict[str, list[Any]] = {n: [] for n in names}
    for n in range(sites):
        base = f"172.{16 + n // 16384}.{n // 64 % 256}.{n % 64 * 4}"
        stem, last = base.rsplit(".", 1)
        lan = f"10.{n // 256}.{n % 256}.0/24"
        ours, theirs = f"{stem}.{int(last) + 1}", f"{stem}.{int(last) + 2}"
        accesses[names[n % len(names)]].append(access(f"fin.{n:04}", "acc-1", 100 + n, ours, theirs, (lan,)))
    nodes = [node(name, 65001, entries) for name, entries in accesses.items()]
    return {"city-ip": {"vpn-service/fin": vpn("fin", "0:65001:99", nodes)}}


@pytest.mark.alone
def test_a_plane_of_1300_accesses_is_cheap_while_nothing_changes() -> None:
    world = World(LONGGANG)
    start = time.perf_counter()
    for domain, put in big_plane(1300).items():
        world.configure(domain, put, [], replace=True)
    samples = sampled(world)
    built = time.perf_counter() - start
    assert len(samples["accesses"]) == 1300
    assert all(s["reachable"] == s["expected"] == 3 for s in samples["accesses"].values())
    start = time.process_time()
    for _ in range(3):
        sampled(world)
    tick = (time.process_time() - start) / 3
    print(f"built in {built:.2f} s, a tick {tick * 1e3:.1f} ms")
    assert tick < 0.15


def test_a_class_is_measured_apart_in_its_own_queue() -> None:
    units = office()
    party = units["city-ip"]["vpn-service/office"]["vpn-nodes"]["vpn-node"][0]["vpn-network-accesses"][
        "vpn-network-access"
    ][0]
    party["service"]["qos"] = {
        "qos-classification-policy": {
            "rule": [
                {
                    "id": "vip.c.p.vid",
                    "ipv4": {"protocol": "17", "destination-ipv4-network": "10.2.0.10/32"},
                    "udp": {"destination-port-range-or-operator": {"lower-port": "20000", "upper-port": "20999"}},
                    "target-class-id": "vip.c.video",
                }
            ]
        },
        "qos-action": {
            "rule": [{"id": "v", "target-class-id": "vip.c.video", "queue": "6", "committed-rate": "8000000"}]
        },
    }
    world = plant(units)
    world.operate({"type": "offer", "vpn": "office", "access": "buji", "rate_bps": 0.99e9})
    flow = sampled(world)["flows"]["vip.c.video@office/office.buji"]
    assert flow["reachable"] == 1
    assert flow["throughput_bps"] == pytest.approx(0.6 * 8e6)
    video = {"type": "trace", "vpn": "office", "access": "buji", "dst": "10.2.0.10", "proto": "udp", "port": 20000}
    assert "class vip.c.video, queue 6" in world.operate(video)["hops"][0]
    assert "class" not in world.operate({**video, "port": 5060})["hops"][0]
