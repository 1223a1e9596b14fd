"""Light that fades: how the margins of wavelengths move, when they run out, and which fibre is to blame.

A line needs its margin (OSNR over what the mode requires) for what it cannot foresee; without any, the code corrects no
more and the circuit is dark at once. Until then no packet is lost: only the margin tells. Pure; times are arguments in
monotonic seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.assurance.causes import Cause, Routes
from controller.assurance.components import Component

SPENT_DB = 0.5  # critical: a line without margin
POOR_DB = 1.0  # major: not to be relied on, whether it still falls or not
FALLEN_DB = 1.0  # below its best by this, a margin has fallen and not wavered
LEAST_FALL_DB = 0.3  # within a trend, beyond what measurements waver
NEWEST = (5, 10, 20, 30)  # samples of which a trend is asked
SURE = 4.0  # slopes this many times greater than their error are trends


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a margin is kept, how many of them, and how far the line through them is believed."""

    every_s: float
    samples: int
    horizon_s: float


PACES = (Pace(0.9, 30, 60.0), Pace(60.0, 120, 7200.0))  # what fails within a minute, and within hours


class Margin:
    """The margin of one wavelength over time, in bounded memory."""

    __slots__ = ("_kept", "best_db", "now_db", "route")

    def __init__(self, route: tuple[str, ...]) -> None:
        self.route = route
        self.best_db = self.now_db = float("nan")
        self._kept: tuple[deque[tuple[float, float]], ...] = tuple(deque(maxlen=p.samples) for p in PACES)

    def take(self, margin_db: float, at: float) -> None:
        self.now_db = margin_db
        self.best_db = margin_db if self.best_db != self.best_db else max(self.best_db, margin_db)
        for kept, pace in zip(self._kept, PACES, strict=True):
            if not kept or at - kept[-1][0] >= pace.every_s:
                kept.append((at, margin_db))

    @property
    def fell_db(self) -> float:
        return self.best_db - self.now_db

    def spent_in_s(self) -> float | None:
        """Return after how many seconds this trend leaves no margin; None where it does not fall for certain."""
        if self.now_db <= SPENT_DB:
            return 0.0
        if self.fell_db < LEAST_FALL_DB:
            return None  # most are as bright as ever
        due = (spent_in_s(kept, pace.horizon_s) for kept, pace in zip(self._kept, PACES, strict=True))
        return min((d for d in due if d is not None), default=None)


def spent_in_s(samples: Iterable[tuple[float, float]], horizon_s: float) -> float | None:
    """Return after how many seconds the line through (time, margin) ends at SPENT_DB; None beyond the horizon.

    Light fades faster and faster (noise behind a span grows with its loss in dB) and may begin to at any moment: the
    newest few samples are asked as well as the older ones with them, and the soonest end counts.
    """
    held = np.array(list(samples))
    found = (_spent_in_s(held[-newest:], horizon_s) for newest in NEWEST if newest <= len(held))
    return min((due for due in found if due is not None), default=None)


def _spent_in_s(held: NDArray[np.float64], horizon_s: float) -> float | None:
    at, margin = held[:, 0] - held[-1, 0], held[:, 1]
    if margin[0] - margin[-1] < LEAST_FALL_DB:
        return None
    spread = at - at.mean()
    slope = float(spread @ margin / (spread @ spread))
    rest = margin - margin.mean() - slope * spread
    error = float(np.sqrt(rest @ rest / (len(held) - 2) / (spread @ spread)))
    if slope >= 0 or -slope < SURE * error:
        return None
    due = (float(margin.mean() - slope * at.mean()) - SPENT_DB) / -slope
    return max(0.0, due) if due <= horizon_s else None


@dataclass(frozen=True, slots=True)
class Light:
    """How a wavelength is. `alarmed`: its equipment complains of margin or errors."""

    route: tuple[str, ...]
    margin_db: float | None
    fell_db: float
    spent_in_s: float | None
    alarmed: bool

    @property
    def at_risk(self) -> bool:
        """Whether it had better be left: next to nothing is left, or soon will be."""
        return self.spent_in_s is not None or (self.margin_db is not None and self.margin_db < POOR_DB)

    @property
    def suffers(self) -> bool:
        return self.alarmed or self.at_risk or self.fell_db >= FALLEN_DB


def fading(
    lights: Mapping[str, Light], worn: Set[str], riders: Mapping[str, frozenset[Component]]
) -> tuple[Cause, ...]:
    """Return what lets light fade: fibres that say so (`worn`) or that all suffering wavelengths share, else each.

    lights: by circuit. riders: circuit → what is carried in its light, as components. A fibre under a wavelength that
    is as bright as ever is not to blame; one that a single wavelength crosses cannot be told from its transponder.
    """
    left = {c for c, light in lights.items() if light.suffers}
    over: dict[str, set[str]] = {}
    for circuit, light in lights.items():
        for fibre in light.route:
            over.setdefault(fibre, set()).add(circuit)
    found = []
    for fibre in sorted(worn):
        explained = over.get(fibre, set()) & left
        found.append(_fibre(fibre, explained, lights, riders))
        left -= explained
    # What only fell a little, and far from its limit, accuses nobody: it is a witness.
    charged = {c for c in left if lights[c].alarmed or lights[c].at_risk}
    guilty = {f for f, circuits in over.items() if len(circuits) > 1 and circuits <= left and circuits & charged}
    while guilty and charged:
        worst = min(guilty, key=lambda f: (-len(over[f] & left), f))
        explained = over[worst] & left
        if explained & charged:
            found.append(_fibre(worst, explained, lights, riders))
        left, charged = left - explained, charged - explained
        guilty.discard(worst)
    for circuit in sorted(charged):
        members = frozenset({f"circuit:{circuit}"}) | riders.get(circuit, frozenset())
        risk = members if lights[circuit].at_risk else frozenset[Component]()
        title = f"circuit {circuit} has lost its margin and what shares its fibres has not: a transponder ages"
        found.append(Cause(f"circuit:{circuit}", "degraded", title, members, risk, felt=False))
    return tuple(found)


def _fibre(
    fibre: str, circuits: Set[str], lights: Mapping[str, Light], riders: Mapping[str, frozenset[Component]]
) -> Cause:
    members, risk = {f"fibre:{fibre}"}, set[Component]()
    for circuit in circuits:
        mine = {f"circuit:{circuit}", *riders.get(circuit, ())}
        members |= mine
        risk |= mine if lights[circuit].at_risk else set()
    title = f"fibre {fibre} loses more light than it should"
    return Cause(f"fibre:{fibre}", "degraded", title, frozenset(members), frozenset(risk), felt=False)


def joined(felt: Iterable[Cause], fading_away: Iterable[Cause]) -> tuple[Cause, ...]:
    """Return one cause for each root, of what packets feel and of what light tells; sorted by root."""
    found: dict[str, Cause] = {}
    for cause in (*felt, *fading_away):
        known = found.get(cause.root)
        if known is None:
            found[cause.root] = cause
            continue
        found[cause.root] = Cause(
            cause.root,
            known.kind,
            known.title,
            known.members | cause.members,
            known.at_risk | cause.at_risk,
            felt=known.felt or cause.felt,
        )
    return tuple(found[root] for root in sorted(found))


def riders_of(
    routes: Routes, links: Iterable[tuple[str, str | None]], odus: Iterable[tuple[str, str]]
) -> dict[str, frozenset[Component]]:
    """Return circuit → the IP links and ODU links in its light. links: (id, circuit); odus: (id, server circuit)."""
    found: dict[str, set[Component]] = {c: set() for c in routes}
    for link, circuit in links:
        if circuit in found:
            found[circuit].add(f"link:{link}")
    for odu, circuit in odus:
        if circuit in found:
            found[circuit].add(f"odu:{odu}")
    return {c: frozenset(r) for c, r in found.items()}
