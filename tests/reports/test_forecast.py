"""Forecasts: right where there is a pattern, honest about their error, silent where there is nothing to go by."""

from __future__ import annotations

import numpy as np
import pytest

from controller.reports.forecast import forecast

pytest.importorskip("statsmodels")


def load(days: int, growth_per_day: float, noise: float = 0.02, seed: int = 7) -> list[float | None]:
    """Mean by the hour of a link: working days busier than nights and weekends, and more every day."""
    hours = np.arange(days * 24)
    day = 1.0 + 0.5 * np.sin((hours % 24 - 8) / 24 * 2 * np.pi)
    week = np.where(hours // 24 % 7 < 5, 1.0, 0.6)
    values = 2e9 * day * week + growth_per_day * hours / 24
    values *= 1 + np.random.default_rng(seed).normal(0, noise, len(hours))
    return [float(v) for v in values]


def test_a_pattern_is_found_and_its_error_on_held_back_data_is_small_and_smaller_than_the_plainest() -> None:
    found = forecast("link:a", 1e10, load(42, 2e7))
    assert found.problem == ""
    assert found.season_hours == 168
    assert found.held_back_hours == 168
    assert found.error_ratio is not None
    assert found.plain_error_ratio is not None
    assert found.error_ratio < 0.05
    assert found.error_ratio < found.plain_error_ratio


def test_growth_says_when_a_link_is_full() -> None:
    """The peak grows from 3 Gbit/s by 50 Mbit/s a day: after 42 days 5.1, and 9 of 10 Gbit/s come 78 days later."""
    found = forecast("link:a", 1e10, load(42, 5e7))
    assert found.full_in_days is not None
    assert found.full_in_days == pytest.approx(78, rel=0.15)
    assert found.in_30_days_bps is not None
    assert found.now_bps is not None
    assert found.in_30_days_bps > found.now_bps
    assert len(found.ahead_bps) == 30


def test_what_does_not_grow_is_never_full() -> None:
    found = forecast("link:a", 1e10, load(28, 0.0))
    assert found.full_in_days is None
    assert found.foreseen_days >= 60


def test_noise_without_a_pattern_is_told_as_a_large_error() -> None:
    values = [float(v) for v in np.random.default_rng(1).exponential(1e9, 14 * 24)]
    found = forecast("link:a", 1e10, values)
    assert found.error_ratio is not None
    assert found.error_ratio > 0.5


def test_gaps_are_bridged_and_too_many_are_refused() -> None:
    values = load(28, 2e7)
    for hour in range(0, len(values), 9):
        values[hour] = None
    found = forecast("link:a", 1e10, values)
    assert found.problem == ""
    assert found.error_ratio is not None
    assert found.error_ratio < 0.08
    values[100:400] = [None] * 300
    assert "were not measured" in forecast("link:a", 1e10, values).problem


@pytest.mark.parametrize(("values", "words"), [([], "has 0"), ([1e9] * 20, "has 20"), ([0.0] * 100, "carried nothing")])
def test_too_little_to_go_by_is_no_forecast(values: list[float | None], words: str) -> None:
    found = forecast("link:a", 1e10, values)
    assert words in found.problem
    assert found.error_ratio is None
