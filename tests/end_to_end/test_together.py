"""Many clients at once: their changes travel together, and each is accepted or refused alone, also across a kill."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest
from onecity.v1 import controller_pb2 as pb

from tests.bench.baseline import CONTENT, NODES, NS, VPN
from tests.end_to_end.intents import slice_over_three
from tests.end_to_end.test_surprises import CONFIG, _put, _remove
from tests.support.stage import COMMITTED, FAILED, Stage, eventually

COUNT = 8


def _begin(longgang: Stage) -> dict[str, str]:
    """Ask for several services, each a change of its own; return change ids by service."""
    documents = {f"s{n}": slice_over_three(f"s{n}", f"10.{60 + n}") for n in range(COUNT)}
    return {name: longgang.client.begin(text) for name, text in documents.items()}


def _outcomes(longgang: Stage, changes: dict[str, str]) -> dict[str, int]:
    history = {c.change_id: c for c in longgang.client.stub.GetHistory(pb.GetHistoryRequest(limit=1000)).changes}
    return {name: history[change].outcome if change in history else 0 for name, change in changes.items()}


def _travelled_together(longgang: Stage) -> int:
    with closing(sqlite3.connect(f"file:{longgang.city.directory / 'onecity.db'}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM journal WHERE kind = 'member'").fetchone()[0])


def test_a_member_that_a_domain_refuses_is_refused_alone(longgang: Stage) -> None:
    foreign = "<vpn-service><vpn-id>lands.s3</vpn-id><vpn-description>mine</vpn-description></vpn-service>"
    with longgang.session("city-ip") as session:
        _put(session, CONFIG.format(foreign))
    try:
        before = _travelled_together(longgang)
        changes = _begin(longgang)
        results = {name: longgang.client.ended(change)[1] for name, change in changes.items()}
        assert {n: r.outcome for n, r in results.items() if n != "s3"} == {
            f"s{n}": COMMITTED for n in range(COUNT) if n != 3
        }
        assert results["s3"].outcome == FAILED
        assert "somebody else" in results["s3"].message
        assert _travelled_together(longgang) > before
        assert set(longgang.client.services()) == {f"lands/s{n}" for n in range(COUNT) if n != 3}
        committed = longgang.client.stub.GetChange(pb.GetChangeRequest(change=changes["s5"]))
        assert {d.domain for d in committed.domains} == {"city-ip", "city-otn", "district-ip"}
        assert all("s5" in p.path and "s4" not in p.path for d in committed.domains for p in d.places)
    finally:
        _remove(longgang, "city-ip", "lands.s3")


def test_a_member_whose_vlan_somebody_else_took_is_refused_alone(longgang: Stage) -> None:
    native = longgang.client.plan(slice_over_three("s0", "10.60"), native=True).native
    text = next(one.text for one in native if one.domain == "city-ip")
    lowest = int(re.findall(r"<[\w:]*cvlan-id>(\d+)<", text)[0])
    content = CONTENT.format(node=NODES["city-ip"]).replace(">4000<", f">{lowest + 3}<")
    with longgang.session("city-ip") as session:
        session.edit_config(VPN.format(ns=NS, operation="create", content=content), target="candidate")
        session.commit()
    try:
        changes = _begin(longgang)
        results = {name: longgang.client.ended(change)[1] for name, change in changes.items()}
        refused = {name: result for name, result in results.items() if result.outcome != COMMITTED}
        assert len(refused) == 1
        assert "in-use" in next(iter(refused.values())).message
    finally:
        _remove(longgang, "city-ip", "script")


@pytest.mark.parametrize("point", ["decided:2", "ended:2"])
def test_killed_at_a_step_of_a_group_every_member_ends_whole(longgang: Stage, point: str) -> None:
    longgang.kill_daemon()
    longgang.start_daemon(ONECITY_DIE_AT=point)
    changes = _begin(longgang)
    longgang.daemon.wait(30)
    longgang.start_daemon()
    eventually(lambda: not any(longgang.client.differences().values()))
    outcomes = _outcomes(longgang, changes)
    assert set(longgang.client.services()) == {f"lands/{n}" for n, o in outcomes.items() if o == COMMITTED}
    assert list(outcomes.values()).count(COMMITTED) > 1
