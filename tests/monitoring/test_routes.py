"""The real Alertmanager with the routes that are shipped, told of what one fault makes Prometheus say: one ticket."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.monitoring.servers import Monitoring, Tickets, program
from lab.supervision import LabError
from tests.support.stage import eventually

CUT, DUCT = "fibre:f-nanwan-buji", "srlg:7"


@pytest.fixture
def routes(tmp_path: Path) -> Iterator[tuple[Monitoring, Tickets]]:
    try:
        program("alertmanager")
    except LabError as error:
        pytest.skip(str(error))
    tickets = Tickets()
    try:
        with Monitoring(tmp_path, "", tickets.url) as servers:
            yield servers, tickets
    finally:
        tickets.close()


def tell(servers: Monitoring, *alerts: tuple[str, dict[str, str]]) -> None:
    """Say in one message, as Prometheus does, that alerts fire."""
    body = [{"labels": {"alertname": f"Onecity{name}", **labels}, "annotations": {}} for name, labels in alerts]
    request = urllib.request.Request(
        f"{servers.alertmanager}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_all_that_one_cut_does_is_one_ticket_and_another_fault_is_another(routes: tuple[Monitoring, Tickets]) -> None:
    servers, tickets = routes
    tell(
        servers,
        ("Incident", {"cause": CUT, "kind": "fibre", "severity": "page"}),
        ("FibreCut", {"cause": CUT, "fibre": "f-nanwan-buji", "severity": "page"}),
        ("LinkDown", {"cause": CUT, "link": "a", "domain": "city-ip", "severity": "ticket"}),
        ("LinkDown", {"cause": CUT, "link": "b", "domain": "city-ip", "severity": "ticket"}),
        ("ServiceDown", {"cause": CUT, "service": "bank/tight", "kind": "ExclusiveSlice", "severity": "page"}),
        ("SloBurnsFast", {"cause": CUT, "service": "bank/tight", "severity": "page"}),
        ("SloBurnsFast", {"cause": CUT, "service": "bank/moved", "severity": "page"}),
        ("SloBurnsSlowly", {"cause": CUT, "service": "bank/moved", "severity": "ticket"}),
        ("NotRepaired", {"cause": "repairs", "severity": "ticket"}),
        ("Flapping", {"cause": "flapping", "severity": "ticket"}),
    )
    eventually(lambda: len(tickets.groups) == 1)
    tell(servers, ("LinkDown", {"cause": "link:c", "link": "c", "domain": "city-ip", "severity": "ticket"}))
    eventually(lambda: len(tickets.groups) == 2)
    time.sleep(2.5)  # two intervals of a group: whatever else there was would have been told by then
    assert len(tickets.groups) == 2
    told = {(a.name, a.labels.get("link") or a.labels.get("service", "")) for a in tickets.alerts}
    assert told == {
        ("OnecityIncident", ""),
        ("OnecityFibreCut", ""),
        ("OnecityServiceDown", "bank/tight"),
        ("OnecitySloBurnsFast", "bank/moved"),
        ("OnecityLinkDown", "c"),
    }


def test_a_duct_is_one_ticket_and_so_is_a_domain_out_of_reach_or_a_controller_that_is_gone(
    routes: tuple[Monitoring, Tickets],
) -> None:
    servers, tickets = routes
    tell(
        servers,
        ("Incident", {"cause": DUCT, "kind": "duct", "severity": "page"}),
        *(("FibreCut", {"cause": DUCT, "fibre": name, "severity": "page"}) for name in ("f1", "f2", "f3")),
        ("DomainDown", {"cause": "controller:city-ip", "domain": "city-ip", "severity": "page"}),
        ("Incident", {"cause": "controller:city-ip", "kind": "controller", "severity": "ticket"}),
        ("TelemetryGap", {"cause": "telemetry:city-ip", "domain": "city-ip", "severity": "ticket"}),
        ("DomainFlaps", {"cause": "controller:city-ip", "domain": "city-ip", "severity": "ticket"}),
        ("ChangeInDoubt", {"cause": "changes", "severity": "ticket"}),
    )
    eventually(lambda: len(tickets.groups) == 2)
    tell(
        servers,
        ("Down", {"cause": "controller", "severity": "page"}),
        ("StoreSlow", {"cause": "store", "severity": "ticket"}),
        ("", {"alertname": "DiskFull", "instance": "somebody else's", "severity": "page"}),
    )
    eventually(lambda: len(tickets.groups) == 4)
    time.sleep(2.5)
    assert len(tickets.groups) == 4
    assert {a.name for a in tickets.alerts} == {
        "OnecityIncident",
        "OnecityFibreCut",
        "OnecityDomainDown",
        "OnecityDown",
        "DiskFull",
    }
