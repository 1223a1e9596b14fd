"""Who may go into which domains, and in whose company.

One party at a time is in a domain. Whoever finds all of its domains free goes in at once and alone: an idle system
gathers nobody. Whoever has to wait is gathered: when the domains are free, all that wait on the same lane go in
together. Urgent ones go first; the others in the order in which they came. Who waits keeps what it needs from being
taken by later ones, so that a wide change is not overtaken for ever; but not while it waits for a party that is slow:
behind a domain that hangs, only those stand that need it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from controller.rendering.tree import Path

MOST_MEMBERS = 64
MOST_PLACES = 2000  # that the members of one party touch together; a larger member goes alone
SLOW_S = 1.0  # a party that has been in for so long may have met a domain that hangs


@dataclass(eq=False, slots=True)
class Waiting:
    """One that wants in."""

    domains: frozenset[str]
    begin: Callable[[tuple[Waiting, ...]], None]  # called once, with everybody who goes in with it, itself first
    lane: Hashable = None  # who has the same one may travel together; None: alone
    places: frozenset[tuple[str, Path]] = frozenset()  # what it touches, domain by domain
    urgent: bool = False
    whose: object = None
    above: frozenset[tuple[str, Path]] = field(init=False)  # what these lie in

    def __post_init__(self) -> None:
        self.above = frozenset((domain, path[:n]) for domain, path in self.places for n in range(len(path)))

    def apart_from(self, other: Waiting) -> bool:
        """Say whether neither touches a place of the other, nor one that holds or lies in it."""
        return (
            self.places.isdisjoint(other.places)
            and self.above.isdisjoint(other.places)
            and self.places.isdisjoint(other.above)
        )


class Gate:
    """The order of entry. Belongs to one event loop; nothing here waits but `holding`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}  # domain that somebody is in → since when
        self._queue: list[Waiting] = []
        self._closed = False

    def join(self, one: Waiting) -> None:
        """Go in at once if nobody is in the way; wait otherwise."""
        self._queue.append(one)
        self._admit()

    def withdraw(self, one: Waiting) -> bool:
        """Wait no longer; False where it is already in."""
        if one not in self._queue:
            return False
        self._queue.remove(one)
        self._admit()
        return True

    def leave(self, domains: frozenset[str]) -> None:
        for domain in domains:
            self._since.pop(domain, None)
        self._admit()

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True

    @asynccontextmanager
    async def holding(self, domains: frozenset[str]) -> AsyncIterator[None]:
        """Be in these domains alone, before all who are not urgent."""
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        one = Waiting(domains, lambda _: None if entered.done() else entered.set_result(None), urgent=True)
        self.join(one)
        try:
            await entered
            yield
        finally:
            if not self.withdraw(one):
                self.leave(domains)

    def _admit(self) -> None:
        if self._closed or not self._queue:
            return
        now = self._clock()
        kept: set[str] = set()  # for those who wait
        parties = []
        for one in sorted(self._queue, key=lambda waiting: not waiting.urgent):
            if one not in self._queue:
                continue  # gone in with somebody
            in_the_way = one.domains & self._since.keys()
            if in_the_way or one.domains & kept:
                if not any(now - self._since[domain] >= SLOW_S for domain in in_the_way):
                    kept |= one.domains
                continue
            party = self._party(one)
            self._queue = [waiting for waiting in self._queue if waiting not in party]
            self._since.update(dict.fromkeys(one.domains, now))
            parties.append(party)
        if self._queue and parties:
            asyncio.get_running_loop().call_later(SLOW_S, self._admit)
        for party in parties:
            party[0].begin(party)

    def _party(self, first: Waiting) -> tuple[Waiting, ...]:
        party, places = [first], len(first.places)
        if first.lane is not None:
            for other in sorted(self._queue, key=lambda waiting: not waiting.urgent):
                if other is first or other.lane != first.lane or places + len(other.places) > MOST_PLACES:
                    continue
                if len(party) < MOST_MEMBERS and all(other.apart_from(member) for member in party):
                    party.append(other)
                    places += len(other.places)
        return tuple(party)
