"""The cities that ship: their facts, and that each hangs together and survives what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.city import CityError, available, load_city
from lab.inventory import configuration
from lab.optical.containers import slots_needed
from lab.plant.world import World


@pytest.mark.parametrize(("name", "otn", "routers"), [("longgang", 13, 13), ("kunming", 46, 46), ("wuhan", 37, 37)])
def test_a_city_has_the_nodes_of_its_facts(name: str, otn: int, routers: int) -> None:
    city = load_city(name)
    assert len(city.optical.nodes) == otn
    assert sum(len(d.nodes) for d in city.ip.values()) == routers


@pytest.mark.parametrize("name", available())
def test_every_link_and_circuit_of_a_city_is_up_when_nothing_is_broken(name: str) -> None:
    world = World(load_city(name))
    assert [k for k, up in world.physical.link_up.items() if not up] == []
    assert [s.reason for s in world.physical.circuits.states.values() if not s.up] == []
    assert all(s.margin_db is None or s.margin_db > 2 for s in world.physical.circuits.states.values())


@pytest.mark.parametrize("name", available())
def test_one_cut_never_splits_an_ip_domain(name: str) -> None:
    world = World(load_city(name))
    for fibre in world.city.optical.fibres:
        world.operate({"type": "cut", "fibre": fibre.id})
        for domain in world.city.ip.values():
            first = domain.nodes[0].id
            lost = [n.id for n in domain.nodes if world.forwarding.shortest(domain.name, first, n.id) is None]
            assert lost == [], f"{fibre.id} cuts off {lost}"
        world.operate({"type": "restore", "what": "all"})


@pytest.mark.parametrize("name", available())
def test_ids_are_unique(name: str) -> None:
    city = load_city(name)
    for ids in (
        [f.id for f in city.optical.fibres],
        [p.id for p in city.optical.client_ports],
        [c.id for c in city.optical.circuits],
        [n.router_id for d in city.ip.values() for n in d.nodes],
        [(p.node, p.id) for d in city.ip.values() for p in d.ports],
    ):
        assert len(ids) == len(set(ids))


def test_a_wrong_city_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CityError, match="there are kunming, longgang, wuhan"):
        load_city("atlantis")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: x\n")
    with pytest.raises(CityError, match=r"broken\.yaml"):
        load_city(str(broken))


def test_containers_take_the_slots_of_the_table() -> None:
    wanted = {
        ("ODU0", 10**9): 1,
        ("ODU2", 10**10): 8,
        ("ODU2e", 10**10): 8,
        ("ODUflex", 25 * 10**9): 20,
        ("ODU4", 10**11): 80,
    }
    assert {key: slots_needed(*key) for key in wanted} == wanted
    assert slots_needed("ODU0", 2 * 10**9) is None
    assert slots_needed("ODU9", 10**9) is None


def test_a_daemon_over_routers_that_take_no_links_is_told_so() -> None:
    city = load_city("longgang")
    assert "lightLinks" not in configuration(city, {}, "127.0.0.1:1", "127.0.0.1:2")
    assert configuration(city, {}, "127.0.0.1:1", "127.0.0.1:2", lights=False)["lightLinks"] is False
