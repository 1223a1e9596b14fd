"""What line equipment measures of a fibre: span loss, amplifiers, and the power of each channel at both ends.

A booster launches every channel at 0 dBm, less what amplifiers before it could not make up for; the preamplifier at
the far end gives back what the span took, as long as its gain allows (OpenROADM plans spans of at most 27 dB). Short
spans are padded to 10 dB. Both directions wear alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from lab.plant.circuits import WAVELENGTH
from lab.plant.physical import Physical
from lab.plant.receivers import LAUNCH_DBM, MOST_GAIN_DB, PADDED_SPAN_DB, missing_db

NOISE_DB = 0.05
Channels = dict[int, float]  # channel → dB that it misses already where it enters the span


def lines(physical: Physical, random: np.random.Generator) -> dict[str, dict[str, Any]]:
    """Return this moment's values by fibre; a dark fibre has none, one without channels its loss alone."""
    lit = _lit_channels(physical)
    found = {}
    for fibre in physical.city.optical.fibres:
        if not physical.fibre_up(fibre.id) or not (physical.node_up(fibre.a) and physical.node_up(fibre.z)):
            continue
        loss_db = physical.span_loss_db(fibre) + float(random.uniform(-NOISE_DB, NOISE_DB))
        ends = {n: _end(loss_db, lit[fibre.id, n]) for n in (fibre.a, fibre.z) if (fibre.id, n) in lit}
        found[fibre.id] = {"span_loss_db": loss_db, "ends": ends}
    return found


def _end(loss_db: float, channels: Channels) -> dict[str, Any]:
    """Return what the preamplifier and the channel monitor at one end of a span see."""
    padded_db = max(loss_db, PADDED_SPAN_DB)
    gain_db = min(padded_db, MOST_GAIN_DB)
    launched_dbm = {c: LAUNCH_DBM - missing for c, missing in sorted(channels.items())}
    received_dbm = 10 * math.log10(sum(10 ** (p / 10) for p in launched_dbm.values())) - padded_db
    return {
        "input_dbm": received_dbm,
        "output_dbm": received_dbm + gain_db,
        "gain_db": gain_db,
        "channels": {str(c): p - padded_db + gain_db for c, p in launched_dbm.items()},
    }


def _lit_channels(physical: Physical) -> dict[tuple[str, str], Channels]:
    """Return the channels that are lit on each fibre, by the node at which they leave it."""
    found: dict[tuple[str, str], Channels] = {}
    for fibre, node, channel, missing in _arrivals(physical):
        found.setdefault((fibre, node), {})[channel] = missing
    return found


def _arrivals(physical: Physical) -> Iterator[tuple[str, str, int, float]]:
    lost_db = {f.id: missing_db(physical.span_loss_db(f)) for f in physical.city.optical.fibres}
    for name, spec in physical.circuits.specs.items():
        if spec.layer != WAVELENGTH or not physical.circuits.states[name].up:
            continue
        for leg in spec.legs:  # both legs of 1+1 are lit
            nodes = physical.circuits.walk(spec, leg)
            for route, ends in ((leg.route, nodes[1:]), (leg.route[::-1], nodes[-2::-1])):
                missing = 0.0
                for fibre, node in zip(route, ends, strict=True):
                    yield fibre, node, leg.channel, missing
                    missing += lost_db[fibre]
