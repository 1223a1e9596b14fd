"""Services as a person reads them: where they stand, and what is promised beside what is measured."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from onecity.v1 import status_pb2 as pb

from controller.cli import parties
from controller.cli.plain import enum_word
from controller.cli.plans import path_rows, promise_rows, resource_rows, wrapped
from controller.cli.quantities import NOTHING, count, percent, rate, ratio, seconds
from controller.cli.screen import Screen, columns, harmless

PHASE_COLOURS = {pb.PHASE_ACTIVE: "green", pb.PHASE_FAILED: "red", pb.PHASE_EXPIRED: "faint"}
MOST_PARTS = 20
UNKNOWN_FOR = {"NoMeasurement": "no measurement", "Settling": "settling"}  # reasons of conditions, the worse first
STALE_S = 5.0  # measured longer ago says nothing about now
MOST_PATHS = 40


def show_services(screen: Screen, services: Sequence[pb.ServiceStatus]) -> None:
    """Write the list."""
    if not services:
        screen.line("No services.")
        return
    head = ("service", "kind", "phase", "health", "delay / slo", "loss / slo", "throughput / slo", "summary")
    screen.table(head, [_row(screen, service) for service in services])


def _row(screen: Screen, service: pb.ServiceStatus) -> list[str]:
    slo, measured = service.slo, service.measured
    return [
        service.service,
        service.kind,
        phase(screen, service),
        health(screen, service),
        f"{_now(measured, 'delay', seconds)} / {_promised(slo, 'delay_s', seconds)}",
        f"{_now(measured, 'loss', ratio)} / {_promised(slo, 'loss_ratio', ratio)}",
        f"{_now(measured, 'throughput', rate)} / {_promised(slo, 'rate_bps', rate)}",
        harmless(service.summary),
    ]


def phase(screen: Screen, service: pb.ServiceStatus) -> str:
    word = (enum_word(pb.Phase.DESCRIPTOR, service.phase) or "unknown").capitalize()
    return screen.paint(word, PHASE_COLOURS.get(service.phase, ""))


def health(screen: Screen, service: pb.ServiceStatus) -> str:
    """Compute health from conditions: what does not hold, what nobody can say, or ok. InDoubt is bad when it holds.

    What is not in the network by its intent (its window is to come or over) is neither well nor ill, unless it would
    not hold when its window opens.
    """
    unready = any(c.type == "Ready" and c.status == pb.CONDITION_STATUS_FALSE for c in service.conditions)
    if service.phase == pb.PHASE_SCHEDULED and unready:
        return screen.paint("not Ready", "red")
    if service.phase in (pb.PHASE_SCHEDULED, pb.PHASE_EXPIRED):
        return screen.paint((enum_word(pb.Phase.DESCRIPTOR, service.phase) or ""), "faint")
    steady = next((c.reason for c in service.conditions if c.type == "Health"), "")
    bad = [c.type for c in service.conditions if c.status == _bad_status(c.type) and c.type != "Health"]
    if bad:
        return (
            screen.paint("not " + ", not ".join(t for t in bad if t != "InDoubt"), "red")
            if bad != ["InDoubt"]
            else (screen.paint("in doubt", "red"))
        )
    unknown = [c.type for c in service.conditions if c.status == pb.CONDITION_STATUS_UNKNOWN]
    if unknown or not service.conditions:
        reasons = {c.reason for c in service.conditions}
        word = next((w for r, w in UNKNOWN_FOR.items() if r in reasons), "unknown")
        return screen.paint(word, "yellow")
    if steady in ("AtRisk", "Violated", "Down"):  # well again, but not for long enough to be called so
        return screen.paint("at risk" if steady == "AtRisk" else "recovering", "yellow")
    return screen.paint("ok", "green")


def unwell(services: Sequence[pb.ServiceStatus]) -> list[pb.ServiceStatus]:
    """Return those that are not well, the worst first: what does not hold, what nobody can say, what may soon not."""
    plain = Screen(io.StringIO())
    words = {s.service: health(plain, s) for s in services}
    ill = [s for s in services if words[s.service] not in ("ok", "scheduled", "expired")]
    return sorted(ill, key=lambda s: (_urgency(s, words[s.service]), s.service))


def _urgency(service: pb.ServiceStatus, word: str) -> int:
    if word.startswith(("not ", "in doubt")):
        broken = any(c.type == "WithinSlo" and c.status == pb.CONDITION_STATUS_FALSE for c in service.conditions)
        return 0 if broken else 1
    order = ("no measurement", "unknown", "at risk", "recovering", "settling")
    return 2 + (order.index(word) if word in order else 0)


def _bad_status(kind: str) -> int:
    return int(pb.CONDITION_STATUS_TRUE if kind == "InDoubt" else pb.CONDITION_STATUS_FALSE)


def show_description(
    screen: Screen, found: pb.ServiceDescription, budgets: Sequence[str] = (), *, every: bool = False
) -> None:
    """Write all that is known of one service; of parties and pairs of ends only the worst, unless `every` is asked.

    budgets: what is left of its error budget, a line for each period.
    """
    _identity(screen, found)
    _conditions(screen, found.status)
    _objectives(screen, found.status)
    for line in budgets:
        screen.line(f"  {line}")
    rows = path_rows(found.paths, every=True)[:MOST_PATHS]
    _section(screen, "path over both layers", wrapped(rows, screen, indent="  "))
    if len(found.paths) > MOST_PATHS:
        screen.line(screen.paint(f"  … {len(found.paths) - MOST_PATHS:,} more with -o yaml", "faint"))
    promised, title = parties.nearest(found.promises, every=every)
    _section(screen, title, columns(promise_rows(promised), indent="  "))
    listed = ["  " + row.removeprefix("takes").strip() for row in resource_rows(found.resources, every=True)]
    _section(screen, "resources", listed[:MOST_PATHS])
    if len(listed) > MOST_PATHS:
        screen.line(screen.paint(f"  … {len(listed) - MOST_PATHS:,} more with -o yaml", "faint"))
    _parts(screen, found)
    _parties(screen, found, every=every)
    _section(screen, "notes", ["  " + harmless(note) for note in found.notes])


def _identity(screen: Screen, found: pb.ServiceDescription) -> None:
    status = found.status
    isolation = f", {found.isolation}" if found.isolation else ""
    screen.line(
        f"{screen.paint(status.service, 'bold')}  {status.kind}{isolation}  {harmless(status.summary)}".rstrip()
    )
    behind = (
        "" if status.observed_generation == status.generation else f" (network carries {status.observed_generation})"
    )
    screen.line(f"  phase       {phase(screen, status)}   health {health(screen, status)}")
    screen.line(f"  generation  {status.generation}{behind}   revision {status.revision}   change {found.last_change}")
    if status.labels:
        screen.line("  labels      " + ", ".join(f"{k}={v}" for k, v in sorted(status.labels.items())))
    if status.HasField("window_start") or status.HasField("window_end"):
        start = local_time(status.window_start) if status.HasField("window_start") else "now"
        screen.line(f"  window      {start} – {local_time(status.window_end) if status.HasField('window_end') else ''}")


def _conditions(screen: Screen, status: pb.ServiceStatus) -> None:
    rows = []
    for condition in status.conditions:
        word = (enum_word(pb.ConditionStatus.DESCRIPTOR, condition.status) or "").capitalize()
        since = f"since {local_time(condition.since)}" if condition.HasField("since") else ""
        rows.append([condition.type, word, condition.reason, harmless(condition.message), since])
    _section(screen, "conditions", columns(rows, indent="  "))


def _objectives(screen: Screen, status: pb.ServiceStatus) -> None:
    slo, measured = status.slo, status.measured
    rows = [["", "promised", "measured", "p50", "p99", "age", ""]]
    for name, field, promised, written in (
        ("delay", "delay", "delay_s", seconds),
        ("jitter", "jitter", "jitter_s", seconds),
        ("loss", "loss", "loss_ratio", ratio),
        ("throughput", "throughput", "rate_bps", rate),
    ):
        row = [name, _promised(slo, promised, written)]
        if measured.HasField(field):
            now = getattr(measured, field)
            row += [
                written(now.value),
                written(now.p50),
                written(now.p99),
                seconds(now.age_s),
                _verdict(screen, slo, promised, now),
            ]
        else:
            row += [NOTHING] * 4
        rows.append(row)
    if slo.HasField("availability"):
        rows.append(["availability", percent(slo.availability)])
    _section(screen, "objectives, one way", columns(rows, indent="  "))
    carriers = count(measured.subjects, "carrier")
    silent = f"; no measurement from {_named(measured.silent)}" if measured.silent else ""
    down = f"; down: {_named(measured.down)}" if measured.down else ""
    screen.line(f"  the worst over {carriers}{silent}{down}")


def _verdict(screen: Screen, slo: pb.Slo, promised: str, now: pb.Indicator) -> str:
    """Throughput follows what is offered, so it is shown and not judged here; nor is what was measured long ago."""
    if promised == "rate_bps" or not slo.HasField(promised):
        return ""
    if now.age_s > STALE_S:
        return screen.paint("stale", "yellow")
    kept = now.value <= getattr(slo, promised)
    return screen.paint("within", "green") if kept else screen.paint("beyond", "red")


def _parts(screen: Screen, found: pb.ServiceDescription) -> None:
    if not found.parts:
        return
    rows = [["carrier", "delay", "jitter", "loss", "throughput"]]
    for part in found.parts[:MOST_PARTS]:
        m = part.measured
        cells = [
            _now(m, "delay", seconds),
            _now(m, "jitter", seconds),
            _now(m, "loss", ratio),
            _now(m, "throughput", rate),
        ]
        rows.append([harmless(part.subject), *cells])
    _section(screen, "measured", columns(rows, indent="  "))
    if len(found.parts) > MOST_PARTS:
        screen.line(screen.paint(f"  … {len(found.parts) - MOST_PARTS:,} more with -o yaml", "faint"))


def _parties(screen: Screen, found: pb.ServiceDescription, *, every: bool) -> None:
    now, had = list(found.parties), list(found.record.parties)
    today = f"parties now, the worse of both directions: {parties.tally(now)}"
    words = "parties in the window" if found.record.over else "parties in the window so far"
    for title, count_of, rows in (
        (today, len(now), parties.now_rows(screen, now, every=every)),
        (words, len(had), parties.had_rows(had, every=every)),
    ):
        if count_of:
            _section(screen, title, columns(rows, indent="  "))
            if not every and count_of > parties.MOST_SHOWN:
                better = count_of - parties.MOST_SHOWN
                screen.line(screen.paint(f"  … {better:,} better ones with --parties", "faint"))
    if found.HasField("record"):
        screen.line(parties.record_line(found.record))


def _section(screen: Screen, title: str, lines: Sequence[str]) -> None:
    if lines:
        screen.line()
        screen.line(screen.paint(title, "bold"))
        for line in lines:
            screen.line(line)


def _named(subjects: Any) -> str:
    listed = ", ".join(harmless(s) for s in subjects[:3])
    return listed + (f" and {len(subjects) - 3} more" if len(subjects) > 3 else "")


def _now(measured: pb.Measured, field: str, written: Any) -> str:
    return str(written(getattr(measured, field).value)) if measured.HasField(field) else NOTHING


def _promised(slo: pb.Slo, field: str, written: Any) -> str:
    return str(written(getattr(slo, field))) if slo.HasField(field) else NOTHING


def local_time(stamp: Any) -> str:
    """Write an instant in the reader's zone, with the zone."""
    from datetime import UTC

    moment = stamp.ToDatetime(tzinfo=UTC).astimezone()
    return str(moment.strftime("%Y-%m-%d %H:%M:%S %Z"))
