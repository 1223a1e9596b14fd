"""What a link will carry: Holt–Winters exponential smoothing with an additive trend and a daily or weekly season.

Holt (1957), Winters (1960), as in statsmodels (the extra `onecity[reports]`). The end of the measurements is held back
once to measure the error; then the model is fitted to all of them. It is told beside the error of the plainest
forecast there is, "as one season ago": a model that is no better says nothing. Pure but for the library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.reports.model import LinkForecast

DAY, WEEK = 24, 168
LEAST_HOURS = 72  # two days to learn the day from, and one to be wrong about
GAPS = 0.3  # a larger share of missing hours is no ground for a forecast
HELD_BACK = 0.2
AHEAD_DAYS = 30
FURTHEST_DAYS = 365
STRETCH = 3  # nothing is foreseen further than so many times the measurements are long
FULL = 0.9  # of the capacity

Series = NDArray[np.float64]


def forecast(link: str, capacity_bps: float, hourly: Sequence[float | None]) -> LinkForecast:
    """Return the forecast of one link from its means by the hour, oldest first; None: nobody measured that hour."""
    known = [v for v in hourly if v is not None]
    blank = LinkForecast(link, capacity_bps, len(known), daily_bps=_daily(hourly))
    if len(known) < LEAST_HOURS:
        return replace(blank, problem=f"needs {LEAST_HOURS} hours of measurements, has {len(known)}")
    if 1 - len(known) / len(hourly) > GAPS:
        return replace(blank, problem=f"{1 - len(known) / len(hourly):.0%} of the hours were not measured")
    values = _filled(hourly)
    now = float(values[-DAY:].mean())
    if not values.any():
        return replace(blank, now_bps=0.0, problem="it carried nothing")
    scale = float(values.mean())
    held = min(WEEK, max(DAY, int(len(values) * HELD_BACK)))
    season = WEEK if len(values) - held >= 2 * WEEK + DAY else DAY
    error, plain = _errors(values / scale, season, held)
    days = min(FURTHEST_DAYS, max(AHEAD_DAYS, STRETCH * len(values) // DAY))
    ahead = np.maximum(_ahead(values / scale, season, days * DAY) * scale, 0.0)
    month = ahead[: AHEAD_DAYS * DAY]
    full = np.flatnonzero(ahead >= FULL * capacity_bps)
    return replace(
        blank,
        now_bps=now,
        in_30_days_bps=float(month[-DAY:].mean()),
        peak_in_30_days_bps=float(month.max()),
        full_in_days=float(full[0]) / DAY if full.size and capacity_bps else None,
        foreseen_days=float(days),
        error_ratio=error,
        plain_error_ratio=plain,
        held_back_hours=held,
        season_hours=season,
        ahead_bps=tuple(float(v) for v in month.reshape(-1, DAY).mean(axis=1)),
    )


def _filled(hourly: Sequence[float | None]) -> Series:
    """Draw a straight line over missing hours."""
    values = np.array([math.nan if v is None else v for v in hourly], dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    drawn: Series = np.interp(np.arange(len(values)), known, values[known])
    return drawn


def _daily(hourly: Sequence[float | None]) -> tuple[float, ...]:
    """Return the mean of each whole day that was measured at all, counted back from the end."""
    days = []
    for end in range(len(hourly), DAY - 1, -DAY):
        day = [v for v in hourly[end - DAY : end] if v is not None]
        if day:
            days.append(sum(day) / len(day))
    return tuple(reversed(days))


def _errors(values: Series, season: int, held: int) -> tuple[float, float]:
    """Return the error of the model and of "as one season ago" on the held-back end."""
    learnt, tried = values[:-held], values[-held:]
    total = float(np.abs(tried).sum()) or 1.0
    ahead = np.maximum(_ahead(learnt, season, held), 0.0)
    before = np.resize(learnt[-season:], held)
    return float(np.abs(ahead - tried).sum()) / total, float(np.abs(before - tried).sum()) / total


def _ahead(values: Series, season: int, hours: int) -> Series:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    model: Any = ExponentialSmoothing(
        values, trend="add", seasonal="add", seasonal_periods=season, initialization_method="heuristic"
    )
    return np.asarray(model.fit(optimized=True).forecast(hours), dtype=float)
