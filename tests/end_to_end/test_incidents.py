"""One ticket a fault on a running city: opened with the true cause, told over HTTP and gRPC, closed by itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml
from onecity.v1 import incident_pb2 as pb
from onecity.v1 import incident_pb2_grpc

from tests.end_to_end.intents import office, slice_over_three
from tests.support.stage import COMMITTED, Stage, eventually

LINKS = ("link:lg-nanwan.ge-2..lg-buji.ge-1", "link:lg-buji.ge-1..lg-nanwan.ge-2")  # over the fibre that is cut


@pytest.fixture(scope="module")
def heard() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver such as Alertmanager would call, and what it was told."""
    told: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", told
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _told_over_http(longgang: Stage, heard: tuple[str, list[dict[str, Any]]]) -> Iterator[None]:
    path = longgang.city.config_path
    settings = yaml.safe_load(path.read_text())
    if settings.get("webhook") != heard[0]:
        path.write_text(yaml.safe_dump({**settings, "webhook": heard[0]}))
        longgang.kill_daemon()
        longgang.start_daemon()
    yield
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _incidents(longgang))


def _incidents(longgang: Stage, *, closed: bool = False) -> list[pb.Incident]:
    stub: Any = incident_pb2_grpc.IncidentServiceStub(longgang.client.channel)  # type: ignore[no-untyped-call]
    return list(stub.ListIncidents(pb.ListIncidentsRequest(closed=closed), timeout=10).incidents)


def test_a_cut_is_one_incident_that_names_the_fibre_and_whom_it_concerns(
    longgang: Stage, heard: tuple[str, list[dict[str, Any]]]
) -> None:
    assert longgang.client.apply(slice_over_three(), office())[1].outcome == COMMITTED
    longgang.city.plant({"type": "cut", "fibre": "f-nanwan-buji"})
    eventually(lambda: _incidents(longgang))
    (found,) = _incidents(longgang)
    assert found.root == "fibre:f-nanwan-buji"
    eventually(lambda: "lands/survey" in _incidents(longgang)[0].services)
    raised = "city-otn: alarm LOS (critical) on fibre:f-nanwan-buji"
    eventually(lambda: raised in [e.text for e in _incidents(longgang)[0].timeline])
    routers = [f"city-ip: alarm LINK_DOWN (major) on {k}" for k in LINKS]
    eventually(lambda: {*routers} <= {e.text for e in _incidents(longgang)[0].timeline})
    stub: Any = incident_pb2_grpc.IncidentServiceStub(longgang.client.channel)  # type: ignore[no-untyped-call]
    watched = stub.WatchIncidents(pb.WatchIncidentsRequest(), timeout=120)
    assert next(watched).incident.id == found.id, "what is open is told to who begins to watch"
    table = longgang.command("incidents").stdout
    assert "fibre f-nanwan-buji" in table
    assert json.loads(longgang.command("incidents", "-o", "json").stdout)[0]["id"] == found.id
    assert "lands" in longgang.command("incidents", found.id).stdout
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _incidents(longgang))
    (over,) = [i for i in _incidents(longgang, closed=True) if i.id == found.id]
    assert over.HasField("closed_at")
    assert any(m.incident.id == found.id and m.incident.HasField("closed_at") for m in watched)
    eventually(lambda: any(t["status"] == "resolved" for t in heard[1]))
    mine = [t for t in heard[1] if t["groupLabels"]["incident"] == found.id]
    assert {t["status"] for t in mine} == {"firing", "resolved"}
    assert mine[0]["version"] == "4"
    assert mine[0]["alerts"][0]["labels"]["root"] == "fibre:f-nanwan-buji"


def test_a_fibre_that_wears_out_is_found_though_it_says_nothing(longgang: Stage) -> None:
    assert longgang.client.apply(office())[1].outcome == COMMITTED
    longgang.city.plant({"type": "degrade", "link": "f-buji-jihua", "loss": 0.01, "delay_s": 0.0})
    eventually(lambda: _incidents(longgang))
    (found,) = _incidents(longgang)
    assert (found.root, found.kind) == ("fibre:f-buji-jihua", "degraded")


def test_a_domain_controller_that_dies_is_one_incident_and_no_fault_of_the_network(longgang: Stage) -> None:
    longgang.city.domain_process("district-ip").kill()
    eventually(lambda: _incidents(longgang))
    assert [i.root for i in _incidents(longgang)] == ["controller:district-ip"]
    longgang.city.domain_process("district-ip").restart()


def test_incidents_open_and_over_are_told_after_a_restart_of_the_daemon(longgang: Stage) -> None:
    longgang.city.plant({"type": "cut", "fibre": "f-baolong-pingdi"})
    eventually(lambda: _incidents(longgang))
    (before,) = _incidents(longgang)
    known = {i.id for i in _incidents(longgang, closed=True)}
    time.sleep(1.5)  # a round later it is in the store
    longgang.kill_daemon()
    longgang.start_daemon()
    (after,) = _incidents(longgang)
    assert (after.id, after.root, after.opened_at) == (before.id, before.root, before.opened_at)
    assert [e.text for e in after.timeline][: len(before.timeline)] == [e.text for e in before.timeline]
    assert {i.id for i in _incidents(longgang, closed=True)} == known
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _incidents(longgang), 40)
    (over,) = [i for i in _incidents(longgang, closed=True) if i.id == before.id]
    assert over.HasField("closed_at")
    more = [
        (i.root, i.title, [e.text for e in i.timeline]) for i in _incidents(longgang, closed=True) if i.id not in known
    ]
    assert more == []  # the cut made no second one
