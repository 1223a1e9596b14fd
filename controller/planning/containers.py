"""Tables of the optical layer: ODU containers, and how far a line mode reaches.

Containers after ITU-T G.709: payload in bit/s and tributary slots of 1.25G that one takes in an ODU4.
Reach after the propagation study of the reference network, worst case of the OpenROADM limits: ROADM hops
by the longest hop on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf


@dataclass(frozen=True, slots=True)
class Container:
    name: str
    payload_bps: int
    slots: int  # of 1.25G in an ODU4


# Fixed containers, fewest slots first; of two with equal slots the smaller payload first.
CONTAINERS = (
    Container("ODU0", 1_238_950_000, 1),
    Container("ODU1", 2_488_320_000, 2),
    Container("ODU2", 9_995_280_000, 8),
    Container("ODU2e", 10_356_010_000, 8),
    Container("ODU3", 40_150_520_000, 31),
    Container("ODU4", 104_355_980_000, 80),
)
CLIENTS = {  # what G.709 maps these into, whatever would take fewer slots
    25 * 10**9: Container("ODUflex", 25 * 10**9, 20),
    100 * 10**9: Container("ODU4", 104_355_980_000, 80),
}
_SLOT_BPS = 1_301_467_000 * (1 - 20e-6)  # one slot of an ODU4, the only server links here, at its lowest clock
_CLOCK = 1 + 100e-6  # how much faster than nominal a client may run
LINE_MODE = "100G QPSK SC-FEC"
LINE_RATES = (10 * 10**9, 100 * 10**9)  # clients of a wavelength; the smaller rides alone in a 100G channel
_REACH_100G = ((20_000, 6), (40_000, 6), (80_000, 6), (160_000, 5))


def container(rate_bps: int) -> Container | None:
    """Return the container with the fewest slots that carries a rate; None above an ODU4."""
    if rate_bps in CLIENTS:
        return CLIENTS[rate_bps]
    fixed = next((c for c in CONTAINERS if c.payload_bps >= rate_bps), None)
    flexible = _flexible(rate_bps)
    if flexible is None or (fixed is not None and fixed.slots <= flexible.slots):
        return fixed
    return flexible


def _flexible(rate_bps: int) -> Container | None:
    """Return the ODUflex(CBR) of a client: 239/238 of its rate, in whole slots (G.709 §17.13.2)."""
    slots = max(1, ceil(rate_bps * 239 / 238 * _CLOCK / _SLOT_BPS))
    return Container("ODUflex", rate_bps, slots) if slots <= 80 else None


def line_container(rate_bps: int) -> str:
    """Return the container that a whole wavelength carries for a client."""
    return "ODU2e" if rate_bps <= LINE_RATES[0] else "ODU4"


def reach_hops(lengths_m: Sequence[int]) -> int:
    """Return how many fibres a 100G wavelength may pass without regeneration when these are on its way."""
    longest = max(lengths_m, default=0)
    return next((hops for limit_m, hops in _REACH_100G if longest <= limit_m), 0)


def reach_share(length_m: int) -> float:
    """Return which part of its reach a 100G wavelength spends on one fibre; inf where it does not get over it.

    Shares add up: a way is lit without regeneration where they come to 1 at most. That says of every mix of lengths
    exactly what the table says by the longest of them.
    """
    hops = reach_hops([length_m])
    return 1 / hops if hops else inf
