"""Whether what a domain says it switched to its standby, or carries, arrives: measured traffic has the last word.

The map says that a standby is whole, the domain that it switched; a switch that sticks makes liars of both. Looked at
now and then only, and only where no repair is under way: what was measured is as old as a second anyway. The same over
what must be cut though its domain does not say so: who is measured not to arrive is dead, all others are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import islice

from controller.assurance.components import Component, Damage, damage
from controller.assurance.waves import Hurt, Riders, tier
from controller.changes.state import Standing
from controller.intent.model import ServiceId
from controller.planning.placement import Placement

LOOK_S = 0.25
WATCHED_S = 5.0  # after services were first seen to be switched; later only when something else wakes the loop
AT_ONCE = 200  # services in one look


class Switched:
    """Judges anew who is said to have been switched, or to be well. `lost`: measurements tell that nothing arrives."""

    def __init__(self, riders: Riders, wake: Callable[[], None]) -> None:
        """wake: has `judged` called."""
        self._riders, self._wake = riders, wake
        self._suspected: frozenset[Component] = frozenset()
        self._stranded: frozenset[ServiceId] = frozenset()
        self._unasked: list[ServiceId] = []  # who rides what is suspected, and comes next
        self._asked = float("-inf")
        self._lost: set[ServiceId] = set()
        self._dead: frozenset[ServiceId] = frozenset()
        self._looked = self._watched_until = float("-inf")
        self._watching = False
        self.lost: Callable[[ServiceId, Placement], bool] = lambda sid, placement: False

    def suspect(self, parts: frozenset[Component]) -> None:
        """Take what must be down from now on, though nobody says so."""
        if parts != self._suspected:
            self._suspected, self._unasked, self._stranded = parts, [], frozenset()
            self._wake()

    def judged(
        self,
        wounded: tuple[Hurt, ...],
        services: Mapping[ServiceId, Standing],
        attempted: AbstractSet[ServiceId],
        now: float,
    ) -> tuple[tuple[Hurt, ...], frozenset[ServiceId]]:
        """Return the same with the dead called dead, also over what is suspected, and all dead who were not before.

        attempted: whose repair failed, or changed nothing; all others are being repaired without a question.
        """
        told = [h.service for h in wounded if h.damage is Damage.SWITCHED and h.service in attempted]
        self._lost.intersection_update(told)
        if not told:
            self._watching = False
        elif not self._watching:
            self._watching, self._watched_until = True, now + WATCHED_S
        if told and now - self._looked >= LOOK_S:
            self._looked = now
            unknown = islice((s for s in told if s not in self._lost), AT_ONCE)
            self._lost |= {s for s in unknown if self.lost(s, services[s].placement)}
        if self._lost:
            wounded = tuple(replace(h, damage=Damage.DEAD) if h.service in self._lost else h for h in wounded)
        if self._suspected:
            known = {h.service for h in wounded}
            wounded = (*wounded, *(h for h in self._over_suspected(services, now) if h.service not in known))
        dead = frozenset(h.service for h in wounded if h.damage is Damage.DEAD)
        fresh, self._dead = dead - self._dead, dead
        return wounded, fresh

    def _over_suspected(self, services: Mapping[ServiceId, Standing], now: float) -> Iterator[Hurt]:
        """Yield who would be dead if what is suspected is down, and is measured not to arrive."""
        if now - self._asked >= LOOK_S:
            self._asked = now
            self._unasked = self._unasked or sorted(self._riders.on(self._suspected))
            asked, self._unasked = self._unasked[:AT_ONCE], self._unasked[AT_ONCE:]
            found = {s for s in asked if self._would_die(services.get(s)) and self.lost(s, services[s].placement)}
            self._stranded = self._stranded.difference(asked) | found
        for sid in sorted(self._stranded):
            if self._would_die(services.get(sid)):  # else it was led away meanwhile
                yield Hurt(sid, tier(services[sid].service), Damage.DEAD)

    def _would_die(self, standing: Standing | None) -> bool:
        if standing is None or not standing.active:
            return False
        return damage(standing.placement, self._suspected) >= Damage.SWITCHED

    def due(self, now: float) -> list[float]:
        """Return when to look again at who was switched, not long after, and at who rides what is suspected."""
        again = [self._looked + LOOK_S] if self._watching and now < self._watched_until else []
        return [*again, self._asked + LOOK_S] if self._suspected else again
