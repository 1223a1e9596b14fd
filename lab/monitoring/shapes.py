"""What a dashboard is made of: every panel as a title, its queries, a unit and a sentence. No Grafana here.

`RATE` and `RANGE` stand for the window of a rate and for the time that is shown; Grafana puts its own in their place.
Every query has an answer on a healthy city: where nothing happened it is zero. Where that cannot be – how long should
a repair have taken when nothing failed? – the panel has words for it: `when_none`.
"""

from __future__ import annotations

from dataclasses import dataclass

RATE, RANGE = "$__rate_interval", "$__range"
OF_SERVICE = 'service=~"$tenant/.*",service=~"$service"'  # what is chosen above the page
OF_DOMAIN = 'domain=~"$domain"'
STANDS_FOR = {RATE: "10s", RANGE: "5m", "$tenant": ".*", "$service": ".*", "$domain": ".*"}  # for whoever asks


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its series are named; in a table the title of its column."""

    expr: str
    legend: str = "__auto"
    unit: str = ""  # of its column, else that of the panel
    red_above: float | None = None
    red_below: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. kind: "stat" the newest value, "time" over time, "table" the newest values, a row each."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"  # Grafana's names: "s", "bps", "percentunit", "bytes", "dB", "ops", "bool_yes_no"
    kind: str = "time"
    words: str = ""
    red_above: float | None = None  # and where it comes to that
    red_below: float | None = None
    span: int = 12  # of 24
    when_none: str = ""  # what is written where there is nothing to show, and that is well
    leads_to: str = ""  # uid of the page that tells more of a row, with its service chosen


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard: rows of panels. choices: of "tenant", "service", "domain", what can be chosen above it."""

    uid: str
    title: str
    words: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    choices: tuple[str, ...] = ()
    shows: str = "1h"
    refresh: str = "10s"


def q(expr: str, legend: str = "__auto") -> Query:
    return Query(expr, legend)


def p99(metric: str, by: str, of: str = "") -> str:
    """Return the 99th percentile of a histogram; of: matchers."""
    return f"histogram_quantile(0.99, sum by ({by}, le) (rate({metric}_bucket{{{of}}}[{RATE}])))"


def stat(
    title: str,
    expr: str,
    unit: str = "short",
    *,
    above: float | None = None,
    below: float | None = None,
    words: str = "",
    when_none: str = "",
) -> Panel:
    return Panel(title, (q(expr, title),), unit, "stat", words, above, below, 4, when_none)
