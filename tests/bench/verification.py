"""What proofs cost at size, of a whole city from its rendered configuration and of one change; what it all weighs."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from controller.intent.model import ExclusiveSlice
from controller.rendering.desired import edits
from controller.rendering.render import render
from controller.verification.model import ConfigurationModel
from controller.verification.prove import prove
from tests.bench.at_size import ROOT, SERVICES, AtSize, at_size, measured, of_nodes, spare_the_collector
from tests.bench.drawing import Series, draw

SIZES = (1_000, 2_500, 5_000, SERVICES)
NODES, ON_NODES = (125, 250, 500, 1000), 1_000
REPEATS = 3
CHANGES = 20
PAGE_BYTES = 4096


def measure() -> dict[str, float]:
    """Return the numbers, keyed as in bench.json."""
    return measured("tests.bench.verification")


def _whole(size: AtSize) -> tuple[float, ConfigurationModel]:
    """Read and prove everything, from the trees alone; return the seconds and what was read."""
    started = time.perf_counter()
    model = ConfigurationModel.build(size.trees)
    proofs = prove(model, size.city, size.intents, size.intents)
    seconds = time.perf_counter() - started
    if proofs.broken:
        raise RuntimeError(f"the city at size does not prove: {proofs.broken[0]}")
    return seconds, model


def _one_change(size: AtSize, model: ConfigurationModel) -> float:
    """Have one slice after another configured anew, read and proven; return the median in milliseconds."""
    slices = [(sid, p) for sid, (s, p) in size.standing.items() if isinstance(s, ExclusiveSlice)][:: SERVICES // 40]
    found = []
    for sid, (service, placement) in [(sid, size.standing[sid]) for sid, _ in slices[:CHANGES]]:
        moved = {domain: dict(tree) for domain, tree in render(service, placement, size.city, size.standing).items()}
        changed = size.desired.with_changes({}, frozenset({sid}))
        there = edits(changed, changed.with_changes({sid: moved}))
        trees = {e.domain: size.desired.tree(e.domain) for e in there}
        started = time.perf_counter()
        after = model.updated(trees, there)
        proofs = prove(after, size.city, size.intents, {sid})
        found.append(time.perf_counter() - started)
        if proofs.broken:
            raise RuntimeError(f"one change at size does not prove: {proofs.broken[0]}")
    return statistics.median(found) * 1e3


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


def main() -> None:
    numbers: dict[str, float] = {}
    empty = _resident_mb()
    size = at_size()
    seconds, model = _whole(size)
    gc.collect()
    numbers["memory.city1000_10k_services_mb"] = _resident_mb()
    print(f"  10,000 services weigh {_resident_mb() - empty:.0f} MB, the program without them {empty:.0f} MB")
    spare_the_collector()
    seconds = min(seconds, *(_whole(size)[0] for _ in range(REPEATS)))
    numbers["verify.city1000_10k_services_s"] = seconds
    numbers["verify.one_change_ms"] = _one_change(size, model)
    print("  services   proven in full   one change")
    grown = [_both(at_size(count)) for count in SIZES[:-1]]
    grown.append((seconds, numbers["verify.one_change_ms"]))
    for count, (took, one) in zip(SIZES, grown, strict=True):
        print(f"  {count:>8,}   {took:>12.2f} s   {one:>7.2f} ms")
    del size, model
    by_nodes = [_both(of_nodes(n, ON_NODES)) for n in NODES]
    for nodes, (took, one) in zip(NODES, by_nodes, strict=True):
        print(f"  {ON_NODES:>8,} on {nodes:>5,} nodes   {took:>8.2f} s   {one:>7.2f} ms")
    draw(ROOT / "build" / "verification.svg", [
        Series("ms, by services (1,000 nodes)", SIZES, _curves(grown)),
        Series(f"ms, by nodes ({ON_NODES:,} services)", NODES, _curves(by_nodes)),
    ])  # fmt: skip
    print(json.dumps(numbers))


def _both(part: AtSize) -> tuple[float, float]:
    """Return what all costs, in seconds, and one change, in milliseconds."""
    model = _whole(part)[1]
    return min(_whole(part)[0] for _ in range(REPEATS)), _one_change(part, model)


def _curves(found: Sequence[tuple[float, float]]) -> dict[str, list[float]]:
    return {"in full": [1e3 * s for s, _ in found], "one change": [ms for _, ms in found]}


if __name__ == "__main__":
    main()
