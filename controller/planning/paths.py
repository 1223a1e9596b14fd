"""Ways by name: what the parts of planning ask, answered by the engine's arrays.

A `Graph` is built once per map and layer; a query brings a mask of usable edges and gets edge positions back.
Delays in seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.planning.engine.bounded import Limits, cheapest_within
from controller.planning.engine.network import Apart, Floats, Mask, Network, Path
from controller.planning.engine.pairs import Pair, PairWish, disjoint_pair
from controller.planning.engine.ragged import Indices, Ragged

__all__ = ["Apart", "Edge", "Graph", "Limits", "Mask", "Pair", "Path", "mask_without"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One direction of something that carries traffic; `risks` are what can cut it together with others."""

    src: str
    dst: str
    delay_s: float
    risks: frozenset[int]


class Graph:
    """Nodes and directed edges by name over an engine's network. Read-only after construction."""

    def __init__(self, nodes: Iterable[str], edges: Sequence[Edge], reverse: Indices | None = None) -> None:
        """`reverse`: by edge the other direction of what it is one of, negative where it has none."""
        self.edges = tuple(edges)
        self.nodes = tuple(sorted(set(nodes) | {n for e in edges for n in (e.src, e.dst)}))
        self.node_index = {n: i for i, n in enumerate(self.nodes)}
        self.src = np.array([self.node_index[e.src] for e in edges], dtype=np.int64)
        self.dst = np.array([self.node_index[e.dst] for e in edges], dtype=np.int64)
        self._by_risk: dict[int, list[int]] = {}
        for i, edge in enumerate(edges):
            for risk in edge.risks:
                self._by_risk.setdefault(risk, []).append(i)
        number = {risk: i for i, risk in enumerate(sorted(self._by_risk))}
        self.net = Network(
            len(self.nodes), self.src, self.dst, np.array([e.delay_s for e in edges], dtype=np.float64),
            Ragged.of([sorted(number[r] for r in e.risks) for e in edges]), reverse,
        )  # fmt: skip

    def everything(self) -> Mask:
        return self.net.everything()

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

    def shortest(self, src: str, dst: str, usable: Mask) -> Path | None:
        """Return the quickest path over usable edges, () where source is destination, None where there is none."""
        return self.cheapest(src, dst, usable, Limits())

    def cheapest(self, src: str, dst: str, usable: Mask, limits: Limits, cost: Floats | None = None) -> Path | None:
        """Return the path of least cost per edge (delay where none is given) that keeps to the limits, or None."""
        if src == dst:
            return ()
        if src not in self.node_index or dst not in self.node_index:
            return None
        return cheapest_within(self.net, self.node_index[src], self.node_index[dst], usable, limits, cost)

    def disjoint_pair(
        self, src: str, dst: str, usable: Mask, standby_usable: Mask | None = None, budget_s: float | None = None,
        apart: Apart = Apart.LINKS | Apart.RISKS,
    ) -> Pair | None:  # fmt: skip
        """Return the pair apart in what is asked with the least total delay; None where there is none.

        `budget_s` bounds the delay of each of the two.
        """
        if src == dst or src not in self.node_index or dst not in self.node_index:
            return None
        wish = PairWish(self.node_index[src], self.node_index[dst], apart, Limits(budget_s))
        return disjoint_pair(self.net, wish, usable, standby_usable)

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
