"""The quickest ways around some links, many times over the same network: one matrix, changed and put back.

Not shared among threads: every search has its own.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse.csgraph import dijkstra

from controller.planning.engine.bounded import NO_LIMITS, Limits, cheapest_within, within
from controller.planning.engine.network import NO_WAY, Floats, Mask, Network, Path
from controller.planning.engine.ragged import Indices


class Detours:
    """Ways over the links of one mask."""

    def __init__(self, net: Network, usable: Mask) -> None:
        self.net, self.usable = net, usable
        weights, self._best = net.folded(usable)
        self._matrix = net.matrix(weights)

    @cached_property
    def symmetrical(self) -> bool:
        """Whether whoever is reached also reaches, whatever elements are left out."""
        return self.net.symmetrical and bool((self.usable == self.usable[self.net.reverse]).all())

    def shortest(self, src: int, dst: int, blocked: Indices | None = None) -> Path:
        """Return the quickest way that uses no blocked link; () where there is none."""
        _, before, best = self._tree(src, blocked)
        return self.net.walk(dst, before, best)

    def within(self, src: int, dst: int, limits: Limits, blocked: Indices | None = None) -> tuple[Path, Mask | None]:
        """Return the quickest of those that keep to the limits; where no way leads there, also which nodes are reached.

        Neither where ways lead there but none keeps to the limits.
        """
        distance, before, best = self._tree(src, blocked)
        path = self.net.walk(dst, before, best)
        if not path:
            return (), np.isfinite(distance)
        if limits == NO_LIMITS or within(self.net, path, limits):
            return path, None
        if limits.hops is None and limits.loss_ratio is None:
            return (), None  # the quickest of all is late
        usable = self.usable.copy()
        if blocked is not None:
            usable[blocked] = False
        return cheapest_within(self.net, src, dst, usable, limits) or (), None

    def _tree(self, src: int, blocked: Indices | None) -> tuple[Floats, Indices, Indices]:
        if blocked is None or not len(blocked):
            return (*self._dijkstra(src), self._best)
        net, data = self.net, self._matrix.data
        slots = net.slot[blocked]
        kept, best = data[slots], self._best
        data[slots] = NO_WAY
        if not net.simple:
            self._parallel(slots, set(blocked.tolist()))
        try:
            return (*self._dijkstra(src), self._best)
        finally:
            data[slots], self._best = kept, best

    def _dijkstra(self, src: int) -> tuple[Floats, Indices]:
        return dijkstra(self._matrix, indices=src, return_predecessors=True)  # type: ignore[no-any-return]

    def _parallel(self, slots: Indices, blocked: set[int]) -> None:
        """Put the next best of parallel links in the place of those that are blocked."""
        net, copied = self.net, False
        for slot in sorted(set(slots.tolist())):
            first = int(net.starts[slot])
            last = int(net.starts[slot + 1]) if slot + 1 < len(net.starts) else net.links
            for i in net.order[first:last].tolist():
                if self.usable[i] and i not in blocked:
                    self._best = self._best if copied else self._best.copy()
                    copied = True
                    self._best[slot] = i
                    self._matrix.data[slot] = net.search_s[i]
                    break
