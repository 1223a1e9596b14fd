"""Ways that an exact program decides about, for the few searches that gave up before they had looked at everything.

Two ways apart in shared risks are NP-hard to find (Hu 2003), and so is one way under several sums. The searches that
answer nearly all requests are bounded; where one ends without a way, nothing says that there is none. Then this asks
HiGHS: one binary variable says that a way uses a link, one per risk, cable or node says whose it is. What is no sum
(the margin of light) is checked on the answer, and an answer that fails is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array, vstack

from controller.planning.engine.network import Apart, Floats, Mask, Network, Path
from controller.planning.engine.ragged import Indices

MOST_NODES = 20_000  # of branch and bound
GAP = 0.25  # ways that take this much more than the quickest will do: proving more takes ten times as long
MOST_CUTS = 50  # answers that may be cut off
_SLACK = 1e-12
Bound = tuple[Floats, float]  # a sum over links, and what it may come to


class GaveUpError(Exception):
    """Nothing was found, and nothing was proven."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for. `apart` NOTHING: one way, and `standby_usable` is not looked at."""

    src: int
    dst: int
    usable: Mask
    standby_usable: Mask
    apart: Apart = Apart.NOTHING
    bounds: Sequence[Bound] = ()
    serves: Callable[[Path], bool] = lambda path: True  # beyond the sums


def decide(net: Network, asked: Question) -> tuple[Path, ...] | None:
    """Return the way, or both, that serve and are rather quick; None where there are none. Raises GaveUpError."""
    masks = [asked.usable] if not asked.apart else [asked.usable, asked.standby_usable]
    links = [np.flatnonzero(_passable(net, mask, asked)) for mask in masks]
    if not all(len(each) for each in links):
        return None
    program = _Program(net, asked, links)
    for _ in range(MOST_CUTS):
        ways = program.solve()
        if ways is None:
            return None
        poor = [way for way in ways if not asked.serves(way)]
        if not poor:
            return ways
        for way in poor:
            program.cut(way)
    raise GaveUpError


def _passable(net: Network, usable: Mask, asked: Question) -> Mask:
    """Leave out links over which no way keeps to a bound, and those back to where it begins or on from its end."""
    mask: Mask = usable & (net.dst != asked.src) & (net.src != asked.dst)
    for metric, bound in asked.bounds:
        there = net.tree(asked.src, mask, metric)[0]
        back = net.turned.tree(asked.dst, mask, metric)[0]
        mask = mask & (there[net.src] + metric + back[net.dst] <= bound + _SLACK)
    return mask


class _Program:
    """Columns: the links of each way, then one for each thing that both might touch (1: the first has it)."""

    def __init__(self, net: Network, asked: Question, links: list[Indices]) -> None:
        self.net, self.asked, self.links = net, asked, links
        self.starts = np.concatenate(([0], np.cumsum([len(each) for each in links])))
        self.things: dict[int, int] = {}
        rows = [self._flow(), self._sums()]
        if asked.apart:
            rows.append(self._apart())
        self.size = int(self.starts[-1]) + len(self.things)
        self.matrix = vstack([_wide(m, self.size) for m, _, _ in rows], format="csr")
        self.low: Floats = np.concatenate([low for _, low, _ in rows])
        self.high: Floats = np.concatenate([high for _, _, high in rows])
        cost = np.concatenate([net.search_s[each] for each in links])
        self.cost = np.concatenate((cost / cost.max(), np.zeros(len(self.things))))

    def _flow(self) -> tuple[csr_array, Floats, Floats]:
        """Every way leaves its source and ends at its destination; what enters another node leaves it."""
        nodes, rows, columns, values = self.net.nodes, [], [], []
        for k, each in enumerate(self.links):
            at = self.starts[k] + np.arange(len(each))
            rows += [k * nodes + self.net.src[each], k * nodes + self.net.dst[each]]
            columns += [at, at]
            values += [np.ones(len(each)), -np.ones(len(each))]
        size = len(self.links) * nodes
        wanted = np.zeros(size)
        wanted[self.asked.src :: nodes] = 1.0
        wanted[self.asked.dst :: nodes] = -1.0
        return _table(values, rows, columns, (size, int(self.starts[-1]))), wanted, wanted

    def _sums(self) -> tuple[csr_array, Floats, Floats]:
        rows, columns, values = list[Indices](), list[Indices](), list[Floats]()
        high: list[float] = []
        for k, each in enumerate(self.links):
            for metric, bound in self.asked.bounds:
                scale = max(abs(bound), 1e-30)
                rows.append(np.full(len(each), len(high)))
                columns.append(self.starts[k] + np.arange(len(each)))
                values.append(metric[each] / scale)
                high.append(bound / scale)
        shape = (len(high), int(self.starts[-1]))
        return _table(values, rows, columns, shape), np.full(len(high), -np.inf), np.array(high)

    def _apart(self) -> tuple[csr_array, Floats, Floats]:
        """What both could touch belongs to one of them: the first only what has a 1, the second only what has a 0."""
        elements = self.net.elements(self.asked.apart)
        ends = {elements.node + self.asked.src, elements.node + self.asked.dst}
        first, second = (
            [(int(self.starts[k]) + i, e) for i, link in enumerate(each.tolist()) for e in elements.of[link]]
            for k, each in enumerate(self.links)
        )
        shared = ({e for _, e in first} & {e for _, e in second}) - ends
        base = int(self.starts[-1])
        self.things = {e: base + n for n, e in enumerate(sorted(shared))}
        # x ≤ t for the first way, y ≤ 1 - t for the second.
        pairs = [(c, e, -1.0) for c, e in first if e in shared] + [(c, e, 1.0) for c, e in second if e in shared]
        row = np.arange(len(pairs))
        matrix = _table(
            [np.ones(len(pairs)), np.array([sign for *_, sign in pairs])], [row, row],
            [np.array([c for c, *_ in pairs], np.int64), np.array([self.things[e] for _, e, _ in pairs], np.int64)],
            (len(pairs), base + len(self.things)),
        )  # fmt: skip
        high = np.array([0.0 if sign < 0 else 1.0 for *_, sign in pairs])
        return matrix, np.full(len(pairs), -np.inf), high

    def solve(self) -> tuple[Path, ...] | None:
        from scipy.optimize import Bounds, LinearConstraint, milp  # takes a while to import, and is hardly ever needed

        found = milp(
            self.cost, integrality=np.ones(self.size), bounds=Bounds(0, 1),
            constraints=LinearConstraint(self.matrix, self.low, self.high),
            options={"node_limit": MOST_NODES, "mip_rel_gap": GAP},
        )  # fmt: skip
        if found.x is not None:
            return tuple(self._way(k, found.x) for k in range(len(self.links)))
        if found.status == 2:  # proven to be infeasible
            return None
        raise GaveUpError

    def _way(self, k: int, x: Floats) -> Path:
        taken = self.links[k][x[self.starts[k] : self.starts[k + 1]] > 0.5]
        return without_circles(self.net, taken, self.asked.src, self.asked.dst)

    def cut(self, way: Path) -> None:
        """Forbid either way to be this one."""
        for k, each in enumerate(self.links):
            columns = self.starts[k] + np.flatnonzero(np.isin(each, np.array(way)))
            if len(columns) == len(way):
                row = _table([np.ones(len(way))], [np.zeros(len(way), np.int64)], [columns], (1, self.size))
                self.matrix = vstack([self.matrix, row], format="csr")
                self.low = np.append(self.low, -np.inf)
                self.high = np.append(self.high, len(way) - 1.0)


def without_circles(net: Network, links: Indices, src: int, dst: int) -> Path:
    """Return the way that a flow of one takes over these links, each in its direction, passing no node twice.

    The program is content with what is near the least, and its answer may go in circles beside the way or on it;
    without them it is quicker, no sum grows, and it touches nothing more. Every link is followed once at most.
    """
    leaving: dict[int, list[int]] = {}
    for link in links.tolist():
        leaving.setdefault(int(net.src[link]), []).append(link)
    at, path, passed = src, list[int](), {src: 0}  # node → links before it
    while at != dst:
        path.append(leaving[at].pop())
        at = int(net.dst[path[-1]])
        if at in passed:
            del path[passed[at] :]
            passed = {node: before for node, before in passed.items() if before <= len(path)}
        else:
            passed[at] = len(path)
    return tuple(path)


def _table(
    values: Sequence[Floats], rows: Sequence[Indices], columns: Sequence[Indices], shape: tuple[int, int]
) -> csr_array:
    nothing = np.zeros(0, np.int64)
    at = (np.concatenate([nothing, *rows]), np.concatenate([nothing, *columns]))
    return coo_array((np.concatenate([np.zeros(0), *values]), at), shape=shape).tocsr()


def _wide(matrix: csr_array, columns: int) -> csr_array:
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], columns))
