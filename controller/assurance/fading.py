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
LOSSY_DB = 0.5  # a span that loses so much more than it was built with is not as it was
WAVERS_DB = 0.5  # what light loses may be told to be more than its fibre loses by this
SAME_KM = 1.0  # wavelengths that became longer by as much, give or take this, became so together
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
    """The margin of one wavelength over time, and the power that arrives, in bounded memory."""

    __slots__ = ("_due", "_kept", "best_db", "best_dbm", "now_db", "now_dbm", "route")

    def __init__(self, route: tuple[str, ...]) -> None:
        self.route = route
        self.best_db = self.now_db = float("nan")
        self.best_dbm: float | None = None
        self.now_dbm: float | None = None
        self._kept: tuple[deque[tuple[float, float]], ...] = tuple(deque(maxlen=p.samples) for p in PACES)
        self._due = [float("-inf"), float("-inf")]  # the next is kept from then on

    def take(self, margin_db: float, at: float) -> None:
        self.now_db = margin_db
        if not margin_db <= self.best_db:  # also where there was none yet
            self.best_db = margin_db
        if at >= self._due[0]:
            self._kept[0].append((at, margin_db))
            self._due[0] = at + PACES[0].every_s
        if at >= self._due[1]:
            self._kept[1].append((at, margin_db))
            self._due[1] = at + PACES[1].every_s

    def take_power(self, power_dbm: float | None) -> None:
        self.now_dbm = power_dbm
        if power_dbm is not None:
            self.best_dbm = power_dbm if self.best_dbm is None else max(self.best_dbm, power_dbm)

    @property
    def falls(self) -> bool:
        """Whether there may be a trend in it at all: most margins are as they ever were."""
        return self.fell_db >= LEAST_FALL_DB or (self.now_db <= SPENT_DB and self.fell_db > 0)

    @property
    def fell_db(self) -> float:
        return self.best_db - self.now_db

    @property
    def weaker_db(self) -> float:
        """Return by how much less power arrives than at best; 0 where it is not measured."""
        return 0.0 if self.best_dbm is None or self.now_dbm is None else self.best_dbm - self.now_dbm

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
    """How a wavelength is. `alarmed`: its equipment or its receiver complains of margin, power or errors.

    weaker_db: by how much less power arrives than at best. faint: there is hardly enough of it.
    """

    route: tuple[str, ...]
    margin_db: float | None
    fell_db: float
    spent_in_s: float | None
    alarmed: bool
    weaker_db: float = 0.0
    faint: bool = False

    @property
    def at_risk(self) -> bool:
        """Whether it had better be left: next to nothing is left, or soon will be."""
        poor = self.margin_db is not None and self.margin_db < POOR_DB
        return self.spent_in_s is not None or poor or self.faint

    @property
    def suffers(self) -> bool:
        return self.alarmed or self.at_risk or self.fell_db >= FALLEN_DB

    @property
    def lost_db(self) -> float:
        """Return what a fibre would have to lose at least, to be the reason: light never fades by more than that."""
        return max(self.fell_db, self.weaker_db)


def fading(
    lights: Mapping[str, Light],
    worn: Set[str],
    riders: Mapping[str, frozenset[Component]],
    more_db: Mapping[str, float] | None = None,
) -> tuple[Cause, ...]:
    """Return what lets light fade: fibres that say so (`worn`) or that all suffering wavelengths share, else each.

    lights: by circuit. riders: circuit → what is carried in its light, as components. more_db: what line equipment
    measures of fibres, over what they were built with; fibres that nobody measures are missing. A fibre under a
    wavelength that is as bright as ever is not to blame, nor is one that loses less than the light that is missing.
    """
    excess = more_db or {}
    left = {c for c, light in lights.items() if light.suffers}
    over: dict[str, set[str]] = {}
    for circuit, light in lights.items():
        for fibre in light.route:
            over.setdefault(fibre, set()).add(circuit)
    found = []
    for fibre in sorted(worn):
        explained = {c for c in over.get(fibre, set()) & left if _explains(excess.get(fibre), lights[c])}
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
    suspected = {f for c in charged for f in lights[c].route}
    suspected = {f for f in suspected if over[f] <= charged}
    for circuit in sorted(charged):
        suspects = [f for f in lights[circuit].route if f in suspected]
        found.append(_alone(circuit, suspects, lights, riders, excess))
    return tuple(found)


def _explains(more_db: float | None, light: Light) -> bool:
    return more_db is None or more_db >= light.lost_db - WAVERS_DB


def _alone(
    circuit: str,
    suspects: list[str],
    lights: Mapping[str, Light],
    riders: Mapping[str, frozenset[Component]],
    excess: Mapping[str, float],
) -> Cause:
    """Return the cause of a wavelength that fades with no other over the fibres suspected: line equipment decides.

    Where a suspected fibre is not measured and no other one loses light, both that and the transponder are named.
    """
    light = lights[circuit]
    lossy = [f for f in suspects if excess.get(f, 0.0) >= LOSSY_DB and _explains(excess[f], light)]
    if lossy:
        return _fibre(max(lossy, key=lambda f: (excess[f], f)), {circuit}, lights, riders)
    unseen = [f for f in suspects if f not in excess]
    members = frozenset({f"circuit:{circuit}"}) | riders.get(circuit, frozenset())
    risk = members if light.at_risk else frozenset[Component]()
    if unseen:
        fibres = " or ".join(f"fibre {f}" for f in unseen)
        title = f"circuit {circuit} loses its light: its transponder or {fibres}, which nobody measures"
        members |= {f"fibre:{f}" for f in unseen}
    else:
        title = f"circuit {circuit} loses its light and its fibres do not: its transponder, or the patch cord to it"
    return Cause(f"circuit:{circuit}", "degraded", title, members, risk, felt=False)


def spoilt(
    circuits: Mapping[str, tuple[str, ...]],
    routes: Routes,
    riders: Mapping[str, frozenset[Component]],
    known: Iterable[Cause],
) -> tuple[Cause, ...]:
    """Return what spoils the frames of wavelengths whose codes give up, beside what is `known` to wear light out.

    circuits: those that lose blocks, with their fibres. A fibre or wavelength known to be worn spoils what crosses it;
    else it is a fibre that several wavelengths share, all of which suffer, or each one's own equipment.
    """
    left, over = set(circuits), dict[str, set[str]]()
    for circuit, route in routes.items():
        for fibre in route:
            over.setdefault(fibre, set()).add(circuit)
    found = []
    for cause in known:
        kind, _, name = cause.root.partition(":")
        explained = left & (over.get(name, set()) if kind == "fibre" else {name})
        if explained:
            mine = _cause(cause.root, cause.title, explained, riders)
            found.append(Cause(cause.root, cause.kind, cause.title, cause.members | mine.members, cause.at_risk))
            left -= explained
    guilty = {f for f, crossing in over.items() if len(crossing) > 1 and crossing <= left}
    while guilty:
        worst = min(guilty, key=lambda f: (-len(over[f] & left), f))
        if over[worst] & left:
            title = f"fibre {worst} spoils more frames than any code corrects"
            found.append(_cause(f"fibre:{worst}", title, over[worst] & left, riders))
        left -= over[worst]
        guilty.discard(worst)
    for circuit in sorted(left):
        alone = any(over[f] == {circuit} for f in circuits[circuit])
        title = f"circuit {circuit} spoils more frames than its code corrects: its line cards"
        title += ", or a fibre that is under it alone" if alone else ""
        found.append(_cause(f"circuit:{circuit}", title, {circuit}, riders))
    return tuple(found)


def longer(
    by_km: Mapping[str, float],
    routes: Routes,
    riders: Mapping[str, frozenset[Component]],
    more_db: Mapping[str, float],
) -> tuple[Cause, ...]:
    """Return what became longer without a word: fibres that all wavelengths over them show, or single wavelengths.

    by_km: circuit → how much further its light runs than it did, by its dispersion. A fibre under a single wavelength
    is blamed where it loses more light than it was built with: another route of the wavelength would not show there.
    """
    over: dict[str, set[str]] = {}
    for circuit, route in routes.items():
        for fibre in route:
            over.setdefault(fibre, set()).add(circuit)
    found, left = [], {c for c in by_km if c in routes}
    shared = {f for f, crossing in over.items() if crossing <= left and (len(crossing) > 1 or _lossy(f, more_db))}
    while shared:
        worst = min(shared, key=lambda f: (not _lossy(f, more_db), -len(over[f]), f))
        together = over[worst] & left
        lengths = [by_km[c] for c in together]
        if together and max(lengths) - min(lengths) <= SAME_KM:
            title = f"fibre {worst} is {sum(lengths) / len(lengths):.0f} km longer than it was, and nobody said so"
            found.append(_cause(f"fibre:{worst}", title, together, riders, felt=False))
            left -= together
        shared.discard(worst)
    for circuit in sorted(left):
        title = f"circuit {circuit} runs another way than its domain tells: {by_km[circuit]:+.0f} km"
        found.append(_cause(f"circuit:{circuit}", title, {circuit}, riders, felt=False))
    return tuple(found)


def _lossy(fibre: str, more_db: Mapping[str, float]) -> bool:
    return more_db.get(fibre, 0.0) >= LOSSY_DB


def _cause(
    root: str, title: str, circuits: Set[str], riders: Mapping[str, frozenset[Component]], *, felt: bool = True
) -> Cause:
    members = {root, *(f"circuit:{c}" for c in circuits), *(r for c in circuits for r in riders.get(c, ()))}
    return Cause(root, "degraded", title, frozenset(members), felt=felt)


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
