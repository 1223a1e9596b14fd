"""`onecity incidents`: what went wrong, why, whom it concerned; listed, or followed as it happens."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from onecity.v1 import incident_pb2 as pb

from controller.cli.changing import author
from controller.cli.client import Client, LostError
from controller.cli.errors import CommandError
from controller.cli.plain import as_text, plain
from controller.cli.quantities import count
from controller.cli.report_words import lasted
from controller.cli.screen import Screen, harmless

SEVERITIES = {
    pb.SEVERITY_WARNING: ("warning", ""),
    pb.SEVERITY_MAJOR: ("major", "yellow"),
    pb.SEVERITY_CRITICAL: ("critical", "red"),
}


def incidents(arguments: Namespace, screen: Screen) -> int:
    """List incidents, tell all of one, or follow them."""
    with Client(arguments.server, arguments.timeout) as client:
        if arguments.watch:
            return _follow(client, arguments, screen)
        closed = arguments.all or bool(arguments.incident)
        limit = 1000 if arguments.incident else arguments.limit
        request = pb.ListIncidentsRequest(closed=closed, limit=limit)
        found = list(client.call(client.incidents.ListIncidents, request).incidents)
        cut_off = len(found) == limit
    if arguments.incident:
        found = [i for i in found if i.id == arguments.incident]
        if not found:
            raise CommandError(f"there is no incident {arguments.incident}; `onecity incidents --all` lists them")
    if arguments.output != "table":
        screen.line(as_text([plain(i) for i in found], arguments.output))
    elif arguments.incident:
        _tell(screen, found[0])
    else:
        _table(screen, found)
        if cut_off:
            screen.note(f"the newest {limit}, those that are open first; --limit shows more")
    return 0


def proposals(arguments: Namespace, screen: Screen) -> int:
    """List what is proposed, or accept one of it."""
    words = arguments.words
    if words and (words[0] != "accept" or len(words) != 2):
        raise CommandError("write `onecity proposals`, or `onecity proposals accept TENANT/NAME`")
    with Client(arguments.server, arguments.timeout) as client:
        if words:
            request = pb.AcceptProposalRequest(service=words[1], author=author(arguments))
            answer = client.call(client.incidents.AcceptProposal, request)
            if not answer.moved:
                raise CommandError(f"{words[1]} was not led elsewhere: {answer.message or 'there is nothing better'}")
            screen.line(f"{words[1]} was led elsewhere; `onecity describe {words[1]}` shows where.")
            return 0
        answer = client.call(client.incidents.ListProposals, pb.ListProposalsRequest())
    found, staying = list(answer.proposals), list(answer.staying)
    if arguments.output != "table":
        screen.line(as_text(plain(answer), arguments.output))
        return 0
    if found:
        screen.table(("service", "why"), [[p.service, harmless(p.reason)] for p in found])
    else:
        screen.line("Nothing is proposed.")
    if staying:
        screen.line("")
        screen.table(("cannot be led away", "why"), [[p.service, harmless(p.reason)] for p in staying])
    return 0


def _follow(client: Client, arguments: Namespace, screen: Screen) -> int:
    heard = False
    with suppress(KeyboardInterrupt):
        try:
            for message in client.follow(client.incidents.WatchIncidents, pb.WatchIncidentsRequest()):
                heard = True
                if arguments.output != "table":
                    screen.line(as_text(plain(message.incident), arguments.output))
                else:
                    screen.line(_line(message.incident))
                screen.out.flush()
        except LostError as error:
            gone = f"the daemon at {client.server} went away; start the watch again"
            raise LostError(gone if heard else str(error)) from None
        raise CommandError(f"the daemon at {client.server} ended the watch; start it again")
    return 0


def _line(one: pb.Incident) -> str:
    word = SEVERITIES.get(one.severity, ("", ""))[0]
    state = "closed" if one.HasField("closed_at") else "open"
    at = _time(one.timeline[-1].at if one.timeline else one.opened_at)
    concerned = count(len(one.services), "service")
    last = one.timeline[-1].text if one.timeline else ""
    news = f" – {harmless(last)}" if last not in ("", one.title, "closed") else ""
    return f"{at}  {one.id}  {state:6}  {word:8}  {harmless(one.title)}  {concerned}{news}"


def _time(stamp: Any) -> str:
    return str(stamp.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"))


def _lasted(one: pb.Incident) -> str:
    return lasted(round((one.closed_at.ToDatetime() - one.opened_at.ToDatetime()).total_seconds()))


def _table(screen: Screen, found: Sequence[pb.Incident]) -> None:
    if not found:
        screen.line("Nothing is wrong.")
        return
    rows = []
    for one in found:
        word, colour = SEVERITIES.get(one.severity, ("", ""))
        state = _lasted(one) if one.HasField("closed_at") else "open"
        opened, services = _time(one.opened_at), f"{len(one.services):,}"
        rows.append([one.id, opened, state, screen.paint(word, colour), services, harmless(one.title)])
    screen.table(("incident", "since (UTC)", "lasted", "severity", "services", "cause"), rows, right=(4,))


def _tell(screen: Screen, one: pb.Incident) -> None:
    word, colour = SEVERITIES.get(one.severity, ("", ""))
    screen.line(f"{screen.paint(one.id, 'bold')}  {screen.paint(word, colour)}  {harmless(one.title)}")
    kind, _, name = one.root.partition(":")
    screen.line(f"  root      {name if name.startswith(f'{kind}:') else one.root}")
    ended = f"closed {_time(one.closed_at)} after {_lasted(one)}" if one.HasField("closed_at") else "open"
    screen.line(f"  since     {_time(one.opened_at)} UTC, {ended}")
    screen.line(f"  tenants   {', '.join(one.tenants) or 'none'}")
    dead = set(one.dead)
    names = [f"{s} (was down)" if s in dead else s for s in one.services]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    screen.line(f"  services  {', '.join(names[:20]) or 'none'}{more}")
    for entry in one.timeline:
        screen.line(f"  {_moment(entry.at)}  {harmless(entry.text)}{_by_domain(entry)}")


def _moment(stamp: Any) -> str:
    return str(stamp.ToDatetime().strftime("%H:%M:%S.%f")[:-3])


def _by_domain(entry: pb.TimelineEntry) -> str:
    """Write when it happened by its domain's clock, where that is another time; with the date if that differs too."""
    if not entry.HasField("domain_time"):
        return ""
    other = entry.domain_time.ToDatetime().date() != entry.at.ToDatetime().date()
    date = f"{entry.domain_time.ToDatetime():%Y-%m-%d} " if other else ""
    return f" ({date}{_moment(entry.domain_time)} by the domain's clock)"
