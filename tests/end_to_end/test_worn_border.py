"""A VIP over a worn border on a running city: its plane crosses the other one, before the mending and after it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from onecity.v1 import controller_pb2, incident_pb2, incident_pb2_grpc

from tests.support.stage import COMMITTED, Stage, eventually

FIBRE = "f-zhihui-compute"  # under the first border to the compute centre, and nothing else
POOR_DB = 33.0  # of light lost: some margin is left, too little to stay
FIRST, SECOND = "lg-compute-a", "lg-compute-b"
PLANE = """apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {{name: {name}, tenant: slow}}
spec:
  bandwidth: 1Gbps
  sites:
    - {{site: zhihui, lan: 10.3{number}.0.0/24}}
    - {{site: compute, lan: 10.3{number}.1.0/24}}
"""


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    yield
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _roots(longgang), 60.0)


def _meeting() -> str:
    start = datetime.now(UTC) - timedelta(minutes=1)
    return f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: meeting, tenant: slow}}
spec:
  protects: hall
  window: {{start: "{start.isoformat()}", end: "{(start + timedelta(hours=2)).isoformat()}"}}
  slo: {{latency: 50ms, loss: 1e-4, availability: 99.9%}}
  conference:
    mcu: {{access: zhihui, address: 10.38.0.10}}
    parties:
      - {{name: far, access: compute, address: 10.38.1.10}}
"""


def _roots(longgang: Stage) -> set[str]:
    stub: Any = incident_pb2_grpc.IncidentServiceStub(longgang.client.channel)  # type: ignore[no-untyped-call]
    return {i.root for i in stub.ListIncidents(incident_pb2.ListIncidentsRequest(), timeout=10).incidents}


def _crossed(longgang: Stage, plane: str = "hall", number: int = 8) -> str:
    """Return the router of the compute centre at which a packet of a plane arrives; it must arrive at its end."""
    packet = {"type": "trace", "vpn": f"slow.{plane}", "access": "zhihui", "dst": f"10.3{number}.1.10"}
    told = longgang.city.plant(packet)
    assert told["delivered"], told
    return next(router for router in (SECOND, FIRST) if router in str(told))


def _parties(longgang: Stage) -> set[str]:
    return {p.health for p in longgang.client.describe("slow/meeting").parties}


def _moves(longgang: Stage) -> list[int]:
    """Return the revisions that assurance made."""
    request = controller_pb2.GetHistoryRequest(limit=50)
    changes = longgang.client.stub.GetHistory(request, timeout=10).changes
    return sorted(c.revision for c in changes if c.kind in ("improve", "repair"))


def test_a_vip_over_a_worn_border_is_led_over_the_other_one_and_stays_there_when_all_is_well(longgang: Stage) -> None:
    assert longgang.client.apply(PLANE.format(name="hall", number=8), _meeting())[1].outcome == COMMITTED
    eventually(lambda: _parties(longgang) == {"ok"})
    assert _crossed(longgang) == FIRST
    longgang.city.plant({"type": "degrade", "link": FIBRE, "loss": 0.01, "delay_s": 0.0})
    eventually(lambda: _crossed(longgang) == SECOND, 60.0)
    eventually(lambda: _parties(longgang) == {"ok"}, 60.0)
    new = PLANE.format(name="new", number=7)  # asked for while the fibre is worn
    assert longgang.client.apply(new)[1].outcome == COMMITTED
    assert _crossed(longgang, "new", 7) == SECOND
    moves = _moves(longgang)
    assert len(moves) == 1
    longgang.city.plant({"type": "restore", "what": FIBRE})
    eventually(lambda: not _roots(longgang), 60.0)
    newest = PLANE.format(name="newest", number=6)
    assert longgang.client.apply(newest)[1].outcome == COMMITTED
    assert _crossed(longgang, "newest", 6) == FIRST
    for fibre in ("f-pingdi-yuanshan", "f-zhihui-nanwan"):  # far away, and under the way that it was led over
        longgang.city.plant({"type": "cut", "fibre": fibre})
        eventually(longgang.down)
        longgang.city.plant({"type": "restore", "what": fibre})
        eventually(lambda: not longgang.down())
        eventually(lambda: _parties(longgang) == {"ok"}, 60.0)
    assert _crossed(longgang) == SECOND
    assert not any(longgang.client.differences().values())


def test_a_border_whose_light_fades_is_left_before_a_packet_is_lost(longgang: Stage) -> None:
    assert longgang.client.apply(PLANE.format(name="hall", number=8), _meeting())[1].outcome == COMMITTED
    eventually(lambda: _parties(longgang) == {"ok"})
    assert _crossed(longgang) == FIRST
    before = longgang.client.describe("slow/meeting").record
    longgang.city.plant({"type": "degrade", "link": FIBRE, "light_db": POOR_DB, "in_s": 8.0})
    eventually(lambda: _crossed(longgang) == SECOND, 60.0)
    eventually(lambda: _parties(longgang) == {"ok"}, 60.0)
    after = longgang.client.describe("slow/meeting").record
    assert after.repairs == before.repairs + 1
    assert after.outages == before.outages == 0
