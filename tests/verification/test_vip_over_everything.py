"""A VIP without flows takes what all other VIPs leave, whatever carries it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.changes.pipeline import Wanted
from controller.intent.model import Metadata, ServiceId, VipAssurance, Window
from tests.support.intents import FLOWS, plane
from tests.verification.scene import NOW, RING, Scene, empty

WINDOW = Window(NOW - timedelta(hours=1), NOW + timedelta(hours=3))
OFFICE = plane("office", "zhihui", "buji", "pingdi")
POLICE = replace(plane("office", "zhihui", "jihua", "bantian"), plane="B")


def _over(name: str, protects: str, **more: object) -> VipAssurance:
    vip = VipAssurance(Metadata(name, "gov"), ServiceId(f"gov/{protects}"), WINDOW)
    return replace(vip, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("carrier", [RING, OFFICE, POLICE], ids=["slice", "plane", "pinned plane"])
def test_it_is_placed_proven_and_leaves_its_carrier_as_it_was(carrier: object) -> None:
    scene: Scene = empty()
    scene, _ = scene.after(Wanted((carrier,)))  # type: ignore[arg-type]
    before = scene.trees
    vip = _over("all", "ring" if carrier is RING else "office")
    scene, done = scene.after(Wanted((vip,)))
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
    assert scene.in_full().broken == ()
    scene, _ = scene.after(Wanted(drops=frozenset({vip.metadata.service})))
    assert scene.trees == before


def test_its_rule_comes_after_those_of_every_other_vip_whatever_their_priorities() -> None:
    scene, _ = empty().after(Wanted((OFFICE,)))
    everything, media = _over("all", "office", priority=0), _over("media", "office", priority=7, flows=FLOWS)
    scene, done = scene.after(Wanted((everything, media)))
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
    rules = scene.model.vpns["city-ip", "gov.office"].accesses["gov.office.buji"].rules
    assert [r.target for r in rules][-1] == "vip.all.rest"
    assert len(rules) > len(FLOWS)
