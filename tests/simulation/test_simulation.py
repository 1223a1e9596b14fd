"""A failure is followed as a network feels it: protection and routing first, then the planner, on a copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.changes.pipeline import Wanted
from controller.changes.state import rebuilt
from controller.errors import ConfigurationError, UnknownNameError
from controller.intent.model import Isolation, Protection, Service, Slo, Window
from controller.network.damage import Elements, damaged
from controller.network.model import CityMap
from controller.simulation.campaign import Campaign, scenarios
from controller.simulation.report import WORST_FIRST, Fate, Outcome, ServiceEffect
from controller.simulation.simulate import Simulation, Snapshot, with_added
from controller.verification.model import ConfigurationModel
from tests.support.intents import GBPS, plane, slice_between
from tests.verification.scene import NOW, Scene, empty, standing

LOOSE = {"isolation": Isolation.NRP, "protection": Protection.NONE, "slo": Slo(availability=0.9)}


def snapshot_of(scene: Scene) -> Snapshot:
    services = {sid: (s.service, s.placement) for sid, s in scene.state.services.items()}
    return Snapshot(scene.city, services, scene.state.ledger, NOW)


@cache
def everything() -> Simulation:
    return Simulation(snapshot_of(standing()))


def _with(*services: Service, city: CityMap | None = None) -> Simulation:
    scene = empty() if city is None else Scene(city, rebuilt({}, city), ConfigurationModel())
    scene, _ = scene.after(Wanted(services))
    return Simulation(snapshot_of(scene))


def _fail(simulation: Simulation, *names: str) -> Outcome:
    return simulation.fail([simulation.elements.named(name) for name in names])


def _effect(outcome: Outcome, service: str) -> ServiceEffect:
    return next(e for e in outcome.effects if e.service == service)


def test_a_protected_slice_switches_and_an_unprotected_one_is_placed_again() -> None:
    safe = slice_between("safe", "buji", "zhihui", isolation=Isolation.NRP, protection=Protection.STANDBY)
    outcome = _fail(_with(safe, slice_between("loose", "buji", "zhihui", **LOOSE)), "fibre:f-nanwan-buji")
    switched, placed = _effect(outcome, "gov/safe"), _effect(outcome, "gov/loose")
    assert (switched.fate, switched.cut_at_once) == (Fate.SWITCHES, 0)
    assert switched.delay_at_once_s > switched.delay_before_s
    assert (placed.fate, placed.cut_at_once, placed.cut_in_the_end) == (Fate.REPLACED, 1, 0)
    assert placed.delay_in_the_end_s == pytest.approx(switched.delay_at_once_s)


def test_a_circuit_without_a_second_leg_is_cut_until_it_is_placed_again() -> None:
    alone = slice_between(
        "alone", "zhihui", "compute", 10**10, isolation=Isolation.WAVELENGTH, protection=Protection.NONE,
        slo=Slo(availability=0.9),
    )  # fmt: skip
    effect = _effect(_fail(_with(alone), "fibre:f-zhihui-compute"), "gov/alone")
    assert (effect.fate, effect.cut_at_once, effect.cut_in_the_end) == (Fate.REPLACED, 1, 0)
    assert effect.delay_at_once_s is None
    assert effect.delay_in_the_end_s > effect.delay_before_s


def test_what_cannot_be_placed_within_its_budget_breaks_and_says_why() -> None:
    tight = slice_between("tight", "buji", "zhihui", **{**LOOSE, "slo": Slo(latency_s=1.5e-4, availability=0.9)})
    effect = _effect(_fail(_with(tight), "fibre:f-nanwan-buji"), "gov/tight")
    assert effect.fate is Fate.BREAKS
    assert "latency" in effect.reason


def test_a_service_that_loses_an_end_keeps_the_others() -> None:
    outcome = _fail(_with(plane("office", "zhihui", "buji", "nanwan", "jihua")), "node:lg-jihua")
    effect = _effect(outcome, "gov/office")
    assert (effect.fate, effect.pairs, effect.cut_at_once, effect.cut_in_the_end) == (Fate.ENDS, 6, 3, 3)
    assert effect.reason == "lg-jihua is down"


def test_a_lost_standby_is_told_though_no_traffic_moves() -> None:
    safe = slice_between("safe", "buji", "zhihui", isolation=Isolation.NRP, protection=Protection.STANDBY)
    effect = _effect(_fail(_with(safe), "fibre:f-bantian-pinghu"), "gov/safe")
    assert effect.fate is Fate.EXPOSED
    assert effect.delay_at_once_s == effect.delay_before_s


def test_two_failures_at_once_do_what_neither_does_alone() -> None:
    safe = slice_between("safe", "buji", "zhihui", isolation=Isolation.NRP, protection=Protection.STANDBY)
    simulation = _with(safe)
    assert _fail(simulation, "fibre:f-nanwan-buji").harmless
    assert _fail(simulation, "fibre:f-bantian-pinghu").harmless
    both = _fail(simulation, "fibre:f-nanwan-buji", "fibre:f-bantian-pinghu")
    assert _effect(both, "gov/safe").fate is Fate.BREAKS


def test_a_service_in_its_window_is_brought_where_others_stand_only_later() -> None:
    """The way around is full tomorrow: enough for what ends today, too little for what stays."""
    today = Window(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    tomorrow = Window(NOW + timedelta(days=1), NOW + timedelta(days=2))
    around = slice_between("around", "jihua", "bantian", 60 * GBPS, **LOOSE, window=tomorrow)
    for window, fate in ((today, Fate.REPLACED), (None, Fate.BREAKS)):
        moved = slice_between("moved", "buji", "zhihui", 60 * GBPS, **LOOSE, window=window)
        simulation = _with(moved, around, city=_without_spare_ports())
        assert simulation.services == 1, "what stands tomorrow carries nothing yet"
        for found in (_fail, _quickly):
            outcome = found(simulation, "fibre:f-nanwan-buji")
            assert _effect(outcome, "gov/moved").fate is fate
            assert len(outcome.effects) == 1


def _without_spare_ports() -> CityMap:
    """No IP link can be lit here."""
    city = empty().city
    ports = {ref: replace(p, up=p.up and p.role != "otn") for ref, p in city.ports.items()}
    return replace(city, ports=ports, version=city.version + 1)


def test_what_only_an_ip_link_lit_for_it_carries_is_brought_over_that() -> None:
    around = slice_between("around", "jihua", "bantian", 60 * GBPS, **LOOSE)
    moved = slice_between("moved", "buji", "zhihui", 60 * GBPS, **LOOSE)
    for found in (_fail, _quickly):
        outcome = found(_with(moved, around), "fibre:f-nanwan-buji")
        effect = _effect(outcome, "gov/moved")
        assert (effect.fate, effect.cut_in_the_end) == (Fate.REPLACED, 0)
        assert effect.delay_in_the_end_s is not None
        assert outcome.links


def test_what_is_thought_to_stand_besides_may_ride_on_an_ip_link_that_is_lit_for_it() -> None:
    snapshot = _with(slice_between("first", "jihua", "nanwan", 60 * GBPS, **LOOSE)).snapshot
    thought, outcome = with_added(snapshot, [slice_between("second", "buji", "zhihui", 60 * GBPS, **LOOSE)])
    assert outcome.refusals == ()
    simulation = Simulation(thought)
    lit = min(thought.city.link_index.keys() - snapshot.city.link_index.keys())
    effect = _effect(_fail(simulation, lit), "gov/second")
    assert (effect.fate, effect.cut_at_once, effect.cut_in_the_end) == (Fate.REPLACED, 1, 0)


def _quickly(simulation: Simulation, name: str) -> Outcome:
    return simulation.quick([simulation.elements.named(name)])


def test_a_duct_is_everything_that_runs_in_it() -> None:
    simulation = everything()
    duct = _fail(simulation, "srlg:D2-bulan-road")
    assert duct.effects == _fail(simulation, "fibre:f-nanwan-buji").effects
    number = next(n for n, name in simulation.city.srlg_names.items() if name == "D2-bulan-road")
    assert _fail(simulation, f"srlg:{number}") == duct


def _every_failure() -> Iterator[str]:
    yield from (f"{f.kind}:{f.name}" for f in Elements(standing().city).singles())


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(sorted(_every_failure())), min_size=1, max_size=3, unique=True))
def test_nothing_is_over_booked_touched_or_different_the_second_time(names: list[str]) -> None:
    simulation = everything()
    before = simulation.snapshot.ledger.dump()
    outcome = _fail(simulation, *names)
    assert outcome == _fail(Simulation(simulation.snapshot), *names)
    assert simulation.snapshot.ledger.dump() == before
    assert outcome.untouched + sum(outcome.counts) == simulation.services
    ranks = [WORST_FIRST.index(e.fate) for e in outcome.effects]
    assert ranks == sorted(ranks)
    gone = {simulation.city.links[i].id for i in simulation.elements.damage(outcome.failures).links}
    for link in outcome.links:
        assert link.link not in gone
        assert link.used_bps <= link.capacity_bps


def test_what_no_failure_touches_is_not_looked_at() -> None:
    """Where a fibre carries nothing, every service is untouched, and so is the planner."""
    outcome = _fail(everything(), "fibre:f-nanwan-compute")
    assert outcome.effects == ()
    assert outcome.untouched == everything().services


def test_a_map_after_a_failure_is_the_map_with_parts_down() -> None:
    city = standing().city
    elements = Elements(city)
    after = damaged(city, elements.damage([elements.named("node:otn-jihua")]))
    assert not after.nodes["otn-jihua"].up
    down = {k.id for k in after.links if not k.up}
    assert down == {k.id for k in city.links if {"lg-jihua"} & {k.src.node[5:], k.dst.node[5:]} and k.fibres}
    whole = replace(after, nodes=city.nodes, links=city.links, fibres=city.fibres, odu_links=city.odu_links)
    assert replace(whole, ports=city.ports) == city


def test_added_services_stand_in_the_copy_only() -> None:
    snapshot = snapshot_of(standing())
    more = slice_between("more", "buji", "zhihui", **LOOSE)
    greedy = slice_between("greedy", "buji", "zhihui", 10**12, **LOOSE)
    thought, outcome = with_added(snapshot, [more, greedy])
    assert [r.service for r in outcome.refusals] == ["gov/greedy"]
    assert "gov/more" in thought.standing
    assert "gov/more" not in snapshot.standing
    assert "gov/more" not in snapshot.ledger
    assert _effect(_fail(Simulation(thought), "fibre:f-nanwan-buji"), "gov/more")


def test_a_campaign_counts_and_puts_the_worst_first() -> None:
    campaign = Campaign(everything(), most_services=3)
    fails = scenarios(everything().elements, ["double:5"], seed=1)
    assert [p.done for p in campaign.run(fails)] == list(range(1, len(fails) + 1))
    summary, outcomes = campaign.summary(), campaign.worst_first()
    assert summary.failures == len(fails) == len(outcomes)
    assert summary.breaking == sum(1 for o in outcomes if o.count(Fate.BREAKS))
    assert [o.counts for o in outcomes] == sorted((o.counts for o in outcomes), reverse=True)
    assert all(len(o.effects) <= 3 for o in outcomes)


def test_pairs_are_drawn_alike_for_the_same_seed() -> None:
    elements = everything().elements
    assert scenarios(elements, ["double:30"], 5) == scenarios(elements, ["double:30"], 5)
    assert scenarios(elements, ["double:30"], 5) != scenarios(elements, ["double:30"], 6)
    every = scenarios(elements, ["double:100000"], 5)
    assert len(every) == len(set(every)) == len(elements.singles()) * (len(elements.singles()) - 1) // 2


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    elements = everything().elements
    with pytest.raises(UnknownNameError, match="did you mean D2-bulan-road"):
        elements.named("srlg:D2-bulan-rod")
    with pytest.raises(ConfigurationError, match="write fibre:NAME"):
        elements.named("f-nanwan-buji")
    assert elements.named("node:lg-buji") == elements.named("node:node:lg-buji")
