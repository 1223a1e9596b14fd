"""Reports are evidence: what was measured, against what was promised, and nothing made up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.changes.views import SloView
from controller.errors import ConfigurationError
from controller.reports.compose import Promised, Records, compose, span
from controller.reports.model import LinkForecast, Report, Verdict
from controller.store.attained import AttainedSlice, KeptIncident, Outage, ServiceHour

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
WEEK = span("week", None, NOW)
SLICE = Promised("ExclusiveSlice", SloView(delay_s=0.005, availability=0.999), False)


def made(*hours: ServiceHour, tenant: str = "", outages: tuple[Outage, ...] = (), **promised: Promised) -> Report:
    records = Records(hours, [], outages, [])
    return compose(tenant, WEEK, records, {f"gov/{name}": p for name, p in promised.items()}, NOW)


def hour(name: str, **values: float) -> ServiceHour:
    return ServiceHour(f"gov/{name}", WEEK.first, **values)


def test_a_period_ends_with_the_running_hour_or_where_it_is_told_and_never_in_the_future() -> None:
    assert WEEK.until == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert WEEK.until - WEEK.since == timedelta(days=7)
    past = span("day", datetime(2026, 11, 1, tzinfo=UTC), NOW)
    assert (past.since, past.until) == (datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    with pytest.raises(ConfigurationError, match="still to come"):
        span("day", datetime(2030, 1, 1, tzinfo=UTC), NOW)
    with pytest.raises(ConfigurationError, match="no period"):
        span("decade", None, NOW)


def test_a_promise_is_kept_on_the_measured_time_alone() -> None:
    found = made(hour("a", ok_s=9990.0, down_s=10.0, unknown_s=5000.0), a=SLICE).services[0]
    assert found.verdict is Verdict.KEPT
    assert found.availability == found.attainment == pytest.approx(0.999)
    assert (found.measured_s, found.unseen_s) == (10_000.0, 5_000.0)
    assert any("Nobody could see it for 33%" in sentence for sentence in found.advice)


def test_up_and_outside_its_limits_is_available_and_yet_not_as_promised() -> None:
    found = made(
        hour("a", ok_s=9000.0, violated_s=1000.0, delay_seen_s=1e4, delay_over_s=1e3, delay_sum=40.0, delay_max=0.02),
        a=SLICE,
    ).services[0]
    assert (found.availability, found.attainment, found.verdict) == (1.0, 0.9, Verdict.MISSED)
    assert (found.delay.mean, found.delay.worst, found.delay.over_ratio) == (0.004, 0.02, 0.1)
    assert any(sentence.startswith("It was slower than promised for 10 %") for sentence in found.advice)


def test_what_nobody_measured_is_neither_kept_nor_missed() -> None:
    report = made(hour("a", unknown_s=3600.0), a=SLICE, b=SLICE)
    assert [s.verdict for s in report.services] == [Verdict.UNMEASURED, Verdict.UNMEASURED]
    assert [s.availability for s in report.services] == [None, None]
    assert "were not measured" in report.advice[0]


def test_repair_times_are_those_of_outages_that_ended_and_an_open_one_counts_up_to_now() -> None:
    at = WEEK.first * 3600.0 + 100
    outages = (
        Outage("gov/a", at, at + 60, "down", "cut"),
        Outage("gov/a", at + 500, at + 540, "violated", "slow"),
        Outage("gov/a", NOW.timestamp() - 10_000, None, "down", "cut"),
    )
    found = made(hour("a", ok_s=1e5, down_s=1e4), outages=outages, a=SLICE).services[0]
    assert (found.outages, found.repair_mean_s, found.longest_s) == (3, 50.0, 10_000.0)
    assert any("a standby would have carried it" in s for s in found.advice)
    assert any("the catalogue allows 2 h" in s for s in found.advice)
    assert any(s.startswith("It was down 2 times, 2 h 47 min in all") for s in found.advice)  # once it was slow


def test_a_tenant_sees_its_own_and_a_withdrawn_service_is_still_told() -> None:
    hours = (hour("gone", ok_s=100.0), ServiceHour("city/other", WEEK.first, ok_s=5.0))
    at = WEEK.first * 3600.0
    both = KeptIncident("i1", at, at, at + 9, "fibre", "fibre:x", "x is cut", "major", ("city/other", "gov/gone"))
    theirs = KeptIncident("i2", at, at, None, "fibre", "fibre:y", "y is cut", "major", ("city/other",))
    report = compose("gov", WEEK, Records(hours, [], (), (both, theirs)), {}, NOW)
    assert [(s.service, s.verdict) for s in report.services] == [("gov/gone", Verdict.UNPROMISED)]
    assert [(i.id, i.services) for i in report.incidents] == [("i1", ("gov/gone",))]


def test_advice_names_what_comes_back_and_what_fills_up_and_how_sure_that_is() -> None:
    at = WEEK.first * 3600.0
    again = tuple(KeptIncident(f"i{n}", at, at, at, "fibre", "fibre:x", "cut", "major", ("gov/a",)) for n in range(3))
    links = (LinkForecast("link:full", 1e10, 999, full_in_days=12.0, error_ratio=0.4),)
    report = compose("", WEEK, Records((hour("a", ok_s=1.0),), [], (), again, links), {"gov/a": SLICE}, NOW)
    assert report.advice[0] == "The promise was kept."
    assert report.advice[1].startswith("fibre:x was the cause of 3 incidents")
    assert report.advice[2].startswith("link:full will be full in about 12 days: add capacity (uncertain")


def test_parts_tell_apart_what_was_bad_and_what_was_not_seen() -> None:
    slices = [AttainedSlice(WEEK.first, 50.0, 25.0, 25.0, 100.0), AttainedSlice(WEEK.first + 6, 0.0, 0.0, 0.0, 10.0)]
    parts = compose("", WEEK, Records((), slices, (), ()), {}, NOW).parts
    assert [(p.attainment, p.measured_ratio) for p in parts[:2]] == [(0.5, 0.5), (None, 0.0)]


def test_a_part_of_which_nothing_is_recorded_keeps_its_place_and_is_told() -> None:
    """A controller that did not run for two days must not look as if those days had not been."""
    slices = [
        AttainedSlice(WEEK.first + hour, 6 * 3600.0, 0.0, 0.0, 0.0)
        for hour in range(12, 168, 6)
        if not 60 <= hour < 108
    ]
    report = compose("", WEEK, Records((hour("a", ok_s=1.0),), slices, (), ()), {"gov/a": SLICE}, NOW)
    assert len(report.parts) == 28
    assert [p.began for p in report.parts] == [WEEK.since + timedelta(hours=6 * n) for n in range(28)]
    assert [n for n, p in enumerate(report.parts) if not p.recorded] == [0, 1, *range(10, 18)]
    assert any(s.startswith("Nothing was recorded for 2 days 0 h of the period") for s in report.advice)
    assert not any(
        "Nothing was recorded" in s for s in compose("", WEEK, Records((), slices[-9:], (), ()), {}, NOW).advice
    )
    past = span("week", NOW - timedelta(days=3), NOW)
    later = compose("", past, Records((), [AttainedSlice(past.first, 1.0, 0.0, 0.0, 0.0)], (), ()), {}, NOW)
    assert later.parts[-1].began == past.until - timedelta(hours=6)


def test_what_is_long_ago_is_told_by_whole_days_of_which_alone_it_is_kept() -> None:
    old = span("day", datetime(2026, 3, 29, 2, tzinfo=UTC), NOW)
    assert (old.since, old.until, old.part_hours) == (
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 3, 29, tzinfo=UTC),
        24,
    )
    assert span("week", datetime(2026, 1, 2, 13, tzinfo=UTC), NOW).until == datetime(2026, 1, 2, tzinfo=UTC)
    assert span("day", NOW - timedelta(days=3), NOW).part_hours == 1
    year = span("year", None, NOW)
    assert (year.until, year.since) == (datetime(2026, 11, 21, 10, tzinfo=UTC), datetime(2025, 11, 21, tzinfo=UTC))
    assert span("year", datetime(2026, 1, 1, tzinfo=UTC), NOW).since == datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("period", ["day", "week", "month", "year"])
@pytest.mark.parametrize("first_year", [1, 1969, 1970])
def test_before_there_was_anything_to_measure_no_report_is_made(period: str, first_year: int) -> None:
    with pytest.raises(ConfigurationError, match="nothing was measured"):
        span(period, datetime(first_year, 1, 1, 12, tzinfo=UTC), NOW)


def test_a_budget_is_what_the_promise_allows_in_the_period_and_burns_by_the_time_that_was_measured() -> None:
    found = made(hour("a", ok_s=9_975.0, violated_s=20.0, down_s=5.0, unknown_s=90_000.0), a=SLICE).services[0]
    assert found.budget_s == pytest.approx(0.001 * 7 * 86_400)
    assert found.budget_left_ratio == pytest.approx(1 - 25 / 604.8)
    assert found.burn_rate == pytest.approx(2.5)
    over = made(hour("a", ok_s=1e5, down_s=1000.0), a=SLICE).services[0]
    assert over.budget_left_ratio == pytest.approx(1 - 1000 / 604.8)  # below 0: more is spent than there was


def test_the_budget_of_an_assurance_is_that_of_its_window() -> None:
    vip = Promised("VipAssurance", SloView(delay_s=0.05, availability=0.9999), True, window_s=7200.0)
    found = made(hour("v", ok_s=7_199.5, down_s=0.5), v=vip).services[0]
    assert found.budget_s == pytest.approx(0.72)
    assert found.burn_rate == pytest.approx(0.5 / 0.72)
    young = made(hour("v", ok_s=20.0, down_s=0.18), v=vip).services[0]
    assert young.budget_s == pytest.approx(0.72), "of all its window, however little of that is over"
    assert young.budget_left_ratio == pytest.approx(0.75)
    long = made(hour("v", ok_s=20.0), v=replace(vip, window_s=1e9)).services[0]
    assert long.budget_s == pytest.approx(1e-4 * 7 * 86_400), "no more than the period has"


def test_where_nothing_was_promised_or_measured_no_budget_is_made_up() -> None:
    free = Promised("DedicatedPlane", SloView(), None)
    report = made(hour("a", ok_s=10.0), hour("b", unknown_s=10.0), a=free, b=SLICE)
    nothing, unseen = report.services
    assert (nothing.budget_s, nothing.budget_left_ratio, nothing.burn_rate) == (None, None, None)
    assert (unseen.budget_left_ratio, unseen.burn_rate) == (1.0, None)
