"""One ticket a fault: watches what is down, lost, silent or worn, and keeps the incidents that come of it.

Woken by every failure; once a second it also looks at how links do, for what wears out says nothing. Whoever watches
hears of an incident a moment after its beginning, of everything that happens to it, and of its end.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from controller.assurance.causes import Cause, Quality, QualityBounds, causes, impaired
from controller.assurance.components import Damage
from controller.assurance.fading import joined
from controller.assurance.incidents import WORN, Incident, Incidents, counted, named
from controller.changes.domains import Domains
from controller.loop.alarms import Alarm, Alarms
from controller.loop.culprits import Blame, Culprits
from controller.loop.faults import Fault
from controller.loop.kept_incidents import remembered
from controller.loop.lights import Lights
from controller.loop.limits import ToldLimits
from controller.loop.repair import COMPONENTS, Repairs
from controller.network.model import CityMap
from controller.southbound.driver import CountsStreams, Sample
from controller.store.attained import KeptIncident
from controller.telemetry.telemetry import Telemetry

log = logging.getLogger(__name__)

LOOK_S = 1.0  # how often links are judged
GATHER_S = 0.05  # one failure is told by many: what comes within this is looked at once, beside its repair
TWICE = 2  # so many looks in a row must find a link worn before it counts
SILENT_S = 5.0  # without any measurement from a domain that used to send some
REFUSED_S = 15.0  # with a stream that does not stand: longer than the pause before it is tried again
UNSEEN_S = 20.0  # after a start a domain that never answered is as lost as one that did
LATE_S = 3.0  # so long after the last look it was not the domains that were silent: we did not listen
UNTOLD_S = 20.0  # for so long an alarm waits to be written into an incident, that of its own at the latest
QUEUED = 1000  # alarms that wait to be told, and incidents over that wait for one watcher

Tell = Callable[[Incident], None]


class _Watcher:
    """What one watcher has yet to be told: of each incident once, as it is then, so that one that is slow stays bound.

    Of incidents that are over only the newest wait; those that are open all do.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Incident] = {}
        self._more = asyncio.Event()

    def tell(self, incident: Incident) -> None:
        self._waiting[incident.id] = incident
        if len(self._waiting) > QUEUED and (over := next((i for i in self._waiting.values() if i.closed), None)):
            del self._waiting[over.id]
        self._more.set()

    async def next(self) -> Incident:
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        return self._waiting.pop(next(iter(self._waiting)))


class Tickets:
    """Owns one task. `now` is wall clock, `clock` monotonic seconds."""

    def __init__(
        self,
        domains: Domains,
        repairs: Repairs,
        telemetry: Telemetry,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        known: Sequence[KeptIncident] = (),
    ) -> None:
        """known: incidents of earlier lives, oldest first."""
        self._domains, self._repairs, self._telemetry = domains, repairs, telemetry
        self._now, self._clock = now, clock
        self._incidents = Incidents(lambda n: f"inc-{secrets.token_hex(3)}")
        self._incidents.resume(remembered(known, clock()), clock())
        # Domains that answered, in this life or when they were lost in an earlier one.
        self._seen_up = {m[11:] for i in self._incidents.open for m in i.members if m.startswith("controller:")}
        self._missed = {m[10:] for i in self._incidents.open for m in i.members if m.startswith("telemetry:")}
        self._worn: dict[str, int] = {}  # root of a degradation → looks in a row that found it
        self._looked = float("-inf")
        self._started = self._began = clock()  # began: the last look at all
        self._troubled: dict[str, float] = {}  # domain → since when one of its streams does not stand
        self._deaf_until = float("-inf")
        self._silent_now: frozenset[str] = frozenset()
        self._degraded: tuple[Cause, ...] = ()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._watchers: set[_Watcher] = set()
        self._culprits = Culprits()
        for incident in self._incidents.closed:
            self._culprits.hear(incident)
        self.on_news: list[Tell] = [self._culprits.hear]
        self._alarms = Alarms(clock, telemetry.silence_s)
        self._lights = Lights(domains, telemetry, self._alarms, clock)
        self._held: frozenset[str] = frozenset()  # what is up, and does not count as that for its coming and going
        self._untold: list[tuple[Alarm, float]] = []  # with when they came by the wall clock
        telemetry.listen(self._hear)
        telemetry.on_batch.append(self._hear_alarms)
        repairs.on_fault.append(self._fault)

    @property
    def open(self) -> tuple[Incident, ...]:
        return tuple(i for i in self._incidents.open if i.told)

    @property
    def worn(self) -> tuple[Cause, ...]:
        """Return what explains links that do worse than planned, as of the last look."""
        return self._degraded

    @property
    def alarms(self) -> AbstractSet[tuple[str, str]]:
        """Return the alarms that stand, as (component, kind)."""
        return self._alarms.standing.keys()

    @property
    def blame(self) -> Blame:
        """Return who is to blame for what now, also by incidents that are too young to be told."""
        return self._culprits.blame(self._incidents.open, self._now().timestamp())

    @property
    def limits(self) -> ToldLimits:
        """Return the limits of received power that equipment tells."""
        return self._lights.limits

    def listed(self, closed: bool, limit: int) -> tuple[Incident, ...]:
        """Return incidents, those that are open first, then the newest; with `closed` also those that are over."""
        every = [*self.open, *(self._incidents.closed if closed else ())]
        return tuple(sorted(every, key=lambda i: (i.closed is not None, -i.opened))[:limit])

    async def watch(self) -> AsyncIterator[Incident]:
        """Yield the open incidents, then each again whenever there is something to tell of it."""
        watcher = _Watcher()
        for incident in self.open:
            watcher.tell(incident)
        self._watchers.add(watcher)
        try:
            while True:
                yield await watcher.next()
        finally:
            self._watchers.discard(watcher)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="incidents")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _hear(self, samples: Sequence[Sample]) -> None:
        if any(s.value < 0.5 for s in samples):
            self._wake.set()

    def _hear_alarms(self, samples: Sequence[Sample]) -> None:
        """Keep what equipment says of itself for the incident that explains it, which may open a moment later."""
        self._note_later((*self._alarms.hear(samples), *self._lights.hear(samples)))

    def _note_later(self, alarms: Sequence[Alarm]) -> None:
        if alarms:
            wall = self._now().timestamp()
            self._untold = [*self._untold, *((alarm, wall) for alarm in alarms)][-QUEUED:]
            self._wake.set()

    def _tell_alarms(self, now: float) -> None:
        left = []
        for alarm, wall in self._untold:
            if any(alarm.component in i.members for i in self._incidents.open):
                self._incidents.note(frozenset({alarm.component}), alarm.text, wall, alarm.said_at)
            elif now < alarm.heard + UNTOLD_S:
                left.append((alarm, wall))
        self._untold = left

    def _tell_held(self, wall: float) -> None:
        """Say of what comes and goes that it is up, where nobody may count on it yet."""
        held = self._repairs.held
        for component in sorted(held - self._held):
            if any(component == i.root for i in self._incidents.open):
                text = (
                    f"{component.partition(':')[2]} says it is up; it came and went, and counts once it has stayed up"
                )
                self._incidents.note(frozenset({component}), text, wall)
        self._held = held

    def _fault(self, fault: Fault) -> None:
        """Write the story of a repair into the incident that it belongs to."""
        wall = self._now().timestamp()
        if fault.ended is None:
            self.look()
            return
        if fault.concerned:
            took = fault.ended - fault.detected
            left = fault.concerned - fault.repaired
            text = f"{len(fault.repaired)} of {counted(len(fault.concerned))} repaired within {took:.2f} s"
            dead = sum(self._repairs.harm(sid) is Damage.DEAD for sid in left)
            how = f"{dead} of them down" if dead else "carried meanwhile"
            self._incidents.note(fault.components, text + (f", {len(left)} wait, {how}" if left else ""), wall)
        self._wake.set()

    def led(self, change: str, services: Sequence[str]) -> None:
        """Write into the incidents of these services by which change they were placed anew, and when."""

        def words(mine: AbstractSet[str]) -> str:
            return f"{named(sorted(mine))} placed anew, change {change}"

        self._incidents.story(frozenset(services), words, self._now().timestamp())
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            try:
                self.look()
            except Exception:  # one defect must not end the watch
                log.exception("a round of the incidents failed")

    def look(self) -> None:
        """Take what is known at this moment: open, follow and close incidents."""
        now, wall = self._clock(), self._now().timestamp()
        if now - self._began > LATE_S:  # what was told meanwhile may still wait to be taken
            self._deaf_until = now + SILENT_S
        self._began = now
        if now - self._looked >= LOOK_S * 0.9:
            self._looked = now
            self._note_later(self._alarms.expire())
            fading = self._lights.look()
            worn_fibres = {c.root[6:] for c in fading if c.root.startswith("fibre:")}
            spoilt = {m for c in fading if c.felt for m in c.members}  # links over light whose frames are spoilt
            self._degraded = joined(self._judge_links(worn_fibres, spoilt), fading)
        self._hear_again()
        city, routes = self._domains.discovered, self._domains.lit()
        reported = self._repairs.reported
        told = self._alarms.outages(lambda component: self._telemetry.newest(component, "up"))
        down = reported | self._dark(city, reported) | told
        found = causes(city, routes, down, self._lost(), self._silent(), self._lights.dim)
        dead = {m for c in found for m in c.members}
        worn = tuple(c for c in self._degraded if dead.isdisjoint(c.members))
        every = (*found, *worn)
        known = {m for c in (*every, *self._degraded) for m in c.members}
        known |= {m for i in self._incidents.open if i.kind != "alarm" for m in i.members}
        every = (*every, *self._alarms.unexplained(known))
        for incident in self._incidents.update(every, self._repairs.concerned_by, wall, now):
            if incident.version == 1 or incident.closed is not None:
                log.info("%s: %s%s", incident.id, incident.title, " – closed" if incident.closed else "")
            self._tell(incident)
        self._tell_alarms(now)
        self._tell_held(wall)
        # An incident outlasts what wavers: the map on which everything is placed must not.
        worn_now = {i.root[6:] for i in self.open if i.kind == "degraded" and i.root.startswith("fibre:")}
        self._domains.fades(frozenset(worn_now))
        inferred = [i for i in self.open if i.evidence and i.calm_since is None]
        self._domains.suspects(frozenset(m for i in inferred for m in _suspected(i)))
        self._repairs.switched.suspect(frozenset(m for i in inferred for m in i.members))

    def _tell(self, incident: Incident) -> None:
        for hear in self.on_news:
            hear(incident)
        for watcher in self._watchers:
            watcher.tell(incident)

    def _hear_again(self) -> None:
        """Have incidents of an earlier life end where their cause can be said to be gone.

        Equipment must have told of its own state: streams of one domain come piece by piece, and measurements of
        others may have come long before it.
        """
        if all(s.up and self._telemetry.silence_s(n) is not None for n, s in self._domains.states().items()):
            self._incidents.heard({i.id for i in self._incidents.open if self._told_of(i)})

    def _told_of(self, incident: Incident) -> bool:
        roots = {incident.root}
        if incident.kind == "duct":
            roots = {m for m in incident.members if m.startswith("fibre:")}
        states = (self._telemetry.newest(root, "up") for root in roots if root.partition(":")[0] in COMPONENTS)
        return incident.kind in WORN or None not in states

    def _dark(self, city: CityMap, reported: AbstractSet[str]) -> set[str]:
        """Return the circuits under links that are down, where their own domain says that they are dark too."""
        under = {k.circuit for k in city.links if k.circuit and f"link:{k.id}" in reported}
        states = {circuit: self._telemetry.newest(f"circuit:{circuit}", "up") for circuit in under}
        return {f"circuit:{circuit}" for circuit, up in states.items() if up is not None and up < 0.5}

    def _lost(self) -> Mapping[str, str]:
        states = self._domains.states()
        # Who was heard did answer, though nobody looked at that moment.
        late = self._clock() >= self._started + UNSEEN_S
        self._seen_up |= {n for n, s in states.items() if late or s.up or self._telemetry.silence_s(n) is not None}
        return {
            name: state.message.removeprefix(f"domain {name}: ")
            for name, state in states.items()
            if not state.up and name in self._seen_up
        }

    def _silent(self) -> Mapping[str, str]:
        """Return the domains of which nothing is measured, or no failure heard, and why where that is known."""
        silences = {name: self._telemetry.silence_s(name) for name in self._domains.drivers}
        self._missed -= {name for name, silence in silences.items() if silence is not None}
        found = {n for n, s in silences.items() if (n in self._missed if s is None else s > SILENT_S)}
        if self._clock() < self._deaf_until:
            found &= self._silent_now
        self._silent_now = frozenset(found)
        troubles = self._troubles()
        lasting = {n for n in troubles if self._clock() - self._troubled[n] > REFUSED_S}
        return {name: troubles.get(name, "") for name in found | lasting}

    def _troubles(self) -> dict[str, str]:
        """Return the domains that answer and refuse a stream of theirs, or end it, and in which words."""
        found = {}
        for name, driver in self._domains.drivers.items():
            told = driver.stream_counts().trouble if isinstance(driver, CountsStreams) else ""
            if told and self._domains.states()[name].up:
                found[name] = told
        self._troubled = {name: self._troubled.get(name, self._clock()) for name in found}
        return found

    def _judge_links(self, worn: AbstractSet[str], explained: AbstractSet[str]) -> tuple[Cause, ...]:
        city = self._domains.discovered
        quality = {}
        for link in city.links:
            subject = f"link:{link.id}"
            delay, loss, jitter, rate = (
                self._telemetry.indicator(subject, m) for m in ("delay_s", "loss_ratio", "jitter_s", "throughput_bps")
            )
            if delay is not None or loss is not None or jitter is not None:
                load = rate.value / link.capacity_bps if rate is not None and link.capacity_bps else None
                if subject in explained and (load is None or load < QualityBounds().full):
                    continue
                quality[link.id] = Quality(
                    delay.value if delay else None, loss.value if loss else None, load, jitter.value if jitter else None
                )
        found = impaired(city, self._domains.lit(), quality, worn=worn)
        self._worn = {c.root: self._worn.get(c.root, 0) + 1 for c in found}
        return tuple(c for c in found if self._worn[c.root] >= TWICE)


def _suspected(incident: Incident) -> AbstractSet[str]:
    """Return the fibres that an incident infers to be cut: those of a duct over which links are down."""
    if incident.kind == "duct":
        return {m for m in incident.members if m.startswith("fibre:")}
    return {incident.root}
