"""When a sample was measured, by our own clock, though domains' clocks are wrong and step.

The quickest sample of a domain bounds how far its clock is from ours: no sample arrives before it was measured. What
is estimated is never later than the truth by more than the quickest way takes, so that an old sample cannot pass for
a new one. A clock that steps back makes samples look older until the window has passed: never newer.
"""

from __future__ import annotations

WINDOW_S = 30.0  # after at most two of these a stepped clock is known anew


class Moments:
    """Per domain how far its clock is from ours, per subject when it was measured last. Times in seconds."""

    def __init__(self) -> None:
        self._bounds: dict[str, tuple[float, float, float]] = {}  # domain → (window's begin, before it, within it)
        self._measured: dict[str, float] = {}

    def take(self, domain: str, subject: str, at: float, arrived: float) -> None:
        """Note a sample measured at `at` by the domain's clock that arrived at `arrived` by ours."""
        began, before, within = self._bounds.get(domain, (arrived, float("inf"), float("inf")))
        if arrived - began > WINDOW_S:
            began, before, within = arrived, within, float("inf")
        offset = arrived - at
        within = min(within, offset)
        self._bounds[domain] = (began, before, within)
        measured = at + min(before, within)
        if measured > self._measured.get(subject, float("-inf")):
            self._measured[subject] = measured

    def of(self, subject: str) -> float | None:
        """Return when a subject was measured last, by our clock; None where it never was."""
        return self._measured.get(subject)

    def forget(self, before: float) -> None:
        """Drop subjects that were not measured since."""
        for subject in [s for s, at in self._measured.items() if at < before]:
            del self._measured[subject]
