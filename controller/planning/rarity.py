"""Availability as one more sum over a way, for services that have one way only.

The quickest way is not always the one that works most of the time: a detour past fewer nodes, or over better cables,
may keep a promise that the quickest breaks. −ln of the availability of what fails independently adds up; half of each
node counts with the cable before it and half with the one behind, so that both directions come to the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controller.network.model import Node
from controller.planning.constrained import Burdens, Floats, best_way
from controller.planning.limits import Limits
from controller.planning.paths import Mask, Path

_EASE = 1e-12


def rarity(availability: float) -> float:
    """Return −ln of an availability; inf of one that never is."""
    return -math.log(availability) if availability > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Rare:
    """How rarely the parts of one graph fail. `each`: −ln of availability by edge, half of both its nodes with it."""

    burdens: Burdens
    each: Floats
    nodes: Mapping[str, Node]

    @classmethod
    def of(cls, burdens: Burdens, parts: Sequence[float], nodes: Mapping[str, Node]) -> Rare:
        """parts: the availability of what each edge stands for."""
        ends = (rarity(nodes[e.src].availability) + rarity(nodes[e.dst].availability) for e in burdens.graph.edges)
        each = [rarity(part) + both / 2 for part, both in zip(parts, ends, strict=True)]
        return cls(burdens, np.array(each, dtype=np.float64), nodes)

    def most(self, least: float, a: str, z: str) -> float:
        """Return what a way between two nodes may come to: its ends' own failures are not its own."""
        return rarity(least) + (rarity(self.nodes[a].availability) + rarity(self.nodes[z].availability)) / 2

    def sum(self, path: Path) -> float:
        return float(self.each[list(path)].sum())

    def fits(self, path: Path, most: float) -> bool:
        return self.sum(path) <= most + _EASE

    def least(self, src: int, dst: int, usable: Mask) -> float:
        """Return what any way between two nodes comes to at least."""
        return float(self._with_it().least_to(dst, usable)[src][-1])

    def best_way(self, src: str, dst: str, usable: Mask, limits: Limits, most: float) -> Path | None:
        """Return the quickest way within the limits that fails rarely enough; None where there is none."""
        wide = self._with_it()
        free = (math.inf,) * (wide.sums.shape[1] - 1 - len(limits.most))
        return best_way(
            wide, src, dst, usable, lambda sums: sums[-1] <= most + _EASE and limits.fits(sums[:-1]),
            (*limits.most, *free, most),
        )  # fmt: skip

    def _with_it(self) -> Burdens:
        return Burdens(self.burdens.graph, np.hstack((self.burdens.sums, self.each[:, None])), self.burdens.cable)
