"""Tunnels settled on arrays come to the same as tunnels looked at one by one, right ones and wrong ones."""

from __future__ import annotations

import pytest

from controller.verification import bulk
from controller.verification.bookings import tunnel_bookings
from controller.verification.forwarding import Forwarding
from controller.verification.igp import Interior
from controller.verification.model import ConfigurationModel
from controller.verification.proof import Proofs
from controller.verification.prove import prove
from tests.verification.plants import PLANTS, Plant
from tests.verification.scene import Scene, Trees, standing

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
    assert sound == {id(t) for t in tunnels}


def test_what_arrays_say_of_a_way_is_what_following_it_says() -> None:
    scene = standing()
    quick, slow = (Forwarding(scene.model, scene.city, Interior(scene.city)) for _ in range(2))
    bulk.sound_tunnels(list(scene.model.tunnels.values()), quick)
    for tunnel in scene.model.tunnels.values():
        for hops in (tunnel.working, tunnel.standby or tunnel.working):
            ours, theirs = quick.trail(hops), slow.trail(hops)
            assert (ours.links, ours.nodes, ours.risks) == (theirs.links, theirs.nodes, theirs.risks)
            assert ours.delay_s == pytest.approx(theirs.delay_s, abs=1e-12)
