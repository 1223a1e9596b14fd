"""`onecity serve`: the one place that wires the rooms together.

Start-up, in this order: open the store; end what a killed daemon left open; stand up desired state; serve reads;
attend to each domain by itself. Nothing is pushed as part of start-up except to finish journaled changes.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller import quiet
from controller.answers.service import Changes
from controller.changes.conduct import Conductor, InDoubt
from controller.changes.desk import Desk, Taken
from controller.changes.domains import Domains
from controller.changes.keep import standing
from controller.changes.leavings import leavings
from controller.changes.recovery import Doubtful, end_open_changes
from controller.changes.state import Standing, rebuilt
from controller.changes.upkeep import Upkeep
from controller.collector import Collector
from controller.drift.acceptance import Acceptances
from controller.drift.port import DriftPolicy
from controller.drift.resend import Resender
from controller.drift.watch import Drift
from controller.errors import OnecityError
from controller.intent.model import ServiceId
from controller.loop.attainment import Attainment
from controller.loop.observed import Observer
from controller.loop.repair import Repairs
from controller.loop.slow_loop import SlowLoop
from controller.loop.soundness import Soundness
from controller.loop.tickets import Tickets
from controller.loop.webhook import Webhook
from controller.northbound.drift import DriftSeries
from controller.northbound.instruments import Instruments
from controller.northbound.metrics import Metrics
from controller.northbound.scrapes import ScrapeServer
from controller.northbound.server import NorthboundServer
from controller.optics.propagation import Lamps
from controller.reports.maker import Reports
from controller.settings import Settings, read_settings
from controller.southbound.registry import make_driver
from controller.store.records import OpenChange
from controller.store.store import Store
from controller.telemetry.telemetry import Telemetry
from controller.transactions.engine import Transactions
from controller.transactions.failpoints import failpoint
from controller.transactions.journal import Journal, StoreJournal
from controller.transactions.step import Step, StepResult

log = logging.getLogger("onecity")

REMEMBERED_INCIDENTS = 1000  # that are over, of earlier lives; those that are open are all taken up again
SWITCH_S = 0.001  # for so long at most a plan in its thread keeps the event loop from a domain's answer
DISCOVERY_S = 10.0  # how long the first discovery may hold back readiness


def _now() -> datetime:
    return datetime.now(UTC)


class Daemon:
    """One running controller. `start` returns when changes are accepted; `stop` leaves every change ended."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = _now) -> None:
        self.settings, self._now = settings, now
        self.store = Store.open(settings.state)
        self.drivers = {d.name: make_driver(d) for d in settings.domains}
        timers = {d.name: d.timers for d in settings.domains}
        journal: Journal = StoreJournal(self.store)
        die = failpoint(os.environ)
        if die is not None:
            journal = die.before(journal)
        watch = die.hear if die is not None else None
        self.transactions = Transactions(
            journal, self.drivers, timers, on_state=self._on_state, watch=watch, on_call=self._on_call
        )
        lamps, lights = Lamps(settings.optics), settings.light_links
        self.domains = Domains(self.drivers, settings.inventory, self.store, self._back, lamps, lights=lights)
        self.telemetry = Telemetry(tuple(self.drivers.values()))
        self._conductor: Conductor | None = None
        self._instruments: Instruments | None = None
        self._early: list[tuple[Step, StepResult]] = []  # what transactions came to before there was a conductor
        self._started = AsyncExitStack()  # what has to be stopped, in the other order
        self._started.callback(self.store.close)
        self.port = self.metrics_port = 0
        self._webhook: Webhook | None = None

    async def start(self) -> None:
        """Bring everything up; raises OnecityError where an address or the store cannot be had.

        However it ends, also cancelled half-way, `stop` ends what it began.
        """
        self._started.push_async_callback(self.transactions.close)
        self._started.push_async_callback(self.domains.stop)
        doubtful = await end_open_changes(self.store, self.transactions, self._now())
        await self.domains.start()
        stored = self._stored()
        state = rebuilt(_with(stored, doubtful), self.domains.city)
        for one in doubtful:  # what they let go is not free before they have ended
            for left in leavings(stored, state.services, _concerned(one.change), one.change.record.id):
                state.ledger.add(left)
        self.desk = Desk(state, lambda: self.domains.city, self._now)
        self.desk.on_lit, self.desk.on_light_settled = self.domains.light, self.domains.look_at_light
        self.domains.light(state.lit)
        self._conductor = Conductor(self.desk, self.domains, self.transactions, self.store, self._now)
        for one in doubtful:
            taken = Taken.between(stored, state.services, _concerned(one.change), one.change.record.id)
            self._conductor.await_end(InDoubt(taken, one.change.record, one.steps, one.awaited))
        for step, result in self._early:
            self._conductor.on_state(step, result)
        acceptances = Acceptances(self.store)
        self._conductor.as_it_runs = acceptances.as_it_runs
        resender = Resender(self.desk, self.domains, self._conductor, self.transactions, self.store, self._now)
        drift = Drift(
            self.drivers,
            lambda: self.desk.state,
            lambda: self.desk.under_way,
            acceptances,
            self._now,
            self.settings.compare_every_s,
        )
        self.changes = Changes(
            self.desk,
            self.domains,
            self._conductor,
            self.store,
            self.telemetry,
            now=self._now,
            clock=time.monotonic,
            doubtful=self.transactions.in_doubt,
            resender=resender,
            drift=drift,
            policies={d.name: DriftPolicy(d.drift) for d in self.settings.domains},
        )
        self._started.push_async_callback(self.telemetry.stop)
        self._started.push_async_callback(self.changes.stop)
        self._started.push_async_callback(self.changes.parties.stop)
        self._upkeep = Upkeep(self.store, self.settings.keep_diffs_days, self._now)
        self._started.push_async_callback(self._upkeep.stop)
        self.repairs = Repairs(self.desk, self.domains, self.changes.repair, time.monotonic)
        self._started.push_async_callback(self.repairs.stop)
        self.telemetry.listen(self.repairs.hear)
        self.telemetry.give_way(self.repairs.courtesy.wait)
        self.changes.wellbeing.witness = self.repairs
        self.repairs.switched.lost = self.changes.wellbeing.lost
        known = self.store.recent_incidents(REMEMBERED_INCIDENTS)
        self.tickets = Tickets(self.domains, self.repairs, self.telemetry, self._now, time.monotonic, known)
        self._started.push_async_callback(self.tickets.stop)
        self.changes.on_led.append(self.tickets.led)
        self.slow_loop = SlowLoop(
            self.desk,
            self.domains,
            self.changes.wellbeing,
            lambda: self.tickets.worn,
            self.repairs.riding,
            self.changes.improve,
            time.monotonic,
        )
        self._started.push_async_callback(self.slow_loop.stop)
        self.changes.wellbeing.fades = self.slow_loop.fades
        self.changes.wellbeing.stays = self.slow_loop.stays
        if self.settings.webhook:
            webhook = self._webhook = Webhook(self.settings.webhook)
            self.tickets.on_news.append(webhook.tell)
            self._started.push_async_callback(webhook.stop)
            await webhook.start()
        metrics = self._measured()
        reports = Reports(self.store, lambda: self.desk.state, self._settle, self._now)
        self._northbound = NorthboundServer(
            self.changes, self.settings.listen, self.changes.remedies, self.tickets, self.slow_loop, reports
        )
        self._scrapes = ScrapeServer(metrics, self.settings.metrics)
        self._started.push_async_callback(self._scrapes.stop)
        self._started.push_async_callback(self._northbound.stop)
        await self._northbound.start()
        await self._northbound.ready(False)
        await self._scrapes.start()
        self.port, self.metrics_port = self._northbound.port, self._scrapes.port
        await self.telemetry.start()
        await self.domains.settled(DISCOVERY_S)
        collector = Collector(
            lambda: self.repairs.hurried, lambda: bool(self.changes.in_flight()), lambda: len(self.desk.state.services)
        )
        self.repairs.on_fault.append(lambda fault: None if fault.ended else collector.hold())
        self._started.push_async_callback(collector.stop)
        await collector.start()
        await self.changes.start()
        self._upkeep.start()
        await self.repairs.start()
        soundness = Soundness(self.desk, lambda: self.repairs.hurried)
        self._started.push_async_callback(soundness.stop)
        await soundness.start()
        await self._attainment.start()
        await self.changes.parties.start()
        await self.tickets.start()
        await self.slow_loop.start()
        await self._northbound.ready(True)

    def _measured(self) -> Metrics:
        """Have every room told to the metrics, and what services attain kept."""
        observer = Observer(
            self.desk,
            self.domains,
            self.transactions,
            self.telemetry,
            self.repairs,
            self.store,
            self.changes.in_flight,
            self.tickets,
            lambda: len(self.slow_loop.proposals),
            lambda: (self._webhook.waiting, self._webhook.lost) if self._webhook else (0, 0),
        )
        self._attainment = Attainment(self.store, self.changes.readings, observer.links, self._now, time.monotonic)
        self._attainment.hurried = lambda: self.repairs.hurried
        self._started.push_async_callback(self._attainment.stop)
        self.tickets.on_news.append(self._attainment.hear)
        metrics = Metrics(self.changes, observer, self._attainment)
        metrics.registry.register(DriftSeries(self.changes.remedies))
        hooks = self._instruments = metrics.instruments
        self.changes.on_end(hooks.change_ended)
        self.changes.on_told.append(hooks.change_told)
        self.repairs.on_fault.append(hooks.fault)
        self.telemetry.on_batch.append(hooks.samples_taken)
        self.telemetry.listen(hooks.states_heard)
        self.store.on_commit(hooks.written)
        watching = asyncio.create_task(hooks.watch_loop(), name="event loop lag")
        self._started.callback(watching.cancel)
        return metrics

    async def _settle(self) -> None:
        """Bring what was measured up to now to the store."""
        await self._attainment.settle()
        await self.changes.parties.flush()

    def _on_call(self, domain: str, verb: str, outcome: str, elapsed_s: float) -> None:
        if self._instruments is not None:
            self._instruments.called(domain, verb, outcome, elapsed_s)

    async def stop(self) -> None:
        """Accept nothing more, let changes end, close sessions and the store."""
        await self._started.aclose()

    def _stored(self) -> dict[ServiceId, Standing]:
        return {kept.id: standing(kept) for kept in self.store.load_services()}

    def _on_state(self, step: Step, result: StepResult) -> None:
        if self._conductor is None:
            self._early.append((step, result))
        else:
            self._conductor.on_state(step, result)

    async def _back(self, domain: str) -> None:
        self.transactions.nudge(domain)


def _with(stored: dict[ServiceId, Standing], doubtful: tuple[Doubtful, ...]) -> dict[ServiceId, Standing]:
    """Return what stands; a decided change counts, whatever domain has yet to hear of it."""
    services = dict(stored)
    for one in doubtful:
        services.update({kept.id: standing(kept) for kept in one.change.puts})
        for sid in one.change.drops:
            services.pop(sid, None)
    return services


def _concerned(change: OpenChange) -> frozenset[ServiceId]:
    return frozenset({kept.id for kept in change.puts} | set(change.drops))


@dataclass(frozen=True, slots=True)
class _Options:
    config: Path
    verbose: bool


def _options(arguments: list[str]) -> _Options:
    parser = argparse.ArgumentParser(prog="onecity serve", description="Run the controller.")
    parser.add_argument("-c", "--config", type=Path, default=Path("onecity.yaml"), help="settings (onecity.yaml)")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    found = parser.parse_args(arguments)
    return _Options(found.config, found.verbose)


def command(arguments: list[str]) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    options = _options(arguments)
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("onecity", "controller"):
        logging.getLogger(name).setLevel(level)
    faulthandler.enable()  # where every thread was, should a library in C ever end the process
    if not options.verbose:
        quiet.quieten()
    sys.setswitchinterval(SWITCH_S)
    try:
        asyncio.run(_serve(read_settings(options.config)))
    except OnecityError as error:
        print(f"onecity: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    daemon = Daemon(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.create_task(daemon.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await starting
            return
        starting.result()
        where = f"{settings.listen.host}:{daemon.port}"
        print(f"onecity serves on {where}, metrics on port {daemon.metrics_port}", flush=True)
        await stopping
    finally:
        stopping.cancel()
        await daemon.stop()
