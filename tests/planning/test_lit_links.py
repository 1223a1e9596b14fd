"""An IP link that is not there is lit where pinned tunnels find no room: the cheapest, once, for all who ride on it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.intent.model import Boundaries, ExclusiveSlice, Isolation, Protection, Service, ServiceId, Slo, Window
from controller.network.ledger import Ledger
from controller.network.lit import with_lit
from controller.network.model import CityMap
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import LitLink, Placement
from controller.store.codec import dumps, loads
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, plane, slice_between

NEAR = Slo(latency_s=0.00025, availability=0.9)  # the other way round the ring takes longer


def nrp(name: str, a: str, z: str, rate: int = 80 * GBPS, **more: object) -> ExclusiveSlice:
    given = {"isolation": Isolation.NRP, "protection": Protection.NONE, "slo": NEAR, **more}
    return slice_between(name, a, z, rate, **given)


FULL = nrp("full", "nanwan", "jihua", 92 * GBPS)
FIRST = nrp("first", "zhihui", "buji")
SECOND = nrp("second", "zhihui", "buji", 18 * GBPS)


class World:
    """A city and what stands in it, one change after the other, with the links that were lit on the map."""

    def __init__(self, city: CityMap) -> None:
        self.bare = self.city = city
        self.ledger = Ledger(city)
        self.standing: dict[ServiceId, tuple[Service, Placement]] = {}

    def lit(self) -> dict[str, LitLink]:
        return {k.id: k for _, p in self.standing.values() for k in p.lit_links}

    def put(self, *wanted: Service) -> PlanOutcome:
        outcome = place(self.city, self.ledger, wanted, self.standing, NOW)
        named = {s.metadata.service: s for s in wanted}
        self.standing |= {sid: (named[sid], p) for sid, p in outcome.placements.items()}
        self.ledger = outcome.ledger
        self._moved()
        return outcome

    def drop(self, name: ServiceId) -> None:
        del self.standing[name]
        self.ledger.remove(name)
        self._moved()

    def _moved(self) -> None:
        self.city = with_lit(self.bare, self.lit().values())
        self.ledger = self.ledger.on(self.city)

    def check(self) -> None:
        free = self.ledger.free_array()
        assert (free >= 0).all()
        ports = [ref for k in self.lit().values() for ref in (k.a, k.z)]
        assert len(set(ports)) == len(ports)
        for _, placement in self.standing.values():
            over = {r.link for r in placement.rates if r.link in self.city.lit}
            assert {k.id for k in placement.lit_links} == {self.city.lit[k].id for k in over}
            assert not any(k.startswith("link:") and k not in self.city.link_index for t in placement.tunnels
                           for k in t.working.links)  # fmt: skip


def _world(*wanted: Service) -> World:
    world = World(city_map("longgang"))
    for one in wanted:
        outcome = world.put(one)
        assert not outcome.refusals, outcome.refusals
    return world


def _links(world: World, name: str) -> list[str]:
    return [k.id for k in world.standing[ServiceId(f"gov/{name}")][1].lit_links]


def test_what_is_there_is_filled_first() -> None:
    world = _world(nrp("half", "nanwan", "jihua", 50 * GBPS), nrp("rest", "zhihui", "buji", 50 * GBPS))
    assert not world.lit()


def test_a_link_is_lit_where_none_has_room_and_the_plan_says_what_it_costs() -> None:
    world = _world(FULL, FIRST)
    placement = world.standing[FIRST.metadata.service][1]
    assert placement.notes == ("lights IP link lg-buji–lg-nanwan: 100 Gbit/s over f-nanwan-buji (price 31)",)
    (link,) = placement.lit_links
    assert link.id in placement.tunnels[0].working.links + placement.tunnels[1].working.links
    assert {r.resource for r in placement.labels if r.of_link} == {
        "port:otn-buji/otn-buji/c3", "port:otn-nanwan/otn-nanwan/c5", "channel:f-nanwan-buji",
    }  # fmt: skip
    world.check()


def test_others_ride_on_it_before_another_is_lit_and_it_stays_until_the_last_has_gone() -> None:
    world = _world(FULL, FIRST, SECOND)
    assert _links(world, "first") == _links(world, "second") != []
    assert world.standing[SECOND.metadata.service][1].notes[0].startswith("rides on IP link lg-buji–lg-nanwan")
    world.drop(FIRST.metadata.service)
    assert _links(world, "second") == list(world.lit())
    world.drop(SECOND.metadata.service)
    world.drop(FULL.metadata.service)
    assert world.city is world.bare
    assert world.ledger.dump() == Ledger(world.bare).dump()


def test_services_of_one_batch_share_what_the_first_of_them_lit() -> None:
    world = _world(FULL)
    outcome = world.put(FIRST, SECOND)
    assert not outcome.refusals
    assert len(world.lit()) == 1
    world.check()


def test_once_it_has_no_room_either_another_is_lit_beside_it() -> None:
    through, around = replace(NEAR, latency_s=0.0004), Boundaries(exclude_nodes=frozenset({"lg-zhihui"}))
    world = _world(
        nrp("a", "pinghu", "buji", 60 * GBPS, slo=through),
        nrp("b", "zhihui", "jihua", 60 * GBPS, slo=Slo(latency_s=0.0002, availability=0.9)),
    )
    (first,) = world.lit()
    assert not world.put(nrp("c", "nanwan", "bantian", 41 * GBPS, boundaries=around)).refusals
    assert len(world.lit()) > 1
    assert first not in _links(world, "c")
    world.check()


def test_two_links_are_lit_where_the_way_is_full_in_two_domains() -> None:
    west, east = nrp("west", "jihua", "nanwan", 60 * GBPS), nrp("east", "longgang", "baolong", 60 * GBPS)
    world = _world(west, east)
    assert not world.put(nrp("both", "buji", "pingdi", 50 * GBPS, slo=replace(NEAR, latency_s=0.00029))).refusals
    domains = [k.domain for k in world.standing[ServiceId("gov/both")][1].lit_links]
    assert sorted(domains) == ["city-ip", "district-ip"]
    world.check()


def test_it_is_not_lit_for_planes_and_routers_do_not_choose_it() -> None:
    world = _world(FULL, FIRST)
    index = world.city.link_index
    office = plane("office", "zhihui", "buji", "jihua", rate_bps=10**9)
    assert not world.put(office).refusals
    held = {r.link for r in world.standing[office.metadata.service][1].rates}
    assert not held & set(world.city.lit)
    assert all(world.city.links[index[k]].pinned for k in world.city.lit)


def test_no_way_of_a_plane_is_pinned_to_it() -> None:
    """It was the only way of plane B between the two, and would have gone from under the plane with its slice."""
    world = _world(FULL, FIRST)
    (refusal,) = world.put(plane("office", "nanwan", "buji", rate_bps=10**9, plane="B")).refusals
    assert refusal.binds == "no way that is up leads from lg-buji to lg-nanwan (boundaries: none, plane B)"


def test_the_same_asked_twice_gives_the_same_bytes_and_survives_the_store() -> None:
    one, other = _world(FULL, FIRST, SECOND), _world(FULL, FIRST, SECOND)
    assert repr(one.standing) == repr(other.standing)
    placement = one.standing[SECOND.metadata.service][1]
    assert loads(Placement, dumps(Placement, placement)) == placement


def test_in_a_window_it_stands_only_then_and_who_stays_needs_its_light_for_good() -> None:
    world = _world(FULL)
    window = Window(NOW + timedelta(hours=1), NOW + timedelta(hours=2))
    assert not world.put(replace(FIRST, window=window)).refusals
    held = [r for r in world.standing[FIRST.metadata.service][1].labels if r.of_link]
    assert held
    assert all((r.start, r.end) == (window.start, window.end) for r in held)
    # Nobody has its light afterwards: who comes for good takes it for good, and it is the same link.
    assert not world.put(SECOND).refusals
    assert len(world.lit()) == 1
    world.check()


def test_what_is_kept_where_it_is_keeps_its_link() -> None:
    world = _world(FULL, FIRST)
    before = world.standing[FIRST.metadata.service][1]
    world.put(FIRST)
    assert world.standing[FIRST.metadata.service][1] is before


def test_a_cut_fibre_moves_its_users_off_it() -> None:
    world = _world(FULL, FIRST)
    (old,) = world.lit().values()
    fibres = {n: replace(f, up=f.up and n not in old.fibres) for n, f in world.city.fibres.items()}
    links = tuple(replace(k, up=k.up and not set(k.fibres) & set(old.fibres)) for k in world.city.links)
    world.city = replace(world.city, fibres=fibres, links=links)
    wide = replace(FIRST, slo=Slo(latency_s=0.01, availability=0.9))
    outcome = world.put(wide)
    assert not outcome.refusals
    assert old.id not in world.lit()


def test_none_is_lit_in_a_domain_that_cannot_be_reached() -> None:
    for name in ("city-ip", "city-otn"):
        world = _world(FULL)
        lost = replace(world.city.domains[name], stale=True)
        world.city = replace(world.city, domains={**world.city.domains, name: lost})
        assert world.put(FIRST).refusals


def test_light_goes_around_a_fibre_that_wears_out_where_it_can() -> None:
    others = frozenset({"lg-bantian", "lg-pinghu", "lg-compute-a", "lg-henggang", "lg-longgang"})
    loose = Slo(latency_s=0.01, availability=0.5)
    wide = replace(FIRST, slo=loose, boundaries=Boundaries(exclude_nodes=others))
    for worn in (False, True):
        world = _world(FULL)
        world.city = replace(world.city, fading=frozenset({"f-nanwan-buji"} if worn else ()))
        assert not world.put(wide).refusals
        (link,) = world.lit().values()
        assert ("f-nanwan-buji" in link.fibres) is not worn


def _light_taken(world: World) -> LitLink:
    """Show the light of the only link that is lit or to be lit as taken, and by nobody known; return the link."""
    (link,) = world.lit().values()
    (fibre,) = link.fibres
    taken = world.bare.fibres[fibre].occupied | {link.circuit.working.channel}
    shown = replace(world.bare.fibres[fibre], occupied=taken)
    world.bare = replace(world.bare, fibres={**world.bare.fibres, fibre: shown})
    world.city = with_lit(world.bare, world.lit().values())
    return link


def test_a_link_that_is_only_reserved_is_not_ridden_once_somebody_unknown_has_its_light() -> None:
    window = Window(NOW + timedelta(hours=1), NOW + timedelta(hours=2))
    world = _world(FULL, replace(FIRST, window=window))
    reserved = _light_taken(world)
    assert not world.put(SECOND).refusals
    assert _links(world, "second") != [reserved.id]


def test_a_link_that_is_lit_is_ridden_though_its_light_was_read_as_somebody_else_s_while_that_was_done() -> None:
    world = _world(FULL, FIRST)
    link = _light_taken(world)
    assert not world.put(replace(FIRST, slo=replace(FIRST.slo, loss_ratio=0.5))).refusals
    assert not world.put(SECOND).refusals
    assert _links(world, "first") == _links(world, "second") == [link.id]


SITES = ("zhihui", "nanwan", "buji", "jihua", "bantian", "pinghu")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(SITES), st.sampled_from(SITES), st.integers(1, 9), st.booleans()).filter(
            lambda t: t[0] != t[1]
        ),
        min_size=3, max_size=9,
    ),
    st.integers(0, 2**16),
)  # fmt: skip
def test_in_any_order_nothing_is_over_booked_and_nothing_is_left(
    wishes: list[tuple[str, str, int, bool]], seed: int
) -> None:
    world, order = World(city_map("longgang")), random.Random(seed)
    for n, (a, z, tens, protected) in enumerate(wishes):
        how = Protection.STANDBY if protected else Protection.NONE
        world.put(nrp(f"s{n}", a, z, tens * 10 * GBPS, protection=how, slo=Slo(latency_s=0.01, availability=0.5)))
        world.check()
        if world.standing and order.random() < 0.3:
            world.drop(order.choice(sorted(world.standing)))
            world.check()
    for name in order.sample(sorted(world.standing), len(world.standing)):
        world.drop(name)
        world.check()
    assert world.ledger.dump() == Ledger(world.bare).dump()
