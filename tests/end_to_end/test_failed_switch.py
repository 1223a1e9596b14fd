"""A protection switch that fails, on a running city: noticed by its domain or not, the loop brings the traffic back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import status_pb2

from tests.support.stage import COMMITTED, Stage, eventually

FIBRE = "f-nanwan-buji"
CARRIED_S = 30.0


def _slice(name: str, number: int, isolation: str) -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: switch}}
spec:
  bandwidth: 1Gbps
  isolation: {isolation}
  protection: standby
  slo: {{latency: 20ms, loss: 1e-4, availability: 99%}}
  endpoints:
    - {{site: nanwan, lan: 10.5{number}.1.0/24}}
    - {{site: buji, lan: 10.5{number}.2.0/24}}
"""


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    yield
    longgang.mend()


def _carried(longgang: Stage, name: str, number: int) -> bool:
    packets = (("nanwan", f"10.5{number}.2.9"), ("buji", f"10.5{number}.1.9"))
    ways = [{"type": "trace", "vpn": f"switch.{name}", "access": a, "dst": dst} for a, dst in packets]
    return all(longgang.city.plant(way)["delivered"] for way in ways)


def _known_broken(longgang: Stage) -> bool:
    links = longgang.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology.links
    return not all(k.up for k in links)


def _condition(longgang: Stage, name: str, kind: str) -> status_pb2.Condition:
    found = {c.type: c for c in longgang.client.services()[f"switch/{name}"].conditions}
    return found.get(kind, status_pb2.Condition())


def _called_well(longgang: Stage, name: str) -> bool:
    return _condition(longgang, name, "WithinSlo").status == status_pb2.CONDITION_STATUS_TRUE


@pytest.mark.parametrize("unnoticed", [False, True], ids=["its domain says so", "its domain believes it switched"])
@pytest.mark.parametrize(("name", "number", "isolation"), [("slots", 0, "timeslot"), ("pinned", 1, "nrp")])
def test_a_switch_that_does_not_move_is_found_and_the_traffic_brought_back(
    longgang: Stage, name: str, number: int, isolation: str, unnoticed: bool
) -> None:
    assert longgang.client.apply(_slice(name, number, isolation))[1].outcome == COMMITTED
    eventually(lambda: _called_well(longgang, name))
    switches = _switches(longgang, name)
    for switch in switches:
        longgang.city.plant({"type": "stick", "name": switch, "unnoticed": unnoticed})
    longgang.city.plant({"type": "cut", "fibre": FIBRE})
    eventually(lambda: _known_broken(longgang))
    deadline = time.monotonic() + CARRIED_S
    while not _carried(longgang, name, number):
        falsely = _called_well(longgang, name) and not _carried(longgang, name, number)
        assert not (falsely and _called_well(longgang, name)), "called well on a dead path"
        assert time.monotonic() < deadline, longgang.client.services()[f"switch/{name}"]
        time.sleep(0.05)
    eventually(lambda: _called_well(longgang, name))
    # There is no third way: had the switch moved, it would ride its standby, and wait there for the fibre.
    assert _condition(longgang, name, "Protected").reason == "NoStandby"
    assert not any(longgang.client.differences().values())


def _switches(longgang: Stage, name: str) -> list[str]:
    """Return what switches for a service: its circuits or its tunnels, both directions."""
    parts = (p.subject.partition(":") for p in longgang.client.describe(f"switch/{name}").parts)
    found = [what for kind, _, what in parts if kind in ("circuit", "tunnel")]
    assert found
    return found
