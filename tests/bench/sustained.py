"""How many changes a second the controller carries out for many clients at once, and how long each of them waits.

Sixteen clients order timeslot slices between the city's network and the district's: every order is a change of its own
over three domains, for a service that was never there before. A client waits for the end of one before it orders the
next; what it ordered it takes away again, several services in one change, so that as much stands at the end as at the
beginning. Only orders are counted, not what takes them away. Everything that protects a change is on, as elsewhere.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from onecity.v1 import controller_pb2 as pb

from tests.bench.numbers import percentile
from tests.bench.standing import EAST, WEST
from tests.support.stage import CHANGE_S, COMMITTED, Client, Stage

CLIENTS = 16
WARM_UP_S = 5.0
SECONDS = 60.0
KEPT = 3  # services of one client that stand before it takes them away
ONE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: sustained}}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  slo: {{latency: 5ms, availability: 99.9%}}
  endpoints:
    - {{site: {west}, lan: 10.{block}.{number}.0/25}}
    - {{site: {east}, lan: 10.{block}.{number}.128/25}}
"""


@dataclass
class _Clock:
    """When to count: from the end of the warm-up until the end."""

    begins: float
    ends: float


@dataclass
class _Orders:
    """One client's work and how long each of its orders took, in seconds."""

    client: Client
    number: int
    taken: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def run(self, clock: _Clock) -> None:
        standing: list[str] = []
        for name, text in self._documents():
            started = time.perf_counter()
            if started >= clock.ends:
                break
            self._end(self.client.begin(text), name)
            ended = time.perf_counter()
            if clock.begins <= ended < clock.ends:
                self.taken.append(ended - started)
            standing.append(f"sustained/{name}")
            if len(standing) == KEPT:
                self._remove(standing)
        self._remove(standing)

    def _documents(self) -> Iterator[tuple[str, str]]:
        """Yield orders for ever; sites and prefixes go round, names do not."""
        for n in count():
            west, east = WEST[(self.number + n) % len(WEST)], EAST[(self.number + n) % len(EAST)]
            block, number = 220 + self.number, n % 250
            name = f"c{self.number}-{n}"
            yield name, ONE.format(name=name, west=west, east=east, block=block, number=number)

    def _remove(self, standing: list[str]) -> None:
        if standing:
            request = pb.DeleteRequest(services=standing, reason="bench")
            self._end(self.client.stub.Delete(request, timeout=CHANGE_S).change_id, "delete")
            standing.clear()

    def _end(self, change: str, what: str) -> None:
        request = pb.WatchChangeRequest(change_id=change, result_only=True)
        (event,) = self.client.stub.WatchChange(request, timeout=CHANGE_S)
        if event.result.outcome != COMMITTED:
            self.failed.append(f"{what}: {event.result.message}")


def measure(stage: Stage, seconds: float = SECONDS, warm_up_s: float = WARM_UP_S) -> dict[str, float]:
    """Return the rate and the percentiles; what stood before stands again afterwards."""
    orders = [_Orders(Client(stage.address), number) for number in range(CLIENTS)]
    begins = time.perf_counter() + warm_up_s
    clock = _Clock(begins, begins + seconds)
    threads = [threading.Thread(target=one.run, args=(clock,)) for one in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in orders:
        one.client.channel.close()
    if failed := [text for one in orders for text in one.failed]:
        raise RuntimeError(f"{len(failed)} orders did not commit; the first: {failed[0]}")
    taken = [s for one in orders for s in one.taken]
    return {
        "apply.sustained_per_s": len(taken) / seconds,
        "apply.sustained_p50_ms": percentile(taken, 0.50),
        "apply.sustained_p99_ms": percentile(taken, 0.99),
    }
