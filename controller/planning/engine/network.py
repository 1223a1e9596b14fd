"""Directed links as arrays, and the quickest ways over them.

Read-only after construction, so that one map may share it among queries. Of equally quick ways the one with fewer
hops is taken, then the one that Dijkstra meets first, which the arrays alone decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from controller.planning.engine.ragged import Indices, Ragged

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Path = tuple[int, ...]  # link positions from source to destination
TIE_S = 1e-9  # added per hop while searching
NO_WAY = np.inf
MOST_KEPT = 4_000_000  # numbers of seconds to go that are kept from one search to the next


class Apart(IntFlag):
    """What two ways must not have in common. Without RISKS only cables and nodes count, not what cuts several."""

    NOTHING = 0
    LINKS = 1
    NODES = 2
    RISKS = 4


class Network:
    """Nodes 0..n-1 and directed links. `risks`: by link, what can cut it together with others, numbered from 0."""

    def __init__(
        self, nodes: int, src: Indices, dst: Indices, delay_s: Floats, risks: Ragged | None = None,
        reverse: Indices | None = None, loss_ratio: Floats | None = None,
    ) -> None:  # fmt: skip
        self.nodes, self.links = nodes, len(src)
        self.src, self.dst = src.astype(np.int64), dst.astype(np.int64)
        self.delay_s = delay_s.astype(np.float64)
        self.search_s: Floats = self.delay_s + TIE_S
        # Losses multiply; their logarithms add up.
        self.loss: Floats = np.zeros(self.links) if loss_ratio is None else -np.log1p(-loss_ratio)
        self.reverse: Indices = np.full(self.links, -1, dtype=np.int64) if reverse is None else reverse.astype(np.int64)
        self.risks = _ascending(risks) if risks is not None else Ragged.of([()] * self.links)
        # Parallel links lie side by side, the quickest first; Dijkstra sees one of each lot.
        self.order: Indices = np.lexsort((np.arange(self.links), self.search_s, self.dst, self.src))
        s, d = self.src[self.order], self.dst[self.order]
        first = np.ones(self.links, dtype=np.bool_)
        first[1:] = (s[1:] != s[:-1]) | (d[1:] != d[:-1])
        self.starts = np.flatnonzero(first)
        self.simple = len(self.starts) == self.links  # no two links join the same nodes in the same direction
        self.slot: Indices = np.empty(self.links, dtype=np.int64)  # by link: its place among the folded
        self.slot[self.order] = np.cumsum(first) - 1
        self.columns = d[self.starts].astype(np.int32)
        counts = np.bincount(s[self.starts], minlength=nodes)
        self.indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        self._lot_src = s[self.starts].astype(np.int32)
        self._ends: Indices = s[self.starts] * nodes + d[self.starts]  # ascending
        self._to: dict[int, Floats] = {}  # by destination, what is to go at least
        self._last: tuple[int, Floats] = (-1, np.zeros(0))
        self._elements: dict[Apart, Elements] = {}

    def everything(self) -> Mask:
        return np.ones(self.links, dtype=np.bool_)

    @cached_property
    def turned(self) -> Network:
        """Return the network with every link the other way round, for what is still to come from every node."""
        return Network(self.nodes, self.dst, self.src, self.delay_s)

    @cached_property
    def symmetrical(self) -> bool:
        """Whether every link has its other direction, and the same risks there."""
        return bool((self.reverse >= 0).all() and (self._alike_both_ways() == (self.risks.lengths > 0)).all())

    def between(self, src: int, dst: int) -> list[int]:
        """Return the links from one node to the next, the quickest first."""
        at = int(np.searchsorted(self._ends, src * self.nodes + dst))
        if at == len(self._ends) or self._ends[at] != src * self.nodes + dst:
            return []
        last = int(self.starts[at + 1]) if at + 1 < len(self.starts) else self.links
        return self.order[self.starts[at] : last].tolist()  # type: ignore[no-any-return]

    def folded(self, usable: Mask, cost: Floats | None = None) -> tuple[Floats, Indices]:
        """Return, for each pair of neighbours, the weight of its best usable link and which link that is."""
        weights = self.search_s if cost is None else cost
        if self.simple:
            return np.where(usable, weights, NO_WAY)[self.order], self.order
        in_order = np.where(usable, weights, NO_WAY)[self.order]
        if cost is None:  # they lie in the order of their delay: the first usable one is the best
            positions = np.where(usable[self.order], np.arange(self.links), self.links)
            best = np.minimum.reduceat(positions, self.starts) if self.links else positions
            best = np.where(best == self.links, self.starts, best)
        else:
            order = np.lexsort((self.order, in_order, self.slot[self.order]))
            best = order[self.starts]
        return in_order[best], self.order[best]

    def matrix(self, weights: Floats) -> csr_array:
        # A cable without length must stay a way: csgraph reads an explicit zero of a CSR matrix as weight zero.
        return csr_array((weights, self.columns, self.indptr), shape=(self.nodes, self.nodes))

    def tree(self, src: int | Indices, usable: Mask, cost: Floats | None = None) -> tuple[Floats, Indices, Indices]:
        """Return (cost to every node, node before every node or negative, best link of every lot).

        With several sources the first two have one row for each of them.
        """
        weights, best = self.folded(usable, cost)
        distance, before = dijkstra(self.matrix(weights), indices=src, return_predecessors=True)
        return distance, before, best

    def to_go_s(self, dst: int) -> Floats:
        """Return what every node is from one at least, whatever of the network may be used."""
        known = self._to.get(dst)
        if known is None:
            if len(self._to) * self.nodes > MOST_KEPT:
                self._to.clear()
            known = self._to[dst] = self.turned.tree(dst, self.everything())[0]
        return known

    def detour_s(self, dst: int) -> Floats:
        """Return by lot of parallel links what is to be added to their weight to give the time lost by taking them.

        Along a way from a node these sums are what it takes longer than the quickest there is, so a search for the
        least of them looks only at nodes that lie near the quickest way (A*: Hart, Nilsson, Raphael 1968).
        """
        last, known = self._last
        if last != dst:
            to_go = self.to_go_s(dst)
            with np.errstate(invalid="ignore"):
                known = to_go[self.columns] - to_go[self._lot_src]
            known[np.isnan(known)] = NO_WAY  # neither end leads there
            self._last = (dst, known)
        return known

    def walk(self, dst: int, before: Indices, best: Indices) -> Path:
        """Read the way to `dst` out of one row of a tree; () where the tree does not reach it."""
        found: list[int] = []
        at, previous = dst, int(before[dst])
        while previous >= 0:
            found.append(previous * self.nodes + at)
            at, previous = previous, int(before[previous])
        if not found:
            return ()
        return tuple(best[np.searchsorted(self._ends, found[::-1])].tolist())

    def walks(self, rows: Indices, src: Indices, dst: Indices, before: Indices, best: Indices) -> Ragged:
        """Read many ways out of a tree of many rows at once; a way that does not exist is an empty row."""
        at, alive = dst.copy(), np.arange(len(rows))
        alive = alive[(before[rows, dst] >= 0) & (dst != src)]
        who: list[Indices] = []
        ends: list[Indices] = []
        while len(alive):
            previous = before[rows[alive], at[alive]].astype(np.int64)
            who.append(alive)
            ends.append(previous * self.nodes + at[alive])
            at[alive] = previous
            alive = alive[previous != src[alive]]
        if not who:
            return Ragged(np.zeros(len(rows) + 1, np.int64), np.zeros(0, np.int64))
        # They were met from the destination on.
        keys, values = np.concatenate(who[::-1]), np.concatenate(ends[::-1])
        return Ragged.by(keys, best[np.searchsorted(self._ends, values)], len(rows))

    def shortest(self, src: int, dst: int, usable: Mask, cost: Floats | None = None) -> Path | None:
        """Return the quickest way, () where source is destination, None where there is none."""
        if src == dst:
            return ()
        if not self.links:
            return None
        _, before, best = self.tree(src, usable, cost)
        return self.walk(dst, before, best) or None

    def delay_of(self, path: Path | Indices) -> float:
        return float(self.delay_s[np.asarray(path, dtype=np.int64)].sum())

    def nodes_on(self, src: int, path: Path) -> tuple[int, ...]:
        return (src, *self.dst[list(path)].tolist())

    def elements(self, apart: Apart) -> Elements:
        """Return what two ways must not share: risks under their own numbers, then cables, then nodes."""
        if apart not in self._elements:
            keys, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
            every = np.arange(self.links)
            size = int(self.risks.values.max(initial=-1)) + 1
            if apart & Apart.RISKS:
                keys.append(self.risks.rows())
                values.append(self.risks.values)
            cable = np.where(self.reverse >= 0, np.minimum(every, self.reverse), every)
            # A cable whose two directions have the same risks is told by them.
            told = self._alike_both_ways() if apart & Apart.RISKS else np.zeros(self.links, dtype=np.bool_)
            keys.append(every[~told])
            values.append(size + cable[~told])
            if apart & Apart.NODES:
                keys += [every, every]
                values += [size + self.links + self.src, size + self.links + self.dst]
            rows = Ragged.by(np.concatenate(keys), np.concatenate(values), self.links)
            columns = rows.turned(size + self.links + self.nodes)
            self._elements[apart] = Elements(
                [tuple(rows[i].tolist()) for i in range(self.links)],
                {e: columns[e] for e in np.unique(rows.values).tolist()},
                size + self.links,
            )
        return self._elements[apart]

    def _alike_both_ways(self) -> Mask:
        """Return the links that have risks, and the same ones as their other direction where there is one."""
        back = np.where(self.reverse >= 0, self.reverse, np.arange(self.links))
        lengths = self.risks.lengths
        result: Mask = (lengths > 0) & (lengths == lengths[back])
        these = np.flatnonzero(result)
        mine, other = self.risks.take(these), self.risks.take(back[these])
        result[these[np.unique(mine.rows()[mine.values != other.values])]] = False
        return result


@dataclass(frozen=True, slots=True)
class Elements:
    """What two ways must not share. `of`: by link; `links`: by element; nodes have the numbers from `node` on."""

    of: list[tuple[int, ...]]
    links: dict[int, Indices]
    node: int

    def on(self, src: int, dst: int, path: Path) -> tuple[int, ...]:
        """Return the elements of a way that a second one must avoid, ascending; its two ends are no such thing."""
        found = {e for i in path for e in self.of[i]} - {self.node + src, self.node + dst}
        return tuple(sorted(found))

    def having(self, elements: Iterable[int]) -> Indices:
        """Return the links that have one of the elements; some more than once."""
        return np.concatenate([_NONE, *(self.links[e] for e in elements)])


_NONE = np.zeros(0, dtype=np.int64)


def _ascending(table: Ragged) -> Ragged:
    rows = table.rows()
    return Ragged(table.starts, table.values[np.lexsort((table.values, rows))])
