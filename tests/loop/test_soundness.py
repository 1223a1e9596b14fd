"""The proof of capacity after a failure: made whole again between changes, a few services at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from controller.changes.desk import Desk
from controller.changes.pipeline import Wanted, active_intents
from controller.changes.state import DesiredState
from controller.intent.model import ServiceId
from controller.loop.soundness import Soundness
from controller.network.model import CityMap
from controller.network.outage import without
from controller.verification.model import ConfigurationModel
from controller.verification.prove import renew
from tests.changes.wanted import NOW, council, empty, office, partition, planned, services, slice_over_three


def _fresh(state: DesiredState, city: CityMap) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Return what every service loads, and the sums, as if the daemon had just started on this map."""
    model = ConfigurationModel.build({d: state.desired.tree(d) for d in state.desired.domains})
    return _book(renew(model, city, active_intents(state), 1000)[0])


def _book(model: ConfigurationModel) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    book = model.loads
    return {s: dict(loads) for s, loads in book.by_service.items()}, {k: v for k, v in book.totals.items() if v}


def _standing(city: CityMap) -> tuple[DesiredState, ConfigurationModel]:
    state, model = empty(city)
    first = planned(city, state, model, Wanted(services(office(), slice_over_three(), partition(), council(0, 3600))))
    return first.after, first.model


def _cut(city: CityMap, state: DesiredState) -> CityMap:
    plane = state.services[ServiceId("gov/office")].placement
    first = next(r.link for r in plane.rates if r.link.startswith("link:"))
    return without(city, {f"link:{first}", f"link:{city.link_by_id[first].reverse}"})


def test_after_a_failure_it_comes_to_what_a_start_on_the_new_map_would_find(city: CityMap) -> None:
    state, model = _standing(city)
    after = _cut(city, state)
    assert _fresh(state, after) != _fresh(state, city), "the cut concerns nobody: it shows nothing"
    left, steps = 1, 0
    while left:
        model, left = renew(model, after, active_intents(state), 1)
        steps += 1
    assert steps == len(active_intents(state))
    assert not model.loads.aging
    assert _book(model) == _fresh(state, after)


def test_the_model_that_a_plan_is_made_on_meanwhile_stays_as_it_was(city: CityMap) -> None:
    state, model = _standing(city)
    before = _book(model)
    renew(model, _cut(city, state), active_intents(state), 1000)
    assert _book(model) == before


async def test_the_task_waits_for_repairs_and_then_makes_all_of_it_whole(city: CityMap) -> None:
    state, model = _standing(city)
    maps, hurried = [city], True
    desk = Desk(state, lambda: maps[0], lambda: NOW + timedelta(minutes=1))
    desk.model = model
    maps[0] = _cut(city, state)
    task = Soundness(desk, lambda: hurried)
    await task.start()
    await asyncio.sleep(0.6)
    assert not desk.whole
    hurried = False
    for _ in range(3000):
        if desk.whole:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("not whole within 30 s")
    await task.stop()
    assert _book(desk.model) == _fresh(state, maps[0])
