"""A report from a store of forty days: read aside, forecast in a process of its own, told in every form."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from onecity.v1 import report_pb2 as pb

from controller.changes.keep import document_text
from controller.changes.state import DesiredState, rebuilt
from controller.cli.report_page import page
from controller.cli.report_words import budget_left
from controller.cli.reporting import as_csv
from controller.errors import ConfigurationError
from controller.intent import read
from controller.network.inventory import Inventory
from controller.network.merge import merge
from controller.northbound.reports import message
from controller.reports.maker import Reports
from controller.reports.model import Verdict
from controller.store.attained import LinkHour, Outage, ServiceHour
from controller.store.records import ChangeRecord, ServiceChange
from controller.store.store import Store
from tests.reports.test_forecast import load

pytest.importorskip("statsmodels")

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
LAST = int(NOW.timestamp() // 3600)


def empty() -> DesiredState:
    return rebuilt({}, merge((), Inventory(), 0, frozenset()))


@pytest.fixture
async def reports(tmp_path: Path) -> AsyncIterator[Reports]:
    store = Store.open(tmp_path / "s.db")
    services = [ServiceHour("gov/a", LAST - n, ok_s=3500.0, down_s=100.0) for n in range(40 * 24)]
    services[0].carried(3e9, 100.0)
    services += [ServiceHour("<i>x/=cmd", LAST, ok_s=1.0)]
    loads = load(40, 5e7)
    links = [
        LinkHour(link, LAST - len(loads) + n, 1.0, (value or 0.0) * share, value or 0.0, 0.0, 1e10)
        for link, share in (("link:busy", 1.0), ("link:calm", 0.2))
        for n, value in enumerate(loads)
    ]
    begun = NOW.timestamp() - 7200
    await store.add_attained(services, links, [Outage("gov/a", begun, begun + 60, "down", "f <cut>")])

    async def flushed() -> None:
        """Everything is there."""

    yield Reports(store, empty, flushed, lambda: NOW)
    store.close()


async def test_a_month_is_read_and_its_busiest_links_are_forecast(reports: Reports) -> None:
    made = await reports.report("", "month", None, 2)
    found = next(s for s in made.services if s.service == "gov/a")
    assert found.measured_s == 30 * 24 * 3600.0
    assert found.availability == pytest.approx(1 - 100 / 3600)
    assert len(made.parts) == 30
    assert [k.link for k in made.links] == ["link:busy", "link:calm"]
    assert all(k.error_ratio is not None and k.error_ratio < 0.05 for k in made.links)
    assert made.links[0].full_in_days is not None


async def test_of_a_withdrawn_service_the_last_promise_is_judged(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db")
    text = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {name: gone, tenant: bank}
spec:
  bandwidth: 1Gbps
  slo: {availability: 99.9%}
  endpoints: [{site: a, lan: 10.0.0.0/24}, {site: b, lan: 10.0.1.0/24}]
"""
    (service,) = read([("gone.yaml", text)], NOW)
    was, sid = document_text(service), service.metadata.service
    for n, (before, after) in enumerate((("", was), (was, ""))):
        record = ChangeRecord(
            f"c{n}", "me", "", NOW, services=(ServiceChange(sid, before, after),), outcome="committed"
        )
        await store.record_change(record)
    await store.add_attained([ServiceHour(sid, LAST, ok_s=900.0, down_s=100.0)], [], [])

    async def flushed() -> None:
        """Everything is there."""

    made = await Reports(store, empty, flushed, lambda: NOW).report("bank", "day", None, 0)
    (found,) = made.services
    assert (found.kind, found.withdrawn, found.verdict) == ("ExclusiveSlice", True, Verdict.MISSED)
    assert found.promised.availability == 0.999
    assert found.repair_limit_s == 7200.0
    long_ago = await Reports(store, empty, flushed, lambda: NOW).report("bank", "day", NOW - timedelta(days=9), 0)
    assert (long_ago.services, long_ago.parts) == ((), ())  # known, and nothing then
    with pytest.raises(ConfigurationError, match="no service stands"):
        await Reports(store, empty, flushed, lambda: NOW).report("nobody", "day", None, 0)
    store.close()


async def test_a_tenant_is_told_of_no_links_that_it_does_not_ride(reports: Reports) -> None:
    assert (await reports.report("gov", "week", None, 5)).links == ()
    with pytest.raises(ConfigurationError, match="nothing is known of a tenant 'go'"):
        await reports.report("go", "week", None, 0)


async def test_every_form_tells_the_same_and_text_of_others_does_no_harm(reports: Reports) -> None:
    told = message(await reports.report("", "week", None, 1))
    rows = list(csv.DictReader(io.StringIO(as_csv(told))))
    assert [r["service"] for r in rows] == ["<i>x/=cmd", "gov/a"]
    assert float(rows[1]["availability_ratio"]) == pytest.approx(1 - 100 / 3600)
    assert rows[1]["promised_availability_ratio"] == ""
    assert (rows[1]["rate_mean_bps"], rows[1]["rate_most_bps"]) == ("3000000000.0", "3000000000.0")
    assert (rows[0]["rate_mean_bps"], rows[0]["rate_most_bps"]) == ("", "")  # not measured: not a zero
    html = page(told)
    assert "<i>x" not in html
    assert "3 Gbit/s" in html
    assert "f &lt;cut&gt;" in html
    assert not re.search(r"(src|href)=|<script", html)  # nothing from elsewhere
    assert _unclosed(html) == []


def test_parties_have_rows_of_their_own_after_their_service_and_what_was_not_seen_is_empty() -> None:
    told = pb.Report(services=[pb.ServiceReport(service="gov/council", kind="VipAssurance")])
    told.services[0].delay.limit = 0.05
    told.services[0].parties.add(name="=p0", ok_s=90.0, down_s=10.0, unknown_s=5.0, delay_mean_s=0.01, loss_worst=0.5)
    told.services[0].parties.add(name="p1", unknown_s=105.0)
    whole, first, second = csv.DictReader(io.StringIO(as_csv(told)))
    assert (whole["kind"], whole["party"]) == ("VipAssurance", "")
    assert (first["service"], first["kind"], first["party"]) == ("gov/council", "Party", "'=p0")
    wanted = {"as_promised_ratio": "0.9", "availability_ratio": "0.9", "down_s": "10.0", "unseen_s": "5.0",
              "delay_limit_s": "0.05", "delay_mean_s": "0.01",
              "delay_worst_s": "", "loss_worst_ratio": "0.5"}  # fmt: skip
    assert {k: first[k] for k in wanted} == wanted
    assert (second["as_promised_ratio"], second["measured_s"], second["unseen_s"]) == ("", "0.0", "105.0")


def test_budget_and_burn_are_told_on_page_and_in_the_table_of_a_spreadsheet() -> None:
    one = pb.ServiceReport(
        service="gov/a", verdict=pb.VERDICT_MISSED, budget_s=604.8, budget_left_ratio=-0.654, burn_rate=2.5
    )
    told = pb.Report(services=[one, pb.ServiceReport(service="gov/b", verdict=pb.VERDICT_UNPROMISED)])
    spent, nothing = csv.DictReader(io.StringIO(as_csv(told)))
    assert (spent["budget_s"], spent["budget_left_ratio"], spent["burn_rate"]) == ("604.8", "-0.654", "2.5")
    assert (nothing["budget_s"], nothing["burn_rate"]) == ("", "")
    html = page(told)
    assert "10 min, spent 1.65 times over" in html
    assert "2.5×" in html


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (1.0, "100 % of 10 min left"),
        (0.999, "99 % of 10 min left"),
        (0.0, "0 % of 10 min left"),
        (-2.2, "10 min, spent 3.2 times over"),
        (-627.92, "10 min, spent 629 times over"),
        (-1e9, "10 min, spent more than 1,000 times over"),
    ],
)
def test_a_budget_is_told_in_words_that_stay_short(left: float, told: str) -> None:
    assert budget_left(pb.ServiceReport(budget_s=604.8, budget_left_ratio=left)) == told
    assert budget_left(pb.ServiceReport()) == "–"


def test_the_mean_time_to_repair_is_that_of_outages_not_of_services() -> None:
    def outage(service: str, began: int, ended: int | None) -> pb.OutageReport:
        one = pb.OutageReport(service=service, state="down")
        one.began_at.FromSeconds(began)
        if ended is not None:
            one.ended_at.FromSeconds(ended)
        return one

    many = [outage("gov/a", 1000 * n, 1000 * n + 10) for n in range(9)]
    html = page(pb.Report(outages=[*many, outage("gov/b", 0, 110), outage("gov/b", 0, None)]))
    assert "<b>20 s</b>mean time to repair" in html
    assert "11 outages and how long each took" in html


def test_columns_of_a_spreadsheet_have_their_units_and_rows_their_period() -> None:
    told = pb.Report(services=[pb.ServiceReport(service="gov/a", kind="ExclusiveSlice", withdrawn=True)])
    told.since.FromSeconds(0)
    told.until.FromSeconds(86_400)
    (row,) = csv.DictReader(io.StringIO(as_csv(told)))
    assert (row["since"], row["until"]) == ("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z")
    assert (row["kind"], row["withdrawn"]) == ("ExclusiveSlice", "yes")
    words = {"service", "kind", "verdict", "outages", "advice", "party", "burn_rate", "withdrawn", "since", "until"}
    assert [c for c in row if c not in words and not c.endswith(("_s", "_bps", "_ratio"))] == []


def test_the_page_prints_in_ink_on_paper_whatever_the_screen_shows() -> None:
    style = page(pb.Report()).partition("<style>")[2].partition("</style>")[0]
    assert "prefers-color-scheme:dark" in style
    assert style.count("prefers-color-scheme") == style.count("screen and (prefers-color-scheme:dark)")
    assert "@media print" in style
    assert ".scroll{overflow:visible}" in style  # a wide table is not cut off


def test_charts_tell_their_colours_themselves_and_draw_no_forecast_that_there_is_not() -> None:
    parts = [*(pb.ReportPart(attainment=a, recorded=True) for a in (1.0, 0.5)), pb.ReportPart()]
    short = pb.LinkForecast(link="link:new", problem="needs 72 hours of measurements, has 48", daily_bps=[1e9, 2e9])
    html = page(pb.Report(parts=parts, links=[short]))
    assert len(set(re.findall(r'<rect [^>]*fill="(#[0-9a-f]{6})"', html))) == 3
    assert "polyline" not in html
    assert "needs 72 hours" in html
    assert not re.search(r'(fill|stroke)="var', html)


def _unclosed(html: str) -> list[str]:
    """Return tags that were opened and not closed, or closed and not opened."""
    stack: list[str] = []
    wrong: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                stack.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            """Closed by itself."""

        def handle_endtag(self, tag: str) -> None:
            if not stack or stack.pop() != tag:
                wrong.append(tag)

    Reader().feed(html)
    return wrong + stack
