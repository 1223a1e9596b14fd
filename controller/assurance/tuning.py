"""The slow loop's decision: who is led away from what wears out, and who had better stay.

A move is worth it where a service burns what it was promised, or is about to, and what it rides is known to be the
cause. It is never repeated soon, and there are only so many an hour: a loop that moves services around because its
last moves loaded the links that it looks at is worse than the wear. Time is an argument, in monotonic seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.assurance.causes import Cause
from controller.assurance.components import Component
from controller.assurance.health import Health
from controller.intent.model import ServiceId


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """How eager the slow loop is."""

    most_an_hour: int = 200  # moves of all services together
    most_of_one: int = 4  # an hour
    rest_s: float = 30.0  # between two moves of one service
    again_s: float = 60.0  # after an attempt that found nothing better
    most_again_s: float = 3600.0  # while the map stays as it is, for the pause doubles with each attempt


@dataclass(frozen=True, slots=True)
class Burning:
    """A service that rides something worn."""

    service: ServiceId
    tier: int  # 0 VIP, 1 exclusive
    health: Health
    cause: Cause
    fading: bool = False  # what carries it will soon fail, though packets do not feel it yet


@dataclass(frozen=True, slots=True)
class Move:
    service: ServiceId
    cause: Cause
    shun: frozenset[Component]  # not to be ridden any more
    accepted_by: str = ""  # empty: nobody was asked


class Tuner:
    """Remembers moves, to bound them."""

    def __init__(self, settings: TuningSettings | None = None) -> None:
        self._settings = settings or TuningSettings()
        self._moves: deque[tuple[float, ServiceId]] = deque()
        self._not_before: dict[ServiceId, float] = {}
        # Who found nothing better: how often in a row on the same version of the map, and when another one helps.
        self._vain: dict[ServiceId, tuple[int, int, float]] = {}

    def decide(
        self, burning: Iterable[Burning], closed: Mapping[str, frozenset[Component]], now: float, version: int = 0
    ) -> tuple[Move, ...]:
        """Return the moves to make now, most urgent first. closed: root of a cause → all that rides on it.

        version: of the map. Who found nothing better is tried on another map sooner than on the same.

        Nobody is led from one worn thing over another: all of `closed` is shunned, so that moves do not go round.
        """
        while self._moves and now - self._moves[0][0] > 3600.0:
            self._moves.popleft()
        left = self._settings.most_an_hour - len(self._moves)
        counts: dict[ServiceId, int] = {}
        for _, sid in self._moves:
            counts[sid] = counts.get(sid, 0) + 1
        wanted = [
            b
            for b in burning
            if (b.fading or b.health in (Health.AT_RISK, Health.VIOLATED))
            and counts.get(b.service, 0) < self._settings.most_of_one
            and now >= self._due(b.service, version)
        ]
        order = sorted(wanted, key=lambda b: (b.tier, b.health is not Health.VIOLATED, not b.fading, b.service))
        once = {b.service: b for b in reversed(order)}  # of several causes the most urgent
        shun = frozenset[Component]().union(*closed.values())
        return tuple(Move(b.service, b.cause, shun) for b in [*reversed(once.values())][: max(0, left)])

    def moved(self, services: Iterable[ServiceId], now: float) -> None:
        """Note moves that were made."""
        for sid in services:
            self._moves.append((now, sid))
            self._vain.pop(sid, None)
            self._not_before[sid] = now + self._settings.rest_s

    def stayed(self, services: Iterable[ServiceId], now: float, version: int = 0) -> None:
        """Note services for which nothing better was found on this version of the map."""
        for sid in services:
            tries, before, _ = self._vain.get(sid, (0, version, now))
            tries = tries if before == version else 0
            self._vain[sid] = (tries + 1, version, now + self._settings.again_s)
            self._not_before[sid] = now + min(self._settings.again_s * 2**tries, self._settings.most_again_s)

    def _due(self, sid: ServiceId, version: int) -> float:
        vain = self._vain.get(sid)
        if vain is not None and vain[1] != version:
            return vain[2]
        return self._not_before.get(sid, float("-inf"))
