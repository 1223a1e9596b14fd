"""A report over gRPC: what is asked amiss is told in one sentence, whatever a client writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from onecity.v1 import report_pb2 as pb
from onecity.v1 import report_pb2_grpc

from controller.northbound.server import NorthboundServer
from controller.reports.compose import Records, compose, span
from controller.reports.model import Report
from controller.settings import Listen
from tests.northbound.remembered import RememberedChanges

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class Nothing:
    """Of which nothing was ever measured."""

    async def report(self, tenant: str, period: str, until: datetime | None, links: int) -> Report:
        return compose(tenant, span(period, until, NOW), Records([], [], [], []), {}, NOW)


@pytest.fixture
async def reports(changes: RememberedChanges) -> AsyncIterator[Any]:
    server = NorthboundServer(changes, Listen("127.0.0.1", 0), reports=Nothing())
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield report_pb2_grpc.ReportServiceStub(channel)  # type: ignore[no-untyped-call]
    await server.stop(0.1)


async def test_a_period_that_is_not_named_is_a_week_and_without_records_it_is_empty(reports: Any) -> None:
    made = (await reports.GetReport(pb.GetReportRequest(), timeout=10)).report
    assert made.period == pb.REPORT_PERIOD_WEEK
    assert made.until.ToDatetime(tzinfo=UTC) == NOW
    assert not made.services
    assert not made.parts
    assert not made.advice


@pytest.mark.parametrize("seconds", [10**12, -(10**12), 253402300799, -62135596800, -1])
async def test_an_end_that_no_calendar_or_no_network_has_is_a_mistake_of_the_caller(reports: Any, seconds: int) -> None:
    request = pb.GetReportRequest(period=pb.REPORT_PERIOD_YEAR)
    request.until.seconds = seconds
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reports.GetReport(request, timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "until" in (refused.value.details() or "")
