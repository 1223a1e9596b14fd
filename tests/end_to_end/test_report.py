"""What services attained on a running city: measured, kept over a crash, told to managers, spreadsheets, programs."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.intents import office
from tests.support.stage import COMMITTED, Stage, eventually, stage

FIBRE = "f-nanwan-buji"
TIGHT = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {name: tight, tenant: bank}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  protection: none
  slo: {latency: 0.1ms, availability: 99%}  # only the direct way is that short: it waits for the fibre
  endpoints: [{site: nanwan, lan: 10.20.1.0/24}, {site: buji, lan: 10.20.2.0/24}]
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage("longgang", tmp_path_factory.mktemp("city")) as standing:
        assert standing.client.apply(TIGHT, office())[1].outcome == COMMITTED
        yield standing


def _report(city: Stage, *more: str) -> dict[str, Any]:
    done = city.command("report", "--tenant", "bank", "--links", "2", "-o", "json", *more)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _well(city: Stage) -> bool:
    (found,) = (s for s in json.loads(city.command("get", "-o", "json").stdout) if s["service"] == "bank/tight")
    return any((c["type"], c["status"]) == ("Health", "true") for c in found["conditions"])


def test_a_cut_is_in_the_report_with_its_cause_and_repair_time_also_after_a_crash(city: Stage) -> None:
    eventually(lambda: (_report(city)["services"][0]["attainment"] or 0) > 0)
    city.city.plant({"type": "cut", "fibre": FIBRE})
    eventually(lambda: _report(city)["outages"])
    city.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: _report(city)["outages"][0]["ended_at"])
    eventually(lambda: [i["closed_at"] for i in _report(city)["incidents"][:1]] not in ([], [None], [""]))
    before = _report(city)
    city.kill_daemon()
    city.start_daemon()
    after = _report(city)
    (service,) = after["services"]
    assert (service["service"], service["outages"]) == ("bank/tight", 1)
    assert service["down_s"] >= before["services"][0]["down_s"] > 0
    assert service["repair_mean_s"] == pytest.approx(before["services"][0]["repair_mean_s"])
    assert after["outages"] == before["outages"]
    assert FIBRE in after["incidents"][0]["title"]
    assert after["incidents"][0]["services"] == ["bank/tight"]


@pytest.mark.alone
def test_as_long_as_the_fibre_was_cut_so_long_was_the_service_down(city: Stage) -> None:
    """A look a second may be one late at either end."""
    eventually(lambda: _well(city))
    before = _report(city)["services"][0]
    city.city.plant({"type": "cut", "fibre": FIBRE})
    began = time.monotonic()
    time.sleep(6.0)
    city.city.plant({"type": "restore", "what": "all"})
    cut_s = time.monotonic() - began
    eventually(lambda: _report(city)["outages"][-1]["ended_at"])
    after = _report(city)["services"][0]
    assert after["outages"] == before["outages"] + 1
    assert after["down_s"] - before["down_s"] == pytest.approx(cut_s, abs=2.5)
    assert after["violated_s"] == before["violated_s"]
    passed_s = after["measured_s"] + after["unseen_s"] - before["measured_s"] - before["unseen_s"]
    assert passed_s >= cut_s  # every second of it is counted
    assert after["availability"] == pytest.approx(1 - after["down_s"] / after["measured_s"])


def test_the_same_is_told_in_every_form(city: Stage) -> None:
    table = city.command("report", "--period", "day").stdout
    assert "bank/tight" in table
    assert "needs 72 hours of measurements" in table  # an hour old: no forecast is made up
    rows = list(csv.DictReader(io.StringIO(city.command("report", "--tenant", "bank", "-o", "csv").stdout)))
    assert [(r["service"], r["promised_availability_ratio"]) for r in rows] == [("bank/tight", "0.99")]
    html = city.command("report", "-o", "html").stdout
    assert html.startswith("<!doctype html>")
    assert "bank/tight" in html


def test_describe_tells_what_is_left_of_the_error_budget(city: Stage) -> None:
    described = city.command("describe", "bank/tight").stdout
    (week,) = (line.strip() for line in described.splitlines() if "error budget of the week" in line)
    assert week.startswith("error budget of the week: ")
    assert "left, burns " in week
    assert "error budget of the month" in described


def test_mistakes_end_as_sentences(city: Stage) -> None:
    for words, arguments in (
        ("there are bank", ("--tenant", "nobody")),
        ("still to come", ("--until", "2099-01-01")),
        ("write a day", ("--until", "tomorrow")),
        ("must be from 0 to 50", ("--links", "51")),
    ):
        done = city.command("report", *arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
