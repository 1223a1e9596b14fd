"""What happens where a domain runs something else: told, brought back or accepted, by policy and by hand."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree
from onecity.optical.v1 import optical_pb2
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import drift_pb2, drift_pb2_grpc, status_pb2

from lab.supervision import start_city
from tests.city.optical_client import Client as OpticalClient
from tests.end_to_end.intents import office, slice_over_three
from tests.end_to_end.test_surprises import BASE, CONFIG, _put, _remove, _service
from tests.support.stage import COMMITTED, Stage, eventually

POLICIES = {"city-ip": "revert", "district-ip": "accept", "compute-ip": "alert", "city-otn": "revert"}
OFFICE, FOREIGN = "gov.office", "somebody-elses"
TRUE, FALSE = status_pb2.CONDITION_STATUS_TRUE, status_pb2.CONDITION_STATUS_FALSE


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A city whose domains have a policy each."""
    with start_city("longgang", tmp_path_factory.mktemp("city")) as city:
        settings = yaml.safe_load(city.config_path.read_text(encoding="utf-8"))
        for domain in settings["domains"]:
            domain["drift"] = POLICIES[domain["name"]]
        city.config_path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
        standing = Stage(city)
        try:
            yield standing
        finally:
            standing.stop()


@pytest.fixture(autouse=True)
def _empty(watched: Stage) -> Iterator[None]:
    yield
    if left := list(watched.client.services()):
        watched.client.delete(*left)


def condition(watched: Stage, service: str, kind: str) -> status_pb2.Condition:
    """Return a condition; one of unknown status while a change of the service is under way."""
    found = {c.type: c for c in watched.client.services()[service].conditions}
    return found.get(kind, status_pb2.Condition())


def drift(watched: Stage, domain: str, *, afresh: bool = False) -> drift_pb2.DomainDrift:
    stub: Any = drift_pb2_grpc.DriftServiceStub(watched.client.channel)  # type: ignore[no-untyped-call]
    return stub.GetDrift(drift_pb2.GetDriftRequest(domain=domain, afresh=afresh), timeout=30).domains[0]


def history(watched: Stage) -> list[pb.ChangeRecord]:
    return list(watched.client.stub.GetHistory(pb.GetHistoryRequest(limit=20), timeout=10).changes)


def drift_changes(watched: Stage, since: int) -> list[pb.ChangeRecord]:
    return [c for c in history(watched) if c.kind == "drift" and c.revision > since and c.HasField("ended_at")]


def revision(watched: Stage) -> int:
    return max((c.revision for c in history(watched)), default=0)


def describe_otherwise(watched: Stage, domain: str, vpn: str, text: str | None) -> None:
    """Somebody else writes the description of a VPN, or takes it away."""
    wrong = f'<vpn-description xmlns:nc="{BASE}" {"" if text else "nc:operation=" + chr(34) + "remove" + chr(34)}>'
    entry = f"<vpn-service><vpn-id>{vpn}</vpn-id>{wrong}{text or ''}</vpn-description></vpn-service>"
    with watched.session(domain) as session:
        _put(session, CONFIG.format(entry))


def change_vlan(watched: Stage, domain: str, vpn: str, vlan: str) -> str:
    """Somebody else changes the first VLAN of a VPN; return what it was."""
    with watched.session(domain) as session:
        root = etree.fromstring(etree.tostring(_service(session, vpn)))
        leaf = root.xpath("//*[local-name()='cvlan-id']")[0]
        before, leaf.text = str(leaf.text), vlan
        root.tag = f"{{{BASE}}}config"
        for entry in root.xpath("//*[local-name()='vpn-service']"):
            entry.set(f"{{{BASE}}}operation", "replace")
        _put(session, root)
    return before


def running_vlan(watched: Stage, domain: str, vpn: str) -> str:
    with watched.session(domain) as session:
        return str(_service(session, vpn).xpath("//*[local-name()='cvlan-id']")[0].text)


def runs(watched: Stage, domain: str, vpn: str) -> bool:
    with watched.session(domain) as session:
        return bool(_service(session, vpn).xpath(f"//*[local-name()='vpn-id'][.='{vpn}']"))


def put_foreign(watched: Stage, domain: str) -> None:
    with watched.session(domain) as session:
        _put(session, CONFIG.format(f"<vpn-service><vpn-id>{FOREIGN}</vpn-id></vpn-service>"))


def test_what_is_ours_is_brought_back_and_what_is_not_is_left_alone(watched: Stage) -> None:
    assert watched.client.apply(office())[1].outcome == COMMITTED
    since = revision(watched)
    put_foreign(watched, "city-ip")
    try:
        before = change_vlan(watched, "city-ip", OFFICE, "2901")
        eventually(lambda: running_vlan(watched, "city-ip", OFFICE) == before)
        eventually(lambda: condition(watched, "gov/office", "InSync").status == TRUE)
        eventually(lambda: drift_changes(watched, since))
        (change,) = drift_changes(watched, since)
        assert (change.author, change.outcome, list(change.services)) == ("onecity", COMMITTED, ["gov/office"])
        assert "cvlan-id" in change.reason
        effect = watched.client.stub.GetChange(pb.GetChangeRequest(change=change.change_id), timeout=10)
        assert [d.domain for d in effect.domains] == ["city-ip"]
        assert before in effect.domains[0].native
        assert runs(watched, "city-ip", FOREIGN)
        seen = drift(watched, "city-ip", afresh=True)
        assert (seen.ours, seen.added, seen.foreign) == (0, 0, 1)
        assert watched.command("drift").returncode == 0
        blamed = watched.client.stub.Blame(pb.BlameRequest(domain="city-ip", path="cvlan-id"), timeout=10).places
        assert {p.revision for p in blamed} == {since}  # the intent's change, not the one that sent it again
    finally:
        _remove(watched, "city-ip", FOREIGN)


def test_a_service_that_somebody_deleted_comes_back_whole(watched: Stage) -> None:
    assert watched.client.apply(office())[1].outcome == COMMITTED
    _remove(watched, "city-ip", OFFICE)
    eventually(lambda: runs(watched, "city-ip", OFFICE))
    eventually(lambda: not drift(watched, "city-ip", afresh=True).ours)


def test_an_access_that_somebody_took_out_of_a_service_comes_back_alone(watched: Stage) -> None:
    assert watched.client.apply(office())[1].outcome == COMMITTED
    with watched.session("city-ip") as session:
        found = etree.fromstring(etree.tostring(_service(session, OFFICE)))
        access = found.xpath("//*[local-name()='vpn-network-access'][*[local-name()='id'][contains(., 'buji')]]")[0]
        before = len(found.xpath("//*[local-name()='vpn-network-access']"))
        access.getparent().remove(access)
        found.tag = f"{{{BASE}}}config"
        found.xpath("//*[local-name()='vpn-service']")[0].set(f"{{{BASE}}}operation", "replace")
        _put(session, found)

    def accesses() -> int:
        with watched.session("city-ip") as session:
            return len(_service(session, OFFICE).xpath("//*[local-name()='vpn-network-access']"))

    eventually(lambda: accesses() == before)
    eventually(lambda: not drift(watched, "city-ip", afresh=True).ours)


def test_a_circuit_that_somebody_took_down_is_lit_again(watched: Stage) -> None:
    assert watched.client.apply(slice_over_three())[1].outcome == COMMITTED
    optical = OpticalClient(watched.city.directory, watched.city.domain_process("city-otn").ports["grpc"])

    def circuits() -> dict[str, int]:
        answer = optical("ListCircuits", optical_pb2.ListCircuitsRequest())
        return {c.spec.id: c.version for c in answer.circuits if c.spec.id.startswith("lands.survey")}

    ((circuit, version),) = circuits().items()
    optical.prepare("taken-down", delete=(circuit, version), term=0)
    optical.commit("taken-down")
    optical("Confirm", optical_pb2.ConfirmRequest(txn_id="taken-down"))
    assert not circuits()
    eventually(circuits)
    eventually(lambda: condition(watched, "lands/survey", "InSync").status == TRUE)


def test_what_others_put_into_ours_goes_only_where_a_person_says_so(watched: Stage) -> None:
    assert watched.client.apply(office())[1].outcome == COMMITTED
    describe_otherwise(watched, "city-ip", OFFICE, "do not touch, Li")
    eventually(lambda: drift(watched, "city-ip").added == 1)
    found = condition(watched, "gov/office", "InSync")
    assert (found.status, found.reason) == (FALSE, "Drift")
    run = watched.command("drift", "city-ip")
    assert run.returncode == 2
    assert "added by others" in run.stdout
    assert "vpn-description" in run.stdout
    run = watched.command("drift", "revert", "city-ip", "--yes")
    assert run.returncode == 1
    assert "1 added by others to ours (--added)" in run.stderr
    run = watched.command("drift", "revert", "city-ip", "--added", "--yes", "-m", "asked Li")
    assert run.returncode == 0, run.stderr
    assert not drift(watched, "city-ip", afresh=True).added
    assert history(watched)[0].reason == "asked Li"


def test_what_is_accepted_stays_and_later_changes_live_with_it(watched: Stage) -> None:
    assert watched.client.apply(office())[1].outcome == COMMITTED
    change_vlan(watched, "district-ip", OFFICE, "2905")
    eventually(lambda: drift(watched, "district-ip").accepted == 1)
    found = condition(watched, "gov/office", "InSync")
    assert (found.status, found.reason) == (TRUE, "Accepted")
    assert "district-ip in 1" in found.message
    assert watched.client.plan(office()).services[0].action == 4  # unchanged: desired state is the intents'
    more = office(more="    - {site: pingdi, lan: 10.10.3.0/24}\n")
    _, result = watched.client.apply(more)
    assert result.outcome == COMMITTED, result.message
    assert running_vlan(watched, "district-ip", OFFICE) == "2905"
    watched.kill_daemon()
    watched.start_daemon()
    seen = drift(watched, "district-ip", afresh=True)
    assert (seen.ours, seen.accepted) == (0, 1)
    run = watched.command("drift", "revert", "district-ip", "--accepted", "--yes")
    assert run.returncode == 0, run.stderr
    assert running_vlan(watched, "district-ip", OFFICE) != "2905"
    seen = drift(watched, "district-ip", afresh=True)
    assert (seen.ours, seen.accepted) == (0, 0)


def test_by_hand_on_a_domain_that_only_alerts(watched: Stage, tmp_path: Path) -> None:
    remote = office("remote").replace("{site: longgang,", "{site: compute,")
    assert watched.client.apply(remote)[1].outcome == COMMITTED
    before = change_vlan(watched, "compute-ip", "gov.remote", "2906")
    eventually(lambda: drift(watched, "compute-ip").ours == 1)
    scrape = urllib.request.urlopen(f"http://{watched.metrics}/metrics", timeout=5).read().decode()
    assert 'onecity_domain_drift_places{domain="compute-ip",whose="ours"} 1.0' in scrape
    run = watched.command("drift")
    assert run.returncode == 2
    assert f"runs 2906, desired {before}   (gov/remote)" in run.stdout
    run = watched.command("drift", "revert", "compute-ip")
    assert run.returncode == 1
    assert "--yes" in run.stderr
    assert running_vlan(watched, "compute-ip", "gov.remote") == "2906"
    run = watched.command("drift", "accept", "compute-ip", "--yes", "-m", "until Monday", "--author", "mei")
    assert run.returncode == 0, run.stderr
    assert watched.command("drift").returncode == 0
    told = watched.command("history", f"{revision(watched)}").stdout
    assert "until Monday" in told
    assert "mei" in told
    assert "cvlan-id']: 2906" in told or "cvlan-id: 2906" in told
    change_vlan(watched, "compute-ip", "gov.remote", "2907")  # once more: this was never accepted
    eventually(lambda: drift(watched, "compute-ip").ours == 1)
    run = watched.command("drift", "revert", "compute-ip", "--service", "remote", "--yes")
    assert run.returncode == 0, run.stderr
    assert running_vlan(watched, "compute-ip", "gov.remote") == before
    assert watched.command("drift", "revert", "nowhere", "--yes").returncode == 1


def test_a_domain_that_lost_most_of_ours_is_left_to_a_person(watched: Stage) -> None:
    names = [f"o{n}" for n in range(6)]
    texts = [office(n).replace("10.10.", f"10.{30 + i}.") for i, n in enumerate(names)]
    assert watched.client.apply(*texts)[1].outcome == COMMITTED
    since = revision(watched)
    gone = "".join(
        f'<vpn-service xmlns:nc="{BASE}" nc:operation="remove"><vpn-id>gov.{n}</vpn-id></vpn-service>' for n in names
    )
    with watched.session("city-ip") as session:
        _put(session, CONFIG.format(gone))
    eventually(lambda: "are gone at once" in drift(watched, "city-ip").message)
    assert not drift_changes(watched, since)
    run = watched.command("drift", "revert", "city-ip", "--yes")
    assert run.returncode == 0, run.stderr
    assert all(runs(watched, "city-ip", f"gov.{n}") for n in names)
    assert not any(watched.client.differences().values())
