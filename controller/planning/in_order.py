"""Ways one after the other, the quickest first: for what is decided about each way by itself.

Lawler's scheme (1972): of the ways that remain once one is taken away, each begins like it up to some hop and leaves it
there; the best of each such family waits for its turn.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

import numpy as np

from controller.planning.constrained import Burdens, Fits, Vector, best_way
from controller.planning.draft import CannotPlaceError
from controller.planning.paths import Mask, Path

MOST_WAYS = 100  # that are looked at before a request is refused


def ways_in_order(burdens: Burdens, src: str, dst: str, usable: Mask, fits: Fits, most: Vector = ()) -> Iterator[Path]:
    """Yield every way that passes no node twice and fits, by delay; `fits` and `most` as in `best_way`.

    A family of ways about which `best_way` cannot decide is left out.
    """
    graph, turn = burdens.graph, count()
    begins, families = np.asarray(graph.src), list[tuple[float, int, Path, Mask, int]]()

    def wait(mask: Mask, shared: int) -> None:
        try:
            way = best_way(burdens, src, dst, mask, fits, most)
        except CannotPlaceError:
            return
        if way:
            heapq.heappush(families, (graph.delay_of(way), next(turn), way, mask, shared))

    wait(usable, 0)
    while families:
        _, _, way, mask, shared = heapq.heappop(families)
        yield way
        for at in range(shared, len(way)):
            leaving = begins == begins[way[at]]
            other = mask.copy()
            other[way[at]] = False
            wait(other, at)
            mask = mask & ~leaving  # the families that follow go on with this hop
            mask[way[at]] = True
