"""History by revision, rollback, blame and backup from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from controller.cli.past import full_path, short_path
from tests.cli.conftest import Run
from tests.northbound.remembered import RememberedChanges

Write = Callable[..., str]


async def test_history_numbers_changes_and_tells_all_of_one(run: Run, write: Write) -> None:
    await run("apply", write(), "-m", "new video")
    out = (await run("history")).out
    assert out.splitlines()[0].split() == [
        "rev",
        "change",
        "accepted",
        "kind",
        "outcome",
        "author",
        "services",
        "reason",
    ]
    assert out.splitlines()[1].split()[:2] == ["1", "c1"]
    shown = (await run("history", "1")).out
    for words in (
        "revision 1  change c1  apply  committed",
        "by   ann, ",
        "why  new video",
        "+ ExclusiveSlice  gov/video",
        "spec.sites[zhihui].vlan  100 → 101   interrupts traffic",
        "city-ip: 10 places became different",
        "  /l3nm:l3vpn-ntw/vpn-service[vpn-id='gov.video']   (gov/video)",
        "    + vpn-name = video",
        "    ~ status/mtu = 1400 → 1500",
        "    - old = x",
        "add --native for the exact text",
    ):
        assert words in shown
    assert (await run("diff", "1")).out == shown
    assert "  <config>…</config>" in (await run("diff", "1", "--native")).out
    found = json.loads((await run("history", "1", "-o", "json")).out)
    assert found["services"][0]["fields"][1]["impact"] == "interrupting"
    assert found["domains"][0]["places"][2]["wanted"] is None
    assert found["domains"][0]["left_out"] == 7
    assert (await run("history", "7")).err == "no change '7'; `onecity history` lists them\n"


async def test_rollback_shows_its_plan_and_asks_before_interruption(
    run: Run, write: Write, changes: RememberedChanges
) -> None:
    await run("apply", write())
    asked = await run("rollback", "1")
    assert (asked.code, "add --yes if that is meant" in asked.err) == (1, True)
    assert "note  gov/council: its window stays passed" in asked.out
    assert list(changes.standing) == ["gov/video"]
    done = await run("rollback", "1", "--yes", "-m", "wrong", "--author", "bo")
    assert (done.code, list(changes.standing)) == (0, [])
    newest = json.loads((await run("history", "--limit", "1", "-o", "json")).out)[0]
    assert (newest["kind"], newest["author"], newest["reason"], newest["revision"]) == ("rollback", "bo", "wrong", 2)
    refused = await run("rollback", "1", "--yes")
    assert (refused.code, "revision 1 cannot be undone alone" in refused.err) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("1", "--to", "1")])
async def test_rollback_needs_one_revision(run: Run, arguments: tuple[str, ...]) -> None:
    ended = await run("rollback", *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "name the revision to undo, or --to REV to return to one; `onecity history` lists them\n"


async def test_blame_marks_what_is_nobodys(run: Run) -> None:
    ended = await run("blame", "city-ip", "--running")
    assert ended.out.splitlines() == [
        "   1  gov/video  /l3nm:l3vpn-ntw/vpn[id='a']/name = x",
        "!  –  nobody's   /l3nm:l3vpn-ntw/vpn[id='b']",
    ]
    cut = await run("blame", "city-ip", "--running", "--limit", "1")
    assert "there is more: narrow it down" in cut.out
    found = json.loads((await run("blame", "city-ip", "/l3nm:l3vpn-ntw/vpn[id='a']", "-o", "json")).out)
    assert [(p["services"], p["revision"], p["change_id"]) for p in found["places"]] == [(["gov/video"], 1, "c1")]
    assert (await run("blame", "city-ip", "/te:te")).out == "Nothing there.\n"
    assert (await run("blame", "city-ip", "--limit", "0")).err == "--limit must be from 1 to 100000\n"
    assert "no domain 'nowhere'" in (await run("blame", "nowhere")).err


async def test_backup_names_the_way_back(run: Run) -> None:
    done = await run("backup", "/var/copy.db")
    assert done.out.startswith("/var/copy.db: 4,096 bytes.")
    assert "onecity restore /var/copy.db --state STORE" in done.out
    wrong = await run("backup", "copy.db")
    assert (wrong.code, "is no absolute path" in wrong.err) == (1, True)


async def test_restore_says_what_is_wrong_in_one_sentence(run: Run) -> None:
    ended = await run("restore", "nowhere.db", "--state", "onecity.db")
    assert (ended.code, ended.err) == (1, "nowhere.db: there is no such file\n")


def test_paths_are_written_short_and_understood_either_way() -> None:
    full = "/l3nm:l3vpn-ntw/l3nm:vpn-service[l3nm:vpn-id='gov.office/x:y']/nt:tp[nt:tp-id='a']/l3nm:b"
    short = "/l3nm:l3vpn-ntw/vpn-service[vpn-id='gov.office/x:y']/nt:tp[tp-id='a']/l3nm:b"
    assert short_path(full) == short
    assert full_path(short) == full
    assert full_path(full) == full
    assert full_path("/l3nm:l3vpn-ntw/vpn-ser") == "/l3nm:l3vpn-ntw/l3nm:vpn-ser"
