"""The slow loop on a running city: what wears out is left before it breaks, by who may be moved."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.support.stage import COMMITTED, Stage, eventually


def _slice(name: str, number: int, assurance: str = "", labels: str = "", latency: str = "20ms") -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: slow, labels: {{{labels}}}}}
spec:
  {assurance}
  bandwidth: 1Gbps
  isolation: nrp
  protection: none
  slo: {{latency: {latency}, loss: 1e-4, availability: 99%}}
  endpoints:
    - {{site: nanwan, lan: 10.3{number}.1.0/24}}
    - {{site: buji, lan: 10.3{number}.2.0/24}}
"""


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    yield
    longgang.city.plant({"type": "restore", "what": "all"})


def _nodes(longgang: Stage, service: str) -> set[str]:
    return {hop for path in longgang.client.describe(service).paths for hop in path.hops}


def _stays(longgang: Stage, service: str) -> str:
    """Return why a service cannot be led away from what wears out; empty for all others."""
    found = longgang.client.describe(service).status.conditions
    return next((c.message for c in found if c.type == "LedAway"), "")


def test_a_slice_that_burns_its_slo_is_led_away_within_seconds_unless_it_says_otherwise(longgang: Stage) -> None:
    documents = (
        _slice("free", 0),
        _slice("kept", 1, "assurance: off"),
        _slice("labelled", 4, labels="assurance: off"),  # as it was written before there was a field
        _slice("asked", 2, "assurance: propose"),
        _slice("tight", 3, latency="0.12ms"),
    )
    assert longgang.client.apply(*documents)[1].outcome == COMMITTED
    time.sleep(2.5)  # measured, and well
    longgang.city.plant({"type": "degrade", "link": "f-nanwan-buji", "loss": 0.01, "delay_s": 0.0})
    eventually(lambda: "node:lg-bantian" in _nodes(longgang, "slow/free"))
    for name in ("kept", "labelled", "asked", "tight"):  # the last has no other way that is short enough
        assert "node:lg-bantian" not in _nodes(longgang, f"slow/{name}")
    eventually(lambda: "slow/asked" in longgang.command("proposals").stdout)
    assert "slow/kept" not in longgang.command("proposals").stdout
    eventually(lambda: _stays(longgang, "slow/tight"))
    why = _stays(longgang, "slow/tight")
    assert why.startswith("fibre f-nanwan-buji ")
    assert ", and it stays there: " in why
    assert "latency" in why
    said = longgang.command("proposals").stdout
    assert said.index("cannot be led away") < said.index("slow/tight")
    told = json.loads(longgang.command("proposals", "-o", "json").stdout)
    assert [p["service"] for p in told["proposals"]] == ["slow/asked"]
    assert [p["service"] for p in told["staying"]] == ["slow/tight"]
    assert "\n" not in why
    assert not _stays(longgang, "slow/free")
    assert not _stays(longgang, "slow/kept")
    accepted = longgang.command("proposals", "accept", "slow/asked")
    assert accepted.returncode == 0, accepted.stderr
    assert "node:lg-bantian" in _nodes(longgang, "slow/asked")
    assert not any(longgang.client.differences().values())
