"""A report from a store of forty days: read aside, forecast in a process of its own, told in every form."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from onecity.v1 import report_pb2 as pb

from controller.changes.state import DesiredState, rebuilt
from controller.cli.report_page import page
from controller.cli.reporting import as_csv
from controller.errors import ConfigurationError
from controller.network.inventory import Inventory
from controller.network.merge import merge
from controller.northbound.reports import message
from controller.reports.maker import Reports
from controller.store.attained import LinkHour, Outage, ServiceHour
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


async def test_a_tenant_is_told_of_no_links_that_it_does_not_ride(reports: Reports) -> None:
    assert (await reports.report("gov", "week", None, 5)).links == ()
    with pytest.raises(ConfigurationError, match="nothing is known of a tenant 'go'"):
        await reports.report("go", "week", None, 0)


async def test_every_form_tells_the_same_and_text_of_others_does_no_harm(reports: Reports) -> None:
    told = message(await reports.report("", "week", None, 1))
    rows = list(csv.DictReader(io.StringIO(as_csv(told))))
    assert [r["service"] for r in rows] == ["<i>x/=cmd", "gov/a"]
    assert float(rows[1]["availability"]) == pytest.approx(1 - 100 / 3600)
    assert rows[1]["promised_availability"] == ""
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
    wanted = {"as_promised": "0.9", "availability": "0.9", "down_s": "10.0", "unseen_s": "5.0", "delay_limit_s": "0.05",
              "delay_mean_s": "0.01", "delay_worst_s": "", "loss_worst": "0.5"}  # fmt: skip
    assert {k: first[k] for k in wanted} == wanted
    assert (second["as_promised"], second["measured_s"], second["unseen_s"]) == ("", "0.0", "105.0")


def test_budget_and_burn_are_told_on_page_and_in_the_table_of_a_spreadsheet() -> None:
    one = pb.ServiceReport(
        service="gov/a", verdict=pb.VERDICT_MISSED, budget_s=604.8, budget_left_ratio=-0.654, burn_rate=2.5
    )
    told = pb.Report(services=[one, pb.ServiceReport(service="gov/b", verdict=pb.VERDICT_UNPROMISED)])
    spent, nothing = csv.DictReader(io.StringIO(as_csv(told)))
    assert (spent["budget_s"], spent["budget_left_ratio"], spent["burn_rate"]) == ("604.8", "-0.654", "2.5")
    assert (nothing["budget_s"], nothing["burn_rate"]) == ("", "")
    html = page(told)
    assert "-66 % of 10 min" in html
    assert "2.5×" in html


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
