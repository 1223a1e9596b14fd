"""What a way comes to on the map, held against what was promised: jitter, loss and the number of hops.

Delays and jitter add up; of losses the shares that arrive multiply. A hop is a link that routers forward over, or one
that a circuit's container or wavelength is switched along; a dedicated circuit is hops of its own layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from controller.intent.model import Slo
from controller.network.light import OTN_JITTER_S
from controller.network.model import Link
from controller.verification.facts import CircuitLeg

_EASE = 1e-12  # sums of floats come out a hair above what they should


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one way: jitter in seconds, the share of packets that arrive as −ln, hops."""

    jitter_s: float = 0.0
    lost: float = 0.0
    hops: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.jitter_s + other.jitter_s, self.lost + other.lost, self.hops + other.hops)

    def beyond(self, slo: Slo) -> str:
        """Return which promise these sums break; empty where none."""
        if slo.jitter_s is not None and self.jitter_s > slo.jitter_s + _EASE:
            return f"it may vary by {self.jitter_s * 1e6:.3g} µs, {slo.jitter_s * 1e6:g} µs are promised"
        if slo.loss_ratio is not None and self.lost > lost(slo.loss_ratio) + _EASE:
            return f"it may lose {-math.expm1(-self.lost):.2g} of its packets, {slo.loss_ratio:g} is promised"
        if slo.most_hops is not None and self.hops > slo.most_hops:
            return f"it is led over {self.hops} links, {slo.most_hops} are the most"
        return ""


NOTHING = Sums()


def limited(slo: Slo) -> bool:
    """Say whether anything is promised that `Sums` could break."""
    return (slo.jitter_s, slo.loss_ratio, slo.most_hops) != (None, None, None)


def of_links(links: Iterable[Link]) -> Sums:
    jitter, gone, hops = 0.0, 0.0, 0
    for link in links:
        jitter, gone, hops = jitter + link.jitter_s, gone + lost(link.loss_ratio), hops + 1
    return Sums(jitter, gone, hops)


def of_leg(leg: CircuitLeg, layer: str) -> Sums:
    """Return what a circuit's leg comes to: light waits for nobody, containers pass a switch at every hop."""
    hops = len(leg.route)
    return Sums(0.0 if layer == "wavelength" else OTN_JITTER_S * hops, 0.0, hops)


def lost(ratio: float) -> float:
    """Return a loss ratio so that those of several links add up: −ln of the share that arrives."""
    return -math.log1p(-min(ratio, 1 - 1e-12))
