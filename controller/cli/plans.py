"""A plan as a person reads it: first what changes and whether it hurts, then where it goes, then the sentence."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from onecity.v1 import plan_pb2 as pb

from controller.cli.quantities import count, percent, rate, seconds
from controller.cli.screen import Screen, columns, harmless, width

MOST_LINES = 8  # of paths and of changes of one service, unless details are asked for
MOST_HOPS = 12  # of one segment on one line
LEAST_HOPS_WIDTH = 30  # columns; with less the hops go on near the left edge
MOST_DETAILED = 3  # services whose way is shown at once; with more, the sums come first and the rest on request
LAYERS = {pb.LAYER_IP: "ip", pb.LAYER_OPTICAL: "optical"}
ROLES = {
    pb.PATH_ROLE_WORKING: "working",
    pb.PATH_ROLE_STANDBY: "standby",
    pb.PATH_ROLE_RESTORATION: "kept",
    pb.PATH_ROLE_TREE: "tree",
    pb.PATH_ROLE_BORDER: "border",
}
IMPACTS = {
    pb.IMPACT_NONE: "no interruption",
    pb.IMPACT_MAKE_BEFORE_BREAK: "make-before-break",
    pb.IMPACT_INTERRUPTING: "interrupts traffic",
}


def moving(plan: pb.Plan) -> list[pb.ServiceAction]:
    """Return what a plan does: everything but what stands as asked."""
    return [s for s in plan.services if s.action != pb.ACTION_UNCHANGED]


def refused(plan: pb.Plan) -> list[pb.ServiceAction]:
    return [s for s in plan.services if s.action == pb.ACTION_REFUSED]


def disproved(plan: pb.Plan) -> list[pb.Proof]:
    return [p for p in plan.proofs if not p.holds]


def interrupting(plan: pb.Plan) -> list[pb.ServiceAction]:
    return [s for s in plan.services if s.impact == pb.IMPACT_INTERRUPTING and s.action != pb.ACTION_REFUSED]


def show_plan(screen: Screen, plan: pb.Plan, *, details: bool, partial: bool = False) -> None:
    """Write the whole plan."""
    moves = moving(plan)
    _summary(screen, plan, moves)
    placed = [s for s in moves if s.action not in (pb.ACTION_REFUSED, pb.ACTION_REMOVE)]
    if details or len(placed) <= MOST_DETAILED:
        for service in placed:
            _way(screen, service, MOST_LINES if not details else 1_000_000)
    elif placed:
        screen.line()
        screen.line(screen.paint("  add --details for paths and resources of every service", "faint"))
    for service in refused(plan):
        screen.line()
        for line in service.refusal.splitlines():
            screen.line("  " + harmless(line))
    _domains(screen, plan)
    _proofs(screen, plan)
    for note in plan.notes:
        screen.line(f"  note  {harmless(note)}")
    for warning in plan.warnings:
        screen.line(screen.paint(f"  warning  {harmless(warning)}", "yellow"))
    for native in plan.native:
        screen.line()
        screen.line(screen.paint(f"  ── {native.domain} · {native.step} ──", "bold"))
        screen.line(native.text.rstrip("\n"))
    screen.line()
    screen.line(closing(plan, partial=partial))


def _summary(screen: Screen, plan: pb.Plan, moves: Sequence[pb.ServiceAction]) -> None:
    rows, colours = [], []
    for service in moves:
        mark, colour = _mark(service)
        facts = [harmless(fact) for fact in service.facts]
        if service.action == pb.ACTION_REFUSED:
            facts = ["cannot be placed"]
        elif service.action == pb.ACTION_REMOVE or (service.action == pb.ACTION_CHANGE and service.impact):
            facts.append(effect(service))
        rows.append([mark, service.kind, service.service, *facts])
        colours.append(colour)
    for row, colour in zip(columns(rows, indent="  "), colours, strict=True):
        screen.line(screen.paint(row, colour))
    same = len(plan.services) - len(moves)
    if same:
        screen.line(screen.paint(f"  = {same:,} unchanged", "faint"))


def effect(service: pb.ServiceAction) -> str:
    """Return what traffic notices, and where."""
    where = named(service.interrupts)
    return IMPACTS.get(service.impact, "") + (f" at {where}" if where else "")


def named(names: Sequence[str], most: int = 5) -> str:
    """Return "a, b and 3 more"."""
    return ", ".join(harmless(n) for n in names[:most]) + (
        f" and {len(names) - most} more" if len(names) > most else ""
    )


def _mark(service: pb.ServiceAction) -> tuple[str, str]:
    if service.action == pb.ACTION_CREATE:
        return "+", "green"
    if service.action == pb.ACTION_REMOVE:
        return "-", "red"
    if service.action == pb.ACTION_REFUSED:
        return "✗", "red"
    if service.impact == pb.IMPACT_INTERRUPTING:
        return "~", "red"
    return ("±" if service.impact == pb.IMPACT_MAKE_BEFORE_BREAK else "~"), "yellow"


def _way(screen: Screen, service: pb.ServiceAction, most: int) -> None:
    lines = [f"    {harmless(change)}" for change in service.changes]
    lines += wrapped(path_rows(service.paths, every=most > MOST_LINES), screen, indent="    ")
    lines += columns(promise_rows(service.promises), indent="    ")
    if not lines and not service.resources and not service.notes:
        return
    screen.line()
    screen.line(f"  {screen.paint(service.service, 'bold')}")
    for line in lines[:most]:
        screen.line(line)
    if len(lines) > most:
        screen.line(screen.paint(f"    … {len(lines) - most:,} more lines with --details", "faint"))
    for row in resource_rows(service.resources, every=most > MOST_LINES):
        screen.line("    " + row)
    for note in service.notes:
        screen.line("    note  " + harmless(note))


def wrapped(rows: Sequence[Sequence[str]], screen: Screen, *, indent: str) -> list[str]:
    """Return columns whose last one, the hops, goes on below itself where the terminal ends."""
    lines = columns(rows, indent=indent)
    if not screen.terminal or not rows:
        return lines
    room = shutil.get_terminal_size().columns
    hang = len(indent) + sum(max(width(row[c]) for row in rows) + 2 for c in range(len(rows[0]) - 1))
    if room - hang < LEAST_HOPS_WIDTH:
        hang = len(indent) + 4
    return [
        piece
        for line in lines
        for piece in textwrap.wrap(
            line, room, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False,
            replace_whitespace=False, drop_whitespace=True,
        )
    ]  # fmt: skip


def path_rows(paths: Any, *, every: bool = False) -> list[list[str]]:
    """Return one row per segment: layer, domain, role, delay, detail, and last what may be long, the hops."""
    rows = []
    for path in paths:
        where = path.domain or "between domains"
        delay = seconds(path.delay_s) if path.HasField("delay_s") else ""
        layer, role = LAYERS.get(path.layer, ""), ROLES.get(path.role, "")
        rows.append([layer, where, role, delay, path.detail, _hops(path, every)])
    return [[harmless(cell) for cell in row] for row in rows]


def _hops(path: pb.PathSegment, every: bool) -> str:
    """A path is a sequence; a tree is a set of links, each from one node to the next."""
    names = [_hop(hop) for hop in path.hops]
    separator = ", " if path.role == pb.PATH_ROLE_TREE else " → "
    if not every and len(names) > MOST_HOPS:
        names = [*names[: MOST_HOPS - 1], f"… {len(names) - MOST_HOPS + 1} more"]
    return separator.join(names)


def _hop(hop: str) -> str:
    """link:lg-zhihui.ge-1..lg-nanwan.ge-1 → lg-zhihui–lg-nanwan; other ids without their kind."""
    ends = hop.removeprefix("link:").split("..")
    if hop.startswith("link:") and len(ends) == 2:
        return "–".join(end.rsplit(".", 1)[0] for end in ends)
    return hop.removeprefix("node:")


def promise_rows(promises: Any) -> list[list[str]]:
    """Return one row per pair of ends: what it is given, of what was asked."""
    rows = []
    for promise in promises:
        delay = seconds(promise.delay_s)
        if promise.HasField("budget_s"):
            delay += f" of {seconds(promise.budget_s)}"
        standby = f"standby {seconds(promise.standby_delay_s)}" if promise.HasField("standby_delay_s") else ""
        ends = f"{promise.a} – {promise.z}"
        rows.append(["slo", ends, rate(promise.rate_bps), delay, percent(promise.availability), standby])
    return rows


def resource_rows(resources: Any, *, every: bool) -> list[str]:
    """Return what is taken: each on its line, or a count of each kind."""
    if every:
        return columns([["takes", r.kind, harmless(r.where), harmless(r.taken)] for r in resources])
    tally: dict[str, int] = {}
    for resource in resources:
        tally[resource.kind] = tally.get(resource.kind, 0) + 1
    few = len(resources) <= 3
    if few and resources:
        return ["takes  " + ", ".join(f"{harmless(r.taken)} on {harmless(r.where)}" for r in resources)]
    words = {"rate": "rate reservation", "vlan": "VLAN", "address": "address", "slot": "timeslot reservation"}
    listed = ", ".join(
        count(n, words.get(kind, kind), "addresses" if kind == "address" else "") for kind, n in tally.items()
    )
    return [f"takes  {listed}"] if tally else []


def _domains(screen: Screen, plan: pb.Plan) -> None:
    if not plan.domains:
        return
    screen.line()
    rows = [["domain", "steps", "adds", "changes", "removes"]]
    rows += [[d.domain, f"{d.steps}", f"{d.adds}", f"{d.changes}", f"{d.removes}"] for d in plan.domains]
    for i, row in enumerate(columns(rows, indent="  ", right=(1, 2, 3, 4))):
        screen.line(screen.paint(row, "bold") if i == 0 else row)


def _proofs(screen: Screen, plan: pb.Plan) -> None:
    if not plan.proofs:
        return
    words = " ".join(
        f"{p.name} {screen.paint('✓', 'green') if p.holds else screen.paint('✗', 'red')}" for p in plan.proofs
    )
    screen.line(f"  proofs: {words}   (in {seconds(plan.proofs_s)})")
    for proof in disproved(plan):
        screen.line(f"  {proof.name} does not hold: {harmless(proof.detail)}")


def closing(plan: pb.Plan, *, partial: bool = False) -> str:
    """Return the sentence that sums a plan up."""
    actions = [s.action for s in plan.services]
    turned_away = actions.count(pb.ACTION_REFUSED)
    if partial and (turned_away or disproved(plan)):
        what = f"{count(turned_away, 'service')} cannot be placed" if turned_away else "Not every proof holds"
        return f"{what}; the rest is applied, each service on its own."
    if turned_away:
        return f"{count(turned_away, 'service')} cannot be placed; nothing is applied, or the rest with --partial."
    if disproved(plan):
        return f"{count(len(disproved(plan)), 'proof does', 'proofs do')} not hold; nothing of this can be applied."
    adds, changes, removes = (actions.count(a) for a in (pb.ACTION_CREATE, pb.ACTION_CHANGE, pb.ACTION_REMOVE))
    if not adds + changes + removes and plan.drifted:
        verb = "run" if len(plan.drifted) > 1 else "runs"
        return f"The intents are unchanged, but {named(plan.drifted)} {verb} something else: see `onecity diff`"
    if not adds + changes + removes:
        return "Nothing to change: the network is as asked."
    hurt = interrupting(plan)
    names = named([s.service + (f" at {named(s.interrupts)}" if s.interrupts else "") for s in hurt])
    hurts = f"Traffic of {names} is interrupted." if hurt else "Nothing interrupts traffic."
    return f"{adds} to add, {changes} to change, {removes} to remove. {hurts}"
