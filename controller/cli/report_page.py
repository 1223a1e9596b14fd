"""A report as one HTML page that needs nothing else: no script, no picture, no network. Prints well."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from onecity.v1 import report_pb2 as pb

from controller.cli.quantities import NOTHING, count, percent, rate, ratio, seconds
from controller.cli.report_words import VERDICTS, budget_left, burn_rate, given, lasted, moment, seen

STYLE = """
:root{--ink:#1c2733;--soft:#5b6b7b;--line:#dfe5ea;--good:#19734a;--bad:#b3261e;--doubt:#8a6100;--sheet:#fff;--bg:#f4f6f8}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9aa8b5;--line:#33404c;--good:#5fd39b;
--bad:#ff8a80;--doubt:#f0c35a;--sheet:#18212a;--bg:#10161c}}
@page{size:A4 landscape;margin:12mm}
body{font:15px/1.5 system-ui,"Noto Sans","Noto Sans CJK SC",sans-serif;color:var(--ink);background:var(--bg);margin:0;
padding:2rem 1rem}main{max-width:70rem;margin:auto;background:var(--sheet);padding:2rem;border-radius:8px}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}p,li{max-width:46rem}.soft{color:var(--soft)}
.numbers{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:1.4rem 0}.numbers b{display:block;font-size:1.8rem;
line-height:1.2}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);font-size:.85rem}td.n,th.n{text-align:right}td.n{white-space:nowrap}.kept{color:var(--good)}
.missed{color:var(--bad)}.unmeasured{color:var(--doubt)}.unpromised{color:var(--soft)}svg{display:block}
@media print{:root{--bg:#fff;--soft:#444}body{padding:0;font-size:10pt}main{max-width:none;padding:0;border-radius:0}
.scroll{overflow:visible}table{font-size:8pt}th{font-size:7.5pt}th,td{padding:.25rem .5rem .25rem 0}
h2{break-after:avoid}tr,svg,li{break-inside:avoid}thead{display:table-header-group}rect,span{print-color-adjust:exact}}
"""
CLASSES = {
    pb.VERDICT_KEPT: "kept",
    pb.VERDICT_MISSED: "missed",
    pb.VERDICT_UNMEASURED: "unmeasured",
    pb.VERDICT_UNPROMISED: "unpromised",
}
MOST_ROWS = 500
# Of charts, for light and dark; written out, as what makes a PDF of a page often knows no variables there.
FINE, SHORT, BLANK, MEASURED, FORESEEN = "#2f9e6e", "#d9453a", "#aeb9c4", "#3d82c4", "#c98a1b"


def page(made: pb.Report) -> str:
    """Return the page. All text of others is escaped."""
    title = f"Service report – {made.tenant or 'all tenants'}"
    body = (
        f"<h1>{escape(title)}</h1>"
        f'<p class="soft">{moment(made.since)} to {moment(made.until)} UTC, made {moment(made.made_at)} UTC</p>'
        f"{_numbers(made)}{_advice(made)}{_parts(made)}{_services(made)}{_parties(made)}{_incidents(made)}{_outages(made)}{_links(made)}"
        f"{_method()}"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _numbers(made: pb.Report) -> str:
    kept = sum(s.verdict == pb.VERDICT_KEPT for s in made.services)
    missed = sum(s.verdict == pb.VERDICT_MISSED for s in made.services)
    measured_s = sum(s.measured_s for s in made.services)
    down_s = sum(s.down_s for s in made.services)
    available = percent(1 - down_s / measured_s) if measured_s else NOTHING
    mended = [_lasted_s(o) for o in made.outages if o.HasField("ended_at")]
    facts = (
        (f"{kept} of {kept + missed}" if kept + missed else NOTHING, "promises kept"),
        (available, "available, all services"),
        (f"{len(made.incidents)}", "incidents"),
        (lasted(sum(mended) / len(mended)) if mended else NOTHING, "mean time to repair"),
    )
    return '<div class="numbers">' + "".join(f"<div><b>{v}</b>{words}</div>" for v, words in facts) + "</div>"


def _lasted_s(one: pb.OutageReport) -> float:
    return float((one.ended_at.ToDatetime() - one.began_at.ToDatetime()).total_seconds())


def _advice(made: pb.Report) -> str:
    said = [escape(sentence) for sentence in made.advice]
    said += [f"<b>{escape(s.service)}</b>: {escape(sentence)}" for s in made.services for sentence in s.advice]
    if not said:
        return ""
    return "<h2>What this means</h2><ul>" + "".join(f"<li>{s}</li>" for s in said[:MOST_ROWS]) + "</ul>"


def _parts(made: pb.Report) -> str:
    if len(made.parts) < 2:
        return ""
    width, height, gap = 700, 90, 2
    step = width / len(made.parts)
    bars = []
    for number, part in enumerate(made.parts):
        as_promised = given(part, "attainment")
        colour = BLANK if as_promised is None else FINE if as_promised >= 0.999 else SHORT
        tall = height if as_promised is None else max(3.0, height * as_promised)
        words = f"{moment(part.began_at)}: {percent(as_promised)} as promised, {part.measured_ratio:.0%} measured"
        words = words if part.recorded else f"{moment(part.began_at)}: nothing was recorded"
        bars.append(
            f'<rect x="{number * step:.1f}" y="{height - tall:.1f}" width="{max(1.0, step - gap):.1f}" '
            f'height="{tall:.1f}" fill="{colour}"><title>{escape(words)}</title></rect>'
        )
    return (
        "<h2>As promised over time</h2>"
        f'<svg viewBox="0 0 {width} {height}" width="100%" role="img" aria-label="share of time as promised">'
        f'{"".join(bars)}</svg><p class="soft">Each bar is one part of the period; grey: nothing was measured, '
        "red: below 99.9 % of the measured time.</p>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    def cell(tag: str, number: int, text: str) -> str:
        return f'<{tag} class="n">{text}</{tag}>' if number in right else f"<{tag}>{text}</{tag}>"

    top = "".join(cell("th", n, h) for n, h in enumerate(head))
    lines = ["".join(cell("td", n, v) for n, v in enumerate(row)) for row in rows[:MOST_ROWS]]
    more = f'<p class="soft">{len(rows) - MOST_ROWS} more are in the CSV.</p>' if len(rows) > MOST_ROWS else ""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>{more}'


def _services(made: pb.Report) -> str:
    rows = []
    worst_first = (pb.VERDICT_MISSED, pb.VERDICT_UNMEASURED, pb.VERDICT_KEPT, pb.VERDICT_UNPROMISED)
    for one in sorted(made.services, key=lambda s: (worst_first.index(s.verdict), s.service)):
        word, _ = VERDICTS[one.verdict]
        rows.append((
            f"{escape(one.service)}<br><span class='soft'>{escape(_kind(one))}</span>",
            f'<span class="{CLASSES[one.verdict]}">{word}</span>',
            percent(given(one.promised, "availability")),
            percent(given(one, "availability")),
            percent(given(one, "attainment")),
            budget_left(one),
            burn_rate(one),
            _of(seconds(given(one.delay, "worst")), seconds(given(one.delay, "limit"))),
            _of(ratio(given(one.loss, "mean")), ratio(given(one.loss, "limit"))),
            _of(rate(given(one.throughput, "mean_bps")), rate(given(one.promised, "rate_bps"))),
            f"{one.outages}",
            lasted(one.longest_s) if one.outages else NOTHING,
            lasted(given(one, "repair_mean_s")),
            seen(one),
        ))  # fmt: skip
    head = ("service", "promise", "promised", "available", "as promised", "error budget", "burn", "worst delay",
            "mean loss", "mean rate", "outages", "longest", "repair", "measured")  # fmt: skip
    return "<h2>Services</h2>" + _table(head, rows, right=(2, 3, 4, 6, 10, 13))


def _kind(one: pb.ServiceReport) -> str:
    return ", ".join(filter(None, (one.kind, "withdrawn" if one.withdrawn else "")))


def _parties(made: pb.Report) -> str:
    rows = []
    for one in made.services:
        for party in sorted(one.parties, key=lambda p: (-(p.violated_s + p.down_s), p.name)):
            measured_s = party.ok_s + party.violated_s + party.down_s
            rows.append((
                escape(one.service),
                escape(party.name),
                percent(party.ok_s / measured_s) if measured_s else NOTHING,
                lasted(party.violated_s + party.down_s) if party.violated_s + party.down_s else NOTHING,
                seconds(given(party, "delay_mean_s")),
                seconds(given(party, "delay_worst_s")),
                seconds(given(party, "jitter_worst_s")),
                ratio(given(party, "loss_mean")),
                lasted(party.unknown_s) if party.unknown_s else NOTHING,
            ))  # fmt: skip
    if not rows:
        return ""
    head = ("assurance", "party", "as promised", "not", "mean delay", "worst delay", "worst jitter", "mean loss",
            "not seen")  # fmt: skip
    return "<h2>Parties of assured conferences</h2>" + _table(head, rows, right=(2,))


def _of(value: str, limit: str) -> str:
    return f"{value} <span class='soft'>of {limit}</span>" if limit != NOTHING else value


def _incidents(made: pb.Report) -> str:
    if not made.incidents:
        return ""
    rows = []
    for one in made.incidents:
        open_s = (one.closed_at.ToDatetime() - one.opened_at.ToDatetime()).total_seconds()
        concerned = ", ".join(one.services[:5]) + (
            f" and {len(one.services) - 5} more" if len(one.services) > 5 else ""
        )
        closed = lasted(open_s) if one.HasField("closed_at") else "open"
        rows.append((moment(one.opened_at), closed, escape(one.title), escape(concerned) or "none"))
    return "<h2>Incidents</h2>" + _table(("when, UTC", "lasted", "cause", "services concerned"), rows)


def _outages(made: pb.Report) -> str:
    if not made.outages:
        return ""
    rows = []
    for one in made.outages:
        state = "down" if one.state == "down" else "outside its SLO"
        closed = lasted(_lasted_s(one)) if one.HasField("ended_at") else "still is"
        rows.append((moment(one.began_at), escape(one.service), state, closed, escape(one.reason)))
    return f"<h2>{count(len(rows), 'outage')} and how long each took</h2>" + _table(
        ("when, UTC", "service", "was", "repaired after", "why"), rows
    )


def _links(made: pb.Report) -> str:
    if not made.links:
        return ""
    rows = []
    for one in made.links:
        if one.problem:
            rows.append((escape(one.link), NOTHING, rate(given(one, "now_bps")), escape(one.problem), "", "", ""))
            continue
        full = f"{one.full_in_days:.0f} days" if one.HasField("full_in_days") else f"&gt; {one.foreseen_days:.0f} days"
        error = f"{one.error_ratio:.1%}<br><span class='soft'>plain {one.plain_error_ratio:.1%}</span>"
        rows.append((
            escape(one.link),
            _line(one),
            rate(given(one, "now_bps")),
            rate(given(one, "in_30_days_bps")),
            rate(given(one, "peak_in_30_days_bps")),
            full,
            error,
        ))  # fmt: skip
    head = ("link", "30 days ahead", "now", "in 30 days", "peak until then", "full in", "error when tried")
    return "<h2>Bandwidth ahead</h2>" + _table(head, rows)


def _line(one: pb.LinkForecast) -> str:
    """Return measured and foreseen days as one line, the foreseen part dashed."""
    measured, ahead = list(one.daily_bps)[-60:], list(one.ahead_bps)
    top = max([*measured, *ahead, 0.0])
    if not top or len(measured) + len(ahead) < 2:
        return NOTHING
    step = 180 / (len(measured) + len(ahead) - 1)

    def points(values: Sequence[float], first: int) -> str:
        return " ".join(f"{(first + n) * step:.1f},{40 - 36 * v / top:.1f}" for n, v in enumerate(values))

    dashed = points([*measured[-1:], *ahead], max(0, len(measured) - 1))
    return (
        '<svg viewBox="0 0 180 42" width="180" height="42" role="img" aria-label="measured and foreseen">'
        f'<polyline points="{points(measured, 0)}" fill="none" stroke="{MEASURED}"/>'
        f'<polyline points="{dashed}" fill="none" stroke="{FORESEEN}" stroke-dasharray="4 3"/></svg>'
    )


def _method() -> str:
    return (
        "<h2>How this was measured</h2><p class='soft'>Every service is looked at about once a second, in a city "
        "of thousands of services every few seconds; each second goes to the state it was in. "
        "Available: not down. As promised: neither down nor outside its limits on delay, "
        "jitter and loss. A promise is kept where the service was as promised for at least the promised share of the "
        "measured time, by the promise that stands at the end, or stood last. Budget: the time outside its promise "
        "that the promised availability allows in the period; a burn of 1× spends exactly that. Time in "
        "which nobody could see a service counts for neither side and is told under “measured”. "
        "Forecasts: Holt–Winters smoothing over hourly means; the error is that on the newest measurements, held back "
        "and then compared; “plain” is the error of repeating the last day or week.</p>"
    )
