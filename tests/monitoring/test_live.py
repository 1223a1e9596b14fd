"""The real Prometheus and Alertmanager over a live city: scraped, asked, told of a cut and of its end.

Slow for a test (about 20 s, most of it waiting for two telemetry heartbeats); scrapes come every second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.monitoring.panels import PAGES
from lab.monitoring.servers import Monitoring, Tickets, program
from lab.monitoring.shapes import STANDS_FOR, Panel
from lab.supervision import LabError
from tests.support.stage import COMMITTED, Stage, eventually, stage

INTENTS = Path(__file__).resolve().parents[2] / "intents"
FIBRE = "f-nanwan-buji"
TIGHT = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {name: tight, tenant: bank}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  protection: none
  slo: {latency: 0.1ms, availability: 99.98%}  # only the direct way is that short: it waits for the fibre
  endpoints: [{site: nanwan, lan: 10.20.1.0/24}, {site: buji, lan: 10.20.2.0/24}]
"""


TELL_OF_A_CUT = (
    "Open incidents",
    "Alerts that fire",
    "Services that are not as promised",
    "What hurts it, or hurt it last",
    "Detect",
    "Decide",
    "Commit",
    "Restore",
    "Time to detect, decide, commit, restore",
    "Mean time to restore",
)


@dataclass
class Noc:
    stage: Stage
    servers: Monitoring
    tickets: Tickets


@pytest.fixture(scope="module")
def noc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Noc]:
    for name in ("prometheus", "alertmanager"):
        try:
            program(name)
        except LabError as error:
            pytest.skip(str(error))
    directory = tmp_path_factory.mktemp("noc")
    tickets = Tickets()
    try:
        with (
            stage("longgang", directory / "city") as city,
            Monitoring(directory / "monitoring", city.metrics, tickets.url) as servers,
        ):
            texts = [f.read_text(encoding="utf-8") for f in sorted(INTENTS.glob("*.yaml"))]
            assert city.client.apply(*texts, TIGHT)[1].outcome == COMMITTED
            yield Noc(city, servers, tickets)
    finally:
        tickets.close()


def of_the_network(noc: Noc) -> list[str]:
    """Return the tickets that are not about the machine on which the test runs."""
    words = ("fibre:", "link:", "node:", "service:", "repairs", "flapping")
    return [key for key in noc.tickets.groups if any(word in key for word in words)]


def test_a_cut_makes_one_ticket_and_its_repair_ends_it(noc: Noc) -> None:
    eventually(lambda: noc.servers.query('up{job="onecity"} == 1'))
    eventually(lambda: noc.servers.query(f'onecity_fibre_up{{fibre="{FIBRE}"}} == 1'))
    eventually(lambda: noc.servers.query('onecity_service_up{service="bank/tight"} == 1'))
    noc.stage.city.plant({"type": "cut", "fibre": FIBRE})
    eventually(lambda: noc.tickets.heard("OnecityFibreCut", "firing"))
    told = next(a for a in noc.tickets.alerts if a.name == "OnecityFibreCut")
    assert (told.labels["fibre"], told.labels["cause"]) == (FIBRE, f"fibre:{FIBRE}")
    assert told.summary == f"Fibre {FIBRE} is dark."
    eventually(lambda: noc.servers.query('ALERTS{alertname="OnecityLinkDown",alertstate="firing"}'))
    assert not noc.tickets.heard("OnecityLinkDown", "firing")  # held back: it is the same fault
    eventually(lambda: noc.tickets.heard("OnecityServiceDown", "firing"))  # what cannot be repaired is in the ticket
    eventually(lambda: noc.tickets.heard("OnecityIncident", "firing"))
    eventually(lambda: not without_data(noc, lambda panel: panel.title in TELL_OF_A_CUT))
    assert [key for key in noc.tickets.groups if FIBRE in key] == of_the_network(noc)
    noc.stage.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: noc.tickets.heard("OnecityFibreCut", "resolved"))
    eventually(lambda: noc.tickets.heard("OnecityServiceDown", "resolved"))
    eventually(lambda: noc.tickets.heard("OnecityIncident", "resolved"))
    assert len(of_the_network(noc)) == 1


def spelt_out(expression: str) -> str:
    """Put into a query what Grafana would."""
    for name, value in STANDS_FOR.items():
        expression = expression.replace(name, value)
    return expression


def without_data(noc: Noc, wanted: Callable[[Panel], bool]) -> list[tuple[str, str, str]]:
    """Return where a query finds nothing, or nothing but what is no number."""
    found = []
    for page in PAGES:
        for panel in (p for _, panels in page.rows for p in panels if wanted(p)):
            for query in panel.queries:
                values = [one["value"][1] for one in noc.servers.query(spelt_out(query.expr))]
                if all(value == "NaN" for value in values):
                    found.append((page.title, panel.title, query.expr))
    return found


def test_every_panel_of_every_dashboard_has_data_or_words_for_having_none(noc: Noc) -> None:
    noc.stage.client.apply((INTENTS / "office.yaml").read_text(encoding="utf-8").replace("1Gbps", "900Mbps"))
    with suppress(AssertionError):
        eventually(lambda: not without_data(noc, lambda panel: not panel.when_none))
    assert without_data(noc, lambda panel: not panel.when_none) == []


def test_every_rule_can_be_worked_out_and_none_is_broken(noc: Noc) -> None:
    groups = noc.servers.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 53
    assert [r["name"] for r in rules if r.get("health") != "ok"] == []
    recorded = {r["name"] for r in rules if r["type"] == "recording"}
    empty = {name for name in recorded if not noc.servers.query(name)}
    assert empty == set()


def test_prometheus_takes_a_scrape_of_the_whole_city_in_a_fraction_of_its_interval(noc: Noc) -> None:
    (took,) = noc.servers.query("min_over_time(scrape_duration_seconds[1m])")  # others may have had the processor
    (count,) = noc.servers.query("scrape_samples_scraped")
    assert float(took["value"][1]) < 1.0
    assert 500 < float(count["value"][1]) < 10_000
