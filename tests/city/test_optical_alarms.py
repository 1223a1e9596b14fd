"""Optical equipment complains after two bad samples and is quiet again after three that are clearly better."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.optical.alarms import BETTER_DB, MARGIN_DB, SEVERITIES, Thresholds, ber_thresholds_db, q2_db
from lab.optical.containers import MODES
from lab.plant.light import pre_fec_ber


def _told(*values: float) -> list[str | None]:
    alarms = Thresholds()
    return [alarms.step("c", v, MARGIN_DB) for v in values]


def test_raised_after_two_samples_worse_after_two_more_cleared_after_three_better_ones() -> None:
    assert _told(1.9, 3.0, 1.9, 1.9) == [None, None, None, "WARNING"]
    assert _told(1.9, 1.9, 0.4, 0.9, 0.4, 0.4) == [None, "WARNING", None, "MAJOR", None, "CRITICAL"]
    assert _told(1.9, 1.9, 2.4, 2.4, 2.4, 2.4) == [None, "WARNING", None, None, None, None]  # not half a dB better
    assert _told(1.9, 1.9, 2.6, 2.6, 1.9, 2.6, 2.6, 2.6)[-4:] == [None, None, None, ""]
    assert _told(0.1, 0.1, 9.0, 9.0, 9.0) == [None, "CRITICAL", None, None, ""]


@pytest.mark.parametrize("mode", list(MODES))
def test_errors_and_margin_of_a_mode_complain_of_the_same_light(mode: str) -> None:
    limits = ber_thresholds_db(MODES[mode].q_limit_db)
    for threshold_db, margin_db in zip(limits, MARGIN_DB, strict=True):
        assert threshold_db == pytest.approx(MODES[mode].q_limit_db + margin_db, abs=0.35)
        assert q2_db(pre_fec_ber(mode, margin_db)) == pytest.approx(MODES[mode].q_limit_db + margin_db, abs=1e-6)


@given(st.lists(st.floats(-5.0, 20.0), max_size=60))
def test_an_alarm_stands_only_on_what_was_measured(values: list[float]) -> None:
    alarms, standing = Thresholds(), 0
    for n, value in enumerate(values):
        told = alarms.step("c", value, MARGIN_DB)
        before, standing = standing, standing if told is None else (SEVERITIES.index(told) + 1 if told else 0)
        if standing > before:
            assert all(v < MARGIN_DB[standing - 1] for v in values[n - 1 : n + 1])
        elif standing < before:
            assert all(v >= MARGIN_DB[before - 1] + BETTER_DB for v in values[n - 2 : n + 1])
    for _ in range(6):  # three more where the last of the bad ones was a step better
        standing = 0 if alarms.step("c", 99.0, MARGIN_DB) == "" else standing
    assert not standing
    assert alarms.forget(()) == ()
