"""The last value and a sliding window per subject and metric, in bounded memory.

Arrival time, not the domain's clock, decides what is fresh: a domain with a wrong clock must neither look
silent nor hide that it is. A value that is not finite is a gap. Pure but for its own state: time is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.telemetry.indicator import Indicator


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """How much is remembered and for how long it counts."""

    samples: int = 120  # per subject and metric, at most
    window_s: float = 120.0  # older samples do not enter percentiles
    fresh_s: float = 5.0  # the newest sample is older: nothing is measured, a gap
    rare_s: float = 25.0  # the same for what comes rarely, and for what has come only once
    series: int = 200_000  # subject and metric pairs at most; beyond, new ones are refused and counted


class Ring:
    """Samples of one metric of one subject, the newest `size` of them. Grows by doubling: most rings stay small."""

    __slots__ = ("arrived", "count", "last", "last_arrived", "next", "pause", "pause_before", "size", "values")

    def __init__(self, size: int) -> None:
        self.size = size
        first = min(8, size)
        self.values: NDArray[np.float64] = np.empty(first)
        self.arrived: NDArray[np.float64] = np.empty(first)
        self.next = 0  # where the next sample goes
        self.count = 0
        self.last = math.nan  # the newest sample, as plain floats: read for every carrier of every service
        self.last_arrived = -math.inf
        self.pause = self.pause_before = math.inf  # between the last two samples, and before: how often this comes

    def add(self, value: float, now: float) -> None:
        """Take one sample; the oldest goes when the ring is full."""
        if self.count == len(self.values) < self.size:
            self._grow()
        self.values[self.next] = value
        self.arrived[self.next] = now
        self.next = (self.next + 1) % len(self.values)
        self.count = min(self.count + 1, len(self.values))
        self.pause_before, self.pause = self.pause, now - self.last_arrived
        self.last, self.last_arrived = value, now

    def fresh_until(self, settings: WindowSettings) -> float:
        """Return until when the newest sample counts: two and a half pauses, within the bounds of the settings.

        The longer of the last two pauses: whoever connects is told what was measured last, and what is measured next
        soon after, though it comes every ten seconds only.
        """
        pause_s = max(self.pause, self.pause_before)
        return self.last_arrived + min(max(2.5 * pause_s, settings.fresh_s), settings.rare_s)

    def _grow(self) -> None:
        order = (np.arange(self.count) + self.next) % self.count  # oldest first
        longer = min(self.size, 2 * self.count)
        for name in ("values", "arrived"):
            grown = np.empty(longer)
            grown[: self.count] = getattr(self, name)[order]
            setattr(self, name, grown)
        self.next = self.count

    def since(self, earliest: float) -> NDArray[np.float64]:
        """Return the values that arrived at `earliest` or later, in no order."""
        held = slice(0, self.count)
        return self.values[held][self.arrived[held] >= earliest]


_NONE: dict[str, Ring] = {}


class Windows:
    """All rings, keyed by subject, then metric."""

    def __init__(self, settings: WindowSettings | None = None) -> None:
        self.settings = settings or WindowSettings()
        self.refused = 0  # samples for which there was no room
        self._rings: dict[str, dict[str, Ring]] = {}
        self._of_kind: dict[str, set[str]] = {}  # what stands before the colon of subjects → these
        self._series = 0

    def add(self, subject: str, metric: str, value: float, now: float) -> None:
        """Take one sample that arrived at `now`. Values that are not finite are not samples."""
        if not math.isfinite(value):
            return
        metrics = self._rings.setdefault(subject, {})
        ring = metrics.get(metric)
        if ring is None:
            if self._series >= self.settings.series:
                self.refused += 1
                if not metrics:
                    del self._rings[subject]
                return
            if not metrics:
                self._of_kind.setdefault(subject.partition(":")[0], set()).add(subject)
            ring = metrics[metric] = Ring(self.settings.samples)
            self._series += 1
        ring.add(value, now)

    def __len__(self) -> int:
        """Subject and metric pairs held."""
        return self._series

    def fresh(self, subject: str, now: float) -> dict[str, float]:
        """Return the newest value of every metric of a subject that is fresh; empty where there is a gap."""
        rings = self._rings.get(subject)
        return {m: r.last for m, r in rings.items() if now <= r.fresh_until(self.settings)} if rings else {}

    def newest(self, subjects: Iterable[str], metric: str, now: float) -> list[float | None]:
        """Return the newest value of one metric of each subject, None where none is fresh."""
        rings, settings = self._rings, self.settings
        surely = now - min(settings.fresh_s, settings.rare_s)  # what came since counts, however often it comes
        found: list[float | None] = []
        for subject in subjects:
            ring = rings.get(subject, _NONE).get(metric)
            if ring is not None and (ring.last_arrived >= surely or now <= ring.fresh_until(settings)):
                found.append(ring.last)
            else:
                found.append(None)
        return found

    def indicator(self, subject: str, metric: str, now: float) -> Indicator | None:
        """Return what is known, or None where nothing fresh is: a gap is a gap."""
        ring = self._rings.get(subject, {}).get(metric)
        if ring is None or now > ring.fresh_until(self.settings):
            return None
        held = ring.since(now - self.settings.window_s)
        ordered = np.sort(held).tolist()
        p50, p99 = _quantile(ordered, 0.50), _quantile(ordered, 0.99)
        return Indicator(subject, metric, ring.last, p50, p99, len(ordered), now - ring.last_arrived)

    def metrics(self, subject: str) -> tuple[str, ...]:
        """Return the metrics ever seen of this subject, sorted."""
        return tuple(sorted(self._rings.get(subject, ())))

    def subjects(self) -> tuple[str, ...]:
        """Return every subject remembered, sorted."""
        return tuple(sorted(self._rings))

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Return every subject remembered that begins with this word and a colon, sorted."""
        return tuple(sorted(self._of_kind.get(kind, ())))

    def forget_silent(self, now: float) -> int:
        """Drop subjects silent for two windows, such as those of withdrawn services; return how many."""
        limit = now - 2 * self.settings.window_s
        gone = [s for s, metrics in self._rings.items() if all(r.last_arrived < limit for r in metrics.values())]
        for subject in gone:
            self._series -= len(self._rings.pop(subject))
            self._of_kind[subject.partition(":")[0]].discard(subject)
        return len(gone)


def _quantile(ordered: list[float], share: float) -> float:
    """As numpy.percentile (linear), which takes ten times as long on so few values: it is asked for every service."""
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
