"""Proving costs what the change costs, counted in facts examined and units read, never in seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.changes.pipeline import Planned, Wanted
from controller.verification.model import ConfigurationModel
from controller.verification.prove import prove
from tests.support.intents import plane
from tests.verification.scene import Scene, empty
from tests.verification.standing import MBPS, one_more, services, standing


def _one_change(count: int) -> Planned:
    return standing(count).planned(Wanted((one_more(),)))


@pytest.mark.parametrize("count", [100, 1000])
def test_one_more_slice_costs_the_same_however_much_stands(count: int) -> None:
    few, many = _one_change(10), _one_change(count)
    assert many.proofs.broken == few.proofs.broken == ()
    assert many.proofs.checks == few.proofs.checks
    assert len(many.model.looked_at) == len(few.model.looked_at) == 4  # VPN, partition, two tunnels


def test_one_more_plane_costs_the_same_however_much_stands() -> None:
    wanted = Wanted((plane("one-more", "buji", "zhihui", "pingdi", rate_bps=MBPS),))
    assert standing(1000).planned(wanted).proofs.checks == standing(10).planned(wanted).proofs.checks


def test_unchanged_accesses_are_not_read_again() -> None:
    sites = ("buji", "zhihui", "pingdi", "jihua")
    scene, _ = empty().after(Wanted((plane("wide", *sites),)))
    after, _ = scene.after(Wanted((plane("wide", *sites, "bantian"),)))
    before, now = scene.model.vpns["city-ip", "gov.wide"], after.model.vpns["city-ip", "gov.wide"]
    assert all(now.accesses[i] is access for i, access in before.accesses.items())
    assert len(now.accesses) == len(before.accesses) + 1


def _rebuilt(scene: Scene) -> ConfigurationModel:
    model = ConfigurationModel.build(scene.trees)
    assert prove(model, scene.city, scene.intents, ()).broken == ()
    return model


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 19), min_size=1, max_size=12))
def test_the_model_that_followed_every_change_is_the_one_built_from_the_trees(moves: list[int]) -> None:
    known, scene = tuple(services(20)), empty()
    for number in moves:
        sid = known[number].metadata.service
        wanted = Wanted(drops=frozenset({sid})) if sid in scene.intents else Wanted((known[number],))
        scene, _ = scene.after(wanted)
    built = _rebuilt(scene)
    assert replace(scene.model, looked_at=built.looked_at) == built
    assert {k: v for k, v in scene.model.loads.totals.items() if v} == {
        k: v for k, v in built.loads.totals.items() if v
    }


def test_a_refused_change_leaves_the_model_as_it_was() -> None:
    scene = standing(10)
    before = (dict(scene.model.loads.totals), {k: dict(v) for k, v in scene.model.claims.items()})
    scene.planned(Wanted((one_more(),)))
    assert before == (scene.model.loads.totals, scene.model.claims)
