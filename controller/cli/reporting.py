"""`onecity report`: what services attained, for a manager (HTML), a spreadsheet (CSV), a program or at a glance."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime

from onecity.v1 import report_pb2 as pb
from onecity.v1 import status_pb2

from controller.cli.client import Client
from controller.cli.errors import CommandError
from controller.cli.plain import as_text, enum_word, plain
from controller.cli.quantities import NOTHING, count, percent, rate, seconds
from controller.cli.report_page import page
from controller.cli.report_words import VERDICTS, budget_left, burn_rate, given, lasted, moment, seen
from controller.cli.screen import Screen, harmless

PERIODS = {
    "day": pb.REPORT_PERIOD_DAY,
    "week": pb.REPORT_PERIOD_WEEK,
    "month": pb.REPORT_PERIOD_MONTH,
    "year": pb.REPORT_PERIOD_YEAR,
}
FORMATS = ("table", "html", "csv", "json", "yaml")
COLUMNS = (
    "service", "kind", "verdict", "promised_availability_ratio", "availability_ratio", "as_promised_ratio",
    "measured_s", "unseen_s",
    "down_s", "violated_s", "outages", "longest_outage_s", "mean_repair_s", "delay_limit_s", "delay_mean_s",
    "delay_worst_s", "delay_over_ratio", "jitter_limit_s", "jitter_mean_s", "jitter_worst_s", "jitter_over_ratio",
    "loss_limit_ratio", "loss_mean_ratio", "loss_worst_ratio", "loss_over_ratio", "rate_promised_bps", "rate_mean_bps",
    "rate_most_bps", "advice", "party", "budget_s", "budget_left_ratio", "burn_rate",
    "withdrawn", "since", "until",
)  # fmt: skip


def report(arguments: Namespace, screen: Screen) -> int:
    """Ask for a report and write it in the form wanted."""
    request = pb.GetReportRequest(tenant=arguments.tenant, period=PERIODS[arguments.period], links=_links(arguments))
    if arguments.until:
        request.until.FromDatetime(_until(arguments.until))
    with Client(arguments.server, arguments.timeout) as client:
        made = client.call(client.reports.GetReport, request).report
    if arguments.output == "html":
        screen.out.write(page(made))
    elif arguments.output == "csv":
        screen.out.write(as_csv(made))
    elif arguments.output != "table":
        screen.line(as_text(plain(made), arguments.output))
    else:
        show(screen, made)
    return 0


def _links(arguments: Namespace) -> int:
    """A table of services in CSV has no place for links: they take seconds each."""
    return 0 if arguments.output == "csv" else int(arguments.links)


def _until(text: str) -> datetime:
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise CommandError(f"--until {text}: write a day or an hour of UTC, such as 2026-11-21 or 2026-11-21T08:00")


def as_csv(made: pb.Report) -> str:
    """Return one row for every service, and after it one for each party of an assured conference, of kind Party.

    Units are in the names of columns: _s seconds, _bps bit/s, _ratio 0..1; since and until are UTC.
    Empty: not measured or not promised. Formulas of spreadsheets are defused.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in made.services:
        values = [one.service, one.kind, enum_word(pb.Verdict.DESCRIPTOR, one.verdict), *_numbers(one)]
        period = [f"{stamp.ToDatetime(tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}" for stamp in (made.since, made.until)]
        gone = "yes" if one.withdrawn else "no"
        rows: list[list[object]] = [[*values, " ".join(one.advice), "", *_budget(one), gone, *period]]
        rows += [_party(one, party, period) for party in one.parties]
        writer.writerows(["" if v is None else _defused(v) for v in row] for row in rows)
    return target.getvalue()


def _party(one: pb.ServiceReport, party: status_pb2.PartyAttained, period: list[str]) -> list[object]:
    """Return the row of a party, whose limits are those of its service; what is not counted by party is empty."""
    measured_s = party.ok_s + party.violated_s + party.down_s
    known: dict[str, object] = {
        "service": one.service,
        "kind": "Party",
        "party": party.name,
        "availability_ratio": 1 - party.down_s / measured_s if measured_s else None,
        "as_promised_ratio": party.ok_s / measured_s if measured_s else None,
        "measured_s": measured_s,
        "unseen_s": party.unknown_s,
        "down_s": party.down_s,
        "violated_s": party.violated_s,
        "since": period[0],
        "until": period[1],
    }
    for name, limited in (("delay", one.delay), ("jitter", one.jitter), ("loss", one.loss)):
        field, unit = ("", "_ratio") if name == "loss" else ("_s", "_s")
        known[f"{name}_limit{unit}"] = given(limited, "limit")
        known |= {f"{name}_{what}{unit}": given(party, f"{name}_{what}{field}") for what in ("mean", "worst")}
    return [known.get(column) for column in COLUMNS]


def _numbers(one: pb.ServiceReport) -> Iterator[float | int | None]:
    yield given(one.promised, "availability")
    yield from (given(one, "availability"), given(one, "attainment"))
    yield from (one.measured_s, one.unseen_s, one.down_s, one.violated_s, one.outages, one.longest_s)
    yield given(one, "repair_mean_s")
    for limited in (one.delay, one.jitter, one.loss):
        yield from (given(limited, name) for name in ("limit", "mean", "worst", "over_ratio"))
    yield given(one.promised, "rate_bps")
    yield from (given(one.throughput, name) for name in ("mean_bps", "most_bps"))


def _budget(one: pb.ServiceReport) -> Iterator[float | int | None]:
    yield from (given(one, name) for name in ("budget_s", "budget_left_ratio", "burn_rate"))


def _defused(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def show(screen: Screen, made: pb.Report) -> None:
    """Write the report at a glance."""
    screen.line(f"{made.tenant or 'all tenants'}, {moment(made.since)} to {moment(made.until)} UTC")
    for sentence in made.advice:
        screen.line(f"  {harmless(sentence)}")
    screen.line()
    head = (
        "service",
        "",
        "promised",
        "available",
        "as promised",
        "error budget",
        "burn",
        "delay",
        "of",
        "carried",
        "outages",
        "longest",
        "repair",
        "seen",
    )
    rows = [_row(screen, one) for one in made.services]
    screen.table(head, rows, right=(10,))
    told = [(one.service, sentence) for one in made.services for sentence in one.advice]
    if told:
        screen.line()
    for service, sentence in told:
        screen.line(f"{screen.paint(service, 'bold')}: {harmless(sentence)}")
    if made.incidents:
        screen.line()
        rows = [
            [moment(i.opened_at), _ended(i), harmless(i.title), count(len(i.services), "service")]
            for i in made.incidents
        ]
        screen.table(("incident", "lasted", "cause", "concerned"), rows)
    if made.links:
        screen.line()
        screen.table(
            ("link", "now", "in 30 days", "peak until then", "full in", "error"), [_link(k) for k in made.links]
        )


def _row(screen: Screen, one: pb.ServiceReport) -> list[str]:
    word, colour = VERDICTS.get(one.verdict, ("", ""))
    return [
        f"{one.service} (withdrawn)" if one.withdrawn else one.service,
        screen.paint(word, colour),
        percent(given(one.promised, "availability")),
        percent(given(one, "availability")),
        percent(given(one, "attainment")),
        budget_left(one),
        burn_rate(one),
        seconds(given(one.delay, "worst")),
        seconds(given(one.delay, "limit")),
        rate(given(one.throughput, "mean_bps")),
        f"{one.outages}",
        lasted(one.longest_s) if one.outages else NOTHING,
        lasted(given(one, "repair_mean_s")),
        seen(one),
    ]


def _ended(one: pb.IncidentSummary) -> str:
    if not one.HasField("closed_at"):
        return "open"
    return lasted((one.closed_at.ToDatetime() - one.opened_at.ToDatetime()).total_seconds())


def _link(one: pb.LinkForecast) -> list[str]:
    if one.problem:
        return [one.link, rate(given(one, "now_bps")), one.problem, "", "", ""]
    full = (
        f"{one.full_in_days:.0f} days" if one.HasField("full_in_days") else f"not within {one.foreseen_days:.0f} days"
    )
    numbers = (given(one, n) for n in ("now_bps", "in_30_days_bps", "peak_in_30_days_bps"))
    return [one.link, *(rate(n) for n in numbers), full, f"{one.error_ratio:.1%} (plain {one.plain_error_ratio:.1%})"]
