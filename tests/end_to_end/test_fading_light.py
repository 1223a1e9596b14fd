"""Light on a running city: what fades, spoils frames or grows longer makes one ticket, mostly before packets suffer."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from onecity.v1 import incident_pb2 as pb
from onecity.v1 import incident_pb2_grpc

from tests.support.stage import COMMITTED, Stage, eventually

FIBRE = "f-nanwan-buji"
RAISED = ("MARGIN", "PRE_FEC_BER", "SPAN_LOSS")
POOR_DB, BLIND_DB = 34.0, 50.0  # of light lost: some margin is left, none is


@pytest.fixture(autouse=True)
def _whole(longgang: Stage) -> Iterator[None]:
    yield
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _open(longgang), 60)


def _incidents(longgang: Stage, *, closed: bool = False) -> list[pb.Incident]:
    stub: Any = incident_pb2_grpc.IncidentServiceStub(longgang.client.channel)  # type: ignore[no-untyped-call]
    return list(stub.ListIncidents(pb.ListIncidentsRequest(closed=closed), timeout=10).incidents)


def _open(longgang: Stage) -> list[pb.Incident]:
    return _incidents(longgang)


def _story(longgang: Stage, incident: str) -> list[str]:
    return [e.text for i in _incidents(longgang, closed=True) if i.id == incident for e in i.timeline]


def _dim(longgang: Stage, light_db: float, in_s: float = 0.0) -> None:
    longgang.city.plant({"type": "degrade", "link": FIBRE, "light_db": light_db, "in_s": in_s})


def test_a_fibre_that_loses_its_light_is_one_incident_from_the_first_alarm_to_the_last(longgang: Stage) -> None:
    _dim(longgang, POOR_DB)
    eventually(lambda: _open(longgang))
    (found,) = _open(longgang)
    assert (found.root, found.kind) == (f"fibre:{FIBRE}", "degraded")
    wanted = [f"alarm {kind} (" for kind in RAISED]
    eventually(lambda: all(any(w in line for line in _story(longgang, found.id)) for w in wanted))
    assert [i.id for i in _open(longgang)] == [found.id]
    _dim(longgang, BLIND_DB)  # nothing over it is heard any more: the same matter, and worse
    eventually(lambda: [(i.id, i.root, i.kind) for i in _open(longgang)] == [(found.id, f"fibre:{FIBRE}", "fibre")])
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _open(longgang), 60)
    story = _story(longgang, found.id)
    for kind in RAISED:
        assert any(f"alarm {kind} cleared" in line for line in story)
    assert [i.root for i in _incidents(longgang, closed=True)] == [f"fibre:{FIBRE}"]


def _slice(name: str, number: int, assurance: str) -> str:
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: light}}
spec:
  assurance: {assurance}
  bandwidth: 1Gbps
  isolation: {"timeslot" if name == "slots" else "nrp"}
  protection: none
  slo: {{latency: 20ms, loss: 1e-4, availability: 99%}}
  endpoints:
    - {{site: nanwan, lan: 10.4{number}.1.0/24}}
    - {{site: buji, lan: 10.4{number}.2.0/24}}
"""


def _way(longgang: Stage, name: str, number: int) -> str:
    """Return the way of a service in one line; its packets must arrive."""
    packet = {"type": "trace", "vpn": f"light.{name}", "access": "nanwan", "dst": f"10.4{number}.2.9"}
    assert longgang.city.plant(packet)["delivered"]
    return " ".join(hop for path in longgang.client.describe(f"light/{name}").paths for hop in path.hops)


def _around(longgang: Stage, name: str, number: int) -> bool:
    way = _way(longgang, name, number)
    return "bantian" in way and FIBRE not in way


def test_who_rides_a_fibre_that_fades_is_led_away_before_a_packet_is_lost(longgang: Stage) -> None:
    documents = (_slice("slots", 0, "auto"), _slice("pinned", 1, "auto"), _slice("asked", 2, "propose"))
    documents = (*documents, _slice("kept", 3, "off"))
    assert longgang.client.apply(*documents)[1].outcome == COMMITTED
    assert not any(_around(longgang, n, i) for i, n in enumerate(("slots", "pinned", "asked", "kept")))
    _dim(longgang, POOR_DB, in_s=8.0)
    eventually(lambda: all(_around(longgang, n, i) for i, n in enumerate(("slots", "pinned"))), 60)
    eventually(lambda: "light/asked" in longgang.command("proposals").stdout)
    told = longgang.command("proposals").stdout
    assert "light/kept" not in told
    assert f"{FIBRE} loses more light than it should" in told
    assert not _around(longgang, "asked", 2)
    assert longgang.command("proposals", "accept", "light/asked").returncode == 0
    assert _around(longgang, "asked", 2)
    assert not _around(longgang, "kept", 3)
    new = _slice("late", 4, "auto")  # asked for while it fades, though it is the shorter way
    assert [n for s in longgang.client.plan(new).services for n in s.notes] == [f"avoids fibre {FIBRE}: it is fading"]
    assert longgang.client.apply(new)[1].outcome == COMMITTED
    assert _around(longgang, "late", 4)
    told = longgang.command("explain", "light/late").stdout
    assert f"avoids fibre {FIBRE}: it is fading" in told
    assert f"rides fibre {FIBRE}, which is fading" in told
    assert not any(longgang.client.differences().values())


CORD = "infra/lg-jihua.ge-2-lg-bantian.ge-1"
CARD = "infra/lg-bantian.ge-2-lg-pinghu.ge-1"
DARK = "infra/lg-nanwan.ge-2-lg-buji.ge-1"  # over FIBRE
ASTRAY = "infra/lg-pingdi.ge-2-lg-yuanshan.ge-1"


def _lab(longgang: Stage, *words: str) -> None:
    ended = longgang.command("lab", *words, "--dir", str(longgang.city.directory))
    assert ended.returncode == 0, ended.stderr


def test_five_faults_at_once_are_five_incidents_each_with_what_is_truly_broken(longgang: Stage) -> None:
    _lab(longgang, "alarm", "lg-baolong", "--kind", "fan")  # nothing is wrong with it, and nothing else will say why
    _lab(longgang, "degrade", CORD, "--light", "6dB")
    _lab(longgang, "degrade", CARD, "--loss", "0.2%")
    _lab(longgang, "detour", FIBRE, "--by", "12km")
    _lab(longgang, "detour", ASTRAY, "--by", "8km")
    wanted = {
        "node:node:lg-baolong": ("FAN (minor)", "and nothing else shows why"),
        f"circuit:{CORD}": ("RX_POWER (warning)", "its transponder, or the patch cord to it"),
        f"circuit:{CARD}": (
            "FEC_UNCORRECTABLE (critical)",
            "spoils more frames than its code corrects",
        ),
        f"fibre:{FIBRE}": ("DISPERSION_STEP (major)", f"fibre {FIBRE}"),
        f"circuit:{ASTRAY}": ("DISPERSION_STEP (major)", "runs another way than its domain tells: +8 km"),
    }
    eventually(lambda: {i.root for i in _open(longgang)} == wanted.keys(), 60)
    ids = {i.root: i.id for i in _open(longgang)}
    eventually(lambda: all(any(wanted[r][0] in line for line in _story(longgang, i)) for r, i in ids.items()), 30)
    found = {i.root: i for i in _open(longgang)}
    assert {root: i.id for root, i in found.items()} == ids
    for root, (_, title) in wanted.items():
        assert title in found[root].title
    assert any(re.search(r"\+1[12]\.\d km", line) for line in _story(longgang, ids[f"fibre:{FIBRE}"]))
    told = longgang.command("incidents").stdout
    assert all(incident in told for incident in ids.values())


def _counted(longgang: Stage, circuit: str) -> dict[str, float]:
    """Return what /metrics tells of a wavelength's seconds."""
    with urllib.request.urlopen(f"http://{longgang.metrics}/metrics", timeout=10) as answer:
        told = re.findall(r'^onecity_circuit_(\w+_seconds)_total{circuit="(.+)"} (.+)$', answer.read().decode(), re.M)
    return {name: float(value) for name, of, value in told if of == circuit}


def test_ten_severe_seconds_in_a_row_are_told_of_light_that_spoils_all_and_not_of_what_is_dark(longgang: Stage) -> None:
    eventually(lambda: _counted(longgang, CARD) and _counted(longgang, DARK), 60)
    before, earlier = (
        {c: _counted(longgang, c) for c in (CARD, DARK)},
        {i.id for i in _incidents(longgang, closed=True)},
    )
    _lab(longgang, "degrade", CARD, "--loss", "30%")
    longgang.city.plant({"type": "cut", "fibre": FIBRE})
    wanted = {f"circuit:{CARD}", f"fibre:{FIBRE}"}
    eventually(lambda: {i.root for i in _open(longgang)} == wanted, 60)
    ids = {i.root: i.id for i in _open(longgang)}
    raised = "alarm UNAVAILABLE (critical) on circuit:"
    eventually(lambda: any(raised in line for line in _story(longgang, ids[f"circuit:{CARD}"])), 60)
    assert ids.items() <= {i.root: i.id for i in _open(longgang)}.items()
    for circuit in (CARD, DARK):  # both are unavailable
        least = before[circuit]["unavailable_seconds"] + 10
        eventually(lambda c=circuit, least=least: _counted(longgang, c)["unavailable_seconds"] >= least, 60)  # type: ignore[misc]
    longgang.city.plant({"type": "restore", "what": "all"})
    eventually(lambda: not _open(longgang), 60)
    story = _story(longgang, ids[f"circuit:{CARD}"])
    assert any("alarm UNAVAILABLE cleared" in line for line in story)
    assert not any("UNAVAILABLE" in line for line in _story(longgang, ids[f"fibre:{FIBRE}"]))
    new = [i for i in _incidents(longgang, closed=True) if i.id not in earlier]
    assert sorted(i.root for i in new if i.root.startswith(("circuit:", "fibre:"))) == sorted(wanted)
