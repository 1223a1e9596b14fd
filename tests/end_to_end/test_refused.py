"""A change that came to nothing is as much history as one that did not."""

from __future__ import annotations

from onecity.v1 import controller_pb2 as pb
from onecity.v1 import plan_pb2

from tests.end_to_end.intents import office, slice_over_three
from tests.support.stage import COMMITTED, REFUSED, Stage, eventually

PARTIAL = plan_pb2.CHANGE_OUTCOME_PARTIAL
TOO_MUCH = slice_over_three("too-much", "10.77").replace("latency: 5ms", "latency: 10us")


def _record(longgang: Stage, change: str) -> pb.ChangeRecord | None:
    found = longgang.client.stub.GetHistory(pb.GetHistoryRequest(limit=20)).changes
    return next((c for c in found if c.change_id == change), None)


def test_a_refused_change_is_in_the_history_and_can_be_watched_after_a_restart(longgang: Stage) -> None:
    change = longgang.client.begin(TOO_MUCH, author="ann")
    assert longgang.client.ended(change)[1].outcome == REFUSED
    eventually(lambda: _record(longgang, change))
    record = _record(longgang, change)
    assert record is not None
    assert (record.author, record.reason, record.outcome) == ("ann", "test", REFUSED)
    assert list(record.services) == ["lands/too-much"]
    longgang.kill_daemon()
    longgang.start_daemon()
    result = longgang.client.ended(change)[1]
    assert result.outcome == REFUSED
    assert "lands/too-much" in result.message


def test_a_partial_change_is_in_the_history_with_its_parts(longgang: Stage) -> None:
    change = longgang.client.begin(office(), TOO_MUCH, partial=True)
    assert longgang.client.ended(change)[1].outcome == PARTIAL
    eventually(lambda: _record(longgang, change) and _record(longgang, f"{change}.1"))
    outcomes = [getattr(_record(longgang, f"{change}.{n}"), "outcome", None) for n in (0, 1)]
    assert outcomes == [COMMITTED, REFUSED]


def test_counts_come_from_the_history_after_a_restart(longgang: Stage) -> None:
    change = longgang.client.begin(office())
    assert longgang.client.ended(change)[1].outcome == COMMITTED
    longgang.kill_daemon()
    longgang.start_daemon()
    run = longgang.command("watch", change)
    assert "Done: 1 added, 0 changed, 0 removed" in run.stdout
    assert longgang.client.describe("gov/office").last_change == change
