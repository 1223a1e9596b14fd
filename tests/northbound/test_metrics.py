"""/metrics: what is measured beside what is promised, gaps absent, series bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from controller.assurance.receivers import LIMIT_METRICS
from controller.changes.map_views import LinkView
from controller.changes.party_views import PartyView
from controller.changes.views import Outcome, ServiceReading, SloView
from controller.errors import ConfigurationError
from controller.intent.model import ServiceId
from controller.loop.faults import Fault
from controller.loop.observed import (
    AmplifierObservation,
    CircuitObservation,
    DomainObservation,
    MonitorObservation,
    Observation,
)
from controller.northbound import metrics as room
from controller.northbound.instruments import Instruments
from controller.northbound.metrics import Metrics
from controller.northbound.scrapes import ScrapeServer
from controller.settings import Listen
from controller.southbound.driver import Sample, StreamCounts
from controller.telemetry.indicator import Indicator, ServiceIndicators


class Seen:
    def __init__(self, services: int = 1) -> None:
        self.services = services
        self.parties: tuple[PartyView, ...] = ()

    def domains_up(self) -> Mapping[str, bool]:
        return {"city-ip": True, "city-otn": False}

    def open_parties(self) -> Iterable[PartyView]:
        return self.parties

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


async def test_parties_have_series_the_worst_first_and_never_more_than_a_bound() -> None:
    seen = Seen()
    fine = (PartyView("gov/vip", f"p{n}", "a", "10.0.0.1", "ok", 0.01, 0.001, 0.0) for n in range(room.MOST_PARTIES))
    bad = PartyView("gov/vip", "z", "a", "10.0.0.2", "violated", 0.09, 0.001, 0.2)
    gone = PartyView("gov/vip", "y", "a", "10.0.0.3", "unknown")
    seen.parties = (*fine, bad, gone)
    found = await samples(Metrics(seen))
    assert found[("onecity_vip_party_delay_seconds", ("z", "gov/vip"))] == 0.09
    assert ("onecity_vip_party_delay_seconds", ("y", "gov/vip")) not in found  # a gap is no zero
    assert sum(name == "onecity_vip_party_delay_seconds" for name, _ in found) == room.MOST_PARTIES - 1
    assert found[("onecity_vip_parties_without_series", ())] == 2.0
    assert found[("onecity_vip_parties", ("ok", "gov/vip"))] == room.MOST_PARTIES


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


def network(links: int, fibres: int, circuits: int) -> Observation:
    domain = DomainObservation(True, 1, False, 0.4, StreamCounts(2, 0))
    cables = [LinkView(f"link:{n}", "city-ip", "ip", "a", "z", 10**11, n, 1e-4, 0, 0, (), True) for n in range(links)]
    glass = [
        LinkView(f"f-{n}", "city-otn", "optical", "a", "z", 0, 0, 1e-4, 80, n % 80, (), True) for n in range(fibres)
    ]
    measured = (1e-4, 1e-3, -10.0, 8.0, 500.0, 0.0, 3.0, 2.0, 1.0)
    lit = [CircuitObservation(f"c{n}", "city-otn", n / 10, *measured) for n in range(circuits)]
    rates = {k.id: 1e9 for k in cables}
    amplifiers = tuple(AmplifierObservation(f"a{n}", 20.0, -n / 10, 1.0) for n in range(2 * fibres))
    monitors = tuple(MonitorObservation(f"m{n}", 40, -n / 10, 0.5) for n in range(2 * fibres))
    return Observation(
        {f"d{n}": domain for n in range(8)},
        1,
        0,
        links=(*cables, *glass),
        rates=rates,
        circuits=tuple(lit),
        amplifiers=amplifiers,
        monitors=monitors,
        span_loss_db={f.id: (5.0, 3.5) for f in glass},
    )


class Looks:
    def __init__(self, seen: Observation) -> None:
        self.seen = seen

    async def look(self) -> Observation:
        return self.seen


class Ten:
    by_kind = {("ExclusiveSlice", "good"): 10.0}  # noqa: RUF012

    def seconds(self, service: str) -> Mapping[str, float]:
        return {"good": 10.0}


async def test_ten_thousand_services_over_a_large_city_stay_within_the_bound_on_series() -> None:
    large = Metrics(Seen(10_000), Looks(network(5_000, 1_000, 2_000)), Ten())
    for domain in (f"d{n}" for n in range(8)):
        for verb in ("connect", "prepare", "commit", "confirm", "cancel", "outcome", "read"):
            for outcome in ("ok", "refused", "unreachable"):
                large.instruments.called(domain, verb, outcome, 0.01)
    found = await samples(large)
    per_service = [key for key in found if any(label.startswith("gov/") for label in key[1])]
    assert len({name for key in per_service for name in key[1] if name.startswith("gov/")}) == room.MOST_SERVICES
    assert len(per_service) <= 15 * room.MOST_SERVICES
    assert len(found) < 22_000
    assert found[("onecity_services_without_series", ())] == 9_000
    assert found[("onecity_links_without_series", ())] == 4_500
    assert found[("onecity_fibres_without_series", ())] == 1_000 - 500
    assert found[("onecity_circuits_without_series", ())] == 2_000 - 200
    assert found[("onecity_incidents_open", ("critical",))] == 0.0
    assert ("onecity_circuit_margin_decibels", ("c0",)) in found  # the worst is always shown
    assert ("onecity_circuit_margin_decibels", ("c1999",)) not in found
    assert found[("onecity_amplifier_input_power_dbm", ("a1999",))] == -199.9  # the darkest is always shown
    assert ("onecity_amplifier_input_power_dbm", ("a0",)) not in found
    assert found[("onecity_fibre_excess_loss_decibels", ("f-79",))] == 1.5
    assert found[("onecity_amplifiers_without_series", ())] == 2_000 - 200
    assert len([k for k in found if k[0] == "onecity_channel_power_dbm"]) == 2 * 200
    twice = await samples(Metrics(Seen(20_000), Looks(network(5_000, 1_000, 2_000)), Ten()))
    assert len([k for k in twice if any(label.startswith("gov/") for label in k[1])]) == len(per_service)


async def test_a_service_that_is_broken_has_series_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_SERVICES", 3)
    readings = [
        ServiceReading(f"gov/s{n}", "DedicatedPlane", "Active", SloView(), ServiceIndicators()) for n in range(9)
    ]
    assert room.with_series(readings) == ()  # promised nothing, and nothing is wrong
    broken = [replace(r, health="down" if n == 7 else "violated") for n, r in enumerate(readings)]
    assert room.with_series(broken)[0].service == "gov/s7"
    assert len(room.with_series(broken)) == 3


async def test_a_gap_is_told_as_a_gap_and_never_as_good_or_bad() -> None:
    class Blind(Seen):
        def readings(self) -> Iterable[ServiceReading]:
            for name, health in (("seen", "violated"), ("blind", "unknown")):
                yield ServiceReading(
                    f"gov/{name}", "ExclusiveSlice", "Active", SloView(delay_s=1.0), ServiceIndicators(), health
                )

    found = await samples(Metrics(Blind()))
    assert found[("onecity_service_within_slo", ("ExclusiveSlice", "gov/seen"))] == 0.0
    assert found[("onecity_service_up", ("ExclusiveSlice", "gov/seen"))] == 1.0
    assert ("onecity_service_within_slo", ("ExclusiveSlice", "gov/blind")) not in found
    assert found[("onecity_services_by_health", ("unknown", "ExclusiveSlice"))] == 1.0


async def test_the_closed_loop_is_told_stage_by_stage_and_a_repeated_state_is_no_second_detection() -> None:
    hooks = Instruments(registry := CollectorRegistry(), wall=lambda: 100.0)
    down = Sample("city-otn", "fibre:f", "up", 0.0, 99.9)
    for _ in range(3):
        hooks.states_heard((down,))
    fault = Fault(frozenset({"fibre:f"}), 10.0, concerned={ServiceId("a/b"), ServiceId("a/c")}, decided=10.01)
    hooks.fault(fault)
    fault.repaired, fault.first_vip, fault.ended = {ServiceId("a/b")}, 10.05, 10.2
    hooks.fault(fault)

    def value(name: str, stage: str) -> float | None:
        return registry.get_sample_value(f"onecity_repair_stage_duration_seconds_{name}", {"stage": stage})

    assert value("count", "detect") == 1.0
    assert value("sum", "detect") == pytest.approx(0.1)
    assert value("sum", "first_vip") == pytest.approx(0.05)
    assert value("sum", "restore") == pytest.approx(0.2)
    assert registry.get_sample_value("onecity_fault_services_total", {"result": "waiting"}) == 1.0


async def test_what_is_told_again_as_long_as_it_holds_is_no_late_measurement() -> None:
    """An alarm that stands for an hour is told again with the hour at which it was raised."""
    hooks = Instruments(registry := CollectorRegistry(), wall=lambda: 5000.0)
    hooks.samples_taken((Sample("d", "alarm:fibre:f", "los", 4.0, 1400.0),))
    hooks.samples_taken((Sample("d", "link:k", "up", 0.0, 1400.0),))
    for metric in LIMIT_METRICS:
        hooks.samples_taken((Sample("d", "circuit:c", metric, -17.0, 1400.0),))
    assert registry.get_sample_value("onecity_telemetry_lag_seconds_count", {"domain": "d"}) is None
    hooks.samples_taken((Sample("d", "link:k", "delay_s", 0.001, 4999.9),))
    assert registry.get_sample_value("onecity_telemetry_lag_seconds_sum", {"domain": "d"}) == pytest.approx(0.1)


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


async def test_a_scrape_that_fails_says_so_and_the_next_one_is_tried() -> None:
    class Broken:
        fails = True

        async def look(self) -> Observation:
            if self.fails:
                raise ZeroDivisionError
            return Observation()

    broken = Broken()
    server = ScrapeServer(Metrics(Seen(), broken), Listen("127.0.0.1", 0))
    await server.start()
    try:
        assert b" 500 " in await ask(server.port, b"GET /metrics HTTP/1.1\r\n\r\n")
        broken.fails = False
        assert b" 200 " in await ask(server.port, b"GET /metrics HTTP/1.1\r\n\r\n")
    finally:
        await server.stop()


async def test_receivers_have_series_for_what_they_measure_and_who_spoils_frames_is_never_left_out() -> None:
    bright = [CircuitObservation(f"c{n:03}", "city-otn", 15.0, 1e-9, 1e-3, -10.0, 8.0, 500.0, 0.0) for n in range(300)]
    spoils = CircuitObservation("z-spoils", "city-otn", 16.0, 1e-9, 1e-3, -10.0, 8.0, 500.0, 856.0, 40.0, 7.0, 12.0)
    faint = CircuitObservation("z-faint", "city-otn", 16.0, None, None, -17.5, 0.5, None, None)
    alarms = {"rx_power": 1, **{f"odd-{n}": 40 - n for n in range(40)}}
    found = await samples(Metrics(Seen(1), Looks(Observation(circuits=(*bright, spoils, faint), alarms=alarms)), Ten()))
    assert found["onecity_circuit_uncorrectable_blocks_per_second", ("z-spoils",)] == 856.0
    assert found["onecity_circuit_rx_margin_decibels", ("z-faint",)] == 0.5
    assert found["onecity_circuit_errored_seconds_total", ("z-spoils",)] == 40.0
    assert found["onecity_circuit_severely_errored_seconds_total", ("z-spoils",)] == 7.0
    assert found["onecity_circuit_unavailable_seconds_total", ("z-spoils",)] == 12.0
    assert ("onecity_circuit_unavailable_seconds_total", ("z-faint",)) not in found
    assert found["onecity_circuit_rx_power_dbm", ("z-faint",)] == -17.5
    assert ("onecity_circuit_dispersion_ps_nm", ("z-faint",)) not in found  # nobody measures it
    assert len([1 for name, _ in found if name == "onecity_circuit_rx_power_dbm"]) == 200
    told = {labels[0]: value for (name, labels), value in found.items() if name == "onecity_alarms_standing"}
    assert (told["rx_power"], told["los"], told["odd-0"]) == (1.0, 0.0, 40.0)
    assert told["other"] == sum(40 - n for n in range(30, 40))


async def test_processor_and_memory_are_told_where_a_sandbox_shows_nothing_but_processes(tmp_path: Path) -> None:
    """ProcSubset=pid of the unit: there is no /proc/stat."""
    (tmp_path / "self").symlink_to("/proc/self")
    room.OwnProcess(proc=str(tmp_path), registry=(registry := CollectorRegistry()))
    assert (registry.get_sample_value("process_resident_memory_bytes") or 0) > 1e6
    started = registry.get_sample_value("process_start_time_seconds") or 0
    assert time.time() - 86_400 < started <= time.time() + 1
