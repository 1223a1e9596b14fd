"""Ways that keep several limits at once: latency, jitter, loss, hops, and the reach of light.

Each limit is a sum over the links of a way, so the quickest way may break one that another way keeps. The quickest is
tried first, which is all that most requests cost; else Pareto labels are set (Martins 1984), led by what each limit
takes at least from every node to the destination (A*Prune, Liu and Ramakrishnan 2001). Pairs branch as `Graph.
disjoint_pair` does, over what the two may not share: cables, ducts, nodes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
import numpy.typing as npt

from controller.intent.model import Disjointness
from controller.planning.draft import CannotPlaceError
from controller.planning.engine.exact import GaveUpError, Question, decide
from controller.planning.paths import Apart, Graph, Mask, Pair, Path

Floats = npt.NDArray[np.float64]
Vector = tuple[float, ...]
Fits = Callable[[Vector], bool]  # of the sums over a way, or a part of one: never true again once it is false

MAX_BRANCHES = 256  # sets that may be excluded in turn; where that finds no pair, an exact program decides
_APART = {Disjointness.LINK: Apart.LINKS, Disjointness.SRLG: Apart.RISKS, Disjointness.NODE: Apart.NODES}
MOST_LABELS = 20_000  # partial ways that one search may extend; beyond that an exact program decides
DISJOINT = (Disjointness.SRLG,)
Shared = tuple[str, int]  # ("risk" | "cable" | "node", number)


@dataclass(frozen=True, slots=True)
class Burdens:
    """What a way over each edge of a graph adds to every sum: shape (edges, sums), the first column its delay.

    `cable`: one number for both directions of an edge.
    """

    graph: Graph
    sums: Floats
    cable: npt.NDArray[np.int64]

    def of(self, path: Iterable[int]) -> Vector:
        rows = self.sums[list(path)]
        return tuple(float(x) for x in rows.sum(axis=0)) if len(rows) else (0.0,) * self.sums.shape[1]

    def least_to(self, dst: int, usable: Mask) -> Floats:
        """Return what every sum comes to at least from each node to one, shape (nodes, sums); inf: no way."""
        graph, sums = self.graph, self.sums[usable]
        src, to = graph.src[usable], graph.dst[usable]
        least = np.full((len(graph.nodes), self.sums.shape[1]), np.inf)
        least[dst] = 0.0
        for _ in graph.nodes:
            before = least.copy()
            np.minimum.at(least, src, before[to] + sums)
            if np.array_equal(before, least):
                break
        return least


class _UnsureError(Exception):
    """A search ended before it had looked at everything."""


def best_way(burdens: Burdens, src: str, dst: str, usable: Mask, fits: Fits, most: Vector = ()) -> Path | None:
    """Return the quickest way whose sums all fit; () where source is destination, None where there is none.

    most: what of `fits` bounds each sum by itself. Raises CannotPlaceError where the question could not be decided.
    """
    try:
        return _way(burdens, src, dst, usable, fits)
    except _UnsureError:
        found = _decided(burdens, src, dst, (usable, usable), fits, most, Apart.NOTHING)
        return None if found is None else found[0]


def _decided(
    burdens: Burdens, src: str, dst: str, masks: tuple[Mask, Mask], fits: Fits, most: Vector, kinds: Apart
) -> tuple[Path, ...] | None:
    graph = burdens.graph
    bounds = [(burdens.sums[:, i], m) for i, m in enumerate(most) if np.isfinite(m)]
    asked = Question(
        graph.node_index[src], graph.node_index[dst], *masks, kinds, bounds, lambda path: fits(burdens.of(path))
    )
    try:
        return decide(graph.net, asked)
    except GaveUpError:
        what = "pair of ways" if kinds else "way"
        raise CannotPlaceError(
            f"whether any {what} from {src} to {dst} keeps every limit could not be decided; "
            "ask for less of them at once"
        ) from None


def _way(burdens: Burdens, src: str, dst: str, usable: Mask, fits: Fits) -> Path | None:
    graph = burdens.graph
    quickest = graph.shortest(src, dst, usable)
    if not quickest or fits(burdens.of(quickest)):
        return quickest
    return _labels(burdens, graph.node_index[src], graph.node_index[dst], usable, fits)


@dataclass(slots=True)
class _Label:
    sums: Vector
    node: int
    edge: int
    before: _Label | None

    def path(self) -> Path:
        found: list[int] = []
        label: _Label | None = self
        while label is not None and label.edge >= 0:
            found.append(label.edge)
            label = label.before
        return tuple(reversed(found))


def _labels(burdens: Burdens, src: int, dst: int, usable: Mask, fits: Fits) -> Path | None:
    least = burdens.least_to(dst, usable)
    if not np.isfinite(least[src]).all() or not fits(tuple(least[src].tolist())):
        return None
    rest, sums = least.tolist(), burdens.sums.tolist()
    leaving: dict[int, list[int]] = {}
    for i in np.flatnonzero(usable).tolist():
        leaving.setdefault(int(burdens.graph.src[i]), []).append(i)
    heads = burdens.graph.dst.tolist()
    done: dict[int, list[Vector]] = {}
    heap = [(rest[src][0], 0, _Label((0.0,) * len(rest[src]), src, -1, None))]
    made = 0
    while heap:
        _, _, label = heapq.heappop(heap)
        if label.node == dst:
            return label.path()
        if _dominated(label.sums, done.setdefault(label.node, [])):
            continue
        done[label.node].append(label.sums)
        for i in leaving.get(label.node, ()):
            at = heads[i]
            total = tuple(x + y for x, y in zip(label.sums, sums[i], strict=True))
            ahead = tuple(x + y for x, y in zip(total, rest[at], strict=True))
            if not fits(ahead) or _dominated(total, done.get(at, [])):
                continue
            made += 1
            if made > MOST_LABELS:
                raise _UnsureError
            heapq.heappush(heap, (ahead[0], made, _Label(total, at, i, label)))
    return None


def _dominated(sums: Vector, others: list[Vector]) -> bool:
    return any(all(o <= s for o, s in zip(other, sums, strict=True)) for other in others)


def best_pair(
    burdens: Burdens,
    src: str,
    dst: str,
    usable: Mask,
    fits: Fits,
    kinds: tuple[Disjointness, ...] = DISJOINT,
    working_usable: Mask | None = None,
    most: Vector = (),
) -> Pair | None:
    """Return the pair with the least total delay of which both fit and share nothing of these kinds; None: no pair.

    `working_usable` narrows where the working path may run. The least up to MAX_BRANCHES sets of forbidden things (a
    working path that keeps all that a tried one has and may not be shared cannot have a better standby), beyond that
    any. most: what of `fits` bounds each sum by itself. Raises CannotPlaceError where it could not be decided.
    """
    search = _Pairs(burdens, src, dst, fits, kinds)
    first = usable if working_usable is None else working_usable
    asked = reduce(or_, (_APART[kind] for kind in kinds), Apart.LINKS)
    standby, may_swap = None if working_usable is None else usable, working_usable is None
    try:
        pair = burdens.graph.disjoint_pair(src, dst, first, standby, apart=asked)
        if pair is None:
            return None
        if search.both_fit(pair) and apart(burdens, pair.working, pair.standby, kinds):
            return search.in_order(pair, may_swap=may_swap)
        return search.best(first, usable, may_swap)
    except (_UnsureError, GaveUpError):
        found = _decided(burdens, src, dst, (first, usable), fits, most, asked)
    if found is None:
        return None
    delays = [burdens.graph.delay_of(path) for path in found]
    return search.in_order(Pair(found[0], found[1], delays[0], delays[1]), may_swap=may_swap)


def apart(burdens: Burdens, one: Path, other: Path, kinds: tuple[Disjointness, ...]) -> bool:
    """Say whether two paths share nothing of these kinds."""
    return not kept_apart(burdens, one, kinds) & kept_apart(burdens, other, kinds)


def kept_apart(burdens: Burdens, path: Path, kinds: tuple[Disjointness, ...]) -> frozenset[Shared]:
    """Return what a standby of a path may not touch: cables, and ducts or nodes between the ends as asked."""
    found: set[Shared] = {("cable", int(burdens.cable[i])) for i in path}
    if Disjointness.SRLG in kinds:
        found |= {("risk", r) for r in burdens.graph.risks_of(path)}
    if Disjointness.NODE in kinds:
        found |= {("node", int(burdens.graph.dst[i])) for i in path[:-1]}
    return frozenset(found)


class _Pairs:
    def __init__(self, burdens: Burdens, src: str, dst: str, fits: Fits, kinds: tuple[Disjointness, ...]) -> None:
        self.burdens, self.graph = burdens, burdens.graph
        self.src, self.dst, self.fits, self.kinds = src, dst, fits, kinds
        self.unsure = False  # a way was not found, and not proven not to be

    def both_fit(self, pair: Pair) -> bool:
        return all(self.fits(self.burdens.of(path)) for path in (pair.working, pair.standby))

    def in_order(self, pair: Pair, *, may_swap: bool) -> Pair:
        if may_swap and pair.standby_s < pair.working_s:
            return Pair(pair.standby, pair.working, pair.standby_s, pair.working_s)
        return pair

    def best(self, working_usable: Mask, usable: Mask, may_swap: bool) -> Pair | None:
        quickest = _way(self.burdens, self.src, self.dst, usable, self.fits)
        first = _way(self.burdens, self.src, self.dst, working_usable, self.fits)
        if not quickest or not first:
            return None
        floor_s = self.graph.delay_of(quickest)  # no standby is quicker
        queue: list[tuple[float, tuple[Shared, ...], Path]] = [(self.graph.delay_of(first), (), first)]
        seen: set[frozenset[Shared]] = {frozenset()}
        best: Pair | None = None
        while queue and len(seen) <= MAX_BRANCHES:
            working_s, forbidden, working = heapq.heappop(queue)
            if best is not None and working_s + floor_s >= best.working_s + best.standby_s - 1e-12:
                break
            kept = kept_apart(self.burdens, working, self.kinds)
            standby = self._try(without(self.burdens, usable, kept))
            if standby:
                pair = Pair(working, standby, working_s, self.graph.delay_of(standby))
                if best is None or pair.working_s + pair.standby_s < best.working_s + best.standby_s:
                    best = self.in_order(pair, may_swap=may_swap)
            for thing in sorted(kept - set(forbidden)):
                more = frozenset((*forbidden, thing))
                if more not in seen:
                    seen.add(more)
                    rest = without(self.burdens, working_usable, more)
                    path = self._try(rest)
                    if path:
                        heapq.heappush(queue, (self.graph.delay_of(path), tuple(sorted(more)), path))
        if best is None and (self.unsure or (queue and len(seen) > MAX_BRANCHES)):
            raise _UnsureError
        return best

    def _try(self, usable: Mask) -> Path | None:
        try:
            return _way(self.burdens, self.src, self.dst, usable, self.fits)
        except _UnsureError:
            self.unsure = True
            return None


def without(burdens: Burdens, usable: Mask, things: Iterable[Shared]) -> Mask:
    """Return the mask less what belongs to any of these, cables and nodes in both directions."""
    left, graph = usable.copy(), burdens.graph
    for kind, number in things:
        if kind == "risk":
            left[graph.edges_with_risks((number,))] = False
        elif kind == "cable":
            left &= burdens.cable != number
        else:
            left &= (graph.src != number) & (graph.dst != number)
    return left
