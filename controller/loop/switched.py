"""Whether what a domain says it switched to its standby was switched: measured traffic has the last word.

The map says that a standby is whole, the domain that it switched; a switch that sticks makes liars of both. Looked at
now and then only, and only where no repair is under way: what was measured is as old as a second anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import islice

from controller.assurance.components import Damage
from controller.assurance.waves import Hurt
from controller.changes.state import Standing
from controller.intent.model import ServiceId
from controller.planning.placement import Placement

LOOK_S = 0.25
WATCHED_S = 5.0  # after services were first seen to be switched; later only when something else wakes the loop
AT_ONCE = 200  # services in one look


class Switched:
    """Judges anew who is said to have been switched. `lost`: whether measurements tell that nothing arrives."""

    def __init__(self) -> None:
        self._lost: set[ServiceId] = set()
        self._dead: frozenset[ServiceId] = frozenset()
        self._looked = self._watched_until = float("-inf")
        self._watching = False
        self.lost: Callable[[ServiceId, Placement], bool] = lambda sid, placement: False

    def judged(
        self,
        wounded: tuple[Hurt, ...],
        services: Mapping[ServiceId, Standing],
        attempted: AbstractSet[ServiceId],
        now: float,
    ) -> tuple[tuple[Hurt, ...], frozenset[ServiceId]]:
        """Return the same with the dead called dead, and all dead who were not at the last look.

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
        dead = frozenset(h.service for h in wounded if h.damage is Damage.DEAD)
        fresh, self._dead = dead - self._dead, dead
        return wounded, fresh

    def due(self, now: float) -> list[float]:
        """Return when to look again at who was switched; nothing where nobody was, or long ago."""
        return [self._looked + LOOK_S] if self._watching and now < self._watched_until else []
