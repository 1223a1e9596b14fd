"""What the rooms tell as it happens, counted for Prometheus: RPCs, stages, writes, repairs, samples, the loop itself.

Everything here is a hook: cheap, never raising, and without knowledge of who calls it. What can be read at a scrape
instead is in `metrics`. Labels are domains, verbs, stages and kinds – never services, hosts or reasons – so that the
number of series does not grow with the city's services.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram

from controller.assurance.receivers import LIMIT_METRICS
from controller.changes.stages import stage_durations
from controller.changes.views import ChangeEvent, Outcome
from controller.loop.faults import Fault
from controller.southbound.driver import Sample

CHANGE_KINDS = ("apply", "delete", "rollback", "window", "repair", "drift", "objective")
CHANGE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
CALL_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
LOOP_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
REPAIR_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
LAG_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
LOOP_EVERY_S = 0.1
HELD = frozenset({"up", "active_leg", *LIMIT_METRICS})  # told again while they stay the same: no measure of lag
MOST_DOWN = 10_000  # components remembered as down, so that a repetition is not a second detection


class Instruments:
    """Counters and histograms, fed by hooks. One per daemon."""

    def __init__(self, registry: CollectorRegistry, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._down: set[str] = set()
        self._changes = Counter("onecity_changes", "Changes that ended.", ("kind", "outcome"), registry=registry)
        for kind, outcome in product(CHANGE_KINDS, Outcome):  # a counter that is born with 1 hides its first increase
            self._changes.labels(kind, outcome.value)

        def histogram(name: str, words: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"onecity_{name}_seconds", words, labels, buckets=buckets, registry=registry)

        self._duration = histogram(
            "change_duration", "From acceptance of a change to its last confirm.", ("kind",), CHANGE_BUCKETS_S
        )
        self._stages = histogram(
            "change_stage_duration", "Time that committed changes spent in each stage.", ("stage",), CALL_BUCKETS_S
        )
        self._calls = histogram(
            "domain_rpc_duration", "Time a domain took to answer.", ("domain", "verb"), CALL_BUCKETS_S
        )
        self._answers = Counter(
            "onecity_domain_rpcs", "Calls to a domain by how they ended.", ("domain", "verb", "outcome"),
            registry=registry,
        )  # fmt: skip
        self._writes = histogram(
            "store_write_duration", "One durable write of the store, fsync included.", (), CALL_BUCKETS_S
        )
        self._loop = histogram("event_loop_lag", "How late the event loop woke a timer.", (), LOOP_BUCKETS_S)
        self._repair = histogram(
            "repair_stage_duration",
            "The closed loop: detect (domain's time stamp to here), decide (first wave chosen), commit (a wave, until "
            "the last confirm), first_vip and restore (from detection).",
            ("stage",),
            REPAIR_BUCKETS_S,
        )
        for stage in ("detect", "decide", "commit", "first_vip", "restore"):
            self._repair.labels(stage)
        self._faults = Counter("onecity_faults", "Failures that the repair loop dealt with.", registry=registry)
        self._concerned = Counter(
            "onecity_fault_services", "Services that failures concerned, by what became of them.", ("result",),
            registry=registry,
        )  # fmt: skip
        for result in ("repaired", "waiting"):
            self._concerned.labels(result)
        self._samples = Counter("onecity_telemetry_samples", "Samples taken.", ("domain",), registry=registry)
        self._lag = histogram(
            "telemetry_lag", "Age of measurements when they arrive, by the domain's clock.", ("domain",), LAG_BUCKETS_S
        )

    def change_ended(self, kind: str, outcome: Outcome, elapsed_s: float) -> None:
        """Count one change. kind: "apply", "delete", "rollback", "window", "repair", "drift"."""
        self._changes.labels(kind, outcome.value).inc()
        self._duration.labels(kind).observe(elapsed_s)
        if kind == "repair" and outcome is Outcome.COMMITTED:
            self.repair_stage("commit", elapsed_s)

    def change_told(self, outcome: Outcome, events: Sequence[ChangeEvent]) -> None:
        """Take the events of a change that ended."""
        if outcome is Outcome.COMMITTED:
            for stage, seconds in stage_durations(events).items():
                self._stages.labels(stage).observe(seconds)

    def called(self, domain: str, verb: str, outcome: str, elapsed_s: float) -> None:
        """Count one call to a driver. outcome: "ok", "refused" (on the merits) or "unreachable"."""
        self._calls.labels(domain, verb).observe(elapsed_s)
        self._answers.labels(domain, verb, outcome).inc()

    def written(self, elapsed_s: float) -> None:
        """Count one durable write; called in the writer's thread."""
        self._writes.observe(elapsed_s)

    def repair_stage(self, stage: str, elapsed_s: float) -> None:
        """Record how long a stage of the closed loop took: "detect", "decide", "commit", "first_vip", "restore"."""
        self._repair.labels(stage).observe(max(0.0, elapsed_s))

    def fault(self, fault: Fault) -> None:
        """Take a failure as the repair loop tells it: once when it has decided, once when it has ended."""
        if fault.ended is None:
            self._faults.inc()
            if fault.decided is not None:
                self.repair_stage("decide", fault.decided - fault.detected)
            return
        if fault.first_vip is not None:
            self.repair_stage("first_vip", fault.first_vip - fault.detected)
        if fault.repaired:
            self.repair_stage("restore", fault.ended - fault.detected)
        self._concerned.labels("repaired").inc(len(fault.repaired))
        self._concerned.labels("waiting").inc(len(fault.concerned - fault.repaired))

    def states_heard(self, samples: Sequence[Sample]) -> None:
        """Take what streams say is up or down: how long it took from the domain's time stamp to here."""
        for sample in samples:
            if sample.value >= 0.5:
                self._down.discard(sample.subject)
            elif sample.subject not in self._down and len(self._down) < MOST_DOWN:
                self._down.add(sample.subject)
                self.repair_stage("detect", self._wall() - sample.at)

    def samples_taken(self, batch: Sequence[Sample]) -> None:
        """Count a batch of one domain; lag is that of its last measurement."""
        if batch:
            last = batch[-1]
            self._samples.labels(last.domain).inc(len(batch))
            if last.metric not in HELD and not last.subject.startswith("alarm:"):
                self._lag.labels(last.domain).observe(max(0.0, self._wall() - last.at))

    async def watch_loop(self) -> None:
        """Measure for ever how late timers are woken; to be cancelled by its owner."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                due = loop.time() + LOOP_EVERY_S
                await asyncio.sleep(LOOP_EVERY_S)
                self._loop.observe(max(0.0, loop.time() - due))
