"""Windows, restarts, kills and cuts: what stands goes on standing, and what is due happens by itself."""

from __future__ import annotations

import time
import urllib.request
from datetime import UTC, datetime, timedelta

from onecity.v1 import status_pb2

from tests.end_to_end.intents import council, in_window, office, partition, slice_over_three, wavelength
from tests.support.stage import COMMITTED, Stage, eventually

SCHEDULED, ACTIVE, EXPIRED = status_pb2.PHASE_SCHEDULED, status_pb2.PHASE_ACTIVE, status_pb2.PHASE_EXPIRED


def test_a_window_opens_and_closes_by_itself_also_over_a_restart(longgang: Stage) -> None:
    _, result = longgang.client.apply(office(), council(12, 8))
    assert result.outcome == COMMITTED, result.message
    assert _phase(longgang, "gov/council") == SCHEDULED
    longgang.kill_daemon()
    longgang.start_daemon()
    assert _phase(longgang, "gov/council") == SCHEDULED
    eventually(lambda: _phase(longgang, "gov/council") == ACTIVE)
    assert not any(longgang.client.differences().values())
    longgang.kill_daemon()
    longgang.start_daemon()
    eventually(lambda: _phase(longgang, "gov/council") == EXPIRED)
    assert not any(longgang.client.differences().values())
    assert _phase(longgang, "gov/office") == ACTIVE


def test_slices_and_planes_open_and_close_by_themselves_also_over_a_restart(longgang: Stage) -> None:
    """A plane, a slice over IP and two over optics, of which the second takes the wavelength of the first.

    No step hangs on how quick the machine is: a moment that comes too soon is only found to have come.
    """
    far = _from_now(3600)
    names = ("gov/office", "lands/partition", "lands/first")
    texts = (office(), partition(), wavelength("first"))
    second = wavelength("second", "10.91")
    ahead = [in_window(text, _from_now(1800), far) for text in texts]
    _, result = longgang.client.apply(*ahead, in_window(second, far, _from_now(7200)))
    assert result.outcome == COMMITTED, result.message
    longgang.kill_daemon()
    longgang.start_daemon()
    assert {_phase(longgang, name) for name in (*names, "lands/second")} == {SCHEDULED}
    before = longgang.client.describe("lands/first").status
    assert ", opens in " in before.summary
    assert {c.type: c.message for c in before.conditions}["Placed"].startswith("reserved for 20")
    assert not any(longgang.client.differences().values())

    _, result = longgang.client.apply(*(in_window(text, _from_now(1), far) for text in texts))
    assert result.outcome == COMMITTED, result.message
    eventually(lambda: {_phase(longgang, name) for name in names} == {ACTIVE})
    assert ", closes in " in longgang.client.services()["lands/first"].summary
    assert _phase(longgang, "lands/second") == SCHEDULED
    assert not any(longgang.client.differences().values())

    start = _from_now(-60)
    for ahead_s in (3, 30, 90):  # a moment that is gone before it is heard of is refused
        turn = _from_now(ahead_s)
        closing = [in_window(text, start, turn) for text in texts]
        _, result = longgang.client.apply(*closing, in_window(second, turn, far))
        if result.outcome == COMMITTED:
            break
    assert result.outcome == COMMITTED, result.message
    longgang.kill_daemon()
    longgang.start_daemon()
    eventually(lambda: _phase(longgang, "lands/second") == ACTIVE)
    eventually(lambda: {_phase(longgang, name) for name in names} == {EXPIRED})
    assert not any(longgang.client.differences().values())


def test_a_window_that_cannot_open_holds_up_no_other_and_opens_as_soon_as_it_can(longgang: Stage) -> None:
    """The domain that one of them needs is away when both are due; the one that comes first by name."""
    optical = longgang.city.domain_process("city-otn")
    start, end = _from_now(2), _from_now(3600)
    texts = [in_window(wavelength("a-wave"), start, end), in_window(partition("b-partition"), start, end)]
    _, result = longgang.client.apply(*texts)
    assert result.outcome == COMMITTED, result.message
    optical.kill()
    try:
        eventually(lambda: _phase(longgang, "lands/b-partition") == ACTIVE)
    finally:
        optical.restart()
    eventually(lambda: _phase(longgang, "lands/a-wave") == ACTIVE)
    assert not any(longgang.client.differences().values())


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
    page = longgang.command("report", "--tenant", "gov", "--period", "day", "-o", "html").stdout
    assert "Parties of assured conferences" in page


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


def _from_now(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


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
