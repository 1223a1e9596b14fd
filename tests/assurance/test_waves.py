"""Which services a failure concerns, and who comes first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.assurance.components import Damage, closure, damage, ridden, shown
from controller.assurance.waves import Harm, Riders, hurt, waves
from controller.intent.model import Isolation, Protection, Service, ServiceId, Slo
from controller.network.ledger import Ledger
from controller.network.outage import without
from controller.planning.place import place
from controller.planning.placement import Placement
from tests.support.cities import city_map, topologies
from tests.support.intents import NOW, conference, plane, slice_between

CITY = city_map("longgang")
ROUTES = {c.id: c.route for t in topologies("longgang") for c in t.circuits}
LOOSE = Slo(latency_s=0.02, availability=0.99)
WANTED = (
    plane("office", "zhihui", "buji", "longgang"),
    conference("council", "office", "zhihui", "buji", "longgang"),
    slice_between("slots", "nanwan", "buji", isolation=Isolation.TIMESLOT, protection=Protection.NONE, slo=LOOSE),
    slice_between("guarded", "nanwan", "buji", isolation=Isolation.TIMESLOT, protection=Protection.STANDBY),
    slice_between("pinned", "nanwan", "buji", isolation=Isolation.NRP, protection=Protection.NONE, slo=LOOSE),
)
Pairs = dict[ServiceId, tuple[Service, Placement]]


def _placed() -> Pairs:
    found = place(CITY, Ledger(CITY), WANTED, {}, NOW)
    assert not found.refusals, found.refusals
    return {s.metadata.service: (s, found.placements[s.metadata.service]) for s in WANTED}


STANDING = _placed()


def _riders() -> Riders:
    riders = Riders()
    riders.follow({sid: (pair, pair[1]) for sid, pair in STANDING.items()})
    return riders


def test_what_says_its_kind_already_is_not_called_so_twice() -> None:
    names = ["link:link:lg-a.1..lg-b.1", "node:node:lg-a", "node:otn-a", "fibre:f-a-b", "circuit:t.s/a-b"]
    assert [shown(n) for n in names] == ["link:lg-a.1..lg-b.1", "node:lg-a", *names[2:]]


def test_a_cut_fibre_takes_along_what_rides_on_it() -> None:
    down = closure(CITY, {"fibre:f-nanwan-buji"}, ROUTES)
    assert "odu:odu-f-nanwan-buji-1" in down
    assert {c for c in down if c.startswith("link:")} == {
        "link:link:lg-nanwan.ge-2..lg-buji.ge-1",
        "link:link:lg-buji.ge-1..lg-nanwan.ge-2",
    }


def test_vips_come_first_then_what_is_dead_then_planes_then_what_only_lost_its_guard() -> None:
    found = hurt(_riders(), STANDING, closure(CITY, {"fibre:f-nanwan-buji"}, ROUTES))
    assert [h.service for h in found] == ["gov/council", "gov/pinned", "gov/slots", "gov/office", "gov/guarded"]
    assert {h.service: h.damage for h in found}["gov/guarded"] in (Damage.SWITCHED, Damage.EXPOSED)
    assert waves(found, 1) == tuple((h.service,) for h in found)
    assert waves(found, 9) == (("gov/council",), ("gov/pinned", "gov/slots"), ("gov/office",), ("gov/guarded",))


COMPONENTS = st.sets(
    st.sampled_from(sorted([*(f"fibre:{f}" for f in CITY.fibres), *(f"node:{n}" for n in CITY.nodes)])), max_size=4
)


@settings(max_examples=60, deadline=None)
@given(COMPONENTS)
def test_the_index_finds_exactly_who_is_hurt(failed: set[str]) -> None:
    down = closure(CITY, failed, ROUTES)
    found = {h.service for h in hurt(_riders(), STANDING, down)}
    assert found == {sid for sid, (_, p) in STANDING.items() if damage(p, down) is not Damage.NONE}
    assert all(ridden(STANDING[sid][1]) & down for sid in found)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(COMPONENTS, st.sampled_from(sorted(STANDING))), max_size=8))
def test_what_is_remembered_of_one_failure_is_true_of_the_next(asked: list[tuple[set[str], ServiceId]]) -> None:
    harm = Harm(_riders())
    for failed, sid in asked:
        down = closure(CITY, failed, ROUTES)
        assert harm.of(sid, STANDING[sid][1], down) is damage(STANDING[sid][1], down)


def test_who_asks_with_more_that_is_down_but_not_ridden_costs_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The repair loop asks with all that is down, an incident with the parts of its own cause."""
    judged = 0

    def counting(*arguments: Any) -> Damage:
        nonlocal judged
        judged += 1
        return damage(*arguments)

    monkeypatch.setattr("controller.assurance.waves.damage", counting)
    harm, down = Harm(_riders()), closure(CITY, {"fibre:f-nanwan-buji"}, ROUTES)
    for more in (frozenset(), frozenset({"fibre:elsewhere", "node:nowhere"})):
        for sid, (_, placement) in STANDING.items():
            harm.of(sid, placement, down | more)
    assert judged == sum(damage(p, down) is not Damage.NONE for _, p in STANDING.values())


@settings(max_examples=20, deadline=None)
@given(COMPONENTS)
def test_what_is_placed_again_rides_nothing_that_is_down(failed: set[str]) -> None:
    down = closure(CITY, failed, ROUTES)
    after = without(CITY, down)
    found = hurt(_riders(), STANDING, down)
    ledger = Ledger(CITY)
    for _, placement in STANDING.values():
        ledger.add(placement)
    outcome = place(after, ledger.on(after), [STANDING[h.service][0] for h in found], STANDING, NOW)
    for placement in outcome.placements.values():
        if any(f"node:{a.node}" in down for a in placement.attachments):
            continue  # its own end is gone: no way helps
        assert damage(placement, down) in (Damage.NONE, Damage.SWITCHED)  # a border that is down stays stitched
        assert not placement.circuits or damage(placement, down) is Damage.NONE


@given(st.lists(st.sets(st.sampled_from(sorted(STANDING))), max_size=6))
def test_the_index_after_any_comings_and_goings_is_as_built_anew(steps: list[set[ServiceId]]) -> None:
    riders = Riders()
    for step in steps:
        riders.follow({sid: (STANDING[sid], STANDING[sid][1]) for sid in step})
        fresh = Riders()
        fresh.follow({sid: (STANDING[sid], STANDING[sid][1]) for sid in step})
        every = {c for _, p in STANDING.values() for c in ridden(p)}
        assert all(riders.on((c,)) == fresh.on((c,)) for c in every)
