"""The parties of an assured conference as a person reads them: what each gets now, what each got in the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from onecity.v1 import status_pb2 as pb

from controller.cli.quantities import NOTHING, count, ratio, seconds
from controller.cli.screen import Screen, harmless

MOST_SHOWN = 5
MOST_PAIRS = 10  # of ends, of what is promised
COLOURS = {"ok": "green", "violated": "red", "down": "red", "unknown": "yellow"}
_WORST_FIRST = ("down", "violated", "unknown", "ok")


def tally(parties: Sequence[pb.PartyMeasured]) -> str:
    """Return how many are in which state: "300 parties, 2 down, 298 ok"."""
    counts = Counter(one.health for one in parties)
    named = "parties" if len(parties) != 1 else "party"
    return ", ".join([f"{len(parties):,} {named}", *(f"{counts[h]:,} {h}" for h in _WORST_FIRST if counts[h])])


def nearest(promises: Sequence[Any], *, every: bool) -> tuple[Sequence[Any], str]:
    """Return promises between ends, the nearest to their limits where not every one is asked; and how to call them."""
    if every or len(promises) <= MOST_PAIRS:
        return promises, "promised between ends"

    def strained(one: Any) -> tuple[float, float, float]:
        share = one.delay_s / one.budget_s if one.HasField("budget_s") and one.budget_s else 0.0
        return -share, one.availability, -one.delay_s

    title = f"promised between ends, the {MOST_PAIRS} nearest to their limits of {len(promises):,} (all with --parties)"
    return sorted(promises, key=strained)[:MOST_PAIRS], title


def now_rows(screen: Screen, parties: Sequence[pb.PartyMeasured], *, every: bool) -> list[list[str]]:
    """Return a table of how parties are now, the worst first."""
    rows = [["party", "access", "address", "", "delay", "jitter", "loss"]]
    for one in sorted(parties, key=lambda p: (_WORST_FIRST.index(p.health), p.name))[: _most(every)]:
        values = [_given(one, name, written) for name, written in _NOW]
        who = [harmless(one.name), harmless(one.access), one.address]
        rows.append([*who, screen.paint(one.health, COLOURS[one.health]), *values])
    return rows


def had_rows(parties: Sequence[pb.PartyAttained], *, every: bool) -> list[list[str]]:
    """Return a table of what parties had, those first that had least of what was promised."""
    rows = [["party", "as promised", "violated", "down", "not seen", "delay", "worst", "jitter", "loss", "worst"]]
    for one in sorted(parties, key=lambda p: (-(p.violated_s + p.down_s), p.name))[: _most(every)]:
        measured_s = one.ok_s + one.violated_s + one.down_s
        share = f"{one.ok_s / measured_s:.2%}" if measured_s else NOTHING
        times = [_time(one.violated_s), _time(one.down_s), _time(one.unknown_s)]
        rows.append([harmless(one.name), share, *times, *(_given(one, name, written) for name, written in _HAD)])
    return rows


def _most(every: bool) -> int | None:
    return None if every else MOST_SHOWN


def record_line(record: pb.AssuranceRecord) -> str:
    """Return what became of an assurance in one line."""
    when = "over" if record.over else "open"
    fared = "as promised throughout"
    if record.outages:
        fared = f"down or outside its limits {count(record.outages, 'time')}, {seconds(record.broken_s)} together"
    return f"  window {when}; {fared}; {count(record.repairs, 'repair')}"


_Columns = tuple[tuple[str, Callable[[float], str]], ...]
_NOW: _Columns = (("delay_s", seconds), ("jitter_s", seconds), ("loss_ratio", ratio))
_HAD: _Columns = (
    ("delay_mean_s", seconds),
    ("delay_worst_s", seconds),
    ("jitter_worst_s", seconds),
    ("loss_mean", ratio),
    ("loss_worst", ratio),
)


def _given(one: pb.PartyMeasured | pb.PartyAttained, name: str, written: Callable[[float], str]) -> str:
    return written(getattr(one, name)) if one.HasField(name) else NOTHING


def _time(value: float) -> str:
    return seconds(value) if value else "–"
