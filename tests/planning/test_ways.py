"""Planes ride the ways that routers choose, and are pinned where those leave what was asked or what is free."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from controller.changes.pipeline import Planned, Wanted, plan
from controller.changes.state import rebuilt
from controller.intent.model import Boundaries, DedicatedPlane, Slo
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import Placement
from controller.verification.model import ConfigurationModel
from tests.planning.test_invariants import cities
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, access, conference, plane
from tests.support.invariants import check_all
from tests.verification.scene import empty, standing

CITY = city_map("longgang")
SITES = tuple(s for s, site in CITY.sites.items() if site.access)
BOUNDS = (
    Boundaries(),
    Boundaries(exclude_nodes=frozenset({"lg-zhihui"})),
    Boundaries(exclude_nodes=frozenset({"lg-nanwan"})),
    Boundaries(exclude_nodes=frozenset({"lg-longgang"})),
    Boundaries(exclude_regions=frozenset({"east"})),
    Boundaries(least_trust=3),
)


def _placed(wanted: DedicatedPlane) -> tuple[Placement, Planned]:
    done = empty().planned(Wanted((wanted,)))
    assert done.refusals == ()
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
    placement = done.plans[0].placement
    assert placement is not None
    return placement, done


def _agree(done: Planned) -> None:
    """What the ledger holds of every plane at its floor is what verification says that it puts on each link."""
    for plan_of in done.plans:
        if plan_of.placement is not None and plan_of.placement.kind == "DedicatedPlane":
            rates = [r for r in plan_of.placement.rates if not r.link.startswith("port:")]
            held = {r.link: r.rate_bps - r.squeezable_bps for r in rates}
            proven = done.model.loads.by_service[plan_of.service]
            assert {k: v for k, v in held.items() if v} == {k: v for k, v in proven.items() if v}


def test_a_plane_that_routing_keeps_where_it_belongs_gets_no_tunnel() -> None:
    placement, _ = _placed(plane("office", *SITES))
    assert (placement.tunnels, placement.steering) == ((), ())


def test_a_plane_with_affinity_is_pinned_where_routing_would_leave_it() -> None:
    placement, done = _placed(plane("b", "zhihui", "jihua", "bantian", plane="B"))
    _agree(done)
    assert {(t.src, t.dst) for t in placement.tunnels} >= {("node:lg-zhihui", "node:lg-jihua")}
    assert all(CITY.link_by_id[k].plane == "B" for t in placement.tunnels for k in t.working.links)
    assert {s.fallback for s in placement.steering} == {"best-effort"}
    assert all(s.target_class == "*" for s in placement.steering)
    assert all(t.partition is None and t.setup_priority == t.hold_priority == 7 for t in placement.tunnels)


def test_a_plane_with_boundaries_is_dropped_sooner_than_led_outside() -> None:
    bounds = Boundaries(exclude_nodes=frozenset({"node:lg-zhihui"}))
    placement, done = _placed(plane("a", "nanwan", "pinghu", "buji", boundaries=bounds, slo=Slo(availability=0.99)))
    _agree(done)
    assert {s.fallback for s in placement.steering} == {"drop"}
    used = {hop.node for t in placement.tunnels for r in (t.working, t.standby) if r for hop in r.hops}
    assert "node:lg-zhihui" not in used
    assert "pinned by tunnels" in placement.notes[0]


def test_a_border_outside_the_boundaries_is_not_stitched() -> None:
    bounds = Boundaries(exclude_nodes=frozenset({"lg-zhihui"}))
    placement, done = _placed(plane("a", "buji", "henggang", boundaries=bounds))
    _agree(done)
    assert [(s.rank, s.a.node) for s in placement.stitches] == [(1, "node:lg-henggang")]


def test_a_pinned_tunnel_carries_no_more_than_its_two_ends_may_exchange() -> None:
    wanted = plane("b", "zhihui", "jihua", plane="B", rate_bps=2 * GBPS)
    wider = replace(wanted, accesses=(*wanted.accesses, access("more", 5 * GBPS, "jihua")))
    placement, _ = _placed(wider)
    assert {t.rate_bps for t in placement.tunnels} == {2 * GBPS}


def test_what_is_held_lies_where_the_traffic_goes_and_not_on_a_tree() -> None:
    """Buji and Bantian meet over Jihua; a tree from Zhihui would hold that for them over Zhihui."""
    placement, done = _placed(plane("triangle", "zhihui", "buji", "bantian"))
    _agree(done)
    held = {r.link for r in placement.rates}
    path = ["node:lg-buji", "node:lg-jihua", "node:lg-bantian"]
    for a, z in pairwise(path):
        assert any(k.id in held for k in CITY.links if (k.src.node, k.dst.node) == (a, z))


def test_a_link_that_comes_back_moves_what_is_held() -> None:
    wanted = plane("office", "zhihui", "buji")
    gone = "link:lg-nanwan.ge-1..lg-zhihui.ge-1"
    cut = _without(gone)
    first = place(cut, Ledger(cut), [wanted], {}, NOW)
    was = first.placements[wanted.metadata.service]
    assert gone not in {r.link for r in was.rates}
    again = place(CITY, first.ledger, [wanted], {wanted.metadata.service: (wanted, was)}, NOW)
    assert gone in {r.link for r in again.placements[wanted.metadata.service].rates}


def _without(link: str) -> CityMap:
    down = {link, CITY.link_by_id[link].reverse}
    return replace(CITY, version=2, links=tuple(replace(k, up=k.id not in down) for k in CITY.links))


def test_a_border_that_no_longer_reaches_the_planes_nodes_does_not_come_first() -> None:
    torn = _without("link:lg-compute-a.ge-1..lg-compute-b.ge-1")
    done = _in(torn, (plane("data", "buji", "compute"),))
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
    assert done.plans[0].placement is not None
    stitched = [(s.rank, s.a.node) for s in done.plans[0].placement.stitches]
    assert stitched == [(1, "node:lg-compute-b"), (2, "node:lg-compute-a")]


def test_a_vip_has_tunnels_for_a_border_that_is_down_and_will_be_back() -> None:
    office = plane("office", "zhihui", "buji", "pingdi")
    gone = _without("link:lg-longgang.ge-3..lg-zhihui.ge-4")
    vip = conference("flood", "office", "zhihui", "buji", "pingdi", slo=Slo(availability=0.9))
    placed = place(gone, Ledger(gone), [office, vip], {}, NOW).placements[vip.metadata.service]
    ends = {(t.src, t.dst) for t in placed.tunnels if t.domain == "district-ip"}
    assert ends >= {("node:lg-longgang", "node:lg-pingdi"), ("node:lg-henggang", "node:lg-pingdi")}


def test_a_domain_that_cannot_steer_refuses_what_its_routing_would_not_keep() -> None:
    domains = {n: replace(d, modules=d.modules - {"onecity-binding"}) for n, d in CITY.domains.items()}
    city = replace(CITY, version=3, domains=domains)
    outcome = place(city, Ledger(city), [plane("b", "zhihui", "jihua", plane="B")], {}, NOW)
    assert "lacks the module onecity-binding" in outcome.refusals[0].binds


@pytest.mark.parametrize("hub", [False, True])
def test_ledger_and_verification_agree_on_everything_that_stands(hub: bool) -> None:
    _, done = _placed(plane("everywhere", *SITES, hub_and_spoke=hub))
    _agree(done)
    scene = standing()
    for sid, service in scene.state.services.items():
        if service.placement.kind == "DedicatedPlane":
            held = {r.link: r.rate_bps - r.squeezable_bps for r in service.placement.rates if "port:" not in r.link}
            assert held == {k: v for k, v in scene.model.loads.by_service[sid].items() if v}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    sites=st.lists(st.sampled_from(SITES), min_size=2, max_size=6, unique=True),
    bounds=st.sampled_from(BOUNDS),
    affinity=st.sampled_from((None, None, "A", "B")),
    hub=st.booleans(),
)
def test_a_plane_is_placed_within_its_bounds_and_proven_or_refused(
    sites: list[str], bounds: Boundaries, affinity: str | None, hub: bool
) -> None:
    wanted = plane("any", *sites, boundaries=bounds, plane=affinity, hub_and_spoke=hub, slo=Slo())
    done = empty().planned(Wanted((wanted,)))
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
    _agree(done)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip
@given(st.data())
def test_in_any_city_crowded_planes_are_proven_as_they_are_held(data: st.DataObject) -> None:
    city, sites = data.draw(cities())
    wanted = tuple(
        plane(
            f"p{i}", *data.draw(st.lists(st.sampled_from(sites), min_size=2, max_size=4, unique=True)),
            rate_bps=data.draw(st.sampled_from((GBPS // 10, GBPS // 2, GBPS))), floor_ratio=1.0,
            plane=data.draw(st.sampled_from((None, "A"))), hub_and_spoke=data.draw(st.booleans()),
        )
        for i in range(4)
    )  # fmt: skip
    done = _in(city, wanted)
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
    _agree(done)


def _in(city: CityMap, wanted: tuple[DedicatedPlane, ...]) -> Planned:
    outcome: PlanOutcome = place(city, Ledger(city), wanted, {}, NOW)
    check_all(city, {w.metadata.service: w for w in wanted}, outcome.placements)
    fitting = tuple(w for w in wanted if w.metadata.service in outcome.placements)
    return plan(rebuilt({}, city), ConfigurationModel(), city, Wanted(fitting), NOW)
