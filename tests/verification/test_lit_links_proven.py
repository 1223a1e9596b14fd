"""IP links over light of their own: what is configured is what is proven, and what is wrong with it is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from controller.changes.pipeline import Wanted
from controller.intent.model import ExclusiveSlice, Isolation, Protection, ServiceId, Slo
from controller.network.ledger import Ledger
from controller.network.lit import with_lit
from controller.rendering.paths import at
from controller.rendering.tree import Path, Tree
from controller.verification.model import ConfigurationModel
from controller.verification.proof import Proofs, Property
from controller.verification.prove import prove
from tests.support.intents import GBPS, slice_between
from tests.verification.scene import Scene, Trees, changed, empty

CITY, OTN = "city-ip", "city-otn"
LINK, BACK = "link:lg-buji.otn-1..lg-nanwan.otn-1", "link:lg-nanwan.otn-1..lg-buji.otn-1"
LIGHT = "link/lg-buji.otn-1..lg-nanwan.otn-1"
NETWORK: Path = ("nw:networks", ("nw:network", "net:city-ip"))
TE: Path = ("tet:te", "tet:te-link-attributes")


def _slice(name: str, a: str, z: str, rate: int) -> ExclusiveSlice:
    near = Slo(latency_s=0.00025, availability=0.9)
    return slice_between(name, a, z, rate, isolation=Isolation.NRP, protection=Protection.NONE, slo=near)


FULL, FIRST = _slice("full", "nanwan", "jihua", 92 * GBPS), _slice("first", "zhihui", "buji", 80 * GBPS)
SECOND = _slice("second", "zhihui", "buji", 18 * GBPS)


@cache
def _scene() -> Scene:
    scene = empty()
    for one in (FULL, FIRST, SECOND):
        scene, done = scene.after(Wanted((one,)))
        assert not done.proofs.broken, [str(b) for b in done.proofs.broken]
    assert [k.id for k in scene.state.lit] == [LINK]
    return scene


def _link(name: str) -> Path:
    return (*NETWORK, ("nt:link", name))


def _both(path: Path, value: Tree | str | tuple[str, ...] | None) -> Callable[[Trees], dict[str, Tree]]:
    def planted(trees: Trees) -> dict[str, Tree]:
        return changed(changed(trees, CITY, (*_link(LINK), *path), value), CITY, (*_link(BACK), *path), value)

    return planted


def _without_link(trees: Trees) -> dict[str, Tree]:
    return changed(changed(trees, CITY, _link(LINK), None), CITY, _link(BACK), None)


def _elsewhere(port: str) -> Callable[[Trees], dict[str, Tree]]:
    """Both directions end at another port of nanwan."""

    def planted(trees: Trees) -> dict[str, Tree]:
        there = changed(trees, CITY, (*_link(LINK), "nt:destination", "nt:dest-tp"), port)
        return changed(there, CITY, (*_link(BACK), "nt:source", "nt:source-tp"), port)

    return planted


def _twin(trees: Trees) -> dict[str, Tree]:
    """A second link from the same port of buji to a free one of nanwan, under other names."""
    out = dict(trees)
    for name, twin, end in ((LINK, f"{LINK}x", "nt:destination"), (BACK, f"{BACK}x", "nt:source")):
        entry = at(out[CITY], _link(name))
        assert isinstance(entry, dict)
        copy: Tree = {**entry, "nt:link-id": twin}
        place = copy[end]
        assert isinstance(place, dict)
        copy[end] = {**place, f"nt:{'dest' if end == 'nt:destination' else 'source'}-tp": "tp:otn-2"}
        out = changed(out, CITY, _link(twin), copy)
    return out


def _slower_circuit(trees: Trees) -> dict[str, Tree]:
    return changed(trees, OTN, (("opt:circuit", LIGHT), "opt:rate-bps"), str(10 * GBPS))


def _rate(gbps: str) -> Callable[[Trees], dict[str, Tree]]:
    def planted(trees: Trees) -> dict[str, Tree]:
        out = dict(trees)
        for which in ("tet:max-link-bandwidth", "tet:max-resv-link-bandwidth"):
            out = _both((*TE, which, "tet:te-bandwidth", "tet:generic"), gbps)(out)
        return out

    return planted


@dataclass(frozen=True)
class Plant:
    name: str
    broken: Property
    culprit: str
    plant: Callable[[Trees], dict[str, Tree]]


PLANTS = (
    Plant("no light under it", Property.REACHABILITY, "no circuit joins",
          lambda trees: changed(trees, OTN, (("opt:circuit", LIGHT),), None)),
    Plant("light for another port", Property.REACHABILITY, "no circuit joins",
          lambda trees: changed(trees, OTN, (("opt:circuit", LIGHT), "opt:z-port"), "otn-nanwan/c6")),
    Plant("a VLAN of a port only", Property.REACHABILITY, "no circuit joins",
          lambda trees: changed(trees, OTN, (("opt:circuit", LIGHT), "opt:a-vlan"), "100")),
    Plant("one direction only", Property.REACHABILITY, "only one direction",
          lambda trees: changed(trees, CITY, _link(BACK), None)),
    Plant("gone under tunnels", Property.REACHABILITY, "slice/gov.first", _without_link),
    Plant("light that nobody uses", Property.ISOLATION, "no IP link runs over it", _without_link),
    Plant("an access port", Property.REACHABILITY, "not cabled to a client port", _elsewhere("tp:acc-1")),
    Plant("a port that is none", Property.REACHABILITY, "has no port", _elsewhere("tp:otn-77")),
    Plant("another link's port", Property.CAPACITY, "uses node:lg-nanwan/tp:ge-1 too", _elsewhere("tp:ge-1")),
    Plant("a port used twice", Property.CAPACITY, "uses node:lg-buji/tp:otn-1 too", _twin),
    Plant("more than its light carries", Property.CAPACITY, "carries 10", _slower_circuit),
    Plant("less than is booked on it", Property.CAPACITY, "are guaranteed on it", _rate("0x1.65a0bcp+33")),
    Plant("a duct untold", Property.DISJOINTNESS, "D2-bulan-road", _both((*TE, "tet:te-srlgs"), None)),
    Plant("an ordinary metric", Property.CAPACITY, "its metric 10", _both((*TE, "tet:te-igp-metric"), "10")),
    Plant("quicker than light", Property.LATENCY, "light takes", _both((*TE, "tet:te-delay-metric"), "7")),
    Plant("its channel taken twice", Property.CAPACITY, "channel 3 of f-nanwan-buji",
          lambda trees: changed(trees, OTN, (("opt:circuit", "link/twin"),), {
              **at(trees[OTN], (("opt:circuit", LIGHT),)), "opt:id": "link/twin",  # type: ignore[dict-item]
              "opt:a-port": "otn-buji/c5", "opt:z-port": "otn-nanwan/c6"})),
)  # fmt: skip


def _caught(proofs: Proofs, plant: Plant) -> bool:
    said = [str(e) for e in proofs.broken if e.broken is plant.broken]
    return plant.broken not in proofs.held and any(plant.culprit in text for text in said)


@pytest.mark.parametrize("plant", PLANTS, ids=[p.name for p in PLANTS])
def test_a_planted_error_is_caught_and_its_culprit_named(plant: Plant) -> None:
    scene = _scene()
    trees = plant.plant(scene.trees)
    assert trees != scene.trees
    proofs = scene.with_trees(trees)
    assert _caught(proofs, plant), [str(e) for e in proofs.broken]


@pytest.mark.parametrize("plant", PLANTS[::3], ids=[p.name for p in PLANTS[::3]])
def test_it_is_found_in_full_too_and_whatever_the_map_shows(plant: Plant) -> None:
    scene = _scene()
    shown = with_lit(scene.city, scene.state.lit)
    model = ConfigurationModel.build(plant.plant(scene.trees))
    assert _caught(prove(model, shown, scene.intents, scene.intents), plant)


def test_what_is_configured_proves_clean_on_every_picture_of_the_city() -> None:
    scene = _scene()
    assert not scene.in_full().broken
    shown = with_lit(scene.city, scene.state.lit)
    model = ConfigurationModel.build(scene.trees)
    assert not prove(model, shown, scene.intents, scene.intents).broken
    blind = replace(shown, links=tuple(replace(k, circuit=None, fibres=()) if k.pinned else k for k in shown.links))
    assert not prove(model, blind, scene.intents, scene.intents).broken


def test_removing_users_in_turn_proves_clean_and_leaves_nothing() -> None:
    scene = _scene()
    for name in ("first", "second", "full"):
        done = scene.planned(Wanted(drops=frozenset({ServiceId(f"gov/{name}")})))
        assert not done.proofs.broken, [str(b) for b in done.proofs.broken]
        scene = Scene(scene.city, done.after, done.model)
    assert not scene.trees
    assert not scene.model.lit
    assert not scene.model.circuits


SITES = ("zhihui", "nanwan", "buji", "jihua", "bantian", "pingdi")


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**20))
def test_whatever_comes_and_goes_proves_clean_and_the_last_leaves_nothing(seed: int) -> None:
    draw, scene, lit = Random(seed), empty(), 0
    for n in range(10):
        standing = sorted(scene.state.services)
        if standing and draw.random() < 0.35:
            done = scene.planned(Wanted(drops=frozenset({draw.choice(standing)})))
        else:
            a, z = draw.sample(SITES, 2)
            how = draw.choice((Protection.NONE, Protection.STANDBY))
            one = slice_between(f"s{n}", a, z, draw.choice((60, 80)) * GBPS, isolation=Isolation.NRP,
                                protection=how, slo=Slo(latency_s=0.01, availability=0.5))  # fmt: skip
            done = scene.planned(Wanted((one,)))
        assert not done.proofs.broken, [str(b) for b in done.proofs.broken]
        scene = Scene(scene.city, done.after, done.model)
        lit = max(lit, len(scene.state.lit))
    assert not scene.in_full().broken
    for name in draw.sample(sorted(scene.state.services), len(scene.state.services)):
        done = scene.planned(Wanted(drops=frozenset({name})))
        assert not done.proofs.broken, [str(b) for b in done.proofs.broken]
        scene = Scene(scene.city, done.after, done.model)
    assert not scene.trees
    assert scene.state.ledger.on(scene.city).dump() == Ledger(scene.city).dump()
    event(f"{lit} links lit at once")


def test_what_others_load_is_not_found_anew_when_a_link_is_lit() -> None:
    scene = empty()
    for one in (FULL, _slice("other", "bantian", "pinghu", GBPS)):
        scene, _ = scene.after(Wanted((one,)))
    before = scene.model.loads.by_service[ServiceId("gov/other")]
    scene, done = scene.after(Wanted((FIRST,)))
    assert scene.state.lit
    assert done.model.loads.by_service[ServiceId("gov/other")] is before
