"""Quantities as people write them, read into SI units and written back without loss.

Every function that reads takes what the document holds (text, or a number from a typed document) and raises
ValueError with one sentence: what is wrong and what would be right. Arithmetic is decimal, so that writing a
value and reading it again gives the same float to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches

_NUMBER = r"[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?"
_QUANTITY = re.compile(rf"([-+]?)({_NUMBER})[ ]?([A-Za-zµμ%/]*)")
_SPAN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|min|m|h|d|w)")

_RATE_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_RATES = {f"{prefix}{end}": factor for prefix, factor in _RATE_UNITS.items() for end in ("bps", "bit/s")}
_TIMES = {"ns": Decimal("1e-9"), "us": Decimal("1e-6"), "µs": Decimal("1e-6"), "μs": Decimal("1e-6"),
          "ms": Decimal("1e-3"), "s": Decimal(1)}  # fmt: skip
_SPANS = {"ms": Decimal("1e-3"), "s": Decimal(1), "min": Decimal(60), "m": Decimal(60), "h": Decimal(3600),
          "d": Decimal(86400), "w": Decimal(604800)}  # fmt: skip

MOST_BPS = 10**15  # a thousand Tbit/s: more than any fibre; keeps sums of thousands well inside 64 bits
SURELY_BPS = 10**5  # a bare number from here on was counted in bit/s; below, people mean Mbit/s
LEAST_DELAY_S = 1e-6  # what is shorter cannot be measured, and light needs 5 us a km
LEAST_LOSS = 1e-9  # one packet in a day of 10,000 a second; what is less cannot be measured
LONGEST_WINDOW_S = 366 * 86400.0


def shown(value: object) -> str:
    """Return the value as an error quotes it: text in quotes and shortened, numbers bare."""
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "…"
        return '"' + "".join(c if c.isprintable() else "?" for c in text) + '"'
    if value is None:
        return "nothing"
    if isinstance(value, bool | int | float):
        text = str(value) if not isinstance(value, int) or abs(value) < 10**30 else "a number of more than 30 digits"
        return text
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else "this value"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` did you mean x?` for the known word that is nearest, or what there is to choose from."""
    choices = sorted(known)
    folded = {choice.lower(): choice for choice in choices}
    near = get_close_matches(word.lower()[:80], list(folded), n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(folded[n] for n in near) + "?"
    if len(choices) <= 16:
        return "known are " + ", ".join(choices) if choices else "none is known"
    return "known are " + ", ".join(choices[:12]) + f" and {len(choices) - 12} more"


def _split(value: object) -> tuple[Decimal, str] | None:
    """Return (number, unit), or None where the value is not a number with an optional unit."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int) and abs(value) >= 10**30:
        return None
    found = _QUANTITY.fullmatch(value.strip() if isinstance(value, str) else repr(value))
    if found is None:
        return None
    number = Decimal(found[2])
    return (-number if found[1] == "-" else number), found[3]


def rate(value: object) -> int:
    """Return bit/s from `10Gbps`, `2.5Gbit/s`, `100 Mbps`."""
    parts = _split(value)
    if parts is None:
        raise ValueError(f"{shown(value)} is not a rate; write for example 100Mbps or 10Gbit/s")
    number, unit = parts
    factor = _RATES.get(unit)
    if factor is None:
        plain = _example(number, "100")
        meant = _rate_unit_meant(unit)
        hint = f"write {plain}{meant}bps or {plain}{meant}bit/s"
        if not unit and SURELY_BPS <= number <= MOST_BPS and number == number.to_integral_value():
            hint = f"write {_plain(number)}bps or {rate_text(int(number))}"
        problem = "is not a rate" if unit else "has no unit"
        raise ValueError(f"{shown(value)} {problem}; {hint}")
    bits = number * factor
    if bits <= 0:
        raise ValueError(f"{shown(value)} is not more than zero; write for example 100Mbps")
    if bits > MOST_BPS:
        raise ValueError(f"{shown(value)} is more than any network carries; write at most 1000Tbps")
    if bits != bits.to_integral_value():
        raise ValueError(f"{shown(value)} is not a whole number of bit/s")
    return int(bits)


def _rate_unit_meant(unit: str) -> str:
    first = unit[:1]
    return {"k": "k", "K": "k", "m": "M", "M": "M", "g": "G", "G": "G", "t": "T", "T": "T"}.get(first, "M")


def rate_text(bps: int) -> str:
    """Return bit/s as people write them, exactly: 2500000000 → 2.5Gbps."""
    for prefix in ("T", "G", "M", "k"):
        factor = _RATE_UNITS[prefix]
        if bps >= factor and bps * 1000 % factor == 0:
            return f"{_plain(Decimal(bps) / factor)}{prefix}bps"
    return f"{bps}bps"


def delay(value: object) -> float:
    """Return seconds from `20ms`, `500us`, `0.02s`: a latency or a jitter, more than zero and at most a minute."""
    parts = _split(value)
    if parts is None or parts[1] not in _TIMES:
        unit = "has no unit" if parts is not None and not parts[1] else "is not a time"
        example = f"{_example(parts[0], '20')}ms" if parts is not None and not parts[1] else "20ms or 500us"
        raise ValueError(f"{shown(value)} {unit}; write for example {example}")
    seconds = float(parts[0] * _TIMES[parts[1]])
    if seconds <= 0:
        raise ValueError(f"{shown(value)} cannot be met: light needs about 5us a km; write more than zero, as 20ms")
    if seconds < LEAST_DELAY_S:
        raise ValueError(f"{shown(value)} cannot be met: light needs about 5us a km; write at least 1us")
    if seconds > 60:
        raise ValueError(f"{shown(value)} is longer than a minute; write at most 60s")
    return seconds


def delay_text(seconds: float) -> str:
    """Return seconds as `20ms`, in the largest unit that keeps the number at one or more."""
    exact = Decimal(repr(seconds))
    for unit in ("s", "ms", "us"):
        if exact >= _TIMES[unit]:
            return f"{_plain(exact / _TIMES[unit])}{unit}"
    return f"{_plain(exact * 10**9)}ns"


def span(value: object) -> float:
    """Return seconds from `2h`, `30min`, `1h30min`, `1d`: how long a window stays open."""
    text = value.strip() if isinstance(value, str) else ""
    pieces = _SPAN.findall(text.replace(" ", "")[:64])
    if not pieces or "".join(number + unit for number, unit in pieces) != text.replace(" ", ""):
        raise ValueError(f"{shown(value)} is not a duration; write for example 2h, 90min or 1h30min")
    seconds = float(sum((Decimal(number) * _SPANS[unit] for number, unit in pieces), Decimal(0)))
    if seconds <= 0:
        raise ValueError(f"{shown(value)} is not more than zero; write for example 2h")
    if seconds > LONGEST_WINDOW_S:
        raise ValueError(
            f"{shown(value)} is longer than a year (366d); what stays is a slice or plane without a window"
        )
    return seconds


def span_text(seconds: float) -> str:
    """Return seconds as `2h`, in the largest unit that divides it, exactly."""
    exact = Decimal(repr(seconds))
    for unit in ("d", "h", "min"):
        if exact % _SPANS[unit] == 0:
            return f"{_plain(exact / _SPANS[unit])}{unit}"
    return f"{_plain(exact)}s"


def duration_text(seconds: float) -> str:
    """Return seconds as people say them: 4000 → "1 h 7 min"."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def ratio(value: object) -> float:
    """Return 0..1 from `50%`, `0.5`, `1e-4`."""
    parts = _split(value)
    if parts is None or parts[1] not in ("", "%"):
        raise ValueError(f"{shown(value)} is not a ratio; write for example 50% or 0.5")
    number = float(parts[0].scaleb(-2) if parts[1] else parts[0])
    if not 0 <= number <= 1:
        raise ValueError(f"{shown(value)} is not between 0 and 1 (100%)")
    return number


def loss(value: object) -> float:
    """Return the loss ratio that is accepted: more than 0, less than 1."""
    parts = _split(value)
    if parts is None or parts[1] not in ("", "%"):
        raise ValueError(f"{shown(value)} is not a loss; write for example 1e-4 or 0.01%")
    number = float(parts[0].scaleb(-2) if parts[1] else parts[0])
    if not 0 < number < 1:
        raise ValueError(
            f"{shown(value)} cannot be promised: a loss is a share of packets between 0 and 1;"
            " write for example 1e-4, or 1e-6 for next to none"
        )
    if number < LEAST_LOSS:
        raise ValueError(f"{shown(value)} cannot be promised: nothing measures so little loss; write at least 1e-9")
    return number


def availability(value: object) -> float:
    """Return the availability 0..1 from `99.99%` or `0.9999`; 100 % is refused, nothing keeps that."""
    parts = _split(value)
    if parts is None or parts[1] not in ("", "%"):
        raise ValueError(f"{shown(value)} is not an availability; write for example 99.99%")
    number = float(parts[0].scaleb(-2) if parts[1] else parts[0])
    if number >= 1:
        hint = f"write {_plain(parts[0])}%" if not parts[1] and parts[0] < 100 else "write for example 99.999%"
        raise ValueError(f"{shown(value)} cannot be promised: an availability is below 100%; {hint}")
    if number < 0.5:
        raise ValueError(f"{shown(value)} is less than 50%; write for example 99.9%")
    return number


def percent_text(number: float) -> str:
    """Return a ratio as percent, exactly: 0.9999 → 99.99%."""
    return f"{_plain(Decimal(repr(number)).scaleb(2))}%"


def loss_text(number: float) -> str:
    """Return a loss in the notation of SLOs: 0.0001 → 1e-04, shortest text that reads back the same."""
    return repr(number) if number >= 1e-3 else f"{Decimal(repr(number)).normalize():e}".replace("E", "e")


def instant(value: object) -> datetime:
    """Return the UTC instant of an ISO 8601 time with a zone."""
    if isinstance(value, datetime):
        value = value.isoformat()
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError(f"{shown(value)} is not a time; write for example 2026-12-01T14:00+08:00")
    text = re.sub(r"\s+(?=[-+Zz])", "", value.strip())
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "write for example 2026-12-01T14:00+08:00"
        raise ValueError(f"{shown(value)} is not a time; {hint}") from None
    if moment.tzinfo is None:
        shape = text if "T" in text or " " in text else f"{text}T00:00"
        raise ValueError(f"{shown(value)} has no time zone; write for example {shape}+08:00 (or Z for UTC)")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{shown(value)} is outside the calendar; write for example 2026-12-01T14:00+08:00") from None


def instant_text(moment: datetime) -> str:
    """Return a UTC instant as `2026-12-01T06:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def later(moment: datetime, seconds: float) -> datetime:
    """Return the instant `seconds` after `moment`."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("the window ends outside the calendar; write an earlier start") from None


def _example(number: Decimal, otherwise: str) -> str:
    """Return the number that was written, for a hint, where it is one that may be right."""
    return _plain(number) if Decimal("0.000001") <= number <= 10**9 else otherwise


def _plain(number: Decimal) -> str:
    """Return a decimal without exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
