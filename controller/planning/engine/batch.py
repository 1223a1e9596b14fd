"""Many demands at once: by rank, each rank in waves, with capacity held.

A wave takes everybody's quickest way (a pair of ways, where a second one is asked) as if the network were empty: trees
are shared by all demands of one source, pairs by all of one source and destination. Who fits, in order, is admitted
in arrays. Only those who did not fit are then led around what is full, one after the other. Lower ranks see what
higher ones left, so nobody of a higher rank is turned away for a lower one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from controller.planning.engine.bounded import NO_LIMITS, Limits, cheapest_within, within
from controller.planning.engine.cuts import ANY, Claim, Cuts
from controller.planning.engine.demands import ANY_HOPS, Answers, Demands, Fate
from controller.planning.engine.detours import Detours
from controller.planning.engine.network import Apart, Mask, Network, Path
from controller.planning.engine.pairs import PairSearch, PairWish
from controller.planning.engine.ragged import Indices, Ragged
from controller.planning.engine.room import Room

SOURCES_AT_ONCE = 256  # rows of a tree held in memory
Ways = tuple[Path, Path]  # the second is empty where none was asked
Order = npt.NDArray[np.int64]


def route(room: Room, demands: Demands, fences: Sequence[Mask] | None = None, order: Order | None = None) -> Answers:
    """Place demands, holding what they take in `room`; the same arrays give the same answer.

    `fences`: masks of usable links that demands name by number. `order`: who goes before whom inside a rank; the
    largest first where none is given, of equals the first.
    """
    if order is None:
        order = np.lexsort((np.arange(len(demands)), -demands.rate_bps))
    batch = _Batch(room.net, room, demands, [room.net.everything()] if fences is None else list(fences))
    ranks = demands.rank[order]
    for rank in np.unique(ranks):
        batch.run(order[ranks == rank])
    return batch.answers()


@dataclass(slots=True)
class _Batch:
    net: Network
    room: Room
    demands: Demands
    fences: list[Mask]
    fate: Indices = field(init=False)
    _found: list[tuple[Indices, Ragged, Ragged]] = field(default_factory=list)
    _pairs: dict[tuple[int, int, int, int], Ways | None] = field(default_factory=dict)
    _detours: dict[int, Detours] = field(default_factory=dict)
    _cuts: dict[tuple[int, int], Cuts] = field(default_factory=dict)
    _spent: Detours | None = None  # the last one that a single demand was led around with

    def __post_init__(self) -> None:
        self.fate = np.full(len(self.demands), int(Fate.UNDECIDED), dtype=np.int64)

    def answers(self) -> Answers:
        who = np.concatenate([np.zeros(0, np.int64), *(w for w, _, _ in self._found)])
        row = np.zeros(len(self.demands), dtype=np.int64)  # row 0 is empty
        row[who] = np.arange(1, len(who) + 1)
        working, standby = (_stacked([Ragged.of([()]), *parts]).take(row) for parts in self._tables())
        return Answers(self.fate, working, standby)

    def _tables(self) -> tuple[list[Ragged], list[Ragged]]:
        return [f[1] for f in self._found], [f[2] for f in self._found]

    def run(self, rows: Order) -> None:
        """Place demands of one rank, in this order."""
        working, standby = self._as_if_empty(rows)
        open_ = self.fate[rows] == Fate.UNDECIDED
        fitting = np.flatnonzero(open_ & self._in_limits(rows, working, standby))
        who, working, standby = rows[fitting], working.take(fitting), standby.take(fitting)
        given = self.demands
        inside = self.room.admit(_joined(working, standby), given.rate_bps[who], given.first[who], given.last[who])
        self.fate[who[inside]] = Fate.PLACED
        at = np.flatnonzero(inside)
        self._found.append((who[at], working.take(at), standby.take(at)))
        self._one_by_one(rows[self.fate[rows] == Fate.UNDECIDED])

    def _as_if_empty(self, rows: Order) -> tuple[Ragged, Ragged]:
        working = self._quickest(rows)
        given = self.demands
        apart = given.apart[rows]
        self.fate[rows[(working.lengths == 0) & (given.src[rows] != given.dst[rows])]] = Fate.NO_WAY
        if not apart.any():
            return working, Ragged(np.zeros(len(rows) + 1, np.int64), np.zeros(0, np.int64))
        first: list[Indices | Path] = [working[i] for i in range(len(rows))]
        second: list[Path] = [()] * len(rows)
        columns = (given.src[rows], given.dst[rows], apart, given.fence[rows])
        keys = list(zip(*(column.tolist() for column in columns), strict=True))
        for i in np.argsort(given.dst[rows], kind="stable").tolist():  # what is known of one end serves the next
            key = keys[i]
            if key[2] and len(first[i]):
                if key not in self._pairs:
                    self._pairs[key] = self._pair(key, tuple(working[i].tolist()))
                ways = self._pairs[key]
                if ways is None:
                    self.fate[rows[i]] = Fate.NO_PAIR
                else:
                    first[i], second[i] = ways
        return Ragged.of(first), Ragged.of(second)  # type: ignore[arg-type]

    def _quickest(self, rows: Order) -> Ragged:
        """Return everybody's quickest way on the empty network, read out of trees that demands of a source share."""
        given = self.demands
        found: list[Ragged] = []
        where: list[Order] = [np.zeros(0, np.int64)]
        for fence in np.unique(given.fence[rows]):
            here = np.flatnonzero(given.fence[rows] == fence)
            sources, which = np.unique(given.src[rows[here]], return_inverse=True)
            for low in range(0, len(sources), SOURCES_AT_ONCE):
                these = here[(which >= low) & (which < low + SOURCES_AT_ONCE)]
                row = which[(which >= low) & (which < low + SOURCES_AT_ONCE)] - low
                _, before, best = self.net.tree(sources[low : low + SOURCES_AT_ONCE], self.fences[int(fence)])
                ways = self.net.walks(row, given.src[rows[these]], given.dst[rows[these]], before, best)
                found.append(ways)
                where.append(these)
        place = np.argsort(np.concatenate(where), kind="stable")
        return _stacked([Ragged.of([]), *found]).take(place)

    def _pair(self, key: tuple[int, int, int, int], quickest: Path) -> Ways | None:
        src, dst, kind, fence = key
        detours = self._detours_of(fence)
        wish = PairWish(src, dst, Apart(kind), eager=True)
        pair = PairSearch(self.net, wish, detours, detours, self._cuts_of(kind, fence)).run(quickest)
        return None if pair is None else (pair.working, pair.standby)

    def _detours_of(self, fence: int) -> Detours:
        if fence not in self._detours:
            self._detours[fence] = Detours(self.net, self.fences[fence])
        return self._detours[fence]

    def _cuts_of(self, kind: int, fence: int) -> Cuts:
        if (kind, fence) not in self._cuts:
            symmetrical = self.room.both_ways and self._detours_of(fence).symmetrical
            self._cuts[kind, fence] = Cuts(symmetrical=symmetrical)
        return self._cuts[kind, fence]

    def _in_limits(self, rows: Order, working: Ragged, standby: Ragged) -> Mask:
        """Say whose ways keep to their limits; the quickest way of all is late for good."""
        given = self.demands
        delay = _sums(working, self.net.delay_s)
        late = delay > given.budget_s[rows] + 1e-12
        alone = standby.lengths == 0
        self.fate[rows[late & alone & (self.fate[rows] == Fate.UNDECIDED)]] = Fate.LATE
        good = ~late & (_sums(standby, self.net.delay_s) <= given.budget_s[rows] + 1e-12)
        for ways in (working, standby):
            good &= ways.lengths <= given.hops[rows]
            if (given.loss_ratio[rows] < 1).any():
                good &= -np.expm1(-_sums(ways, self.net.loss)) <= given.loss_ratio[rows] + 1e-12
        return good

    def _one_by_one(self, rows: Order) -> None:
        """Lead those who are left around what is full."""
        who, working, standby = [], [], []
        for i in rows.tolist():
            ways = self._around(i)
            if isinstance(ways, Fate):
                self.fate[i] = ways
                continue
            self.fate[i] = Fate.PLACED
            who.append(i)
            working.append(ways[0])
            standby.append(ways[1])
        if who:
            self._found.append((np.array(who, dtype=np.int64), Ragged.of(working), Ragged.of(standby)))

    def _around(self, i: int) -> Ways | Fate:
        given = self.demands
        rate, first, last = int(given.rate_bps[i]), int(given.first[i]), int(given.last[i])
        fence = self.fences[int(given.fence[i])]
        ways = self._search(i, fence & self.room.usable(rate, first, last), Claim(rate, first, last))
        if ways is None:
            return Fate.FULL if self._ever(i, fence) else Fate.LATE
        self.room.hold(np.array((*ways[0], *ways[1]), dtype=np.int64), rate, first, last)
        return ways

    def _ever(self, i: int, fence: Mask) -> bool:
        """Whether ways would serve if the network were empty."""
        ends = (int(getattr(self.demands, name)[i]) for name in ("src", "dst", "apart", "fence"))
        known, limits = self._pairs.get(tuple(ends)), limits_of(self.demands, i)  # type: ignore[arg-type]
        if known is not None and all(within(self.net, way, limits) for way in known):
            return True
        return self._search(i, fence, ANY) is not None

    def _search(self, i: int, usable: Mask, claim: Claim) -> Ways | None:
        given = self.demands
        src, dst, apart = int(given.src[i]), int(given.dst[i]), Apart(int(given.apart[i]))
        limits = limits_of(given, i)
        if not apart:
            path = cheapest_within(self.net, src, dst, usable, limits)
            return None if path is None else (path, ())
        return self._two(PairWish(src, dst, apart, NO_LIMITS, eager=True), limits, usable, claim, int(given.fence[i]))

    def _two(self, wish: PairWish, limits: Limits, usable: Mask, claim: Claim, fence: int) -> Ways | None:
        """Look for any pair first: most keep to their limits, and what parts the ends is known from other searches."""
        ways, cuts = Detours(self.net, usable, self._spent), self._cuts_of(int(wish.apart), fence)
        self._spent = ways
        pair = PairSearch(self.net, wish, ways, ways, cuts, claim).run()
        if pair is not None and not all(within(self.net, way, limits) for way in (pair.working, pair.standby)):
            pair = PairSearch(self.net, replace(wish, limits=limits), ways, ways, cuts, claim).run()
        return None if pair is None else (pair.working, pair.standby)


def limits_of(given: Demands, i: int) -> Limits:
    """Return what the ways of one demand are to keep to."""
    budget, hops, loss = float(given.budget_s[i]), int(given.hops[i]), float(given.loss_ratio[i])
    return Limits(None if np.isinf(budget) else budget, None if hops >= ANY_HOPS else hops, None if loss >= 1 else loss)


def _joined(one: Ragged, other: Ragged) -> Ragged:
    if not len(other.values):
        return one
    return Ragged.by(np.concatenate((one.rows(), other.rows())), np.concatenate((one.values, other.values)), len(one))


def _stacked(tables: Sequence[Ragged]) -> Ragged:
    starts = np.concatenate([[0], np.cumsum(np.concatenate([t.lengths for t in tables]))])
    return Ragged(starts, np.concatenate([t.values for t in tables]))


def _sums(ways: Ragged, metric: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.bincount(ways.rows(), metric[ways.values], minlength=len(ways)).astype(np.float64)
