"""Changes planned in one go come to exactly what they come to one after the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from controller.changes.desk import Desk, Taken
from controller.changes.jointly import Asked, plain, plan_jointly
from controller.changes.leavings import leavings
from controller.changes.pipeline import Planned, Wanted, plan
from controller.changes.state import DesiredState, rebuilt
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from controller.rendering.diff import apply
from controller.rendering.paths import extract
from controller.verification.model import ConfigurationModel
from tests.changes.wanted import NOW, council, office, partition, services, slice_over_three


def _always(_: Planned) -> bool:
    return True


def _one_by_one(
    state: DesiredState, model: ConfigurationModel, city: CityMap, asked: Sequence[Asked]
) -> tuple[list[Planned], DesiredState, ConfigurationModel]:
    """Plan and take each as the desk does with those that come alone."""
    found = []
    for one in asked:
        planned = plan(state, model, city, one.wanted, NOW)
        assert not planned.refusals
        assert not planned.proofs.broken
        found.append(planned)
        if planned.changes_nothing:
            continue
        ledger = planned.after.ledger.copy()
        concerned = planned.drops.union(planned.puts)
        for left in leavings(planned.base.services, planned.after.services, concerned, one.change_id):
            ledger.add(left)
        state, model = replace(planned.after, ledger=ledger), planned.model
    return found, state, model


def _standing(city: CityMap, *texts: str) -> tuple[DesiredState, ConfigurationModel]:
    state = rebuilt({}, city)
    _, state, model = _one_by_one(state, ConfigurationModel(), city, [Asked("first", Wanted(services(*texts)))])
    return state, model


@pytest.mark.parametrize("seed", range(4))
def test_what_is_planned_together_is_what_is_planned_one_after_the_other(city: CityMap, seed: int) -> None:
    chance = random.Random(seed)
    old = [slice_over_three(f"old{n}", f"10.{60 + n}") for n in range(4)]
    state, model = _standing(city, office(), *old)
    new = [slice_over_three(f"new{n}", f"10.{40 + n}") for n in range(4)]
    asked = [Wanted(services(text)) for text in new] + [Wanted(services(partition("part")))]
    asked += [Wanted(drops=frozenset({ServiceId("lands/old0"), ServiceId("lands/old1")}))]
    asked += [Wanted(services(old[2].replace("1Gbps", "2Gbps"))), Wanted(services(old[3]))]  # changed, and as it is
    chance.shuffle(asked)
    named = [Asked(f"c{n}", wanted) for n, wanted in enumerate(asked)]
    alone, after, next_model = _one_by_one(state, model, city, named)
    together = plan_jointly(state, model, city, named, NOW)
    assert list(together) == [one.change_id for one in named]
    last = together["c0"]
    assert dict(last.after.services) == dict(after.services)
    assert last.after.ledger.dump() == after.ledger.dump()
    assert last.after.number == after.number
    assert all(last.after.desired.tree(d) == after.desired.tree(d) for d in city.domains)
    assert last.model.claims == next_model.claims
    for one, single in zip(named, alone, strict=True):
        mine = together[one.change_id]
        assert (mine.puts, mine.drops, mine.plans) == (single.puts, single.drops, single.plans)
        assert [(e.domain, e.before, e.after) for e in mine.edits] == [
            (e.domain, e.before, e.after) for e in single.edits
        ]


def test_the_edits_of_all_lead_from_what_was_to_what_is_wanted(city: CityMap) -> None:
    state, model = _standing(city, office())
    named = [Asked(f"c{n}", Wanted(services(slice_over_three(f"s{n}", f"10.{40 + n}")))) for n in range(3)]
    together = plan_jointly(state, model, city, named, NOW)
    trees = {domain: state.desired.tree(domain) for domain in city.domains}
    for planned in reversed(together.values()):  # in whatever order they travel
        for edit in planned.edits:
            trees[edit.domain] = apply(trees[edit.domain], edit.operations)
            assert edit.after == extract(trees[edit.domain], edit.touched)
    after = together["c0"].after
    assert all(trees[domain] == after.desired.tree(domain) for domain in city.domains)


def test_who_is_out_of_the_ordinary_is_planned_alone(city: CityMap) -> None:
    state, model = _standing(city, office())
    changed = Asked("changed", Wanted(services(office("another"))))
    usual = Asked("usual", Wanted(services(slice_over_three())))
    too_much = Asked("much", Wanted(services(slice_over_three("huge", "10.44").replace("1Gbps", "900Gbps"))))
    unknown = Asked("unknown", Wanted(drops=frozenset({ServiceId("lands/nobody")})))
    assert plan_jointly(state, model, city, [too_much, unknown, usual, changed], NOW).keys() == {"usual", "changed"}
    beneath = Asked("beneath", Wanted(services(office())))
    vip, _ = _standing(city, office(), council(60, 600))
    assert plan_jointly(vip, ConfigurationModel(), city, [beneath], NOW) == {}  # a VIP protects it
    assert plain(usual.wanted)
    assert not plain(Wanted(services(council(60, 600))))
    assert not plain(Wanted(again=frozenset({ServiceId("lands/survey")})))
    assert not plain(Wanted(services(slice_over_three()), drops=frozenset({ServiceId("lands/other")})))


async def test_whoever_is_refused_takes_nobody_along(city: CityMap) -> None:
    desk = Desk(rebuilt({}, city), lambda: city, lambda: NOW)
    texts = [slice_over_three(f"s{n}", f"10.{40 + n}") for n in range(5)]
    texts[3] = texts[3].replace("1Gbps", "900Gbps")
    wanted = [Wanted(services(text)) for text in texts]
    taken = await asyncio.gather(*(desk.take(w, f"c{n}", lambda p: not p.refusals) for n, w in enumerate(wanted)))
    assert [bool(p.refusals) for p in taken] == [False, False, False, True, False]
    assert len({id(p.after) for p in taken}) < 5  # some of them were planned in one go
    assert desk.state.services.keys() == {f"lands/s{n}" for n in (0, 1, 2, 4)}
    fresh = rebuilt(desk.state.services, city)
    assert desk.state.ledger.dump() == fresh.ledger.dump()


async def test_who_gives_up_after_others_planned_it_leaves_no_trace(city: CityMap) -> None:
    desk = Desk(rebuilt({}, city), lambda: city, lambda: NOW)
    wanted = [Wanted(services(slice_over_three(f"s{n}", f"10.{40 + n}"))) for n in range(4)]
    tasks = [asyncio.create_task(desk.take(w, f"c{n}", _always)) for n, w in enumerate(wanted)]
    for _ in range(2):  # the first goes alone, the others together
        await desk.moved.wait()
        desk.moved.clear()
    tasks[3].cancel()
    taken = await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[3].cancelled() or isinstance(taken[3], Planned)
    for n, planned in enumerate(taken):
        if isinstance(planned, Planned):
            await desk.settle(Taken.of(planned, f"c{n}"))
    stands = {f"lands/s{n}" for n, planned in enumerate(taken) if isinstance(planned, Planned)}
    assert desk.state.services.keys() == stands
    assert desk.state.ledger.dump() == rebuilt(desk.state.services, city).ledger.dump()
