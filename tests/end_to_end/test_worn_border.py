"""What wears out on a running city is left, a border by a VIP with its plane; once it is well nothing goes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from onecity.v1 import controller_pb2, incident_pb2, incident_pb2_grpc, status_pb2

from tests.support.stage import COMMITTED, Stage, eventually

BORDER = "f-zhihui-compute"  # under the first border to the compute centre, and nothing else
INNER = "f-nanwan-buji"  # under the short way from zhihui to buji, behind nanwan
POOR_DB = 33.0  # of light lost: some margin is left, too little to stay
FIRST, SECOND = "lg-compute-a", "lg-compute-b"


def _plane(name: str, number: int) -> str:
    return f"""apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {{name: {name}, tenant: slow}}
spec:
  bandwidth: 1Gbps
  sites:
    - {{site: zhihui, lan: 10.3{number}.0.0/24}}
    - {{site: compute, lan: 10.3{number}.1.0/24}}
    - {{site: buji, lan: 10.3{number}.2.0/24}}
"""


def _slice(name: str, number: int) -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: slow}}
spec:
  bandwidth: 1Gbps
  isolation: nrp
  protection: none
  slo: {{latency: 20ms, loss: 1e-4, availability: 99%}}
  endpoints:
    - {{site: nanwan, lan: 10.3{number}.1.0/24}}
    - {{site: buji, lan: 10.3{number}.2.0/24}}
"""


def _meeting(name: str = "meeting") -> str:
    start = datetime.now(UTC) - timedelta(minutes=1)
    return f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: {name}, tenant: slow}}
spec:
  protects: hall
  window: {{start: "{start.isoformat()}", end: "{(start + timedelta(hours=2)).isoformat()}"}}
  slo: {{latency: 50ms, loss: 1e-4, availability: 99.9%}}
  conference:
    mcu: {{access: zhihui, address: 10.38.0.10}}
    parties:
      - {{name: far, access: compute, address: 10.38.1.10}}
      - {{name: near, access: buji, address: 10.38.2.10}}
"""


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    eventually(lambda: not _roots(longgang), 60.0)
    yield
    longgang.city.plant({"type": "restore", "what": "all"})


def _roots(longgang: Stage) -> set[str]:
    """Return what the open incidents blame."""
    stub: Any = incident_pb2_grpc.IncidentServiceStub(longgang.client.channel)  # type: ignore[no-untyped-call]
    return {i.root for i in stub.ListIncidents(incident_pb2.ListIncidentsRequest(), timeout=10).incidents}


def _crossed(longgang: Stage, plane: str = "hall", number: int = 8) -> str:
    """Return over which router a packet of a plane comes to the compute centre; it must arrive at its end."""
    packet = {"type": "trace", "vpn": f"slow.{plane}", "access": "zhihui", "dst": f"10.3{number}.1.10"}
    told = longgang.city.plant(packet)
    assert told["delivered"], told
    return next(router for router in (SECOND, FIRST) if router in str(told))


def _around(longgang: Stage, name: str) -> bool:
    """Return whether a slice leaves the worn link between nanwan and buji aside."""
    return any("lg-bantian" in hop for path in longgang.client.describe(f"slow/{name}").paths for hop in path.hops)


def _parties(longgang: Stage, name: str = "meeting") -> set[str]:
    return {p.health for p in longgang.client.describe(f"slow/{name}").parties}


def _record(longgang: Stage, name: str) -> status_pb2.AssuranceRecord:
    return longgang.client.describe(f"slow/{name}").record


def _changes(longgang: Stage) -> list[controller_pb2.ChangeRecord]:
    found = longgang.client.stub.GetHistory(controller_pb2.GetHistoryRequest(limit=50), timeout=10).changes
    return sorted(found, key=lambda c: c.revision)


def _moves(longgang: Stage) -> list[tuple[str, tuple[str, ...]]]:
    """Return the changes that assurance made, in their order: of which kind, and of whom."""
    return [(c.kind, tuple(c.services)) for c in _changes(longgang) if c.kind in ("improve", "repair")]


def _degrade(longgang: Stage, fibre: str) -> None:
    longgang.city.plant({"type": "degrade", "link": fibre, "loss": 0.01, "delay_s": 0.0})


def test_what_was_led_away_stays_when_all_is_well_again_and_who_comes_then_rides_what_was_worn(longgang: Stage) -> None:
    assert longgang.client.apply(_plane("hall", 8), _slice("short", 7), _meeting())[1].outcome == COMMITTED
    eventually(lambda: _parties(longgang) == {"ok"})
    assert _crossed(longgang) == FIRST
    for fibre in (BORDER, INNER):
        _degrade(longgang, fibre)
    eventually(lambda: _crossed(longgang) == SECOND and _around(longgang, "short"), 60.0)
    eventually(lambda: _parties(longgang) == {"ok"}, 60.0)
    eventually(lambda: _roots(longgang) == {f"fibre:{BORDER}", f"fibre:{INNER}"})
    new = (_plane("new", 6), _slice("around", 5))  # asked for while the fibres are worn
    assert longgang.client.apply(*new)[1].outcome == COMMITTED
    assert _crossed(longgang, "new", 6) == SECOND
    assert _around(longgang, "around")
    eventually(lambda: all(c.HasField("ended_at") for c in _changes(longgang)))
    moves, stood = _moves(longgang), {n: s.revision for n, s in longgang.client.services().items()}
    assert ("improve", ("slow/short",)) in moves
    assert 2 <= len(moves) <= 3  # the meeting once more where only one of the two fibres was found at first
    for fibre in (BORDER, INNER):
        longgang.city.plant({"type": "restore", "what": fibre})
    eventually(lambda: not _roots(longgang), 60.0)
    newest = (_plane("newest", 4), _slice("direct", 3))
    assert longgang.client.apply(*newest)[1].outcome == COMMITTED
    assert _crossed(longgang, "newest", 4) == FIRST
    assert not _around(longgang, "direct")
    longgang.city.plant({"type": "cut", "fibre": "f-pingdi-yuanshan"})  # far away
    eventually(lambda: _roots(longgang))
    longgang.city.plant({"type": "restore", "what": "f-pingdi-yuanshan"})
    eventually(lambda: not _roots(longgang), 60.0)  # many rounds later
    assert _moves(longgang) == moves
    assert {n: s.revision for n, s in longgang.client.services().items() if n in stood} == stood
    assert _crossed(longgang) == SECOND
    assert _parties(longgang) == {"ok"}
    assert not any(longgang.client.differences().values())


def test_a_border_whose_light_fades_is_left_before_a_packet_is_lost(longgang: Stage) -> None:
    assert longgang.client.apply(_plane("hall", 8), _meeting("light"))[1].outcome == COMMITTED
    eventually(lambda: _parties(longgang, "light") == {"ok"})
    assert _crossed(longgang) == FIRST
    longgang.city.plant({"type": "degrade", "link": BORDER, "light_db": POOR_DB, "in_s": 4.0})
    eventually(lambda: _crossed(longgang) == SECOND, 60.0)
    eventually(lambda: _record(longgang, "light").repairs == 1, 60.0)  # once every domain has confirmed it
    eventually(lambda: _parties(longgang, "light") == {"ok"}, 60.0)
    record = _record(longgang, "light")
    assert record.outages == 0
    assert [p.name for p in record.parties] == ["far", "near"]
    assert all(not p.violated_s and not p.down_s for p in record.parties)
