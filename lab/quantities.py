"""How operators of the lab write quantities: 1%, 5ms, 32dB, 12km, 130Gbps, 1h."""

from __future__ import annotations

import argparse
import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h)")
_SPAN_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|M|G|T)bps")
_BPS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(m|km)")
_DECIBELS = re.compile(r"(\d+(?:\.\d+)?)\s*dB")


def ratio(text: str) -> float:
    """Read 1% or 0.01."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a loss; write 1% or 0.01")
    return value


def duration(text: str) -> float:
    """Return seconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a delay; write 5ms or 300us")
    return float(match[1]) * _SECONDS[match[2]]


def decibels(text: str) -> float:
    """Return dB."""
    match = _DECIBELS.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no loss of light; write 3dB or 32.5dB")
    return float(match[1])


def length(text: str) -> float:
    """Return metres."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length; write 800m or 12km")
    return float(match[1]) * (1000.0 if match[2] == "km" else 1.0)


def span(text: str) -> float:
    """Return seconds."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 30s, 5min or 1h")
    return float(match[1]) * _SPAN_SECONDS[match[2]]


def rate(text: str) -> float:
    """Return bit/s."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate; write 130Gbps or 500Mbps")
    return float(match[1]) * _BPS[match[2]]
