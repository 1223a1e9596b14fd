"""The slow loop where a fibre neither loses nor delays: slices to which steadiness was promised are led off it."""

from __future__ import annotations

from typing import Any

from onecity.v1 import incident_pb2 as pb
from onecity.v1 import incident_pb2_grpc

from tests.support.stage import COMMITTED, Stage, eventually

FIBRE = "f-nanwan-buji"


def _slice(name: str, number: int, slo: str) -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: slow}}
spec:
  bandwidth: 1Gbps
  isolation: nrp
  protection: none
  slo: {{{slo}, loss: 1e-4, availability: 99%}}
  endpoints:
    - {{site: nanwan, lan: 10.3{number}.1.0/24}}
    - {{site: buji, lan: 10.3{number}.2.0/24}}
"""


def _led(longgang: Stage, service: str) -> bool:
    return any("node:lg-bantian" in path.hops for path in longgang.client.describe(service).paths)


def _condition(longgang: Stage, service: str, kind: str) -> tuple[str, str]:
    found = longgang.client.describe(service).status.conditions
    return next(((c.reason, c.message) for c in found if c.type == kind), ("", ""))


def _within(longgang: Stage, *services: str) -> bool:
    return all(_condition(longgang, service, "WithinSlo")[0] == "Measured" for service in services)


def _incidents(longgang: Stage) -> list[tuple[str, str, str]]:
    stub: Any = incident_pb2_grpc.IncidentServiceStub(longgang.client.channel)  # type: ignore[no-untyped-call]
    found = stub.ListIncidents(pb.ListIncidentsRequest(), timeout=10).incidents
    return [(i.root, i.kind, i.title) for i in found]


def test_who_was_promised_little_jitter_is_led_off_a_fibre_that_varies_unless_that_breaks_another_promise(
    longgang: Stage,
) -> None:
    steady, short, patient = "slow/steady", "slow/short", "slow/patient"
    documents = (
        _slice("steady", 0, "latency: 20ms, jitter: 1ms"),
        _slice("short", 1, "latency: 0.12ms, jitter: 1ms"),  # no other way is short enough
        _slice("patient", 2, "latency: 20ms"),  # nothing was promised of jitter
    )
    assert longgang.client.apply(*documents)[1].outcome == COMMITTED
    eventually(lambda: _within(longgang, steady, short, patient))
    assert not any(_led(longgang, service) for service in (steady, short, patient))
    longgang.city.plant({"type": "degrade", "link": FIBRE, "jitter_s": 0.002})
    eventually(lambda: _led(longgang, steady))
    said = f"fibre {FIBRE} varies in delay more than it should"
    eventually(lambda: _condition(longgang, short, "LedAway")[1].startswith(f"{said}, and it stays there: "))
    assert "latency" in _condition(longgang, short, "LedAway")[1]
    eventually(lambda: _incidents(longgang) == [(f"fibre:{FIBRE}", "degraded", said)])
    eventually(lambda: "jitter" in _condition(longgang, short, "WithinSlo")[1])
    eventually(lambda: _within(longgang, steady, patient))
    assert not _led(longgang, short)
    assert not _led(longgang, patient)
    assert not any(longgang.client.differences().values())
