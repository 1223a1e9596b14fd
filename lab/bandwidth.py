"""Rates as ietf-te-types writes them: bytes per second as an IEEE float32 in hexadecimal (RFC 8294)."""

from __future__ import annotations

import struct

_MBPS = 10**6


def te_bandwidth(rate_bps: int) -> str:
    """A rate as ietf-te-types writes it: bytes per second, nearest float32, in lower-case hex."""
    mantissa, _, exponent = _nearest(rate_bps / 8).hex().partition("p")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}p{exponent}" if fraction else f"{whole}p{exponent}"


def te_bandwidth_bps(text: str) -> int | None:
    """Return the bit/s of such a text, whole Mbit/s where it stands for those; None where it is no rate.

    100 Gbit/s has no float32 of its own: what is written for it reads back 2,048 bit/s short.
    """
    value = text.strip().lower()
    try:
        octets = float.fromhex(value) if value.startswith("0x") else float(int(value))
        whole = round(octets * 8 / _MBPS) * _MBPS
        return whole if _nearest(whole / 8) == _nearest(octets) else int(octets * 8)
    except (ValueError, OverflowError):
        return None


def _nearest(value: float) -> float:
    nearest: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return nearest
