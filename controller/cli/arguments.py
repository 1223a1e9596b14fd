"""The command line: every verb, its options, and a sentence on each."""

from __future__ import annotations

import argparse
import os

from controller.cli.errors import CommandError

OBJECTIVES = ("latency", "cost", "balance", "availability")
FORMATS = ("table", "json", "yaml")
SERVER_DEFAULT = "127.0.0.1:50505"
VERBS_BESIDE = {
    "serve": "run the controller (see onecity serve --help)",
    "restore": "put a backup in the place of the store, while no daemon runs (see onecity restore --help)",
    "lab": "run an emulated city (onecity lab --help)",
}


class Parser(argparse.ArgumentParser):
    """Mistakes on the command line end as every other one: a sentence, exit code 1 (2 means "changes")."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise CommandError(f"{message}; see `{self.prog} --help`")


def parser() -> Parser:
    """Return the parser of all verbs but those that join through entry points."""
    from importlib.metadata import version

    top = Parser(
        prog="onecity",
        description="The coordinating controller of a city's networks: intents in, committed configuration out.",
        epilog="also: " + "; ".join(f"{verb}: {words}" for verb, words in VERBS_BESIDE.items()),
    )
    top.add_argument("--version", action="version", version=f"onecity {version('onecity')}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    _intent_verbs(verbs)
    _change_verbs(verbs)
    _reading_verbs(verbs)
    return top


def _intent_verbs(verbs: argparse._SubParsersAction[Parser]) -> None:
    validate = verbs.add_parser("validate", help="check intent files without a daemon")
    _files(validate)
    _format(validate)
    plan = verbs.add_parser("plan", help="show what apply would do (exit code 0 nothing, 2 changes, 1 error)")
    _files(plan, some=False)
    _objective(plan)
    _connection(plan)
    _pruning(plan)
    plan.add_argument("-o", "--output", default="table", metavar="FORMAT|FILE",
                      help="table, json or yaml; or a file that keeps the plan for `apply FILE`")  # fmt: skip
    plan.add_argument("--native", action="store_true", help="also the exact XML and protobuf for each domain")
    plan.add_argument("--details", action="store_true", help="paths and resources of every service")


def _change_verbs(verbs: argparse._SubParsersAction[Parser]) -> None:
    apply = verbs.add_parser("apply", help="make the network as the intents say")
    apply.add_argument(
        "files", nargs="*", metavar="FILE|DIR|PLAN", help="intent files, directories, -, or a saved plan"
    )
    _objective(apply)
    _pruning(apply)
    apply.add_argument("--partial", action="store_true", help="let each service succeed or fail alone")
    _change(apply)
    delete = verbs.add_parser("delete", help="withdraw services")
    delete.add_argument("services", nargs="+", metavar="TENANT/NAME")
    _change(delete)
    rollback = verbs.add_parser("rollback", help="undo one change of the history, or everything after one")
    rollback.add_argument("revision", nargs="?", default="", metavar="REV", help="undo exactly this change")
    rollback.add_argument("--to", default="", metavar="REV",
                          help="instead, return everything to what it was right after this one (0: empty)")  # fmt: skip
    _change(rollback)
    drift = verbs.add_parser(
        "drift",
        help="what runs otherwise than desired, and what to do about it (exit code 0 none, 2 some)",
        description="Without an action: tell. `revert` sends again what is ours; `accept` lets what runs be as it is.",
    )
    drift.add_argument("words", nargs="*", metavar="[revert|accept] DOMAIN", help="an action, a domain, or both")
    drift.add_argument("--service", default="", metavar="TENANT/NAME", help="only this service's places")
    drift.add_argument("--now", action="store_true", help="read and compare now, not what was found last")
    drift.add_argument("--added", action="store_true",
                       help="revert: also take away what others put into entries of ours")  # fmt: skip
    drift.add_argument("--accepted", action="store_true", help="revert: also what was accepted")
    _following(drift)
    backup = verbs.add_parser("backup", help="have the running daemon write a copy of its store")
    backup.add_argument("file", metavar="FILE", help="absolute path on the daemon's machine; nothing is overwritten")
    _connection(backup)
    watch = verbs.add_parser("watch", help="follow a change that goes on")
    watch.add_argument("change", metavar="CHANGE")
    _connection(watch)
    _format(watch)


def _reading_verbs(verbs: argparse._SubParsersAction[Parser]) -> None:
    get = verbs.add_parser("get", help="list services, or some of them")
    get.add_argument("services", nargs="*", metavar="TENANT/NAME")
    get.add_argument("--tenant", default="", help="only this tenant's")
    get.add_argument("-l", "--label", default="", metavar="KEY=VALUE", help="only services with this label")
    get.add_argument("--unwell", action="store_true", help="only those that are not well, the worst first")
    describe = verbs.add_parser("describe", help="show one service: status, promised and measured, path, resources")
    describe.add_argument("service", metavar="TENANT/NAME")
    describe.add_argument("--parties", action="store_true", help="every party and pair of ends, not only the worst")
    explain = verbs.add_parser("explain", help="why a service goes where it goes, and why the runners-up lost")
    explain.add_argument("service", metavar="TENANT/NAME")
    diff = verbs.add_parser("diff", help="desired against running, per domain (exit code 0 equal, 2 different)")
    diff.add_argument("domain", nargs="?", default="", metavar="DOMAIN|REV", help="this domain; or what a change did")
    diff.add_argument("--change", default="", metavar="CHANGE", help="what this change did instead")
    history = verbs.add_parser("history", help="who changed what, when and why; with REV all of one change")
    history.add_argument("which", nargs="?", default="", metavar="TENANT/NAME|REV")
    history.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (20)")
    for verb in (diff, history):
        verb.add_argument("--native", action="store_true", help="with REV: the exact text that each domain was sent")
    blame = verbs.add_parser("blame", help="whose every place on a domain is, and from which change")
    blame.add_argument("domain", metavar="DOMAIN")
    blame.add_argument("path", nargs="?", default="", metavar="PATH",
                       help="what the path begins with (/…), or a text anywhere in it")  # fmt: skip
    blame.add_argument("--service", default="", metavar="TENANT/NAME", help="only this service's places")
    blame.add_argument("--running", action="store_true", help="what runs there, and mark what is nobody's")
    blame.add_argument("--limit", type=int, default=200, metavar="N", help="at most so many places (200)")
    topology = verbs.add_parser("topology", help="show the map: domains, nodes, links, fibres")
    topology.add_argument("part", nargs="?", choices=("domains", "nodes", "links", "fibres"), help="only this part")
    simulate = verbs.add_parser(
        "simulate", help="what would happen if … (exit code 0 every SLO holds, 2 something breaks or degrades, 1 error)"
    )
    simulate.add_argument(
        "--fail", action="append", required=True, metavar="WHAT",
        help="fibre:NAME, link:NAME, node:NAME or srlg:NAME, several at the same moment; or all-single: everything by "
        "itself; or double:SAMPLES: so many pairs at random",
    )  # fmt: skip
    simulate.add_argument("--add", nargs="+", default=[], metavar="FILE|DIR", help="as if these intents stood too")
    simulate.add_argument("--seed", type=int, default=1, metavar="N", help="draws the pairs of double (1)")
    simulate.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many rows of a table (20)")
    incidents = verbs.add_parser("incidents", help="what went wrong, why, and whom it concerns; one for every cause")
    incidents.add_argument("incident", nargs="?", default="", metavar="ID", help="all of one, with its timeline")
    incidents.add_argument("--all", action="store_true", help="also those that are over")
    incidents.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (50)")
    incidents.add_argument("-w", "--watch", action="store_true", help="follow them as they happen; Ctrl-C leaves")
    proposals = verbs.add_parser("proposals", help="moves of services that want to be asked first; accept one")
    proposals.add_argument("words", nargs="*", metavar="accept TENANT/NAME", help="carry out what is proposed")
    proposals.add_argument("--author", default="", help="who accepts it, for the history (the login name)")
    for verb in (get, describe, explain, diff, history, blame, topology, simulate, incidents, proposals):
        _connection(verb)
        _format(verb)
    report = verbs.add_parser("report", help="what services attained over a period, advice, and what links will carry")
    report.add_argument("--tenant", default="", help="only this tenant's services, incidents and links")
    report.add_argument("--period", default="week", choices=("day", "week", "month", "year"), help="(week)")
    report.add_argument("--until", default="", metavar="DAY", help="where the period ends, UTC: 2026-11-21 (now)")
    report.add_argument("--links", type=int, default=5, metavar="N",
                        help="forecast the N busiest links; some seconds each (5)")  # fmt: skip
    report.add_argument("-o", "--output", default="table", choices=(*FORMATS, "html", "csv"),
                        help="table, json, yaml, html or csv")  # fmt: skip
    _connection(report)
    schema = verbs.add_parser("schema", help="print the JSON Schema of intents, for editors")
    _connection(schema)
    version = verbs.add_parser("version", help="print the version of this command")
    _format(version)


def _files(verb: Parser, *, some: bool = True) -> None:
    words = "intent files, directories (*.yaml in them), or -"
    verb.add_argument("files", nargs="+" if some else "*", metavar="FILE|DIR", help=words)


def _objective(verb: Parser) -> None:
    verb.add_argument("--objective", choices=OBJECTIVES, default="",
                      help="instead of files: move what may move, make-before-break, where that serves it")  # fmt: skip


def _connection(verb: Parser) -> None:
    server = os.environ.get("ONECITY_SERVER", SERVER_DEFAULT)
    verb.add_argument("--server", default=server, metavar="HOST:PORT", help=f"the daemon ({server}; or ONECITY_SERVER)")
    verb.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds to wait for an answer (120)")


def _format(verb: Parser) -> None:
    verb.add_argument("-o", "--output", default="table", choices=FORMATS, help="table, json or yaml")


def _pruning(verb: Parser) -> None:
    verb.add_argument(
        "--prune", action="store_true", help="also remove services with the label of -l that no file names"
    )
    verb.add_argument("-l", "--label", default="", metavar="KEY=VALUE", help="the label that --prune goes by")
    verb.add_argument("--tenant", default="", help="the tenant that --prune acts in")


def _following(verb: Parser) -> None:
    _connection(verb)
    _format(verb)
    verb.add_argument("-y", "--yes", action="store_true", help="do not ask before traffic is interrupted")
    verb.add_argument("-m", "--reason", default="", help="why, for the history")
    verb.add_argument("--author", default="", help="who, for the history (the login name)")
    verb.add_argument("--no-wait", action="store_true", help="print the change's id and do not follow it")


def _change(verb: Parser) -> None:
    _following(verb)
    verb.add_argument("--request-id", default="", metavar="ID", help="a repeat with the same id does nothing twice")
    verb.add_argument("--details", action="store_true", help="paths and resources of every service")
