from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from controller.intent.model import Boundaries, Disjointness, Isolation, Protection, Service, Slo
from controller.network.ledger import Ledger
from controller.network.merge import merge
from controller.planning.place import place
from controller.planning.placement import Refusal
from tests.support.cities import city_map, inventory, topologies
from tests.support.intents import GBPS, NOW, access, plane, slice_between

CITY = city_map("longgang")


def _refusal(*wanted: Service) -> Refusal:
    return place(CITY, Ledger(CITY), wanted, {}, NOW).refusals[0]


def test_latency_that_cannot_be_met_is_offered_as_it_would_be() -> None:
    refusal = _refusal(slice_between("lat", "bantian", "pingdi", slo=Slo(latency_s=0.0002)))
    assert refusal.needs == "1 Gbit/s, ≤ 0.2 ms, availability ≥ 99.9 %"
    assert refusal.binds == "latency: the quickest way from otn-bantian to otn-pingdi takes 0.334 ms (as timeslot)"
    assert refusal.would_fit == (
        "1 Gbit/s ≤ 0.288 ms as wavelength over otn-pinghu, otn-zhihui, otn-longcheng, otn-longgang, …",
    )


def test_reach_is_named_and_timeslots_are_offered() -> None:
    refusal = _refusal(
        slice_between("far", "bantian", "pingdi", isolation=Isolation.WAVELENGTH, protection=Protection.STANDBY)
    )
    assert "without regeneration" in refusal.binds
    assert any("without standby" in offer for offer in refusal.would_fit)
    assert any("as timeslot" in offer for offer in refusal.would_fit)


def test_the_duct_that_every_way_shares_is_named() -> None:
    shared = 1015  # both fibres of the compute centre in one duct
    changed = []
    for topology in topologies("longgang"):
        fibres = tuple(replace(f, srlgs=frozenset({shared})) if "compute" in f.id else f for f in topology.fibres)
        changed.append(replace(topology, fibres=fibres))
    city = merge(tuple(changed), inventory("longgang"), 2, frozenset())
    wanted = slice_between("dc", "buji", "compute", protection=Protection.STANDBY, isolation=Isolation.TIMESLOT)
    refusal = place(city, Ledger(city), [wanted], {}, NOW).refusals[0]
    assert refusal.binds == (
        "duct D15-compute-north (otn-compute – otn-nanwan, otn-compute – otn-zhihui): "
        "every way from otn-buji to otn-compute uses it"
    )
    assert "without standby" in refusal.would_fit[0]


def test_boundaries_that_leave_no_way_are_named_and_eased() -> None:
    bounds = Boundaries(exclude_nodes=frozenset({"otn-zhihui"}))
    refusal = _refusal(slice_between("b", "buji", "pingdi", boundaries=bounds, isolation=Isolation.TIMESLOT))
    assert refusal.binds == "the boundaries (not over otn-zhihui) leave no way from otn-buji to otn-pingdi"
    assert refusal.would_fit == ("1 Gbit/s ≤ 20 ms as nrp", "1 Gbit/s ≤ 20 ms over otn-zhihui too")


def test_the_largest_rate_that_fits_is_offered() -> None:
    refusal = _refusal(slice_between("big", "buji", "nanwan", 120 * GBPS, isolation=Isolation.NRP))
    assert refusal.would_fit
    assert refusal.would_fit[-1].startswith("100 Gbit/s") or refusal.would_fit[-1].startswith("99.")


def test_a_refusal_reads_as_four_lines() -> None:
    text = str(_refusal(slice_between("lat", "bantian", "pingdi", slo=Slo(latency_s=0.0002))))
    first, *rest = text.splitlines()
    assert first == "lat: ExclusiveSlice gov/lat cannot be placed"
    assert [line.split()[0] for line in rest] == ["needs", "binds", "would"]


def test_one_refusal_does_not_hold_up_the_others() -> None:
    outcome = place(
        CITY, Ledger(CITY), [slice_between("ok", "buji", "nanwan"), slice_between("no", "buji", "moon")], {}, NOW
    )
    assert list(outcome.placements) == ["gov/ok"]
    assert [r.service for r in outcome.refusals] == ["gov/no"]
    assert outcome.ledger.services() == ("gov/ok",)


def test_ipv6_prefixes_are_refused_in_one_sentence() -> None:
    sixth = replace(access("buji"), lans=(ip_network("2001:db8:1::/64"),))
    wanted = replace(plane("six", "zhihui", "buji"), accesses=(access("zhihui"), sixth))
    pool = plane("pool", "zhihui", "buji", lan_pool=ip_network("2001:db8::/48"), lan_prefix_len=64)
    six, pooled = (_refusal(w).binds for w in (wanted, pool))
    assert six.startswith("access buji: 2001:db8:1::/64 is an IPv6 prefix, and services are carried over IPv4 only")
    assert pooled.startswith("access zhihui: 2001:db8::/64 is an IPv6 prefix")


def test_an_access_port_carries_no_more_than_it_runs_at() -> None:
    first = place(CITY, Ledger(CITY), [plane("one", "buji", "zhihui", rate_bps=60 * GBPS)], {}, NOW)
    assert first.refusals == ()
    more = plane("two", "buji", "pinghu", rate_bps=50 * GBPS)
    refusal = place(CITY, first.ledger, [more], {}, NOW).refusals[0]
    assert refusal.binds == "port node:lg-buji/tp:acc-1 has 40 Gbit/s left of 100 Gbit/s, 50 Gbit/s is asked"
    wide = plane("wide", "buji", "zhihui", rate_bps=60 * GBPS)
    twice = replace(wide, accesses=(*wide.accesses, access("buji2", 60 * GBPS, "buji")))
    assert _refusal(twice).binds.endswith("has 100 Gbit/s left of 100 Gbit/s, 2 accesses ask for 120 Gbit/s")
    slice_too = slice_between("late", "buji", "zhihui", 45 * GBPS, isolation=Isolation.NRP)
    assert "port node:lg-buji/tp:acc-1" in place(CITY, first.ledger, [slice_too], {}, NOW).refusals[0].binds


def test_hubs_in_two_domains_are_refused() -> None:
    wanted = plane("two-hubs", "zhihui", "pingdi", "buji", hub_and_spoke=True)
    second = replace(wanted, accesses=tuple(replace(a, hub=a.name != "buji") for a in wanted.accesses))
    binds = _refusal(second).binds
    assert binds == "hubs zhihui in city-ip and pingdi in district-ip: the hubs of one plane must be in one domain"


def test_an_availability_beyond_two_ways_is_not_answered_with_one_way_alone() -> None:
    for protection in (Protection.AUTO, Protection.STANDBY):
        refusal = _refusal(
            slice_between("a", "bantian", "pingdi", slo=Slo(availability=1 - 1e-9), protection=protection)
        )
        assert refusal.binds == "availability: the way bantian–pingdi gives 99.9948 % (as timeslot)"
        assert refusal.would_fit == ("1 Gbit/s with standby at availability 99.9948 %",)


def test_a_node_that_is_down_is_named_not_its_ports() -> None:
    dark = {"otn-buji": replace(CITY.nodes["otn-buji"], up=False)}
    ports = {ref: replace(p, up=p.up and ref.node not in dark) for ref, p in CITY.ports.items()}
    city = replace(CITY, nodes={**CITY.nodes, **dark}, ports=ports, version=CITY.version + 1)
    wanted = slice_between("b", "buji", "pingdi", isolation=Isolation.TIMESLOT)
    (refusal,) = place(city, Ledger(city), [wanted], {}, NOW).refusals
    assert refusal.binds == "otn-buji is down"


def test_each_constraint_is_eased_by_as_little_as_fits() -> None:
    strict = slice_between(
        "s", "buji", "pinghu", isolation=Isolation.TIMESLOT, protection=Protection.NONE,
        slo=Slo(latency_s=0.02, availability=0.9, most_hops=2),
    )  # fmt: skip
    assert _refusal(strict).would_fit[0] == "1 Gbit/s ≤ 20 ms in 3 hops"
    apart = slice_between(
        "n", "nanwan", "pingdi", isolation=Isolation.TIMESLOT, protection=Protection.STANDBY,
        slo=Slo(latency_s=0.02, availability=0.9), disjoint=(Disjointness.NODE, Disjointness.SRLG),
    )  # fmt: skip
    refusal = _refusal(apart)
    assert refusal.needs == "1 Gbit/s, ≤ 20 ms, timeslot, node- and SRLG-disjoint standby"
    assert refusal.would_fit[:2] == (
        "1 Gbit/s ≤ 20 ms without standby (availability 99.9097 %)",
        "1 Gbit/s ≤ 20 ms with SRLG-disjoint standby that may share a node",
    )


def test_the_latency_that_would_do_is_said_with_its_way() -> None:
    wanted = slice_between(
        "l", "buji", "zhihui", isolation=Isolation.TIMESLOT, protection=Protection.NONE,
        slo=Slo(latency_s=0.0001, availability=0.9),
    )  # fmt: skip
    assert "1 Gbit/s ≤ 0.118 ms over otn-nanwan" in _refusal(wanted).would_fit


def test_a_planes_availability_is_eased_to_what_its_ways_give() -> None:
    refusal = _refusal(plane("p", "buji", "pinghu", slo=Slo(availability=0.9999999)))
    assert refusal.binds.startswith("availability: the ways lg-buji–lg-pinghu together give ")
    given = refusal.binds.rpartition("give ")[2]
    assert f"2 accesses, 2 Gbit/s in all at availability {given}" in refusal.would_fit
