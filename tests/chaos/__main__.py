"""`python -m tests.chaos`: the campaign. Writes build/chaos.json; the exit code is 1 where anything was torn or lost.

python -m tests.chaos                          all of it: at least 500 kills and 2,000 faults
python -m tests.chaos --seed x --rounds 40-60  these rounds alone; numbers are added to those in the file
                                               with --resume
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.campaign import Campaign, Tally
from tests.chaos.world import world

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "build" / "chaos.json"
FRESH_CITY_EVERY = 20  # rounds
DELETE_ALL_EVERY = 5
KILLS, FAULTS = 500, 2000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Try to break the transactions.")
    parser.add_argument("--seed", default="onecity")
    parser.add_argument("--rounds", default="0-", help="FIRST-LAST; without LAST until there were enough faults")
    parser.add_argument("--length", type=float, default=4.0, help="seconds of torture in a round")
    parser.add_argument("--resume", action="store_true", help="add to the numbers in build/chaos.json")
    parser.add_argument("--keep", type=Path, help="keep the runs' directories (logs, store) here")
    options = parser.parse_args()
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # connections are meant to break
    logging.getLogger("ncclient").setLevel(logging.CRITICAL)
    first, _, last = options.rounds.partition("-")
    total = _read() if options.resume else Tally()
    number, end = int(first), int(last) if last else None
    started = time.monotonic()
    while end is not None or total.kills < KILLS or total.faults < FAULTS:
        if end is not None and number > end:
            break
        stop = number - number % FRESH_CITY_EVERY + FRESH_CITY_EVERY
        number = _one_city(options, number, min(stop, end + 1) if end is not None else stop, total)
    print(f"{time.monotonic() - started:.0f} s: {total.document()} {dict(total.kinds)}")
    return 0 if total.clean else 1


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
                _write(total)
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


def _read() -> Tally:
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    return Tally(**{k: v for k, v in known.items() if k in Tally().document()})


def _write(total: Tally) -> None:
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(total.document(), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
