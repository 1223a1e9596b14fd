"""Tunnels settled on arrays come to the same as tunnels looked at one by one, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from controller.changes.pipeline import Wanted
from controller.intent.model import (
    Boundaries,
    Demand,
    Disjointness,
    ExclusiveSlice,
    Isolation,
    Protection,
    Service,
    ServiceId,
    Slo,
)
from controller.network.model import PortRef
from controller.rendering.tree import Leaf, Path, Tree
from controller.verification import bulk, plain
from controller.verification.bookings import tunnel_bookings
from controller.verification.forwarding import Forwarding
from controller.verification.igp import Interior
from controller.verification.limits import NOTHING, of_links
from controller.verification.model import ConfigurationModel
from controller.verification.proof import Proofs
from controller.verification.prove import prove
from tests.support.intents import slice_between
from tests.verification.mistakes import RING_TUNNEL, Plant
from tests.verification.plants import PLANTS
from tests.verification.scene import Scene, Trees, changed, empty, standing

OF_TUNNELS = [p for p in PLANTS if {"tunnel", "tunnel's", "standby", "partition", "way", "tunnels"} & {*p.name.split()}]


def _in_full(scene: Scene, trees: Trees, at_least: int, monkeypatch: pytest.MonkeyPatch) -> Proofs:
    monkeypatch.setattr(bulk, "AT_LEAST", at_least)
    monkeypatch.setattr(bulk, "AT_ONCE", 3)
    return prove(ConfigurationModel.build(trees), scene.city, scene.intents, scene.intents)


@pytest.mark.parametrize("plant", OF_TUNNELS, ids=[p.name for p in OF_TUNNELS])
def test_on_arrays_the_same_counter_examples_are_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = standing()
    trees = plant.plant(scene.trees)
    at_once, one_by_one = (_in_full(scene, trees, n, monkeypatch) for n in (1, 10**9))
    assert at_once.broken == one_by_one.broken
    assert at_once.broken


def test_everything_that_stands_well_is_settled_on_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = standing()
    forwarding = Forwarding(scene.model, scene.city, Interior(scene.city))
    tunnels = list(scene.model.tunnels.values())
    sound = bulk.sound_tunnels(tunnels, forwarding)
    wrong = [
        t.name for t in tunnels if any(tunnel_bookings(t, Forwarding(scene.model, scene.city, Interior(scene.city))))
    ]
    assert wrong == []
    assert set(sound) == {id(t) for t in tunnels}


def test_what_arrays_say_of_a_way_is_what_following_it_says() -> None:
    scene = standing()
    quick, slow = (Forwarding(scene.model, scene.city, Interior(scene.city)) for _ in range(2))
    sound = bulk.sound_tunnels(list(scene.model.tunnels.values()), quick)
    for tunnel in scene.model.tunnels.values():
        trails = [slow.trail(hops) if hops else None for hops in (tunnel.working, tunnel.standby)]
        for took, trail in zip(sound[id(tunnel)], trails, strict=True):
            sums = of_links(trail.links) if trail else NOTHING
            there = [trail.delay_s if trail else 0.0, sums.jitter_s, sums.lost, sums.hops]
            assert took == pytest.approx(there, abs=1e-12)


def test_a_hop_that_no_link_leaves_through_is_left_to_be_looked_at() -> None:
    scene = standing()
    lost = replace(scene.model.tunnels["city-ip", RING_TUNNEL], working=(PortRef("node:nowhere", "tp:none"),))
    model = replace(scene.model, tunnels={**scene.model.tunnels, ("city-ip", RING_TUNNEL): lost})
    sound = bulk.sound_tunnels(list(model.tunnels.values()), Forwarding(model, scene.city, Interior(scene.city)))
    assert set(sound) == {id(t) for t in model.tunnels.values() if t is not lost}


def _few() -> Scene:
    """Return slices that are settled in one look."""
    ends = (("ring", "buji", "zhihui", Protection.STANDBY), ("side", "buji", "nanwan", Protection.NONE))
    slo = Slo(latency_s=0.02, loss_ratio=1e-4, availability=0.99)
    few = [slice_between(n, a, z, 10**8, isolation=Isolation.NRP, protection=p, slo=slo) for n, a, z, p in ends]
    return empty().after(Wanted(tuple(few)))[0]


def test_plain_slices_are_settled_with_what_they_load() -> None:
    scene = _few()
    forwarding = Forwarding(scene.model, scene.city, Interior(scene.city))
    sound = bulk.sound_tunnels(list(scene.model.tunnels.values()), forwarding)
    found = plain.settled(sorted(scene.intents), scene.intents, forwarding, sound)
    assert set(found) == set(scene.intents)
    for sid, loads in found.items():
        assert loads == scene.model.loads.by_service[sid]


def _leaves(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    for step, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, step))
        else:
            yield (*path, step), value


def _misread(value: Leaf) -> Iterator[Leaf | None]:
    """Yield what could stand there instead: nothing, something else, something of another kind."""
    yield None
    yield f"{value}9" if isinstance(value, str) else ("other",)
    yield "node:lg-nanwan"


def test_whatever_leaf_of_a_plain_slice_is_wrong_the_same_counter_examples_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, wrong = _few(), 0
    for path, value in _leaves(scene.trees["city-ip"]):
        for other in _misread(value):
            trees = changed(scene.trees, "city-ip", path, other)
            at_once, one_by_one = (_in_full(scene, trees, n, monkeypatch) for n in (1, 10**9))
            assert at_once.broken == one_by_one.broken, (path, other)
            wrong += bool(at_once.broken)
    assert wrong > 100


@pytest.mark.parametrize(
    "asked",
    [
        {"slo": Slo(latency_s=1e-6)}, {"slo": Slo(jitter_s=1e-7)},
        {"slo": Slo(loss_ratio=1e-9)}, {"slo": Slo(most_hops=1)}, {"demands": (Demand("a", "z", 10**9),)},
        {"protection": Protection.STANDBY}, {"plane": "A"}, {"disjoint": (Disjointness.NODE,)},
        {"boundaries": Boundaries(exclude_regions=frozenset({"west"}))}, {"diverse_from": (ServiceId("gov/ring"),)},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_else_is_asked_of_a_plain_slice_the_same_counter_examples_are_found(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = _few()
    slices = [service for service in scene.intents.values() if isinstance(service, ExclusiveSlice)]
    intents: dict[ServiceId, Service] = {s.metadata.service: replace(s, **_meant(s, asked)) for s in slices}
    found = []
    for at_least in (1, 10**9):
        monkeypatch.setattr(bulk, "AT_LEAST", at_least)
        found.append(prove(ConfigurationModel.build(scene.trees), scene.city, intents, intents).broken)
    assert found[0] == found[1]
    assert found[0] or "disjoint" in asked  # the two ways there have no node in common


def _meant(standing: ExclusiveSlice, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what is asked, with demands between the ends that there are."""
    ends = [e.name for e in standing.endpoints]
    return {k: tuple(Demand(*ends, d.rate_bps) for d in v) if k == "demands" else v for k, v in asked.items()}
