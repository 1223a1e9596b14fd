"""The quickest ways around some links, many times over the same network: one matrix, changed and put back.

Not shared among threads: every search has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
from scipy.sparse.csgraph import dijkstra

from controller.planning.engine.bounded import NO_LIMITS, Limits, cheapest_within, within
from controller.planning.engine.network import NO_WAY, Floats, Mask, Network, Path
from controller.planning.engine.ragged import Indices

NEAR = 0.35  # ways that are longer by up to this part are looked for first: most are


class Detours:
    """Ways over the links of one mask."""

    def __init__(self, net: Network, usable: Mask, spent: Detours | None = None) -> None:
        """`spent`: one over the same network that nobody asks any more; its matrices are taken over."""
        self.net, self.usable = net, usable
        weights, self._best = net.folded(usable)
        if spent is None:
            self._matrix, self._lost = net.matrix(weights), net.matrix(np.empty_like(weights))
        else:
            self._matrix, self._lost = spent._matrix, spent._lost
            self._matrix.data[:] = weights

    @cached_property
    def symmetrical(self) -> bool:
        """Whether whoever is reached also reaches, whatever elements are left out."""
        return self.net.symmetrical and bool((self.usable == self.usable[self.net.reverse]).all())

    def within(self, src: int, dst: int, limits: Limits, blocked: Indices | None = None) -> tuple[Path, Mask | None]:
        """Return the quickest of those that keep to the limits; where no way leads there, also which nodes are reached.

        Neither where ways lead there but none keeps to the limits.
        """
        with self._without(blocked):
            alone = self._alone(src, dst)
            if alone is not None:
                return (), alone
            path = self._near(src, dst)
            if not path:
                distance, before = self._dijkstra(src)
                path = self.net.walk(dst, before, self._best)
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

    def _alone(self, src: int, dst: int) -> Mask | None:
        """Return what is reached where one of the two ends has no link left; None where both have one."""
        for end in (src, dst) if self.symmetrical else (src,):
            first, last = self.net.indptr[end], self.net.indptr[end + 1]
            if np.minimum.reduce(self._matrix.data[first:last], initial=NO_WAY) == NO_WAY:
                reached = np.full(self.net.nodes, end == dst)
                reached[end] = end == src
                return reached
        return None

    def _near(self, src: int, dst: int) -> Path:
        """Return the quickest way where it is not much longer than the quickest of the whole network; () elsewhere."""
        net = self.net
        most_s = float(net.to_go_s(dst)[src]) * NEAR
        if not most_s < NO_WAY:
            return ()
        lost = self._lost.data
        np.add(self._matrix.data, net.detour_s(dst), out=lost)
        np.maximum(lost, 0.0, out=lost)  # rounding may leave a hair below nothing
        _, before = dijkstra(self._lost, indices=src, return_predecessors=True, limit=most_s)
        return net.walk(dst, before, self._best)

    @contextmanager
    def _without(self, blocked: Indices | None) -> Iterator[None]:
        """Leave some links out of the matrix for a while."""
        if blocked is None or not len(blocked):
            yield
            return
        net, data = self.net, self._matrix.data
        slots = net.slot[blocked]
        kept, best = data[slots], self._best
        data[slots] = NO_WAY
        if not net.simple:
            self._parallel(slots, set(blocked.tolist()))
        try:
            yield
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
