"""Incidents as the night shift reads them: what is open first, with dates and durations, and no noise at the end."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from onecity.v1 import incident_pb2 as pb

from controller.assurance.incidents import Entry, Incident
from controller.cli import incidents
from controller.cli.screen import Screen
from controller.northbound.incidents import incident_message
from tests.cli.conftest import Run

OPENED = datetime(2026, 11, 20, 23, 58, 1, tzinfo=UTC).timestamp()


def _incident(*services: str, lasted_s: float | None = None) -> pb.Incident:
    ended = None if lasted_s is None else OPENED + lasted_s
    title = "fibre f-nanwan-buji (otn-nanwan – otn-buji) is cut"
    timeline = [Entry(OPENED, title), Entry(OPENED + 3, "alarm LOS", OPENED - 3600)]
    timeline += [Entry(ended, "closed")] if ended is not None else []
    found = Incident("inc-1", "fibre:f-nanwan-buji", "fibre", title, OPENED, 0.0, frozenset(), set(services))
    found.timeline, found.closed, found.dead = timeline, ended, set(services[:1])
    return incident_message(found)


def _shown(*found: pb.Incident, whole: bool = False) -> list[str]:
    screen = Screen(out := io.StringIO())
    _ = incidents._tell(screen, found[0]) if whole else incidents._table(screen, found)
    return out.getvalue().splitlines()


def test_the_table_says_since_when_how_long_and_why() -> None:
    head, first, second = _shown(_incident("gov/video"), _incident("gov/video", lasted_s=8040.0))
    assert head.split() == ["incident", "since", "(UTC)", "lasted", "severity", "services", "cause"]
    assert first.split()[:5] == ["inc-1", "2026-11-20", "23:58:01", "open", "critical"]
    assert "  2 h 14 min  " in second
    assert second.endswith("is cut")


def test_one_incident_tells_its_day_its_end_its_tenants_and_its_story() -> None:
    out = "\n".join(_shown(_incident("gov/video", "lands/survey", lasted_s=8040.0), whole=True))
    for words in (
        "since     2026-11-20 23:58:01 UTC, closed 2026-11-21 02:12:01 after 2 h 14 min",
        "tenants   gov, lands",
        "services  gov/video (was down), lands/survey",
        "23:58:04.000  alarm LOS (22:58:01.000 by the domain's clock)",
    ):
        assert words in out, out
    assert "UTC, open" in "\n".join(_shown(_incident(), whole=True))


def test_a_followed_incident_is_one_line_with_the_time_of_its_news() -> None:
    said = incidents._line(_incident("gov/video"))
    assert said.startswith("2026-11-20 23:58:04  inc-1  open    critical  fibre")
    assert said.endswith("is cut  1 service – alarm LOS"), "what is new is said"
    assert incidents._line(_incident(lasted_s=60.0)).startswith("2026-11-20 23:59:01  inc-1  closed  warning   fibre")


async def test_a_daemon_that_is_not_there_is_one_sentence_for_who_watches(run: Run) -> None:
    ended = await run("incidents", "--watch", ONECITY_SERVER="127.0.0.1:1")
    assert ended.code == 1
    assert ended.err.startswith("no onecity daemon answers at 127.0.0.1:1; start it")
    assert len(ended.err.splitlines()) == 1
