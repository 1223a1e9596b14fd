"""How long it takes to follow every single failure of a large city: each cable, router and duct by itself."""

from __future__ import annotations

import json
import time

from controller.simulation.campaign import Campaign, scenarios
from controller.simulation.report import Fate
from controller.simulation.simulate import Simulation, Snapshot
from tests.bench.at_size import SERVICES, at_size, measured, spare_the_collector
from tests.support.large import NOW

SIZES = (1_000, 2_500, 5_000, SERVICES)


def measure() -> dict[str, float]:
    """Return the numbers, keyed as in bench.json."""
    return measured("tests.bench.simulation")


def _followed(count: int) -> tuple[float, Campaign]:
    """Follow every single failure with so many services standing; return the seconds and what was found."""
    size = at_size(count)
    spare_the_collector()
    started = time.perf_counter()
    campaign = Campaign(Simulation(Snapshot(size.city, size.standing, size.ledger, NOW)))
    for _ in campaign.run(scenarios(campaign.simulation.elements, ["all-single"], 1)):
        pass
    return time.perf_counter() - started, campaign


def main() -> None:
    numbers: dict[str, float] = {}
    print("  services   all single failures   services looked at, per failure")
    for count in SIZES:
        seconds, campaign = _followed(count)
        failures = len(campaign.outcomes)
        hurt = sum(sum(o.counts) for o in campaign.outcomes)
        print(f"  {count:>8,}   {seconds:>17.1f} s   {hurt / failures:.0f}")
        if count == SERVICES:
            numbers["simulate.all_single_city1000_s"] = seconds
            fates = {fate.value: sum(o.count(fate) for o in campaign.outcomes) for fate in Fate}
            print(f"  {failures:,} failures: {', '.join(f'{n:,} {fate}' for fate, n in fates.items())}")
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
