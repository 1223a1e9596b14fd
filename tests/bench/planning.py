"""How fast the planner decides: admission and path on real and made-up networks, and one service through all of it.

The engine's numbers are those of `controller.planning.engine`, which `place` routes its batches with; what each run
holds is added up again from its answers and compared with the capacities. How the cost grows is drawn to
build/planning.svg.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controller.intent.model import ExclusiveSlice, Isolation, Protection, Slo
from controller.network.ledger import Ledger
from controller.planning.engine.batch import route
from controller.planning.engine.demands import Answers, Demands, Fate
from controller.planning.engine.network import Apart, Network
from controller.planning.engine.room import Room
from controller.planning.place import PlanOutcome, place
from tests.bench.drawing import Series, draw
from tests.bench.numbers import percentile
from tests.support.intents import NOW, slice_between
from tests.support.networks import Sample, city, sndlib, with_ducts

RATES = np.array([10, 50, 100, 500, 1000]) * 10**6
RISK_DISJOINT = int(Apart.LINKS | Apart.RISKS)
REPEATS = 3
STANDING = 2000  # services on brain while one more is placed


@dataclass(frozen=True)
class Case:
    """Demands on a network whose links all have the same capacity."""

    name: str
    net: Network
    demands: Demands
    capacity_bps: int
    both_ways: bool = True

    def run(self, repeats: int = REPEATS) -> tuple[float, Answers]:
        """Return the best of a few runs in seconds, and the answers, which are proven to over-book nothing."""
        best = np.inf
        for _ in range(repeats):
            room = Room.of(self.net, np.full(self.net.links, self.capacity_bps), both_ways=self.both_ways)
            gc.collect()
            started = time.perf_counter()
            answers = route(room, self.demands)
            best = min(best, time.perf_counter() - started)
        self._check(answers, room)
        return float(best), answers

    def _check(self, answers: Answers, room: Room) -> None:
        held = np.zeros(self.net.links, dtype=np.int64)
        for ways in (answers.working, answers.standby):
            np.add.at(held, ways.values, self.demands.rate_bps[ways.rows()])
        if self.both_ways:
            held += held[self.net.reverse]
        if (held > self.capacity_bps).any() or (room.free[0] != self.capacity_bps - held).any():
            raise RuntimeError(f"{self.name}: a link is over-booked, or holds what nobody was given")
        late = np.bincount(answers.working.rows(), self.net.delay_s[answers.working.values], len(self.demands))
        if (late[answers.placed] > self.demands.budget_s[answers.placed] + 1e-9).any():
            raise RuntimeError(f"{self.name}: a way is later than was asked")

    def report(self) -> float:
        """Return the services placed per second, and print what became of all."""
        seconds, answers = self.run()
        placed = int(answers.placed.sum())
        asked, given = int(self.demands.rate_bps.sum()), int(self.demands.rate_bps[answers.placed].sum())
        fates = {f.name.lower(): int((answers.fate == f).sum()) for f in Fate if (answers.fate == f).any()}
        print(f"  {self.name}: {seconds:.3f} s, {placed / len(self.demands):.1%} placed ({given / asked:.1%} of the")
        print(f"    bandwidth), {', '.join(f'{n} {count:,}' for n, count in fates.items())}")
        return placed / seconds


def measure(build: Path) -> dict[str, float]:
    """Return the numbers, keyed as in bench.json; the plot goes to `build`."""
    brain, germany, big = sndlib("brain"), with_ducts(sndlib("germany50"), 20), city()
    numbers = {
        "plan.brain.services_per_s": _brain(brain).report(),
        "plan.newyork.services_per_s": _random("newyork", sndlib("newyork"), 10_000, 2.0, 800).report(),
        "plan.germany50_protected.services_per_s": _random(
            "germany50, protected", germany, 10_000, 4.0, 600, RISK_DISJOINT
        ).report(),
        "plan.city1000.services_per_s": _random("city1000", big, 10_000, 1.5, 80).report(),
        "plan.city1000_protected.services_per_s": _random(
            "city1000, protected", big, 10_000, 3.0, 300, RISK_DISJOINT
        ).report(),
    }
    numbers["plan.batch5000_ms"] = _brain(brain, 5000).run()[0] * 1e3
    numbers |= _whole(brain)
    _grow(build / "planning.svg")
    return numbers


def _brain(sample: Sample, most: int | None = None) -> Case:
    """SNDlib's demands, each direction by itself, so that the busiest cable is asked for a tenth more than it has."""
    net = sample.network()
    src, dst, rate = (np.array(column) for column in zip(*sample.demands, strict=True))
    demands = _bounded(net, src, dst, np.maximum(1, rate.astype(np.int64)), 1.5)
    plenty = Room.of(net, np.full(net.links, 1 << 60), both_ways=False)
    route(plenty, demands)
    capacity = int(((1 << 60) - plenty.free).max() / 1.1)
    return Case("brain", net, demands.take(np.arange(len(demands))[:most]), capacity, both_ways=False)


def _random(name: str, sample: Sample, count: int, slack: float, gbps: int, apart: int = 0) -> Case:
    rng = np.random.default_rng(7)
    net = sample.network()
    src = rng.integers(0, net.nodes, count)
    dst = (src + rng.integers(1, net.nodes, count)) % net.nodes
    return Case(name, net, _bounded(net, src, dst, rng.choice(RATES, count), slack, apart), gbps * 10**9)


def _bounded(net: Network, src: np.ndarray, dst: np.ndarray, rate: np.ndarray, slack: float, apart: int = 0) -> Demands:
    """Bound everybody's latency by so many times the quickest there is."""
    quickest = net.tree(np.arange(net.nodes), net.everything())[0]
    return Demands.of(src, dst, rate, budget_s=quickest[src, dst] * slack + 1e-6, apart=apart)


def _whole(sample: Sample) -> dict[str, float]:
    """Slices through the whole planner: addresses, VLANs, tunnels, promises and all."""
    where = sample.map(10**12)
    ledger = Ledger(where)
    slices = [_slice(i, *d) for i, d in enumerate(sample.demands)]
    outcome, seconds = _timed(lambda: place(where, ledger, slices[:5000], {}, NOW))
    if outcome.refusals:
        raise RuntimeError(f"refused: {outcome.refusals[0]}")
    numbers = {"plan.place5000_s": seconds}
    outcome = place(where, ledger, slices[:STANDING], {}, NOW)
    standing: dict = {s.metadata.service: (s, outcome.placements[s.metadata.service]) for s in slices[:STANDING]}
    one = [_timed(lambda s=s: place(where, outcome.ledger, [s], standing, NOW))[1] for s in slices[STANDING:][:300]]
    return numbers | {"plan.one.p50_ms": percentile(one, 0.5), "plan.one.p99_ms": percentile(one, 0.99)}


def _slice(number: int, a: int, z: int, rate: float) -> ExclusiveSlice:
    return slice_between(
        f"s{number:05d}", f"s{a:04d}", f"s{z:04d}", max(10**6, int(rate)), isolation=Isolation.NRP,
        protection=Protection.NONE, slo=Slo(latency_s=0.02, availability=0.9),
    )  # fmt: skip


def _timed(run: Callable[[], PlanOutcome]) -> tuple[PlanOutcome, float]:
    started = time.perf_counter()
    result = run()
    return result, time.perf_counter() - started


def _grow(path: Path) -> None:
    """Draw how the time for a service grows with the nodes and with the services."""
    nodes = (125, 250, 500, 1000)
    counts = (1000, 2000, 5000, 10_000)
    by_nodes = {
        label: [2000 / _random(label, city(n, 3 * n, 3 * n // 10), 2000, 3.0, 10**4, apart).run(1)[0] for n in nodes]
        for label, apart in (("one way", 0), ("protected", RISK_DISJOINT))
    }
    by_count = {
        label: [n / _random(label, city(), n, 3.0, 10**4, apart).run(1)[0] for n in counts]
        for label, apart in (("one way", 0), ("protected", RISK_DISJOINT))
    }
    draw(path, [
        Series("services a second, by nodes (2,000 services)", nodes, by_nodes),
        Series("services a second, by services (1,000 nodes)", counts, by_count),
    ])  # fmt: skip
