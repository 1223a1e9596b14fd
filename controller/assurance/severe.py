"""Seconds that a receiver counts as severely errored or unavailable, judged: ten in a row are an alarm.

ITU-T G.8201, annex A: ten severely errored seconds in a row begin unavailable time and belong to it, and while it lasts
nothing but unavailable seconds is counted. Equipment that keeps to it tells of ten in a row by unavailable seconds
alone, all ten of them at once; other equipment goes on counting severely errored ones. Both are heard. One interval in
which unavailable time grew is enough to raise the alarm, for by then equipment has waited for ten seconds; it is
cleared after three in which nothing grew.

Counters tell by how much they grew between two samples. One that went back was restarted, and a pause that is out of
the usual is a gap: neither says anything of the time between, nor whether what came before and after it was in a row.

What is dark is told of by its own alarms, and counts unavailable time by right: the dark ends this alarm and raises
none, nor does what is still told of it after the light has come back. Then, and at the beginning, ten seconds in a row
have to be seen before they count, or one calm interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

SEVERE, UNAVAILABLE = "severely_errored_s", "unavailable_s"  # metrics: counters of seconds
IN_A_ROW: Final = 10  # seconds
CLEAR_AFTER: Final = 3  # samples
USUAL_PAUSES: Final = 2.5  # longer than so many is a gap
LEAST_PAUSE_S, MOST_PAUSE_S = 5.0, 25.0  # shorter is never a gap, longer always


class Growth(NamedTuple):
    """By how many seconds a counter grew, and how long that took."""

    grown_s: float
    elapsed_s: float

    @property
    def whole_s(self) -> int:
        """Return how many seconds of the interval were counted if all of them were, else 0."""
        return max(1, round(self.elapsed_s)) if self.grown_s >= max(1, math.floor(self.elapsed_s)) else 0


@dataclass(slots=True)
class Counter:
    """One counter of seconds, by its samples."""

    _value: float | None = None
    _at: float = 0.0
    _pause_s: float = MOST_PAUSE_S

    @property
    def told(self) -> bool:
        return self._value is not None

    def take(self, value: float, at: float) -> Growth | None:
        """Take a sample measured at `at` (seconds, the domain's clock); None: nothing is known of what was between."""
        before, was, usual_s = self._value, self._at, self._pause_s
        self._value, self._at = value, at
        if before is None or at <= was:
            return None
        self._pause_s = at - was
        longest_s = min(max(USUAL_PAUSES * usual_s, LEAST_PAUSE_S), MOST_PAUSE_S)
        return Growth(value - before, at - was) if value >= before and at - was <= longest_s else None


@dataclass(slots=True)
class SevereSeconds:
    """What one receiver's seconds stand for. `alarm`: ten severely errored ones in a row were, and may go on."""

    alarm: bool = False
    _counters: dict[str, Counter] = field(default_factory=lambda: {SEVERE: Counter(), UNAVAILABLE: Counter()})
    _row_s: dict[str, int] = field(default_factory=dict)  # seconds in a row that each counter counted
    _calm: dict[str, int] = field(default_factory=dict)  # samples in a row without growth of either
    _dark: bool = False
    _afresh: bool = True  # no calm interval was seen since the light came back

    def lit(self, lit: bool) -> bool:
        """Note whether there is any light; return whether that ended the alarm."""
        self._dark = not lit
        if lit:
            return False
        ended, self.alarm, self._afresh = self.alarm, False, True
        self._row_s.clear()
        self._calm.clear()
        return ended

    def take(self, metric: str, value: float, at: float) -> str | None:
        """Take a sample of SEVERE or UNAVAILABLE; return what was counted where the alarm changed, else None."""
        growth = self._counters[metric].take(value, at)
        if growth is None:
            self._row_s.pop(metric, None)
            return None
        if self._dark:
            return None
        if growth.grown_s == 0:
            return self._rested(metric)
        self._calm.clear()
        row_s = self._row_s[metric] = self._row_s.get(metric, 0) + growth.whole_s if growth.whole_s else 0
        if self.alarm or not (row_s >= IN_A_ROW or (metric == UNAVAILABLE and not self._afresh)):
            return None
        self.alarm = True
        if metric == UNAVAILABLE:
            seconds = max(row_s, growth.grown_s)
            return f"{seconds:.0f} unavailable seconds, begun by {IN_A_ROW} severely errored ones in a row"
        return f"{row_s} severely errored seconds in a row"

    def _rested(self, metric: str) -> str | None:
        self._row_s.pop(metric, None)
        if metric == UNAVAILABLE:
            self._afresh = False
        self._calm[metric] = self._calm.get(metric, 0) + 1
        told = (m for m, counter in self._counters.items() if counter.told)  # in unavailable time one of them rests
        if not self.alarm or any(self._calm.get(m, 0) < CLEAR_AFTER for m in told):
            return None
        self.alarm = False
        return ""
