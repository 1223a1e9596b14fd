"""`python -m tests.bench`: measure, print a table with the goals, write build/bench.json."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench import apply, recovery
from tests.bench.numbers import write
from tests.support.stage import stage

ROOT = Path(__file__).resolve().parents[2]
GOALS = {
    "apply.one.p50_ms": 50.0,
    "apply.one.p99_ms": 150.0,
    "apply.conference300_s": 1.0,
    "apply.plane1300_s": 3.0,
    "apply.plan_empty_ms": 300.0,
    "recover.open_change_s": 2.0,
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="onecity-bench-") as directory, stage("longgang", Path(directory)) as city:
        numbers = apply.measure(city, ROOT / "intents")
        numbers |= recovery.measure(city)
    write(ROOT / "build" / "bench.json", numbers)
    width = max(map(len, numbers))
    for key, value in sorted(numbers.items()):
        goal = GOALS.get(key)
        verdict = "" if goal is None else f"goal ≤ {goal:g}   {'met' if value <= goal else 'MISSED'}"
        print(f"{key:<{width}}  {value:>10.2f}   {verdict}".rstrip())


if __name__ == "__main__":
    main()
