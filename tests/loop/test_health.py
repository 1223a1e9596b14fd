"""Health is never "ok" because nobody measured, and never bad over something that was not asked for."""

from __future__ import annotations

from dataclasses import replace

from controller.changes.pipeline import Wanted
from controller.changes.state import Standing
from controller.changes.views import Condition, SloView
from controller.intent.model import ServiceId
from controller.loop.health import protected, within_slo
from controller.network.model import CityMap
from controller.southbound.driver import Sample
from controller.telemetry.telemetry import Telemetry
from tests.changes.wanted import empty, office, planned, services, slice_over_three

CIRCUIT = "circuit:lands.survey/buji-longgang"


class Measured:
    """Telemetry that hears what a test says, at a time that a test says."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.telemetry = Telemetry((), lambda: self.now_s)

    def say(self, subject: str, **values: float) -> None:
        self.telemetry.take([Sample("city-ip", subject, metric, value, self.now_s) for metric, value in values.items()])


def _standing(city: CityMap, text: str, service: str) -> Standing:
    state, model = empty(city)
    return planned(city, state, model, Wanted(services(text))).after.services[ServiceId(service)]


def _judged(standing: Standing, heard: Measured, slo: SloView | None = None) -> Condition:
    return within_slo(slo or SloView(), heard.telemetry.service_view(standing.placement))


def _all_well(standing: Standing, heard: Measured) -> None:
    for subject in heard.telemetry.carriers(standing.placement):
        heard.say(subject, delay_s=0.001, loss_ratio=0.0, reachable=2, expected=2)


def test_a_plane_without_limits_is_judged_too(city: CityMap) -> None:
    plane, heard = _standing(city, office(), "gov/office"), Measured()
    found = _judged(plane, heard)
    assert (found.status, found.reason) == ("Unknown", "NoMeasurement")
    _all_well(plane, heard)
    assert _judged(plane, heard).status == "True"
    heard.now_s += 60
    assert _judged(plane, heard).status == "Unknown"


def test_a_site_that_reaches_fewer_than_promised_is_not_well(city: CityMap) -> None:
    plane, heard = _standing(city, office(), "gov/office"), Measured()
    _all_well(plane, heard)
    heard.say("access:gov.office/gov.office.buji", reachable=1, expected=2)
    found = _judged(plane, heard)
    assert (found.status, found.reason) == ("False", "Unreachable")
    assert "gov.office.buji" in found.message


def test_total_loss_is_no_service_even_without_a_limit(city: CityMap) -> None:
    plane, heard = _standing(city, office(), "gov/office"), Measured()
    _all_well(plane, heard)
    heard.say("access:gov.office/gov.office.buji", loss_ratio=1.0)
    assert _judged(plane, heard).reason == "Unreachable"


def test_one_silent_carrier_leaves_it_unknown(city: CityMap) -> None:
    plane, heard = _standing(city, office(), "gov/office"), Measured()
    _all_well(plane, heard)
    heard.now_s += 60
    heard.say("access:gov.office/gov.office.buji", delay_s=0.001, loss_ratio=0.0)
    assert _judged(plane, heard).status == "Unknown"


def test_with_both_legs_down_nothing_protects(city: CityMap) -> None:
    survey, heard = _standing(city, slice_over_three(), "lands/survey"), Measured()
    for said in ({"active_leg": 0.0}, {"active_leg": 1.0, "up": 0.0}):
        heard.say(CIRCUIT, **said)
        found = protected(survey.service, survey.placement, city, heard.telemetry)
        assert (found.status, found.reason) == ("False", "Down"), said
    heard.say(CIRCUIT, active_leg=2.0, up=1.0)
    assert protected(survey.service, survey.placement, city, heard.telemetry).reason == "OnStandby"


def test_what_asked_for_no_standby_is_not_blamed_for_having_none(city: CityMap) -> None:
    text = slice_over_three().replace("protection: standby", "protection: none").replace("99.99%", "99%")
    survey, heard = _standing(city, text, "lands/survey"), Measured()
    assert all(c.protect is None for c in survey.placement.circuits)
    found = protected(survey.service, survey.placement, city, heard.telemetry)
    assert (found.status, found.reason) == ("True", "NotAsked")


def test_a_broken_limit_is_named(city: CityMap) -> None:
    survey, heard = _standing(city, slice_over_three(), "lands/survey"), Measured()
    _all_well(survey, heard)
    found = _judged(survey, heard, replace(SloView(), delay_s=0.0005))
    assert (found.status, found.reason, found.message) == ("False", "Violated", "delay")
