from __future__ import annotations

import time
from dataclasses import replace

import pytest

from controller.network.discovered import DiscoveredCircuit, DomainTopology
from controller.network.inventory import Inventory
from controller.network.merge import merge
from controller.network.model import CityMap, PortRef
from tests.support.cities import city_map, inventory, topologies


def _merged(*changed: DomainTopology, facts: Inventory | None = None) -> CityMap:
    by_name = {t.domain: t for t in topologies("longgang")} | {t.domain: t for t in changed}
    return merge(tuple(by_name.values()), facts or inventory("longgang"), 2, frozenset())


def _domain(name: str) -> DomainTopology:
    return next(t for t in topologies("longgang") if t.domain == name)


def test_the_city_merges_without_problems() -> None:
    city = city_map("longgang")
    assert city.problems == ()
    assert len([k for k in city.links if k.border]) == 8
    assert [k.id for k in city.links] == sorted(k.id for k in city.links)


def test_borders_join_in_both_directions_and_are_ranked() -> None:
    city = city_map("longgang")
    there = city.link_by_id["link:lg-zhihui.ge-4..lg-longgang.ge-3"]
    assert there.border
    assert city.link_by_id[there.reverse].reverse == there.id
    assert there.rank == 1
    assert city.link_by_id["link:lg-nanwan.ge-3..lg-henggang.ge-3"].rank == 2


def test_without_ranks_in_the_inventory_the_shorter_border_is_first() -> None:
    city = _merged(facts=replace(inventory("longgang"), links={}))
    assert city.link_by_id["link:lg-zhihui.ge-4..lg-longgang.ge-3"].rank == 1


def test_an_ip_link_carries_the_risks_of_the_fibres_under_its_circuit() -> None:
    link = city_map("longgang").link_by_id["link:lg-zhihui.ge-4..lg-longgang.ge-3"]
    assert link.circuit == "infra/lg-zhihui.ge-4-lg-longgang.ge-3"
    assert link.srlgs == {1007, 1008}


def test_a_spare_port_knows_the_client_port_it_is_cabled_to() -> None:
    city = city_map("longgang")
    port = city.ports[PortRef("node:lg-buji", "tp:otn-1")]
    assert port.role == "otn"
    assert port.peer is not None
    assert city.ports[port.peer].peer == port.ref


def test_sites_know_their_access_and_their_client_ports() -> None:
    site = city_map("longgang").sites["longcheng"]
    assert site.access == PortRef("node:lg-zhihui", "tp:acc-2")
    assert len(site.client_ports) == 4


def test_a_cut_fibre_takes_its_ip_link_and_its_odu_link_down() -> None:
    optics = _domain("city-otn")
    fibres = tuple(replace(f, up=f.id != "f-zhihui-nanwan") for f in optics.fibres)
    city = _merged(replace(optics, fibres=fibres))
    assert not city.link_by_id["link:lg-zhihui.ge-1..lg-nanwan.ge-1"].up
    assert not city.odu_links["odu-f-zhihui-nanwan-1"].up
    assert city.link_by_id["link:lg-nanwan.ge-2..lg-buji.ge-1"].up


def test_labels_of_our_own_circuits_are_left_to_the_ledger() -> None:
    optics = _domain("city-otn")
    fibres = tuple(replace(f, occupied=f.occupied | {9}) if f.id == "f-nanwan-buji" else f for f in optics.fibres)
    ours = DiscoveredCircuit(
        "gov.x/a-z",
        "gov/x",
        "otn-buji/c3",
        "otn-nanwan/c6",
        "wavelength",
        10**10,
        ("f-nanwan-buji",),
        (),
        1e-4,
        channel=9,
    )
    assert (
        9
        not in _merged(replace(optics, fibres=fibres, circuits=(*optics.circuits, ours)))
        .fibres["f-nanwan-buji"]
        .occupied
    )
    foreign = replace(ours, owner="acme")
    assert (
        9
        in _merged(replace(optics, fibres=fibres, circuits=(*optics.circuits, foreign)))
        .fibres["f-nanwan-buji"]
        .occupied
    )


def test_a_node_in_two_domains_is_reported() -> None:
    district = _domain("district-ip")
    twice = replace(_domain("compute-ip"), nodes=(*_domain("compute-ip").nodes, district.nodes[0]))
    assert any("node:lg-longgang is in domain" in p for p in _merged(twice).problems)


def test_a_plug_without_a_partner_is_reported_and_makes_no_link() -> None:
    compute = _domain("compute-ip")
    city = _merged(replace(compute, ports=tuple(replace(p, plug=None) for p in compute.ports)))
    assert any("plug 'lg-zhihui.ge-5|lg-compute-a.ge-2' is carried by" in p for p in city.problems)
    assert "link:lg-zhihui.ge-5..lg-compute-a.ge-2" not in city.link_by_id


def test_an_unmatched_lock_id_is_reported() -> None:
    optics = _domain("city-otn")
    ports = tuple(replace(p, lock_id=None) if p.id == "otn-buji/c3" else p for p in optics.ports)
    assert any(p.startswith("lock id") for p in _merged(replace(optics, ports=ports)).problems)


def test_capacities_that_differ_at_the_two_ends_are_reported() -> None:
    compute = _domain("compute-ip")
    links = tuple(replace(k, capacity_bps=10**9) if k.dst is None else k for k in compute.links)
    assert any("each direction is used as told" in p for p in _merged(replace(compute, links=links)).problems)


def test_an_unknown_site_is_reported() -> None:
    facts = inventory("longgang")
    nodes = {**facts.nodes, "node:lg-buji": replace(facts.nodes["node:lg-buji"], site="atlantis")}
    assert any("atlantis" in p for p in _merged(facts=replace(facts, nodes=nodes)).problems)


def test_a_stale_domain_is_marked() -> None:
    city = merge(topologies("longgang"), inventory("longgang"), 3, frozenset({"city-ip"}))
    assert city.domains["city-ip"].stale
    assert not city.domains["city-otn"].stale


@pytest.mark.alone
def test_merging_is_quick_and_does_not_depend_on_the_order_of_domains() -> None:
    started = time.perf_counter()
    one = merge(topologies("longgang"), inventory("longgang"), 1, frozenset())
    assert time.perf_counter() - started < 0.1
    assert one == merge(tuple(reversed(topologies("longgang"))), inventory("longgang"), 1, frozenset())
