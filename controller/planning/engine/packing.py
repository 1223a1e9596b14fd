"""Who of many is to be carried where not all can: a linear program over ways, then whole numbers (HiGHS).

One after the other the first comers take what two others could have had. Here all compete at once: a variable says
how much of a demand takes a way, prices of full links lead to further ways (Dantzig and Wolfe 1960: columns are looked
for where they would improve), and of the ways so found a mixed-integer program takes the best whole choice. Its answer
is a good one, not always the best: ways that only a whole choice would want are never looked for. Two ways kept apart
are priced by a heuristic (delay mixed in until they keep their limits).
The work is bounded by numbers that the caller gives, never by a clock, so equal inputs give equal answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from controller.planning.engine.batch import Ways, limits_of, route
from controller.planning.engine.bounded import cheapest_within, within
from controller.planning.engine.demands import Answers, Demands, Fate
from controller.planning.engine.network import Apart, Floats, Mask, Network
from controller.planning.engine.pairs import PairWish, disjoint_pair
from controller.planning.engine.ragged import Indices, Ragged
from controller.planning.engine.room import Room

NODES_A_ROUND = 40  # of branch and bound
SPARE = 1e-3  # what the time that traffic takes counts beside the traffic that is carried
GAP = 1e-3  # whole choices this near to the bound will do
MIXES = (0.02, 0.3, 2.0)  # delay beside price when pairs are looked for: the first that keeps to its limits
_IMPROVES = 1e-7
_Column = tuple[int, Ways]  # the demand, and how it would be carried


def pack(room: Room, demands: Demands, fences: Sequence[Mask], group: Indices, rounds: int) -> Answers:
    """Choose whom to carry, by rank, and hold it in `room`; who is left out has the fate FULL.

    group: by demand a number; the demands of one are carried all or none, and have one rank. rounds: how often ways
    are looked for, and how far branch and bound goes.
    """
    chosen: dict[int, Ways] = {}
    for rank in np.unique(demands.rank):
        rows = np.flatnonzero(demands.rank == rank)
        _, mine = np.unique(group[rows], return_inverse=True)
        found = _Packing(room, demands.take(rows), list(fences), mine).run(rounds)
        for number in range(int(mine.max()) + 1):
            together = {int(rows[i]): found[i] for i in np.flatnonzero(mine == number).tolist() if i in found}
            if len(together) == np.count_nonzero(mine == number) and _held(room, demands, together):
                chosen |= together
    fate = np.full(len(demands), int(Fate.FULL), dtype=np.int64)
    fate[list(chosen)] = Fate.PLACED
    every = [chosen.get(i, ((), ())) for i in range(len(demands))]
    return Answers(fate, Ragged.of([w for w, _ in every]), Ragged.of([s for _, s in every]))


def _held(room: Room, demands: Demands, wanted: Mapping[int, Ways]) -> bool:
    """Hold what these take, all or nothing: HiGHS counts in floats and lets limits be passed by a hair."""
    held: list[tuple[Indices, int, int, int]] = []
    for i, (working, standby) in wanted.items():
        what = (int(demands.rate_bps[i]), int(demands.first[i]), int(demands.last[i]))
        links = np.array((*working, *standby), dtype=np.int64)
        if not room.fits(links, *what):
            for before, rate, first, last in held:
                room.hold(before, -rate, first, last)
            return False
        room.hold(links, *what)
        held.append((links, *what))
    return True


@dataclass(frozen=True, slots=True)
class _Prices:
    link: Floats  # by period and link: what a share of the rate unit costs there
    demand: Floats  # what it is worth to carry a demand in one more way


@dataclass(slots=True)
class _Packing:
    room: Room
    demands: Demands
    fences: list[Mask]
    group: Indices  # 0..groups-1
    columns: list[_Column] = field(default_factory=list)
    _known: set[_Column] = field(default_factory=set)
    _unit: int = 1  # bit/s that count as 1
    _typical_s: float = 1.0

    def run(self, rounds: int) -> dict[int, Ways]:
        """Return how those are carried who are."""
        self._unit = int(self.demands.rate_bps.max(initial=1))
        self._typical_s = float(self.room.net.search_s.mean()) if self.room.net.links else 1.0
        self._quickest()
        if not self.columns:
            return {}
        for _ in range(rounds):
            prices = self._relaxed()
            if prices is None or not self._price(prices):
                break
        return self._whole(rounds * NODES_A_ROUND)

    def _add(self, row: int, ways: Ways) -> bool:
        if (row, ways) in self._known:
            return False
        self._known.add((row, ways))
        self.columns.append((row, ways))
        return True

    def _quickest(self) -> None:
        """Begin with everybody's own best way, and with what placing one after the other gives."""
        plenty = Room.of(self.room.net, np.full_like(self.room.free, 1 << 60), both_ways=self.room.both_ways)
        for room in (plenty, Room.of(self.room.net, self.room.free, both_ways=self.room.both_ways)):
            found = route(room, self.demands, self.fences)
            for i in np.flatnonzero(found.placed).tolist():
                self._add(i, (tuple(found.working[i].tolist()), tuple(found.standby[i].tolist())))

    @property
    def _size(self) -> int:
        return int(self.group.max(initial=-1)) + 1

    def _table(self) -> tuple[csr_array, Floats, Indices, csr_array, Floats]:
        """Return (load by place and column, room by place, the places, column by demand, costs of the columns).

        A place is a link in a period; groups have columns of their own, after those of the ways.
        """
        given, count = self.demands, len(self.columns)
        rows = np.array([row for row, _ in self.columns], dtype=np.int64)
        ways = Ragged.of([(*w, *s) for _, (w, s) in self.columns])
        who, what = self.room.claims(ways, given.first[rows], given.last[rows])
        places, place = np.unique(what, return_inverse=True)
        rate = given.rate_bps / self._unit
        load = csr_array((rate[rows[who]], (place, who)), shape=(len(places), count + self._size))
        free = np.maximum(self.room.free.reshape(-1)[places], 0) / self._unit
        each = np.concatenate((np.ones(count), -np.ones(len(given))))
        at = (
            np.concatenate((rows, np.arange(len(given)))),
            np.concatenate((np.arange(count), count + self.group)),
        )
        carried = csr_array((each, at), shape=(len(given), count + self._size))
        delay = np.bincount(ways.rows(), self.room.net.search_s[ways.values], minlength=count)
        worth = np.bincount(self.group, rate, minlength=self._size)
        cost: Floats = np.concatenate((SPARE * rate[rows] * delay / self._typical_s, -worth))
        return load, free, places, carried, cost

    def _relaxed(self) -> _Prices | None:
        from scipy.optimize import linprog  # takes a while to import, and most batches never need it

        load, free, places, carried, cost = self._table()
        found = linprog(
            cost, A_ub=load, b_ub=free, A_eq=carried, b_eq=np.zeros(len(self.demands)), bounds=(0, 1), method="highs"
        )
        if found.status != 0:
            return None
        link = np.zeros(self.room.free.size)
        link[places] = np.maximum(-found.ineqlin.marginals, 0.0)
        return _Prices(link.reshape(self.room.free.shape), np.asarray(found.eqlin.marginals))

    def _price(self, prices: _Prices) -> bool:
        """Look for ways that would improve on those known; return whether there are any."""
        given, grown = self.demands, False
        priced: dict[tuple[int, int], _Priced] = {}
        for i in range(len(given)):
            when = (int(given.first[i]), int(given.last[i]))
            if when not in priced:
                priced[when] = _Priced(self.room, self._dues(prices, *when))
            for ways in self._wanted(i, priced[when]):
                delay = sum(self.room.net.search_s[list(way)].sum() for way in ways)
                dues = sum(priced[when].due[list(way)].sum() for way in ways)
                rate = given.rate_bps[i] / self._unit
                improves = rate * (SPARE * delay / self._typical_s + dues) < prices.demand[i] - _IMPROVES
                grown |= self._add(i, ways) and improves  # a whole choice may want what a mixture does not
        return grown

    def _dues(self, prices: _Prices, first: int, last: int) -> Floats:
        due: Floats = prices.link[first:last].sum(axis=0)
        if not self.room.both_ways:
            return due
        back = self.room.net.reverse
        result: Floats = due + np.where(back >= 0, due[back], 0.0)
        return result

    def _wanted(self, i: int, priced: _Priced) -> list[Ways]:
        """Return the cheapest ways of one demand at these prices."""
        given, net = self.demands, self.room.net
        src, dst, apart = int(given.src[i]), int(given.dst[i]), Apart(int(given.apart[i]))
        rate, first, last = int(given.rate_bps[i]), int(given.first[i]), int(given.last[i])
        usable = self.fences[int(given.fence[i])] & self.room.usable(rate, first, last)
        limits = limits_of(given, i)
        if not apart:
            cost = SPARE * net.search_s / self._typical_s + priced.due
            path = cheapest_within(net, src, dst, usable, limits, cost)
            return [] if path is None else [(path, ())]
        found = []
        for mixed in priced.mixed(self._typical_s):
            pair = disjoint_pair(mixed, PairWish(src, dst, apart), usable, exact=False)
            if pair is None:
                break
            if within(net, pair.working, limits) and within(net, pair.standby, limits):
                found.append(in_order(net, (pair.working, pair.standby)))
        return found

    def _whole(self, nodes: int) -> dict[int, Ways]:
        from scipy.optimize import Bounds, LinearConstraint, milp

        load, free, _, carried, cost = self._table()
        found = milp(
            cost, integrality=np.ones(len(cost)), bounds=Bounds(0, 1),
            constraints=[LinearConstraint(load, ub=free), LinearConstraint(carried, 0, 0)],
            options={"node_limit": nodes, "mip_rel_gap": GAP},
        )  # fmt: skip
        if found.x is None:
            return {}
        taken = np.flatnonzero(found.x[: len(self.columns)] > 0.5)
        return dict(self.columns[c] for c in taken.tolist())


@dataclass(slots=True)
class _Priced:
    """The network at the prices of some periods."""

    room: Room
    due: Floats
    _mixed: list[Network] = field(default_factory=list)

    def mixed(self, typical_s: float) -> list[Network]:
        """Return the network with price and delay added up for its delay, with ever more of the delay."""
        net = self.room.net
        if not self._mixed:
            for part in MIXES:
                length = self.due + part * net.search_s / typical_s
                self._mixed.append(Network(net.nodes, net.src, net.dst, length, net.risks, net.reverse))
        return self._mixed


def in_order(net: Network, ways: Ways) -> Ways:
    """Return the quicker of two ways first."""
    one, other = ways
    return ways if net.delay_of(one) <= net.delay_of(other) else (other, one)
