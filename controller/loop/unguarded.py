"""Services that run without the standby they ask for: looked at again until one is there, also by the next daemon.

A repair gives a service less than it asked for where the rest of the city does not have more, and a service gives way
where another lights what both kept. What they lack may come back without anything that they ride being mended: another
service goes, or the failure ended while no daemon looked.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from controller.changes.state import Standing
from controller.intent.model import ServiceId
from controller.planning.emergency import is_emergency

AT_ONCE = 20  # looked at together: nobody waits for them
LATER_S = 1.0  # where who is due is held by a change, or hurt
SPACING_S = 5.0  # between two such looks: while much is down most of them are in vain


@dataclass(slots=True)
class Unguarded:
    """When each is due. Times are the loop's clock, in seconds; the pause doubles from the first to the most."""

    first_s: float
    most_s: float
    _due: dict[ServiceId, tuple[float, float]] = field(default_factory=dict)  # when, and the pause before it
    _next_look: float = float("-inf")

    def __contains__(self, service: object) -> bool:
        return service in self._due

    def follow(self, moved: Mapping[ServiceId, Standing], gone: Iterable[ServiceId], now: float) -> None:
        """Take over who came or changed, and who went."""
        bare = {s for s, at in moved.items() if at.placement.notes and not at.expired and is_emergency(at.placement)}
        for over in (*(moved.keys() - bare), *gone):
            self._due.pop(over, None)
        for fresh in sorted(bare - self._due.keys()):
            self._due[fresh] = (now + self.first_s, self.first_s)

    def take(self, now: float, held: Container[ServiceId], hurt: Container[ServiceId]) -> Iterable[ServiceId]:
        """Return the next few that are due and free, and put them off to the next time."""
        if now < self._next_look:
            return ()
        due = sorted((at, s) for s, (at, _) in self._due.items() if at <= now and s not in held and s not in hurt)
        found = [s for _, s in due[:AT_ONCE]]
        for sid in found:
            pause = min(2 * self._due[sid][1], self.most_s)
            self._due[sid] = (now + pause, pause)
        if found:
            self._next_look = now + SPACING_S
        return found

    def hasten(self, now: float) -> None:
        """Something is up again: look at all of them as soon as can be."""
        self._due = dict.fromkeys(self._due, (now, self.first_s))

    def next_due(self, now: float) -> float:
        """Return when to look next; inf: there is nobody. One who is due and could not be looked at waits a little."""
        soonest = max(min((at for at, _ in self._due.values()), default=float("inf")), self._next_look)
        return soonest if soonest > now else now + LATER_S
