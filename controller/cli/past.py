"""History and blame as a person reads them: who did what and why, and whose a line of configuration is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from onecity.v1 import controller_pb2, history_pb2, plan_pb2, status_pb2

from controller.cli.plain import enum_word
from controller.cli.plans import IMPACTS
from controller.cli.quantities import count, seconds
from controller.cli.screen import Screen, columns, harmless
from controller.cli.services import local_time

_STEPS = re.compile(r"(?P<quoted>'[^']*'?)|(?P<prefix>[\w.-]+):")
_NAMES = re.compile(r"(?P<quoted>'[^']*'?)|(?:(?P<prefix>[\w.-]+):)?(?P<name>[\w.-]+)")
MOST_PLACES = 50
MOST_FIELDS = 50
MARKS = {
    plan_pb2.ACTION_CREATE: ("+", "green"),
    plan_pb2.ACTION_REMOVE: ("-", "red"),
    plan_pb2.ACTION_CHANGE: ("~", "yellow"),
}


def show_history(screen: Screen, changes: Sequence[controller_pb2.ChangeRecord]) -> None:
    """Write one line a change, newest first."""
    if not changes:
        screen.line("No changes.")
        return
    rows = [["rev", "change", "accepted", "kind", "outcome", "author", "services", "reason"]]
    for change in changes:
        outcome = enum_word(plan_pb2.ChangeOutcome.DESCRIPTOR, change.outcome) or "running"
        names = ", ".join(change.services[:2]) + (f" +{len(change.services) - 2}" if len(change.services) > 2 else "")
        when = local_time(change.accepted_at)
        words = " — ".join(harmless(w) for w in (change.reason, change.message.split("\n")[0]) if w)
        rows.append(
            [f"{change.revision}", change.change_id, when, change.kind, outcome, harmless(change.author), names, words]
        )
    for i, row in enumerate(columns(rows, right=(0,))):
        screen.line(screen.paint(row, "bold") if i == 0 else row)


def show_change(screen: Screen, found: controller_pb2.GetChangeResponse, *, native: bool) -> None:
    """Write all that is known of one change: who, when, why; each service's fields; each domain's places or text."""
    change = found.change
    outcome = enum_word(plan_pb2.ChangeOutcome.DESCRIPTOR, change.outcome) or "running"
    head = f"revision {change.revision}  change {change.change_id}  {change.kind}  {outcome}"
    screen.line(screen.paint(head, "bold"))
    took = ""
    if change.HasField("ended_at"):
        took = f", in {seconds(max(0.0, change.ended_at.ToNanoseconds() - change.accepted_at.ToNanoseconds()) / 1e9)}"
    screen.line(f"  by   {harmless(change.author) or '–'}, {local_time(change.accepted_at)}{took}")
    if change.reason:
        screen.line(f"  why  {harmless(change.reason)}")
    for line in change.message.splitlines():
        screen.line(f"       {harmless(line)}")
    for service in found.services:
        _service(screen, service)
    if not found.domains:
        screen.line()
        screen.line(
            screen.paint("What it did to domains is not kept: no effect, no domain touched, or long ago.", "faint")
        )
    for domain in found.domains:
        _domain(screen, domain, native)
    if found.domains and not native:
        screen.line()
        screen.line(screen.paint("add --native for the exact text that each domain was sent", "faint"))


def _service(screen: Screen, service: history_pb2.ServiceDifference) -> None:
    mark, colour = MARKS.get(service.action, ("=", "faint"))
    still = "" if service.action in MARKS else "   followed, its intent as before"
    screen.line()
    screen.line(screen.paint(f"{mark} {service.kind}  {service.service}{still}", colour))
    rows = [[field.path, _both(field), IMPACTS.get(field.impact, "")] for field in service.fields[:MOST_FIELDS]]
    for row in columns([[harmless(cell) for cell in row] for row in rows], indent="    "):
        screen.line(row)
    _rest(screen, len(service.fields) - MOST_FIELDS)


def _both(field: history_pb2.FieldDifference) -> str:
    if field.HasField("old") and field.HasField("new"):
        return f"{field.old} → {field.new}"
    return f"{field.new} added" if field.HasField("new") else f"{field.old} removed"


def _domain(screen: Screen, domain: history_pb2.DomainEffect, native: bool) -> None:
    screen.line()
    total = len(domain.places) + domain.left_out
    screen.line(f"{screen.paint(domain.domain, 'bold')}: {count(total, 'place')} became different")
    if native:
        for line in domain.native.splitlines():
            screen.line("  " + harmless(line))
        return
    head = ("", "")
    for place in domain.places[:MOST_PLACES]:
        entry, leaf = _parts(place.path)
        if entry and (entry, place.service) != head:
            head = (entry, place.service)
            screen.line(f"  {entry}" + (f"   ({place.service})" if place.service else ""))
        _place(screen, place, leaf or ".")
    _rest(screen, total - MOST_PLACES)


def _place(screen: Screen, place: status_pb2.Difference, path: str) -> None:
    after = _value(place.wanted) if place.HasField("wanted") else None
    before = _value(place.running) if place.HasField("running") else None
    if before is None:
        screen.line(screen.paint(f"    + {path}{after}", "green"))
    elif after is None:
        screen.line(screen.paint(f"    - {path}{before}", "red"))
    else:
        screen.line(screen.paint(f"    ~ {path}{before} →{after.removeprefix(' =')}", "yellow"))


def _parts(path: str) -> tuple[str, str]:
    """Return the list entry that a place is in, and the rest of its path."""
    short = harmless(short_path(path))
    entry, bracket, leaf = short.rpartition("]")
    return entry + bracket, leaf.removeprefix("/")


def short_path(path: str) -> str:
    """Write a module's prefix only where it changes, as RFC 7951 does."""
    last = ""

    def once(found: re.Match[str]) -> str:
        nonlocal last
        if found["quoted"] or found["prefix"] == last:
            return found["quoted"] or ""
        last = found["prefix"]
        return found[0]

    return _STEPS.sub(once, path)


def full_path(path: str) -> str:
    """Write every step with its prefix, whichever way it was written."""
    last = ""

    def always(found: re.Match[str]) -> str:
        nonlocal last
        if found["quoted"]:
            return found["quoted"]
        last = found["prefix"] or last
        return f"{last}:{found['name']}" if last else found["name"]

    return _NAMES.sub(always, path)


def _value(text: str) -> str:
    return f" = {harmless(text)}" if text else ""


def _rest(screen: Screen, left: int) -> None:
    if left > 0:
        screen.line(screen.paint(f"  … {left:,} more with -o yaml", "faint"))


def show_blame(screen: Screen, found: controller_pb2.BlameResponse) -> None:
    """Write one line a place: revision, service, path and value; `!` before what is nobody's."""
    if not found.places:
        screen.line("Nothing there.")
        return
    rows = []
    for place in found.places:
        whose = ", ".join(place.services[:2]) + (f" +{len(place.services) - 2}" if len(place.services) > 2 else "")
        revision = f"{place.revision}" if place.revision else "–"
        wanted = f"   desired {harmless(place.wanted)}" if place.HasField("wanted") else ""
        line = harmless(short_path(place.path)) + _value(place.value) + wanted
        rows.append([" " if place.services else "!", revision, whose or "nobody's", line])
    for row, place in zip(columns(rows, right=(1,)), found.places, strict=True):
        screen.line(screen.paint(row, "" if place.services else "yellow"))
    if found.more:
        screen.line(screen.paint("… there is more: narrow it down by path or --service, or raise --limit", "faint"))
