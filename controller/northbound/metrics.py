"""`/metrics` for Prometheus: the controller, its domains, its links, and services' measured values beside the promised.

Taken from memory in the event loop at each scrape and written out in a thread. A value that nobody measures is
absent: a gap is never a zero. How many series there are does not follow the number of services: see `with_series`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import product
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.changes.party_views import PartyView
from controller.changes.ports import Measurements
from controller.changes.views import Outcome, ServiceReading, SloView
from controller.loop.culprits import Blame
from controller.loop.observed import Observation
from controller.northbound.instruments import Instruments
from controller.northbound.network_series import network_series

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each counter was born: half as many series again, and nobody asks

MOST_SERVICES = 1_000  # with series of their own
MOST_PARTIES = 500  # of open windows with series of their own; those that are not as promised first
MOST_BROKEN = 500  # of these, for services that are not as promised
READINGS_AT_ONCE = 25  # before changes get their turn: a scrape must not delay a commit
INDICATORS = (  # name, what it is, attribute of Slo (None: nothing is promised), attribute of ServiceIndicators
    ("delay_seconds", "one-way delay", "delay_s", "delay_s"),
    ("jitter_seconds", "jitter", "jitter_s", "jitter_s"),
    ("loss_ratio", "packet loss", "loss_ratio", "loss_ratio"),
    ("throughput_bps", "throughput in bit/s", "rate_bps", "throughput_bps"),
)
KINDS = ("DedicatedPlane", "ExclusiveSlice", "VipAssurance")
PHASES = ("Scheduled", "Committing", "Active", "Deleting", "Expired")
HEALTHS = ("ok", "at-risk", "violated", "down", "unknown")
STATES = ("good", "bad", "unknown")
WORST_FIRST = {"down": 0, "violated": 1, "at-risk": 2}
KINDS_FIRST = {"VipAssurance": 0, "ExclusiveSlice": 1}


class Attained(Protocol):
    """Seconds in which services had what they were promised, since the daemon was started."""

    @property
    def by_kind(self) -> Mapping[tuple[str, str], float]:
        """Return kind and "good", "bad" or "unknown" → seconds."""

    def seconds(self, service: str) -> Mapping[str, float]:
        """Return the same of one service."""


class Observing(Protocol):
    """Who can tell of the controller's own state."""

    async def look(self) -> Observation:
        """Return the present moment."""


class OwnProcess(ProcessCollector):
    """Processor and memory of this process, also where a sandbox shows of /proc nothing but processes.

    Without the instant at which the machine was started, which it reads from /proc/stat, the library tells nothing.
    """

    def _boot_time(self) -> float:
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class Metrics:
    """The daemon's metrics. `instruments` are hooks for the rooms; the rest is read at each scrape."""

    def __init__(
        self, measurements: Measurements, observer: Observing | None = None, attained: Attained | None = None
    ) -> None:
        self.registry = CollectorRegistry()
        build = Gauge("onecity_build_info", "Version of the controller.", ("version",), registry=self.registry)
        build.labels(version("onecity")).set(1)
        self.instruments = Instruments(self.registry)
        OwnProcess(registry=self.registry)
        self._measurements, self._observer, self._attained = measurements, observer, attained
        self._readings = _Readings()
        self.registry.register(self._readings)
        self._writing = asyncio.Lock()

    def change_ended(self, kind: str, outcome: Outcome, elapsed_s: float) -> None:
        """Count one change. kind: "apply", "delete", "window", "repair", "drift"."""
        self.instruments.change_ended(kind, outcome, elapsed_s)

    async def exposition(self) -> bytes:
        """Return everything in Prometheus text format."""
        async with self._writing:
            readings = []
            for count, reading in enumerate(self._measurements.readings(), 1):
                readings.append(reading)
                if count % READINGS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            chosen = with_series(readings)
            attained = self._attained
            self._readings.now = _Moment(
                dict(self._measurements.domains_up()),
                dict(self._measurements.telemetry_gaps()),
                tuple(readings),
                chosen,
                {r.service: dict(attained.seconds(r.service)) for r in chosen} if attained else {},
                dict(attained.by_kind) if attained else {},
                tuple(self._measurements.open_parties()),
                await self._observer.look() if self._observer else None,
            )
            return await asyncio.to_thread(generate_latest, self.registry)


def with_series(readings: Sequence[ServiceReading]) -> tuple[ServiceReading, ...]:
    """Choose the services that have series of their own, at most MOST_SERVICES.

    First those that are not as promised, the worst first, at most MOST_BROKEN; then those that were promised a limit,
    VIPs first, then exclusive slices, each by name: who has series keeps them. A service without a limit has series
    only while it is down.
    """
    broken = sorted((WORST_FIRST[r.health], r.service, r) for r in readings if r.health in WORST_FIRST)
    chosen = {name: reading for _, name, reading in broken[:MOST_BROKEN]}
    rest = (r for r in readings if r.service not in chosen and _limited(r.slo))
    for reading in sorted(rest, key=lambda r: (KINDS_FIRST.get(r.kind, 2), r.service)):
        if len(chosen) >= MOST_SERVICES:
            break
        chosen[reading.service] = reading
    return tuple(list(chosen.values())[:MOST_SERVICES])


def _limited(slo: SloView) -> bool:
    return not (slo.delay_s is None and slo.jitter_s is None and slo.loss_ratio is None and slo.availability is None)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the event loop knew when the scrape came."""

    domains_up: Mapping[str, bool] = field(default_factory=dict)
    telemetry_gaps: Mapping[str, int] = field(default_factory=dict)
    readings: tuple[ServiceReading, ...] = ()
    chosen: tuple[ServiceReading, ...] = ()
    seconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    by_kind: Mapping[tuple[str, str], float] = field(default_factory=dict)
    parties: tuple[PartyView, ...] = ()
    observed: Observation | None = None


class _Readings(Collector):
    """Turns one moment into series."""

    def __init__(self) -> None:
        self.now = _Moment()

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: a registry must not scrape in order to register."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        now = self.now
        up = GaugeMetricFamily("onecity_domain_up", "Whether the session with a domain stands.", labels=["domain"])
        for domain, stands in sorted(now.domains_up.items()):
            up.add_metric([domain], float(stands))
        yield up
        gaps = CounterMetricFamily("onecity_telemetry_gaps", "Times a domain's telemetry was lost.", labels=["domain"])
        for domain, count in sorted(now.telemetry_gaps.items()):
            gaps.add_metric([domain], count)
        yield gaps
        yield from _counts(now)
        yield from _indicators(now.chosen)
        yield _service_causes(now.chosen, now.observed.blame if now.observed else Blame())
        yield from _attained(now)
        yield from party_series(now.parties)
        if now.observed is not None:
            yield from network_series(now.observed)


def _counts(now: _Moment) -> Iterator[Metric]:
    phases = GaugeMetricFamily("onecity_services", "Services by kind and phase.", labels=["kind", "phase"])
    none = dict.fromkeys(product(KINDS, PHASES), 0)  # what there is none of is zero, not absent
    for (kind, phase), count in sorted({**none, **Tally((r.kind, r.phase) for r in now.readings)}.items()):
        phases.add_metric([kind, phase], count)
    yield phases
    health = GaugeMetricFamily(
        "onecity_services_by_health", "Services in the network by kind and steady health.", labels=["kind", "health"]
    )
    none = dict.fromkeys(product(KINDS, HEALTHS), 0)
    found = Tally((r.kind, r.steady or r.health) for r in now.readings if r.health)
    for (kind, word), count in sorted({**none, **found}.items()):
        health.add_metric([kind, word], count)
    yield health
    left = GaugeMetricFamily("onecity_services_without_series", "Services without series of their own.")
    left.add_metric([], len(now.readings) - len(now.chosen))
    yield left


def _indicators(chosen: tuple[ServiceReading, ...]) -> Iterator[Metric]:
    for name, words, promised, measured in INDICATORS:
        now = GaugeMetricFamily(f"onecity_service_{name}", f"Measured {words}, the worst.", labels=["service"])
        slo = GaugeMetricFamily(f"onecity_service_slo_{name}", f"Promised {words}.", labels=["service"])
        for reading in chosen:
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
    promised_availability = GaugeMetricFamily(
        "onecity_service_slo_availability_ratio", "Promised availability.", labels=["service"]
    )
    within = GaugeMetricFamily(
        "onecity_service_within_slo", "1: as promised, 0: not; absent: nobody can see it.", labels=["service", "kind"]
    )
    stands = GaugeMetricFamily(
        "onecity_service_up", "1: it carries traffic, 0: it is down; absent: nobody can see it.",
        labels=["service", "kind"],
    )  # fmt: skip
    for reading in chosen:
        silent.add_metric([reading.service], len(reading.measured.silent))
        if reading.slo.availability is not None:
            promised_availability.add_metric([reading.service], reading.slo.availability)
        if reading.health not in ("", "unknown"):
            within.add_metric([reading.service, reading.kind], float(reading.health in ("ok", "at-risk")))
            stands.add_metric([reading.service, reading.kind], float(reading.health != "down"))
    yield from (silent, promised_availability, within, stands)


def _service_causes(chosen: Sequence[ServiceReading], blame: Blame) -> Metric:
    family = GaugeMetricFamily(
        "onecity_service_cause_info",
        "1: the root of the incident that hurts a service, or hurt it in the last six hours; itself where none did.",
        labels=["service", "cause"],
    )
    for reading in chosen:
        family.add_metric([reading.service, blame.of_service(reading.service, reading.health)], 1.0)
    return family


def party_series(parties: Sequence[PartyView]) -> Iterator[Metric]:
    """Yield the series of the parties of open windows: at most MOST_PARTIES of each, and how all are, by service."""
    tally = GaugeMetricFamily(
        "onecity_vip_parties", "Parties of open windows by how they are.", labels=["service", "health"]
    )
    for (service, health), count in sorted(Tally((p.service, p.health) for p in parties).items()):
        tally.add_metric([service, health], count)
    yield tally
    worst_first = {"down": 0, "violated": 1, "unknown": 2}
    chosen = sorted(parties, key=lambda p: (worst_first.get(p.health, 3), p.service, p.name))[:MOST_PARTIES]
    for name, words, attribute in (
        ("delay_seconds", "one-way delay", "delay_s"),
        ("jitter_seconds", "jitter", "jitter_s"),
        ("loss_ratio", "packet loss", "loss_ratio"),
    ):
        series = GaugeMetricFamily(
            f"onecity_vip_party_{name}",
            f"Measured {words} of a party, the worse direction.",
            labels=["service", "party"],
        )
        for party in chosen:
            value = getattr(party, attribute)
            if value is not None:
                series.add_metric([party.service, party.name], value)
        yield series
    left = GaugeMetricFamily("onecity_vip_parties_without_series", "Parties without series of their own.")
    left.add_metric([], len(parties) - len(chosen))
    yield left


def _attained(now: _Moment) -> Iterator[Metric]:
    each = CounterMetricFamily(
        "onecity_service_slo_seconds",
        "Time in which a service was as promised (good), was not (bad), or nobody could see it (unknown).",
        labels=["service", "state"],
    )
    for service, seconds in now.seconds.items():
        for state in STATES:
            each.add_metric([service, state], seconds.get(state, 0.0))
    yield each
    all_of_them = CounterMetricFamily(
        "onecity_slo_seconds",
        "Time as promised (good), not (bad) and unseen (unknown), summed over all services of a kind.",
        labels=["kind", "state"],
    )
    for (kind, state), total in sorted({**dict.fromkeys(product(KINDS, STATES), 0.0), **now.by_kind}.items()):
        all_of_them.add_metric([kind, state], total)
    yield all_of_them
