"""Curves as SVG, on axes whose every step is a factor of ten: how something grows is its slope."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 460, 320, 60
COLOURS = ("#1f6feb", "#bf3989", "#1a7f37", "#9a6700")


@dataclass(frozen=True)
class Series:
    """Curves over the same abscissae."""

    title: str
    x: Sequence[float]
    curves: Mapping[str, Sequence[float]]


def draw(path: Path, plots: Sequence[Series]) -> None:
    """Write the plots side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = "".join(f'<g transform="translate({i * WIDTH} 0)">{_plot(plot)}</g>' for i, plot in enumerate(plots))
    size = f'width="{WIDTH * len(plots)}" height="{HEIGHT}"'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">{body}</svg>\n')


def _plot(plot: Series) -> str:
    values = [v for curve in plot.curves.values() for v in curve]
    left, right = math.log10(min(plot.x)), math.log10(max(plot.x))
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - left) / ((right - left) or 1)
        up = (math.log10(y) - low) / ((high - low) or 1)
        return MARGIN + across * (WIDTH - 1.5 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    parts = [_text(MARGIN, 24, plot.title, 14)]
    for exponent in range(low, high + 1):
        x, y = at(min(plot.x), 10.0**exponent)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - MARGIN / 2:.1f}" stroke="#d0d7de"/>')
        parts.append(_text(6, y + 4, f"{10**exponent:,}", 11))
    for x_value in plot.x:
        x, _ = at(x_value, 10.0**low)
        parts.append(_text(x - 14, HEIGHT - MARGIN + 18, f"{x_value:,}", 11))
    for number, (name, curve) in enumerate(plot.curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [at(x, y) for x, y in zip(plot.x, curve, strict=True)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(points[-1][0] - 60, points[-1][1] - 8, name, 11, colour))
    return "".join(parts)


def _text(x: float, y: float, text: str, size: int, colour: str = "#24292f") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}">{text}</text>'
