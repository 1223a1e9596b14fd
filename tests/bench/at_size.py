"""A city of 1,000 routers and 3,000 links with 10,000 services, for whatever is measured at size.

Placing them takes minutes, so they are kept beside the numbers until planning or the city changes. What is measured
runs in a process of its own, which holds nothing else.
"""

from __future__ import annotations

import gc
import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.intent.model import Service, ServiceId
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.placement import Placement
from controller.rendering.desired import Desired
from controller.rendering.render import render
from controller.rendering.tree import Tree
from tests.support import large, networks

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "bench-city"
SERVICES = 10_000
MEASURE_S = 1800.0


@dataclass(frozen=True)
class AtSize:
    """What stands, as a daemon would hold it."""

    city: CityMap
    standing: Mapping[ServiceId, tuple[Service, Placement]]
    ledger: Ledger
    desired: Desired

    @property
    def trees(self) -> dict[str, Tree]:
        return {domain: self.desired.tree(domain) for domain in self.desired.domains}

    @property
    def intents(self) -> dict[ServiceId, Service]:
        return {sid: service for sid, (service, _) in self.standing.items()}


def at_size(count: int = SERVICES) -> AtSize:
    """Return the city with the first `count` services, rendered and merged."""
    city, every = _placed()
    return _standing(city, dict(list(every.items())[:count]))


def of_nodes(nodes: int, count: int) -> AtSize:
    """Return a city of so many routers, three times as many cables, with so many services; placed anew."""
    cables = networks.city(nodes, 3 * nodes, 3 * nodes // 10)
    city = large.large_city(cables)
    return _standing(city, large.grown(city, cables, count))


def _standing(city: CityMap, standing: Mapping[ServiceId, tuple[Service, Placement]]) -> AtSize:
    ledger = Ledger(city)
    for _, placement in standing.values():
        ledger.add(placement)
    fragments = {sid: render(*pair, city, standing) for sid, pair in standing.items()}
    return AtSize(city, standing, ledger, Desired().with_changes(fragments))


def spare_the_collector() -> None:
    """As the daemon does: what stands is left out of garbage collection, and the rest is looked at less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _placed() -> tuple[CityMap, dict[ServiceId, tuple[Service, Placement]]]:
    path = KEPT / f"{_digest()}.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())  # type: ignore[no-any-return]
    print(f"  placing {SERVICES:,} services: some minutes, once", flush=True)
    cables = networks.city()
    city = large.large_city(cables)
    placed = (city, large.grown(city, cables, SERVICES))
    KEPT.mkdir(parents=True, exist_ok=True)
    for old in KEPT.glob("*.pickle"):
        old.unlink()
    path.write_bytes(pickle.dumps(placed, pickle.HIGHEST_PROTOCOL))
    return placed


def _digest() -> str:
    """Name the sources that decide what stands where."""
    rooms = [*(ROOT / "controller" / "planning").rglob("*.py"), *(ROOT / "controller" / "network").rglob("*.py")]
    rooms += [Path(large.__file__), Path(networks.__file__), ROOT / "controller" / "intent" / "model.py"]
    return hashlib.sha256(b"".join(p.read_bytes() for p in sorted(rooms))).hexdigest()[:16]


def measured(module: str) -> dict[str, float]:
    """Run a module of this package in a process of its own; its last line are its numbers."""
    done = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=MEASURE_S
    )
    *words, last = done.stdout.strip().splitlines()
    for line in words:
        print(line)
    numbers: dict[str, float] = json.loads(last)
    return numbers
