"""Windows, restarts, kills and cuts: what stands goes on standing, and what is due happens by itself."""

from __future__ import annotations

import time
import urllib.request

from onecity.v1 import status_pb2

from tests.end_to_end.intents import council, office, slice_over_three
from tests.support.stage import COMMITTED, Stage, eventually

SCHEDULED, ACTIVE, EXPIRED = status_pb2.PHASE_SCHEDULED, status_pb2.PHASE_ACTIVE, status_pb2.PHASE_EXPIRED


def test_a_window_opens_and_closes_by_itself_also_over_a_restart(longgang: Stage) -> None:
    opens, conference = time.monotonic() + 12, council(12, 14)

    def scheduled_or_late() -> bool:
        return _phase(longgang, "gov/council") == SCHEDULED or time.monotonic() >= opens

    _, result = longgang.client.apply(office(), conference)
    assert result.outcome == COMMITTED, result.message
    assert scheduled_or_late()
    longgang.kill_daemon()
    longgang.start_daemon()
    assert scheduled_or_late()
    eventually(lambda: _phase(longgang, "gov/council") == ACTIVE)
    assert not any(longgang.client.differences().values())
    longgang.kill_daemon()
    longgang.start_daemon()
    eventually(lambda: _phase(longgang, "gov/council") == EXPIRED)
    assert not any(longgang.client.differences().values())
    assert _phase(longgang, "gov/office") == ACTIVE


def test_parties_of_a_conference_are_watched_one_by_one_in_the_window_and_told_of_after_it(longgang: Stage) -> None:
    assert longgang.client.apply(office(), _unmoved(council(-1, 600, parties=4)))[1].outcome == COMMITTED

    def states() -> dict[str, str]:
        return {p.name: p.health for p in longgang.client.describe("gov/council").parties}

    eventually(lambda: states() == dict.fromkeys(("p0", "p1", "p2", "p3"), "ok"))
    assert 'onecity_vip_party_delay_seconds{party="p0",service="gov/council"}' in _scraped(longgang)
    longgang.city.plant({"type": "degrade", "link": "f-zhihui-longcheng", "loss": 0.01, "delay_s": 0.0})
    try:  # two of them stand beyond that fibre
        eventually(lambda: states() == {"p0": "ok", "p1": "violated", "p2": "ok", "p3": "violated"})
    finally:
        longgang.city.plant({"type": "restore", "what": "all"})
    assert longgang.client.apply(_unmoved(council(-1, 4, parties=4)))[1].outcome == COMMITTED  # it ends earlier
    eventually(lambda: _phase(longgang, "gov/council") == EXPIRED)
    found = longgang.client.describe("gov/council")
    assert not found.parties  # nobody is watched any more
    assert found.record.over
    assert [p.name for p in found.record.parties] == ["p0", "p1", "p2", "p3"]
    assert all(p.ok_s > 0 and p.HasField("delay_mean_s") for p in found.record.parties)
    assert [p.violated_s > 0 for p in found.record.parties] == [False, True, False, True]
    told = longgang.command("describe", "gov/council").stdout
    assert "parties in the window" in told
    assert "window over" in told
    asked = longgang.command("report", "--tenant", "gov", "--period", "day", "-o", "html")
    assert asked.returncode == 0, asked.stderr
    assert "Parties of assured conferences" in asked.stdout


def test_a_killed_daemon_comes_back_and_ends_the_open_change(longgang: Stage) -> None:
    for number, pause_s in enumerate((0.004, 0.012, 0.018, 0.024, 0.030, 0.036)):
        name = f"survey-{number}"
        longgang.client.begin(slice_over_three(name, f"10.{70 + number}"))
        time.sleep(pause_s)
        longgang.kill_daemon()
        longgang.start_daemon()
        assert not any(longgang.client.differences().values()), f"torn after {pause_s} s"


def test_a_domain_controller_that_is_killed_forgets_nothing(longgang: Stage) -> None:
    longgang.client.apply(office(), slice_over_three())
    for name in ("city-ip", "city-otn"):
        longgang.city.domain_process(name).kill()
        longgang.city.domain_process(name).restart()

    def as_desired() -> bool:
        found = longgang.command("diff", "-o", "json")
        return found.returncode == 0

    eventually(as_desired)
    _, result = longgang.client.apply(slice_over_three("second", "10.90"))
    assert result.outcome == COMMITTED, result.message


def test_a_cut_under_a_protected_slice_moves_it_to_its_standby(longgang: Stage) -> None:
    longgang.client.apply(slice_over_three())
    eventually(lambda: _delay_s(longgang, "lands/survey") > 0)
    before = _delay_s(longgang, "lands/survey")
    longgang.city.plant({"type": "cut", "fibre": "f-nanwan-buji"})
    try:
        eventually(lambda: _delay_s(longgang, "lands/survey") > before + 0.0003)
        conditions = {c.type: c for c in longgang.client.describe("lands/survey").status.conditions}
        assert conditions["Protected"].reason == "OnStandby"
    finally:
        longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: 0 < _delay_s(longgang, "lands/survey") < before + 0.0001)


def test_prometheus_finds_the_service(longgang: Stage) -> None:
    longgang.client.apply(slice_over_three())
    wanted = 'onecity_service_delay_seconds{service="lands/survey"}'
    eventually(lambda: wanted in _scraped(longgang))
    assert 'onecity_domain_up{domain="city-ip"} 1.0' in _scraped(longgang)


def _unmoved(text: str) -> str:
    return text.replace("spec:\n", "spec:\n  assurance: off\n", 1)


def _phase(longgang: Stage, service: str) -> int:
    return int(longgang.client.services()[service].phase)


def _delay_s(longgang: Stage, service: str) -> float:
    measured = longgang.client.describe(service).status.measured
    return float(measured.delay.value) if measured.HasField("delay") else 0.0


def _scraped(longgang: Stage) -> str:
    with urllib.request.urlopen(f"http://{longgang.metrics}/metrics", timeout=5) as answer:
        return str(answer.read().decode())
