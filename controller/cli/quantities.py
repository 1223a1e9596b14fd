"""Numbers as people write them: three significant digits and the unit that fits. "–" is "nobody measured it"."""

from __future__ import annotations

from math import floor, log10

NOTHING = "–"
_RATES = ((10**12, "Tbit/s"), (10**9, "Gbit/s"), (10**6, "Mbit/s"), (10**3, "kbit/s"))
_TIMES = ((60.0, 1.0, "s"), (1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (1e-6, 1e6, "µs"), (0.0, 1e9, "ns"))


def rate(bps: float | None) -> str:
    """10000000000 → "10 Gbit/s"."""
    if bps is None:
        return NOTHING
    for size, unit in _RATES:
        if bps >= size:
            return f"{_three(bps / size)} {unit}"
    return f"{_three(bps)} bit/s"


def seconds(value: float | None) -> str:
    """0.00021 → "0.21 ms": a network's delays are read in milliseconds, down to a hundredth."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0 ms"
    if 1e-5 <= abs(value) < 1:
        return f"{_three(value * 1e3)} ms"
    for least, factor, unit in _TIMES:
        if abs(value) >= least:
            return f"{_three(value * factor)} {unit}"
    return f"{value} s"


def ratio(value: float | None) -> str:
    """0.0001 → "1e-4", 0.02 → "2 %"."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    if abs(value) >= 0.001:
        return f"{_three(value * 100)} %"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def percent(value: float | None) -> str:
    """0.99995 → "99.995 %": availability keeps its nines, and is never rounded up to what it is not."""
    if value is None:
        return NOTHING
    digits = 5
    if 0.9999999 < value < 1:  # as many nines as there are, and one digit after them
        digits = min(12, 1 - floor(log10((1 - value) * 100)))
    return f"{floor(round(value * 100 * 10**digits, 3)) / 10**digits:.14g} %"


def count(number: int, one: str, many: str = "") -> str:
    """Return "1 site", "3 sites"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _three(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"
