"""TE bandwidth on the wire: bytes per second as an IEEE float32 in hexadecimal (RFC 8294), against our bit/s integers.

100 Gbit/s has no exact float32 (it reads back 2,048 bit/s short), so reading snaps to the nearest Mbit/s where that is
what the writer must have meant, and otherwise rounds capacity down. Text is never compared, only what it stands for.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from functools import lru_cache

_SNAP_BPS = 1_000_000
_FLOAT32_STEP = Fraction(1, 2**23)  # relative size of the last bit of a float32 mantissa


@lru_cache(maxsize=4096)
def bandwidth_text(rate_bps: int) -> str:
    """Return the canonical text of a rate: the nearest float32 in bytes/s, lower case, no trailing zeros."""
    mantissa, exponent = _float32(rate_bps / 8).hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}"


@lru_cache(maxsize=4096)
def bandwidth_bps(text: str) -> int:
    """Return the rate that a bandwidth text stands for, in bit/s; ValueError where it is none.

    Accepts what the type allows: a hex float, a hex integer or a decimal integer, all in bytes per second.
    """
    value = text.strip().lower()
    exact = Fraction(float.fromhex(value)) if value.startswith("0x") else Fraction(int(value))
    bits = exact * 8
    snapped = round(bits / _SNAP_BPS) * _SNAP_BPS
    close = bits and abs(bits - snapped) <= bits * _FLOAT32_STEP
    # A float32 beside the one that stands for the round rate is another rate.
    if close and _float32(snapped / 8) == _float32(float(exact)):
        return snapped
    return int(bits)


def _float32(value: float) -> float:
    nearest: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return nearest
