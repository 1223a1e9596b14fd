"""Light joins routers of one domain that nothing joins any more: the nearest of both parts, or those that it is for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.model import Boundaries, ExclusiveSlice, Isolation, Protection, ServiceId, Slo
from controller.network.ledger import Ledger
from controller.network.merge import merge
from controller.network.model import CityMap
from controller.network.outage import without
from controller.planning.at_any_rate import at_any_rate
from controller.planning.emergency import is_emergency
from controller.planning.layers import layers
from controller.planning.parted import gaps
from controller.planning.place import place
from tests.planning.test_lit_links import World
from tests.support.cities import city_map, inventory, topologies
from tests.support.intents import GBPS, NOW, conference, plane, slice_between

CITY = city_map("longgang")
LOOSE = Slo(latency_s=0.02, availability=0.5)
BAOLONG = (("longgang", "baolong"), ("baolong", "pingdi"))  # all links of one router of the district
HALVES = (("buji", "jihua"), ("pinghu", "zhihui"), ("bantian", "zhihui"))  # all links between two parts of the city
ROOT = "nothing that is up and within the boundaries joins"


def _ids(*ends: tuple[str, str]) -> frozenset[str]:
    wanted = {frozenset((f"node:lg-{a}", f"node:lg-{z}")) for a, z in ends}
    found = frozenset(k.id for k in CITY.links if frozenset((k.src.node, k.dst.node)) in wanted)
    assert len(found) == 2 * len(ends)
    return found


def _torn(*ends: tuple[str, str]) -> CityMap:
    """Return the city with these links down, and no fibre."""
    return without(CITY, {f"link:{k}" for k in _ids(*ends)})


def _nrp(name: str, a: str, z: str, rate_bps: int = GBPS, **more: object) -> ExclusiveSlice:
    asked = {"isolation": Isolation.NRP, "protection": Protection.NONE, "slo": LOOSE, **more}
    return slice_between(name, a, z, rate_bps, **asked)


def _lit(world: World) -> list[tuple[str, str]]:
    found = [(k.a.node.removeprefix("node:lg-"), k.z.node.removeprefix("node:lg-")) for k in world.lit().values()]
    return sorted((min(ends), max(ends)) for ends in found)


def _put(city: CityMap, *wanted: ExclusiveSlice) -> World:
    world = World(city)
    for one in wanted:
        outcome = world.put(one)
        assert not outcome.refusals, outcome.refusals[0]
        world.check()
    return world


def test_a_router_that_has_lost_all_its_links_is_joined_by_light_and_the_plan_says_what_it_costs() -> None:
    world = _put(_torn(*BAOLONG), _nrp("cut-off", "longgang", "baolong"))
    (placement,) = (p for _, p in world.standing.values())
    assert placement.notes == ("lights IP link lg-baolong–lg-longgang: 100 Gbit/s over f-longgang-baolong (price 31)",)
    assert not world.put(_nrp("next", "pingdi", "baolong")).refusals
    assert len(world.lit()) == 1  # it is there by now, and comes first
    for name in sorted(world.standing):
        world.drop(name)
    assert world.city is world.bare


def test_so_is_one_whose_links_its_domain_does_not_know_any_more() -> None:
    gone = _ids(*BAOLONG)
    told = tuple(replace(t, links=tuple(k for k in t.links if k.id not in gone)) for t in topologies("longgang"))
    city = merge(told, inventory("longgang"), 1, frozenset())
    assert gone.isdisjoint(k.id for k in city.links)
    assert _lit(_put(city, _nrp("cut-off", "longgang", "baolong"))) == [("baolong", "longgang")]


@pytest.mark.parametrize("left", [*BAOLONG])
def test_nothing_is_lit_while_there_is_any_way(left: tuple[str, str]) -> None:
    assert not _put(_torn(*(set(BAOLONG) - {left})), _nrp("far", "longgang", "baolong")).lit()


def test_of_two_parts_the_nearest_routers_are_joined_whoever_it_is_for() -> None:
    assert _lit(_put(_torn(*HALVES), _nrp("across", "nanwan", "bantian"))) == [("buji", "jihua")]


def test_where_that_is_too_long_a_way_it_goes_straight_from_end_to_end() -> None:
    ends = _torn(*HALVES)
    slow = _put(ends, _nrp("slow", "zhihui", "bantian")).standing[ServiceId("gov/slow")][1].promises[0].delay_s
    quick = _nrp("quick", "zhihui", "bantian", slo=replace(LOOSE, latency_s=slow * 0.7))
    assert _lit(_put(ends, quick)) in ([("bantian", "zhihui")], [("pinghu", "zhihui")])


def test_a_router_without_a_port_to_spare_is_reached_over_its_neighbour() -> None:
    city = _torn(*HALVES)
    taken = {"node:lg-buji", "node:lg-jihua", "node:lg-nanwan", "node:lg-bantian"}
    ports = {r: replace(p, up=False) if p.role == "otn" and r.node in taken else p for r, p in city.ports.items()}
    assert _lit(_put(replace(city, ports=ports), _nrp("across", "nanwan", "bantian"))) == [("pinghu", "zhihui")]


def test_two_domains_that_are_both_in_parts_are_joined_together() -> None:
    world = _put(_torn(*BAOLONG, *HALVES), _nrp("both", "bantian", "baolong"))
    assert len(world.lit()) == 2
    assert sorted(k.domain for k in world.lit().values()) == ["city-ip", "district-ip"]


@pytest.mark.parametrize(
    ("more", "binds"),
    [
        ({"slo": Slo(latency_s=1e-6, availability=0.5)}, ROOT),
        ({"boundaries": Boundaries(exclude_nodes=frozenset({"otn-baolong"}))}, ROOT),
        ({"boundaries": Boundaries(exclude_nodes=frozenset({"lg-baolong"}))}, "lg-baolong is outside the boundaries"),
        ({"protection": Protection.STANDBY}, ROOT),
    ],
)
def test_what_light_cannot_mend_is_refused_with_what_binds(more: dict[str, object], binds: str) -> None:
    world = World(_torn(*BAOLONG))
    (refusal,) = world.put(_nrp("cut-off", "longgang", "baolong", **more)).refusals
    assert binds in refusal.binds
    assert not world.lit()


def test_light_of_the_other_plane_is_no_way_for_who_keeps_to_one() -> None:
    torn = _torn(*BAOLONG)
    fibres = {n: replace(f, plane="A") for n, f in torn.fibres.items()}
    for only, placed in (("A", True), ("B", False)):
        world = World(replace(torn, fibres=fibres))
        assert bool(world.put(_nrp("cut-off", "longgang", "baolong", plane=only)).refusals) is not placed
        assert bool(world.lit()) is placed


def test_light_goes_around_whom_it_is_to_keep_away_from_and_nobody_has_a_second_way_lit() -> None:
    hard = _nrp("hard", "longgang", "baolong", isolation=Isolation.TIMESLOT)
    apart = _nrp("apart", "longgang", "baolong", diverse_from=(hard.metadata.service,))
    world = _put(_torn(*BAOLONG), hard, apart)
    (link,) = world.lit().values()
    assert "f-longgang-baolong" not in link.fibres
    third = _nrp("third", "pingdi", "baolong", diverse_from=(apart.metadata.service,))
    (refusal,) = world.put(third).refusals  # there is a way, though not for this one
    assert len(world.lit()) == 1
    assert refusal.binds


def test_where_planning_may_light_nothing_a_slice_is_told_what_would_carry_it() -> None:
    world = World(replace(_torn(*BAOLONG), lights=False))
    (refusal,) = world.put(_nrp("cut-off", "longgang", "baolong")).refusals
    offer = "as asked, once an IP link lg-baolong–lg-longgang is lit: 100 Gbit/s over f-longgang-baolong (price 31)"
    assert offer in refusal.would_fit


def test_nothing_is_lit_without_a_port_without_fibre_to_a_dead_router_or_in_a_domain_out_of_reach() -> None:
    torn = _torn(*BAOLONG)
    spare = {r for r, p in torn.ports.items() if r.node == "node:lg-baolong" and p.role == "otn"}
    ports = {r: replace(p, up=False) if r in spare else p for r, p in torn.ports.items()}
    lost = replace(torn.domains["city-otn"], stale=True)
    for city in (
        replace(torn, ports=ports),
        without(torn, {"fibre:f-longgang-baolong", "fibre:f-baolong-pingdi"}),
        without(torn, {"node:node:lg-baolong"}),
        without(torn, {"node:otn-baolong"}),
        replace(torn, domains={**torn.domains, "city-otn": lost}),
    ):
        world = World(city)
        assert world.put(_nrp("cut-off", "longgang", "baolong")).refusals
        assert not world.lit()


def test_it_is_not_lit_for_a_vip_whose_plane_has_come_apart() -> None:
    office = plane("office", "longgang", "baolong")
    world = World(CITY)
    assert not world.put(office).refusals
    world.city = world.bare = _torn(*BAOLONG)
    world.ledger = world.ledger.on(world.city)
    vip = conference("flood", "office", "longgang", "baolong", slo=Slo(latency_s=0.05, availability=0.5))
    (refusal,) = world.put(vip).refusals
    assert ROOT in refusal.binds
    assert not world.lit()


def test_a_repair_lights_one_way_for_whom_two_were_promised_where_nothing_carries_him_otherwise() -> None:
    wanted = _nrp("guarded", "longgang", "baolong", protection=Protection.STANDBY)
    name = wanted.metadata.service
    standing = {name: (wanted, _put(CITY, wanted).standing[name][1])}
    torn = _torn(*BAOLONG)
    ledger = Ledger(torn)
    ledger.add(standing[name][1])
    first = place(torn, ledger, [wanted], standing, NOW, explain=False)
    assert first.refusals
    found = at_any_rate(torn, first, [wanted], standing, NOW, {name})
    assert not found.refusals
    assert found.placements[name].lit_links
    assert is_emergency(found.placements[name])


def test_it_is_not_lit_for_a_plane() -> None:
    world = World(_torn(*BAOLONG))
    (refusal,) = world.put(plane("office", "longgang", "baolong")).refusals
    assert "no way that is up leads" in refusal.binds


def test_where_one_gap_of_several_cannot_be_joined_none_is() -> None:
    net = layers(_torn(*BAOLONG, *HALVES))
    both = [("city-ip", "node:lg-bantian", "node:lg-zhihui"), ("district-ip", "node:lg-baolong", "node:lg-longgang")]

    def cabled(router: str) -> frozenset[str]:
        return frozenset(client.ref.node for _, client in net.spare[router])

    assert len(gaps(net, net.up, both, cabled)) == 2
    assert gaps(net, net.up, both, lambda router: cabled(router) if router != "node:lg-baolong" else frozenset()) == ()
    assert gaps(net, net.up, both[:1], cabled)[0].pairs[0] == ("node:lg-buji", "node:lg-jihua")


CITY_LINKS = sorted({tuple(sorted((k.src.node, k.dst.node))) for k in CITY.links if k.domain == "city-ip"})
SITES = ("zhihui", "nanwan", "buji", "jihua", "bantian", "pinghu")


@settings(max_examples=25, deadline=None)
@given(
    down=st.sets(st.sampled_from(CITY_LINKS), min_size=3, max_size=7),
    wishes=st.lists(st.lists(st.sampled_from(SITES), min_size=2, max_size=2, unique=True), min_size=1, max_size=4),
)
def test_whatever_links_are_down_who_asks_for_little_more_than_a_way_gets_one_over_what_is_there_first(
    down: Iterable[tuple[str, str]], wishes: list[list[str]]
) -> None:
    gone = {tuple(ends) for ends in down}
    ids = {f"link:{k.id}" for k in CITY.links if tuple(sorted((k.src.node, k.dst.node))) in gone}
    world = World(without(CITY, ids))
    for number, (a, z) in enumerate(wishes):
        net, before = layers(world.city), len(world.lit())
        joined = net.ip.shortest(f"node:lg-{a}", f"node:lg-{z}", net.inside["city-ip"] & net.up) is not None
        assert not world.put(_nrp(f"s{number}", a, z)).refusals
        assert len(world.lit()) == before + (not joined)
        world.check()


def test_a_slice_to_a_site_without_a_port_is_refused_for_that() -> None:
    bare = replace(CITY, sites={**CITY.sites, "baolong": replace(CITY.sites["baolong"], access=None)})
    (refusal,) = World(bare).put(_nrp("nowhere", "longgang", "baolong")).refusals
    assert "no IP port is known at site baolong" in refusal.binds
