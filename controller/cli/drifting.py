"""`onecity drift`: what domains run otherwise than desired; brought back or accepted by hand."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime

from onecity.v1 import drift_pb2 as pb
from onecity.v1 import status_pb2

from controller.cli.changing import author, beside, follow
from controller.cli.client import Client
from controller.cli.errors import CommandError
from controller.cli.past import short_path
from controller.cli.plain import as_text, enum_word, plain
from controller.cli.quantities import count
from controller.cli.screen import Screen, harmless

NO_DRIFT, DRIFTED = 0, 2
ACTIONS = ("revert", "accept")
MOST_PLACES = 50
MARKS = {
    status_pb2.WHOSE_OURS: ("~", "yellow", ""),
    status_pb2.WHOSE_ADDED: ("+", "yellow", "added by others"),
    status_pb2.WHOSE_ACCEPTED: ("=", "faint", "accepted"),
    status_pb2.WHOSE_FOREIGN: (" ", "faint", "not ours"),
}


def drift(arguments: Namespace, screen: Screen) -> int:
    """Tell what drifted, or bring it back, or accept it."""
    action, domain = _understood(arguments.words)
    if action != "revert" and (arguments.added or arguments.accepted):
        raise CommandError("--added and --accepted say what to bring back: onecity drift revert DOMAIN")
    with Client(arguments.server, arguments.timeout) as client:
        if not action:
            return _tell(client, arguments, screen, domain)
        found = _found(client, domain, afresh=True)[0]
        if found.message and not found.places:
            raise CommandError(f"{domain}: {found.message}")
        act = _revert if action == "revert" else _accept
        return act(client, arguments, beside(arguments, screen), found)


def _understood(words: Sequence[str]) -> tuple[str, str]:
    """Return the action ("" to tell) and the domain ("" all)."""
    given = list(words)
    action = given.pop(0) if given and given[0] in ACTIONS else ""
    if action and not given:
        raise CommandError(f"name the domain: onecity drift {action} DOMAIN; `onecity drift` shows which drifted")
    if len(given) > 1:
        raise CommandError(f"one domain at a time, not {', '.join(given)}; actions are {' and '.join(ACTIONS)}")
    return action, given[0] if given else ""


def _found(client: Client, domain: str, *, afresh: bool) -> list[pb.DomainDrift]:
    return list(client.call(client.drift.GetDrift, pb.GetDriftRequest(domain=domain, afresh=afresh)).domains)


def _tell(client: Client, arguments: Namespace, screen: Screen, domain: str) -> int:
    found = _found(client, domain, afresh=arguments.now)
    if arguments.output != "table":
        screen.line(as_text([plain(one) for one in found], arguments.output))
    else:
        show_drift(screen, found, arguments.service)
    return DRIFTED if any(one.ours or one.added for one in found) else NO_DRIFT


def show_drift(screen: Screen, found: Sequence[pb.DomainDrift], service: str = "") -> None:
    """Write a line a domain, then the places of each that differs."""
    rows = []
    for one in found:
        counts = (one.ours, one.added, one.accepted, one.foreign)
        rows.append([one.domain, _word(one), _ago(one), *(f"{number or '–'}" for number in counts)])
    head = ("domain", "policy", "compared", "ours", "added", "accepted", "not ours")
    screen.table(head, rows, right=(3, 4, 5, 6))
    for one in found:
        if one.message:
            screen.line()
            screen.line(screen.paint(f"{one.domain}: {harmless(one.message)}", "yellow"))
        places = [p for p in one.places if not service or service in p.service.split(", ")]
        if places:
            screen.line()
            screen.line(screen.paint(one.domain, "bold"))
            _places(screen, places, one.ours + one.added + one.accepted + one.foreign - len(one.places))
    if any(one.ours or one.added for one in found):
        screen.line()
        screen.line("`onecity drift revert DOMAIN` sends again what is ours; `onecity drift accept DOMAIN` lets it be.")


def _places(screen: Screen, places: Sequence[status_pb2.Difference], beyond: int) -> None:
    ordered = sorted(places, key=lambda place: place.whose)  # what needs a person first
    for place in ordered[:MOST_PLACES]:
        mark, colour, words = MARKS.get(place.whose, (" ", "", ""))
        said = "   ".join(word for word in (words, harmless(place.service)) if word)
        screen.line(screen.paint(f"  {mark} {harmless(short_path(place.path))}", colour))
        screen.line(f"      {_change(place)}" + (f"   ({said})" if said else ""))
    rest = len(ordered) - MOST_PLACES + beyond if len(ordered) > MOST_PLACES else beyond
    if rest > 0:
        screen.line(screen.paint(f"  … {rest:,} more; -o yaml shows up to 1,000", "faint"))


def _change(place: status_pb2.Difference) -> str:
    wanted = harmless(place.wanted) or "there" if place.HasField("wanted") else "nothing"
    running = harmless(place.running) or "there" if place.HasField("running") else "nothing"
    return f"runs {running}, desired {wanted}"


def _word(one: pb.DomainDrift) -> str:
    return enum_word(pb.DriftPolicy.DESCRIPTOR, one.policy) or "–"


def _ago(one: pb.DomainDrift) -> str:
    if not one.HasField("compared_at"):
        return "not yet"
    seconds = max(0, int((datetime.now(UTC) - one.compared_at.ToDatetime(tzinfo=UTC)).total_seconds()))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"


def _revert(client: Client, arguments: Namespace, screen: Screen, found: pb.DomainDrift) -> int:
    """Show what is sent again, ask, send, follow."""
    kinds = {status_pb2.WHOSE_OURS} | ({status_pb2.WHOSE_ADDED} if arguments.added else set())
    kinds |= {status_pb2.WHOSE_ACCEPTED} if arguments.accepted else set()
    chosen = [p for p in found.places if p.whose in kinds and _of(p, arguments.service)]
    if chosen:
        screen.line(f"{screen.paint(found.domain, 'bold')} gets back what is ours:")
        _places(screen, chosen, 0)
        _ask(arguments, screen, f"Send {count(len(chosen), 'place')} again? Traffic over them may be interrupted.")
    request = pb.RevertDriftRequest(
        domain=found.domain,
        service=arguments.service,
        added=arguments.added,
        accepted=arguments.accepted,
        author=author(arguments),
        reason=arguments.reason,
    )
    change_id = str(client.call(client.drift.RevertDrift, request).change_id)
    if arguments.no_wait:
        screen.line(change_id)
        return NO_DRIFT
    return follow(client, change_id, arguments, screen)


def _accept(client: Client, arguments: Namespace, screen: Screen, found: pb.DomainDrift) -> int:
    """Show what is accepted, ask, accept."""
    kinds = {status_pb2.WHOSE_OURS, status_pb2.WHOSE_ADDED}
    chosen = [p for p in found.places if p.whose in kinds and _of(p, arguments.service)]
    if chosen:
        screen.line(f"{screen.paint(found.domain, 'bold')} may go on to run:")
        _places(screen, chosen, 0)
        _ask(arguments, screen, f"Accept {count(len(chosen), 'place')}? Intents and desired state stay as they are.")
    request = pb.AcceptDriftRequest(
        domain=found.domain, service=arguments.service, author=author(arguments), reason=arguments.reason
    )
    done = client.call(client.drift.AcceptDrift, request)
    screen.line(f"{count(done.places, 'place')} of {found.domain} accepted, change {done.change_id} of the history.")
    return NO_DRIFT


def _of(place: status_pb2.Difference, service: str) -> bool:
    """Say whether a place is a service's; the daemon knows short names, and has the last word."""
    return not service or any(service in (one, one.partition("/")[2]) for one in place.service.split(", "))


def _ask(arguments: Namespace, screen: Screen, question: str) -> None:
    if arguments.yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} There is nobody to ask; add --yes if that is meant. Nothing was changed")
    screen.out.write(f"{question} [y/N] ")
    screen.out.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("stopped as you said; nothing was changed")
