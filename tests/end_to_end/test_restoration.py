"""Ways kept for restoration on a running city: shared, lit by the fast loop where one fails, kept again after."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from onecity.v1 import plan_pb2, status_pb2

from tests.support.stage import COMMITTED, Stage, eventually

TRUE, FALSE = status_pb2.CONDITION_STATUS_TRUE, status_pb2.CONDITION_STATUS_FALSE
WORKING, KEPT = plan_pb2.PATH_ROLE_WORKING, plan_pb2.PATH_ROLE_RESTORATION


def _slice(name: str, number: int, a: str, z: str) -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: kept}}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  protection: restoration
  slo: {{latency: 20ms, availability: 99%}}
  endpoints:
    - {{site: {a}, lan: 10.4{number}.1.0/24}}
    - {{site: {z}, lan: 10.4{number}.2.0/24}}
"""


WEST, NORTH = _slice("west", 0, "nanwan", "buji"), _slice("north", 1, "bantian", "jihua")


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    yield
    longgang.mend()


def _way(longgang: Stage, service: str, role: int) -> tuple[list[str], str]:
    """Return the ODU links of a service's working or kept leg, and the labels as they are told."""
    found = [p for p in longgang.client.describe(service).paths if p.role == role]
    return ([h for h in found[0].hops if h.startswith("odu-")], found[0].detail) if found else ([], "")


def _protected(longgang: Stage, service: str) -> tuple[int, str]:
    conditions = {c.type: c for c in longgang.client.describe(service).status.conditions}
    found = conditions.get("Protected")  # not told while a change is under way
    return (found.status, found.reason) if found is not None else (0, "")


def _arrives(longgang: Stage, name: str, site: str, dst: str) -> bool:
    packet = {"type": "trace", "vpn": f"kept.{name}", "domain": "city-ip", "access": f"kept.{name}.{site}", "dst": dst}
    return bool(longgang.city.plant(packet).get("delivered"))


def test_a_way_is_kept_for_two_lit_for_one_and_kept_again_for_both(longgang: Stage) -> None:
    plan = longgang.client.plan(WEST)
    assert {p.role for s in plan.services for p in s.paths} == {WORKING, KEPT}
    assert longgang.client.apply(WEST)[1].outcome == COMMITTED
    assert longgang.client.apply(NORTH)[1].outcome == COMMITTED
    west, north = (_way(longgang, f"kept/{name}", KEPT) for name in ("west", "north"))
    slots = [dict(zip(hops, text.rpartition("slots ")[2].split(" | "), strict=True)) for hops, text in (west, north)]
    common = slots[0].keys() & slots[1].keys()
    assert {"odu-f-bantian-pinghu-1", "odu-f-pinghu-zhihui-1"} <= common
    assert all(slots[0][hop] == slots[1][hop] for hop in common)
    eventually(lambda: _protected(longgang, "kept/west") == (TRUE, "Restoration"))
    assert _arrives(longgang, "west", "nanwan", "10.40.2.9")
    assert not any(longgang.client.differences().values())

    longgang.city.plant({"type": "cut", "fibre": "f-nanwan-buji"})
    eventually(lambda: _way(longgang, "kept/west", WORKING)[0] == west[0])
    eventually(lambda: _arrives(longgang, "west", "nanwan", "10.40.2.9"))
    assert _way(longgang, "kept/north", WORKING)[0] == ["odu-f-jihua-bantian-1"]
    eventually(lambda: _protected(longgang, "kept/north") == (FALSE, "NoStandby"))
    assert _arrives(longgang, "north", "bantian", "10.41.2.9")
    assert not any(longgang.client.differences().values())

    longgang.city.plant({"type": "restore", "what": "all"})
    for name in ("west", "north"):
        eventually(lambda name=name: _way(longgang, f"kept/{name}", KEPT)[0])
    assert _way(longgang, "kept/west", WORKING)[0] == west[0]  # nothing that works moves
    eventually(lambda: not any(longgang.client.differences().values()))


def test_a_cut_of_what_is_only_kept_harms_nothing_and_another_way_is_kept(longgang: Stage) -> None:
    assert longgang.client.apply(WEST)[1].outcome == COMMITTED
    before = _way(longgang, "kept/west", KEPT)[0]
    gone = next(h for h in before if h in ("odu-f-zhihui-nanwan-1", "odu-f-zhihui-compute-1"))
    longgang.city.plant({"type": "cut", "fibre": gone.removeprefix("odu-").removesuffix("-1")})
    eventually(lambda: gone not in (now := _way(longgang, "kept/west", KEPT)[0]) and now)
    assert _way(longgang, "kept/west", WORKING)[0] == ["odu-f-nanwan-buji-1"]
    eventually(lambda: _protected(longgang, "kept/west") == (TRUE, "Restoration"))


def test_simulation_says_that_it_is_placed_again(longgang: Stage) -> None:
    assert longgang.client.apply(WEST)[1].outcome == COMMITTED
    told = longgang.command("simulate", "--fail", "fibre:f-nanwan-buji")
    assert "kept/west" in told.stdout
    assert "replaced" in told.stdout


def test_a_way_is_kept_again_though_no_daemon_saw_the_mending(longgang: Stage) -> None:
    assert longgang.client.apply(WEST)[1].outcome == COMMITTED
    kept = _way(longgang, "kept/west", KEPT)[0]
    longgang.city.plant({"type": "cut", "fibre": "f-nanwan-buji"})
    eventually(lambda: _way(longgang, "kept/west", WORKING)[0] == kept)
    eventually(lambda: not any(longgang.client.differences().values()))
    longgang.kill_daemon()
    longgang.city.plant({"type": "restore", "what": "all"})
    longgang.start_daemon()
    eventually(lambda: _way(longgang, "kept/west", KEPT)[0] == ["odu-f-nanwan-buji-1"])
    assert _way(longgang, "kept/west", WORKING)[0] == kept
