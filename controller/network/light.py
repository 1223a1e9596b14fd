"""What fibres do to light, as sums over a path, and when a line mode still gets through.

Noise is inverse GSNR in 0.1 nm, linear. Polarisation-dependent loss and mode dispersion add as squares (dB², ps²),
chromatic dispersion as it is (ps/nm). Where these come from (propagation, a domain's own figures) is nothing to the
planner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

Curve = tuple[tuple[float, float], ...]  # (impairment, penalty in dB), rising

ROADM_S = 0.5e-6  # latency that a passed ROADM adds
TRANSPONDER_PAIR_S = 10e-6  # what both ends of a wavelength add
OTN_SWITCH_S = 10e-6  # a switched ODU
OTN_JITTER_S = 1e-7  # what mapping into and out of tributary slots makes of a clock, per switch


@dataclass(frozen=True, slots=True)
class Light:
    """One fibre with its amplifiers and the ROADM before it."""

    noise: float
    pdl2: float
    pmd2: float
    dispersion: float

    @property
    def sums(self) -> tuple[float, float, float, float]:
        return (self.noise, self.pdl2, self.pmd2, self.dispersion)


@dataclass(frozen=True, slots=True)
class LightEnds:
    """What transmitter, add, drop and the one ROADM more than fibres add to every path."""

    noise: float
    pdl2: float
    pmd2: float


@dataclass(frozen=True, slots=True)
class Mode:
    """A line mode: the GSNR that it needs, margins included, and what impairments cost it on top."""

    name: str
    needs_db: float
    ends: LightEnds
    pdl: Curve
    pmd: Curve
    dispersion: Curve

    def margin_db(self, noise: float, pdl2: float, pmd2: float, dispersion: float) -> float:
        """Return what is left over what is needed, of the sums over a path; −inf beyond a curve. Falls with each."""
        gsnr_db = -10 * math.log10(noise + self.ends.noise)
        penalty = (
            _penalty(self.pdl, math.sqrt(pdl2 + self.ends.pdl2))
            + _penalty(self.pmd, math.sqrt(pmd2 + self.ends.pmd2))
            + _penalty(self.dispersion, dispersion)
        )
        return gsnr_db - self.needs_db - penalty


def _penalty(curve: Curve, at: float) -> float:
    """Interpolate; below the first point its own penalty is scaled down to none at zero, beyond the last is no way."""
    if at > curve[-1][0]:
        return math.inf
    points = ((0.0, 0.0), *curve)
    for (x0, y0), (x1, y1) in pairwise(points):
        if at <= x1:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0) if x1 > x0 else y1
    return curve[-1][1]
