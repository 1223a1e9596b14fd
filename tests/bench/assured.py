"""How soon a slice that burns its SLO is led away from a worn fibre, and how soon a late party is in its conference.

The slow loop is timed from the lab applying the wear to the end of the change that moves the slice, on one wall clock;
what is measured once a second is judged twice before anybody is moved. The late party is one edit of the intent, from
the request to the last domain's confirm.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from onecity.v1 import controller_pb2 as pb

from tests.bench.numbers import percentile
from tests.support.stage import COMMITTED, Client, Stage

WEARS, PARTIES, LATE = 5, 100, 20
FIBRE = "f-nanwan-buji"  # the short way of the slices
SLICE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: worn-{number}, tenant: assured}}
spec:
  bandwidth: 100Mbps
  isolation: nrp
  protection: none
  slo: {{latency: 20ms, loss: 1e-4, availability: 99%}}
  endpoints:
    - {{site: nanwan, lan: 10.251.{number}.0/25}}
    - {{site: buji, lan: 10.251.{number}.128/25}}
"""
PLANE = """apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {name: hall, tenant: assured}
spec:
  bandwidth: 2Gbps
  sites:
    - {site: zhihui, lan: 10.252.0.0/24}
    - {site: buji, lan: 10.252.1.0/24}
    - {site: pinghu, lan: 10.252.2.0/24}
"""


def measure(stage: Stage) -> dict[str, float]:
    """Return the numbers, keyed as in bench.json; what it applied is gone at the end."""
    client = stage.client
    _committed(client, PLANE)
    seconds = [_wear(stage, number) for number in range(WEARS)]
    late = _late_parties(client)
    client.delete("assured/meeting")
    client.delete("assured/hall")
    return {"repair.slow_loop_s": percentile(seconds, 0.99) / 1e3, "vip.late_party_ms": percentile(late, 0.99)}


def _wear(stage: Stage, number: int) -> float:
    """Wear the fibre under a new slice: one is moved a few times an hour only."""
    _committed(stage.client, SLICE.format(number=number))
    time.sleep(4.0)  # until it has been measured for a while
    stage.city.plant({"type": "degrade", "link": FIBRE, "loss": 0.01, "delay_s": 0.0})
    at = time.time()
    deadline = at + 20.0
    while True:
        found = stage.client.stub.GetHistory(pb.GetHistoryRequest(limit=10), timeout=30).changes
        ended = [
            c.ended_at.ToNanoseconds() / 1e9 - at
            for c in found
            if c.kind == "improve" and c.outcome == COMMITTED and c.accepted_at.ToNanoseconds() / 1e9 >= at
        ]
        if ended:
            break
        if time.time() > deadline:
            raise RuntimeError(f"nothing was led away from {FIBRE} within 20 s")
        time.sleep(0.1)
    stage.city.plant({"type": "restore", "what": "all"})
    stage.client.delete(f"assured/worn-{number}")
    time.sleep(12.0)  # until the incident is over
    return min(ended)


def _late_parties(client: Client) -> list[float]:
    start = datetime.now(UTC)
    window = f'{{start: "{start.isoformat()}", end: "{(start + timedelta(hours=8)).isoformat()}"}}'
    _committed(client, _meeting(window, PARTIES))
    seconds = []
    for late in range(1, LATE + 1):
        took, result = client.apply(_meeting(window, PARTIES + late))
        if result.outcome != COMMITTED:
            raise RuntimeError(f"a late party was refused: {result.message}")
        seconds.append(took)
    return seconds


def _meeting(window: str, parties: int) -> str:
    rows = "".join(
        f"      - {{name: p{n}, access: {('buji', 'pinghu')[n % 2]}, address: 10.252.{1 + n % 2}.{10 + n // 2}}}\n"
        for n in range(parties)
    )
    return f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: meeting, tenant: assured}}
spec:
  protects: hall
  window: {window}
  conference:
    mcu: {{access: zhihui, address: 10.252.0.10}}
    parties:
{rows}"""


def _committed(client: Client, *texts: str) -> None:
    _, result = client.apply(*texts)
    if result.outcome != COMMITTED:
        raise RuntimeError(f"the change did not commit: {result.message}")
