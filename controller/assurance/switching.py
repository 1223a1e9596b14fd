"""Whether what a domain should have switched was switched: what circuits and tunnels of services say of themselves.

The map says that a standby is whole; only the domain can say that it carries. A service whose circuit or tunnel is
down although a part of it could carry is as dead as one without a standby.
"""

from __future__ import annotations

from controller.planning.placement import Placement

MOST_HELD = 100_000  # names; those of services that went meanwhile never say that they are up again


def is_own(kind: str, name: str) -> bool:
    """Return whether a subject is a circuit or tunnel of one service, and no equipment that many ride on."""
    return kind == "tunnel" or (kind == "circuit" and "/" in name)


class OwnStates:
    """Which circuits and tunnels of services are down, by what they said last."""

    def __init__(self) -> None:
        self._down: set[str] = set()
        self.version = 0  # grows whenever any of them changed

    def told(self, subject: str, up: bool) -> bool:
        """Take what one says of itself; return whether it went down."""
        if up:
            self.version += subject in self._down
            self._down.discard(subject)
            return False
        if len(self._down) >= MOST_HELD:
            self._down.clear()
        fresh = subject not in self._down
        self.version += fresh
        self._down.add(subject)
        return fresh

    def any_down(self, placement: Placement) -> bool:
        """Return whether a circuit or tunnel of a placement says that it is down."""
        if not self._down:
            return False
        mine = (*(f"circuit:{c.id}" for c in placement.circuits), *(f"tunnel:{t.name}" for t in placement.tunnels))
        return not self._down.isdisjoint(mine)
