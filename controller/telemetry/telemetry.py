"""Collects what the domains measure and answers what a service gets.

One task per domain, owned here: a domain that is silent or breaks costs its own values and nobody else's.
What to do about a bad value is not decided here.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from controller.planning.placement import Placement
from controller.southbound.driver import Driver, GivesWay, Sample
from controller.telemetry.indicator import Indicator, ServiceIndicators
from controller.telemetry.moments import Moments
from controller.telemetry.subjects import Flows, by_class, flow_subjects, placement_subjects
from controller.telemetry.windows import Windows, WindowSettings

log = logging.getLogger(__name__)

RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)  # between attempts on one domain; the last repeats
FORGET_EVERY_S = 60.0
KEPT_S = 600.0  # how long it is remembered when something was measured
MEANINGS = {  # metric → what it says of a service; circuits report `latency_s`
    "delay_s": "delay_s",
    "latency_s": "delay_s",
    "jitter_s": "jitter_s",
    "loss_ratio": "loss_ratio",
    "throughput_bps": "throughput_bps",
}
GAP_INTERVALS = 3.0  # so many intervals without a batch are a gap


class Telemetry:
    """Windows over every domain's samples. `clock` is monotonic seconds."""

    def __init__(
        self,
        drivers: Sequence[Driver],
        clock: Callable[[], float] = time.monotonic,
        *,
        interval_s: float = 1.0,
        settings: WindowSettings | None = None,
    ) -> None:
        self._drivers = tuple(drivers)
        self._clock = clock
        self._interval_s = interval_s
        self._windows = Windows(settings)
        self._gaps = {driver.domain: 0 for driver in self._drivers}
        self._heard: dict[str, float] = {}
        self._flows: tuple[float, Flows] = (-1.0, {})
        self._tasks: list[asyncio.Task[None]] = []
        self._moments = Moments()
        self._listeners: list[Callable[[Sequence[Sample]], None]] = []
        self.on_batch: list[Callable[[Sequence[Sample]], None]] = []  # told of every batch, each of one domain

    def listen(self, hear: Callable[[Sequence[Sample]], None]) -> None:
        """Have samples that tell whether something is up told at once, as they arrive."""
        self._listeners.append(hear)

    def give_way(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Have measurements wait where this does; what tells whether something is up goes on."""
        for driver in self._drivers:
            if isinstance(driver, GivesWay):
                driver.give_way(wait)

    async def start(self) -> None:
        """Begin to collect; idempotent."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._collect(d), name=f"telemetry {d.domain}") for d in self._drivers]
            self._tasks.append(asyncio.create_task(self._forget(), name="telemetry forget"))

    async def stop(self) -> None:
        """End every task and wait for its end."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    def take(self, batch: Iterable[Sample]) -> None:
        """Take samples that arrived now."""
        now = self._clock()
        batch = tuple(batch)
        for told in self.on_batch:
            told(batch)
        states = [s for s in batch if s.metric == "up"] if self._listeners else []
        for hear in self._listeners if states else ():
            hear(states)
        for sample in batch:
            if self._heard.get(sample.domain) != now:
                if self._is_silent(sample.domain, now):
                    self._gaps[sample.domain] = self._gaps.get(sample.domain, 0) + 1
                self._heard[sample.domain] = now
            self._windows.add(sample.subject, sample.metric, sample.value, now)
            if sample.metric != "up":  # a state is told when it changes, a measurement when it is taken
                self._moments.take(sample.domain, sample.subject, sample.at, now)

    def measured_at(self, subject: str) -> float | None:
        """Return when a subject was measured last, by our monotonic clock; None where it never was."""
        return self._moments.of(subject)

    def indicator(self, subject: str, metric: str) -> Indicator | None:
        """Return one metric of one subject; None where nothing fresh was measured."""
        return self._windows.indicator(subject, metric, self._clock())

    def newest(self, subject: str, metric: str) -> float | None:
        """Return the newest sample alone; None where nothing fresh was measured. Cheaper than `indicator`."""
        return self._windows.newest((subject,), metric, self._clock())[0]

    def newest_of(self, subjects: Iterable[str], metric: str) -> list[float | None]:
        """Return the same for many subjects, in their order: a look at all wavelengths asks for thousands."""
        return self._windows.newest(subjects, metric, self._clock())

    def fresh(self, subject: str) -> Mapping[str, float]:
        """Return the newest sample of every metric of one subject; empty where nothing fresh was measured."""
        return self._windows.fresh(subject, self._clock())

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Return the subjects that begin with this word and a colon ("amplifier"), sorted; silent ones too."""
        return self._windows.of_kind(kind)

    @property
    def series(self) -> int:
        """Subject and metric pairs held in memory."""
        return len(self._windows)

    @property
    def refused(self) -> int:
        """Samples for which there was no room."""
        return self._windows.refused

    def measured(self, subject: str) -> ServiceIndicators | None:
        """Return all of one subject; None where nothing was ever heard of it or all of it is stale."""
        if not self._windows.metrics(subject):
            return None
        found = self._worst((subject,))
        return None if found.silent else found

    def service_view(self, placement: Placement) -> ServiceIndicators:
        """Return the service's worst values over everything that carries it."""
        return self._worst(self.carriers(placement))

    def carriers(self, placement: Placement) -> tuple[str, ...]:
        """Return the subjects that carry a service, sorted."""
        return tuple(sorted({*placement_subjects(placement), *flow_subjects(placement, self._reported_flows())}))

    def parts(self, placement: Placement) -> tuple[tuple[str, ServiceIndicators], ...]:
        """Return each carrier's own values, silent ones too."""
        return tuple((subject, self._worst((subject,))) for subject in self.carriers(placement))

    def gaps(self) -> Mapping[str, int]:
        """Count per domain how often it fell silent since start, the present silence included."""
        now = self._clock()
        return {domain: count + self._is_silent(domain, now) for domain, count in self._gaps.items()}

    def silence_s(self, domain: str) -> float | None:
        """Return how long nothing came from a domain; None where nothing ever did."""
        heard = self._heard.get(domain)
        return None if heard is None else self._clock() - heard

    def _is_silent(self, domain: str, now: float) -> bool:
        heard = self._heard.get(domain)
        return heard is not None and now - heard > GAP_INTERVALS * self._interval_s

    def _reported_flows(self) -> Flows:
        """Flows that are measured now, refreshed once a second: a list of services must not scan them for each.

        Of one that is told no more nobody knows whether it fell silent or went with its party: tunnels tell of silence.
        """
        now = self._clock()
        if now - self._flows[0] >= 1.0 or self._flows[0] < 0:
            known = self._windows.of_kind("flow")
            values = zip(known, *(self._windows.newest(known, m, now) for m in ("loss_ratio", "delay_s")), strict=True)
            self._flows = (now, by_class(s for s, *seen in values if seen != [None, None]))
        return self._flows[1]

    def _worst(self, subjects: Sequence[str]) -> ServiceIndicators:
        """Find the worst by newest value first: percentiles are for the winners, a plane has 1,300 accesses."""
        now = self._clock()
        worst: dict[str, tuple[float, str, str]] = {}  # meaning → (value, subject, metric)
        silent, down, unreachable = [], [], []
        for subject in subjects:
            fresh = self._windows.fresh(subject, now)
            if not fresh:
                silent.append(subject)
            if fresh.get("reachable", math.inf) < fresh.get("expected", 0.0):
                unreachable.append(subject)
            for metric, value in fresh.items():
                meaning = MEANINGS.get(metric)
                if meaning is None:
                    if metric == "up" and value < 0.5:
                        down.append(subject)
                    continue
                held = worst.get(meaning)
                if held is None or (_less(value, held[0]) if meaning == "throughput_bps" else value > held[0]):
                    worst[meaning] = (value, subject, metric)
        found = {k: self._windows.indicator(subject, metric, now) for k, (_, subject, metric) in worst.items()}
        return ServiceIndicators(
            delay_s=found.get("delay_s"),
            jitter_s=found.get("jitter_s"),
            loss_ratio=found.get("loss_ratio"),
            throughput_bps=found.get("throughput_bps"),
            subjects=len(subjects),
            silent=tuple(silent),
            down=tuple(down),
            unreachable=tuple(unreachable),
        )

    async def _collect(self, driver: Driver) -> None:
        """Follow one domain for ever. Drivers reconnect by themselves; a stream that ends or breaks is begun again."""
        attempt = 0
        while True:
            try:
                async for batch in driver.samples(self._interval_s):
                    self.take(batch)
                    attempt = 0
            except asyncio.CancelledError:
                raise
            except Exception as error:  # a defect in one driver must not end telemetry of the others
                log.warning("telemetry of domain %s broke: %s", driver.domain, error)
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            self._windows.forget_silent(self._clock())
            self._moments.forget(self._clock() - KEPT_S)


def _less(rate: float, held: float) -> bool:
    """Whether a rate is the lower of two: what carries nothing counts only where nothing carries anything.

    Of the tunnels between the ends of an assurance many only stand ready.
    """
    return (rate <= 0.0, rate) < (held <= 0.0, held)
