"""/metrics: what is measured beside what is promised, gaps absent, series bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller.changes.views import Outcome, ServiceReading, SloView
from controller.errors import ConfigurationError
from controller.northbound import metrics as room
from controller.northbound.metrics import Metrics
from controller.northbound.scrapes import ScrapeServer
from controller.settings import Listen
from controller.telemetry.indicator import Indicator, ServiceIndicators


class Seen:
    def __init__(self, services: int = 1) -> None:
        self.services = services

    def domains_up(self) -> Mapping[str, bool]:
        return {"city-ip": True, "city-otn": False}

    def telemetry_gaps(self) -> Mapping[str, int]:
        return {"city-otn": 2}

    def readings(self) -> Iterable[ServiceReading]:
        delay = Indicator("tunnel:x", "delay_s", 0.002, 0.002, 0.003, 9, 0.1)
        for i in range(self.services):
            measured = ServiceIndicators(delay_s=delay, subjects=1)
            yield ServiceReading(
                f"gov/s{i}", "ExclusiveSlice", "Active", SloView(delay_s=0.02, rate_bps=10**9), measured
            )


async def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    text = (await metrics.exposition()).decode()
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


async def test_measured_stands_beside_promised_and_a_gap_is_absent() -> None:
    found = await samples(Metrics(Seen()))
    assert found[("onecity_service_delay_seconds", ("gov/s0",))] == 0.002
    assert found[("onecity_service_slo_delay_seconds", ("gov/s0",))] == 0.02
    assert ("onecity_service_loss_ratio", ("gov/s0",)) not in found
    assert ("onecity_service_slo_loss_ratio", ("gov/s0",)) not in found
    assert found[("onecity_domain_up", ("city-otn",))] == 0.0
    assert found[("onecity_telemetry_gaps_total", ("city-otn",))] == 2.0
    assert found[("onecity_services", ("ExclusiveSlice", "Active"))] == 1.0
    assert any(name == "onecity_build_info" for name, _ in found)


async def test_changes_are_counted_by_outcome_with_their_duration() -> None:
    metrics = Metrics(Seen())
    metrics.change_ended("apply", Outcome.COMMITTED, 0.04)
    metrics.change_ended("apply", Outcome.FAILED, 0.2)
    found = await samples(metrics)
    assert found[("onecity_changes_total", ("apply", "committed"))] == 1.0
    assert found[("onecity_changes_total", ("apply", "failed"))] == 1.0
    assert found[("onecity_change_duration_seconds_count", ("apply",))] == 2.0


async def test_series_are_bounded_and_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_SERVICES", 3)
    found = await samples(Metrics(Seen(5)))
    assert len([1 for name, _ in found if name == "onecity_service_delay_seconds"]) == 3
    assert found[("onecity_services_without_series", ())] == 2.0
    assert found[("onecity_services", ("ExclusiveSlice", "Active"))] == 5.0


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_it_is_scraped_over_http_and_survives_what_is_not_http() -> None:
    server = ScrapeServer(Metrics(Seen()), Listen("127.0.0.1", 0))
    await server.start()
    try:
        answer = await ask(server.port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"onecity_domain_up" in answer
        assert b" 404 " in await ask(server.port, b"GET / HTTP/1.1\r\n\r\n")
        assert b" 405 " in await ask(server.port, b"POST /metrics HTTP/1.1\r\n\r\n")
        assert b" 400 " in await ask(server.port, b"\x16\x03\x01")
        assert b" 400 " in await ask(server.port, b"A" * 100_000)
        with pytest.raises(ConfigurationError, match="cannot be had"):
            await ScrapeServer(Metrics(Seen()), Listen("127.0.0.1", server.port)).start()
    finally:
        await server.stop()
