"""Receivers, watched: samples become alarms beside those of equipment, gaps clear none, and one cause explains all."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from controller.assurance.receivers import (
    CRITICAL,
    DISPERSION,
    LEARN,
    RX_POWER,
    SEVERE_IN_A_ROW,
    STEP_AFTER,
    UNCORRECTABLE,
)
from controller.loop.alarms import EXPIRES_S, Alarms
from controller.loop.lights import Lights
from controller.southbound.driver import Sample
from controller.telemetry.telemetry import Telemetry
from tests.support.cities import city_map

CITY = city_map("longgang")
A, B, C = sorted(CITY.fibres)[:3]
BRIGHT = {"margin_db": 16.0, "rx_dbm": -10.0, "uncorrectable_per_s": 0.0, "dispersion_ps_nm": 500.0}


class Room:
    """Three wavelengths, two of them over one fibre; a second of a made-up clock is a sample of each metric."""

    def __init__(self) -> None:
        self.now = 0.0
        self.telemetry = Telemetry((), lambda: self.now)
        self.routes = {"one": ((A,), ()), "two": ((A, B), ()), "three": ((C,), ())}
        self.loss_db = {f: CITY.fibres[f].loss_db for f in (A, B, C)}
        domains: Any = SimpleNamespace(
            discovered=CITY,
            wavelengths=lambda: self.routes,
            odu_servers=dict,
            line_modes=lambda: dict.fromkeys(self.routes, "100G QPSK oFEC"),
        )
        self.seconds = {c: {"severely_errored_s": 0.0, "unavailable_s": 0.0} for c in self.routes}
        self.alarms = Alarms(lambda: self.now, self.telemetry.silence_s)
        self.lights = Lights(domains, self.telemetry, self.alarms, lambda: self.now)
        self.told: list[str] = []
        self.telemetry.on_batch.append(lambda batch: self.told.extend(a.text for a in self.lights.hear(batch)))
        self.lights.look()

    def tell(self, seconds: int, **of: dict[str, float]) -> list[str]:
        """Tell everybody's values each second, those given in place of bright ones; return the roots of the last."""
        for _ in range(seconds):
            self.now += 1.0
            values = {c: {**BRIGHT, **self.seconds[c], **of.get(c, {})} for c in self.routes}
            batch = [
                Sample("otn", f"circuit:{c}", m, v, self.now) for c, told in values.items() for m, v in told.items()
            ]
            batch += [Sample("otn", f"fibre:{f}", "span_loss_db", v, self.now) for f, v in self.loss_db.items()]
            self.telemetry.take(batch)
            self.found = self.lights.look()
            self.alarms.expire()
        return [c.root for c in self.found]

    def unavailable(self, seconds: int, *circuits: str, **of: dict[str, float]) -> list[str]:
        """Count more unavailable seconds, one a second, and tell the rest as `tell` does."""
        roots: list[str] = []
        for _ in range(seconds):
            for circuit in circuits:
                self.seconds[circuit]["unavailable_s"] += 1.0
            roots = self.tell(1, **of)
        return roots

    @property
    def standing(self) -> set[tuple[str, str]]:
        return set(self.alarms.standing)


def test_power_that_falls_with_the_margin_on_one_fibre_is_one_cause_and_the_fibre() -> None:
    room = Room()
    assert room.tell(8) == []
    room.loss_db[A] += 7.0
    weak = {"rx_dbm": -16.0, "margin_db": 10.0}
    assert room.tell(3, one=weak, two=weak) == [f"fibre:{A}"]
    assert room.standing == {("circuit:one", RX_POWER), ("circuit:two", RX_POWER)}
    assert "otn: alarm RX_POWER (warning) on circuit:one: -16.0 dBm, 2.0 dB over what it needs" in room.told
    assert room.tell(4) == []
    assert room.told[-1] == "otn: alarm RX_POWER cleared on circuit:two"


def test_a_lone_receiver_with_little_light_accuses_its_patch_cord_and_puts_what_it_carries_at_risk() -> None:
    room = Room()
    room.tell(8)
    assert room.tell(3, three={"rx_dbm": -17.5}) == ["circuit:three"]
    (cause,) = room.found
    assert "patch cord" in cause.title
    assert cause.at_risk == cause.members


def test_a_gap_clears_nothing_however_long_and_a_wavelength_that_is_gone_ends_its_alarms() -> None:
    room = Room()
    room.tell(8)
    room.tell(2, three={"uncorrectable_per_s": 9.0})
    assert room.standing == {("circuit:three", UNCORRECTABLE)}
    (cause,) = room.found
    assert (cause.root, cause.felt) == ("circuit:three", True)
    for _ in range(int(2 * EXPIRES_S)):  # others are heard, this one is not
        room.now += 1.0
        room.telemetry.take([Sample("otn", "circuit:one", "margin_db", 16.0, room.now)])
        room.lights.look()
        assert room.alarms.expire() == ()
    assert room.standing == {("circuit:three", UNCORRECTABLE)}
    del room.routes["three"]
    room.tell(1)
    assert room.standing == set()
    room.tell(1)
    assert room.told[-1] == "otn: alarm FEC_UNCORRECTABLE cleared on circuit:three"


def test_dispersion_steps_are_told_and_forgotten_where_the_domain_tells_of_another_way() -> None:
    room = Room()
    room.tell(LEARN + 1)
    longer = {"dispersion_ps_nm": 700.0}
    assert room.tell(STEP_AFTER - 1, three=longer) == []
    assert room.tell(2, three=longer) == ["circuit:three"]
    assert room.standing == {("circuit:three", DISPERSION)}
    room.routes["three"] = ((B,), ())
    assert room.tell(LEARN + STEP_AFTER + 2, three=longer) == []
    assert room.standing == set()


def test_what_repairs_lead_elsewhere_in_time_raises_no_alarm_of_dispersion() -> None:
    room = Room()
    room.tell(LEARN + 1)
    room.tell(STEP_AFTER - 2, three={"dispersion_ps_nm": 900.0})  # it shines there already
    room.routes["three"] = ((B,), ())  # and now its domain says so
    assert room.tell(10, three={"dispersion_ps_nm": 900.0}) == []
    assert room.told == []


def test_frames_spoilt_on_a_shared_fibre_have_it_as_their_root() -> None:
    room = Room()
    room.tell(8)
    spoils = {"uncorrectable_per_s": 800.0}
    assert room.tell(3, one=spoils, two=spoils) == [f"fibre:{A}"]
    assert room.found[0] == replace(room.found[0], felt=True)
    assert {"circuit:one", "circuit:two"} <= room.found[0].members


SPOILS = {"uncorrectable_per_s": 200_000.0}


def test_ten_severe_seconds_in_a_row_have_the_root_that_spoilt_frames_have_and_end_with_them() -> None:
    room = Room()
    room.tell(8)
    spoils = {"one": SPOILS, "two": SPOILS}
    assert room.tell(9, **spoils) == [f"fibre:{A}"]
    assert room.standing == {("circuit:one", UNCORRECTABLE), ("circuit:two", UNCORRECTABLE)}
    for circuit in ("one", "two"):
        room.seconds[circuit]["unavailable_s"] += 9
    assert room.unavailable(3, "one", "two", **spoils) == [f"fibre:{A}"]
    both = {(f"circuit:{c}", k) for c in ("one", "two") for k in (UNCORRECTABLE, SEVERE_IN_A_ROW)}
    assert room.standing == both
    words = "10 unavailable seconds, begun by 10 severely errored ones in a row"
    assert f"otn: alarm UNAVAILABLE (critical) on circuit:two: {words}" in room.told
    assert room.found[0] == replace(room.found[0], felt=True)
    assert room.tell(2) == [f"fibre:{A}"]
    assert room.tell(1) == []  # all of it in one look: no root is left with a part of it
    assert room.standing == set()
    assert "otn: alarm UNAVAILABLE cleared on circuit:one" in room.told


def test_ten_severe_seconds_of_one_wavelength_alone_accuse_its_line_cards_though_no_block_is_told() -> None:
    room = Room()
    room.tell(8)
    assert room.unavailable(1, "three") == ["circuit:three"]
    (cause,) = room.found
    assert "its line cards" in cause.title
    del room.routes["three"]
    room.tell(1)
    assert room.standing == set()


def test_what_is_dark_raises_no_alarm_of_its_seconds_and_none_when_it_is_lit_again() -> None:
    room = Room()
    room.tell(8)
    dark = {c: {"up": 0.0} for c in ("one", "two")}
    room.tell(2, **dark)
    assert room.unavailable(20, "one", "two") == []  # a state is told when it changes, and seldom again
    assert room.unavailable(1, "one", "two", one={"up": 1.0}, two={"up": 1.0}) == []
    assert room.tell(12, one={"up": 1.0}, two={"up": 1.0}) == []
    assert room.told == []
    assert room.unavailable(1, "one", one={"up": 1.0}) == ["circuit:one"]


def test_the_dark_ends_what_it_explains_and_held_back_seconds_of_before_raise_nothing() -> None:
    room = Room()
    room.tell(8)
    room.unavailable(2, "one", "two", one=SPOILS, two=SPOILS)
    assert ("circuit:one", SEVERE_IN_A_ROW) in room.standing
    room.tell(8)
    assert room.standing == set()
    assert room.unavailable(1, "three") == ["circuit:three"]
    for circuit in ("one", "two"):  # eight good seconds were not enough, and now there is no light
        room.seconds[circuit]["unavailable_s"] += 8
    dark = {c: {"up": 0.0} for c in room.routes}
    states = [Sample("otn", f"circuit:{c}", "up", 0.0, room.now) for c in dark]
    room.telemetry.take(states)
    assert room.standing == set()
    assert room.told[-1] == "otn: alarm UNAVAILABLE cleared on circuit:three"
    room.unavailable(5, *dark)
    assert room.tell(4, **{c: {"up": 1.0} for c in dark}) == []
    assert room.standing == set()


def test_what_goes_on_elsewhere_is_as_unavailable_as_before() -> None:
    room = Room()
    room.tell(8)
    room.unavailable(1, "three", three=SPOILS)
    room.routes["three"] = ((B,), ())
    room.unavailable(3, "three", three=SPOILS)
    assert ("circuit:three", SEVERE_IN_A_ROW) in room.standing
    assert room.tell(3) == []
    assert room.standing == set()


def _limit(room: Room, dbm: float, circuit: str = "three") -> None:
    room.telemetry.take([Sample("otn", f"circuit:{circuit}", "rx_critical_dbm", dbm, 1.0)])


def test_a_limit_that_is_told_counts_until_another_is_or_none_is_told_any_more() -> None:
    room = Room()
    room.tell(8)
    _limit(room, -9.0)
    _limit(room, -9.5)
    room.lights.look()
    room.tell(2)
    assert room.standing == {("circuit:three", RX_POWER)}
    assert "otn: alarm RX_POWER (critical) on circuit:three: -10.0 dBm, -0.5 dB over what it needs" in room.told
    room.tell(int(EXPIRES_S) - 4)  # no heartbeat is due for longer than what measures is fresh
    assert room.standing == {("circuit:three", RX_POWER)}
    room.tell(8)
    assert room.standing == set()


def test_a_domain_out_of_reach_keeps_its_limits() -> None:
    room = Room()
    room.tell(8)
    _limit(room, -9.5)
    room.now += 2 * EXPIRES_S
    room.lights.look()
    assert dict(room.lights.limits.of("three")) == {CRITICAL: -9.5}
    room.tell(1)
    assert dict(room.lights.limits.of("three")) == {}  # the domain is heard again, and tells none


def test_a_limit_of_light_that_the_map_does_not_know_yet_counts_from_its_first_sample() -> None:
    room = Room()
    room.tell(1)
    _limit(room, -9.5, "four")
    room.lights.look()
    room.routes["four"], room.seconds["four"] = ((C,), ()), room.seconds["three"]
    room.tell(3)
    assert room.standing == {("circuit:four", RX_POWER)}
