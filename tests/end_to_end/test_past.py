"""History, rollback, blame and backup on a live city: what was done is told, and can be taken back like any change."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ncclient import manager

from tests.end_to_end.intents import council, office, slice_over_three
from tests.support.stage import COMMITTED, Stage, eventually

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
NANWAN = "    - {site: nanwan, lan: 10.10.3.0/24}\n"


def revision(longgang: Stage) -> int:
    """The newest one."""
    return int(told(longgang, "history", "--limit", "1")[0]["revision"])


def told(longgang: Stage, *arguments: str) -> list[dict[str, object]]:
    done = longgang.command(*arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found if isinstance(found, list) else [found]


@contextmanager
def foreign_vpn(longgang: Stage) -> Iterator[None]:
    """Somebody who does not ask us has a VPN of their own on the city's network."""
    with longgang.session("city-ip") as session:
        _edit(session, "<vpn-service><vpn-id>somebody</vpn-id></vpn-service>")
        try:
            yield
        finally:
            _edit(session, '<vpn-service nc:operation="remove"><vpn-id>somebody</vpn-id></vpn-service>')


def _edit(session: manager.Manager, inner: str) -> None:
    config = (
        f'<nc:config xmlns:nc="{BASE}"><l3vpn-ntw xmlns="urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw">'
        f"<vpn-services>{inner}</vpn-services></l3vpn-ntw></nc:config>"
    )
    session.edit_config(config, target="candidate")
    session.commit()


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_history_tells_who_why_which_fields_and_what_each_domain_was_sent(longgang: Stage) -> None:
    longgang.client.apply(office())
    longgang.client.begin(office(more=NANWAN), author="ann")
    number = 0

    def ended() -> bool:
        nonlocal number
        (newest,) = told(longgang, "history", "--limit", "1")
        number = int(str(newest["revision"]))
        return newest["author"] == "ann" and newest["outcome"] == "committed"

    eventually(ended)
    (found,) = told(longgang, "history", f"{number}")
    assert found["services"] == [
        {
            "service": "gov/office",
            "kind": "DedicatedPlane",
            "action": "change",
            "fields": [{"path": "spec.sites[nanwan]", "old": None, "new": "nanwan", "impact": "none"}],
        }
    ]
    (domain,) = found["domains"]  # type: ignore[misc]
    assert domain["domain"] == "city-ip"
    assert '<vpn-network-access nc:operation="create">' in domain["native"]
    assert {p["service"] for p in domain["places"]} == {"gov/office"}
    assert any(p["path"].endswith("cvlan-id") and p["running"] is None for p in domain["places"])
    text = said(longgang.command("diff", f"{number}"))
    assert "by   ann, " in text
    assert "why  test" in text
    assert "+ connection/encapsulation/dot1q/cvlan-id = " in text
    assert "<lan>10.10.3.0/24</lan>" in said(longgang.command("diff", f"{number}", "--native"))


def test_what_a_change_did_is_known_also_after_a_kill_right_behind_it(longgang: Stage) -> None:
    longgang.client.apply(slice_over_three())
    longgang.kill_daemon()
    longgang.start_daemon()
    number = revision(longgang)

    def domains() -> set[str]:
        (found,) = told(longgang, "history", f"{number}")
        return {d["domain"] for d in found["domains"] if d["native"]}  # type: ignore[index,attr-defined]

    eventually(lambda: domains() == {"city-ip", "district-ip", "city-otn"})


def test_a_rollback_undoes_exactly_one_change(longgang: Stage) -> None:
    longgang.client.apply(office())
    longgang.client.apply(office(more=NANWAN))
    added = revision(longgang)
    longgang.client.apply(slice_over_three())
    asked = longgang.command("rollback", f"{added}")
    assert asked.returncode == 1
    assert "Traffic of gov/office at nanwan is interrupted." in asked.stdout
    done = longgang.command("rollback", f"{added}", "--yes", "-m", "wrong site", "--author", "ann")
    assert done.returncode == 0, said(done)
    (record,) = told(longgang, "history", "--limit", "1")
    assert (record["kind"], record["author"]) == ("rollback", "ann")
    assert str(record["reason"]).startswith(f"wrong site; undoes revision {added}")
    assert "nanwan" not in longgang.client.describe("gov/office").intent_yaml
    assert set(longgang.client.services()) == {"gov/office", "lands/survey"}
    assert not any(longgang.client.differences().values())


def test_a_rollback_that_later_changes_build_on_is_refused_with_their_list(longgang: Stage) -> None:
    longgang.client.apply(office())
    first = revision(longgang)
    longgang.client.apply(office(more=NANWAN))
    longgang.client.apply(council(-1, 600))
    refused = longgang.command("rollback", f"{first}", "--yes")
    assert refused.returncode == 1
    assert f"revision {first} cannot be undone alone" in refused.stderr
    listed = [line.split()[1] for line in refused.stderr.splitlines() if line.startswith("  revision")]
    assert listed == [f"{first + 2}", f"{first + 1}"]
    for number in listed:
        assert longgang.command("rollback", number, "--yes").returncode == 0
    assert longgang.command("rollback", f"{first}", "--yes").returncode == 0
    assert not longgang.client.services()


def test_a_rollback_of_a_rollback_brings_a_deleted_service_back(longgang: Stage) -> None:
    longgang.client.apply(slice_over_three())
    assert longgang.command("rollback", f"{revision(longgang)}", "--yes").returncode == 0
    assert not longgang.client.services()
    assert longgang.command("rollback", f"{revision(longgang)}", "--yes").returncode == 0
    assert set(longgang.client.services()) == {"lands/survey"}
    assert not any(longgang.client.differences().values())


def test_everything_returns_to_a_revision_and_windows_that_passed_stay_passed(longgang: Stage) -> None:
    longgang.client.apply(office(), council(-2, 4))
    before = revision(longgang)
    longgang.client.apply(office(more=NANWAN))
    longgang.client.delete("gov/council")
    longgang.client.apply(slice_over_three())
    eventually(lambda: "stays passed" in said(longgang.command("rollback", "--to", f"{before}")))
    done = longgang.command("rollback", "--to", f"{before}", "--yes")
    assert done.returncode == 0, said(done)
    assert "note  gov/council: its window ended" in done.stdout
    assert set(longgang.client.services()) == {"gov/office"}
    assert "nanwan" not in longgang.client.describe("gov/office").intent_yaml


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("9999",), "no change '9999'"),
        ((), "name the revision to undo, or --to REV"),
        (("1", "--to", "1"), "name the revision to undo, or --to REV"),
    ],
)
def test_a_rollback_of_nothing_is_refused_in_a_sentence(
    longgang: Stage, arguments: tuple[str, ...], words: str
) -> None:
    done = longgang.command("rollback", *arguments)
    assert (done.returncode, words in done.stderr) == (1, True)


def test_blame_names_service_and_change_of_every_leaf(longgang: Stage) -> None:
    longgang.client.apply(office())
    first = revision(longgang)
    longgang.client.apply(slice_over_three())
    longgang.client.apply(office(more=NANWAN))
    (found,) = told(longgang, "blame", "city-ip", "--limit", "10000")
    places = found["places"]
    assert {tuple(p["services"]) for p in places} == {("gov/office",), ("lands/survey",)}  # type: ignore[attr-defined]
    by = {(p["services"][0], p["revision"]) for p in places}  # type: ignore[attr-defined]
    assert by == {("gov/office", first), ("lands/survey", first + 1), ("gov/office", first + 2)}
    prefix = (
        "/l3nm:l3vpn-ntw/vpn-services/vpn-service[vpn-id='gov.office']/vpn-nodes/vpn-node[vpn-node-id='node:lg-nanwan']"
    )
    (found,) = told(longgang, "blame", "city-ip", prefix, "--service", "gov/office")
    assert all("lg-nanwan" in p["path"] for p in found["places"])  # type: ignore[attr-defined]
    (found,) = told(longgang, "blame", "city-ip", "--limit", "3")
    assert (len(found["places"]), found["more"]) == (3, True)  # type: ignore[arg-type]
    assert "no domain 'nowhere'; there are city-ip" in longgang.command("blame", "nowhere").stderr


def test_blame_marks_what_runs_there_and_is_nobodys(longgang: Stage) -> None:
    (found,) = told(longgang, "blame", "city-otn", "--running")
    assert {tuple(p["services"]) for p in found["places"]} <= {()}  # type: ignore[attr-defined]
    longgang.client.apply(slice_over_three())
    (found,) = told(longgang, "blame", "city-otn", "--running", "--limit", "10000")
    ours = [p for p in found["places"] if p["services"]]  # type: ignore[attr-defined]
    assert ours
    assert {p["services"][0] for p in ours} == {"lands/survey"}
    assert all(p["wanted"] is None for p in ours)
    with foreign_vpn(longgang):
        lines = said(longgang.command("blame", "city-ip", "somebody", "--running")).splitlines()
        assert lines
        assert all(line.startswith("!  –  nobody's  /l3nm:l3vpn-ntw") for line in lines)


def test_a_backup_made_while_running_brings_the_state_back(longgang: Stage, tmp_path: Path) -> None:
    longgang.client.apply(office())
    copy, state = tmp_path / "copy.db", longgang.city.directory / "onecity.db"
    number = revision(longgang)
    made = longgang.command("backup", str(copy))
    assert made.returncode == 0, said(made)
    for arguments, words in (
        (("backup", str(copy)), "there is such a file already"),
        (("backup", "copy.db"), "is no absolute path"),
        (("restore", str(copy), "--state", str(state)), "in use by another onecity; stop that one first"),
    ):
        done = longgang.command(*arguments)
        assert (done.returncode, words in done.stderr) == (1, True), said(done)
    longgang.client.apply(slice_over_three())
    longgang.client.delete("lands/survey")
    longgang.kill_daemon()
    restored = longgang.command("restore", str(copy), "--state", str(state))
    assert restored.returncode == 0, said(restored)
    assert f"revision {number}" in restored.stdout
    assert (longgang.city.directory / "onecity.db.before-restore").exists()
    longgang.start_daemon()
    assert revision(longgang) == number
    assert set(longgang.client.services()) == {"gov/office"}
    assert not any(longgang.client.differences().values())
    assert longgang.client.apply(slice_over_three())[1].outcome == COMMITTED


def test_blame_takes_a_service_by_its_bare_name_where_there_is_one_of_it(longgang: Stage) -> None:
    assert longgang.client.apply(office())[1].outcome == COMMITTED
    assert "gov/office" in longgang.command("blame", "city-ip", "--service", "office", "--limit", "3").stdout
    audit = office(tenant="audit").replace("10.10.", "10.20.")
    assert longgang.client.apply(audit)[1].outcome == COMMITTED
    run = longgang.command("blame", "city-ip", "--service", "office")
    assert run.returncode == 1
    assert "it may be audit/office, gov/office" in run.stderr
