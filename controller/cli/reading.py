"""The verbs that only read: validate, get, describe, diff, history, blame, topology, schema, version."""

from __future__ import annotations

import re
from argparse import Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controller.cli.errors import CommandError
from controller.cli.quantities import count
from controller.cli.screen import Screen
from controller.cli.sources import read_sources

if TYPE_CHECKING:  # both take a third of a second to import
    from onecity.v1.status_pb2 import ServiceStatus

    from controller.cli.client import Client

EQUAL, DIFFERENT = 0, 2


def validate(arguments: Namespace, screen: Screen) -> int:
    """Check intent files here, without a daemon: form and sense, not whether the city has room."""
    from controller.intent.reading import read

    sources = read_sources(arguments.files)
    services = read([(source.name, source.text) for source in sources], datetime.now(UTC))
    if arguments.output == "table":
        screen.line(f"{count(len(services), 'intent')} in {count(len(sources), 'file')} well formed.")
        return 0
    from controller.cli.plain import as_text

    named = [{"service": s.metadata.service, "kind": s.kind, "source": s.metadata.source} for s in services]
    screen.line(as_text({"files": len(sources), "intents": named}, arguments.output))
    return 0


def get(arguments: Namespace, screen: Screen) -> int:
    """List services."""
    from onecity.v1 import controller_pb2 as pb

    from controller.cli.client import Client
    from controller.cli.services import show_services, unwell

    with Client(arguments.server, arguments.timeout) as client:
        request = pb.GetServicesRequest(tenant=arguments.tenant, label=arguments.label)
        found = list(client.call(client.stub.GetServices, request).services)
    if arguments.services:
        known = {service.service: service for service in found}
        for name in arguments.services:
            if name not in known:
                raise CommandError(f"there is no service {name}; `onecity get` lists those there are")
        found = [known[name] for name in dict.fromkeys(arguments.services)]
    if not arguments.unwell:
        return _show(arguments, screen, found, lambda: show_services(screen, found))
    ill = unwell(found)
    if found and not ill and arguments.output == "table":
        screen.line("All are well." if len(found) > 1 else "It is well.")
        return 0
    return _show(arguments, screen, ill, lambda: show_services(screen, ill))


def describe(arguments: Namespace, screen: Screen) -> int:
    """Show one service."""
    from onecity.v1 import controller_pb2 as pb

    from controller.cli.client import Client
    from controller.cli.services import show_description

    with Client(arguments.server, arguments.timeout) as client:
        request = pb.DescribeServiceRequest(service=arguments.service)
        found = client.call(client.stub.DescribeService, request).description
        budgets = _budgets(client, found.status) if arguments.output == "table" else ()
    return _show(arguments, screen, found, lambda: show_description(screen, found, budgets, every=arguments.parties))


def _budgets(client: Client, status: ServiceStatus) -> tuple[str, ...]:
    """Return what is left of a service's error budget, a line for each period; nothing where none was promised."""
    from onecity.v1 import report_pb2 as pb

    from controller.cli.report_words import budget_left, burn_rate

    if not status.slo.HasField("availability"):
        return ()
    tenant, lines = status.service.partition("/")[0], []
    for name, period in (("week", pb.REPORT_PERIOD_WEEK), ("month", pb.REPORT_PERIOD_MONTH)):
        try:
            made = client.call(client.reports.GetReport, pb.GetReportRequest(tenant=tenant, period=period)).report
        except CommandError:  # what else is known is told all the same
            return ("error budget not known",)
        mine = next((one for one in made.services if one.service == status.service), None)
        if mine is not None and mine.HasField("budget_left_ratio"):
            lines.append(f"error budget of the {name}: {budget_left(mine)}, burns {burn_rate(mine)}")
    return tuple(lines)


def explain(arguments: Namespace, screen: Screen) -> int:
    """Show why a service goes where it goes."""
    from onecity.v1 import explanation_pb2 as pb

    from controller.cli.client import Client
    from controller.cli.explained import show_explanation

    with Client(arguments.server, arguments.timeout) as client:
        request = pb.ExplainServiceRequest(service=arguments.service)
        found = client.call(client.stub.ExplainService, request).explanation
    return _show(arguments, screen, found, lambda: show_explanation(screen, found))


def diff(arguments: Namespace, screen: Screen) -> int:
    """Compare desired with running, or show what a change did."""
    from onecity.v1 import controller_pb2 as pb

    from controller.cli.client import Client
    from controller.cli.network import show_diff

    change = arguments.change or (arguments.domain if names_change(arguments.domain) else "")
    if change:
        return _change(arguments, screen, change)
    with Client(arguments.server, arguments.timeout) as client:
        request = pb.DiffRequest(domain=arguments.domain)
        found = list(client.call(client.stub.Diff, request).domains)
    _show(arguments, screen, found, lambda: show_diff(screen, found))
    unread = [d for d in found if not d.reachable]
    if unread:
        names = ", ".join(d.domain for d in unread)
        raise CommandError(f"{names} could not be read; the rest is shown")
    return DIFFERENT if any(d.differences for d in found) else EQUAL


def history(arguments: Namespace, screen: Screen) -> int:
    """List changes, or tell all of one."""
    from onecity.v1 import controller_pb2 as pb

    from controller.cli.client import Client
    from controller.cli.past import show_history

    if not 1 <= arguments.limit <= 1000:
        raise CommandError("--limit must be from 1 to 1000")
    if names_change(arguments.which):
        return _change(arguments, screen, arguments.which)
    with Client(arguments.server, arguments.timeout) as client:
        request = pb.GetHistoryRequest(service=arguments.which, limit=arguments.limit)
        found = list(client.call(client.stub.GetHistory, request).changes)
        if not found and arguments.which:
            _known_service(client, arguments.which)
    return _show(arguments, screen, found, lambda: show_history(screen, found))


def _known_service(client: Any, name: str) -> None:
    """Raise where there is no such service: an empty history would say that nothing ever happened to it."""
    from onecity.v1 import controller_pb2 as pb

    client.call(client.stub.DescribeService, pb.DescribeServiceRequest(service=name))


def names_change(text: str) -> bool:
    """Say whether an argument is a revision or a change id, and no name."""
    return text.isdecimal() or re.fullmatch(r"[0-9a-f]{8}(\.\d+)?", text) is not None


def _change(arguments: Namespace, screen: Screen, change: str) -> int:
    """Tell all of one change."""
    from onecity.v1 import controller_pb2 as pb

    from controller.cli.client import Client
    from controller.cli.past import show_change

    with Client(arguments.server, arguments.timeout) as client:
        found = client.call(client.stub.GetChange, pb.GetChangeRequest(change=change))
    return _show(arguments, screen, found, lambda: show_change(screen, found, native=arguments.native))


def blame(arguments: Namespace, screen: Screen) -> int:
    """Tell whose the places of a domain are."""
    from onecity.v1 import controller_pb2 as pb

    from controller.cli.client import Client
    from controller.cli.past import full_path, show_blame

    if not 1 <= arguments.limit <= 100_000:
        raise CommandError("--limit must be from 1 to 100000")
    with Client(arguments.server, arguments.timeout) as client:
        request = pb.BlameRequest(
            domain=arguments.domain,
            path=full_path(arguments.path) if arguments.path.startswith("/") else arguments.path,
            service=arguments.service,
            running=arguments.running,
            limit=arguments.limit,
        )
        found = client.call(client.stub.Blame, request)
    return _show(arguments, screen, found, lambda: show_blame(screen, found))


def topology(arguments: Namespace, screen: Screen) -> int:
    """Show the map."""
    from onecity.v1 import controller_pb2 as pb

    from controller.cli.client import Client
    from controller.cli.network import part_of, show_topology

    with Client(arguments.server, arguments.timeout) as client:
        found = client.call(client.stub.GetTopology, pb.GetTopologyRequest()).topology
    if arguments.part and arguments.output != "table":
        return _show(arguments, screen, part_of(found, arguments.part), lambda: None)
    return _show(arguments, screen, found, lambda: show_topology(screen, found, arguments.part))


def schema(arguments: Namespace, screen: Screen) -> int:
    """Print the JSON Schema of intents."""
    from onecity.v1 import controller_pb2 as pb

    from controller.cli.client import Client

    with Client(arguments.server, arguments.timeout) as client:
        screen.line(client.call(client.stub.GetSchema, pb.GetSchemaRequest()).json_schema)
    return 0


def version(arguments: Namespace, screen: Screen) -> int:
    """Print the version of the command."""
    from importlib.metadata import version as installed

    number = installed("onecity")
    if arguments.output == "table":
        screen.line(f"onecity {number}")
        return 0
    from controller.cli.plain import as_text

    screen.line(as_text({"version": number}, arguments.output))
    return 0


def _show(arguments: Namespace, screen: Screen, found: Any, table: Any) -> int:
    if arguments.output == "table":
        table()
        return 0
    from controller.cli.plain import as_text, plain

    value = [plain(item) for item in found] if isinstance(found, list) else plain(found)
    screen.line(as_text(value, arguments.output))
    return 0
