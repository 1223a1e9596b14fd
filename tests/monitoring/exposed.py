"""Everything that `/metrics` can tell, with the labels it has: what rules, panels and the table of metrics are held to.

`python -m tests.monitoring.exposed` writes the table in lab/monitoring/README.md anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from controller.changes.party_views import PartyView
from controller.changes.views import Outcome, ServiceReading, SloView
from controller.loop.culprits import OpenIncident
from controller.northbound.drift import DriftSeries
from controller.northbound.metrics import Metrics
from controller.southbound.driver import Sample
from controller.telemetry.indicator import Indicator, ServiceIndicators
from tests.northbound.test_metrics import Looks, Seen, Ten, network

PAGE = Path(__file__).resolve().parents[2] / "lab" / "monitoring" / "README.md"
BEGIN, END = "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


@dataclass(frozen=True)
class Family:
    """One metric as Prometheus asks for it. `series`: the names of its series."""

    name: str
    type: str
    help: str
    labels: frozenset[str]
    series: frozenset[str]


class Full(Seen):
    """A service of which everything is promised and measured, and a party."""

    def readings(self) -> Iterator[ServiceReading]:
        found = Indicator("tunnel:x", "delay_s", 0.002, 0.002, 0.003, 9, 0.1)
        measured = ServiceIndicators(delay_s=found, jitter_s=found, loss_ratio=found, throughput_bps=found, subjects=1)
        slo = SloView(0.02, 0.01, 1e-4, 0.9999, 10**9)
        yield ServiceReading("gov/vip", "VipAssurance", "Active", slo, measured, "ok")


def exposition() -> str:
    """Return the text of a scrape in which no family is empty."""
    seen = Full()
    seen.parties = (PartyView("gov/vip", "p", "a", "10.0.0.1", "ok", 0.01, 0.001, 0.0),)
    circuit = replace(
        network(1, 1, 1).circuits[0], rx_dbm=-10.0, rx_over_db=8.0, dispersion_ps_nm=500.0, uncorrectable_per_s=0.0
    )
    now = replace(
        network(1, 1, 1), circuits=(circuit,), open_incidents=(OpenIncident("fibre:f", "fibre", "critical", 1e9),)
    )
    metrics = Metrics(seen, Looks(now), Ten())
    drift: Any = SimpleNamespace(
        standing=lambda: [SimpleNamespace(domain="d", compared_at=datetime(2026, 1, 1, tzinfo=UTC), counts={})]
    )
    metrics.registry.register(DriftSeries(drift))
    hooks = metrics.instruments
    hooks.change_ended("apply", Outcome.COMMITTED, 0.04)
    hooks._stages.labels("commit").observe(0.1)
    hooks.called("d", "commit", "ok", 0.01)
    hooks.samples_taken((Sample("d", "link:x", "delay_s", 0.001, 1e9),))
    return asyncio.run(metrics.exposition()).decode()


def families() -> dict[str, Family]:
    """Return every family by the name under which it is asked for."""
    found = {}
    for family in text_string_to_metric_families(exposition()):
        name = family.name + "_total" if family.type == "counter" else family.name
        samples = [s for s in family.samples if not s.name.endswith("_created")]
        labels = frozenset(label for s in samples for label in s.labels)
        series = {s.name for s in samples} | {family.name + suffix for suffix in SUFFIXES.get(family.type, ("",))}
        found[name] = Family(name, family.type, family.documentation, labels, frozenset(series))
    return found


def table() -> str:
    """Return the table of metrics as Markdown."""
    lines = ["| metric | type | labels | what it tells |", "|---|---|---|---|"]
    for family in sorted(families().values(), key=lambda f: f.name):
        labels = ", ".join(f"`{label}`" for label in sorted(family.labels - {"le"}))
        words = family.help.replace("|", "\\|")
        lines.append(f"| `{family.name}` | {family.type} | {labels} | {words} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(head + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
