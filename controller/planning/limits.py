"""What a path may come to at most, as sums over its links, and the words for the sum that is too high."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from controller.intent.model import Slo
from controller.network.light import Mode
from controller.planning.constrained import Vector
from controller.planning.draft import time_text

DELAY, JITTER, LOSS, HOPS, REACH = range(5)  # the sums, by column of `Burdens.sums`
_NO_WAY_HOPS = 1e9  # of a part that nothing joins: more than any limit leaves
_EASE = 1e-12  # sums of floats come out a hair above what they should


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one path, or what is left of it for a part. None: any."""

    delay_s: float | None = None
    jitter_s: float | None = None
    loss_ratio: float | None = None
    hops: int | None = None
    reach: float | None = None  # 1.0: as far as light of its mode gets; sums of shares
    mode: Mode | None = (
        None  # what light still has to be good for at the end; beyond it the table of reach is not asked
    )

    @classmethod
    def of(cls, slo: Slo) -> Limits:
        return cls(slo.latency_s, slo.jitter_s, slo.loss_ratio, slo.most_hops)

    def less(self, taken: Vector) -> Limits:
        """Return what is left for the rest of a path of which a part takes this much."""
        loss = self.loss_ratio
        if loss is not None:
            loss = -math.expm1(math.log1p(-loss) + taken[LOSS])
        return replace(
            self,
            delay_s=None if self.delay_s is None else self.delay_s - taken[DELAY],
            jitter_s=None if self.jitter_s is None else self.jitter_s - taken[JITTER],
            loss_ratio=loss,
            hops=None if self.hops is None else self.hops - round(min(taken[HOPS], _NO_WAY_HOPS)),
        )

    @property
    def most(self) -> Vector:
        """The same as one number for each sum."""
        loss = math.inf if self.loss_ratio is None else -math.log1p(-min(self.loss_ratio, 1 - 1e-15))
        given = (self.delay_s, self.jitter_s, loss, self.hops, self.reach)
        return tuple(math.inf if x is None else float(x) for x in given)

    def fits(self, sums: Vector) -> bool:
        return all(s <= m + _EASE for s, m in zip(sums, self.most, strict=False)) and self.margin_db(sums) >= 0

    def margin_db(self, sums: Vector) -> float:
        """Return what light has left over what its mode needs; inf where that is no question here."""
        if self.mode is None or len(sums) <= REACH + 1:
            return math.inf
        return self.mode.margin_db(*sums[REACH + 1 :])

    def beyond(self, sums: Vector) -> str:
        """Name the first limit that the sums of a path exceed, with what the path comes to; empty where none is."""
        most = self.most
        words = (
            f"latency: takes {time_text(sums[DELAY])}",
            f"jitter: may vary by {jitter_text(sums[JITTER])}",
            f"loss: may lose {loss_of(sums):.2g} of its packets",
            f"hops: is led over {round(sums[HOPS])} links",
            f"reach: takes {sums[REACH]:.0%} of what light of its mode reaches",
        )
        said = next((w for w, s, m in zip(words, sums, most, strict=False) if s > m + _EASE), "")
        dark = self.margin_db(sums)
        return said or (f"reach: light falls {margin_text(-dark)} short" if dark < 0 else "")


NO_LIMITS = Limits()


def loss_of(sums: Vector) -> float:
    """Return the ratio of packets that a path with these sums loses."""
    return -math.expm1(-sums[LOSS])


def margin_text(db: float) -> str:
    """Write a margin as people do: `0.5 dB`; where a curve ends there is no figure."""
    return f"{db:.2g} dB" if math.isfinite(db) else "too far"


def jitter_text(seconds: float) -> str:
    """Write a jitter as people do: `12 µs`."""
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else time_text(seconds)


def worse(*paths: Vector) -> Vector:
    """Return the highest of each sum over several paths."""
    return tuple(max(sums) for sums in zip(*paths, strict=True))


def tightest(several: Sequence[Limits]) -> Limits:
    """Return the lowest of each limit."""

    def least(values: Iterable[float | None]) -> float | None:
        return min((v for v in values if v is not None), default=None)

    hops = least(x.hops for x in several)
    return Limits(
        least(x.delay_s for x in several), least(x.jitter_s for x in several), least(x.loss_ratio for x in several),
        None if hops is None else int(hops), least(x.reach for x in several), several[0].mode if several else None,
    )  # fmt: skip
