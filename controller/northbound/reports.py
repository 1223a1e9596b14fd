"""ReportService over gRPC: asks for a report and packs it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

from onecity.v1 import incident_pb2, report_pb2, report_pb2_grpc
from onecity.v1 import report_pb2 as pb

from controller.errors import ConfigurationError
from controller.northbound.messages import enum_value, party_attained, slo, timestamp
from controller.northbound.service import Context, answer
from controller.reports import model

SERVICE = report_pb2.DESCRIPTOR.services_by_name["ReportService"].full_name
PERIODS = {
    pb.REPORT_PERIOD_DAY: "day",
    pb.REPORT_PERIOD_WEEK: "week",
    pb.REPORT_PERIOD_MONTH: "month",
    pb.REPORT_PERIOD_YEAR: "year",
}
FORECAST = (  # fields of the same name in the value and in the message
    "link", "capacity_bps", "hours", "now_bps", "in_30_days_bps", "peak_in_30_days_bps", "full_in_days",
    "foreseen_days", "error_ratio", "plain_error_ratio", "held_back_hours", "season_hours", "problem", "daily_bps",
    "ahead_bps",
)  # fmt: skip
ATTAINED = (
    "service", "kind", "measured_s", "unseen_s", "down_s", "violated_s", "availability", "attainment",
    "budget_s", "budget_left_ratio", "burn_rate", "withdrawn", "outages", "longest_s", "repair_mean_s",
    "repair_limit_s", "advice",
)  # fmt: skip


class ReportSource(Protocol):
    """Who makes reports."""

    async def report(self, tenant: str, period: str, until: datetime | None, links: int) -> model.Report:
        """Return a report; tenant "" for all, links: how many are forecast. Raises ConfigurationError."""


class ReportServicer(report_pb2_grpc.ReportServiceServicer):
    """Every RPC of ReportService."""

    def __init__(self, reports: ReportSource) -> None:
        self._reports = reports

    async def GetReport(self, request: pb.GetReportRequest, context: Context) -> pb.GetReportResponse:  # noqa: N802
        return pb.GetReportResponse(report=message(await answer(context, self._made(request))))

    async def _made(self, request: pb.GetReportRequest) -> model.Report:
        try:
            until = request.until.ToDatetime(tzinfo=UTC) if request.HasField("until") else None
        except ValueError:
            raise ConfigurationError(
                f"until: {request.until.seconds} seconds is no instant of the years 1 to 9999"
            ) from None
        return await self._reports.report(request.tenant, PERIODS.get(request.period, "week"), until, request.links)


def message(made: model.Report) -> pb.Report:
    """Return a report as its message."""
    return pb.Report(
        tenant=made.tenant,
        period=enum_value(pb.ReportPeriod, "REPORT_PERIOD", made.period),
        since=timestamp(made.since),
        until=timestamp(made.until),
        made_at=timestamp(made.made),
        advice=made.advice,
        services=[_service(one) for one in made.services],
        parts=[
            pb.ReportPart(
                began_at=timestamp(p.began),
                attainment=p.attainment,
                measured_ratio=p.measured_ratio,
                recorded=p.recorded,
            )
            for p in made.parts
        ],
        incidents=[_incident(one) for one in made.incidents],
        outages=[
            pb.OutageReport(
                service=o.service,
                state=o.state,
                began_at=timestamp(o.began),
                ended_at=timestamp(o.ended),
                reason=o.reason,
            )
            for o in made.outages
        ],
        links=[pb.LinkForecast(**{name: getattr(one, name) for name in FORECAST}) for one in made.links],
    )


def _service(one: model.ServiceReport) -> pb.ServiceReport:
    plain: dict[str, Any] = {name: getattr(one, name) for name in ATTAINED}
    return pb.ServiceReport(
        **plain,
        promised=slo(one.promised),
        verdict=enum_value(pb.Verdict, "VERDICT", one.verdict),
        delay=_limit(one.delay),
        jitter=_limit(one.jitter),
        loss=_limit(one.loss),
        parties=[party_attained(p) for p in one.parties],
        throughput=pb.ThroughputReport(mean_bps=one.throughput.mean_bps, most_bps=one.throughput.most_bps),
    )


def _limit(one: model.LimitReport) -> pb.LimitReport:
    return pb.LimitReport(limit=one.limit, mean=one.mean, worst=one.worst, over_ratio=one.over_ratio)


def _incident(one: model.IncidentReport) -> pb.IncidentSummary:
    return pb.IncidentSummary(
        id=one.id,
        title=one.title,
        root=one.root,
        severity=enum_value(incident_pb2.Severity, "SEVERITY", one.severity),
        opened_at=timestamp(one.opened),
        closed_at=timestamp(one.closed),
        services=one.services,
    )
