"""The optical equipment that feasibility is reckoned with: OpenROADM limits, worst case, 100 Gbit/s on a 50 GHz grid.

Figures of the OpenROADM specification, version 5, and of ITU-T G.652 fibre, in the units of GNPy's equipment library
(dB, Hz, m, s). A domain that publishes better ones may be given them; until then a way that is feasible here is
feasible with any conforming equipment.
"""

from __future__ import annotations

from typing import Any

TYPE, FORMAT = "coherent", "100G QPSK SC-FEC"
LOSS_DB_PER_KM = 0.25  # only the split of a measured loss between fibre and connectors hangs on it
MARGIN_DB = 2.0  # kept after all penalties
OPTIMISM_DB = 0.05  # what the sum of links is above full propagation at most

PREAMPLIFIER, BOOSTER, IN_LINE = "preamplifier", "booster", "in-line"

# Noise figures of OpenROADM amplifiers are polynomials of their gain.
_EDFA = [
    {
        "type_variety": IN_LINE, "type_def": "openroadm", "gain_flatmax": 27, "gain_min": 0, "p_max": 22,
        "nf_coef": [-8.104e-4, -6.221e-2, -5.889e-1, 37.62], "pmd": 3e-12, "pdl": 0.7, "allowed_for_design": True,
    },
    {
        "type_variety": PREAMPLIFIER, "type_def": "openroadm", "gain_flatmax": 27, "gain_min": 0, "p_max": 22,
        "nf_coef": [-5.952e-4, -6.25e-2, -1.071, 27.99], "pmd": 0, "pdl": 0, "allowed_for_design": False,
    },
    {
        "type_variety": BOOSTER, "type_def": "openroadm_booster", "gain_flatmax": 32, "gain_min": 0, "p_max": 22,
        "pmd": 0, "pdl": 0, "allowed_for_design": False,
    },
]  # fmt: skip

_PENALTIES: list[dict[str, float]] = [
    {"chromatic_dispersion": 4000.0, "penalty_value": 0}, {"chromatic_dispersion": 18000.0, "penalty_value": 0.5},
    {"pmd": 10, "penalty_value": 0}, {"pmd": 30, "penalty_value": 0.5},
    {"pdl": 1, "penalty_value": 0.5}, {"pdl": 2, "penalty_value": 1}, {"pdl": 4, "penalty_value": 2.5},
]  # fmt: skip

REQUIRED_OSNR_DB = 17.0


def library() -> dict[str, Any]:
    """Return the equipment library, a fresh copy: what reads it may change it."""
    mode = {
        "format": FORMAT, "baud_rate": 27.95e9, "OSNR": REQUIRED_OSNR_DB, "bit_rate": 100e9, "roll_off": 0.15,
        "tx_osnr": 33, "penalties": [dict(p) for p in _PENALTIES], "min_spacing": 50e9, "cost": 1,
    }  # fmt: skip
    return {
        "Edfa": [dict(amplifier) for amplifier in _EDFA],
        "Fiber": [{"type_variety": "G.652", "dispersion": 1.67e-05, "effective_area": 8.3e-11, "pmd_coef": 1.265e-15}],
        "RamanFiber": [
            {"type_variety": "G.652", "dispersion": 1.67e-05, "effective_area": 8.3e-11, "pmd_coef": 1.265e-15}
        ],
        "Span": [
            {
                "power_mode": True, "delta_power_range_db": [0, 0, 0], "max_fiber_lineic_loss_for_raman": 0.25,
                "target_extended_gain": 0, "max_length": 135, "length_units": "km", "max_loss": 28, "padding": 10,
                "EOL": 0, "con_in": 0, "con_out": 0,
            }
        ],
        "Roadm": [
            {
                "type_variety": "default", "target_pch_out_db": -20, "add_drop_osnr": 33, "pmd": 3e-12, "pdl": 1.5,
                "restrictions": {"preamp_variety_list": [PREAMPLIFIER], "booster_variety_list": [BOOSTER]},
            }
        ],
        "SI": [
            {
                "f_min": 191.35e12, "f_max": 196.1e12, "baud_rate": 27.95e9, "spacing": 50e9, "power_dbm": 0,
                "power_range_db": [0, 0, 1], "roll_off": 0.15, "tx_osnr": 33, "sys_margins": 0,
            }
        ],
        "Transceiver": [
            {"type_variety": TYPE, "frequency": {"min": 191.35e12, "max": 196.1e12}, "mode": [mode]}
        ],
    }  # fmt: skip
