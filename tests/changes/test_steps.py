"""In which order a change reaches the domains."""

from __future__ import annotations

from controller.changes.pipeline import Planned, Wanted
from controller.changes.steps import steps_of
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from controller.transactions.step import Step
from tests.changes.wanted import empty, office, planned, services, slice_over_three

SURVEY = ServiceId("lands/survey")


def _steps(found: Planned, city: CityMap) -> tuple[Step, ...]:
    return steps_of("c", found.edits, {name: d.kind for name, d in city.domains.items()})


def test_light_comes_up_before_the_ip_that_rides_on_it(city: CityMap) -> None:
    found = planned(city, *empty(city), Wanted(services(slice_over_three())))
    (step,) = _steps(found, city)
    assert step.waves == (("city-otn",), ("city-ip", "district-ip"))


def test_light_goes_down_after_the_ip_that_rode_on_it(city: CityMap) -> None:
    first = planned(city, *empty(city), Wanted(services(slice_over_three())))
    gone = planned(city, first.after, first.model, Wanted(drops=frozenset({SURVEY})))
    (step,) = _steps(gone, city)
    assert step.name == "remove"
    assert step.waves == (("city-ip", "district-ip"), ("city-otn",))


def test_what_adds_and_removes_takes_down_only_when_the_new_stands(city: CityMap) -> None:
    first = planned(city, *empty(city), Wanted(services(slice_over_three())))
    both = planned(
        city,
        first.after,
        first.model,
        Wanted(services(slice_over_three("next", "10.50"), office()), frozenset({SURVEY})),
    )
    switch, remove = _steps(both, city)
    assert switch.waves[0] == ("city-otn",)
    assert remove.waves == (("city-otn",),)
    (taken_down,) = remove.edits[0].operations
    assert taken_down.path[0] == ("opt:circuit", "lands.survey/buji-longgang")


def test_nothing_to_do_is_no_step(city: CityMap) -> None:
    assert steps_of("c", (), {}) == ()
