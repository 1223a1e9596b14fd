"""The optical domain as its own process: two phases, refusals with details, and what survives a kill -9."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from onecity.optical.v1 import optical_pb2 as pb
from optical_client import Client, reason, timeslot, wavelength

from lab.supervision import RunningCity, start_city


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    with start_city("longgang", tmp_path_factory.mktemp("city"), domains=["city-otn"]) as running:
        yield running


@pytest.fixture
def domain(city: RunningCity) -> Iterator[Client]:
    client = Client(city.directory, city.domain_process("city-otn").ports["grpc"])
    yield client
    client.close()


def build(domain: Client, txn: str, spec: pb.CircuitSpec) -> None:
    domain.prepare(txn, spec)
    domain.commit(txn)
    domain.confirm(txn)


def remove(domain: Client, name: str, version: int) -> None:
    domain.prepare(f"remove-{name}-{version}", delete=(name, version))
    domain.commit(f"remove-{name}-{version}")
    domain.confirm(f"remove-{name}-{version}")


def refused(domain: Client, txn: str, *puts: pb.CircuitSpec) -> tuple[grpc.StatusCode, str, pb.Shortage | None]:
    with pytest.raises(grpc.RpcError) as refusal:
        domain.prepare(txn, *puts)
    return reason(refusal.value)


def wait_for(domain: Client, name: str, up: bool) -> pb.Circuit:
    for _ in range(100):
        found = domain.circuit(name)
        if found is not None and (found.state == pb.OPER_STATE_UP) is up:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{name} is not {'up' if up else 'down'}: {found}")


def test_a_circuit_is_held_lit_and_final(domain: Client) -> None:
    prepared = domain.prepare("t1", timeslot("t.s/a-z", 5))
    assert prepared.state == pb.TRANSACTION_STATE_PREPARED
    assert 20 < prepared.remaining.seconds <= 30
    assert domain.circuit("t.s/a-z") is None
    topology = domain("GetTopology", pb.GetTopologyRequest())
    assert 5 not in next(o for o in topology.odu_links if o.id == "odu-f-nanwan-buji-1").free_slots
    assert domain.commit("t1").state == pb.TRANSACTION_STATE_PROVISIONAL
    lit = wait_for(domain, "t.s/a-z", up=True)
    assert (lit.version, lit.last_txn, lit.active_leg) == (1, "t1", pb.ACTIVE_LEG_WORKING)
    assert lit.latency_ns > 39_000
    assert domain.confirm("t1").state == pb.TRANSACTION_STATE_CONFIRMED
    remove(domain, "t.s/a-z", 1)
    assert domain.circuit("t.s/a-z") is None


def test_a_repeat_has_the_same_answer_and_no_second_effect(domain: Client) -> None:
    for _ in range(2):
        assert domain.prepare("t2", timeslot("t.r/a-z", 6)).state == pb.TRANSACTION_STATE_PREPARED
    with pytest.raises(grpc.RpcError) as refusal:
        domain.prepare("t2", timeslot("t.r/a-z", 7))
    assert reason(refusal.value)[:2] == (grpc.StatusCode.ALREADY_EXISTS, "TXN_CONTENT_DIFFERS")
    for _ in range(2):
        assert domain.commit("t2").state == pb.TRANSACTION_STATE_PROVISIONAL
    for _ in range(2):
        assert domain.cancel("t2").state == pb.TRANSACTION_STATE_CANCELLED
    assert domain.circuit("t.r/a-z") is None
    assert refused(domain, "t2", timeslot("t.r/a-z", 6))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "ENDED")


def test_a_cancel_that_comes_first_refuses_the_late_prepare(domain: Client) -> None:
    assert domain.cancel("late").state == pb.TRANSACTION_STATE_CANCELLED
    assert refused(domain, "late", timeslot("t.l/a-z", 8))[1] == "ENDED"


def test_what_is_taken_is_refused_with_where_asked_and_free(domain: Client) -> None:
    domain.prepare("t3", timeslot("t.a/a-z", 9))
    code, why, shortage = refused(domain, "t4", timeslot("t.b/a-z", 9, port=4))
    assert (code, why) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_SLOT")
    assert shortage is not None
    assert (shortage.where, shortage.asked, shortage.free) == ("odu-f-nanwan-buji-1", 1, 79)
    assert refused(domain, "t5", timeslot("t.b/a-z", 10))[1] == "NO_ADD_DROP"
    assert refused(domain, "t6", timeslot("t.a/a-z", 10))[:2] == (grpc.StatusCode.ABORTED, "HELD_BY_OTHER")
    assert domain.prepare("t7", timeslot("t.b/a-z", 10, vlan=301)).state == pb.TRANSACTION_STATE_PREPARED
    domain.cancel("t3")
    domain.cancel("t7")


def test_equipment_that_cannot_carry_it_is_a_refusal(domain: Client) -> None:
    taken = refused(domain, "w1", wavelength("t.w/a-z", 1))
    assert taken[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_SPECTRUM")
    wrong_end = timeslot("t.w/a-z")
    wrong_end.working.route[0] = "odu-f-zhihui-nanwan-1"
    assert refused(domain, "w2", wrong_end)[0] is grpc.StatusCode.INVALID_ARGUMENT
    too_many = timeslot("t.w/a-z")
    too_many.working.slots[0].slots.append(2)
    assert refused(domain, "w3", too_many)[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert refused(domain, "w4", wavelength("t.w/a-z", 81))[0] is grpc.StatusCode.INVALID_ARGUMENT
    unknown_port = timeslot("t.w/a-z")
    unknown_port.a.port = "otn-buji/c99"
    assert refused(domain, "w5", unknown_port)[0] is grpc.StatusCode.NOT_FOUND
    assert refused(domain, "w6", wavelength("infra/x"), wavelength("t.w/a-z", 41))[1] == "INVALID"


def test_a_stale_term_and_a_changed_version_are_refused(domain: Client) -> None:
    domain.prepare("v1", timeslot("t.v/a-z", 11))
    domain.commit("v1")
    domain.confirm("v1")
    with pytest.raises(grpc.RpcError) as stale:
        domain.prepare("v2", timeslot("t.v/a-z", 12), term=6)
    assert reason(stale.value)[1] == "STALE_TERM"
    with pytest.raises(grpc.RpcError) as moved:
        domain.prepare("v3", timeslot("t.v/a-z", 12))
    assert reason(moved.value)[:2] == (grpc.StatusCode.ABORTED, "VERSION_CHANGED")
    domain.prepare("v4", timeslot("t.v/a-z", 12), version=1)
    domain.commit("v4")
    domain.cancel("v4")
    standing = domain.circuit("t.v/a-z")
    assert standing is not None
    assert (list(standing.spec.working.slots[0].slots), standing.version) == ([11], 1)
    domain.prepare("v5", delete=("t.v/a-z", 1))
    domain.commit("v5")
    domain.confirm("v5")
    domain("Prepare", pb.PrepareRequest(txn_id="v6", coordinator="another"))


def test_a_lease_and_a_confirm_timer_end_by_themselves(domain: Client) -> None:
    domain.prepare("e1", timeslot("t.e/a-z", 13), lease_s=0.2)
    domain.prepare("e2", timeslot("t.f/a-z", 14, port=5))
    domain.commit("e2", 0.2)
    time.sleep(0.35)
    assert (domain.state("e1"), domain.state("e2")) == ("EXPIRED", "ROLLED_BACK")
    assert domain.circuit("t.f/a-z") is None
    with pytest.raises(grpc.RpcError) as ended:
        domain.commit("e1")
    assert reason(ended.value)[1] == "LEASE_EXPIRED"
    domain.prepare("e3", timeslot("t.e/a-z", 13))
    domain.cancel("e3")


def test_a_kill_keeps_transactions_circuits_and_deadlines(city: RunningCity, domain: Client) -> None:
    build(domain, "k0", timeslot("t.k/a-z", 20))
    domain.prepare("k1", timeslot("t.k1/a-z", 21, port=4))
    domain.prepare("k2", timeslot("t.k2/a-z", 22, port=5))
    domain.commit("k2")
    domain.prepare("k3", timeslot("t.k3/a-z", 23, port=6))
    domain.commit("k3", 0.2)
    domain.cancel("k4")
    epoch = domain("GetDomain", pb.GetDomainRequest()).instance_epoch
    process = city.domain_process("city-otn")
    ports = dict(process.ports)
    process.kill()
    time.sleep(0.25)
    process.restart()
    assert process.ports == ports
    assert domain("GetDomain", pb.GetDomainRequest()).instance_epoch != epoch
    assert [domain.state(t) for t in ("k0", "k1", "k2", "k3", "k4")] == [
        "CONFIRMED", "PREPARED", "PROVISIONAL", "ROLLED_BACK", "CANCELLED"
    ]  # fmt: skip
    assert domain.circuit("t.k3/a-z") is None
    wait_for(domain, "t.k/a-z", up=True)
    assert refused(domain, "k5", timeslot("t.x/a-z", 21, port=7))[1] == "NO_SLOT"
    domain.confirm("k2")
    domain.commit("k1")
    domain.cancel("k1")
    for name in ("t.k/a-z", "t.k2/a-z"):
        domain.prepare(f"gone-{name}", delete=(name, 1))
        domain.commit(f"gone-{name}")
        domain.confirm(f"gone-{name}")


def test_a_cut_is_seen_in_topology_and_circuit(city: RunningCity, domain: Client) -> None:
    domain.prepare("c1", wavelength("t.c/a-z"))
    domain.commit("c1")
    lit = wait_for(domain, "t.c/a-z", up=True)
    assert 8 < lit.margin_db < 20
    city.plant({"type": "cut", "fibre": "f-nanwan-buji"})
    assert wait_for(domain, "t.c/a-z", up=False).active_leg == pb.ACTIVE_LEG_NONE
    links = {f.id: f.state for f in domain("GetTopology", pb.GetTopologyRequest()).photonic_links}
    assert links["f-nanwan-buji"] == pb.OPER_STATE_DOWN
    city.plant({"type": "restore", "what": "all"})
    wait_for(domain, "t.c/a-z", up=True)
    domain.cancel("c1")


def test_a_wrong_token_is_not_let_in(city: RunningCity) -> None:
    stranger = Client(city.directory, city.domain_process("city-otn").ports["grpc"], token="guess")
    with pytest.raises(grpc.RpcError) as refusal:
        stranger("GetTopology", pb.GetTopologyRequest())
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
    stranger.close()


@pytest.mark.alone
def test_each_step_takes_a_few_milliseconds(domain: Client) -> None:
    taken: dict[str, list[float]] = {"prepare": [], "commit": [], "confirm": []}
    for n in range(40):
        spec = timeslot(f"t.q{n}/a-z", 30 + n, port=6, vlan=1000 + n)
        for verb, step in (
            ("prepare", lambda n=n, spec=spec: domain.prepare(f"q{n}", spec)),
            ("commit", lambda n=n: domain.commit(f"q{n}")),
            ("confirm", lambda n=n: domain.confirm(f"q{n}")),
        ):
            start = time.perf_counter()
            step()
            taken[verb].append(time.perf_counter() - start)
    medians = {verb: statistics.median(times) for verb, times in taken.items()}
    print({verb: f"{m * 1e3:.2f} ms" for verb, m in medians.items()})
    assert all(m < 0.010 for m in medians.values()), medians


def test_nothing_stays_in_the_directory_that_others_can_read(city: RunningCity) -> None:
    secrets = [p for p in Path(city.directory).rglob("*") if p.is_file() and p.parent.name in ("secrets", "certs")]
    assert secrets
    assert all(p.stat().st_mode & 0o077 == 0 for p in secrets)
