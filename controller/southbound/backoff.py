"""How long to wait before the next attempt: doubling, bounded, the same every time.

Without jitter on purpose: one daemon speaks to a handful of domains, there is no crowd to spread, and equal runs
stay equal.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Waits in seconds: `first_s`, twice that, … at most `most_s`; `reset` after a success."""

    first_s: float = 0.2
    most_s: float = 30.0
    _next_s: float = 0.0

    def next_s(self) -> float:
        wait_s = self._next_s or self.first_s
        self._next_s = min(self.most_s, wait_s * 2)
        return wait_s

    def reset(self) -> None:
        self._next_s = 0.0
