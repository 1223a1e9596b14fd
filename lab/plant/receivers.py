"""What a transponder receives: power, chromatic dispersion, and blocks of frames that its code cannot correct.

A channel reaches the receiver behind the last ROADM's drop at DROP_DBM. Amplifiers make up for the loss of their own
span as long as their gain allows; what is missing after that is missing at every one that follows, for those run at
the gain that they were set to. A receiver that gets less than its line mode needs does not lock.

The margin wavers about its mean (polarisation, temperature): blocks are lost in the moments in which there is none.
One block is the payload of an OTU frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from lab.optical.containers import MODES

LAUNCH_DBM, DROP_DBM = 0.0, -10.0
PADDED_SPAN_DB, MOST_GAIN_DB = 10.0, 30.0
DISPERSION_PS_NM_M = 16.7e-3  # standard fibre (G.652) at 1550 nm
DETOUR_DB_M = 0.25e-3  # of fibre that nobody has written down
BLOCK_BITS = 4 * 3808 * 8
_WAVER = NormalDist(0.0, 0.1)  # dB
_CALM_DB = 0.6  # six times as far as it wavers: no block is lost


def missing_db(span_loss_db: float) -> float:
    """Return what the amplifier behind a span cannot make up for."""
    return max(0.0, max(span_loss_db, PADDED_SPAN_DB) - MOST_GAIN_DB)


def received_dbm(span_losses_db: Sequence[float], patch_db: float = 0.0) -> float:
    """Return what arrives at a receiver over these spans and a patch cord that loses so much."""
    return DROP_DBM - sum(missing_db(loss) for loss in span_losses_db) - patch_db


def least_dbm(mode: str) -> float | None:
    """Return what a receiver of this mode needs; None where nothing is known of it."""
    line = MODES.get(mode)
    return None if line is None else line.least_rx_dbm


def power_penalty_db(mode: str, power_dbm: float) -> float:
    """Return the margin that a weak signal costs: 1 dB where it is just enough, by the receiver's own noise."""
    least = least_dbm(mode)
    return 0.0 if least is None else 10 * math.log10(1 + 0.26 * 10 ** (2 * (least - power_dbm) / 10))


def uncorrected(margin_db: float) -> float:
    """Return the share of blocks that the code cannot correct at this mean margin."""
    return 0.0 if margin_db > _CALM_DB else _WAVER.cdf(-margin_db)


def blocks_per_s(mode: str) -> float:
    return MODES[mode].client_bps / BLOCK_BITS
