"""An IP link that was not there is lit for a slice that finds no room, shared by others, and gone with the last."""

from __future__ import annotations

from onecity.v1 import controller_pb2 as pb
from onecity.v1 import status_pb2

from tests.support.stage import COMMITTED, Stage, eventually

LINK, BACK = "link:lg-buji.otn-1..lg-nanwan.otn-1", "link:lg-nanwan.otn-1..lg-buji.otn-1"
LIGHT = "link/lg-buji.otn-1..lg-nanwan.otn-1"


def _slice(name: str, number: int, rate: str, a: str, z: str, latency: str = "0.25ms") -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: lit}}
spec:
  bandwidth: {rate}
  isolation: nrp
  protection: none
  slo: {{latency: {latency}, availability: 90%}}
  endpoints:
    - {{site: {a}, lan: 10.5{number}.1.0/24}}
    - {{site: {z}, lan: 10.5{number}.2.0/24}}
"""


FULL = _slice("full", 0, "90Gbps", "nanwan", "jihua")  # takes most of the link nanwan–buji
FIRST = _slice("first", 1, "80Gbps", "zhihui", "buji")
SECOND = _slice("second", 2, "18Gbps", "zhihui", "buji")  # more than the old link has left


def _links(stage: Stage) -> dict[str, status_pb2.Link]:
    topology = stage.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology
    return {k.id: k for k in topology.links}


def _arrives(stage: Stage, name: str, number: int, a: str = "zhihui") -> list[str]:
    """Return where a packet of a slice goes; empty where it does not arrive."""
    packet = {"type": "trace", "vpn": f"lit.{name}", "domain": "city-ip", "access": f"lit.{name}.{a}"}
    found = stage.city.plant({**packet, "dst": f"10.5{number}.2.9"})
    return [str(hop) for hop in found.get("links", found.get("hops", ["?"]))] if found.get("delivered") else []


def _configured(stage: Stage) -> bool:
    """Whether the IP domain itself holds the link, in both directions or in none."""
    with stage.session("city-ip") as session:
        text = session.get_config("running").data_xml
    assert (LINK in text) == (BACK in text)
    return LINK in text


def _channels(stage: Stage) -> int:
    return _links(stage)["f-nanwan-buji"].channels_taken


def test_a_link_is_lit_shared_and_gone_with_the_last(longgang: Stage) -> None:
    apply = longgang.client.apply
    dark = _channels(longgang)
    assert apply(FULL)[1].outcome == COMMITTED
    plan = longgang.client.plan(FIRST)
    said = [n for s in plan.services for n in s.notes if "lights IP link lg-buji–lg-nanwan" in n]
    assert len(said) == 1
    assert "100 Gbit/s over f-nanwan-buji (price 31)" in said[0]
    assert LINK not in _links(longgang)

    _, result = apply(FIRST)
    assert result.outcome == COMMITTED, result.message
    assert _configured(longgang)
    eventually(lambda: _arrives(longgang, "first", 1))
    assert not any(longgang.client.differences().values())

    _, result = apply(SECOND)
    assert result.outcome == COMMITTED, result.message
    eventually(lambda: _arrives(longgang, "second", 2))
    assert _links(longgang)[LINK].reserved_bps == 98 * 10**9
    rides = [n for n in longgang.client.describe("lit/second").notes if LIGHT in n or "lg-buji–lg-nanwan" in n]
    assert rides

    assert _channels(longgang) == dark + 1
    assert longgang.client.delete("lit/first")[1].outcome == COMMITTED
    assert _configured(longgang)
    assert _arrives(longgang, "second", 2)
    assert longgang.client.delete("lit/second")[1].outcome == COMMITTED
    assert not _configured(longgang)
    assert LINK not in _links(longgang)
    assert _channels(longgang) == dark
    assert not any(longgang.client.differences().values())
