"""A fibre that loses its light, on a running city: its alarms make one ticket before a packet suffers, and end it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from onecity.v1 import incident_pb2 as pb
from onecity.v1 import incident_pb2_grpc

from tests.support.stage import Stage, eventually

FIBRE = "f-nanwan-buji"
RAISED = ("MARGIN", "PRE_FEC_BER", "SPAN_LOSS")
POOR_DB, BLIND_DB = 34.8, 50.0  # of light lost: some margin is left, none is


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    yield
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _open(longgang), 60)


def _incidents(longgang: Stage, *, closed: bool = False) -> list[pb.Incident]:
    stub: Any = incident_pb2_grpc.IncidentServiceStub(longgang.client.channel)  # type: ignore[no-untyped-call]
    return list(stub.ListIncidents(pb.ListIncidentsRequest(closed=closed), timeout=10).incidents)


def _open(longgang: Stage) -> list[pb.Incident]:
    return _incidents(longgang)


def _story(longgang: Stage, incident: str) -> list[str]:
    return [e.text for i in _incidents(longgang, closed=True) if i.id == incident for e in i.timeline]


def _dim(longgang: Stage, light_db: float, in_s: float = 0.0) -> None:
    longgang.city.plant({"type": "degrade", "link": FIBRE, "light_db": light_db, "in_s": in_s})


def test_a_fibre_that_loses_its_light_is_one_incident_from_the_first_alarm_to_the_last(longgang: Stage) -> None:
    _dim(longgang, POOR_DB)
    eventually(lambda: _open(longgang))
    (found,) = _open(longgang)
    assert (found.root, found.kind) == (f"fibre:{FIBRE}", "degraded")
    wanted = [f"alarm {kind} (" for kind in RAISED]
    eventually(lambda: all(any(w in line for line in _story(longgang, found.id)) for w in wanted))
    assert [i.id for i in _open(longgang)] == [found.id]
    _dim(longgang, BLIND_DB)  # nothing over it is heard any more: the same matter, and worse
    eventually(lambda: [(i.id, i.root, i.kind) for i in _open(longgang)] == [(found.id, f"fibre:{FIBRE}", "fibre")])
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _open(longgang), 60)
    story = _story(longgang, found.id)
    for kind in RAISED:
        assert any(f"alarm {kind} cleared" in line for line in story)
    assert [i.root for i in _incidents(longgang, closed=True)] == [f"fibre:{FIBRE}"]
