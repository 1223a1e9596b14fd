"""After a change measurements come in turn: that is settling, and no lack of them before their time is over."""

from __future__ import annotations

from controller.changes.pipeline import Wanted
from controller.changes.views import Condition, SloView
from controller.intent.model import ServiceId
from controller.loop.wellbeing import SETTLES_S, Wellbeing
from controller.network.model import CityMap
from controller.southbound.driver import Sample
from controller.telemetry.indicator import ServiceIndicators
from controller.telemetry.telemetry import Telemetry
from tests.changes.wanted import empty, office, planned, services

OFFICE = ServiceId("gov/office")


def test_a_plane_settles_after_a_change_and_lacks_measurements_only_once_their_turn_is_over(city: CityMap) -> None:
    state, model = empty(city)
    placement = planned(city, state, model, Wanted(services(office()))).after.services[OFFICE].placement
    now = [100.0]
    telemetry = Telemetry((), lambda: now[0])
    wellbeing = Wellbeing(telemetry, lambda: now[0])
    probes = [c for c in telemetry.carriers(placement) if c.startswith("access:")]

    def say(*subjects: str) -> None:
        telemetry.take([Sample("city-ip", s, "delay_s", 0.001, now[0]) for s in subjects])

    def asked() -> tuple[str, str]:
        (found,) = wellbeing.settled(OFFICE, [wellbeing.probed(OFFICE, placement)])
        return found.status, found.reason

    now[0] += 1000.0
    say(*probes)
    assert asked() == ("True", "Measured")
    now[0] += 1.0
    wellbeing.confirmed([str(OFFICE)], ())
    now[0] += 1.0
    say(*probes[1:])
    assert asked() == ("Unknown", "Settling")
    rest = f"{len(probes) - 1} of {len(probes)} measured since the last change or event, not {probes[0]}"
    assert wellbeing.probed(OFFICE, placement).message == rest
    now[0] += SETTLES_S
    assert asked() == ("Unknown", "NoMeasurement")
    say(probes[0])
    assert asked() == ("True", "Measured")


def test_only_what_lacks_measurements_settles(city: CityMap) -> None:
    wellbeing = Wellbeing(Telemetry((), lambda: 0.0), lambda: 0.0)
    bad = Condition("WithinSlo", "False", "Violated", "delay")
    assert wellbeing.settled(OFFICE, [bad]) == (bad,)


def test_who_is_carried_without_the_standby_it_asked_for_is_at_risk() -> None:
    now = [100.0]
    wellbeing = Wellbeing(Telemetry((), lambda: now[0]), lambda: now[0])

    def word(*, unguarded: bool) -> tuple[str, str]:
        for _ in range(20):
            now[0] += 1.0
            steady = wellbeing.judge(OFFICE, "ok", "", SloView(), ServiceIndicators(), unguarded=unguarded)
        return steady.health.value, steady.reason

    assert word(unguarded=False) == ("ok", "")
    assert word(unguarded=True) == ("at-risk", "nothing stands by for it for now")
    assert word(unguarded=False) == ("ok", "")


def test_who_rides_light_that_is_nearly_spent_is_at_risk_before_a_packet_suffers() -> None:
    wellbeing = Wellbeing(Telemetry((), lambda: 0.0), clock := _Clock())
    wellbeing.fades = lambda sid: sid == OFFICE
    for _ in range(10):
        clock.now += 1.0
        steady = wellbeing.judge(OFFICE, "ok", "", SloView(), ServiceIndicators())
    assert (steady.health.value, "light" in steady.reason) == ("at-risk", True)


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now
