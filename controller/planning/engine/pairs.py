"""Two ways that nothing takes down together, exactly and also where the quickest way traps the second.

Removing what the quickest way shares may leave no second way although a pair exists. Then some of its elements
(risks, cables, nodes) already part source and destination; every pair's working way lacks one of these, so each is in
turn forbidden to it (conflict exclusion: Rostami, Khorsandi, Khodaparast 2007). A way that has a second one is in turn
left by each of its elements: a working way that keeps them all cannot have a better second. So nothing is missed; the
sum of two ways without a common link (Suurballe 1974) bounds from below and often ends the search at once.
Disjointness by shared risks is NP-hard (Hu 2003): the search stops after a number of branches. Where it has met no
pair until then an exact program decides (`exact.py`), so that no pair is denied that exists.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.planning.engine.bounded import NO_LIMITS, Limits, bounds_of
from controller.planning.engine.cuts import ANY, Claim, Cuts, crossing, smallest_cover
from controller.planning.engine.detours import Detours
from controller.planning.engine.exact import Question, decide
from controller.planning.engine.network import NO_WAY, Apart, Mask, Network, Path
from controller.planning.engine.ragged import Indices

MOST_BRANCHES = 256  # sets of forbidden elements that one search may try


@dataclass(frozen=True, slots=True)
class Pair:
    """Delays in seconds; where both may use the same links the quicker is the working one."""

    working: Path
    standby: Path
    working_s: float
    standby_s: float


@dataclass(frozen=True, slots=True)
class PairWish:
    """Both ways are to keep to the limits. `eager`: the first pair that does will do."""

    src: int
    dst: int
    apart: Apart = Apart.LINKS | Apart.RISKS
    limits: Limits = NO_LIMITS
    eager: bool = False


def disjoint_pair(
    net: Network, wish: PairWish, usable: Mask, standby_usable: Mask | None = None, most: int = MOST_BRANCHES,
    *, exact: bool = True,
) -> Pair | None:  # fmt: skip
    """Return the pair with the least total delay, or after `most` branches the best met; None where there is none.

    `exact`: where none was met in `most` branches, look on; raises GaveUpError where that proves nothing either.
    """
    ways = Detours(net, usable)
    seconds = ways if standby_usable is None else Detours(net, standby_usable)
    search = PairSearch(net, wish, ways, seconds, Cuts(symmetrical=ways.symmetrical), most=most)
    pair = search.run()
    if pair is not None or not search.gave_up or not exact:
        return pair
    second = usable if standby_usable is None else standby_usable
    bounds = bounds_of(net, wish.limits)
    found = decide(net, Question(wish.src, wish.dst, usable, second, wish.apart, bounds))
    if found is None:
        return None
    one, other = found
    if search.alike and net.delay_of(other) < net.delay_of(one):
        one, other = other, one
    return Pair(one, other, net.delay_of(one), net.delay_of(other))


@dataclass(slots=True)
class PairSearch:
    """One search; `ways` and `seconds` are the same where working and standby may use the same links."""

    net: Network
    wish: PairWish
    ways: Detours
    seconds: Detours
    cuts: Cuts
    claim: Claim = ANY
    most: int = MOST_BRANCHES
    best: Pair | None = None
    least_s: float | None = None  # no pair is quicker; looked for once it matters
    gave_up: bool = False  # branches were left when it ended

    @property
    def alike(self) -> bool:
        return self.ways is self.seconds

    def run(self, first: Path = ()) -> Pair | None:
        """Return the best pair; `first` is the quickest way where the caller knows it."""
        net, wish = self.net, self.wish
        if self.cuts.parting(wish.src, wish.dst, (), self.claim) is not None:
            return None
        first = first or self._way(self.ways, ())
        quickest = first if self.alike else self._way(self.seconds, ())
        if not first or not quickest:
            return None
        floor_s = net.delay_of(quickest)  # no standby is quicker
        queue: list[tuple[float, tuple[int, ...], Path]] = [(net.delay_of(first), (), first)]
        seen: set[frozenset[int]] = {frozenset()}
        while queue and len(seen) <= self.most:
            working_s, forbidden, working = heapq.heappop(queue)
            if self._is_best(working_s + floor_s):
                break
            elements = self._branches(working, working_s, not forbidden)
            if self._is_best(0.0):
                break
            for element in elements:
                more = frozenset((*forbidden, element))
                if more in seen:
                    continue
                seen.add(more)
                keys = tuple(sorted(more))
                path = self._way(self.ways, keys)
                if path:
                    heapq.heappush(queue, (net.delay_of(path), keys, path))
        self.gave_up = bool(queue) and len(seen) > self.most
        return self.best

    def _branches(self, working: Path, working_s: float, root: bool) -> Iterable[int]:
        """Look for the second way, and return the elements of which a better working way lacks one."""
        wish = self.wish
        elements = self.net.elements(wish.apart).on(wish.src, wish.dst, working)
        cut = self.cuts.parting(wish.src, wish.dst, elements, self.claim)
        if cut is None:
            blocked = self._links(elements)
            standby, reached = self.seconds.within(wish.src, wish.dst, wish.limits, blocked)
            if standby:
                self._keep(working, working_s, standby)
                return elements
            cut = self._late(elements) if reached is None else self._learned(elements, reached)
        return () if root and len(cut) == 1 and self.alike else sorted(cut)  # else every way has it

    def _links(self, elements: Iterable[int]) -> Indices:
        return self.net.elements(self.wish.apart).having(elements)

    def _way(self, ways: Detours, elements: Iterable[int]) -> Path:
        """Return the quickest way within the limits that has none of the elements."""
        return ways.within(self.wish.src, self.wish.dst, self.wish.limits, self._links(elements))[0]

    def _learned(self, elements: Iterable[int], reached: Mask) -> frozenset[int]:
        """Return few of the elements that already part the two ends, none of them to spare."""
        net, wish = self.net, self.wish
        # Those on every link that leads out of what is reached do; around them fewer may.
        out = crossing(net.src, net.dst, self.seconds.usable, reached)
        cut = smallest_cover(out, net.elements(wish.apart).of, frozenset(elements))
        for element in sorted(cut) if len(cut) > 1 else ():
            fewer = self.seconds.within(wish.src, wish.dst, NO_LIMITS, self._links(cut - {element}))[1]
            if fewer is not None:
                cut, reached = cut - {element}, fewer
        if self.alike:
            self.cuts.learn(cut, reached, self.claim)
        return cut

    def _late(self, elements: Sequence[int]) -> frozenset[int]:
        """Return few of the elements without which no way keeps to the limits, by halving (Junker 2004)."""
        kept: list[int] = []
        size = len(elements)  # without the first `size` elements and those kept there is none
        while not kept or self._way(self.seconds, kept):
            low, high = 0, size  # without the first `high` there is none
            while high - low > 1:
                middle = (low + high) // 2
                if self._way(self.seconds, (*elements[:middle], *kept)):
                    low = middle
                else:
                    high = middle
            kept.append(elements[high - 1])
            size = high - 1
        return frozenset(kept)

    def _is_best(self, next_s: float) -> bool:
        """Whether what was found is as good as anything still to come, given that no pair takes less than `next_s`."""
        if self.best is None:
            return False
        if self.least_s is None:
            self.least_s = self._least_s() if self.alike and not self.wish.eager else 0.0
        return self.wish.eager or max(next_s, self.least_s) >= self.best.working_s + self.best.standby_s - 1e-12

    def _keep(self, working: Path, working_s: float, standby: Path) -> None:
        standby_s = self.net.delay_of(standby)
        if self.alike and standby_s < working_s:
            working, standby, working_s, standby_s = standby, working, standby_s, working_s
        if self.best is None or working_s + standby_s < self.best.working_s + self.best.standby_s:
            self.best = Pair(working, standby, working_s, standby_s)

    def _least_s(self) -> float:
        """Return what two ways without a common directed link take together (Suurballe 1974)."""
        net, wish, usable = self.net, self.wish, self.ways.usable
        distance, before, best = net.tree(wish.src, usable)
        first = list(net.walk(wish.dst, before, best))
        reached = np.isfinite(distance)
        known = np.where(reached, distance, 0.0)
        reduced = np.maximum(net.search_s + known[net.src] - known[net.dst], 0.0)
        residual = usable & reached[net.src]
        residual[first] = False
        ends = {(int(net.dst[i]), int(net.src[i])) for i in first}
        back = [i for a, z in ends for i in net.between(a, z)]
        reduced[back], residual[back] = 0.0, True
        second = net.tree(wish.src, residual, reduced)[0]
        total = float(2 * distance[wish.dst] + second[wish.dst])
        return total if np.isfinite(total) else NO_WAY
