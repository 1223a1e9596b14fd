"""Shortest paths and risk-disjoint pairs over arrays.

A `Graph` is built once per map and layer; a query brings a mask of usable edges and gets edge indices back.
Parallel edges are folded to the quickest usable one before Dijkstra sees them. Delays in seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

Mask = npt.NDArray[np.bool_]
Path = tuple[int, ...]  # edge indices from source to destination
MAX_BRANCHES = 256  # pairs of paths are exact up to this many excluded risk sets
TIE_S = 1e-9  # added per hop while searching: of equally quick ways the one with fewer hops is taken
_UNUSABLE = np.inf


@dataclass(frozen=True, slots=True)
class Edge:
    """One direction of something that carries traffic; `risks` are what can cut it together with others."""

    src: str
    dst: str
    delay_s: float
    risks: frozenset[int]


@dataclass(frozen=True, slots=True)
class Pair:
    working: Path
    standby: Path
    working_s: float
    standby_s: float


class Graph:
    """Nodes and directed edges as arrays. Read-only after construction, so that one map may share it."""

    def __init__(self, nodes: Iterable[str], edges: Sequence[Edge]) -> None:
        self.edges = tuple(edges)
        self.nodes = tuple(sorted(set(nodes) | {n for e in edges for n in (e.src, e.dst)}))
        self.node_index = {n: i for i, n in enumerate(self.nodes)}
        self.src = np.array([self.node_index[e.src] for e in edges], dtype=np.int64)
        self.dst = np.array([self.node_index[e.dst] for e in edges], dtype=np.int64)
        self.delay = np.array([e.delay_s + TIE_S for e in edges], dtype=np.float64)
        self._order = np.lexsort((self.dst, self.src))  # stable: parallel edges stay in index order
        s, d = self.src[self._order], self.dst[self._order]
        first = np.ones(len(s), dtype=np.bool_)
        first[1:] = (s[1:] != s[:-1]) | (d[1:] != d[:-1])
        self._starts = np.flatnonzero(first)
        self._columns = d[self._starts].astype(np.int32)
        counts = np.bincount(s[self._starts], minlength=len(self.nodes)) if len(s) else np.zeros(len(self.nodes), int)
        self._indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        ends = np.append(self._starts[1:], len(s))[: len(self._starts)]
        self._parallel = {
            (int(s[a]), int(d[a])): tuple(int(x) for x in self._order[a:b])
            for a, b in zip(self._starts, ends, strict=True)
        }
        self._by_risk: dict[int, list[int]] = {}
        for i, edge in enumerate(edges):
            for risk in edge.risks:
                self._by_risk.setdefault(risk, []).append(i)

    def everything(self) -> Mask:
        return np.ones(len(self.edges), dtype=np.bool_)

    def edges_with_risks(self, risks: Iterable[int]) -> list[int]:
        return [i for r in risks for i in self._by_risk.get(r, ())]

    def without_risks(self, usable: Mask, risks: Iterable[int]) -> Mask:
        mask = usable.copy()
        mask[self.edges_with_risks(risks)] = False
        return mask

    def risks_of(self, path: Iterable[int]) -> frozenset[int]:
        return frozenset(r for i in path for r in self.edges[i].risks)

    def delay_of(self, path: Iterable[int]) -> float:
        return float(sum(self.edges[i].delay_s for i in path))

    def tree(
        self, src: str, usable: Mask, cost: npt.NDArray[np.float64] | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return (delay to every node, predecessor of every node) from one source; `cost` stands in for delay."""
        weights = np.where(usable, self.delay if cost is None else cost, _UNUSABLE)[self._order]
        folded = np.minimum.reduceat(weights, self._starts) if len(weights) else weights
        n = len(self.nodes)
        # Zero-length cables must stay edges: csgraph reads an explicit zero of a CSR matrix as weight zero.
        matrix = csr_array((folded, self._columns, self._indptr), shape=(n, n))
        distance, before = dijkstra(matrix, indices=self.node_index[src], return_predecessors=True)
        return distance, before

    def path_to(self, dst: str, before: npt.NDArray[np.int32], usable: Mask) -> Path | None:
        """Read the path to `dst` out of the predecessors that `tree` returned."""
        at, edges = self.node_index[dst], []
        while before[at] >= 0:
            step = (int(before[at]), at)
            edges.append(min((i for i in self._parallel[step] if usable[i]), key=lambda i: (self.delay[i], i)))
            at = step[0]
        return tuple(reversed(edges)) or None

    def shortest(self, src: str, dst: str, usable: Mask) -> Path | None:
        """Return the quickest path over usable edges, () where source is destination, None where there is none."""
        if src == dst:
            return ()
        if src not in self.node_index or dst not in self.node_index or not len(self.edges):
            return None
        distance, before = self.tree(src, usable)
        if not np.isfinite(distance[self.node_index[dst]]):
            return None
        return self.path_to(dst, before, usable)

    def disjoint_pair(
        self, src: str, dst: str, usable: Mask, standby_usable: Mask | None = None, budget_s: float | None = None
    ) -> Pair | None:
        """Return the risk-disjoint pair with the least total delay; None where there is none.

        Removing the risks of the shortest path may leave no second path although a pair exists (the trap), so
        every risk of a path that was tried is in turn forbidden to the working path, quickest first. Exact:
        a working path that keeps all risks of a tried one cannot have a better standby. Bounded to
        MAX_BRANCHES sets of forbidden risks. `budget_s` bounds the delay of each of the two.
        """
        second = usable if standby_usable is None else standby_usable
        first = self.shortest(src, dst, usable)
        queue: list[tuple[float, tuple[int, ...], Path]] = []
        if first is not None:
            queue.append((self.delay_of(first), (), first))
        seen: set[frozenset[int]] = {frozenset()}
        best: Pair | None = None
        quickest = self.shortest(src, dst, second)
        if quickest is None:
            return None
        floor_s = self.delay_of(quickest)  # no standby is quicker
        least_s = self._least_pair_s(src, dst, usable) if standby_usable is None else 0.0
        while queue and len(seen) <= MAX_BRANCHES:
            working_s, forbidden, working = heapq.heappop(queue)
            if budget_s is not None and working_s > budget_s:
                break
            if best is not None and max(working_s + floor_s, least_s) >= best.working_s + best.standby_s - 1e-12:
                break
            risks = self.risks_of(working)
            free = self.without_risks(second, risks)
            free[list(working)] = False
            standby = self.shortest(src, dst, free)
            if standby is not None:
                best = self._better(best, working, standby, budget_s, may_swap=standby_usable is None)
            for risk in sorted(risks - set(forbidden)):
                more = frozenset((*forbidden, risk))
                if more not in seen:
                    seen.add(more)
                    path = self.shortest(src, dst, self.without_risks(usable, more))
                    if path is not None:
                        heapq.heappush(queue, (self.delay_of(path), tuple(sorted(more)), path))
        return best

    def _least_pair_s(self, src: str, dst: str, usable: Mask) -> float:
        """Return what two paths without a common directed edge take together (Suurballe 1974): a lower bound."""
        distance, before = self.tree(src, usable)
        first = self.path_to(dst, before, usable) if np.isfinite(distance[self.node_index[dst]]) else None
        if first is None:
            return np.inf
        known = np.where(np.isfinite(distance), distance, 0.0)
        reduced = np.maximum(self.delay + known[self.src] - known[self.dst], 0.0)
        residual = usable & np.isfinite(distance)[self.src]
        for i in first:
            residual[i] = False
            for back in self._parallel.get((int(self.dst[i]), int(self.src[i])), ()):
                reduced[back], residual[back] = 0.0, True
        second, _ = self.tree(src, residual, reduced)
        at = self.node_index[dst]
        return float(2 * distance[at] + second[at])

    def _better(
        self, best: Pair | None, working: Path, standby: Path, budget_s: float | None, *, may_swap: bool
    ) -> Pair | None:
        working_s, standby_s = self.delay_of(working), self.delay_of(standby)
        if budget_s is not None and standby_s > budget_s:
            return best
        if may_swap and standby_s < working_s:
            working, standby, working_s, standby_s = standby, working, standby_s, working_s
        if best is None or working_s + standby_s < best.working_s + best.standby_s:
            return Pair(working, standby, working_s, standby_s)
        return best

    def nodes_on(self, src: str, path: Iterable[int]) -> tuple[str, ...]:
        return (src, *(self.edges[i].dst for i in path))


def mask_without(graph: Graph, usable: Mask, nodes: Collection[str]) -> Mask:
    """Return the mask less every edge that touches one of `nodes`."""
    if not nodes:
        return usable
    out = np.array([n in nodes for n in graph.nodes], dtype=np.bool_)
    if not len(graph.edges):
        return usable
    result: Mask = usable & ~out[graph.src] & ~out[graph.dst]
    return result
