"""A VIP on a running city is led off a worn fibre that nothing but it could guard: the fibre stands by from then on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from onecity.v1 import plan_pb2

from tests.support.stage import COMMITTED, Stage, eventually

WORKING, STANDBY = plan_pb2.PATH_ROLE_WORKING, plan_pb2.PATH_ROLE_STANDBY
HALL = """apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {name: hall, tenant: slow}
spec:
  bandwidth: 1Gbps
  sites:
    - {site: zhihui, lan: 10.38.0.0/24}
    - {site: nanwan, lan: 10.38.1.0/24}
    - {site: buji, lan: 10.38.2.0/24}
"""
FIBRE = "f-zhihui-nanwan"  # the short way of the meeting


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    yield
    longgang.city.plant({"type": "restore", "what": "all"})


def _meeting() -> str:
    start = datetime.now(UTC) - timedelta(minutes=1)
    return f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: meeting, tenant: slow}}
spec:
  protects: hall
  window: {{start: "{start.isoformat()}", end: "{(start + timedelta(hours=2)).isoformat()}"}}
  slo: {{latency: 50ms, loss: 1e-4, availability: 99.99%}}
  assurance: auto
  conference:
    mcu: {{access: zhihui, address: 10.38.0.10}}
    parties:
      - {{name: near, access: nanwan, address: 10.38.1.10}}
      - {{name: far, access: buji, address: 10.38.2.10}}
"""


def _parties(longgang: Stage) -> set[str]:
    return {p.health for p in longgang.client.describe("slow/meeting").parties}


def _on_worn(longgang: Stage) -> set[int]:
    """Return the roles of the meeting's paths over the link in the worn fibre."""
    worn = {"node:lg-zhihui", "node:lg-nanwan"}
    paths = longgang.client.describe("slow/meeting").paths
    return {p.role for p in paths for ends in pairwise(p.hops) if set(ends) == worn}


def _health(longgang: Stage) -> str:
    return next(c.reason for c in longgang.client.services()["slow/meeting"].conditions if c.type == "Health")


def test_a_vip_is_led_off_a_worn_fibre_that_then_stands_by_for_it_and_stays_off_it(longgang: Stage) -> None:
    assert longgang.client.apply(HALL, _meeting())[1].outcome == COMMITTED
    eventually(lambda: _parties(longgang) == {"ok"})
    assert WORKING in _on_worn(longgang)
    longgang.city.plant({"type": "degrade", "link": FIBRE, "loss": 0.01, "delay_s": 0.0})
    eventually(lambda: _on_worn(longgang) == {STANDBY}, 60.0)
    eventually(lambda: _parties(longgang) == {"ok"} and _health(longgang) == "Ok", 60.0)
    led = longgang.client.services()["slow/meeting"].revision
    for fibre in ("f-pingdi-yuanshan", "f-jihua-bantian"):  # far away, and under the way that it was led over
        longgang.city.plant({"type": "cut", "fibre": fibre})
        eventually(longgang.down)
        longgang.city.plant({"type": "restore", "what": fibre})
        eventually(lambda: not longgang.down())
        eventually(lambda: _parties(longgang) == {"ok"})
        assert _on_worn(longgang) == {STANDBY}
    assert longgang.client.services()["slow/meeting"].revision == led  # nothing has moved it
    assert not any(longgang.client.differences().values())
