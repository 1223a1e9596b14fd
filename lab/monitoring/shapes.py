"""What a dashboard is made of: every panel as a title, its queries, a unit and a sentence. No Grafana here.

`RATE` stands for the window of a rate; Grafana puts its own in its place. Every query has an answer on a healthy city:
where nothing happened it is zero, and where nothing is measured the panel says so.
"""

from __future__ import annotations

from dataclasses import dataclass

RATE = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its series are named."""

    expr: str
    legend: str = "__auto"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. kind: "stat" the newest value, "time" over time, "table" the newest values of many series."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"  # Grafana's names: "s", "bps", "percentunit", "bytes", "dB", "ops", "bool_yes_no"
    kind: str = "time"
    words: str = ""
    red_above: float | None = None
    red_below: float | None = None
    span: int = 12  # of 24


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard: rows of panels."""

    uid: str
    title: str
    words: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def q(expr: str, legend: str = "__auto") -> Query:
    return Query(expr, legend)


def p99(metric: str, by: str) -> str:
    """Return the 99th percentile of a histogram."""
    return f"histogram_quantile(0.99, sum by ({by}, le) (rate({metric}_bucket[{RATE}])))"


def stat(
    title: str,
    expr: str,
    unit: str = "short",
    *,
    above: float | None = None,
    below: float | None = None,
    words: str = "",
) -> Panel:
    return Panel(title, (q(expr, title),), unit, "stat", words, above, below, 4)
