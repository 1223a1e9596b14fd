"""The interior paths that routers choose by themselves: least delay inside one domain (RFC 7471 metric)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from controller.intent.model import Boundaries
from controller.network.model import CityMap, Link, PortRef


@dataclass(slots=True)
class Interior:
    """Shortest paths inside every domain of one map, found on first use. Delays in seconds."""

    city: CityMap
    out: dict[PortRef, Link] = field(init=False)  # the link that leaves through a port
    borders: Counter[frozenset[str]] = field(init=False)  # two domains → how many cables join them
    trusted: bool = field(init=False)  # links end on the map, and all has the trust that nobody has to ask for
    arrays: object = None  # the links as `bulk` reads them, made on first use
    _domains: dict[str, _Domain] = field(default_factory=dict)
    _found: dict[tuple[str, str, str], tuple[Link, ...] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.out = {link.src: link for link in self.city.links}
        nodes, least = self.city.nodes, Boundaries().least_trust
        levels = [n.trust for n in nodes.values()] + [k.trust for k in self.city.links]
        whole = all(k.src.node in nodes and k.dst.node in nodes for k in self.city.links)
        self.trusted = whole and min(levels, default=least) >= least
        cables = [k for k in self.city.links if k.border and k.id < k.reverse]
        self.borders = Counter(frozenset((nodes[k.src.node].domain, nodes[k.dst.node].domain)) for k in cables)

    def links(self, domain: str, src: str, dst: str) -> tuple[Link, ...] | None:
        """Return the links from one node to another of the same domain; None where there is no way."""
        ends = (domain, src, dst)
        if ends not in self._found:
            if domain not in self._domains:
                self._domains[domain] = _Domain.of(self.city, domain)
            self._found[ends] = self._domains[domain].links(src, dst)
        return self._found[ends]


@dataclass(slots=True)
class _Domain:
    index: dict[str, int]
    best: dict[tuple[int, int], Link]  # the quickest of parallel links
    nodes: list[str]
    before: np.ndarray  # predecessors, shape (nodes, nodes); negative where unreachable

    @classmethod
    def of(cls, city: CityMap, domain: str) -> _Domain:
        nodes = sorted(n.id for n in city.nodes.values() if n.domain == domain)
        index = {node: i for i, node in enumerate(nodes)}
        best: dict[tuple[int, int], Link] = {}
        for link in city.links:
            if link.domain != domain or not link.up or link.pinned:
                continue
            ends = index[link.src.node], index[link.dst.node]
            if ends not in best or link.delay_s < best[ends].delay_s:
                best[ends] = link
        rows, cols = [e[0] for e in best], [e[1] for e in best]
        weights = [max(link.delay_s, 1e-9) for link in best.values()]
        graph = csr_matrix((weights, (rows, cols)), shape=(len(nodes), len(nodes)))
        before = dijkstra(graph, return_predecessors=True)[1] if nodes else np.empty((0, 0), dtype=int)
        return cls(index, best, nodes, before)

    def links(self, src: str, dst: str) -> tuple[Link, ...] | None:
        if src not in self.index or dst not in self.index:
            return None
        start, at, found = self.index[src], self.index[dst], []
        while at != start:
            previous = int(self.before[start, at])
            if previous < 0:
                return None
            found.append(self.best[previous, at])
            at = previous
        return tuple(reversed(found))
