"""The fast loop: what fails is planned around at once, and every service that rode it is brought elsewhere.

Streams say what is down; the map shows it before any domain is asked again; the services that ride it are placed once
more, VIPs first, and committed in waves like any change. Nothing here waits for a clock to find a failure: a failure
wakes the loop, and so do the end of a repair, a component that came back, and a domain within reach again. A second
failure in the middle of a repair is the same loop: it is found when the repair ends, on the newest map. What cannot
be repaired is tried again when the map changes, and now and then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from controller.assurance.components import Component, Damage, shown
from controller.assurance.damping import Damper, doubled
from controller.assurance.switching import OwnStates, is_own
from controller.assurance.waves import Hurt, Riders, tier, waves
from controller.changes.desk import Desk
from controller.changes.domains import Domains
from controller.changes.state import Standing
from controller.changes.views import Action, ChangeResult, Outcome
from controller.intent.model import ServiceId
from controller.loop.courtesy import Courtesy
from controller.loop.faults import Fault, RepairSettings, Waiting, gone_dark, parts_of, reason_of
from controller.loop.switched import Switched
from controller.loop.unguarded import Unguarded
from controller.loop.wounded import Wounded
from controller.planning.emergency import is_emergency
from controller.southbound.driver import Sample

log = logging.getLogger(__name__)

COMPONENTS = frozenset({"link", "fibre", "odu", "node", "circuit"})
KEPT_FAULTS = 256
REMEMBERED_S = 120.0  # for so long a change of state is held against older measurements
HURRY_S = 3.0  # after a failure for so long others give way to its repair
FOLLOW_S = 0.5  # how old the index of riders may be while nothing is down

# Carries out one wave: the services, which of them nothing carries, why.
Repair = Callable[[frozenset[ServiceId], frozenset[ServiceId], str], Awaitable[ChangeResult]]


class Repairs:
    """Owns the loop's task. `repair` carries out one change; `clock` is monotonic seconds."""

    def __init__(
        self,
        desk: Desk,
        domains: Domains,
        repair: Repair,
        clock: Callable[[], float],
        settings: RepairSettings | None = None,
    ) -> None:
        self._desk, self._domains, self._repair, self._clock = desk, domains, repair, clock
        self._settings = settings or RepairSettings()
        self._damper = Damper(self._settings.damping)
        self.courtesy = Courtesy(clock)  # to VIPs
        self._riders, self._own = Riders(), OwnStates()
        self._lit = desk.state.lit
        self._fallen: frozenset[Component] = frozenset()  # what counts as down, and what rides on it
        self._dark: frozenset[Component] = frozenset()  # the same without what is only held down
        self._busy: set[ServiceId] = set()
        self._waiting: dict[ServiceId, Waiting] = {}
        self._led_away: dict[ServiceId, frozenset[Component]] = {}  # from what; looked at again once that is back
        self._homeward: dict[ServiceId, None] = {}  # to be looked at again, in this order
        self._home: frozenset[ServiceId] = frozenset()  # those of them that are under way
        self._unguarded = Unguarded(self._settings.first_retry_s, self._settings.most_retry_s)
        self._dead: frozenset[ServiceId] = frozenset()
        self._wounded = Wounded(self._riders, self._own)
        self._tried: dict[ServiceId, int] = {}  # placed anew on this version of the map
        self._alone_until = float("-inf")  # until then VIPs are repaired before all others begin
        self._followed: Mapping[ServiceId, Standing] = {}
        self._followed_at = float("-inf")
        self._returned: dict[Component, float] = {}  # up again, and when that counts as lasting
        self._touched: dict[Component, float] = {}  # when it went down or came back
        self._wake = asyncio.Event()
        self.switched = Switched(self._riders, self._wake.set)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self.faults: deque[Fault] = deque(maxlen=KEPT_FAULTS)
        self.on_fault: list[Callable[[Fault], None]] = []  # told when one begins and when it ends
        desk.on_landed.append(self._wake.set)

    @property
    def down(self) -> frozenset[Component]:
        """Return everything that counts as down, with what rides on it."""
        return self._fallen

    @property
    def waiting(self) -> Mapping[ServiceId, Waiting]:
        """Return the services that are hurt and cannot be repaired for now."""
        return self._waiting

    @property
    def hurried(self) -> bool:
        """Whether services wait for their repair, so that what can wait should; never for longer than HURRY_S."""
        late = self._clock() - HURRY_S
        return any(fault.ended is None and fault.detected > late for fault in self.faults)

    @property
    def reported(self) -> frozenset[Component]:
        """Return what counts as down because it said so itself."""
        return self._damper.down(self._clock())

    def concerned_by(self, components: AbstractSet[Component]) -> tuple[set[str], set[str]]:
        """Return the services that the failure of these concerns, and those of them that nothing carries."""
        return self._wounded.concerned(components, self._desk.state.services, self._fallen, self._dead)

    def riding(self, components: AbstractSet[Component]) -> set[ServiceId]:
        """Return the services that ride any of these, working or standing by."""
        return self._riders.on(components)

    def harm(self, sid: ServiceId) -> Damage:
        """Return what is down does to a service now; what says that it is up carries, also while it is held down."""
        return self._wounded.harm(sid, self._desk.state.services.get(sid), self._dark)

    def touched_at(self, sid: ServiceId) -> float:
        """Return when something that a service rides went down or came back last; -inf: not of late."""
        if not self._touched:
            return float("-inf")
        times = (self._touched[c] for c in self._riders.ridden(sid) if c in self._touched)
        return max(times, default=float("-inf"))

    def waits(self, sid: ServiceId) -> str:
        """Return what a service waits for whose repair failed: why it did, and when it is tried again."""
        waiting = self._waiting.get(sid)
        return "" if waiting is None else waiting.told(self._clock())

    @property
    def held(self) -> frozenset[str]:
        """Return what says that it is up, and is not believed yet, because it came and went."""
        return self._damper.held(self._clock()) & frozenset(self._damper.flapping())

    def flapping(self) -> tuple[str, ...]:
        return self._damper.flapping()

    def hear(self, samples: Sequence[Sample]) -> None:
        """Take what streams say of components; cheap, and at once."""
        now = self._clock()
        changed: set[Component] = set()
        release, news = self._damper.next_release(now), False
        for sample in samples:
            kind, _, name = sample.subject.partition(":")
            up = sample.value >= 0.5
            if is_own(kind, name):  # of one service, and no equipment
                news |= self._own.told(sample.subject, up) and bool(self._fallen)
            elif kind in COMPONENTS and self._damper.told(sample.subject, up, now):
                news = True
                if not up:
                    changed.add(sample.subject)
        if changed:
            self.courtesy.begin()
            if not self.faults or self.faults[-1].decided is not None or self.faults[-1].ended is not None:
                self.faults.append(Fault(frozenset(changed), now))
            else:
                self.faults[-1].components |= changed
        if news or self._damper.next_release(now) != release:
            self._wake.set()

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name="repairs")

    async def stop(self) -> None:
        """Begin no further repair, and let those under way end."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._wake.wait()
            except TimeoutError:
                pass
            if self.faults and self.faults[-1].decided is None:
                await asyncio.sleep(self._settings.gather_s)
            self._wake.clear()
            try:
                self._look()
            except Exception:  # one defect must not end the loop for everybody else
                log.exception("a round of the repair loop failed")

    def _pause_s(self) -> float | None:
        """Return how long nothing is due: until something held down is let go, or a repair is tried again."""
        now = self._clock()
        release = self._damper.next_release(now)
        due = [w.due for w in self._waiting.values()]
        due += [release + self._settings.return_gather_s] if release is not None else []
        due += [*self._returned.values(), self._unguarded.next_due(now), *self.switched.due(now)]
        due += [self._alone_until] if now < self._alone_until else []
        if self._desk.state.services is not self._followed:
            due.append(self._followed_at + FOLLOW_S)
        soonest = min(due, default=float("inf"))
        return max(soonest - now, 0.001) if soonest < float("inf") else None

    def _look(self) -> None:
        """Bring the map up to date, find who is hurt, and begin to repair them."""
        now = self._clock()
        before = self._fallen
        self._damper.forget(now)
        if self._desk.state.lit is not self._lit:
            before_them, self._lit = self._lit, self._desk.state.lit
            self._damper.drop(gone_dark(before_them, self._lit))
        down, held_down = self._damper.down(now), self._damper.held(now)
        fallen = self._domains.outage(down)
        self._fallen = before if fallen == before else fallen
        self._dark = self._domains.fallen(down - held_down) if held_down else self._fallen
        for component in before ^ fallen:
            self._touched[component] = now
        for old in [c for c, at in self._touched.items() if now - at > REMEMBERED_S]:
            del self._touched[old]
        self._follow(now)
        state = self._desk.state
        attempted = self._waiting.keys() | self._tried.keys()
        wounded = self._wounded.by(self._fallen, state.services)
        wounded, found_dead = self.switched.judged(wounded, state.services, attempted, now)
        self._note(wounded, now)
        for sid in found_dead:  # what could not be whole again may still be carried
            self._waiting.pop(sid, None)
            self._tried.pop(sid, None)
        held = self._busy | self._desk.under_way
        version = self._domains.city.version
        ready = [h for h in wounded if h.service not in held and self._worth_trying(h.service, version, now)]
        hurt_now = {h.service for h in wounded}
        for memory in (self._waiting, self._tried):
            for sid in [s for s in memory if s not in hurt_now]:
                del memory[sid]
        for component in before - self._fallen:
            self._returned[component] = now + self._settings.stable_s
        for component in self._fallen & self._returned.keys():
            del self._returned[component]
        back = frozenset(c for c, due in self._returned.items() if due <= now)
        if back:
            for component in back:
                del self._returned[component]
            self._unguarded.hasten(now)
            self._bring_back(back, hurt_now, held)
        self._dead = frozenset(h.service for h in wounded if h.damage is Damage.DEAD)
        vips = [h for h in ready if h.tier == 0]
        # All others wait until the VIPs stand, but no longer than that should take: a domain may hang.
        busy = (state.services[s].service for s in self._busy if s in state.services)  # planned, they are hurt no more
        under_repair = now < self._alone_until and any(tier(service) == 0 for service in busy)
        if not vips and not under_repair:
            self.courtesy.end()
        for wave in waves(vips if vips or under_repair else ready, self._settings.wave_services):
            self._begin(wave)
        if not ready:
            self._lead_back(hurt_now, held)
        if vips and now >= self._alone_until:
            self._alone_until = now + self._settings.vips_alone_s
        self._close_faults(now)

    def _follow(self, now: float) -> None:
        """Keep the index of riders; at once when something is down, else only now and then."""
        services = self._desk.state.services
        if services is self._followed or (not self._fallen and now < self._followed_at + FOLLOW_S):
            return
        before, self._followed, self._followed_at = self._followed, services, now
        moved = {sid: s for sid, s in services.items() if before.get(sid) is not s}
        gone = set() if before.keys() <= services.keys() else before.keys() - services.keys()
        over = {sid for sid, s in moved.items() if s.expired}
        self._riders.move({sid: (s, s.placement) for sid, s in moved.items() if sid not in over}, gone | over)
        self._unguarded.follow(moved, gone, now)

    def _note(self, wounded: Iterable[Hurt], now: float) -> None:
        """Count whom the newest failure concerns."""
        fault = self.faults[-1] if self.faults else None
        if fault is None or fault.decided is not None:
            return
        fault.decided = now
        earlier = set().union(*(f.concerned for f in self.faults if f is not fault and f.ended is None))
        fault.concerned = {h.service for h in wounded} - earlier - set(self._waiting)
        fault.open = set(fault.concerned)
        if fault.concerned:
            names = ", ".join(map(shown, sorted(fault.components)[:4]))
            log.info("%s down: %d services concerned", names, len(fault.concerned))
            asyncio.get_running_loop().call_soon(self._tell, fault)  # once its repair has begun
        else:
            self._tell(fault)

    def _tell(self, fault: Fault) -> None:
        for tell in self.on_fault:
            tell(fault)

    def _worth_trying(self, sid: ServiceId, version: int, now: float) -> bool:
        if self._tried.get(sid) == version:
            return False  # it was placed on this very map: what is still down under it cannot be helped
        waiting = self._waiting.get(sid)
        return waiting is None or waiting.map_version != version or now >= waiting.due

    def _bring_back(self, back: frozenset[Component], hurt_now: set[ServiceId], held: AbstractSet[ServiceId]) -> None:
        """Look again at services that were led away from what is up again: routers have led them back already."""
        returning = [s for s, left in self._led_away.items() if not left.isdisjoint(back)]
        for sid in returning:
            del self._led_away[sid]
        services = self._desk.state.services
        calm = [s for s in returning if s in services and s not in hurt_now and s not in held]
        # An exclusive slice stays where it was led, unless that was less than it asked for.
        calm = [s for s in calm if tier(services[s].service) != 1 or is_emergency(services[s].placement)]
        self._homeward.update(dict.fromkeys(sorted(calm, key=lambda sid: (tier(services[sid].service), sid))))

    def _lead_back(self, hurt_now: set[ServiceId], held: AbstractSet[ServiceId]) -> None:
        """Begin the next few of those that are to be looked at again, VIPs by themselves.

        One wave at a time: nobody waits for them, and the next failure must not wait for all of them.
        """
        if not self._home.isdisjoint(self._busy):
            return
        self._homeward.update(dict.fromkeys(self._unguarded.take(self._clock(), held, hurt_now)))
        services = self._desk.state.services
        for gone in [s for s in self._homeward if s not in services or s in hurt_now]:
            del self._homeward[gone]
        free = [s for s in self._homeward if s not in held]
        vips = [s for s in free if tier(services[s].service) == 0]
        wave = tuple((vips or free)[: self._settings.back_services])
        for sid in wave:
            del self._homeward[sid]
        self._home = frozenset(wave)
        if wave:
            self._begin(wave)

    # Carrying out

    def _begin(self, wave: tuple[ServiceId, ...]) -> None:
        self._busy.update(wave)
        task = asyncio.create_task(self._carry_out(wave), name=f"repair of {len(wave)}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, wave: tuple[ServiceId, ...]) -> None:
        try:
            await self._try(wave)
        except Exception:
            log.exception("the repair of %d services failed by a defect of ours", len(wave))
            self._give_up(wave, "a defect of onecity")
        finally:
            self._busy.difference_update(wave)
            self._wake.set()

    async def _try(self, wave: tuple[ServiceId, ...]) -> None:
        """Repair a wave; where it fails as a whole, its parts: each service succeeds or fails alone."""
        fallen, version = self._fallen, self._domains.city.version
        result = await self._repair(frozenset(wave), self._dead, reason_of(fallen))
        refused = {ServiceId(a.service): a.refusal for a in result.services if a.action is Action.REFUSED}
        stands = result.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED, Outcome.IN_DOUBT)
        if stands or (refused and len(refused) == len(wave)):
            self._done([s for s in wave if s not in refused], fallen, version)
            for sid, why in refused.items():
                self._give_up((sid,), why)
        elif len(wave) == 1:
            self._give_up(wave, result.message)
        else:
            for part in parts_of(wave, result, self._desk.state.services):
                await self._try(part)

    def _done(self, services: Sequence[ServiceId], fallen: frozenset[Component], version: int) -> None:
        now = self._clock()
        standing = self._desk.state.services
        for sid in services:
            self._waiting.pop(sid, None)
            self._tried[sid] = version
            if fallen:
                self._led_away[sid] = self._led_away.get(sid, frozenset()) | fallen
        for fault in self.faults:
            if fault.ended is None and not fault.open.isdisjoint(services):
                fault.repaired.update(fault.open.intersection(services))
                fault.open.difference_update(services)
                if fault.first_vip is None and any(_is_vip(standing, s) for s in services):
                    fault.first_vip = now

    def _give_up(self, services: Iterable[ServiceId], why: str) -> None:
        """Keep services for another time."""
        now = self._clock()
        for sid in services:
            tries = self._waiting[sid].tries + 1 if sid in self._waiting else 0
            pause_s = doubled(self._settings.first_retry_s, tries, self._settings.most_retry_s)
            if sid not in self._waiting and sid not in self._unguarded:
                how = "is down and cannot be repaired yet" if sid in self._dead else "is carried but not yet whole"
                log.warning("%s %s: %s", sid, how, "; ".join(line.strip() for line in why.splitlines() if line.strip()))
            self._waiting[sid] = Waiting(why, self._domains.city.version, tries, now + pause_s)
            for fault in self.faults:
                fault.open.discard(sid)

    def _close_faults(self, now: float) -> None:
        for fault in self.faults:
            if fault.ended is None and fault.decided is not None and not fault.open:
                fault.ended = now
                asyncio.get_running_loop().call_soon(self._tell, fault)


def _is_vip(standing: Mapping[ServiceId, Standing], sid: ServiceId) -> bool:
    return sid in standing and tier(standing[sid].service) == 0
