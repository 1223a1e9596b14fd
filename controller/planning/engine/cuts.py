"""What parts nodes from each other, remembered from one search to the next.

A way that holds a whole cut can have no second one beside it, and where ways are trapped it is mostly by the same few
ducts around a node, or by the same full links. So what one search found out spares the others finding it out again.
What parts nodes for a rate parts them for every higher rate as long as nothing is given back, and for every longer
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.planning.engine.network import Mask
from controller.planning.engine.ragged import Indices


@dataclass(frozen=True, slots=True)
class Claim:
    """What a demand needs of a link to use it: its rate throughout periods first..last-1. Without one: any link."""

    rate_bps: int = 0
    first: int = 0
    last: int = 0

    def implies(self, other: Claim) -> bool:
        """Return whether a link that is no use to the other is no use to this one."""
        if not other.rate_bps:
            return True
        return self.rate_bps >= other.rate_bps and self.first <= other.first and self.last >= other.last


ANY = Claim()
_Known = tuple[frozenset[int], bytes, Claim]  # bytes: looked at one by one, many times


class Cuts:
    """Sets of elements without which some nodes are no longer reached. `symmetrical`: nor do they reach."""

    def __init__(self, *, symmetrical: bool) -> None:
        self._symmetrical = symmetrical
        self._known: dict[int, list[_Known]] = {}  # by its lowest element

    def learn(self, cut: frozenset[int], reached: Mask, claim: Claim) -> None:
        """Remember that without the elements exactly these nodes are reached from some node."""
        self._known.setdefault(min(cut, default=-1), []).append((cut, reached.tobytes(), claim))

    def parting(self, src: int, dst: int, elements: Iterable[int], claim: Claim) -> frozenset[int] | None:
        """Return a known cut among the elements that parts the two nodes, the smallest; None where none is known.

        An empty cut says that nothing joins the two at all.
        """
        every = {-1, *elements}
        best: frozenset[int] | None = None
        for lowest in sorted(every & self._known.keys()):
            for cut, reached, needs in self._known[lowest]:
                if (
                    self._parts(src, dst, reached)
                    and (best is None or len(cut) < len(best))
                    and cut <= every
                    and claim.implies(needs)
                ):
                    best = cut
        return best

    def _parts(self, src: int, dst: int, reached: bytes) -> bool:
        if self._symmetrical:
            return reached[src] != reached[dst]
        return reached[src] > reached[dst]


def smallest_cover(links: Indices, of: Sequence[tuple[int, ...]], among: frozenset[int]) -> frozenset[int]:
    """Return few of the elements such that every link has one of them: the most frequent first, then none to spare."""
    open_ = [among.intersection(of[i]) for i in links.tolist()]
    every, chosen = list(open_), list[int]()
    while open_:
        counts: dict[int, int] = {}
        for held in open_:
            for element in held:
                counts[element] = counts.get(element, 0) + 1
        best = min(counts, key=lambda e: (-counts[e], e))
        chosen.append(best)
        open_ = [held for held in open_ if best not in held]
    for element in list(chosen):
        rest = set(chosen) - {element}
        if all(held & rest for held in every):
            chosen.remove(element)
    return frozenset(chosen)


def crossing(src: Indices, dst: Indices, usable: Mask, reached: Mask) -> Indices:
    """Return the usable links that lead out of what is reached."""
    return np.flatnonzero(usable & reached[src] & ~reached[dst])
