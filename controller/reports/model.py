"""A report as values. Times are seconds or aware UTC datetimes, ratios 0..1, rates bit/s; None: not measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.changes.party_views import PartyRecord
from controller.changes.views import SloView


class Verdict(StrEnum):
    """Whether a service kept its promise in the period."""

    KEPT = "kept"
    MISSED = "missed"
    UNMEASURED = "unmeasured"  # nobody can say
    UNPROMISED = "unpromised"  # nothing was promised


@dataclass(frozen=True, slots=True)
class LimitReport:
    """One limited quantity over the period: seconds, or a ratio for loss."""

    limit: float | None
    mean: float | None
    worst: float | None
    over_ratio: float | None  # share of the measured time in which it was above its limit


@dataclass(frozen=True, slots=True)
class ThroughputReport:
    """What a service carried over the period, bit/s: at its least busy end, where it has several."""

    mean_bps: float | None
    most_bps: float | None


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """What one service had."""

    service: str
    kind: str  # "": nothing is known of it but what was measured
    withdrawn: bool  # it does not stand any more; what was promised is what stood last
    promised: SloView
    verdict: Verdict
    measured_s: float  # in which somebody could see it
    unseen_s: float
    down_s: float
    violated_s: float
    availability: float | None  # share of the measured time in which it was not down
    attainment: float | None  # … in which it was as promised
    budget_s: float | None  # outside its promise, allowed by the promised availability over the period, or its window
    budget_left_ratio: float | None  # below 0 where more was spent
    burn_rate: float | None  # 1 spends exactly the budget over the measured time
    delay: LimitReport
    jitter: LimitReport
    loss: LimitReport
    throughput: ThroughputReport
    parties: tuple[PartyRecord, ...]  # of an assured conference, by name
    outages: int
    longest_s: float
    repair_mean_s: float | None  # of the outages that ended
    repair_limit_s: float | None  # what the catalogue gives a repair; None: withdrawn
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """One cause and whom it concerned, of those that the report is about."""

    id: str
    title: str
    root: str
    severity: str
    opened: datetime
    closed: datetime | None
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutageReport:
    """One time in which a service was down or outside its SLO."""

    service: str
    state: str  # "down" | "violated"
    began: datetime
    ended: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class PartReport:
    """All services together in one part of the period."""

    began: datetime
    attainment: float | None
    measured_ratio: float  # of the time that was counted
    recorded: bool  # False: the controller did not run, or there was no service


@dataclass(frozen=True, slots=True)
class LinkForecast:
    """What a link will carry, and how far to believe that. problem: why there is no forecast."""

    link: str
    capacity_bps: float
    hours: int  # of measurements
    now_bps: float | None = None  # mean of the last day
    in_30_days_bps: float | None = None  # mean of the day in thirty days
    peak_in_30_days_bps: float | None = None  # highest hour until then
    full_in_days: float | None = None  # until an hour comes to FULL of the capacity; None: not within what is foreseen
    foreseen_days: float = 0.0  # how far the forecast was carried
    error_ratio: float | None = None  # sum of errors over sum of values, on the held-back end of the measurements
    plain_error_ratio: float | None = None  # the same of "as one season ago", for comparison
    held_back_hours: int = 0
    season_hours: int = 0
    problem: str = ""
    daily_bps: tuple[float, ...] = ()  # measured, mean of each day, oldest first
    ahead_bps: tuple[float, ...] = ()  # foreseen, mean of each of the next thirty days


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report."""

    tenant: str  # "" all
    period: str  # "day" | "week" | "month" | "year"
    since: datetime
    until: datetime
    made: datetime
    services: tuple[ServiceReport, ...]
    parts: tuple[PartReport, ...]
    incidents: tuple[IncidentReport, ...]
    outages: tuple[OutageReport, ...]
    links: tuple[LinkForecast, ...]
    advice: tuple[str, ...]  # on everything together, most urgent first
