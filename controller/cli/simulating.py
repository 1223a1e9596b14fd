"""`onecity simulate`: what would happen if something failed, worst first, for somebody who has to decide tonight."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from onecity.v1 import simulation_pb2 as pb

from controller.cli.client import Client, as_documents
from controller.cli.errors import CommandError
from controller.cli.plain import as_text, enum_word, plain
from controller.cli.quantities import NOTHING, count, rate, seconds
from controller.cli.screen import Screen, harmless
from controller.cli.sources import read_sources

HOLDS, HURTS = 0, 2
MOST_LIMIT = 10_000
MOST_OF_MANY = 1_000
MOST_REASON = 90
_PAINT = {"breaks": "red", "ends": "red", "degrades": "yellow", "replaced": "yellow"}
_FATES = (
    ("breaks", "breaks", "break"),
    ("degrades", "degrades", "degrade"),
    ("ends", "loses an end", "lose an end"),
    ("replaced", "is placed again", "are placed again"),
    ("switches", "switches by itself", "switch by themselves"),
    ("exposed", "loses its standby", "lose their standby"),
)


def simulate(arguments: Namespace, screen: Screen) -> int:
    """Ask what would happen; return 0 where every service keeps its SLO, 2 where one does not."""
    if not 1 <= arguments.limit <= MOST_LIMIT:
        raise CommandError(f"--limit must be from 1 to {MOST_LIMIT:,}")
    request = pb.SimulateRequest(
        fail=arguments.fail,
        add=as_documents(read_sources(arguments.add)) if arguments.add else [],
        seed=arguments.seed,
        most_services=_told(arguments),
    )
    summary, failures = pb.SimulationSummary(), []
    with Client(arguments.server, arguments.timeout) as client:
        for answer in client.stream(client.stub.Simulate, request):
            if answer.HasField("progress"):
                _tell(screen, answer.progress)
            elif answer.HasField("summary"):
                summary = answer.summary
            else:
                failures.append(answer.failure)
    if screen.terminal:
        screen.err.write("\r\x1b[K")
        screen.err.flush()
    if arguments.output != "table":
        screen.line(as_text({"summary": plain(summary), "failures": [plain(f) for f in failures]}, arguments.output))
    else:
        _show(screen, summary, failures, arguments.limit)
    return HOLDS if summary.harmless == summary.failures else HURTS


def _told(arguments: Namespace) -> int:
    """Return how many services are told per failure: a table shows so many rows, a program gets what there is."""
    many = any(text == "all-single" or text.startswith("double:") for text in arguments.fail)
    if arguments.output != "table":
        return MOST_OF_MANY if many else MOST_LIMIT
    return int(arguments.limit)


def _tell(screen: Screen, progress: pb.SimulationProgress) -> None:
    if screen.terminal:
        screen.err.write(f"\r{progress.done:,} of {count(progress.total, 'failure')} followed")
        screen.err.flush()


def _show(screen: Screen, summary: pb.SimulationSummary, failures: list[pb.SimulatedFailure], limit: int) -> None:
    for refusal in summary.refused:
        screen.line(f"not added: {harmless(refusal)}")
    if len(failures) == 1:
        _one(screen, failures[0], limit)
    else:
        _many(screen, summary, failures, limit)


def _one(screen: Screen, failure: pb.SimulatedFailure, limit: int) -> None:
    """Show one failure: what it comes to in a sentence, then every service that notices."""
    parts = []
    for field, one, many in _FATES:
        number = getattr(failure, field)
        if number:
            parts.append(screen.paint(f"{number:,} {one if number == 1 else many}", _PAINT.get(field, "")))
    if failure.untouched or not parts:
        parts.append(f"{failure.untouched:,} {'does' if failure.untouched == 1 else 'do'} not notice")
    screen.line(f"{screen.paint(harmless(failure.title), 'bold')} fails: {', '.join(parts)}")
    if failure.services:
        screen.line()
        head = ("service", "kind", "fate", "cut", "delay before", "at once", "in the end", "of", "why")
        screen.table(head, [_row(screen, service) for service in failure.services[:limit]])
        _more(screen, sum(getattr(failure, field) for field, _, _ in _FATES) - limit)
    if failure.links:
        screen.line()
        _links(screen, failure)


def _row(screen: Screen, service: pb.SimulatedService) -> list[str]:
    fate = (enum_word(pb.Fate.DESCRIPTOR, service.fate) or "").lower()
    cut = ""
    if service.cut_at_once:
        cut = f"{service.cut_at_once} of {service.pairs}"
        if service.cut_in_the_end != service.cut_at_once:
            cut += f", then {service.cut_in_the_end or 'none'}"
    reason = harmless(service.reason)
    return [
        harmless(service.service), service.kind, screen.paint(fate, _PAINT.get(fate, "")), cut,
        *(_delay(service, field) for field in ("delay_before_s", "delay_at_once_s", "delay_in_the_end_s", "budget_s")),
        reason if len(reason) <= MOST_REASON else reason[: MOST_REASON - 1] + "…",
    ]  # fmt: skip


def _delay(service: pb.SimulatedService, field: str) -> str:
    return seconds(getattr(service, field)) if service.HasField(field) else NOTHING


def _links(screen: Screen, failure: pb.SimulatedFailure) -> None:
    rows = [
        [
            harmless(k.link.removeprefix("link:")),
            f"{k.used_bps / k.capacity_bps:.0%}",
            rate(k.used_bps),
            rate(k.capacity_bps),
            rate(k.before_bps),
        ]
        for k in failure.links
    ]
    screen.table(("fullest links that are left", "full", "held", "of", "before"), rows, right=(1, 2, 3, 4))


def _many(screen: Screen, summary: pb.SimulationSummary, failures: list[pb.SimulatedFailure], limit: int) -> None:
    """Show many failures: how many hurt whom, the worst of them, and the services that are weakest."""
    breaking = screen.paint(f"{summary.breaking:,} break services", "red" if summary.breaking else "")
    screen.line(
        f"{count(summary.failures, 'failure')}, each by itself: {summary.harmless:,} leave every SLO, "
        f"{summary.failures - summary.harmless:,} do not; {breaking}"
    )
    screen.line(
        f"{count(summary.services, 'service')}: {summary.safe:,} stay within their SLO whatever fails, "
        f"but for their own ends   (in {seconds(summary.elapsed_s)})"
    )
    told = [f for f in failures if f.breaks or f.degrades or f.ends or f.replaced or f.switches][:limit]
    if told:
        screen.line()
        head = ("failure", "breaks", "degrades", "ends", "replaced", "switches", "fullest link", "full")
        screen.table(head, [_failure_row(screen, f) for f in told], right=(1, 2, 3, 4, 5, 7))
        _more(screen, len(failures) - len(told))
    if summary.weakest:
        screen.line()
        rows = [[harmless(w.service), f"{w.breaks:,}", f"{w.degrades:,}"] for w in summary.weakest]
        screen.table(("weakest services", "failures that break it", "that degrade it"), rows, right=(1, 2))


def _failure_row(screen: Screen, failure: pb.SimulatedFailure) -> list[str]:
    link: Any = failure.links[0] if failure.links else None
    name = harmless(link.link.removeprefix("link:")) if link is not None else NOTHING
    full = f"{link.used_bps / link.capacity_bps:.0%}" if link is not None else NOTHING
    return [
        harmless(failure.title),
        screen.paint(f"{failure.breaks:,}", "red" if failure.breaks else ""),
        *(f"{getattr(failure, field):,}" for field in ("degrades", "ends", "replaced", "switches")),
        name,
        full,
    ]


def _more(screen: Screen, left: int) -> None:
    if left > 0:
        screen.line(screen.paint(f"… {left:,} more; --limit shows more of them, -o json tells all", "faint"))
