"""The fast loop on a running city: what fails is planned around, each service alone, and nothing stale is left."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import status_pb2

from tests.end_to_end.intents import council, office, partition
from tests.support.stage import COMMITTED, Stage, eventually

TRUE, FALSE = status_pb2.CONDITION_STATUS_TRUE, status_pb2.CONDITION_STATUS_FALSE


def _slice(
    name: str, number: int, isolation: str = "timeslot", latency: str = "20ms", ends: str = "nanwan buji"
) -> str:
    a, z = ends.split()
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: mend}}
spec:
  bandwidth: 1Gbps
  isolation: {isolation}
  protection: none
  slo: {{latency: {latency}, availability: 99%}}
  endpoints:
    - {{site: {a}, lan: 10.2{number}.1.0/24}}
    - {{site: {z}, lan: 10.2{number}.2.0/24}}
"""


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    yield
    longgang.mend()


def _hops(longgang: Stage, service: str) -> set[str]:
    return {hop for path in longgang.client.describe(service).paths for hop in path.hops}


def _cut(longgang: Stage, fibre: str) -> None:
    longgang.city.plant({"type": "cut", "fibre": fibre})


def _repairs(longgang: Stage) -> list[str]:
    changes = longgang.client.stub.GetHistory(pb.GetHistoryRequest(limit=100), timeout=10).changes
    return [c.change_id for c in changes if c.author == "assurance"]


def test_a_cut_moves_what_rode_the_fibre_on_both_layers_in_one_change(longgang: Stage) -> None:
    slots, pinned = _slice("slots", 0), _slice("pinned", 1, "nrp")
    assert longgang.client.apply(slots, pinned, partition(), office())[1].outcome == COMMITTED
    before = len(_repairs(longgang))
    _cut(longgang, "f-nanwan-buji")
    eventually(lambda: "odu-f-nanwan-buji-1" not in _hops(longgang, "mend/slots"))
    eventually(lambda: "node:lg-bantian" in _hops(longgang, "mend/pinned"))
    eventually(lambda: len(_repairs(longgang)) > before)
    eventually(lambda: not any(longgang.client.differences().values()))
    _, result = longgang.client.apply(slots, pinned)  # desired state is as it was: nothing to do
    assert not [s for s in result.services if s.refusal]


def test_what_cannot_be_repaired_stops_nobody_and_is_repaired_when_it_can_be(longgang: Stage) -> None:
    tight = _slice("tight", 2, latency="0.1ms")  # only the direct way is that short
    assert longgang.client.apply(tight, _slice("loose", 3))[1].outcome == COMMITTED
    _cut(longgang, "f-nanwan-buji")
    eventually(lambda: "odu-f-nanwan-buji-1" not in _hops(longgang, "mend/loose"))
    assert "odu-f-nanwan-buji-1" in _hops(longgang, "mend/tight")
    eventually(lambda: _condition(longgang, "mend/tight", "Whole") == (FALSE, "WaitsForRepair"))
    assert {longgang.client.services()["mend/tight"].phase for _ in range(20)} == {status_pb2.PHASE_ACTIVE}
    (line,) = [k for k in longgang.command("get").stdout.splitlines() if "mend/tight" in k]
    assert "waits for its repair" in line
    why = next(c for c in longgang.client.services()["mend/tight"].conditions if c.type == "Whole").message
    assert "binds latency" in why
    assert "tried again when the map changes" in why
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not longgang.down())
    eventually(lambda: _within_slo(longgang, "mend/tight"))
    eventually(lambda: _condition(longgang, "mend/tight", "Whole") == (0, ""))


def _within_slo(longgang: Stage, service: str) -> bool:
    conditions = longgang.client.describe(service).status.conditions
    return any(c.type == "WithinSlo" and c.status == TRUE for c in conditions)


def _condition(longgang: Stage, service: str, kind: str) -> tuple[int, str]:
    found = {c.type: c for c in longgang.client.describe(service).status.conditions}
    return (found[kind].status, found[kind].reason) if kind in found else (0, "")


def test_nothing_on_a_dead_way_is_called_well_and_probed_only_after_the_event(longgang: Stage) -> None:
    tight = _slice("stuck", 7, latency="0.2ms", ends="jihua bantian")  # only the direct way is that short
    assert longgang.client.apply(tight)[1].outcome == COMMITTED
    eventually(lambda: _condition(longgang, "mend/stuck", "Probed")[0] == TRUE)
    _cut(longgang, "f-jihua-bantian")
    eventually(lambda: _condition(longgang, "mend/stuck", "WithinSlo")[1] == "Down", 5)
    assert _condition(longgang, "mend/stuck", "Health")[1] == "Down"
    assert _condition(longgang, "mend/stuck", "Probed")[0] != TRUE
    assert not _within_slo(longgang, "mend/stuck")
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: _condition(longgang, "mend/stuck", "Probed")[0] == TRUE)
    assert _condition(longgang, "mend/stuck", "Health")[1] == "Down"  # not so soon
    eventually(lambda: "recovering" in longgang.command("get").stdout)  # its fibre is held down for a second longer


def test_an_assurance_says_before_its_window_whether_it_will_hold(longgang: Stage) -> None:
    assert longgang.client.apply(office(), council(600, 60))[1].outcome == COMMITTED
    eventually(lambda: _condition(longgang, "gov/council", "Ready") == (TRUE, "Armed"))
    longgang.city.plant({"type": "down", "node": "lg-buji"})
    eventually(lambda: _condition(longgang, "gov/council", "Ready")[1] == "NotReady")


def test_a_second_failure_in_the_middle_of_a_repair_leaves_nothing_on_a_dead_way(longgang: Stage) -> None:
    ends = "zhihui nanwan"  # the first way round is the west ring; the second leads over the compute centre
    assert longgang.client.apply(*(_slice(f"s{n}", n, ends=ends) for n in range(4)))[1].outcome == COMMITTED
    _cut(longgang, "f-zhihui-nanwan")
    time.sleep(0.02)
    _cut(longgang, "f-zhihui-compute")
    dead = {"odu-f-zhihui-nanwan-1", "odu-f-zhihui-compute-1"}
    for n in range(4):
        eventually(lambda n=n: not dead & _hops(longgang, f"mend/s{n}"))
    eventually(lambda: not any(longgang.client.differences().values()))


def test_a_flap_of_300_ms_costs_one_repair_and_leaves_no_stale_state(longgang: Stage) -> None:
    assert longgang.client.apply(_slice("flapped", 5, ends="bantian pinghu"))[1].outcome == COMMITTED
    before = len(_repairs(longgang))
    for _ in range(2):
        _cut(longgang, "f-bantian-pinghu")
        time.sleep(0.3)
        longgang.city.plant({"type": "restore", "what": "all"})
        time.sleep(0.3)
    eventually(lambda: not longgang.down())
    assert len(_repairs(longgang)) == before + 1
    eventually(lambda: not any(longgang.client.differences().values()))
    eventually(lambda: _within_slo(longgang, "mend/flapped"))


def test_a_daemon_that_starts_beside_a_cut_repairs_it(longgang: Stage) -> None:
    assert longgang.client.apply(_slice("asleep", 6, ends="buji jihua"))[1].outcome == COMMITTED
    longgang.kill_daemon()
    _cut(longgang, "f-buji-jihua")
    longgang.start_daemon()
    eventually(lambda: "odu-f-buji-jihua-1" not in _hops(longgang, "mend/asleep"))
