"""How long a change takes, from the gRPC request to the last domain's confirm, with a thousand services standing.

Everything that protects a change is on: fsync, verification, read-back, telemetry. Beside it, on the same servers
in the same run, what a hand-written script with stock ncclient needs for the same NETCONF operations.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from onecity.v1 import plan_pb2 as pb

from tests.bench import sustained
from tests.bench.baseline import script_seconds
from tests.bench.numbers import percentile
from tests.bench.standing import thousand
from tests.support.stage import COMMITTED, Client, Stage

SAMPLES = 200
ONE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: one-{number}, tenant: bench}}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  slo: {{latency: 5ms, availability: 99.99%}}
  endpoints:
    - {{site: buji, lan: 10.250.{number}.0/25}}
    - {{site: longgang, lan: 10.250.{number}.128/25}}
"""


def measure(stage: Stage, intents: Path, sustained_s: float) -> dict[str, float]:
    """Return the numbers, keyed as in bench.json."""
    client = stage.client
    texts = {p.stem: p.read_text() for p in intents.glob("*.yaml")}
    standing = list(thousand())
    seconds, result = client.apply(*standing)
    _committed(result)
    numbers = {"apply.thousand_s": seconds}
    print(f"  1,000 services in one change: {seconds:.2f} s")
    one = [_one(client, number) for number in range(SAMPLES)]
    numbers["apply.one.p50_ms"] = percentile(one, 0.50)
    numbers["apply.one.p99_ms"] = percentile(one, 0.99)
    numbers |= sustained.measure(stage, sustained_s)  # here, where a thousand services stand and no more
    office, plane, conference = texts["office"], texts["finance"], texts["conference"]
    _committed(client.apply(office)[1])
    numbers["apply.conference300_s"] = _applied(client, conference)
    numbers["apply.plane1300_s"] = _applied(client, plane)
    rest = [text for name, text in texts.items() if name not in ("office", "finance", "conference")]
    _committed(client.apply(*rest)[1])
    everything = [*standing, office, plane, conference, *rest]
    empty = [_nothing(client, everything) for _ in range(5)]
    numbers["apply.plan_empty_ms"] = empty[0] * 1e3  # the second apply; those after it may find less to do behind it
    numbers["apply.plan_empty_repeat_ms"] = statistics.median(empty[1:]) * 1e3
    # Last, because it changes domains behind the controller's back, who then reads them whole to compare.
    script = [script_seconds(stage.city) for _ in range(20)]
    numbers["baseline.ncclient_script.p50_ms"] = statistics.median(script) * 1e3
    return numbers


def _one(client: Client, number: int) -> float:
    seconds, result = client.apply(ONE.format(number=number))
    _committed(result)
    _committed(client.delete(f"bench/one-{number}")[1])
    return seconds


def _applied(client: Client, text: str) -> float:
    seconds, result = client.apply(text)
    _committed(result)
    return seconds


def _nothing(client: Client, texts: list[str]) -> float:
    started = time.perf_counter()
    _, result = client.apply(*texts)
    if result.outcome == COMMITTED:
        raise RuntimeError("a second apply of everything changed something")
    return time.perf_counter() - started


def _committed(result: pb.ChangeResult) -> None:
    if result.outcome != COMMITTED:
        raise RuntimeError(f"the change did not commit: {result.message}")
