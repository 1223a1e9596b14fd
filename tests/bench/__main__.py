"""`python -m tests.bench`: measure, print a table with the goals, write build/bench.json."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bench import (
    apply,
    assured,
    drift,
    planning,
    recovery,
    repair,
    simulation,
    sustained,
    telemetry,
    verification,
)
from tests.bench.numbers import write
from tests.support.stage import stage

ROOT = Path(__file__).resolve().parents[2]
GOALS = {
    "apply.one.p50_ms": 50.0,
    "apply.one.p99_ms": 150.0,
    "apply.conference300_s": 1.0,
    "apply.plane1300_s": 3.0,
    "apply.plan_empty_ms": 300.0,
    "apply.sustained_p99_ms": 500.0,
    "recover.open_change_s": 2.0,
    "drift.detect_s": 5.0,
    "drift.full_compare_10k_services_s": 10.0,
    "repair.first_vip_ms": 100.0,
    "repair.all1000_s": 1.0,
    "repair.slow_loop_s": 5.0,
    "vip.late_party_ms": 500.0,
    "telemetry.lag_p99_ms": 1000.0,
    "verify.city1000_10k_services_s": 2.0,
    "verify.one_change_ms": 20.0,
    "simulate.all_single_city1000_s": 30.0,
    "memory.city1000_10k_services_mb": 500.0,
    "plan.one.p99_ms": 5.0,
    "plan.batch5000_ms": 365.0,
}
AT_LEAST = {
    "apply.sustained_per_s": 200.0,
    "telemetry.samples_per_s": 50_000.0,
    "plan.brain.services_per_s": 10_000.0,
    "plan.germany50_protected.services_per_s": 3000.0,
    "plan.city1000.services_per_s": 3000.0,
    "plan.city1000_protected.services_per_s": 3000.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--sustained", type=float, default=sustained.SECONDS, help="seconds of sustained load")
    parser.add_argument("--only", choices=("repair",), help="measure repairs alone: 10 minutes")
    chosen = parser.parse_args()
    numbers = _repairs() if chosen.only else _everything(chosen.sustained)
    write(ROOT / "build" / "bench.json", numbers)
    width = max(map(len, numbers))
    for key, value in sorted(numbers.items()):
        print(f"{key:<{width}}  {value:>10.2f}   {_verdict(key, value)}".rstrip())


def _repairs() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="onecity-bench-") as directory, stage("longgang", Path(directory)) as city:
        return repair.measure(city)


def _everything(seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="onecity-bench-") as directory, stage("longgang", Path(directory)) as city:
        numbers = apply.measure(city, ROOT / "intents", seconds)
        numbers |= recovery.measure(city)
    with tempfile.TemporaryDirectory(prefix="onecity-bench-") as directory, stage("longgang", Path(directory)) as city:
        numbers |= assured.measure(city)
        numbers |= repair.measure(city)
        numbers |= telemetry.measure(city)
    with tempfile.TemporaryDirectory(prefix="onecity-bench-") as directory:
        numbers |= drift.measure(Path(directory))
    numbers |= verification.measure()
    numbers |= simulation.measure()
    return numbers | planning.measure(ROOT / "build")


def _verdict(key: str, value: float) -> str:
    if key in AT_LEAST:
        return f"goal ≥ {AT_LEAST[key]:g}   {'met' if value >= AT_LEAST[key] else 'MISSED'}"
    return f"goal ≤ {GOALS[key]:g}   {'met' if value <= GOALS[key] else 'MISSED'}" if key in GOALS else ""


if __name__ == "__main__":
    main()
