"""Errored, severely errored and unavailable seconds of a path, as the receiver at its end counts them (ITU-T G.8201).

A second with a block in error is errored. One with a defect, or with at least 15 % of its blocks in error, is severely
errored, and errored too. Ten severely errored seconds in a row begin unavailable time and belong to it; ten in a row
that are not end it, and belong to available time again (annex A). During unavailable time nothing but unavailable
seconds is counted (annex A.4). So whether a second was available is known up to nine seconds later: until then it is
held back, as performance monitoring in equipment does (G.7710), and no counter ever has to go back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SEVERE_SHARE = 0.15  # of blocks in error
IN_A_ROW = 10


@dataclass(slots=True)
class ErroredSeconds:
    """One path's counters, in seconds, for as long as its receiver runs."""

    errored: int = 0
    severely_errored: int = 0
    unavailable: int = 0
    _available: bool = True
    _held: list[float | None] = field(default_factory=list)  # seconds in a row that speak against the present state

    def take(self, share: float | None) -> None:
        """Take one more second. share: of its blocks in error, 0 to 1; None: there was no signal, which is a defect."""
        held = self._held
        against = _severe(share) is self._available
        held.append(share)
        if against and len(held) < IN_A_ROW:
            return
        if against:
            self._available = not self._available
        for second in held:
            self._count(second)
        held.clear()

    def _count(self, share: float | None) -> None:
        if not self._available:
            self.unavailable += 1
            return
        self.errored += share is None or share > 0
        self.severely_errored += _severe(share)


def _severe(share: float | None) -> bool:
    return share is None or share >= SEVERE_SHARE
