"""`python -m tests.chaos`: the campaign. Writes build/chaos.json; the exit code is 1 where anything was torn or lost.

python -m tests.chaos                          all of it: at least 500 kills and 2,000 faults, two cities at a time
python -m tests.chaos --seed x --rounds 40-60  these rounds alone; numbers are added to those in the file
                                               with --resume
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tests.chaos.campaign import Campaign, Tally
from tests.chaos.world import world

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "build" / "chaos.json"
CITY_ROUNDS = 10  # in one city, then a fresh one
DELETE_ALL_EVERY = 5
KILLS, FAULTS = 500, 2000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Try to break the transactions.")
    parser.add_argument("--seed", default="onecity")
    parser.add_argument("--rounds", default="0-", help="FIRST-LAST; without LAST until there were enough faults")
    parser.add_argument("--length", type=float, default=4.0, help="seconds of torture in a round")
    parser.add_argument("--jobs", type=int, default=2, help="cities that are tortured at the same time")
    parser.add_argument("--resume", action="store_true", help="add to the numbers in build/chaos.json")
    parser.add_argument("--keep", type=Path, help="keep the runs' directories (logs, store) here")
    parser.add_argument("--result", type=Path, default=RESULT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # connections are meant to break
    logging.getLogger("ncclient").setLevel(logging.CRITICAL)
    first, _, last = options.rounds.partition("-")
    total = _read(options.result) if options.resume else Tally()
    started = time.monotonic()
    if options.jobs > 1:
        _in_parallel(options, int(first), int(last) if last else None, total)
    else:
        number, end = int(first), int(last)
        while number <= end:
            number = _one_city(options, number, end + 1, total)
    print(f"{time.monotonic() - started:.0f} s: {json.dumps(total.document())} {dict(total.kinds)}")
    return 0 if total.clean else 1


def _in_parallel(options: argparse.Namespace, first: int, last: int | None, total: Tally) -> None:
    """Give each city a process of its own, `jobs` at a time, until the rounds are over or the faults enough."""
    numbers, adding = itertools.count(first, CITY_ROUNDS), threading.Lock()

    def work() -> None:
        while True:
            with adding:
                if last is None and total.kills >= KILLS and total.faults >= FAULTS:
                    return
                begin = next(numbers)
            if last is not None and begin > last:
                return
            end = begin + CITY_ROUNDS - 1 if last is None else min(last, begin + CITY_ROUNDS - 1)
            part = _in_a_process(options, begin, end)
            with adding:
                _add(total, part)
                _write(total, options.result)

    workers = [threading.Thread(target=work, name=f"job {n}") for n in range(options.jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _in_a_process(options: argparse.Namespace, begin: int, end: int) -> Tally:
    """Torture one city in a process of its own; one that ends without numbers counts as stuck."""
    with tempfile.TemporaryDirectory(prefix="onecity-chaos-") as directory:
        result = Path(directory) / "tally.json"
        line = [sys.executable, "-m", "tests.chaos", "--jobs", "1", "--rounds", f"{begin}-{end}"]
        line += ["--seed", options.seed, "--length", str(options.length), "--result", str(result)]
        line += ["--keep", str(options.keep)] if options.keep else []
        code = subprocess.run(line, cwd=ROOT).returncode
        part = _read(result)
        if code and part.clean:
            print(f"rounds {begin}-{end} ended with {code}", flush=True)
            part.stuck += 1
        return part


def _one_city(options: argparse.Namespace, number: int, stop: int, total: Tally) -> int:
    """Run rounds over one city; a failed verdict ends the city, for what follows would only repeat it."""
    with tempfile.TemporaryDirectory(prefix="onecity-chaos-") as temporary:
        directory = options.keep / f"city-{number}" if options.keep else Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        with world(directory) as torn_city:
            campaign = Campaign(torn_city, f"{options.seed}-{number}")
            try:
                number = _rounds(options, campaign, number, stop)
            finally:  # also when somebody has seen enough
                _add(total, campaign.tally)
                _write(total, options.result)
    return number


def _rounds(options: argparse.Namespace, campaign: Campaign, number: int, stop: int) -> int:
    while number < stop:
        began = time.monotonic()
        delete_all = number % DELETE_ALL_EVERY == DELETE_ALL_EVERY - 1
        verdict = campaign.round(number, length_s=options.length, delete_all=delete_all)
        print(f"round {number}: {time.monotonic() - began:.1f} s {campaign.tally.document()}", flush=True)
        number += 1
        if not verdict:
            print("\n".join(f"  {line}" for line in verdict.lines()), flush=True)
            break
    return number


def _add(total: Tally, part: Tally) -> None:
    for name, value in part.document().items():
        setattr(total, name, getattr(total, name) + value)
    total.kinds += part.kinds


def _read(path: Path) -> Tally:
    known = json.loads(path.read_text()) if path.exists() else {}
    tally = Tally(**{k: v for k, v in known.items() if k in Tally().document()})
    tally.kinds = Counter(known.get("kinds", {}))
    return tally


def _write(total: Tally, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {**total.document(), "kinds": dict(sorted(total.kinds.items()))}
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
