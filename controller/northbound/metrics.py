"""`/metrics` for Prometheus: changes, domains, and every service's measured values beside what it is promised.

Taken from memory in the event loop at each scrape and written out in a thread. A value that nobody measures is
absent: a gap is never a zero. The number of service series is bounded; what does not fit is counted, not silently
left out.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.changes.ports import Measurements
from controller.changes.views import Outcome, ServiceReading

MOST_SERVICES = 5_000  # with series of their own
READINGS_AT_ONCE = 25  # before changes get their turn: a scrape must not delay a commit
DURATION_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
INDICATORS = (  # name, what it is, attribute of Slo (None: nothing is promised), attribute of ServiceIndicators
    ("delay_seconds", "one-way delay", "delay_s", "delay_s"),
    ("jitter_seconds", "jitter", "jitter_s", "jitter_s"),
    ("loss_ratio", "packet loss", "loss_ratio", "loss_ratio"),
    ("throughput_bps", "throughput in bit/s", "rate_bps", "throughput_bps"),
)


class Metrics:
    """The daemon's metrics. `change_ended` is for the changes room; the rest is read from `measurements`."""

    def __init__(self, measurements: Measurements) -> None:
        self.registry = CollectorRegistry()
        build = Gauge("onecity_build_info", "Version of the controller.", ("version",), registry=self.registry)
        build.labels(version("onecity")).set(1)
        self._changes = Counter("onecity_changes", "Changes that ended.", ("kind", "outcome"), registry=self.registry)
        self._duration = Histogram(
            "onecity_change_duration_seconds",
            "From acceptance of a change to its last confirm.",
            ("kind",),
            buckets=DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self._measurements = measurements
        self._readings = _Readings()
        self.registry.register(self._readings)
        self._writing = asyncio.Lock()

    def change_ended(self, kind: str, outcome: Outcome, elapsed_s: float) -> None:
        """Count one change. kind: "apply", "delete", "window", "repair", "drift"."""
        self._changes.labels(kind, outcome.value).inc()
        self._duration.labels(kind).observe(elapsed_s)

    async def exposition(self) -> bytes:
        """Return everything in Prometheus text format."""
        async with self._writing:
            readings = []
            for count, reading in enumerate(self._measurements.readings(), 1):
                readings.append(reading)
                if count % READINGS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            self._readings.now = _Moment(
                dict(self._measurements.domains_up()), dict(self._measurements.telemetry_gaps()), tuple(readings)
            )
            return await asyncio.to_thread(generate_latest, self.registry)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the event loop knew when the scrape came."""

    domains_up: Mapping[str, bool] = field(default_factory=dict)
    telemetry_gaps: Mapping[str, int] = field(default_factory=dict)
    readings: tuple[ServiceReading, ...] = ()


class _Readings(Collector):
    """Turns one moment into series."""

    def __init__(self) -> None:
        self.now = _Moment()

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: a registry must not scrape in order to register."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("onecity_domain_up", "Whether the session with a domain stands.", labels=["domain"])
        for domain, stands in sorted(self.now.domains_up.items()):
            up.add_metric([domain], float(stands))
        yield up
        gaps = CounterMetricFamily("onecity_telemetry_gaps", "Times a domain's telemetry was lost.", labels=["domain"])
        for domain, count in sorted(self.now.telemetry_gaps.items()):
            gaps.add_metric([domain], count)
        yield gaps
        readings = self.now.readings
        phases = GaugeMetricFamily("onecity_services", "Services by kind and phase.", labels=["kind", "phase"])
        for (kind, phase), count in sorted(Tally((r.kind, r.phase) for r in readings).items()):
            phases.add_metric([kind, phase], count)
        yield phases
        left = GaugeMetricFamily("onecity_services_without_series", "Services beyond the bound on series.")
        left.add_metric([], max(0, len(readings) - MOST_SERVICES))
        yield left
        yield from _indicators(readings[:MOST_SERVICES])


def _indicators(readings: tuple[ServiceReading, ...]) -> Iterator[Metric]:
    for name, words, promised, measured in INDICATORS:
        now = GaugeMetricFamily(f"onecity_service_{name}", f"Measured {words}, the worst.", labels=["service"])
        slo = GaugeMetricFamily(f"onecity_service_slo_{name}", f"Promised {words}.", labels=["service"])
        for reading in readings:
            indicator, promise = getattr(reading.measured, measured), getattr(reading.slo, promised)
            if indicator is not None:
                now.add_metric([reading.service], indicator.value)
            if promise is not None:
                slo.add_metric([reading.service], promise)
        yield now
        yield slo
    silent = GaugeMetricFamily(
        "onecity_service_silent_subjects", "Carriers of a service without a fresh sample.", labels=["service"]
    )
    for reading in readings:
        silent.add_metric([reading.service], len(reading.measured.silent))
    yield silent
