from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.model import AttachLayer, Boundaries, ExclusiveSlice, Isolation, Protection, Service, Slo
from controller.network.discovered import DiscoveredFibre
from controller.network.ledger import Ledger
from controller.network.merge import merge
from controller.planning.containers import container
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import Placement
from tests.support.cities import city_map, inventory, topologies
from tests.support.intents import GBPS, NOW, access, slice_between
from tests.support.invariants import check_all, check_circuit

CITY = city_map("longgang")


def _plan(*wanted: Service) -> PlanOutcome:
    outcome = place(CITY, Ledger(CITY), wanted, {}, NOW)
    check_all(CITY, {s.metadata.service: s for s in wanted}, outcome.placements)
    return outcome


def _one(wanted: ExclusiveSlice) -> Placement:
    outcome = _plan(wanted)
    assert outcome.refusals == (), str(outcome.refusals)
    return outcome.placements[wanted.metadata.service]


def test_a_wavelength_takes_a_whole_port_and_one_channel_end_to_end() -> None:
    placed = _one(
        slice_between("w", "buji", "compute", 10 * GBPS, isolation=Isolation.WAVELENGTH, protection=Protection.STANDBY)
    )
    (circuit,) = placed.circuits
    assert circuit.id == "gov.w/buji-compute"
    assert (circuit.layer, circuit.odu, circuit.mode) == ("wavelength", "ODU2e", "100G QPSK SC-FEC")
    assert (circuit.a_vlan, circuit.z_vlan) == (0, 0)
    assert circuit.working.route == ("f-nanwan-buji", "f-nanwan-compute")
    assert circuit.protect is not None
    assert {(r.resource, r.label) for r in placed.labels} >= {(f"port:{circuit.a}", 0), (f"port:{circuit.z}", 0)}
    (stitch,) = placed.stitches
    assert (stitch.rank, stitch.link, stitch.circuit) == (1, None, circuit.id)
    assert stitch.a.port.startswith("tp:otn-")
    assert CITY.ports[circuit.a].peer == (stitch.a.node, stitch.a.port)


def test_timeslot_services_share_a_port_by_vlan_and_never_a_slot() -> None:
    outcome = _plan(*(slice_between(f"t{i}", "buji", "pingdi", GBPS) for i in range(3)))
    circuits = [p.circuits[0] for p in outcome.placements.values()]
    assert len({c.a for c in circuits}) == 1
    assert len({c.a_vlan for c in circuits}) == 3
    assert all(
        c.a_vlan == c.z_vlan == p.stitches[0].vlan for c, p in zip(circuits, outcome.placements.values(), strict=True)
    )
    assert all(p.isolation == "timeslot" for p in outcome.placements.values())


def test_a_full_client_port_is_not_shared_further() -> None:
    outcome = _plan(
        *(slice_between(f"t{i}", "zhihui", "longgang", 40 * GBPS, slo=Slo(availability=0.9)) for i in range(2))
    )
    third = place(
        CITY, outcome.ledger, [slice_between("t9", "zhihui", "longgang", 30 * GBPS, slo=Slo(availability=0.9))], {}, NOW
    )
    assert {str(p.circuits[0].a) for p in outcome.placements.values()} == {"otn-zhihui/otn-zhihui/c6"}
    assert all(str(p.circuits[0].a) != "otn-zhihui/otn-zhihui/c6" for p in third.placements.values())


@pytest.mark.parametrize("isolation", [Isolation.WAVELENGTH, Isolation.TIMESLOT])
def test_an_optical_endpoint_needs_no_ip_configuration(isolation: Isolation) -> None:
    placed = _one(slice_between("o", "buji", "nanwan", 10 * GBPS, isolation=isolation, attach=AttachLayer.OPTICAL))
    assert not placed.attachments
    assert not placed.stitches
    assert CITY.ports[placed.circuits[0].a].site == "buji"


def test_sensitive_traffic_rides_a_wavelength_where_reach_allows_and_says_so_where_not() -> None:
    assert _one(slice_between("v", "buji", "compute", traffic_class="video")).isolation == "wavelength"
    far = _one(slice_between("far", "bantian", "pingdi", traffic_class="video"))
    assert far.isolation == "timeslot"
    assert "reach" in far.notes[0]


def test_an_nrp_slice_has_tunnels_a_partition_and_both_borders() -> None:
    placed = _one(slice_between("n", "buji", "pingdi", isolation=Isolation.NRP, protection=Protection.STANDBY))
    assert {p.domain for p in placed.partitions} == {"city-ip", "district-ip"}
    assert sorted(s.rank for s in placed.stitches) == [1, 2]
    assert {t.domain for t in placed.tunnels} == {"city-ip", "district-ip"}
    names = {t.name for t in placed.tunnels}
    assert "slice/gov.n/lg-buji-lg-zhihui" in names
    assert all(t.reverse in names and t.standby is not None and t.partition == placed.number for t in placed.tunnels)
    assert {s.fallback for s in placed.steering} == {"drop"}
    assert all(r.rate_bps == GBPS for r in placed.rates)


def test_an_nrp_slice_within_one_domain_stays_there() -> None:
    placed = _one(slice_between("n", "buji", "zhihui", isolation=Isolation.NRP))
    assert placed.stitches == ()
    assert {t.domain for t in placed.tunnels} == {"city-ip"}


def test_without_protection_there_is_no_second_leg() -> None:
    placed = _one(slice_between("t", "buji", "nanwan", protection=Protection.NONE, slo=Slo(availability=0.999)))
    assert placed.circuits[0].protect is None


def test_standby_is_added_where_the_availability_asks_for_it() -> None:
    loose = slice_between("t", "buji", "pingdi", slo=Slo(availability=0.99))
    assert _one(loose).circuits[0].protect is None
    assert _one(replace(loose, slo=Slo(availability=0.9999))).circuits[0].protect is not None


def test_a_diverse_slice_shares_no_duct_with_the_other() -> None:
    first = slice_between("one", "zhihui", "buji", slo=Slo(availability=0.99))
    second = replace(
        slice_between("two", "zhihui", "buji", slo=Slo(availability=0.99)), diverse_from=(first.metadata.service,)
    )
    placements = _plan(first, second).placements
    routes = [p.circuits[0].working.route for p in placements.values()]
    risks = [{s for o in route for s in CITY.odu_links[o].srlgs} for route in routes]
    assert not risks[0] & risks[1]


def test_boundaries_keep_a_slice_out_of_nodes_and_regions() -> None:
    around = slice_between(
        "t",
        "nanwan",
        "pinghu",
        slo=Slo(availability=0.9),
        boundaries=Boundaries(exclude_nodes=frozenset({"otn-zhihui"})),
    )
    assert all("zhihui" not in hop for hop in _one(around).circuits[0].working.route)
    west = replace(around, boundaries=Boundaries(include_regions=frozenset({"west"})))
    assert all("zhihui" not in hop for hop in _one(west).circuits[0].working.route)
    trusted = replace(around, isolation=Isolation.NRP, boundaries=Boundaries(least_trust=4))
    assert "trust" in _plan(trusted).refusals[0].binds


def test_several_demands_get_a_circuit_each() -> None:
    base = slice_between("m", "buji", "zhihui")
    wanted = replace(
        base,
        endpoints=(*base.endpoints, access("pingdi")),
        demands=(*base.demands, replace(base.demands[0], a="zhihui", z="pingdi")),
    )
    placed = _one(wanted)
    assert [c.id for c in placed.circuits] == ["gov.m/buji-zhihui", "gov.m/zhihui-pingdi"]
    assert len(placed.attachments) == 3


def test_attachments_of_different_layers_cannot_be_joined() -> None:
    base = slice_between("m", "buji", "zhihui")
    mixed = replace(base, endpoints=(base.endpoints[0], replace(base.endpoints[1], attach=AttachLayer.OPTICAL)))
    assert "both must be alike" in _plan(mixed).refusals[0].binds


def test_spare_ports_run_out_and_the_refusal_says_so() -> None:
    wanted = [slice_between(f"w{i}", "buji", "nanwan", 10 * GBPS, isolation=Isolation.WAVELENGTH) for i in range(9)]
    outcome = _plan(*wanted)
    assert len(outcome.placements) == 8
    assert "optical ports at buji" in outcome.refusals[0].binds


@pytest.mark.parametrize(
    ("gbps", "name", "slots"),
    [
        (0.1, "ODU0", 1),
        (1, "ODU0", 1),
        (2.4, "ODU1", 2),
        (5, "ODUflex", 4),
        (10, "ODU2e", 8),
        (25, "ODUflex", 20),
        (100, "ODU4", 80),
    ],
)
def test_containers_take_the_fewest_slots(gbps: float, name: str, slots: int) -> None:
    found = container(round(gbps * GBPS))
    assert found is not None
    assert (found.name, found.slots) == (name, slots)


def test_nothing_carries_more_than_an_odu4() -> None:
    assert container(150 * GBPS) is None


def test_a_wavelength_takes_fewer_fibres_where_the_quickest_pair_is_out_of_reach() -> None:
    """Seven short fibres are quicker than a long one, but light does not pass seven ROADMs."""
    optics = next(t for t in topologies("longgang") if t.domain == "city-otn")
    shortcut = DiscoveredFibre("f-long", "otn-buji", "otn-pingdi", 150_000, 40.0, frozenset({1999}), 80, frozenset())
    rest = tuple(t for t in topologies("longgang") if t.domain != "city-otn")
    wider = replace(optics, fibres=(*optics.fibres, shortcut))
    city = merge((*rest, wider), inventory("longgang"), 2, frozenset())
    wanted = slice_between("far", "buji", "pingdi", isolation=Isolation.WAVELENGTH, protection=Protection.STANDBY)
    assert "without regeneration" in place(CITY, Ledger(CITY), [wanted], {}, NOW).refusals[0].binds
    circuit = place(city, Ledger(city), [wanted], {}, NOW).placements[wanted.metadata.service].circuits[0]
    assert circuit.protect is not None
    assert ("f-long",) in (circuit.working.route, circuit.protect.route)
    check_circuit(city, circuit)
    late = replace(wanted, slo=replace(wanted.slo, latency_s=0.0006))
    assert place(city, Ledger(city), [late], {}, NOW).refusals != ()
