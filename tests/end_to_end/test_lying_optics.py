"""A fibre is cut while the optical domain goes on telling its last state: one ticket, with the true root."""

from __future__ import annotations

from typing import Any

from onecity.v1 import controller_pb2 as pb
from onecity.v1 import incident_pb2, incident_pb2_grpc

from tests.end_to_end.intents import office
from tests.support.stage import COMMITTED, Stage, eventually

FIBRE = "f-pinghu-zhihui"  # under two IP links, and no other fibre is under both


def _incidents(longgang: Stage, *, closed: bool = False) -> list[incident_pb2.Incident]:
    stub: Any = incident_pb2_grpc.IncidentServiceStub(longgang.client.channel)  # type: ignore[no-untyped-call]
    return list(stub.ListIncidents(incident_pb2.ListIncidentsRequest(closed=closed), timeout=10).incidents)


def _dark(longgang: Stage) -> bool:
    """Whether our map shows the fibre as one that nothing can be led over."""
    links = longgang.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology.links
    return not next(k for k in links if k.id == FIBRE).up


def test_a_cut_of_which_the_optical_domain_tells_nothing_is_one_ticket_also_once_it_tells_the_truth(
    longgang: Stage,
) -> None:
    assert longgang.client.apply(office())[1].outcome == COMMITTED
    longgang.city.plant({"type": "lie", "domain": "city-otn"})
    longgang.city.plant({"type": "cut", "fibre": FIBRE})
    eventually(lambda: [i.root for i in _incidents(longgang)] == [f"fibre:{FIBRE}"])
    (found,) = _incidents(longgang)
    assert (found.kind, "must be cut, though city-otn tells that all is well" in found.title) == ("fibre", True)
    assert f"fibre {FIBRE}" in longgang.command("incidents").stdout
    eventually(lambda: _dark(longgang))
    longgang.city.plant({"type": "restore", "what": "city-otn"})
    eventually(lambda: _incidents(longgang)[0].title.endswith("is cut"))
    assert [(i.id, i.root) for i in _incidents(longgang)] == [(found.id, f"fibre:{FIBRE}")]
    assert len(_incidents(longgang, closed=True)) == 1
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _dark(longgang))
