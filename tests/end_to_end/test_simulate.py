"""What `onecity simulate` foretells is what the city does when the fault is really there."""

from __future__ import annotations

import json
import signal
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from onecity.v1 import controller_pb2 as pb

from controller.network.damage import Elements, damaged
from lab.city import load_city
from tests.end_to_end.intents import council, office, partition, slice_over_three
from tests.support.cities import map_of
from tests.support.stage import COMMITTED, Stage, eventually

ALONE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {name: alone, tenant: lands}
spec:
  bandwidth: 1Gbps
  isolation: wavelength
  protection: none
  slo: {latency: 5ms, availability: 99%}
  endpoints:
    - {site: zhihui, lan: 10.80.1.0/24}
    - {site: compute, lan: 10.80.2.0/24}
"""
# VPN → access → an address behind it
ENDS = {
    "gov.office": {"zhihui": "10.10.0.9", "buji": "10.10.1.9", "longgang": "10.10.2.9"},
    "lands.survey": {"buji": "10.40.1.9", "longgang": "10.40.2.9"},
    "lands.partition": {"buji": "10.60.1.9", "pingdi": "10.60.2.9"},
    "lands.alone": {"zhihui": "10.80.1.9", "compute": "10.80.2.9"},
}
FAULTS = (
    ("fibre:f-nanwan-buji", {"type": "cut", "fibre": "f-nanwan-buji"}),
    ("fibre:f-zhihui-longcheng", {"type": "cut", "fibre": "f-zhihui-longcheng"}),
    ("fibre:f-zhihui-compute", {"type": "cut", "fibre": "f-zhihui-compute"}),
    ("srlg:D2-bulan-road", {"type": "cut", "fibre": "D2-bulan-road"}),
    ("node:otn-jihua", {"type": "down", "node": "otn-jihua"}),
    ("node:lg-longgang", {"type": "down", "node": "lg-longgang"}),
)


@pytest.fixture
def busy(longgang: Stage) -> Stage:
    texts = (office(), slice_over_three(), partition(), ALONE, council(-1, 600))
    eventually(lambda: not longgang.down())  # what the test before broke is mended, and the map says so
    _, result = longgang.client.apply(*texts)
    assert result.outcome == COMMITTED, result.message
    eventually(lambda: not any(cut for cut, _ in _sent_everywhere(longgang).values()))
    return longgang


def _foretold(stage: Stage, *options: str) -> tuple[int, dict[str, Any]]:
    done = stage.command("simulate", *options, "-o", "json")
    assert done.returncode in (0, 2), done.stderr
    return done.returncode, json.loads(done.stdout)


@cache
def _delays(stage: Stage) -> dict[str, float]:
    """Return what light takes over every link, by the map."""
    links = stage.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology.links
    return {link.id: link.delay_s for link in links}


def _sent_everywhere(stage: Stage) -> dict[str, tuple[int, float]]:
    """Send a packet between every two ends of every VPN: how many pairs fail, and the slowest way of the others.

    A way over links takes what light takes over them; one over a circuit takes what the packet took.
    """
    found = {}
    for vpn, ends in ENDS.items():
        cut, slowest = 0, 0.0
        for (a, _), (_, there) in combinations(ends.items(), 2):
            domain = "compute-ip" if a == "compute" else "district-ip" if a in ("longgang", "pingdi") else "city-ip"
            packet = {"type": "trace", "vpn": vpn, "domain": domain, "access": f"{vpn}.{a}", "dst": there}
            answer = stage.city.plant(packet)
            assert answer["ok"], answer
            cut += answer["delivered"] is None
            over_links = sum(_delays(stage)[link] for link in answer["links"])
            slowest = max(slowest, (answer["delay_s"] or 0.0) if answer["circuits"] else over_links)
        found[vpn] = (cut, slowest)
    return found


@pytest.mark.parametrize(("named", "fault"), FAULTS, ids=[name for name, _ in FAULTS])
def test_what_is_foretold_happens(busy: Stage, named: str, fault: dict[str, str]) -> None:
    before = _sent_everywhere(busy)
    code, told = _foretold(busy, "--fail", named)
    (failure,) = told["failures"]
    said = {s["service"].replace("/", ".", 1): s for s in failure["services"]}
    busy.daemon.send_signal(signal.SIGSTOP)  # what is foretold is what packets meet before anything is repaired
    try:
        assert busy.city.plant(fault)["ok"]
        sent = _sent_everywhere(busy)
    finally:
        busy.daemon.send_signal(signal.SIGCONT)
    try:
        for vpn, (cut, delay) in sent.items():
            if vpn not in said:
                assert (cut, delay) == (0, pytest.approx(before[vpn][1], rel=0.05)), vpn
                continue
            assert cut == said[vpn]["cut_at_once"], said[vpn]
            if cut < len(list(combinations(ENDS[vpn], 2))):
                near = 1e-7 if vpn in ("gov.office", "lands.partition") else 3e-5  # what switches and packets add
                assert delay == pytest.approx(said[vpn]["delay_at_once_s"], abs=near), said[vpn]
    finally:
        eventually(lambda: busy.down())  # or the news would come when the next test believes the map to be whole
        busy.city.plant({"type": "restore", "what": "all"})
        eventually(lambda: not any(cut for cut, _ in _sent_everywhere(busy).values()))
    assert code == (2 if failure["breaks"] or failure["degrades"] or failure["ends"] else 0)


def test_the_map_comes_out_as_it_was_foretold(busy: Stage) -> None:
    """The links that the simulation takes away are those that the domains then report as down."""
    city = map_of(load_city("longgang"))
    elements = Elements(city)
    wanted = damaged(city, elements.damage([elements.named("fibre:f-zhihui-longcheng")]))
    busy.city.plant({"type": "cut", "fibre": "f-zhihui-longcheng"})

    foretold = {k.id for k in wanted.links if not k.up} | {f.id for f in wanted.fibres.values() if not f.up}
    assert len(foretold) > 2
    try:
        eventually(lambda: set(busy.down()) == foretold)
    finally:
        busy.city.plant({"type": "restore", "what": "all"})
        eventually(lambda: not busy.down())


def test_what_is_only_thought_of_takes_part_and_leaves_nothing(busy: Stage, tmp_path: Path) -> None:
    thought = tmp_path / "more.yaml"
    thought.write_text(partition("thought", "10.90") + "---\n" + slice_over_three("greedy").replace("1Gbps", "900Gbps"))
    code, told = _foretold(busy, "--fail", "fibre:f-nanwan-buji", "--add", str(thought))
    assert code == 0
    assert "lands/thought" in {s["service"] for s in told["failures"][0]["services"]}
    assert "lands/greedy" in told["summary"]["refused"][0]
    assert "lands/thought" not in busy.client.services()
    _, again = _foretold(busy, "--fail", "fibre:f-nanwan-buji")
    assert "lands/thought" not in {s["service"] for s in again["failures"][0]["services"]}


def test_everything_by_itself_is_one_table_worst_first(busy: Stage) -> None:
    done = busy.command("simulate", "--fail", "all-single")
    assert done.returncode == 2, done.stderr
    assert "each by itself" in done.stdout.splitlines()[0]
    assert "node otn-zhihui" in done.stdout
    code, told = _foretold(busy, "--fail", "double:40", "--seed", "7")
    assert (code, told["summary"]["failures"]) == (2, 40)
    ranks = [(f["breaks"], f["degrades"], f["ends"]) for f in told["failures"]]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fail", "fibre:f-nanwan-buj"), "did you mean f-nanwan-buji?"),
        (("--fail", "node:lg-nobody"), "no node 'lg-nobody'"),
        (("--fail", "duct:7"), "write fibre:NAME"),
        (("--fail", "all-single", "--fail", "fibre:f-nanwan-buji"), "stands alone"),
        (("--fail", "double:none"), "double:SAMPLES"),
        ((), "--fail"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(longgang: Stage, options: tuple[str, ...], said: str) -> None:
    done = longgang.command("simulate", *options)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
