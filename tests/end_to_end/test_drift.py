"""What a service says of itself follows the network, without anybody asking for a comparison."""

from __future__ import annotations

from pathlib import Path

from onecity.v1 import status_pb2

from tests.end_to_end.intents import office, slice_over_three
from tests.end_to_end.test_wrong_leaves import tampered
from tests.support.stage import COMMITTED, FAILED, Stage, eventually

TRUE, FALSE = status_pb2.CONDITION_STATUS_TRUE, status_pb2.CONDITION_STATUS_FALSE


def condition(longgang: Stage, service: str, kind: str) -> status_pb2.Condition:
    return {c.type: c for c in longgang.client.services()[service].conditions}[kind]


def test_a_service_whose_leaves_somebody_changes_says_so_by_itself_and_others_do_not(longgang: Stage) -> None:
    audit = office("audit", tenant="audit").replace("10.10.", "10.20.")
    for text in (office(), audit):  # the first gets border VLAN 2001
        assert longgang.client.apply(text)[1].outcome == COMMITTED
    fresh = condition(longgang, "gov/office", "InSync")
    assert (fresh.status, fresh.reason) == (TRUE, "ReadBack")
    assert fresh.HasField("since")
    with tampered(longgang, "city-ip", "dot1q/cvlan-id", lambda vlan: "2901" if vlan == "2001" else vlan):
        eventually(lambda: condition(longgang, "gov/office", "InSync").status == FALSE)
        found = condition(longgang, "gov/office", "InSync")
        assert found.reason == "Drift"
        assert "city-ip" in found.message
        assert "cvlan-id" in found.message
        assert condition(longgang, "audit/audit", "InSync").status == TRUE
        again = longgang.client.plan(office(), audit)
        assert list(again.drifted) == ["city-ip"]
    eventually(lambda: condition(longgang, "gov/office", "InSync").status == TRUE)


def test_unchanged_intents_over_a_network_that_moved_are_not_called_fine(longgang: Stage, tmp_path: Path) -> None:
    file = tmp_path / "office.yaml"
    file.write_text(office())
    assert longgang.client.apply(office())[1].outcome == COMMITTED
    with tampered(longgang, "city-ip", "dot1q/cvlan-id", lambda vlan: "2901" if vlan == "2001" else vlan):
        eventually(lambda: condition(longgang, "gov/office", "InSync").status == FALSE)
        for verb in ("plan", "apply"):
            run = longgang.command(verb, str(file))
            assert run.returncode == 0, run.stderr
            assert "The intents are unchanged, but city-ip runs something else: see `onecity diff`" in run.stdout
    eventually(lambda: condition(longgang, "gov/office", "InSync").status == TRUE)


def test_after_a_restart_it_is_read_again(longgang: Stage) -> None:
    assert longgang.client.apply(slice_over_three())[1].outcome == COMMITTED
    longgang.kill_daemon()
    longgang.start_daemon()
    eventually(lambda: condition(longgang, "lands/survey", "InSync").status == TRUE)


def test_a_change_that_meets_what_somebody_else_changed_says_so_and_what_to_do(longgang: Stage) -> None:
    assert longgang.client.apply(office())[1].outcome == COMMITTED
    wider = office().replace("100Mbps", "120Mbps")
    assert wider != office()
    with tampered(longgang, "city-ip", "dot1q/cvlan-id", lambda vlan: "2901" if vlan == "2001" else vlan):
        _, result = longgang.client.apply(wider)
        assert result.outcome == FAILED
        assert "somebody else changed what this change touches and does not write" in result.message
        assert "cvlan-id" in result.message
        assert "is '2901', should be '2001'" in result.message
        assert "`onecity drift revert city-ip`" in result.message
    assert longgang.client.apply(wider)[1].outcome == COMMITTED
