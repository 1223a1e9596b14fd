"""What circuits keep for restoration is proven from the configuration: dark, apart, and never needed by two at once."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from controller.changes.pipeline import Wanted
from controller.intent.model import Isolation, Protection, ServiceId, Slo
from controller.network.damage import Elements, Failure, damaged
from controller.rendering.paths import at
from controller.rendering.tree import Leaf, Tree
from controller.verification.proof import Property
from tests.support.intents import slice_between
from tests.verification.scene import Scene, changed, empty

OTN = "city-otn"
_ASKED = {"isolation": Isolation.TIMESLOT, "protection": Protection.RESTORATION, "slo": Slo(availability=0.99)}
WEST = slice_between("west", "nanwan", "buji", **_ASKED)
WEST2 = slice_between("west2", "nanwan", "buji", **_ASKED)
NORTH = slice_between("north", "bantian", "jihua", **_ASKED)
GUARDED = replace(slice_between("guarded", "pinghu", "bantian", **_ASKED), protection=Protection.STANDBY)
PLAIN = replace(slice_between("plain", "zhihui", "pinghu", **_ASKED), protection=Protection.NONE)


def _circuit(name: str, ends: str) -> tuple[str, str]:
    return ("opt:circuit", f"gov.{name}/{ends}")


WEST_AT, WEST2_AT = _circuit("west", "nanwan-buji"), _circuit("west2", "nanwan-buji")
GUARDED_AT, PLAIN_AT = _circuit("guarded", "pinghu-bantian"), _circuit("plain", "zhihui-pinghu")


@cache
def _scene() -> Scene:
    scene, done = empty().after(Wanted((WEST, WEST2, NORTH, GUARDED, PLAIN)))
    assert not done.proofs.broken, [str(b) for b in done.proofs.broken]
    return scene


def _of(scene: Scene, circuit: tuple[str, str], leaf: str) -> Tree | Leaf:
    found = at(scene.trees[OTN], (circuit, f"opt:{leaf}"))
    assert found is not None
    return found


def test_what_is_kept_and_shared_proves_clean_one_by_one_and_in_full() -> None:
    scene = _scene()
    assert _of(scene, WEST_AT, "protect-shared") == "true"
    assert scene.in_full().broken == ()


@pytest.mark.parametrize(
    ("circuit", "leaf", "value", "broken", "reason"),
    [
        (WEST2_AT, "protect", (WEST_AT, "protect"), Property.CAPACITY, "both need it when"),
        (WEST2_AT, "protect", None, Property.DISJOINTNESS, "protection was asked"),
        (WEST2_AT, "protect", (WEST2_AT, "working"), Property.DISJOINTNESS, "share"),
        (WEST_AT, "protect-shared", None, Property.CAPACITY, "both use it"),
        (GUARDED_AT, "protect-shared", "true", Property.DISJOINTNESS, "dark and shared"),
    ],
    ids=["kept by two that fail together", "nothing kept", "kept in its own duct", "lit", "a standby left dark"],
)
def test_a_planted_error_is_caught(
    circuit: tuple[str, str], leaf: str, value: object, broken: Property, reason: str
) -> None:
    scene = _scene()
    new = _of(scene, *value) if isinstance(value, tuple) else value
    trees = changed(scene.trees, OTN, (circuit, f"opt:{leaf}"), new)  # type: ignore[arg-type]
    found = scene.with_trees(trees).broken
    assert any(e.broken is broken and reason in str(e) for e in found), [str(e) for e in found]


def test_a_circuit_that_works_over_what_another_keeps_is_caught() -> None:
    scene = _scene()
    kept = _of(scene, WEST_AT, "protect")
    assert isinstance(kept, dict)
    route, slots = kept["opt:route"], kept["opt:slots"]
    assert isinstance(route, tuple)
    assert isinstance(slots, tuple)
    hop = "odu-f-pinghu-zhihui-1"
    trees = changed(scene.trees, OTN, (PLAIN_AT, "opt:working", "opt:slots"), (slots[route.index(hop)],))
    found = scene.with_trees(trees).broken
    assert any(e.broken is Property.CAPACITY and "gov.west/nanwan-buji" in str(e) for e in found)


def test_a_repair_lights_what_was_kept_and_proves_clean() -> None:
    scene = _scene()
    broken = damaged(scene.city, Elements(scene.city).damage([Failure("fibre", "f-nanwan-buji")]))
    dead = frozenset({WEST.metadata.service, WEST2.metadata.service})
    done = replace(scene, city=broken).planned(Wanted(again=dead, dead=dead))
    assert not done.refusals
    assert done.proofs.broken == ()
    assert done.puts.keys() == {*dead, NORTH.metadata.service}
    assert {p.service: p.action for p in done.plans}[NORTH.metadata.service] == "change"
    assert done.puts[ServiceId("gov/north")].generation == 1  # nobody changed the intent
    for name, circuit in (("west", WEST_AT), ("west2", WEST2_AT)):
        now = done.puts[ServiceId(f"gov/{name}")].placement.circuits[0].working.route
        assert now == at(scene.trees[OTN], (circuit, "opt:protect", "opt:route"))
