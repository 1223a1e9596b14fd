"""Whether the domains still run what was committed, per service, and since when we know.

A commit reads back what it touched. From then on somebody else may change the domain: when it says so, when it has been
out of reach, and now and then for no reason at all, it is read whole and compared in the background. What belongs to a
service that a change moves meanwhile is left out: that difference is ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from controller.changes.state import DesiredState
from controller.changes.views import Difference, DomainDiff, Whose
from controller.drift.acceptance import ACCEPTABLE, Acceptances
from controller.drift.compare import Compared, Deviation, compare
from controller.errors import OnecityError
from controller.intent.model import ServiceId
from controller.southbound.driver import Driver

log = logging.getLogger(__name__)

PAUSE_S = 2.0  # between two comparisons of one domain; a burst of events within it is one comparison
SETTLE_S = 0.2  # what says that it was changed may not have finished changing
UNSURE_PAUSES = 4.0  # times what it took, before comparing again because changes of ours were under way
MOST_PATHS = 3  # kept of one service on one domain
MOST_SHOWN = 1000  # places kept of one domain, to be shown; all are counted


@dataclass(frozen=True, slots=True)
class DomainDrift:
    """How one domain differed when it was last compared."""

    at: datetime
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # service → the first paths of its own
    accepted: Mapping[str, int] = field(default_factory=dict)  # service → places that may differ
    counts: Mapping[Whose, int] = field(default_factory=dict)
    places: tuple[Difference, ...] = ()  # at most MOST_SHOWN

    @property
    def drifted(self) -> int:
        """Places of our services that run something else, and that nobody accepted."""
        return sum(self.counts.get(whose, 0) for whose in ACCEPTABLE)

    @property
    def differing(self) -> int:
        """The same, and what is nobody's beside ours."""
        return self.drifted + self.counts.get(Whose.FOREIGN, 0)


class Drift:
    """Owns a task per domain that is being compared, and one that remembers to compare each now and then."""

    def __init__(
        self,
        drivers: Mapping[str, Driver],
        state: Callable[[], DesiredState],
        under_way: Callable[[], Set[ServiceId]],
        acceptances: Acceptances,
        now: Callable[[], datetime],
        every_s: float = 0.0,
    ) -> None:
        self._drivers, self._state, self._under_way, self._now = drivers, state, under_way, now
        self.acceptances = acceptances
        self._every_s = every_s  # between two comparisons of a domain that says nothing; 0: none
        self._known: dict[str, DomainDrift] = {}
        self._read_back: dict[str, datetime] = {}
        self._suspects: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._later: dict[str, asyncio.TimerHandle] = {}  # domains to be compared again, for changes were under way
        # Told of every comparison in the background that found places of ours to run something else.
        self.on_found: Callable[[str, Sequence[Deviation]], Awaitable[None]] | None = None

    def start(self) -> None:
        """Begin to compare every domain now and then."""
        if self._every_s:
            self._rounds = asyncio.create_task(self._now_and_then(), name="comparisons now and then")

    def of(self, service: str, domains: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return domain → the first paths in which it differs in what is this service's."""
        found = {d: self._known[d].services.get(service, ()) for d in domains if d in self._known}
        return {d: paths for d, paths in found.items() if paths}

    def accepted_of(self, service: str, domains: Iterable[str]) -> dict[str, int]:
        """Return domain → in how many places of this service it may run something else, and does."""
        found = {d: self._known[d].accepted.get(service, 0) for d in domains if d in self._known}
        return {d: count for d, count in found.items() if count}

    def known(self) -> Mapping[str, DomainDrift]:
        """Return what the last comparison of each domain found; domains not compared in this life are missing."""
        return dict(self._known)

    def differing(self) -> tuple[str, ...]:
        """Return the domains that are known to run something else, whosever it is."""
        return tuple(sorted(d for d, found in self._known.items() if found.differing))

    def read_at(self, service: str, domains: Iterable[str]) -> datetime | None:
        """Return when it was last seen that the domains run this service as committed; None: not in this life."""
        compared = [self._known[d].at if d in self._known else None for d in domains]
        whole = min((at for at in compared if at is not None), default=None) if None not in compared else None
        times = [at for at in (self._read_back.get(service), whole) if at is not None]
        return max(times, default=None)

    def committed(self, puts: Iterable[str], drops: Iterable[str]) -> None:
        """Note that a change has read back what it did; where its services had drifted, look again at the whole."""
        now = self._now()
        for service in drops:
            self._read_back.pop(service, None)
        for service in puts:
            self._read_back[service] = now
        moved = {*puts, *drops}
        for domain, known in self._known.items():
            if not moved.isdisjoint(known.services) or not moved.isdisjoint(known.accepted):
                self.suspect(domain)

    def suspect(self, domain: str) -> None:
        """Compare this domain soon."""
        self._suspects.add(domain)
        task = self._tasks.get(domain)
        if task is None or task.done():
            self._tasks[domain] = asyncio.create_task(self._look(domain), name=f"comparison of {domain}")

    async def close(self) -> None:
        for timer in self._later.values():
            timer.cancel()
        tasks = [*self._tasks.values(), *([self._rounds] if self._rounds is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _now_and_then(self) -> None:
        """Compare one domain after the other, each once in `every_s`: never all at once."""
        while True:
            for domain in sorted(self._drivers):
                await asyncio.sleep(self._every_s / len(self._drivers))
                known = self._known.get(domain)
                if known is None or (self._now() - known.at).total_seconds() > self._every_s / 2:
                    self.suspect(domain)

    async def _look(self, domain: str) -> None:
        await asyncio.sleep(SETTLE_S)
        while domain in self._suspects:
            self._suspects.discard(domain)
            try:
                (found,) = await self.deviations((domain,))
                ours = [one for one in found.deviations if one.whose in ACCEPTABLE]
                if ours and self.on_found is not None and domain not in self._suspects | self._later.keys():
                    await self.on_found(domain, ours)
            except Exception:
                log.exception("%s could not be compared, by a defect of ours", domain)
            await asyncio.sleep(PAUSE_S)

    async def compared(self, names: Iterable[str]) -> tuple[DomainDiff, ...]:
        """Compare domains now; what is found is known from then on."""
        found = await self.deviations(names)
        return await asyncio.to_thread(lambda: tuple(one.view() for one in found))

    async def deviations(self, names: Iterable[str]) -> tuple[Compared, ...]:
        """As `compared`, with the operations that would mend what differs."""
        before, moving, loop = self._state(), set(self._under_way()), asyncio.get_running_loop()
        began_s = loop.time()
        found = await compare(self._drivers, before.desired, names)
        after = self._state()
        moving |= self._under_way()
        marked = []
        for one in found:
            if not one.unread:
                one = Compared(one.domain, self.acceptances.marked(one.domain, one.deviations))
                if not await self._learn(one, before, after, moving):
                    self._look_again(one.domain, max(PAUSE_S, UNSURE_PAUSES * (loop.time() - began_s)))
            marked.append(one)
        return tuple(marked)

    def _look_again(self, domain: str, in_s: float) -> None:
        """Compare again later; the more a comparison costs, the later, for changes may be under way all the time."""

        def now() -> None:
            del self._later[domain]
            self.suspect(domain)

        if domain not in self._later:
            self._later[domain] = asyncio.get_running_loop().call_later(in_s, now)

    async def _learn(self, found: Compared, before: DesiredState, after: DesiredState, moving: Set[ServiceId]) -> bool:
        """Note what was found; False where some of it may be our own changes under way."""
        domain, old = found.domain, self._known.get(found.domain)
        certain = [one for one in found.deviations if not _moves(one, before, after, moving)]
        new = self._known[domain] = await asyncio.to_thread(_summed, certain, self._now())
        if not moving and before is after:
            with suppress(OnecityError):  # the next comparison does it
                await self.acceptances.forget_lapsed(domain, found.deviations)
        if new.differing and (old is None or (old.counts, old.services) != (new.counts, new.services)):
            whose = ", ".join(sorted(new.services)[:MOST_PATHS]) or "nobody"
            first = next(iter(new.services.values()), (new.places[0].path,))[0]
            log.warning("%s runs something else in %d places (%s), first %s", domain, new.differing, whose, first)
        elif old is not None and old.differing and not new.differing:
            log.info("%s runs what is desired again", domain)
        return len(certain) == len(found.deviations)


def _moves(one: Deviation, before: DesiredState, after: DesiredState, moving: Set[ServiceId]) -> bool:
    """Say whether a change of ours may be what makes the difference."""
    if one.whose is Whose.FOREIGN:
        return bool(moving) or before is not after  # perhaps of a service that came or went meanwhile
    return any(o in moving or before.services.get(o) is not after.services.get(o) for o in one.owners)


def _summed(found: Sequence[Deviation], at: datetime) -> DomainDrift:
    services: dict[str, tuple[str, ...]] = {}
    accepted: Counter[str] = Counter()
    places = tuple(one.view() for one in found[:MOST_SHOWN])
    for number, one in enumerate(found):
        if one.whose is Whose.ACCEPTED:
            accepted.update(one.owners)
        elif one.whose in ACCEPTABLE:
            for owner in one.owners:
                paths = services.get(owner, ())
                if len(paths) < MOST_PATHS:
                    services[owner] = (*paths, places[number].path if number < MOST_SHOWN else one.view().path)
    return DomainDrift(at, services, accepted, Counter(one.whose for one in found), places)
