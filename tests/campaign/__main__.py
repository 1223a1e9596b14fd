"""`python -m tests.campaign [SEED [COUNT]]`: break a city many times, judge, write build/campaign.json."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.campaign.campaign import fill, run
from tests.campaign.faults import draw
from tests.support.stage import stage

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 48
    with (
        tempfile.TemporaryDirectory(prefix="onecity-") as directory,
        stage("longgang", Path(directory)) as city,
    ):
        fill(city)
        verdict = run(city, draw(seed, count))
    numbers = verdict.numbers()
    target = ROOT / "build" / "campaign.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(numbers, indent=1) + "\n")
    print(json.dumps(numbers, indent=1))
    wrong = verdict.false_up + verdict.unrepaired + verdict.oscillations + verdict.overbooked + verdict.left_over
    for line in (*wrong, *verdict.wrong_roots):
        print(f"  {line}")
    return 1 if wrong or numbers["root_cause_right"] < 0.95 else 0


if __name__ == "__main__":
    sys.exit(main())
