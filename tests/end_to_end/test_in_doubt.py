"""A change whose end one domain has yet to hear of, across a restart of the daemon."""

from __future__ import annotations

import grpc
from onecity.v1 import controller_pb2 as pb

from tests.end_to_end.intents import partition
from tests.support.stage import COMMITTED, Stage, eventually, wait_ready


def _reserved(longgang: Stage) -> dict[str, int] | None:
    try:
        topology = longgang.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=5).topology
    except grpc.RpcError:
        return None
    return {link.id: link.reserved_bps for link in topology.links if link.reserved_bps}


def test_what_a_change_in_doubt_lets_go_is_not_given_away_after_a_restart(longgang: Stage) -> None:
    assert longgang.client.apply(partition())[1].outcome == COMMITTED
    held = _reserved(longgang)
    assert held
    longgang.kill_daemon()
    longgang.start_daemon(ONECITY_DIE_AT="decided:1")
    request = pb.DeleteRequest(services=["lands/partition"], reason="test")
    longgang.client.stub.Delete(request, timeout=10)
    longgang.daemon.wait(30)
    domain = longgang.city.domain_process("district-ip")
    domain.kill()
    try:
        longgang.start_daemon(wait=False)
        eventually(lambda: _reserved(longgang) is not None)
        assert _reserved(longgang) == held
        assert not longgang.client.services()
    finally:
        domain.restart()
    wait_ready(longgang.address)
    eventually(lambda: _reserved(longgang) == {})
