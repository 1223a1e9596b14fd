"""How long each service got what it was promised: measured every second or so, kept for years.

Time is counted, not scrapes: each round gives the time since the last one to the state that each service is in now.
Time in which nobody could see it is counted as unknown, and time in which this daemon did not run is not counted at
all: a report says how much of its period was measured. What is counted goes to the store every minute, in additions
to hours, so that a crash loses a minute and never makes one up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import TypeVar

from controller.assurance.incidents import Incident
from controller.changes.map_views import LinkView
from controller.changes.views import ServiceReading
from controller.errors import OnecityError
from controller.loop.kept_incidents import kept
from controller.store.attained import KeptIncident, LinkHour, Outage, ServiceHour
from controller.store.store import Store

K = TypeVar("K")
V = TypeVar("V")

log = logging.getLogger(__name__)

ROUND_S = 1.0  # at least between two rounds; as many services as take long are looked at less often
LEAST_PAUSE = 20.0  # times what a round took: a twentieth of one core at most
LATE_ROUNDS = 3.0  # after so many expected pauses nobody looked: that time is unknown
FLUSH_S = 60.0
LINKS_S = 10.0  # between two looks at links
FOLD_S = 3600.0
GIVE_WAY_S = 0.1
AT_ONCE = 25  # services looked at before the event loop gets its turn
CHUNK = 250  # rows in one durable write
GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
SLO_STATES = {"ok": GOOD, "at-risk": GOOD, "violated": BAD, "down": BAD, "unknown": UNKNOWN}
BROKEN = ("down", "violated")


class Attainment:
    """Owns the task that measures. `readings` yields every service; `clock` is monotonic seconds."""

    def __init__(
        self,
        store: Store,
        readings: Callable[[], Iterable[ServiceReading]],
        links: Callable[[], Awaitable[tuple[tuple[LinkView, ...], Mapping[str, float]]]],
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._store, self._readings, self._links = store, readings, links
        self._now, self._clock = now, clock
        self._services: dict[tuple[str, int], ServiceHour] = {}  # service, hour → not yet in the store
        self._loads: dict[tuple[str, int], LinkHour] = {}
        self._broken: dict[str, Outage] = {o.service: o for o in store.open_outages()}
        self._outages: dict[tuple[str, float], Outage] = {}  # changed, not yet in the store
        self._seconds: dict[str, dict[str, float]] = {}  # service → state of its SLO → seconds in this life
        self.by_kind: dict[tuple[str, str], float] = {}  # kind, state → seconds
        self._incidents: dict[str, KeptIncident] = {}  # not yet in the store
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._waited_s = 0.0  # of the present round
        self.hurried: Callable[[], bool] = lambda: False  # whether somebody needs the processor more than we do

    def seconds(self, service: str) -> Mapping[str, float]:
        """Return "good", "bad" and "unknown" → seconds of this life of the daemon."""
        return self._seconds.get(service, {})

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run(), name="attainment"),
            asyncio.create_task(self._keep_incidents(), name="incidents to the store"),
        ]

    async def stop(self) -> None:
        """Keep what was counted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            await self.settle()

    async def _run(self) -> None:
        last, pause_s = self._clock(), ROUND_S
        flush_due, fold_due, links_due = last + FLUSH_S, last + FLUSH_S, last
        while True:
            await asyncio.sleep(pause_s)
            began, self._waited_s = self._clock(), 0.0
            elapsed_s = began - last
            try:
                await self.round(elapsed_s, unseen=elapsed_s > LATE_ROUNDS * pause_s + ROUND_S)
                if began >= links_due:
                    links_due = began + (LINKS_S if await self.take_links() else ROUND_S)
                if began >= flush_due:
                    flush_due = began + FLUSH_S
                    await self.flush()
                if began >= fold_due:
                    fold_due = began + FOLD_S
                    await self._store.fold_attained(self._now().timestamp())
            except OnecityError as error:
                log.warning("what services attained could not be kept: %s", error)
            except Exception:  # one defect must not end the measuring
                log.exception("a round of measuring what services attain failed")
            last = began
            pause_s = max(ROUND_S, LEAST_PAUSE * (self._clock() - began - self._waited_s))

    async def round(self, elapsed_s: float, *, unseen: bool = False) -> None:
        """Give the time since the last round to the state that every service is in; unseen: nobody looked."""
        at = self._now().timestamp()
        seen: set[str] = set()
        judged: set[str] = set()
        for count, reading in enumerate(self._readings(), 1):
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
                if self.hurried():
                    at = await self._given_way()
            seen.add(reading.service)
            if not reading.health:
                continue
            judged.add(reading.service)
            health = "unknown" if unseen else reading.health
            self._count(reading, health, elapsed_s, int(at // 3600))
            self._follow(reading, health, at)
        for service in [s for s in self._broken if s not in judged]:
            self._ended(service, at)  # withdrawn, or out of its window: nobody misses it any more
        for service in [s for s in self._seconds if s not in seen]:
            del self._seconds[service]

    async def _given_way(self) -> float:
        """Wait while others are in a hurry; return what time it is then."""
        began = self._clock()
        while self.hurried():  # noqa: ASYNC110 – it ends by time too, which no event tells
            await asyncio.sleep(GIVE_WAY_S)
        self._waited_s += self._clock() - began
        return self._now().timestamp()

    def _count(self, reading: ServiceReading, health: str, elapsed_s: float, hour: int) -> None:
        state = SLO_STATES.get(health, UNKNOWN)
        mine = self._seconds.setdefault(reading.service, {})
        mine[state] = mine.get(state, 0.0) + elapsed_s
        kind = (reading.kind, state)
        self.by_kind[kind] = self.by_kind.get(kind, 0.0) + elapsed_s
        key = (reading.service, hour)
        row = self._services.get(key)
        if row is None:
            row = self._services[key] = ServiceHour(reading.service, hour)
        row.spend(health, elapsed_s)
        slo, measured = reading.slo, reading.measured
        for metric, limit, found in (
            ("delay", slo.delay_s, measured.delay_s),
            ("jitter", slo.jitter_s, measured.jitter_s),
            ("loss", slo.loss_ratio, measured.loss_ratio),
        ):
            if found is not None and health not in ("unknown", "down"):  # what is down has no delay worth a mean
                row.measured(metric, found.value, limit, elapsed_s)
        if measured.throughput_bps is not None and health != "unknown":
            row.carried(measured.throughput_bps.value, elapsed_s)

    def _follow(self, reading: ServiceReading, health: str, at: float) -> None:
        """Keep from when to when a service was broken; while nobody can see it, it stays what it was."""
        broken = self._broken.get(reading.service)
        if health == "unknown":
            return
        if health not in BROKEN:
            if broken is not None:
                self._ended(reading.service, at)
            return
        if broken is None:
            broken = self._broken[reading.service] = Outage(reading.service, at, None, health, reading.reason)
            self._outages[broken.service, broken.began] = broken
        elif health == "down" and broken.state != "down":
            broken = self._broken[reading.service] = broken.worse(health, reading.reason)
            self._outages[broken.service, broken.began] = broken

    def _ended(self, service: str, at: float) -> None:
        broken = self._broken.pop(service).closed(at)
        self._outages[broken.service, broken.began] = broken

    async def take_links(self) -> bool:
        """Take what links carry now and what is reserved on them; False where none of them is measured yet."""
        hour = int(self._now().timestamp() // 3600)
        links, rates = await self._links()
        for link in links:
            if link.layer != "ip" or not link.capacity_bps:
                continue
            key = (link.id, hour)
            row = self._loads.get(key)
            if row is None:
                row = self._loads[key] = LinkHour(link.id, hour)
            row.take(rates.get(link.id), link.reserved_bps, link.capacity_bps)
        return not links or any(link.id in rates for link in links)

    def hear(self, incident: Incident) -> None:
        """Keep an incident, whenever there is news of it."""
        self._incidents[incident.id] = kept(incident, self._now().timestamp())
        self._news.set()

    async def _keep_incidents(self) -> None:
        """Write incidents down soon after they are told."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._write_incidents()
            await asyncio.sleep(ROUND_S)

    async def _write_incidents(self) -> None:
        while self._incidents:
            name, incident = next(iter(self._incidents.items()))
            try:
                await self._store.keep_incident(incident)
            except OnecityError as error:
                log.warning("incident %s could not be kept: %s", name, error)
                self._news.set()
                return
            if self._incidents.get(name) is incident:
                del self._incidents[name]

    async def settle(self) -> None:
        """Bring everything up to now to the store, for whoever reads it there."""
        await self.flush()
        await self._write_incidents()

    async def flush(self) -> None:
        """Bring what was counted to the store; what the disk refuses is tried again with the next."""
        services, self._services = self._services, {}
        loads, self._loads = self._loads, {}
        outages, self._outages = self._outages, {}
        try:
            while services or loads or outages:
                a, b, c = _first(services), _first(loads), _first(outages)
                await self._store.add_attained(tuple(a.values()), tuple(b.values()), tuple(c.values()))
                services = {k: v for k, v in services.items() if k not in a}
                loads = {k: v for k, v in loads.items() if k not in b}
                outages = {k: v for k, v in outages.items() if k not in c}
        except OnecityError:
            for (service, hour), row in services.items():
                self._services[service, hour] = row.plus(self._services.get((service, hour)))
            for (link, hour), load in loads.items():
                self._loads[link, hour] = load.plus(self._loads.get((link, hour)))
            self._outages = {**outages, **self._outages}
            raise


def _first(rows: Mapping[K, V]) -> dict[K, V]:
    return dict(islice(rows.items(), CHUNK))
