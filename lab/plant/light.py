"""Light on fibre: OSNR along a route, what is left over the requirement, and the bit error rate before FEC.

Noise adds: 1/GSNR = A + Σ over spans (R + S·10^((max(loss, 10) − 10)/10)), linear, 0.1 nm. A is add and drop, R the
ROADM, S the amplifier behind a padded 10 dB span. Fitted to GNPy's *typical* row for 100G with short spans: 30.6 dB
after 1 hop, 27.6 after 3, 25.3 after 6. Penalties 0.3 dB and 0.05 dB a hop. Margin is over the required OSNR
(planning wants ≥ 2 dB of it). Q² in dB = FEC limit + margin; BER = ½·erfc(Q/√2), floor 1e-15.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lab.optical.containers import MODES

_ADD_DROP = 4.55e-4
_ROADM = 3.2e-4
_AMPLIFIER = 0.95e-4
_PADDED_SPAN_DB = 10.0
_PENALTY_DB, _PENALTY_PER_HOP_DB = 0.3, 0.05
BER_FLOOR = 1e-15


def margin_db(mode: str, span_losses_db: Sequence[float]) -> float | None:
    """Return the OSNR left over what the mode requires; None for an unknown mode."""
    line = MODES.get(mode)
    if line is None:
        return None
    noise = _ADD_DROP
    for loss_db in span_losses_db:
        noise += _ROADM + _AMPLIFIER * 10 ** ((max(loss_db, _PADDED_SPAN_DB) - _PADDED_SPAN_DB) / 10)
    gsnr_db = -10 * math.log10(noise)
    return gsnr_db - line.required_osnr_db - _PENALTY_DB - _PENALTY_PER_HOP_DB * len(span_losses_db)


def pre_fec_ber(mode: str, margin: float) -> float:
    """Return the bit error rate before correction at this margin."""
    q = 10 ** ((MODES[mode].q_limit_db + margin) / 20)
    return max(BER_FLOOR, 0.5 * math.erfc(q / math.sqrt(2)))
