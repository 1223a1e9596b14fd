"""How a service is, steadily: a word that people and tickets can go by, from judgements that come and go.

Worse is believed soon, better only after it has lasted, and the longer the oftener it changed: a service on the edge
of its limit is at risk, not violated and fine by turns. A gap is not health: unknown is a state of its own. Time is an
argument, in monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """From best to worst; UNKNOWN stands beside them."""

    OK = "ok"
    AT_RISK = "at-risk"
    VIOLATED = "violated"
    DOWN = "down"
    UNKNOWN = "unknown"


_RANK = {Health.OK: 0, Health.AT_RISK: 1, Health.VIOLATED: 2, Health.DOWN: 3}


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How patient the steady word is, in seconds, and where the risk begins."""

    worse_s: float = 1.5  # a violation has to last for this; what is down is down at once
    better_s: float = 5.0  # doubled with every change within `memory_s`, up to `most_s`
    most_s: float = 60.0
    memory_s: float = 120.0
    unknown_s: float = 3.0  # a gap shorter than this does not change the word
    risk: float = 0.8  # of a limit: from here on at risk
    calm: float = 0.7  # below this no more


@dataclass(frozen=True, slots=True)
class Judged:
    """What is true of a service at one moment."""

    health: Health  # of the measured values alone: OK, VIOLATED, DOWN or UNKNOWN
    pressure: float | None = None  # the worst measured value over its limit; None: nothing is limited or measured
    exposed: str = ""  # what stood by and does no more, in words
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Steady:
    """The steady word, since when (monotonic seconds) and why."""

    health: Health
    since: float
    reason: str


class HealthTrack:
    """The steady word of one service."""

    __slots__ = ("_asked", "_asked_since", "_changes", "_last_change", "now")

    def __init__(self, began: float) -> None:
        self.now = Steady(Health.UNKNOWN, began, "nothing was measured yet")
        self._asked = Health.UNKNOWN  # what the judgements of late say
        self._asked_since = began
        self._changes = 0  # to the worse, of late
        self._last_change = float("-inf")

    def step(self, judged: Judged, at: float, settings: HealthSettings) -> bool:
        """Take one judgement; return whether the word changed."""
        wanted, reason = self._wanted(judged, settings)
        if wanted is not self._asked:
            self._asked, self._asked_since = wanted, at
        if wanted is self.now.health:
            if reason != self.now.reason:
                self.now = Steady(wanted, self.now.since, reason)
            return False
        if at - self._asked_since < self._patience(wanted, at, settings):
            return False
        if _RANK.get(wanted, 0) > _RANK.get(self.now.health, 0) and self.now.health is not Health.UNKNOWN:
            fresh = at - self._last_change > settings.memory_s
            self._changes, self._last_change = (1 if fresh else self._changes + 1), at
        self.now = Steady(wanted, at, reason)
        return True

    def _wanted(self, judged: Judged, settings: HealthSettings) -> tuple[Health, str]:
        if judged.health is not Health.OK:
            return judged.health, judged.reason
        if judged.exposed:
            return Health.AT_RISK, judged.exposed
        edge = settings.calm if self.now.health in (Health.AT_RISK, Health.VIOLATED) else settings.risk
        if judged.pressure is not None and judged.pressure >= edge:
            return Health.AT_RISK, f"at {judged.pressure:.0%} of what is allowed"
        return Health.OK, ""

    def _patience(self, wanted: Health, at: float, settings: HealthSettings) -> float:
        """Return how long a new word has to be asked for before it counts."""
        if wanted is Health.DOWN:
            return 0.0
        if wanted is Health.UNKNOWN:
            return settings.unknown_s
        if self.now.health is Health.UNKNOWN:
            return 0.0
        if _RANK[wanted] > _RANK[self.now.health]:
            return settings.worse_s
        late = at - self._last_change > settings.memory_s
        again = 0 if late else max(0, self._changes - 1)
        return float(min(settings.better_s * 2**again, settings.most_s))
