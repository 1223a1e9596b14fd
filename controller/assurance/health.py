"""How a service is, steadily: a word that people and tickets can go by, from judgements that come and go.

Worse is believed soon, better only after it has lasted, and the longer the oftener it changed: a service on the edge
of its limit is at risk, not violated and fine by turns. A gap is not health: unknown is a state of its own. Time is an
argument, in monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf

from controller.assurance.damping import doubled


class Health(StrEnum):
    """From best to worst; UNKNOWN stands beside them."""

    OK = "ok"
    AT_RISK = "at-risk"
    VIOLATED = "violated"
    DOWN = "down"
    UNKNOWN = "unknown"


_WORDS = (Health.OK, Health.AT_RISK, Health.VIOLATED, Health.DOWN)
_RANK = {word: rank for rank, word in enumerate(_WORDS)}


BETTER = "better again, and not for long enough yet to be called so"  # reason


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
    """The steady word of one service.

    What is judged may waver between two words that are both better than the present one, or both worse: it is the
    worse of the better ones, the milder of the worse ones, that has lasted.
    """

    __slots__ = ("_asked", "_better", "_changes", "_gap_since", "_last_change", "_worse", "now")

    def __init__(self, began: float) -> None:
        self.now = Steady(Health.UNKNOWN, began, "nothing was measured yet")
        self._asked = Health.UNKNOWN  # the last judgement
        self._gap_since = began
        self._worse: list[float] = []  # by rank: since when judged so bad or worse; inf: not now
        self._better: list[float] = []  # by rank: since when judged so good or better
        self._changes = 0  # to the worse, of late
        self._last_change = float("-inf")

    def step(self, judged: Judged, at: float, settings: HealthSettings) -> bool:
        """Take one judgement; return whether the word changed."""
        asked, reason = self._wanted(judged, settings)
        if asked is not self._asked:
            self._note(asked, at)
        if asked is self.now.health:
            if reason != self.now.reason:
                self.now = Steady(asked, self.now.since, reason)
            return False
        wanted = self._lasting(asked, at, settings)
        if wanted is self.now.health:
            if _RANK.get(asked, len(_RANK)) < _RANK.get(wanted, 0) and self.now.reason != BETTER:
                self.now = Steady(wanted, self.now.since, BETTER)
            return False
        if _RANK.get(wanted, 0) > _RANK.get(self.now.health, 0) and self.now.health is not Health.UNKNOWN:
            fresh = at - self._last_change > settings.memory_s
            self._changes, self._last_change = (1 if fresh else self._changes + 1), at
        self.now = Steady(wanted, at, reason if wanted is asked else "it wavers")
        return True

    def _note(self, asked: Health, at: float) -> None:
        """Keep since when it has been judged so; a gap that does not count yet leaves that as it is."""
        self._asked = asked
        if asked is Health.UNKNOWN:
            self._gap_since = at
            return
        rank = _RANK[asked]
        if self.now.health is Health.UNKNOWN or not self._worse:  # what was before a gap tells nothing
            self._worse = [inf] * len(_RANK)
            self._better = [inf] * len(_RANK)
        self._worse = [min(since, at) if r <= rank else inf for r, since in enumerate(self._worse)]
        self._better = [min(since, at) if r >= rank else inf for r, since in enumerate(self._better)]

    def _lasting(self, asked: Health, at: float, settings: HealthSettings) -> Health:
        """Return the word that what is asked for comes to: the present one where it has not lasted yet."""
        if asked is Health.UNKNOWN:
            return asked if at - self._gap_since >= settings.unknown_s else self.now.health
        if asked is Health.DOWN or self.now.health is Health.UNKNOWN:
            return asked
        present, rank = _RANK[self.now.health], _RANK[asked]
        if rank > present:
            lasted = [r for r in range(present + 1, rank + 1) if at - self._worse[r] >= settings.worse_s]
            return _WORDS[max(lasted, default=present)]
        patience_s = self._patience_s(at, settings)
        lasted = [r for r in range(rank, present) if at - self._better[r] >= patience_s]
        return _WORDS[min(lasted, default=present)]

    def _wanted(self, judged: Judged, settings: HealthSettings) -> tuple[Health, str]:
        if judged.health is not Health.OK:
            return judged.health, judged.reason
        if judged.exposed:
            return Health.AT_RISK, judged.exposed
        edge = settings.calm if self.now.health in (Health.AT_RISK, Health.VIOLATED) else settings.risk
        if judged.pressure is not None and judged.pressure >= edge:
            return Health.AT_RISK, f"at {judged.pressure:.0%} of what is allowed"
        return Health.OK, ""

    def _patience_s(self, at: float, settings: HealthSettings) -> float:
        """Return how long a better word has to be asked for before it counts."""
        late = at - self._last_change > settings.memory_s
        again = 0 if late else max(0, self._changes - 1)
        return doubled(settings.better_s, again, settings.most_s)
