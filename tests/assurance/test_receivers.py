"""What receivers measure: too little light, frames that no code corrects, and a way that became longer unsaid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.receivers import (
    BETTER_DB,
    CRITICAL,
    DISPERSION,
    LEARN,
    MAJOR,
    MINOR,
    OVER_LEAST_DB,
    RX_POWER,
    STEP_AFTER,
    UNCORRECTABLE,
    WARNING,
    Complaint,
    Receiver,
    expect,
    least_power_dbm,
)

OFEC = -18.0


def _told(receiver: Receiver, metric: str, *values: float) -> list[int | None]:
    """Return the severity after each sample that changed it."""
    return [c.severity if (c := receiver.take(metric, v)) is not None else None for v in values]


def test_power_alarms_after_two_samples_and_is_calm_after_three_that_are_half_a_decibel_better() -> None:
    one = Receiver(("f",), OFEC)
    assert _told(one, "rx_dbm", -10, -15.5, -10, -15.5, -15.5) == [None, None, None, None, WARNING]
    assert _told(one, "rx_dbm", -17.5, -17.5, -18.2, -18.2) == [None, MAJOR, None, CRITICAL]
    assert _told(one, "rx_dbm", -14.8, -14.8, -14.8, -14.8) == [None, None, WARNING, None]  # not half a dB over it
    assert _told(one, "rx_dbm", -14.4, -14.4, -15.1, -14.4, -14.4, -14.4) == [None] * 5 + [0]
    assert one.standing == {}


def test_nothing_is_asked_of_the_power_of_a_mode_that_nobody_knows() -> None:
    assert _told(Receiver(("f",), None), "rx_dbm", -60, -60, -60) == [None, None, None]


def test_limits_that_equipment_tells_count_in_place_of_what_its_mode_needs() -> None:
    one = Receiver(("f",), OFEC, {CRITICAL: -12.0})
    assert one.limits_dbm == {WARNING: -9.0, MAJOR: -11.0, CRITICAL: -12.0}
    assert _told(one, "rx_dbm", -10.5, -10.5, -12.5, -12.5) == [None, WARNING, None, CRITICAL]
    one.told_dbm = {}  # told no more: -12.5 dBm are 5.5 dB over what the mode needs
    assert _told(one, "rx_dbm", -12.5, -12.5, -12.5) == [None, None, 0]


def test_each_limit_that_is_told_stands_for_itself() -> None:
    one = Receiver(("f",), OFEC, {WARNING: -17.5, MINOR: -17.8})
    assert one.limits_dbm == {WARNING: -17.5, MINOR: -17.8, MAJOR: -17.0, CRITICAL: -18.0}
    assert _told(one, "rx_dbm", -16.9, -16.9, -17.1, -17.1) == [None, None, None, MAJOR]
    unknown = Receiver(("f",), None, {WARNING: -20.0})
    found = [unknown.take("rx_dbm", value) for value in (-21.0, -21.0)]
    assert found == [None, Complaint(RX_POWER, WARNING, "-21.0 dBm, -1.0 dB over what it needs")]
    assert _told(unknown, "rx_dbm", -60, -60) == [None, None]


@pytest.mark.parametrize(
    ("mode", "told", "least"),
    [
        ("100G QPSK oFEC", {}, -18.0),
        ("100G QPSK oFEC", {WARNING: -10.0}, -18.0),
        ("100G QPSK oFEC", {CRITICAL: -14.0}, -14.0),
        ("nobody's", {CRITICAL: -14.0}, -14.0),
        ("nobody's", {}, None),
    ],
)
def test_what_a_receiver_needs_is_what_it_tells_else_what_its_mode_needs(
    mode: str, told: dict[int, float], least: float | None
) -> None:
    assert least_power_dbm(mode, told) == least


def test_blocks_that_no_code_corrects_are_critical_until_three_samples_have_none() -> None:
    one = Receiver(("f",), OFEC)
    assert _told(one, "uncorrectable_per_s", 4, 0, 4, 4, 0, 0, 1, 0, 0, 0) == [None] * 3 + [CRITICAL] + [None] * 5 + [0]


def test_dispersion_that_stepped_and_stays_tells_how_much_longer_the_way_is() -> None:
    one = Receiver(("f",), OFEC)
    assert _told(one, "dispersion_ps_nm", *[501, 499] * LEARN) == [None] * 2 * LEARN
    assert _told(one, "dispersion_ps_nm", 700, 500, *[549] * 10) == [None] * 12  # a flicker, and less than 50
    found = [one.take("dispersion_ps_nm", 701.0) for _ in range(STEP_AFTER)]
    assert found[:-1] == [None] * (STEP_AFTER - 1)
    assert found[-1] == Complaint(DISPERSION, MAJOR, "+201 ps/nm, +12.0 km")
    assert one.longer_km == pytest.approx(12.0, abs=0.1)
    assert _told(one, "dispersion_ps_nm", 500, 500, 500)[-1] == 0


def test_what_steps_while_it_is_being_learnt_is_learnt_anew() -> None:
    one = Receiver(("f",), OFEC)
    assert _told(one, "dispersion_ps_nm", 500, *[900] * (LEARN + STEP_AFTER)) == [None] * (1 + LEARN + STEP_AFTER)
    assert one.standing == {}


def test_a_way_that_was_longer_before_anybody_looked_is_told_by_what_the_others_disperse() -> None:
    lengths_m = {f"c{n}": 10_000 * (n + 1) for n in range(7)}
    every = {c: Receiver(("f",), OFEC) for c in lengths_m}
    for _ in range(LEARN + STEP_AFTER):
        for circuit, one in every.items():
            one.take("dispersion_ps_nm", 0.017 * lengths_m[circuit] + (200.0 if circuit == "c3" else 8.0))
        expect(every, lengths_m)
    assert {c for c, one in every.items() if DISPERSION in one.standing} == {"c3"}
    assert every["c3"].longer_km == pytest.approx(12.0, abs=1.5)
    few = {c: Receiver(("f",), OFEC) for c in ("c0", "c1")}
    expect(few, lengths_m)
    assert [one.expected_ps_nm for one in few.values()] == [None, None]


@given(st.lists(st.floats(-30.0, 0.0), max_size=60))
def test_a_power_alarm_stands_only_on_what_was_measured(values: list[float]) -> None:
    one, standing = Receiver(("f",), OFEC), 0
    limit = {severity: OFEC + over for over, severity in OVER_LEAST_DB}
    for n, value in enumerate(values):
        told = one.take("rx_dbm", value)
        before, standing = standing, standing if told is None else told.severity
        if standing > before:
            assert all(v < limit[standing] for v in values[n - 1 : n + 1])
        elif standing < before:
            assert all(v >= limit[before] + BETTER_DB for v in values[n - 2 : n + 1])
    for _ in range(6):
        one.take("rx_dbm", 0.0)
    assert RX_POWER not in one.standing
    assert UNCORRECTABLE not in one.standing
