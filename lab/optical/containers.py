"""What fits into what, and how far it reaches: the G.709 and line-mode tables as data.

Slots are the 1.25G tributary slots of an ODU4. Reach is in ROADM hops by the longest fibre on the way; the plant
is built like the *typical* column of the design notes, so a planner that keeps to the *worst* one has margin left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ODU4_SLOT_BPS = 1_301_467_000  # payload of one tributary slot of an ODU4
RX_WARNING_DB = 3.0  # over what a receiver needs it begins to warn
CLOCK_TOLERANCE = 1e-4  # a client may run 100 ppm fast
SLOT_TOLERANCE = 2e-5  # a slot may run 20 ppm slow


@dataclass(frozen=True, slots=True)
class Container:
    """An ODU of fixed size: the largest client it takes and the slots it fills in an ODU4."""

    name: str
    client_bps: int
    slots: int


FIXED = {
    c.name: c
    for c in (
        Container("ODU0", 1_250_000_000, 1),
        Container("ODU1", 2_500_000_000, 2),
        Container("ODU2", 10_000_000_000, 8),
        Container("ODU2e", 10_356_010_000, 8),
        Container("ODU3", 40_150_520_000, 31),
        Container("ODU4", 104_355_980_000, 80),
    )
}
FLEXIBLE = ("ODUflex", "ODUflex(CBR)", "ODUflex(GFP)")


@dataclass(frozen=True, slots=True)
class LineMode:
    """A transponder setting. `reach` is (longest fibre in metres, most ROADM hops), ascending; lengths metres."""

    name: str
    client_bps: int
    required_osnr_db: float  # in 0.1 nm
    q_limit_db: float  # Q² at the limit of its FEC
    reach: tuple[tuple[int, int], ...]
    total_m: int | None = None  # where dispersion is not compensated
    least_rx_dbm: float | None = None  # what its receiver needs


_REACH_100G = ((20_000, 24), (40_000, 24), (80_000, 17), (160_000, 8))
MODES = {
    m.name: m
    for m in (
        LineMode("10G NRZ", 10_312_500_000, 16.0, 8.34, ((80_000, 24),), total_m=80_000),
        LineMode("100G QPSK SC-FEC", 104_355_980_000, 17.0, 8.34, _REACH_100G, least_rx_dbm=-22.0),
        LineMode("100G QPSK oFEC", 104_355_980_000, 12.0, 6.25, _REACH_100G, least_rx_dbm=-18.0),
    )
}


def slots_needed(odu: str, rate_bps: int) -> int | None:
    """Return the tributary slots that a client takes in an ODU4, None where it does not fit or is unknown."""
    fixed = FIXED.get(odu)
    if fixed is not None:
        return fixed.slots if 0 < rate_bps <= fixed.client_bps else None
    if odu not in FLEXIBLE or rate_bps <= 0:
        return None
    if odu == "ODUflex(GFP)":
        slots = math.ceil(rate_bps * 239 / 238 / ODU4_SLOT_BPS)
    else:
        carried_bps = rate_bps * 239 / 238 * (1 + CLOCK_TOLERANCE)
        slots = math.ceil(carried_bps / (ODU4_SLOT_BPS * (1 - SLOT_TOLERANCE)))
    return slots if slots <= 80 else None


def reach_problem(mode: str, lengths_m: tuple[int, ...]) -> str | None:
    """Say why light of this mode does not get over fibres of these lengths; None where it does."""
    line = MODES[mode]
    longest, hops = max(lengths_m), len(lengths_m)
    allowed = next((most for limit, most in line.reach if longest <= limit), 0)
    if hops > allowed:
        return f"{mode} reaches {allowed} hops where the longest is {longest / 1000:g} km; the route has {hops}"
    if line.total_m is not None and sum(lengths_m) > line.total_m:
        return f"{mode} reaches {line.total_m / 1000:g} km uncompensated; the route has {sum(lengths_m) / 1000:g} km"
    return None
