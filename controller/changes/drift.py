"""Whether the domains still run what was committed, per service, and since when we know.

A commit reads back what it touched. From then on somebody else may change the domain: when it says so, or has been
out of reach, it is read whole and compared in the background. What belongs to a service that a change moves meanwhile
is left out: that difference is ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from controller.changes.compare import compare
from controller.changes.domains import Domains
from controller.changes.state import DesiredState
from controller.changes.views import DomainDiff
from controller.intent.model import ServiceId

log = logging.getLogger(__name__)

PAUSE_S = 2.0  # between two comparisons of one domain; a burst of events within it is one comparison
SETTLE_S = 0.2  # what says that it was changed may not have finished changing
MOST_PATHS = 3  # kept of one service on one domain


@dataclass(frozen=True, slots=True)
class DomainDrift:
    """How one domain differed when it was last compared."""

    at: datetime
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # service → the first paths of its own
    count: int = 0  # differences, those that are nobody's too


class Drift:
    """Owns a task per domain that is being compared."""

    def __init__(
        self,
        domains: Domains,
        state: Callable[[], DesiredState],
        under_way: Callable[[], Set[ServiceId]],
        now: Callable[[], datetime],
    ) -> None:
        self._domains, self._state, self._under_way, self._now = domains, state, under_way, now
        self._known: dict[str, DomainDrift] = {}
        self._read_back: dict[str, datetime] = {}
        self._suspects: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def of(self, service: str, domains: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return domain → the first paths in which it differs in what is this service's."""
        found = {d: self._known[d].services.get(service, ()) for d in domains if d in self._known}
        return {d: paths for d, paths in found.items() if paths}

    def differing(self) -> tuple[str, ...]:
        """Return the domains that are known to run something else, whosever it is."""
        return tuple(sorted(d for d, found in self._known.items() if found.count))

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
            if known.count and not moved.isdisjoint(known.services):
                self.suspect(domain)

    def suspect(self, domain: str) -> None:
        """Compare this domain soon."""
        self._suspects.add(domain)
        task = self._tasks.get(domain)
        if task is None or task.done():
            self._tasks[domain] = asyncio.create_task(self._look(domain), name=f"comparison of {domain}")

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, domain: str) -> None:
        await asyncio.sleep(SETTLE_S)
        while domain in self._suspects:
            self._suspects.discard(domain)
            try:
                await self.compared((domain,))
            except Exception:
                log.exception("%s could not be compared, by a defect of ours", domain)
            await asyncio.sleep(PAUSE_S)

    async def compared(self, names: Iterable[str]) -> tuple[DomainDiff, ...]:
        """Compare domains now; what is found is known from then on."""
        before, moving = self._state(), set(self._under_way())
        found = await compare(self._domains, before.desired, names)
        after = self._state()
        moving |= self._under_way()
        for diff in found:
            if diff.reachable:
                self._learn(diff, before, after, moving)
        return found

    def _learn(self, diff: DomainDiff, before: DesiredState, after: DesiredState, moving: Set[ServiceId]) -> None:
        services: dict[str, tuple[str, ...]] = {}
        count = 0
        for difference in diff.differences:
            owners = [ServiceId(o) for o in difference.service.split(", ") if o]
            if any(o in moving or before.services.get(o) is not after.services.get(o) for o in owners):
                self.suspect(diff.domain)
                continue
            if not owners and (moving or before is not after):
                self.suspect(diff.domain)  # perhaps of a service that came or went meanwhile
                continue
            count += 1
            for owner in owners:
                services[owner] = (*services.get(owner, ()), difference.path)
        kept = {service: paths[:MOST_PATHS] for service, paths in services.items()}
        old = self._known.get(diff.domain)
        self._known[diff.domain] = DomainDrift(self._now(), kept, count)
        if count and (old is None or (old.count, old.services) != (count, kept)):
            whose = ", ".join(sorted(services)[:MOST_PATHS]) or "nobody"
            first = next(iter(kept.values()), (diff.differences[0].path,))[0]
            log.warning("%s runs something else in %d places (%s), first %s", diff.domain, count, whose, first)
        elif old is not None and old.count and not count:
            log.info("%s runs what is desired again", diff.domain)
