from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from controller.intent.model import Isolation, MediaFlow, Metadata, Service, ServiceId, Slo, VipAssurance, Window
from controller.network.ledger import Ledger
from controller.planning.explain import describe
from controller.planning.place import PlanOutcome, Standing, place
from controller.planning.placement import Placement
from tests.support.cities import city_map, with_access_ports
from tests.support.intents import FLOWS, GBPS, NOW, WINDOW, access, conference, plane, slice_between
from tests.support.invariants import check_all

CITY = with_access_ports(city_map("longgang"), 10**12)
SITES = ("zhihui", "buji", "bantian", "pingdi", "compute")
OFFICE = plane("office", *SITES)
MEDIA_BPS = sum(f.rate_bps for f in FLOWS)


def _plan(
    *wanted: Service, standing: Standing | None = None, ledger: Ledger | None = None, lights: bool = True
) -> PlanOutcome:
    city = CITY if lights else replace(CITY, lights=False)
    outcome = place(city, ledger or Ledger(CITY), wanted, standing or {}, NOW)
    everything = {s.metadata.service: s for s in wanted} | {k: s for k, (s, _) in (standing or {}).items()}
    placed = {k: p for k, (_, p) in (standing or {}).items()} | outcome.placements
    check_all(CITY, everything, placed)
    return outcome


def _standing(outcome: PlanOutcome, *services: Service) -> dict[ServiceId, tuple[Service, Placement]]:
    return {s.metadata.service: (s, outcome.placements[s.metadata.service]) for s in services}


def test_a_conference_rides_tunnels_per_pair_of_provider_edges_and_domain() -> None:
    placed = _plan(OFFICE, conference("flood", "office", "zhihui", *SITES, "buji")).placements[ServiceId("gov/flood")]
    tunnels = {t.name: t for t in placed.tunnels}
    there = tunnels["vip/gov.flood/lg-zhihui-lg-buji"]
    assert there.rate_bps == 2 * MEDIA_BPS
    assert there.reverse in tunnels
    assert there.standby is not None
    assert "vip/gov.flood/lg-longgang-lg-pingdi" in tunnels
    assert "vip/gov.flood/lg-henggang-lg-pingdi" in tunnels  # over the second border pair
    assert {(s.node, s.remote, s.target_class) for s in placed.steering} >= {
        ("node:lg-zhihui", "node:lg-buji", c) for c in ("signalling", "audio", "video")
    }
    assert {s.vpn_service for s in placed.steering} == {"gov/office"}
    assert len(placed.promises) == 6


def test_its_reservations_stand_for_its_window_only() -> None:
    placed = _plan(OFFICE, conference("flood", "office", "zhihui", *SITES)).placements[ServiceId("gov/flood")]
    assert (placed.start, placed.end) == (WINDOW.start, WINDOW.end)
    assert {(r.start, r.end, r.squeezes) for r in placed.rates} == {(WINDOW.start, WINDOW.end, True)}


def test_a_vip_may_protect_a_plane_of_the_same_batch_in_any_order() -> None:
    vip = conference("flood", "office", "zhihui", *SITES)
    assert _plan(vip, OFFICE).placements == _plan(OFFICE, vip).placements


def test_a_vip_squeezes_planes_to_their_floor_and_says_whom() -> None:
    fat = plane("fat", "zhihui", "buji", rate_bps=95 * GBPS)
    big = tuple(replace(f, rate_bps=10 * GBPS) for f in FLOWS)
    first = _plan(fat)
    office = _plan(plane("office", "zhihui", "buji", rate_bps=GBPS), ledger=first.ledger)
    standing = _standing(first, fat) | _standing(office, plane("office", "zhihui", "buji", rate_bps=GBPS))
    vip = conference("flood", "office", "zhihui", "buji", flows=big)
    placed = _plan(vip, standing=standing, ledger=office.ledger).placements[ServiceId("gov/flood")]
    assert any(n.startswith("squeezes gov/fat by up to") for n in placed.notes)


def _flooded(*, lights: bool) -> PlanOutcome:
    """A conference larger than what slices and the floor of a plane leave of every way out of its MCU's router."""
    slices = [
        slice_between(f"s-{z}", a, z, 99 * GBPS, isolation=Isolation.NRP, slo=Slo(availability=0.9))
        for a, z in (("zhihui", "nanwan"), ("zhihui", "pinghu"), ("zhihui", "bantian"))
    ]
    small = plane("office", "zhihui", "buji", rate_bps=10**8)
    first = _plan(*slices, small)
    assert first.refusals == ()
    big = tuple(replace(f, rate_bps=GBPS) for f in FLOWS)
    vip = conference("flood", "office", "zhihui", "buji", flows=big)
    return _plan(vip, standing=_standing(first, *slices, small), ledger=first.ledger, lights=lights)


def test_a_vip_never_takes_from_a_slice() -> None:
    refusal = _flooded(lights=False).refusals[0]
    assert "has 950 Mbit/s left of 100 Gbit/s" in refusal.binds  # the floor of the plane stays
    assert any("1 party with" in offer for offer in refusal.would_fit)


def test_a_vip_that_finds_no_room_beside_slices_has_a_link_lit_for_its_window() -> None:
    (vip,) = _flooded(lights=True).placements.values()
    assert vip.lit_links
    assert {r.link for r in vip.rates} >= {k for link in vip.lit_links for k in (link.id, link.reverse)}
    held = [label for label in vip.labels if label.of_link]
    assert held
    assert all((label.start, label.end) == (WINDOW.start, WINDOW.end) for label in held)


def test_two_conferences_at_different_times_share_capacity() -> None:
    big = tuple(replace(f, rate_bps=20 * GBPS) for f in FLOWS)
    office = plane("office", "zhihui", "buji", rate_bps=GBPS)
    later = Window(WINDOW.end, WINDOW.end + timedelta(hours=1))
    one = conference("one", "office", "zhihui", "buji", flows=big)
    two = conference("two", "office", "zhihui", "buji", flows=big, window=later)
    both = conference("three", "office", "zhihui", "buji", flows=big)
    outcome = _plan(office, one, two, both)
    assert [r.service for r in outcome.refusals] == ["gov/two"] or [r.service for r in outcome.refusals] == [
        "gov/three"
    ]
    assert ServiceId("gov/two") in outcome.placements


def test_a_party_added_keeps_the_tunnels_of_the_others() -> None:
    vip = conference("flood", "office", "zhihui", "buji", "bantian")
    first = _plan(OFFICE, vip)
    more = conference("flood", "office", "zhihui", "buji", "bantian", "pingdi")
    after = _plan(more, standing=_standing(first, OFFICE, vip), ledger=first.ledger).placements[ServiceId("gov/flood")]
    was = first.placements[ServiceId("gov/flood")]
    kept = {t.name: t.working for t in after.tunnels}
    assert all(kept[t.name] == t.working for t in was.tunnels)
    assert after.number == was.number


def test_the_same_vip_again_is_the_same_placement() -> None:
    vip = conference("flood", "office", "zhihui", *SITES)
    first = _plan(OFFICE, vip)
    again = _plan(vip, standing=_standing(first, OFFICE, vip), ledger=first.ledger)
    assert repr(again.placements[ServiceId("gov/flood")]) == repr(first.placements[ServiceId("gov/flood")])
    assert again.ledger.dump() == first.ledger.dump()


def test_a_vip_without_its_plane_is_refused() -> None:
    assert "nothing to protect" in _plan(conference("flood", "office", "zhihui", "buji")).refusals[0].binds


def test_a_vip_whose_window_has_passed_is_refused() -> None:
    past = Window(NOW - timedelta(hours=2), NOW - timedelta(hours=1))
    assert "ended" in _plan(OFFICE, conference("f", "office", "zhihui", "buji", window=past)).refusals[0].binds


def test_a_party_without_an_access_is_refused_by_name() -> None:
    assert (
        "gov/office has no access moon" in _plan(OFFICE, conference("f", "office", "zhihui", "moon")).refusals[0].binds
    )


def test_latency_of_a_conference_binds_and_the_offer_is_true() -> None:
    vip = conference("f", "office", "zhihui", *SITES, slo=Slo(latency_s=1e-4))
    refusal = _plan(OFFICE, vip).refusals[0]
    assert refusal.binds.startswith("latency")
    assert refusal.would_fit


def test_ordinary_assurance_of_a_hub_plane_goes_to_the_hub() -> None:
    hub = plane("hub", "zhihui", "buji", "pinghu", hub_and_spoke=True)
    vip = VipAssurance(Metadata("calm", "gov"), hub.metadata.service, WINDOW, rate_bps=10**8)
    placed = _plan(hub, vip).placements[ServiceId("gov/calm")]
    assert {t.src for t in placed.tunnels} | {t.dst for t in placed.tunnels} == {
        "node:lg-zhihui",
        "node:lg-buji",
        "node:lg-pinghu",
    }
    assert {s.target_class for s in placed.steering} == {"rest"}


def test_ordinary_assurance_of_flows_uses_their_classes() -> None:
    flow = MediaFlow("cim", 6, 443, 443, 10**8, "video", 34, 4)
    vip = VipAssurance(Metadata("calm", "gov"), OFFICE.metadata.service, WINDOW, flows=(flow,))
    placed = _plan(OFFICE, vip).placements[ServiceId("gov/calm")]
    assert {s.target_class for s in placed.steering} == {"video"}


def test_a_slice_on_its_own_circuit_needs_no_tunnels() -> None:
    hard = slice_between("hard", "buji", "nanwan")
    vip = VipAssurance(Metadata("calm", "gov"), hard.metadata.service, WINDOW)
    placed = _plan(hard, vip).placements[ServiceId("gov/calm")]
    assert placed.tunnels == ()
    assert "nothing competes" in placed.notes[0]


def test_an_nrp_slice_is_assured_within_its_partition() -> None:
    soft = slice_between("soft", "buji", "nanwan", isolation=Isolation.NRP)
    vip = VipAssurance(Metadata("calm", "gov"), soft.metadata.service, WINDOW)
    outcome = _plan(soft, vip)
    placed = outcome.placements[ServiceId("gov/calm")]
    number = outcome.placements[soft.metadata.service].number
    assert {t.partition for t in placed.tunnels} == {number}


def test_a_placement_reads_as_a_way_over_both_layers() -> None:
    placed = _plan(OFFICE, conference("flood", "office", "zhihui", "pingdi")).placements[ServiceId("gov/flood")]
    line = describe(placed, CITY)[0]
    assert line.startswith("mcu–p0: 4.192 Mbit/s, 0.157 ms of 50 ms, standby ")
    assert "lg-zhihui → infra/lg-zhihui.ge-4-lg-longgang.ge-3 → lg-longgang" in line


def test_three_hundred_parties_share_the_tunnels_of_their_provider_edges() -> None:
    names = [s for s, site in CITY.sites.items() if site.access]
    accesses = tuple(access(f"a{i}", 10**6, names[i % len(names)]) for i in range(301))
    office = replace(OFFICE, accesses=accesses)
    vip = conference("flood", "office", "a0", *(f"a{i}" for i in range(1, 301)))
    placed = _plan(office, vip).placements[ServiceId("gov/flood")]
    assert len(placed.promises) == 300
    assert len(placed.tunnels) < 60


def test_a_vip_over_everything_of_a_slice_has_a_class_of_its_own_and_rides_the_slices_partition() -> None:
    ring = slice_between("ring", "buji", "pingdi", isolation=Isolation.NRP)
    vip = VipAssurance(Metadata("all", "gov"), ring.metadata.service, WINDOW)
    placed = _plan(ring, vip).placements
    below, above = placed[ring.metadata.service], placed[vip.metadata.service]
    assert {s.target_class for s in above.steering} == {"rest"}
    assert above.rates == (), "the slice holds it already"
    cut = {k for p in below.partitions for k in p.links}
    assert {k for t in above.tunnels for r in (t.working, t.standby) if r for k in r.links} <= cut
    assert {t.partition for t in above.tunnels} == {below.number}
