"""How long after a cut the services on the fibre stand elsewhere, with ten thousand standing.

From the moment the lab has applied the cut to the end of the change that repairs, which is after the last domain's
confirm: both are read from one wall clock, the second from the history. The fibre carries a thousand services that
nothing protects: planes, whose traffic routers lead around while what is held for them has to follow, slices pinned
to it, and a conference. The same cut is made again and again; in between, a cut on the other side of the ring brings
the slices back.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from onecity.v1 import controller_pb2 as pb
from onecity.v1 import simulation_pb2

from tests.bench.numbers import percentile
from tests.support.stage import COMMITTED, Client, Stage

CUTS = int(os.environ.get("ONECITY_BENCH_CUTS", "30"))
STANDING = int(os.environ.get("ONECITY_BENCH_STANDING", "10000"))  # all together
ON_FIBRE = 1000
SLICES = 100  # of those on the fibre; routers lead the planes around at once, nothing carries these
SLICE_BPS = 20 * 10**6
AT_ONCE = 1000  # services in one change while the city is filled
FIBRE, OTHER = "f-nanwan-buji", "f-jihua-bantian"
# Neighbours on the rings whose traffic never takes either fibre, so that the thousand on the first are all.
NEAR_WEST = (("bantian", "pinghu"), ("pinghu", "zhihui"), ("zhihui", "bantian"))
NEAR_EAST = (("longgang", "baolong"), ("baolong", "pingdi"), ("pingdi", "yuanshan"))
MOST_S = 60.0  # for all of them; a measurement of fewer would flatter
UNSEEN_S = 1.5  # after a cut, before anybody looks how far its repair is
ASK_S = 0.5
BACK_S = 3.5  # after a fibre is whole again: what came back has to stay for a while before anything is led over it
CALM_S = 1.2  # so long without a repair, and nothing more is coming
APART_S = 11.0  # between two cuts of one fibre: what fails again sooner is held down, and that is measured elsewhere


def measure(stage: Stage) -> dict[str, float]:
    """Return the numbers, keyed as in bench.json."""
    client = stage.client
    everything = [*_elsewhere(STANDING - ON_FIBRE), *_on_fibre()]
    started = time.perf_counter()
    for start in range(0, len(everything), AT_ONCE):
        _, result = client.apply(*everything[start : start + AT_ONCE])
        if result.outcome != COMMITTED:
            raise RuntimeError(f"the city could not be filled: {result.message}")
        print(f"  {start + AT_ONCE:,} standing after {time.perf_counter() - started:.0f} s", flush=True)
    time.sleep(3.0)
    print("  repair, nothing else going on", flush=True)
    numbers = _numbers("repair", [_repaired(stage, number) for number in range(CUTS)])
    with _simulating(stage.address):
        print("  repair while failures are simulated", flush=True)
        cuts = [_repaired(stage, number) for number in range(CUTS)]
    return numbers | _numbers("repair.simulating", cuts)


@dataclass(frozen=True, slots=True)
class Cut:
    """What became of one cut; seconds from the lab having applied it."""

    first_vip_s: float
    last_s: float
    services: int
    lost_gbit: float  # what was promised to slices that nothing carried until their repair ended


def _numbers(name: str, cuts: Sequence[Cut]) -> dict[str, float]:
    vips, everybody = [c.first_vip_s for c in cuts], [c.last_s for c in cuts]
    return {
        f"{name}.first_vip_ms": percentile(vips, 0.99),
        f"{name}.first_vip_p50_ms": percentile(vips, 0.50),
        f"{name}.all1000_s": percentile(everybody, 0.99) / 1e3,
        f"{name}.all1000_p50_s": percentile(everybody, 0.50) / 1e3,
        f"{name}.lost_gbit": max(c.lost_gbit for c in cuts),
        f"{name}.services": float(min(c.services for c in cuts)),
        f"{name}.cuts": float(len(cuts)),
    }


@contextmanager
def _simulating(address: str) -> Iterator[None]:
    """Have every single failure simulated, again and again."""
    enough = threading.Event()

    def work() -> None:
        client = Client(address)
        while not enough.is_set():
            for _ in client.stub.Simulate(simulation_pb2.SimulateRequest(fail=["all-single"]), timeout=600):
                if enough.is_set():
                    break
        client.channel.close()

    worker = threading.Thread(target=work, name="simulating", daemon=True)
    worker.start()
    try:
        yield
    finally:
        enough.set()
        worker.join(60)


def _repaired(stage: Stage, number: int) -> Cut:
    """Cut the fibre, then another so that the slices come back."""
    started = time.monotonic()
    cut = _cut(stage, FIBRE, ON_FIBRE)
    first, last = cut.first_vip_s * 1e3, cut.last_s
    print(f"  cut {number + 1}: {cut.services} services, first VIP {first:.0f} ms, all {last:.2f} s", flush=True)
    _cut(stage, OTHER, SLICES)
    time.sleep(max(0.0, started + APART_S - time.monotonic()))
    return cut


def _cut(stage: Stage, fibre: str, services: int) -> Cut:
    """Cut, wait until so many services are repaired, restore, and wait until all have been led back."""
    stage.city.plant({"type": "cut", "fibre": fibre})
    at = time.time()
    time.sleep(UNSEEN_S)  # to look is work too: not while the repair is measured
    while not _over(changes := _repairs(stage, at), services):
        if time.time() > at + MOST_S:
            raise RuntimeError(f"not all of the {services} services on {fibre} were repaired within {MOST_S:g} s")
        time.sleep(ASK_S)
    stage.city.plant({"type": "restore", "what": "all"})
    _calm(stage, time.time())
    ends = sorted(((c.ended_at.ToNanoseconds() / 1e9 - at, c) for c in changes), key=lambda e: e[0])
    repaired: dict[str, float] = {}
    for end, change in ends:
        for service in change.services:
            repaired.setdefault(service, end)
    lost = sum(2 * SLICE_BPS * end for service, end in repaired.items() if service.startswith("bench/pinned-"))
    return Cut(repaired.get("bench/council", 0.0), max(repaired.values(), default=0.0), len(repaired), lost / 1e9)


def _over(changes: Sequence[pb.ChangeRecord], services: int) -> bool:
    """Say whether no repair is running and so many services were repaired: fewer would flatter."""
    done = {s for c in changes if c.outcome == COMMITTED for s in c.services}
    return len(done) >= services and all(c.HasField("ended_at") for c in changes)


def _calm(stage: Stage, since: float) -> None:
    """Wait until everything that came up is led back over again."""
    time.sleep(BACK_S)
    while True:
        found = _repairs(stage, since)
        newest = max((c.ended_at.ToNanoseconds() / 1e9 for c in found if c.HasField("ended_at")), default=0.0)
        if all(c.HasField("ended_at") for c in found) and time.time() > newest + CALM_S:
            return
        if time.time() > since + MOST_S:
            raise RuntimeError(f"services are still being led back {MOST_S:g} s after the fibre was")
        time.sleep(ASK_S)


def _repairs(stage: Stage, since: float) -> list[pb.ChangeRecord]:
    """Return the repairs accepted since then."""
    found = stage.client.stub.GetHistory(pb.GetHistoryRequest(limit=40), timeout=30).changes
    return [c for c in found if c.kind == "repair" and c.accepted_at.ToNanoseconds() / 1e9 >= since - 0.01]


def _elsewhere(count: int) -> Iterator[str]:
    """Yield planes inside the west and the east; borders have no VLANs for ten thousand."""
    for number in range(count):
        spans, (second, third) = (NEAR_WEST, NEAR_EAST)[number % 2], divmod(number // 2, 250)
        ends = spans[number // 2 % len(spans)]
        lans = (f"10.{100 + second}.{third}.0/25", f"10.{100 + second}.{third}.128/25")
        yield _plane(f"else-{number:05d}", *zip(ends, lans, strict=True), rate="1Mbps")


def _on_fibre() -> Iterator[str]:
    """Yield a thousand services between the two ends of the fibre, a conference among them."""
    for number in range(ON_FIBRE - SLICES - 1):
        second, third = divmod(number, 250)
        lans = (f"10.{220 + second}.{third}.0/25", f"10.{220 + second}.{third}.128/25")
        yield _plane(f"on-{number:04d}", ("nanwan", lans[0]), ("buji", lans[1]))
    for number in range(SLICES):
        yield _slice(number)
    start = datetime.now(UTC)
    yield f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: council, tenant: bench}}
spec:
  protects: on-0000
  slo: {{availability: 99%}}   # a ring that is cut has no second way: 99.99 % cannot be promised then
  window: {{start: "{(start - timedelta(minutes=1)).isoformat()}", end: "{(start + timedelta(hours=9)).isoformat()}"}}
  conference:
    mcu: {{access: nanwan, address: 10.220.0.10}}
    parties:
      - {{name: p0, access: buji, address: 10.220.0.130}}
"""


def _plane(name: str, *sites: tuple[str, str], rate: str = "10Mbps") -> str:
    rows = "".join(f"    - {{site: {site}, lan: {lan}}}\n" for site, lan in sites)
    return f"""apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {{name: {name}, tenant: bench}}
spec:
  bandwidth: {rate}
  sites:
{rows}"""


def _slice(number: int) -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: pinned-{number:04d}, tenant: bench}}
spec:
  bandwidth: {SLICE_BPS // 10**6}Mbps
  isolation: nrp
  protection: none
  slo: {{latency: 10ms, availability: 99%}}
  endpoints:
    - {{site: nanwan, lan: 10.230.{number}.0/25}}
    - {{site: buji, lan: 10.230.{number}.128/25}}
"""
