"""Wrong configuration is caught before it is sent, and right configuration is never called wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.changes.pipeline import Wanted
from controller.intent.model import Boundaries, Isolation, Protection, Service, ServiceId, Slo
from controller.verification.model import ConfigurationModel
from controller.verification.proof import Proofs, Property
from controller.verification.prove import prove
from tests.support.intents import plane, slice_between
from tests.verification.mistakes import Plant, node
from tests.verification.plants import PLANTS
from tests.verification.scene import BUDGET, RING, WEST, changed, empty, scenario, scenarios, standing


def _caught(proofs: Proofs, wanted: Property, culprit: str) -> bool:
    return wanted not in proofs.held and any(culprit in str(e) for e in proofs.broken if e.broken is wanted)


@pytest.mark.parametrize("plant", PLANTS, ids=[p.name for p in PLANTS])
def test_a_planted_error_is_caught_and_its_culprit_named(plant: Plant) -> None:
    scene = standing()
    trees = plant.plant(scene.trees)
    assert trees != scene.trees
    proofs = scene.with_trees(trees)
    assert _caught(proofs, plant.broken, plant.culprit), [str(e) for e in proofs.broken]


@pytest.mark.parametrize("plant", PLANTS[::5], ids=[p.name for p in PLANTS[::5]])
def test_a_planted_error_is_found_in_full_too(plant: Plant) -> None:
    scene = standing()
    model = ConfigurationModel.build(plant.plant(scene.trees))
    assert not set(Property) <= set(prove(model, scene.city, scene.intents, scene.intents).held)


def test_what_was_planned_proves_clean_one_by_one_and_in_full() -> None:
    scene = empty()
    for service in sorted((*scenarios(), RING, WEST), key=lambda s: s.kind == "VipAssurance"):
        scene, done = scene.after(Wanted((service,)))
        assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
        assert set(done.proofs.held) == set(Property)
    assert scene.in_full().broken == ()


@pytest.mark.parametrize(
    ("service", "wanted", "broken", "culprit"),
    [
        (RING, replace(RING, slo=Slo(latency_s=1e-6)), Property.LATENCY, "are promised"),
        (WEST, replace(WEST, boundaries=Boundaries(exclude_regions=frozenset({"west"}))), Property.REGIONS, "nanwan"),
        (
            WEST,
            replace(WEST, boundaries=Boundaries(exclude_nodes=frozenset({"lg-jihua"}))),
            Property.REGIONS,
            "standby",
        ),
        (WEST, replace(WEST, boundaries=Boundaries(least_trust=4)), Property.REGIONS, "trust level"),
        (WEST, replace(WEST, diverse_from=(RING.metadata.service,)), Property.DISJOINTNESS, "diversity"),
        (WEST, replace(WEST, diverse_from=(BUDGET.metadata.service,)), Property.DISJOINTNESS, "diversity"),
        (RING, replace(RING, together_with=(WEST.metadata.service,)), Property.DISJOINTNESS, "in no duct of gov/west"),
        (BUDGET, replace(BUDGET, slo=Slo(most_hops=1)), Property.LIMITS, "1 are the most"),
        (BUDGET, replace(BUDGET, slo=Slo(jitter_s=1e-6)), Property.LIMITS, "µs are promised"),
        (BUDGET, replace(BUDGET, slo=Slo(loss_ratio=1e-8)), Property.LIMITS, "of its packets"),
        (RING, replace(RING, slo=Slo(latency_s=7e-4)), Property.LATENCY, "on its standby"),
    ],
    ids=[
        "latency",
        "region",
        "standby through a forbidden node",
        "trust",
        "diversity",
        "diversity from a plane",
        "company",
        "hops of a plane",
        "jitter of a plane",
        "loss of a plane",
        "latency of a standby",
    ],
)
def test_a_promise_that_the_configuration_does_not_keep_is_caught(
    service: Service, wanted: Service, broken: Property, culprit: str
) -> None:
    scene = standing()
    intents = {**scene.intents, service.metadata.service: wanted}
    proofs = prove(scene.model, scene.city, intents, {service.metadata.service})
    assert _caught(proofs, broken, culprit), [str(e) for e in proofs.broken]


def test_a_vip_over_what_does_not_stand_is_caught() -> None:
    scene = standing()
    council = ServiceId("government/council")
    intents = {sid: s for sid, s in scene.intents.items() if sid != "government/office"}
    assert _caught(prove(scene.model, scene.city, intents, {council}), Property.REACHABILITY, "does not stand")


_CHOICES: tuple[Service, ...] = (
    plane("a", "buji", "zhihui", "pingdi"),
    plane("b", "zhihui", "buji", "pingdi", "henggang", hub_and_spoke=True),
    slice_between("c", "buji", "pingdi", isolation=Isolation.NRP),
    slice_between("d", "bantian", "zhihui", isolation=Isolation.NRP, protection=Protection.STANDBY),
    slice_between("e", "nanwan", "longgang"),
    slice_between("f", "buji", "compute", 10**10, isolation=Isolation.WAVELENGTH),
    *scenario("command-dispatch.yaml")[:1],
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(_CHOICES), min_size=1, max_size=8))
def test_services_that_come_and_go_leave_a_proven_city(moves: list[Service]) -> None:
    """Each choice puts its service or, where it stands, drops it; the model keeps pace with a rebuilt one."""
    scene = empty()
    for service in moves:
        sid = service.metadata.service
        there = sid in scene.intents
        scene, done = scene.after(Wanted(drops=frozenset({sid})) if there else Wanted((service,)))
        assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
    assert scene.model.loads.totals.keys() >= {link for s in scene.model.loads.by_service.values() for link in s}
    assert ConfigurationModel.build(scene.trees) == replace(
        scene.model, looked_at=ConfigurationModel.build(scene.trees).looked_at
    )
    assert scene.in_full().broken == ()


@pytest.mark.parametrize("hub", ["zhihui", "compute", "pingdi", "bantian"])
def test_spokes_meet_only_at_the_hub_wherever_it_stands(hub: str) -> None:
    """In its own domain, beyond one border or beyond two; with spokes at the borders' routers, and across both."""
    spokes = [s for s in ("zhihui", "nanwan", "compute", "henggang", "longgang", "buji") if s != hub]
    wanted = plane("outer", hub, *spokes, hub_and_spoke=True)
    proofs = empty().planned(Wanted((wanted,))).proofs
    assert proofs.broken == (), [str(b) for b in proofs.broken]


def test_a_plane_that_routing_would_lead_outside_its_bounds_is_caught_without_its_tunnels() -> None:
    """The domains' own shortest ways know nothing of regions, excluded nodes or planes A and B."""
    bounds = Boundaries(exclude_nodes=frozenset({"lg-zhihui"}))
    around = plane("around", "nanwan", "pinghu", "buji", boundaries=bounds, slo=Slo(availability=0.99))
    scene, _ = empty().after(Wanted((around,)))
    assert scene.in_full().broken == ()
    pinned = [(n, e) for n, e in scene.model.vpns["city-ip", "gov.around"].steering.items() if "nanwan" in n[0]]
    trees = scene.trees
    for (at, remote, target), _ in pinned:
        where = (*node("gov.around", at.removeprefix("node:lg-")), ("oc:steering", remote, target))
        trees = changed(trees, "city-ip", where, None)
    proofs = scene.with_trees(trees)
    assert _caught(proofs, Property.REGIONS, "lg-zhihui is where the service must not go")


def test_a_plane_that_would_leave_its_bounds_once_its_tunnel_is_gone_is_caught() -> None:
    bounds = Boundaries(exclude_nodes=frozenset({"lg-zhihui"}))
    around = plane("around", "nanwan", "pinghu", "buji", boundaries=bounds, slo=Slo(availability=0.99))
    scene, _ = empty().after(Wanted((around,)))
    (at, remote, target), *_ = sorted(k for k in scene.model.vpns["city-ip", "gov.around"].steering)
    where = (*node("gov.around", at.removeprefix("node:lg-")), ("oc:steering", remote, target), "oc:fallback")
    proofs = scene.with_trees(changed(scene.trees, "city-ip", where, None))
    assert _caught(proofs, Property.REGIONS, "it is not dropped"), [str(e) for e in proofs.broken]


def test_the_hose_that_is_proven_is_the_floor_together_with_what_is_guaranteed() -> None:
    scene, _ = empty().after(Wanted((plane("wide", "buji", "nanwan", rate_bps=40 * 10**9),)))
    link = "link:lg-buji.ge-1..lg-nanwan.ge-2"
    assert scene.model.loads.totals[link] == 20 * 10**9
    alone = {"isolation": Isolation.NRP, "protection": Protection.NONE, "slo": Slo(availability=0.99)}
    narrow = slice_between("narrow", "buji", "nanwan", 3 * 10**9, **alone)
    scene, _ = scene.after(Wanted((narrow,)))
    assert scene.model.loads.totals[link] == 23 * 10**9
    scene, _ = scene.after(Wanted(drops=frozenset({narrow.metadata.service})))
    assert scene.model.loads.totals[link] == 20 * 10**9
