"""What line equipment measures of a fibre: span loss, amplifiers, and the power of each channel.

A booster launches every channel at 0 dBm; the preamplifier at the far end brings it back to that, as long as its gain
allows (OpenROADM plans spans of at most 27 dB). Short spans are padded to 10 dB. Both directions wear alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lab.plant.circuits import WAVELENGTH
from lab.plant.physical import Physical

LAUNCH_DBM = 0.0
PADDED_SPAN_DB, MOST_GAIN_DB = 10.0, 30.0
NOISE_DB = 0.05


def lines(physical: Physical, random: np.random.Generator) -> dict[str, dict[str, Any]]:
    """Return this moment's values by fibre; a dark fibre has none, one without channels its loss alone."""
    lit = _lit_channels(physical)
    found = {}
    for fibre in physical.city.optical.fibres:
        channels = lit.get(fibre.id, ())
        if not physical.fibre_up(fibre.id) or not (physical.node_up(fibre.a) and physical.node_up(fibre.z)):
            continue
        loss_db = physical.span_loss_db(fibre) + float(random.uniform(-NOISE_DB, NOISE_DB))
        values: dict[str, Any] = {"span_loss_db": loss_db}
        if channels:
            padded_db = max(loss_db, PADDED_SPAN_DB)
            gain_db = min(padded_db, MOST_GAIN_DB)
            launched_dbm = LAUNCH_DBM + 10 * math.log10(len(channels))
            received_dbm = launched_dbm - padded_db
            values |= {
                "input_dbm": received_dbm,
                "output_dbm": received_dbm + gain_db,
                "gain_db": gain_db,
                "channels": {str(c): LAUNCH_DBM - padded_db + gain_db for c in channels},
            }
        found[fibre.id] = values
    return found


def _lit_channels(physical: Physical) -> dict[str, list[int]]:
    """Return the channels that are lit on each fibre, sorted."""
    found: dict[str, list[int]] = {}
    for name, spec in physical.circuits.specs.items():
        if spec.layer == WAVELENGTH and physical.circuits.states[name].up:
            for leg in spec.legs:  # both legs of 1+1 are lit
                for fibre in leg.route:
                    found.setdefault(fibre, []).append(leg.channel)
    return {fibre: sorted(channels) for fibre, channels in found.items()}
