from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, ip_network
from typing import Any

import pytest

from controller.intent.model import Boundaries, DedicatedPlane, Slo
from controller.network.ledger import Ledger
from controller.network.merge import merge
from controller.network.outage import without
from controller.planning.draft import Pools
from controller.planning.orders import Orders
from controller.planning.place import PlanOutcome, Standing, place
from controller.planning.placement import Placement
from controller.planning.planes import led_again
from tests.support.cities import city_map, inventory, topologies, with_access_ports
from tests.support.intents import GBPS, NOW, access, plane
from tests.support.invariants import check_all

CITY = with_access_ports(city_map("longgang"), 10**12)


def _plan(*wanted: DedicatedPlane, standing: Standing | None = None, ledger: Ledger | None = None) -> PlanOutcome:
    outcome = place(CITY, ledger or Ledger(CITY), wanted, standing or {}, NOW)
    check_all(CITY, {s.metadata.service: s for s in wanted}, outcome.placements)
    return outcome


def _one(wanted: DedicatedPlane) -> Placement:
    outcome = _plan(wanted)
    assert outcome.refusals == (), str(outcome.refusals)
    return outcome.placements[wanted.metadata.service]


def test_a_plane_gets_numbers_vlans_and_addresses_from_the_pools() -> None:
    placed = _one(plane("office", "buji", "pingdi"))
    first, second = placed.attachments
    assert placed.number == 1001
    assert (first.node, first.port, first.vlan) == ("node:lg-buji", "tp:acc-1", 100)
    assert (first.pe_address, first.ce_address, first.prefix_len) == ("172.16.0.1", "172.16.0.2", 30)
    assert second.pe_address == "172.16.0.5"
    assert first.lans == ("10.64.0.0/24",)
    assert second.lans == ("10.64.1.0/24",)


def test_both_border_pairs_are_stitched_with_equal_vlans_and_mirrored_addresses() -> None:
    stitches = _one(plane("office", "buji", "pingdi")).stitches
    assert [(s.name, s.rank, s.vlan) for s in stitches] == [("border.1", 1, 2001), ("border.2", 2, 2001)]
    primary = stitches[0]
    assert {primary.a.domain, primary.z.domain} == {"city-ip", "district-ip"}
    assert (primary.a.address, primary.z.address) == ("172.31.0.0", "172.31.0.1")
    assert {primary.a.asn, primary.z.asn} == {65001, 65002}


def test_two_planes_share_a_port_but_no_label() -> None:
    outcome = _plan(plane("one", "buji", "pingdi"), plane("two", "buji", "pingdi"))
    assert [p.number for p in outcome.placements.values()] == [1001, 1002]
    assert [p.attachments[0].vlan for p in outcome.placements.values()] == [100, 101]
    assert [p.stitches[0].vlan for p in outcome.placements.values()] == [2001, 2002]


def test_what_is_remembered_of_a_shape_shows_in_no_placement() -> None:
    """Links fill up, so that the later of one shape are led elsewhere, and the last refused."""
    wanted = [plane(f"p{n:02d}", "nanwan", "buji", rate_bps=4 * GBPS) for n in range(60)]
    wanted += [plane(f"q{n:02d}", "zhihui", "jihua", "bantian", rate_bps=4 * GBPS, plane="B") for n in range(3)]
    apart, ledger = dict[str, Placement](), Ledger(CITY)
    for one in Orders(wanted).next():
        fresh = replace(CITY)  # another map that says the same: nothing is remembered on it
        outcome = place(fresh, ledger.on(fresh), (one,), {}, NOW)
        apart, ledger = apart | outcome.placements, outcome.ledger
    together = place(replace(CITY), Ledger(CITY), wanted, {}, NOW)
    assert together.placements == apart
    assert len({tuple(r.link for r in p.rates) for p in apart.values()}) >= 3
    assert together.refusals


def test_a_plane_that_is_only_led_elsewhere_is_placed_as_if_nothing_of_it_had_stood_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = [plane("near", "nanwan", "buji"), plane("far", "pingdi", "buji", "compute"),
              plane("hub", "zhihui", "buji", "nanwan", hub_and_spoke=True), plane("b", "zhihui", "jihua", plane="B"),
              plane("given", "nanwan", "bantian", lan_prefix_len=26)]  # fmt: skip
    first = _plan(*wanted)
    standing = {s.metadata.service: (s, first.placements[s.metadata.service]) for s in wanted}
    led: list[Placement | None] = []

    def watched(*arguments: Any) -> Placement | None:
        led.append(led_again(*arguments))
        return led[-1]

    for link in CITY.links:
        cut = without(CITY, {f"link:{link.id}", f"link:{link.reverse}"})
        with monkeypatch.context() as quickly:
            quickly.setattr("controller.planning.place.led_again", watched)
            quick = place(cut, first.ledger, wanted, standing, NOW)
        with monkeypatch.context() as slow:
            slow.setattr("controller.planning.place.led_again", lambda *_: None)
            whole = place(replace(cut), first.ledger, wanted, standing, NOW)
        assert quick.placements == whole.placements
        assert quick.refusals == whole.refusals
        assert quick.ledger.dump() == whole.ledger.dump()
    assert any(led)
    assert None in led  # some have to cross another border


def test_a_district_and_the_compute_centre_meet_over_the_city() -> None:
    placed = _one(plane("far", "pingdi", "compute"))
    assert len(placed.stitches) == 4
    assert {d for s in placed.stitches for d in (s.a.domain, s.z.domain)} == {"city-ip", "district-ip", "compute-ip"}


def test_the_hose_holds_the_smaller_side_of_every_link_in_both_directions() -> None:
    wanted = plane("hose", "zhihui", "nanwan", "buji", rate_bps=2 * GBPS)
    placed = _one(replace(wanted, accesses=(*wanted.accesses, access("nanwan2", 5 * GBPS, "nanwan"))))
    held = {r.link: r.rate_bps for r in placed.rates if r.link in CITY.link_by_id}
    assert held == {
        "link:lg-zhihui.ge-1..lg-nanwan.ge-1": 2 * GBPS,
        "link:lg-nanwan.ge-1..lg-zhihui.ge-1": 2 * GBPS,
        "link:lg-nanwan.ge-2..lg-buji.ge-1": 2 * GBPS,
        "link:lg-buji.ge-1..lg-nanwan.ge-2": 2 * GBPS,
    }
    assert all(r.squeezable_bps == GBPS for r in placed.rates if r.link in held)


def test_a_hub_plane_has_its_tree_at_the_hub() -> None:
    placed = _one(plane("hub", "pingdi", "buji", "longgang", hub_and_spoke=True))
    assert {p.a for p in placed.promises} == {"pingdi"}
    assert placed.attachments[0].hub


def test_spokes_that_share_a_router_are_named() -> None:
    wanted = plane("hub", "pingdi", "buji", hub_and_spoke=True)
    placed = _one(replace(wanted, accesses=(*wanted.accesses, access("buji2", site="buji"))))
    assert placed.notes == ("spokes at lg-buji share a router and reach each other there",)


def test_plane_affinity_keeps_to_links_of_that_plane() -> None:
    placed = _one(plane("b", "zhihui", "jihua", plane="B"))
    assert all(CITY.link_by_id[k].plane in (None, "B") for tree in placed.trees for k in tree)
    refusal = _plan(plane("b", "zhihui", "buji", plane="B")).refusals[0]
    assert "plane B" in refusal.binds
    assert any("both planes" in offer for offer in refusal.would_fit)


def test_a_site_added_leaves_every_other_attachment_as_it_was() -> None:
    before = plane("office", "zhihui", "buji", "pingdi")
    first = _plan(plane("other", "buji", "longgang"), before)
    standing: Standing = {before.metadata.service: (before, first.placements[before.metadata.service])}
    late = replace(before, accesses=(access("longgang"), *before.accesses))
    after = _plan(late, standing=standing, ledger=first.ledger).placements[before.metadata.service]
    was = first.placements[before.metadata.service]
    assert after.number == was.number
    assert after.attachments[1:] == was.attachments
    assert after.stitches == was.stitches or [replace(s, rate_bps=0) for s in after.stitches] == [
        replace(s, rate_bps=0) for s in was.stitches
    ]
    assert repr(after.attachments[1:]) == repr(was.attachments)


def test_a_site_removed_frees_its_labels_and_keeps_the_rest() -> None:
    before = plane("office", "zhihui", "buji", "pingdi")
    first = _plan(before)
    was = first.placements[before.metadata.service]
    fewer = replace(before, accesses=(before.accesses[0], before.accesses[2]))
    after = _plan(fewer, standing={before.metadata.service: (before, was)}, ledger=first.ledger)
    placed = after.placements[before.metadata.service]
    assert placed.attachments == (was.attachments[0], was.attachments[2])
    assert after.ledger.holder("vlan:node:lg-buji/tp:acc-1", 100) is None


def test_an_unchanged_plane_keeps_its_placement_even_where_a_better_one_appeared() -> None:
    wanted = plane("office", "zhihui", "buji")
    first = _plan(wanted)
    standing: Standing = {wanted.metadata.service: (wanted, first.placements[wanted.metadata.service])}
    described = replace(wanted, metadata=replace(wanted.metadata, source="elsewhere.yaml", labels=(("a", "b"),)))
    again = _plan(described, standing=standing, ledger=first.ledger)
    assert again.placements == first.placements
    assert again.ledger.dump() == first.ledger.dump()


def test_a_cut_moves_the_tree_and_nothing_else() -> None:
    wanted = plane("office", "zhihui", "nanwan", "buji")
    first = _plan(wanted)
    was = first.placements[wanted.metadata.service]
    optics = next(t for t in topologies("longgang") if t.domain == "city-otn")
    cut = replace(optics, fibres=tuple(replace(f, up=f.id != "f-zhihui-nanwan") for f in optics.fibres))
    rest = tuple(t for t in topologies("longgang") if t.domain != "city-otn")
    city = merge((*rest, cut), inventory("longgang"), 2, frozenset())
    again = place(city, first.ledger, [wanted], {wanted.metadata.service: (wanted, was)}, NOW)
    now = again.placements[wanted.metadata.service]
    assert now.attachments == was.attachments
    assert now.trees != was.trees
    assert all(city.link_by_id[k].up for tree in now.trees for k in tree)


def test_a_plane_is_led_around_a_full_link() -> None:
    full = plane("full", "zhihui", "nanwan", rate_bps=95 * GBPS)
    first = _plan(full)
    second = _plan(plane("next", "zhihui", "nanwan", rate_bps=10 * GBPS), ledger=first.ledger)
    assert second.refusals == ()
    links = {k for tree in next(iter(second.placements.values())).trees for k in tree}
    assert "link:lg-zhihui.ge-1..lg-nanwan.ge-1" not in links


def test_a_plane_that_does_not_fit_says_what_would() -> None:
    first = _plan(plane("full", "buji", "pingdi", rate_bps=90 * GBPS))
    refusal = _plan(plane("more", "zhihui", "longgang", rate_bps=20 * GBPS), ledger=first.ledger).refusals[0]
    assert refusal.binds == "link lg-longgang–lg-zhihui has 10 Gbit/s left of 100 Gbit/s"
    assert any(offer.startswith(("2 accesses, 19.9", "2 accesses, 20 ")) for offer in refusal.would_fit)


def test_a_taken_vlan_is_refused_by_name() -> None:
    wanted = replace(plane("one", "buji", "zhihui"), accesses=(access("buji", vlan=300), access("zhihui")))
    other = replace(wanted, metadata=replace(wanted.metadata, name="two"))
    refusal = _plan(wanted, other).refusals[0]
    assert refusal.service == "gov/two"
    assert "VLAN 300 on node:lg-buji/tp:acc-1 is held by gov/one" in refusal.binds


def test_lan_allocation_steps_over_prefixes_that_are_written() -> None:
    wanted = plane("office", "zhihui", "buji", lan_pool=IPv4Network("10.64.0.0/22"))
    fixed = replace(wanted.accesses[0], lans=(ip_network("10.64.0.0/23"),))
    placed = _one(replace(wanted, accesses=(fixed, wanted.accesses[1])))
    assert placed.attachments[1].lans == ("10.64.2.0/24",)


def test_an_exhausted_lan_pool_is_a_refusal() -> None:
    wanted = plane("office", "zhihui", "buji", "pingdi", lan_pool=IPv4Network("10.64.0.0/23"))
    assert "has no /24 left" in _plan(wanted).refusals[0].binds


def test_boundaries_and_latency_bind_planes_too() -> None:
    west = Boundaries(exclude_regions=frozenset({"east"}))
    assert "outside the boundaries" in _plan(plane("w", "buji", "pingdi", boundaries=west)).refusals[0].binds
    slow = _plan(plane("l", "buji", "pingdi", slo=Slo(latency_s=1e-4))).refusals[0]
    assert "latency" in slow.binds
    assert any("0.255 ms" in offer for offer in slow.would_fit)


def test_an_unknown_site_is_a_refusal() -> None:
    assert "no site atlantis" in _plan(plane("x", "buji", "atlantis")).refusals[0].binds


def test_the_access_pool_leaves_the_border_pool_out() -> None:
    pools = Pools()
    assert pools.access_net(15 * 2**14 - 1)[0] == "172.30.255.253"
    assert len(pools.access_nets) == 15 * 2**14
    assert Pools(border=IPv4Network("172.16.0.0/16")).access_net(0)[0] == "172.17.0.1"


def test_a_plane_takes_the_second_border_where_the_first_is_full() -> None:
    wide = [plane(n, "zhihui", "pingdi", rate_bps=60 * GBPS, lan_pool=None) for n in ("a", "b", "c")]
    outcome = place(CITY, Ledger(CITY), wide, {}, NOW)
    stitched = {n: {s.rank: s.link for s in p.stitches} for n, p in outcome.placements.items()}
    assert stitched["gov/a"][1] == stitched["gov/b"][2]
    assert stitched["gov/a"][2] == stitched["gov/b"][1]
    for name, placement in outcome.placements.items():
        held = {r.link for r in placement.rates if r.rate_bps == 60 * GBPS}
        assert stitched[name][1] in held
        assert stitched[name][2] not in held
    assert [r.service for r in outcome.refusals] == ["gov/c"]
    assert outcome.refusals[0].binds.endswith("has 40 Gbit/s left of 100 Gbit/s")
    standing = {w.metadata.service: (w, outcome.placements[w.metadata.service]) for w in wide[:2]}
    again = place(CITY, outcome.ledger, wide[:2], standing, NOW)
    assert again.placements == outcome.placements
