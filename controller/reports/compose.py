"""From durable records to a report. Pure: records and promises in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from controller.changes.views import SloView
from controller.errors import ConfigurationError
from controller.loop.parties import party_record
from controller.reports.advice import overall, service_advice
from controller.reports.model import (
    IncidentReport,
    LimitReport,
    LinkForecast,
    OutageReport,
    PartReport,
    Report,
    ServiceReport,
    ThroughputReport,
    Verdict,
)
from controller.store.attained import HOURS_KEPT, AttainedSlice, KeptIncident, Outage, ServiceHour

PERIODS = {"day": (1, 1), "week": (7, 6), "month": (30, 24), "year": (365, 168)}  # days, hours of one part
REPAIR_LIMIT_S = {"DedicatedPlane": 4 * 3600.0, "ExclusiveSlice": 2 * 3600.0, "VipAssurance": 60.0}  # the catalogue's
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Span:
    """Whole hours of UTC, [first, last) since the epoch, told in parts of so many hours."""

    period: str
    first: int
    last: int
    part_hours: int

    @property
    def since(self) -> datetime:
        return datetime.fromtimestamp(self.first * 3600, UTC)

    @property
    def until(self) -> datetime:
        return datetime.fromtimestamp(self.last * 3600, UTC)

    @property
    def length_s(self) -> float:
        return (self.last - self.first) * 3600.0


def span(period: str, until: datetime | None, now: datetime) -> Span:
    """Return the period that ends at `until` (midnight or any hour), or with the running hour. ConfigurationError.

    Of what is long ago whole days are kept: a period that goes back so far is one of whole days of UTC.
    """
    if period not in PERIODS:
        raise ConfigurationError(f"no period {period!r}; there are {', '.join(PERIODS)}")
    if until is not None and until > now + timedelta(hours=1):
        raise ConfigurationError(f"until {until:%Y-%m-%d %H:%M} UTC: nothing is measured yet of what is still to come")
    days, part_hours = PERIODS[period]
    end = now + timedelta(hours=1) if until is None else until
    last = int(end.timestamp() // 3600)
    first = last - days * 24
    if first < int(now.timestamp() // 3600) - HOURS_KEPT:
        last, part_hours = (last if until is None else last // 24 * 24), max(part_hours, 24)
        first = last // 24 * 24 - days * 24
    if first < 0:
        raise ConfigurationError(f"until {until:%Y-%m-%d}: a {period} before that nothing was measured anywhere")
    return Span(period, first, last, part_hours)


@dataclass(frozen=True, slots=True)
class Promised:
    """What stands of a service, or stood last."""

    kind: str
    slo: SloView
    protected: bool | None  # something stands by on every part of its way; None: it is rerouted, or withdrawn
    withdrawn: bool = False
    window_s: float | None = None  # how long its window is, from beginning to end; None: it has none


@dataclass(frozen=True, slots=True)
class Records:
    """What the store has of a span."""

    hours: Sequence[ServiceHour]
    slices: Sequence[AttainedSlice]
    outages: Sequence[Outage]
    incidents: Sequence[KeptIncident]
    links: Sequence[LinkForecast] = ()
    parties: Sequence[ServiceHour] = ()  # each called "tenant/name#party"


def compose(tenant: str, over: Span, records: Records, promised: Mapping[str, Promised], now: datetime) -> Report:
    """Return the report of one tenant's services, or of all ("")."""
    measured = {hour.service: hour for hour in records.hours}
    mine = {s for s in {*measured, *promised} if not tenant or s.startswith(f"{tenant}/")}
    by_service: dict[str, list[Outage]] = {}
    for outage in records.outages:
        by_service.setdefault(outage.service, []).append(outage)
    parties: dict[str, list[ServiceHour]] = {}
    for row in records.parties:
        parties.setdefault(row.service.partition("#")[0], []).append(row)
    services = tuple(
        _service(
            measured.get(s, ServiceHour(s, over.first)),
            by_service.get(s, []),
            promised.get(s),
            parties.get(s, []),
            over,
            now,
        )
        for s in sorted(mine)
    )
    parts = _parts(records.slices, over, now)
    incidents = tuple(_incident(i, mine) for i in records.incidents if not tenant or mine.intersection(i.services))
    return Report(
        tenant,
        over.period,
        over.since,
        min(over.until, now),
        now,
        services,
        parts,
        incidents,
        tuple(_outage(o) for o in records.outages),
        tuple(records.links),
        overall(services, incidents, records.links, _unrecorded_s(parts, over)),
    )


def _service(
    hour: ServiceHour,
    outages: Sequence[Outage],
    promise: Promised | None,
    parties: Sequence[ServiceHour],
    over: Span,
    now: datetime,
) -> ServiceReport:
    measured_s = hour.ok_s + hour.violated_s + hour.down_s
    slo = promise.slo if promise else SloView()
    availability = 1 - hour.down_s / measured_s if measured_s else None
    attainment = hour.ok_s / measured_s if measured_s else None
    spent_s = hour.violated_s + hour.down_s
    window_s = promise.window_s if promise else None
    budget_s = _budget_s(slo, over.length_s if window_s is None else min(window_s, over.length_s))
    start, end = over.first * 3600.0, min(over.last * 3600.0, now.timestamp())
    lasted = [min(o.ended or end, end) - max(o.began, start) for o in outages]
    mended = [o.ended - o.began for o in outages if o.ended is not None]
    found = ServiceReport(
        service=hour.service,
        kind=promise.kind if promise else "",
        withdrawn=promise is None or promise.withdrawn,
        promised=slo,
        verdict=_verdict(slo, attainment),
        measured_s=measured_s,
        unseen_s=hour.unknown_s,
        down_s=hour.down_s,
        violated_s=hour.violated_s,
        availability=availability,
        attainment=attainment,
        budget_s=budget_s,
        budget_left_ratio=1 - spent_s / budget_s if budget_s else None,
        burn_rate=spent_s / measured_s / (1 - (slo.availability or 0.0)) if budget_s and measured_s else None,
        delay=_limit(slo.delay_s, hour.delay_seen_s, hour.delay_over_s, hour.delay_sum, hour.delay_max),
        jitter=_limit(slo.jitter_s, hour.jitter_seen_s, hour.jitter_over_s, hour.jitter_sum, hour.jitter_max),
        loss=_limit(slo.loss_ratio, hour.loss_seen_s, hour.loss_over_s, hour.loss_sum, hour.loss_max),
        throughput=ThroughputReport(hour.rate_sum / hour.rate_seen_s, hour.rate_max)
        if hour.rate_seen_s
        else ThroughputReport(None, None),
        parties=tuple(party_record(row) for row in parties),
        outages=len(outages),
        longest_s=max(lasted, default=0.0),
        repair_mean_s=sum(mended) / len(mended) if mended else None,
        repair_limit_s=REPAIR_LIMIT_S.get(promise.kind) if promise else None,
        advice=(),
    )
    downs = sum(o.state == "down" for o in outages)
    return replace(found, advice=service_advice(found, promise.protected if promise else None, downs))


def _budget_s(slo: SloView, length_s: float) -> float | None:
    """Return how long a service may be outside its promise; None where nothing allows that, or nothing is promised."""
    if slo.availability is None or not 0 < slo.availability < 1 or not length_s:
        return None
    return (1 - slo.availability) * length_s


def _verdict(slo: SloView, attainment: float | None) -> Verdict:
    """A promise is kept where the service was as promised for at least the promised share of the time."""
    if slo.availability is None and slo.delay_s is None and slo.jitter_s is None and slo.loss_ratio is None:
        return Verdict.UNPROMISED
    if attainment is None:
        return Verdict.UNMEASURED
    wanted = slo.availability if slo.availability is not None else 1.0
    return Verdict.KEPT if attainment >= wanted - ROUNDING else Verdict.MISSED


def _limit(limit: float | None, seen_s: float, over_s: float, total: float, worst: float) -> LimitReport:
    if not seen_s:
        return LimitReport(limit, None, None, None)
    return LimitReport(limit, total / seen_s, worst, over_s / seen_s if limit is not None else None)


def _parts(slices: Sequence[AttainedSlice], over: Span, now: datetime) -> tuple[PartReport, ...]:
    """Return every part of the period up to now, also those in which nothing was recorded; none where nothing was."""
    if not slices:
        return ()
    found = {(one.hour - over.first) // over.part_hours: one for one in slices}
    hours = min(over.last, int(now.timestamp() // 3600) + 1) - over.first
    starts = range(0, hours, over.part_hours)
    blank = (AttainedSlice(over.first + start, 0.0, 0.0, 0.0, 0.0) for start in starts)
    return tuple(_part(found.get(number, nothing)) for number, nothing in enumerate(blank))


def _unrecorded_s(parts: Sequence[PartReport], over: Span) -> float:
    """Return how long nothing was recorded after the first record, in whole parts."""
    told = [n for n, part in enumerate(parts) if part.recorded]
    empty = sum(not part.recorded for part in parts[told[0] :]) if told else 0
    return empty * over.part_hours * 3600.0


def _part(one: AttainedSlice) -> PartReport:
    measured_s = one.ok_s + one.violated_s + one.down_s
    counted_s = measured_s + one.unknown_s
    began = datetime.fromtimestamp(one.hour * 3600, UTC)
    attainment = one.ok_s / measured_s if measured_s else None
    return PartReport(began, attainment, measured_s / counted_s if counted_s else 0.0, counted_s > 0)


def _incident(one: KeptIncident, mine: set[str]) -> IncidentReport:
    closed = datetime.fromtimestamp(one.closed, UTC) if one.closed is not None else None
    concerned = tuple(s for s in one.services if s in mine)
    opened = datetime.fromtimestamp(one.opened, UTC)
    return IncidentReport(one.id, one.title, one.root, one.severity, opened, closed, concerned)


def _outage(one: Outage) -> OutageReport:
    ended = datetime.fromtimestamp(one.ended, UTC) if one.ended is not None else None
    return OutageReport(one.service, one.state, datetime.fromtimestamp(one.began, UTC), ended, one.reason)
