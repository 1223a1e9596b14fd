"""A fibre is cut while the optical domain goes on telling its last state: one ticket, with the true root."""

from __future__ import annotations

from typing import Any

from onecity.v1 import controller_pb2 as pb
from onecity.v1 import incident_pb2, incident_pb2_grpc

from tests.end_to_end.intents import office
from tests.support.stage import COMMITTED, Stage, eventually

FIBRE = "f-pinghu-zhihui"  # under two IP links, and no other fibre is under both


SLICE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {name: survey, tenant: bank}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  protection: none
  slo: {latency: 20ms, availability: 99%}
  endpoints: [{site: pinghu, lan: 10.21.1.0/24}, {site: zhihui, lan: 10.21.2.0/24}]
"""


def _carried(longgang: Stage) -> bool:
    packets = (("pinghu", "10.21.2.9"), ("zhihui", "10.21.1.9"))
    ways = [{"type": "trace", "vpn": "bank.survey", "access": a, "dst": dst} for a, dst in packets]
    return all(longgang.city.plant(way)["delivered"] for way in ways)


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
    assert longgang.client.apply(office(), SLICE)[1].outcome == COMMITTED
    assert _carried(longgang)
    longgang.city.plant({"type": "lie", "domain": "city-otn"})
    longgang.city.plant({"type": "cut", "fibre": FIBRE})
    eventually(lambda: [i.root for i in _incidents(longgang)] == [f"fibre:{FIBRE}"])
    (found,) = _incidents(longgang)
    assert (found.kind, "must be cut, though city-otn tells that all is well" in found.title) == ("fibre", True)
    assert f"fibre {FIBRE}" in longgang.command("incidents").stdout
    eventually(lambda: _dark(longgang))
    # Its own domain says that the slice is well; that it does not arrive is measured.
    eventually(lambda: _carried(longgang))
    longgang.city.plant({"type": "restore", "what": "city-otn"})
    eventually(lambda: _incidents(longgang)[0].title.endswith("is cut"))
    assert [(i.id, i.root) for i in _incidents(longgang)] == [(found.id, f"fibre:{FIBRE}")]
    assert len(_incidents(longgang, closed=True)) == 1
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _dark(longgang))
