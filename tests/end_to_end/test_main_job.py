"""The main job on a live city: what was asked stands on every domain, or on none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from lxml import etree
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import plan_pb2

from tests.end_to_end.intents import council, office, partition, slice_over_three
from tests.rendering.yang import needs_yanglint, text_complaints
from tests.support.stage import COMMITTED, FAILED, REFUSED, UNCHANGED, Stage, eventually

INTENTS = Path(__file__).resolve().parents[2] / "intents"


def test_a_slice_is_carried_by_two_ip_domains_and_the_optical_one(longgang: Stage) -> None:
    _, result = longgang.client.apply(slice_over_three())
    assert result.outcome == COMMITTED, result.message
    diff = longgang.client.differences()
    assert set(diff) == {"city-ip", "district-ip", "compute-ip", "city-otn"}
    assert not any(diff.values())
    described = longgang.client.describe("lands/survey")
    assert described.isolation == "timeslot"
    assert {p.domain for p in described.paths} == {"city-otn"}
    assert {p.role for p in described.paths} == {plan_pb2.PATH_ROLE_WORKING, plan_pb2.PATH_ROLE_STANDBY}


def test_every_kind_stands_beside_every_other_and_a_second_apply_changes_nothing(longgang: Stage) -> None:
    wanted = (office(), slice_over_three(), partition(), council(-1, 600))
    _, result = longgang.client.apply(*wanted)
    assert result.outcome == COMMITTED, result.message
    plan = longgang.client.plan(*wanted)
    assert {s.action for s in plan.services} == {plan_pb2.ACTION_UNCHANGED}
    assert not plan.domains
    _, again = longgang.client.apply(*wanted)
    assert again.outcome == UNCHANGED


def test_the_papers_scenarios_all_stand_at_once(longgang: Stage) -> None:
    done = longgang.command("apply", "--yes", str(INTENTS))
    assert done.returncode == 0, done.stdout + done.stderr
    services = longgang.client.services()
    assert len(services) == 9
    assert {s.phase for s in services.values()} == {next(iter(services.values())).phase}
    assert longgang.command("plan", str(INTENTS)).returncode == 0


@needs_yanglint
def test_what_runs_on_every_ip_domain_validates_against_the_published_models(longgang: Stage, tmp_path: Path) -> None:
    texts = (office(), slice_over_three(), partition(), council(-1, 600))
    assert longgang.client.apply(*texts)[1].outcome == COMMITTED
    for domain in ("city-ip", "district-ip", "compute-ip"):
        with longgang.session(domain) as session:
            running = session.get_config("running").data_ele
        assert not text_complaints("".join(etree.tostring(top, encoding="unicode") for top in running), tmp_path)


def test_a_refusal_refuses_all_and_stores_nothing(longgang: Stage) -> None:
    greedy = slice_over_three("greedy").replace("1Gbps", "100Gbps").replace("latency: 5ms", "latency: 0.01ms")
    _, result = longgang.client.apply(office(), greedy)
    assert result.outcome == REFUSED
    assert "binds" in result.message
    assert not longgang.client.services()


def test_partial_carries_what_it_can(longgang: Stage) -> None:
    greedy = slice_over_three("greedy").replace("latency: 5ms", "latency: 0.01ms")
    change = longgang.client.begin(office(), greedy, partial=True)
    _, result = longgang.client.ended(change)
    assert result.outcome == plan_pb2.CHANGE_OUTCOME_PARTIAL
    assert set(longgang.client.services()) == {"gov/office"}


def test_mistakes_are_told_together_with_their_places(longgang: Stage) -> None:
    bad = office().replace("100Mbps", "100Mbs").replace("site: buji", "site: bujj")
    with pytest.raises(grpc.RpcError) as caught:
        longgang.client.begin(bad)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    text = str(caught.value.details())
    assert "document-0.yaml:5: spec.bandwidth" in text
    assert "bujj" in text
    assert "buji" in text


def test_a_site_more_leaves_every_other_access_alone(longgang: Stage) -> None:
    longgang.client.apply(office())
    plan = longgang.client.plan(office(more="    - {site: nanwan, lan: 10.10.3.0/24}\n"), native=True)
    (counts,) = plan.domains
    assert counts.domain == "city-ip"
    assert (counts.changes, counts.removes) == (0, 0)
    assert "gov.office.buji" not in plan.native[0].text
    assert plan.services[0].impact == plan_pb2.IMPACT_NONE


def test_an_order_with_the_same_request_id_is_one_change(longgang: Stage) -> None:
    first = longgang.client.begin(office(), request_id="order-17")
    assert longgang.client.begin(office(), request_id="order-17") == first
    _, result = longgang.client.ended(first)
    assert result.outcome == COMMITTED
    with pytest.raises(grpc.RpcError) as caught:
        longgang.client.begin(office("other"), request_id="order-17")
    assert caught.value.code() == grpc.StatusCode.ABORTED


def test_a_domain_that_the_change_does_not_touch_can_be_down(longgang: Stage) -> None:
    process = longgang.city.domain_process("compute-ip")
    process.kill()
    try:
        _, result = longgang.client.apply(office())
        assert result.outcome == COMMITTED, result.message
    finally:
        process.restart()
        eventually(lambda: _up(longgang, "compute-ip"))


def test_a_touched_domain_that_is_down_fails_the_change_before_anything_is_sent(longgang: Stage) -> None:
    process = longgang.city.domain_process("district-ip")
    process.kill()
    try:
        seconds, result = longgang.client.apply(office())
        assert result.outcome == FAILED
        assert "district-ip" in result.message
        assert seconds < 8
        assert not longgang.client.services()
    finally:
        process.restart()
        eventually(lambda: _up(longgang, "district-ip"))


def test_measured_values_stand_beside_the_slo_and_in_the_metrics(longgang: Stage) -> None:
    longgang.client.apply(slice_over_three())
    eventually(lambda: longgang.client.describe("lands/survey").status.measured.HasField("delay"))
    measured = longgang.client.describe("lands/survey").status.measured.delay.value
    assert 0.0002 < measured < 0.005


def _up(longgang: Stage, domain: str) -> bool:
    topology = longgang.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology
    return next(d.up for d in topology.domains if d.id == domain)


def test_a_northbound_system_orders_with_the_example_as_it_stands(longgang: Stage) -> None:
    order = [sys.executable, str(INTENTS / "order.py")]
    environment = {**os.environ, "ONECITY_SERVER": longgang.address}
    done = subprocess.run(order, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(longgang.client.services()) == 1
