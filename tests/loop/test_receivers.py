"""Receivers, watched: samples become alarms beside those of equipment, gaps clear none, and one cause explains all."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from controller.assurance.receivers import DISPERSION, LEARN, RX_POWER, STEP_AFTER, UNCORRECTABLE
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
        self.alarms = Alarms(lambda: self.now, self.telemetry.silence_s)
        self.lights = Lights(domains, self.telemetry, self.alarms, lambda: self.now)
        self.told: list[str] = []
        self.telemetry.on_batch.append(lambda batch: self.told.extend(a.text for a in self.lights.hear(batch)))
        self.lights.look()

    def tell(self, seconds: int, **of: dict[str, float]) -> list[str]:
        """Tell everybody's values each second, those given in place of bright ones; return the roots of the last."""
        for _ in range(seconds):
            self.now += 1.0
            values = {c: {**BRIGHT, **of.get(c, {})} for c in self.routes}
            batch = [
                Sample("otn", f"circuit:{c}", m, v, self.now) for c, told in values.items() for m, v in told.items()
            ]
            batch += [Sample("otn", f"fibre:{f}", "span_loss_db", v, self.now) for f, v in self.loss_db.items()]
            self.telemetry.take(batch)
            self.found = self.lights.look()
            self.alarms.expire()
        return [c.root for c in self.found]

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
