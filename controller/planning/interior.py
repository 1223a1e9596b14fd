"""The ways that routers choose by themselves inside a domain: least delay, whatever a service would like.

Planes ride these ways, so planning must know them before it may believe that a plane keeps to a boundary, to one of
the planes A and B, or to what is free. Of equally quick ways the one that Dijkstra meets first over nodes in the
order of their names, the same that verification finds for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from controller.network.model import Link
from controller.planning.paths import Path

_LEAST_S = 1e-9  # csgraph reads weight zero as no edge


@dataclass(slots=True)
class Interior:
    """Ways between nodes of one domain of one map, each found on first use. `links`: (index, link) of those up."""

    links: tuple[tuple[int, Link], ...]
    nodes: tuple[tuple[str, str], ...]  # (domain, node), sorted
    _domains: dict[str, _Domain] = field(default_factory=dict)
    _found: dict[tuple[str, str], Path | None] = field(default_factory=dict)

    def path(self, domain: str, src: str, dst: str) -> Path | None:
        """Return link indices from one node to another of the same domain; None where nothing is up."""
        ends = (src, dst)
        if ends not in self._found:
            if domain not in self._domains:
                links = [(i, k) for i, k in self.links if k.domain == domain and not k.pinned]
                self._domains[domain] = _Domain.of((n for d, n in self.nodes if d == domain), links)
            self._found[ends] = self._domains[domain].path(src, dst)
        return self._found[ends]


@dataclass(slots=True)
class _Domain:
    index: dict[str, int]
    best: dict[tuple[int, int], int]  # the quickest of parallel links
    graph: csr_matrix
    before: dict[int, npt.NDArray[np.int32]] = field(default_factory=dict)  # by source

    @classmethod
    def of(cls, nodes: Iterable[str], links: Iterable[tuple[int, Link]]) -> _Domain:
        index = {node: i for i, node in enumerate(nodes)}
        best: dict[tuple[int, int], tuple[int, Link]] = {}
        for i, link in links:
            ends = index[link.src.node], index[link.dst.node]
            if ends not in best or link.delay_s < best[ends][1].delay_s:
                best[ends] = i, link
        rows, cols = [e[0] for e in best], [e[1] for e in best]
        weights = [max(link.delay_s, _LEAST_S) for _, link in best.values()]
        graph = csr_matrix((weights, (rows, cols)), shape=(len(index), len(index)))
        return cls(index, {ends: i for ends, (i, _) in best.items()}, graph)

    def path(self, src: str, dst: str) -> Path | None:
        start, at = self.index[src], self.index[dst]
        if start not in self.before:
            self.before[start] = dijkstra(self.graph, indices=start, return_predecessors=True)[1]
        before, found = self.before[start], []
        while at != start:
            previous = int(before[at])
            if previous < 0:
                return None
            found.append(self.best[previous, at])
            at = previous
        return tuple(reversed(found))
