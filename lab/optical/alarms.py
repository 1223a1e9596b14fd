"""When optical equipment complains: thresholds with severities, and patience on the way up and down.

Everything is compared in dB, lower is worse: margin as it is, a bit error rate as the Q² that it stands for, span loss
as what is lost over the baseline, negative. An alarm is raised after two samples in a row and cleared after three that
are half a dB better than the threshold that they crossed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

RAISE_AFTER, CLEAR_AFTER, BETTER_DB = 2, 3, 0.5
SEVERITIES = ("WARNING", "MAJOR", "CRITICAL")

MARGIN_DB = (2.0, 1.0, 0.5)
SPAN_DB = (-1.0, -3.0)  # over the baseline; no light at all is another alarm
# By the Q² at the limit of the code: oFEC, CFEC, SC-FEC.
_BER = {6.25: (4.9e-3, 1.1e-2, 1.5e-2), 7.01: (2.4e-3, 6.0e-3, 8.8e-3), 8.34: (5.0e-4, 1.7e-3, 2.8e-3)}


def q2_db(ber: float) -> float:
    """Return the Q² that a bit error rate before correction stands for: BER = ½·erfc(Q/√2)."""
    return 20 * math.log10(-NormalDist().inv_cdf(min(ber, 0.499)))


def ber_thresholds_db(q_limit_db: float) -> tuple[float, ...]:
    """Return the Q² of the bit error rates at which a line with this code alarms."""
    return tuple(q2_db(ber) for ber in _BER[min(_BER, key=lambda q: abs(q - q_limit_db))])


@dataclass(slots=True)
class _Watched:
    level: int = 0  # 0: no alarm, else the place of its severity, counted from 1
    worse: int = 0  # samples in a row that would raise it
    better: int = 0  # samples in a row that would lower it
    worse_level: int = 0  # the least of those that would raise it
    better_level: int = 0  # the greatest of those that would lower it


class Thresholds:
    """One kind of alarm on any number of subjects."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}

    def step(self, subject: str, value_db: float, thresholds_db: tuple[float, ...]) -> str | None:
        """Take a sample; return the severity if it changed, "" where the alarm is over, else None."""
        one = self._watched.setdefault(subject, _Watched())
        level = sum(value_db < t for t in thresholds_db)
        calm = sum(value_db < t + BETTER_DB for t in thresholds_db)  # where this sample lets it be
        one.worse_level = min(level, one.worse_level) if one.worse else level
        one.worse = one.worse + 1 if level > one.level else 0
        one.better_level = max(calm, one.better_level) if one.better else calm
        one.better = one.better + 1 if calm < one.level else 0
        if one.worse >= RAISE_AFTER:
            one.level = one.worse_level
        elif one.better >= CLEAR_AFTER:
            one.level = one.better_level
        else:
            return None
        one.worse = one.better = 0
        return SEVERITIES[one.level - 1] if one.level else ""

    def forget(self, keep: Iterable[str]) -> tuple[str, ...]:
        """Drop subjects that are measured no more; return those of them that had an alarm."""
        kept = set(keep)
        gone = [s for s in self._watched if s not in kept]
        return tuple(s for s in gone if self._watched.pop(s).level)
