"""How long an open change stays open after a restart: the daemon is killed right after the decision.

From the start of the process, interpreter and imports included, until the end of the change is on disk (every domain
has confirmed then); and until changes are accepted again, with everything that stands loaded and rebuilt.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

from tests.support.stage import Stage, wait_ready

SAMPLES = 5
ONE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: open-{number}, tenant: recovery}}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  slo: {{latency: 5ms, availability: 99.99%}}
  endpoints:
    - {{site: buji, lan: 10.249.{number}.0/25}}
    - {{site: longgang, lan: 10.249.{number}.128/25}}
"""


def measure(stage: Stage) -> dict[str, float]:
    """Return the median over a few kills; the daemon is back, and the services gone, at the end."""
    ended, accepting = zip(*(_killed_and_back(stage, number) for number in range(SAMPLES)), strict=True)
    stage.client.delete(*(f"recovery/open-{number}" for number in range(SAMPLES)))
    return {"recover.open_change_s": statistics.median(ended), "recover.accepting_s": statistics.median(accepting)}


def _killed_and_back(stage: Stage, number: int) -> tuple[float, float]:
    stage.kill_daemon()
    stage.start_daemon(ONECITY_DIE_AT="decided:1")
    change = stage.client.begin(ONE.format(number=number))
    stage.daemon.wait(30)
    started = time.perf_counter()
    stage.start_daemon(wait=False)
    outcome = _end_of(stage.city.directory / "onecity.db", change)
    ended_s = time.perf_counter() - started
    assert outcome == "committed", f"change {change} was decided and ended {outcome}"
    wait_ready(stage.address)
    accepting_s = time.perf_counter() - started
    assert not any(stage.client.differences().values())
    return ended_s, accepting_s


def _end_of(store: Path, change: str) -> str:
    """Read beside the daemon how the change ended; its API serves only after what stands is loaded."""
    deadline = time.monotonic() + 30
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        while time.monotonic() < deadline:
            row = database.execute("SELECT outcome FROM changes WHERE id = ?", (change,)).fetchone()
            if row and row[0] != "running":
                return str(row[0])
            time.sleep(0.01)
    return "not within 30 s"
