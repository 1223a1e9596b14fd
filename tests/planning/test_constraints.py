"""Every constraint alone and some together: kept where they can be, named where they cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.model import (
    Boundaries,
    Disjointness,
    ExclusiveSlice,
    Isolation,
    Protection,
    Service,
    ServiceId,
    Slo,
)
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import Placement
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, WINDOW, conference, plane, slice_between
from tests.support.invariants import check_all

CITY = city_map("longgang")
LOOSE = Slo(latency_s=0.02, availability=0.9)


def _plan(*wanted: Service, city: CityMap = CITY, ledger: Ledger | None = None) -> PlanOutcome:
    outcome = place(city, ledger or Ledger(city), wanted, {}, NOW)
    check_all(city, {s.metadata.service: s for s in wanted}, outcome.placements)
    return outcome


def _one(wanted: Service, city: CityMap = CITY) -> Placement:
    outcome = _plan(wanted, city=city)
    assert outcome.refusals == (), str(outcome.refusals[0])
    return outcome.placements[wanted.metadata.service]


def _binds(wanted: Service, city: CityMap = CITY) -> str:
    (refusal,) = _plan(wanted, city=city).refusals
    return refusal.binds


def _inner(placement: Placement) -> list[set[str]]:
    """The nodes between the ends, of the working and of the standby path of a slice's only circuit."""
    (circuit,) = placement.circuits
    ends = {circuit.a.node, circuit.z.node}
    legs = [leg for leg in (circuit.working, circuit.protect) if leg is not None]
    parts = {**CITY.fibres, **CITY.odu_links}
    return [{n for hop in leg.route for n in (parts[hop].a, parts[hop].z)} - ends for leg in legs]


# Hops


@pytest.mark.parametrize("isolation", [Isolation.TIMESLOT, Isolation.WAVELENGTH, Isolation.NRP])
def test_a_slice_keeps_its_hop_limit_on_every_path(isolation: Isolation) -> None:
    wanted = slice_between("h", "buji", "pinghu", isolation=isolation, slo=replace(LOOSE, most_hops=3))
    placed = _one(wanted)
    routes = [leg.route for c in placed.circuits for leg in (c.working, c.protect) if leg is not None]
    routes += [t.working.links for t in placed.tunnels]
    assert max(map(len, routes)) == 3
    too_few = replace(wanted, slo=replace(LOOSE, most_hops=2))
    assert (
        _binds(too_few)
        == {
            Isolation.TIMESLOT: "hops: the shortest way from otn-buji to otn-pinghu is led over 3 links",
            Isolation.WAVELENGTH: "hops: the shortest way from otn-buji to otn-pinghu is led over 3 links",
            Isolation.NRP: "hops: the shortest way from lg-buji to lg-pinghu is led over 3 links",
        }[isolation]
    )


def test_a_standby_keeps_the_hop_limit_too() -> None:
    asked = {"protection": Protection.STANDBY, "isolation": Isolation.TIMESLOT}
    wanted = slice_between("h", "buji", "nanwan", slo=replace(LOOSE, most_hops=5), **asked)
    circuit = _one(wanted).circuits[0]
    assert circuit.protect is not None
    assert sorted(len(leg.route) for leg in (circuit.working, circuit.protect)) == [1, 5]
    four = replace(wanted, slo=replace(LOOSE, most_hops=4))
    assert _binds(four) == "hops: the shortest standby from otn-buji to otn-nanwan is led over 5 links"


def test_hops_are_counted_over_all_domains_and_borders() -> None:
    wanted = slice_between("h", "buji", "pingdi", isolation=Isolation.NRP, slo=replace(LOOSE, most_hops=30))
    placed = _one(wanted)
    inside = {t.name: len(t.working.links) for t in placed.tunnels if t.src < t.dst}
    hops = sum(inside.values()) + 1
    assert _one(replace(wanted, slo=replace(LOOSE, most_hops=hops))).tunnels
    assert "hops: " in _binds(replace(wanted, slo=replace(LOOSE, most_hops=2)))


def test_a_plane_whose_farthest_accesses_are_too_many_hops_apart_is_refused() -> None:
    wanted = plane("p", "buji", "pinghu", slo=Slo(availability=0.9, most_hops=3))
    assert _one(wanted).promises
    few = replace(wanted, slo=Slo(availability=0.9, most_hops=2))
    assert _binds(few) == "hops: is led over 3 links from lg-buji to lg-pinghu, as its routers lead it"


# Jitter and loss


def test_a_slice_goes_around_a_link_that_jitters_and_one_that_loses() -> None:
    wanted = slice_between("j", "nanwan", "zhihui", isolation=Isolation.NRP, slo=LOOSE)
    direct = _one(wanted).tunnels[0].working.links
    assert len(direct) == 1
    name = {k: k for k in (direct[0], CITY.link_by_id[direct[0]].reverse)}
    for facts, slo in (
        ({"jitter_s": 0.001}, replace(LOOSE, jitter_s=0.0005)),
        ({"loss_ratio": 1e-3}, replace(LOOSE, loss_ratio=1e-4)),
    ):
        links = tuple(replace(k, **facts) if k.id in name else k for k in CITY.links)
        city = replace(CITY, links=links, version=2)
        around = _one(replace(wanted, slo=slo), city).tunnels[0].working.links
        assert not set(around) & set(name)
        everywhere = replace(CITY, links=tuple(replace(k, **facts) for k in CITY.links), version=3)
        word = "jitter" if "jitter_s" in facts else "loss"
        assert _binds(replace(wanted, slo=slo), everywhere).startswith(f"{word}: the ")


def test_a_plane_and_a_vip_are_held_to_jitter_and_loss() -> None:
    noisy = replace(CITY, links=tuple(replace(k, jitter_s=0.001, loss_ratio=1e-4) for k in CITY.links), version=2)
    office = plane("office", "buji", "zhihui", slo=Slo(availability=0.9, jitter_s=0.0015))
    assert _binds(office, noisy).startswith("jitter: may vary by 2 ms from lg-buji to lg-zhihui")
    carrier = replace(office, slo=Slo(availability=0.9))
    vip = conference("vc", "office", "zhihui", "buji", window=WINDOW, slo=Slo(loss_ratio=1e-5, availability=0.9))
    outcome = _plan(carrier, vip, city=noisy)
    assert [r.binds.partition(":")[0] for r in outcome.refusals] == ["loss"]


def test_limits_that_can_each_be_kept_but_not_together_are_refused_as_such() -> None:
    fast = "link:lg-zhihui.ge-1..lg-nanwan.ge-1"
    both = {fast, *(k.reverse for k in CITY.links if k.id == fast)}
    assert fast in CITY.link_by_id
    links = tuple(replace(k, loss_ratio=1e-3) if k.id in both else k for k in CITY.links)
    city = replace(CITY, links=links, version=2)
    wanted = slice_between(
        "both", "zhihui", "nanwan", isolation=Isolation.NRP, protection=Protection.NONE,
        slo=Slo(latency_s=0.0001, loss_ratio=1e-4, availability=0.9),
    )  # fmt: skip
    assert _binds(wanted, city).startswith("latency and loss: each could be kept, but no way")
    slower = replace(wanted, slo=replace(wanted.slo, latency_s=0.01))
    assert not set(_one(slower, city).tunnels[0].working.links) & both


# Availability


def test_availability_counts_every_part_of_a_plane_and_its_ways_around() -> None:
    wanted = plane("p", "buji", "pinghu", slo=Slo(availability=0.9999))
    given = _one(wanted).promises[0].availability
    assert 0.9999 <= given < 1
    many_nines = replace(wanted, slo=Slo(availability=0.9999999))
    assert _binds(many_nines).startswith("availability: the ways lg-buji–lg-pinghu together give 99.99")


def test_what_two_borders_have_in_common_is_not_counted_twice() -> None:
    wanted = slice_between("n", "buji", "pingdi", isolation=Isolation.NRP, protection=Protection.STANDBY)
    placed = _one(wanted)
    promise = placed.promises[0]
    shared = CITY.nodes["node:lg-zhihui"].availability
    if all("node:lg-zhihui" in {s.a.node, s.z.node} for s in placed.stitches):
        assert promise.availability <= shared


# Disjointness


def test_node_disjoint_paths_meet_nowhere_between_their_ends() -> None:
    wanted = slice_between(
        "n", "compute", "buji", protection=Protection.STANDBY, isolation=Isolation.TIMESLOT, slo=LOOSE,
        disjoint=(Disjointness.NODE, Disjointness.SRLG),
    )  # fmt: skip
    working, standby = _inner(_one(wanted))
    assert not working & standby


def test_the_node_that_every_way_passes_is_named() -> None:
    wanted = slice_between(
        "n", "nanwan", "pingdi", protection=Protection.STANDBY, isolation=Isolation.TIMESLOT, slo=LOOSE,
        disjoint=(Disjointness.NODE,),
    )  # fmt: skip
    assert _binds(wanted) == "node otn-zhihui: every way from otn-nanwan to otn-pingdi passes it"


def test_paths_apart_by_cable_only_may_share_a_duct() -> None:
    one = {f: replace(x, srlgs=frozenset({7})) for f, x in CITY.fibres.items() if "compute" in f}
    odu = {o: replace(x, srlgs=frozenset({7})) if "compute" in o else x for o, x in CITY.odu_links.items()}
    city = replace(CITY, fibres={**CITY.fibres, **one}, odu_links=odu, version=2)
    wanted = slice_between("c", "zhihui", "compute", protection=Protection.STANDBY, isolation=Isolation.TIMESLOT)
    assert "every way from otn-zhihui to otn-compute uses it" in _plan(wanted, city=city).refusals[0].binds
    cables = replace(wanted, disjoint=(Disjointness.LINK,))
    outcome = place(city, Ledger(city), [cables], {}, NOW)
    (circuit,) = outcome.placements[cables.metadata.service].circuits
    assert circuit.protect is not None
    assert not set(circuit.working.route) & set(circuit.protect.route)


# Other services


def test_a_slice_goes_together_with_another_and_says_where_it_cannot() -> None:
    first = slice_between(
        "one", "buji", "zhihui", slo=LOOSE, boundaries=Boundaries(exclude_nodes=frozenset({"otn-nanwan"}))
    )
    second = replace(slice_between("two", "buji", "zhihui", slo=LOOSE), together_with=(first.metadata.service,))
    placed = _plan(first, second).placements
    routes = [p.circuits[0].working.route for p in placed.values()]
    assert "nanwan" not in " ".join(routes[0])
    assert routes[0] == routes[1]
    other = replace(slice_between("three", "buji", "compute", slo=LOOSE), together_with=(first.metadata.service,))
    assert _plan(first, other).refusals[0].binds == "no way from otn-buji to otn-compute keeps to the ducts of gov/one"


def test_a_batch_is_placed_in_an_order_in_which_diversity_can_be_kept() -> None:
    """The one to be diverse comes first by name, and two may name each other."""
    late = slice_between("z", "buji", "zhihui", slo=LOOSE)
    early = replace(slice_between("a", "buji", "zhihui", slo=LOOSE), diverse_from=(late.metadata.service,))
    for batch in ((early, late), (early, replace(late, diverse_from=(early.metadata.service,)))):
        outcome = _plan(*batch)
        assert outcome.refusals == ()
        risks = [_risks(p) for p in outcome.placements.values()]
        assert not risks[0] & risks[1]


def test_diversity_holds_when_the_other_service_is_placed_later() -> None:
    keeper = replace(slice_between("a", "buji", "zhihui", slo=LOOSE), diverse_from=(ServiceId("gov/z"),))
    other = slice_between("z", "buji", "zhihui", slo=LOOSE)
    first = _plan(other, keeper)
    standing = {s.metadata.service: (s, first.placements[s.metadata.service]) for s in (keeper, other)}
    moved = replace(other, slo=replace(LOOSE, availability=0.91), isolation=Isolation.TIMESLOT)
    again = place(CITY, first.ledger, [moved], standing, NOW)
    assert not _risks(again.placements[other.metadata.service]) & _risks(first.placements[keeper.metadata.service])


def _risks(placement: Placement) -> set[int]:
    return {r for c in placement.circuits for hop in c.working.route for r in CITY.odu_links[hop].srlgs}


# Where it may run


def test_a_slice_stays_on_the_nodes_that_it_is_given() -> None:
    west = frozenset({"otn-buji", "otn-jihua", "otn-bantian", "otn-pinghu", "otn-zhihui", "lg-buji", "lg-zhihui"})
    bounds = Boundaries(include_nodes=west)
    wanted = slice_between("w", "buji", "zhihui", slo=LOOSE, boundaries=bounds, isolation=Isolation.TIMESLOT)
    route = _one(wanted).circuits[0].working.route
    assert len(route) == 4
    assert "nanwan" not in " ".join(route)
    fewer = replace(wanted, boundaries=Boundaries(include_nodes=west - {"otn-jihua"}))
    assert "leave no way from otn-buji to otn-zhihui" in _binds(fewer)
    assert "outside the boundaries (only over lg-buji" in _binds(
        replace(wanted, boundaries=Boundaries(include_nodes=west - {"lg-zhihui"}))
    )


def test_a_circuit_stays_on_fibres_that_are_trusted_and_of_its_plane() -> None:
    direct = _one(slice_between("d", "buji", "nanwan", slo=LOOSE, isolation=Isolation.WAVELENGTH)).circuits[0]
    (fibre,) = direct.working.route
    for facts, more in (
        ({"trust": 1}, {"boundaries": Boundaries(least_trust=3)}),
        ({"plane": "B"}, {"plane": "A"}),
    ):
        fibres = {**CITY.fibres, fibre: replace(CITY.fibres[fibre], **facts)}
        city = replace(CITY, fibres=fibres, version=2)
        wanted = slice_between("d", "buji", "nanwan", slo=LOOSE, isolation=Isolation.WAVELENGTH, **more)
        assert fibre not in _one(wanted, city).circuits[0].working.route


def test_a_partition_keeps_to_its_plane() -> None:
    city = city_map("kunming")
    planes = {k.plane for k in city.links}
    assert {"A", "B"} <= planes
    names = sorted(s.id for s in city.sites.values() if s.access is not None)[:2]
    for letter in "AB":
        wanted = slice_between("p", *names, isolation=Isolation.NRP, slo=LOOSE, plane=letter)
        outcome = place(city, Ledger(city), [wanted], {}, NOW)
        for placement in outcome.placements.values():
            used = {city.link_by_id[k].plane for t in placement.tunnels for k in t.working.links}
            assert used <= {letter, None}
        assert outcome.placements or "way" in outcome.refusals[0].binds or "joins" in outcome.refusals[0].binds


# Isolation


@pytest.mark.parametrize(
    ("traffic_class", "gbps", "isolation"),
    [("video", 1, "wavelength"), ("iot", 1, "timeslot"), ("other", 1, "timeslot"), ("other", 60, "wavelength")],
)
def test_sensitive_and_large_services_ride_a_wavelength(traffic_class: str, gbps: int, isolation: str) -> None:
    wanted = slice_between("s", "buji", "compute", gbps * GBPS, slo=LOOSE, traffic_class=traffic_class)
    assert _one(wanted).isolation == isolation


@pytest.mark.parametrize("traffic_class", ["video", "iot"])
def test_video_and_iot_never_ride_the_ip_networks(traffic_class: str) -> None:
    dark = replace(CITY, fibres={}, odu_links={}, version=2)
    other = slice_between("o", "buji", "zhihui", slo=LOOSE)
    assert _one(other, dark).isolation == "nrp"
    assert _plan(replace(other, traffic_class=traffic_class), city=dark).placements == {}


def test_an_unchanged_slice_keeps_its_ways_under_every_constraint() -> None:
    wanted: ExclusiveSlice = slice_between(
        "k", "buji", "compute", protection=Protection.STANDBY, isolation=Isolation.TIMESLOT,
        slo=replace(LOOSE, most_hops=9, jitter_s=0.001, loss_ratio=1e-4), disjoint=(Disjointness.NODE,),
    )  # fmt: skip
    first = _plan(wanted)
    placed = first.placements[wanted.metadata.service]
    widened = replace(wanted, slo=replace(wanted.slo, latency_s=0.03))
    again = place(CITY, first.ledger, [widened], {wanted.metadata.service: (wanted, placed)}, NOW)
    assert again.placements[wanted.metadata.service].circuits == placed.circuits
