"""How long it takes to follow every single failure of a large city: each cable, router and duct by itself."""

from __future__ import annotations

import json
import time

from controller.simulation.campaign import Campaign, scenarios
from controller.simulation.report import Fate
from controller.simulation.simulate import Simulation, Snapshot
from tests.bench.at_size import ROOT, SERVICES, AtSize, at_size, measured, of_nodes, spare_the_collector
from tests.bench.drawing import Series, draw
from tests.support.large import NOW

SIZES = (1_000, 2_500, 5_000, SERVICES)
NODES, ON_NODES = (125, 250, 500, 1000), 1_000


def measure() -> dict[str, float]:
    """Return the numbers, keyed as in bench.json."""
    return measured("tests.bench.simulation")


def _followed(size: AtSize) -> tuple[float, float, Campaign]:
    """Follow every single failure; return the seconds, those of the processor, and what was found."""
    spare_the_collector()
    started, worked = time.perf_counter(), time.process_time()
    campaign = Campaign(Simulation(Snapshot(size.city, size.standing, size.ledger, NOW)))
    for _ in campaign.run(scenarios(campaign.simulation.elements, ["all-single"], 1)):
        pass
    return time.perf_counter() - started, time.process_time() - worked, campaign


def main() -> None:
    numbers: dict[str, float] = {}
    print("  services   all single failures   of the processor   services looked at, per failure")
    by_count = []
    for count in SIZES:
        seconds, worked, campaign = _followed(at_size(count))
        by_count.append(worked)
        failures = len(campaign.outcomes)
        hurt = sum(sum(o.counts) for o in campaign.outcomes)
        print(f"  {count:>8,}   {seconds:>17.1f} s   {worked:>14.1f} s   {hurt / failures:.0f}")
        if count == SERVICES:
            numbers["simulate.all_single_city1000_s"] = seconds
            fates = {fate.value: sum(o.count(fate) for o in campaign.outcomes) for fate in Fate}
            print(f"  {failures:,} failures: {', '.join(f'{n:,} {fate}' for fate, n in fates.items())}")
    by_nodes = [_followed(of_nodes(n, ON_NODES))[1] for n in NODES]
    print(f"  {ON_NODES:,} services on {NODES} nodes: {', '.join(f'{s:.1f} s' for s in by_nodes)}")
    draw(ROOT / "build" / "simulation.svg", [
        Series("s for all single failures, by services (1,000 nodes)", SIZES, {"processor": by_count}),
        Series(f"s for all single failures, by nodes ({ON_NODES:,} services)", NODES, {"processor": by_nodes}),
    ])  # fmt: skip
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
