"""plan, apply, delete and watch: what is shown, what is asked, and the exit codes that scripts rely on."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
from collections.abc import Callable
from pathlib import Path

from controller.northbound.server import NorthboundServer
from controller.settings import Listen
from tests.cli.conftest import ONECITY, Run, environment
from tests.northbound.remembered import RememberedChanges

Write = Callable[..., str]


async def test_plan_says_what_changes_and_whether_it_hurts(run: Run, write: Write) -> None:
    write()
    write("office")
    ended = await run("plan", "intents")
    assert ended.code == 2
    assert re.search(r"^  \+  ExclusiveSlice  gov/video +10 Gbit/s  own wavelength 193.10 THz", ended.out, re.M)
    assert re.search(r"^  city-ip +2 +118 +6 +3$", ended.out, re.M)
    assert "proofs: isolation ✓ loops ✓   (in 14 ms)" in ended.out
    assert "ip       city-ip   working  0.1 ms              lg-buji → lg-nanwan" in ended.out
    assert "optical  city-otn  working  0.1 ms  193.10 THz  otn-buji → f-1 → otn-zhihui" in ended.out
    assert ended.out.endswith("2 to add, 0 to change, 0 to remove. Nothing interrupts traffic.\n")
    assert "\x1b" not in ended.out


async def test_apply_then_plan_is_empty(run: Run, write: Write) -> None:
    write()
    ended = await run("apply", "intents", "-m", "opening")
    assert (ended.code, ended.err) == (0, "warning: city-ip: clock is off\n")
    assert "change c1  gov/video\n" in ended.out
    assert re.search(r"^c1  city-ip  build: confirmed  10 ms$", ended.out, re.M)
    assert ended.out.endswith("Done: 1 added, 0 changed, 0 removed in 310 ms.\n")
    again = await run("plan", "intents")
    assert (again.code, again.out) == (0, "  = 1 unchanged\n\nNothing to change: the network is as asked.\n")
    third = await run("apply", "intents")
    assert (third.code, "Done" in third.out) == (0, False)
    history = json.loads((await run("history", "-o", "json")).out)
    assert [(c["author"], c["reason"], c["outcome"]) for c in history] == [("ann", "opening", "committed")]


async def test_native_text_and_json_are_shown_when_asked_for(run: Run, write: Write) -> None:
    path = write()
    assert "<edit-config>…</edit-config>" in (await run("plan", path, "--native")).out
    ended = await run("plan", path, "-o", "json")
    assert ended.code == 2
    plan = json.loads(ended.out)
    assert plan["services"][0]["action"] == "create"
    assert plan["services"][0]["promises"][0]["rate_bps"] == 10**10
    assert "action: create" in (await run("plan", path, "-o", "yaml")).out


async def test_a_saved_plan_is_applied_as_it_was_seen(run: Run, write: Write, changes: RememberedChanges) -> None:
    path = write()
    kept = await run("plan", path, "-o", "video.plan")
    assert (kept.code, "onecity apply video.plan" in kept.out) == (2, True)
    changes.moves += 1
    moved = await run("apply", "video.plan")
    assert (moved.code, "moved since this plan was made" in moved.err) == (1, True)
    assert "1 to add" in moved.out
    assert not changes.changes
    changes.moves -= 1
    assert (await run("apply", "video.plan")).code == 0


async def test_a_saved_plan_is_private_and_damage_is_told(run: Run, write: Write, tmp_path: Path) -> None:
    await run("plan", write(), "-o", "video.plan")
    plan = tmp_path / "video.plan"
    assert plan.stat().st_mode & 0o777 == 0o600
    plan.write_text(plan.read_text()[:-40])
    ended = await run("apply", "video.plan")
    assert (ended.code, ended.err) == (1, "video.plan: is a damaged plan; plan again\n")


async def test_a_refusal_refuses_all_and_says_what_binds(run: Run, write: Write, changes: RememberedChanges) -> None:
    write()
    write("big", "{refuse: 1}")
    planned = await run("plan", "intents")
    assert planned.code == 1
    assert "binds      duct D7" in planned.out
    ended = await run("apply", "intents")
    assert ended.code == 1
    assert "1 service cannot be placed; nothing was applied" in ended.err
    assert not changes.changes
    partly = await run("apply", "intents", "--partial")
    assert (partly.code, list(changes.standing)) == (0, ["gov/video"])


async def test_every_mistake_is_told_with_its_place(run: Run, write: Write) -> None:
    ended = await run("plan", write(spec="{wrong: 1}"))
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "intents/video.yaml:4: spec.wrong: is not known; did you mean “right”?",
        'intents/video.yaml:5: spec.bandwidth: "100Gbs" is not a rate; write 100Gbps',
    ]
    assert ended.out == ""


async def test_a_failed_change_says_why_in_the_domains_words(run: Run, write: Write) -> None:
    ended = await run("apply", write(spec="{fail: 1}"))
    assert ended.code == 1
    assert "Change c1 failed and was undone everywhere." in ended.err
    assert "city-ip (commit): VLAN 1203 in use on ge-0/0/3" in ended.err


async def test_it_does_not_interrupt_traffic_unasked(run: Run, write: Write, changes: RememberedChanges) -> None:
    await run("apply", write())
    ended = await run("apply", write(spec="{interrupt: 1}"))
    assert ended.code == 1
    assert "add --yes if that is meant" in ended.err
    assert "Traffic of gov/video is interrupted." in ended.out
    assert len(changes.changes) == 1
    assert (await run("apply", write(spec="{interrupt: 1}"), "--yes")).code == 0


async def test_on_a_terminal_it_asks_and_no_is_no(
    server: NorthboundServer, run: Run, write: Write, tmp_path: Path, changes: RememberedChanges
) -> None:
    await run("apply", write())
    out = await on_terminal(server, tmp_path, b"n\n", "delete", "gov/video")
    assert b"This interrupts traffic of 1 service. Go on? [y/N]" in out
    assert b"nothing was applied" in out
    assert "gov/video" in changes.standing
    out = await on_terminal(server, tmp_path, b"y\n", "delete", "gov/video")
    assert b"\x1b[" in out
    assert "confirmed \x1b[32m✓".encode() in out
    assert "gov/video" not in changes.standing


async def test_no_color_is_honoured_on_a_terminal(server: NorthboundServer, write: Write, tmp_path: Path) -> None:
    out = await on_terminal(server, tmp_path, b"", "plan", write(), NO_COLOR="1")
    assert b"1 to add" in out
    assert b"\x1b" not in out


async def on_terminal(server: NorthboundServer, folder: Path, answer: bytes, *arguments: str, **more: str) -> bytes:
    main, other = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        ONECITY, *arguments, cwd=folder, env=environment(server, TERM="xterm", **more),
        stdin=other, stdout=other, stderr=other,
    )  # fmt: skip
    os.close(other)
    os.write(main, answer)
    await asyncio.wait_for(process.wait(), 60)
    out = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    os.close(main)
    return out


async def test_after_ctrl_c_the_change_goes_on_and_can_be_watched(
    server: NorthboundServer, run: Run, write: Write, tmp_path: Path, changes: RememberedChanges
) -> None:
    changes.gate.clear()
    process = await asyncio.create_subprocess_exec(
        ONECITY, "apply", write(), cwd=tmp_path, env=environment(server),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = b""
    while b"change c1" not in line:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, "it ended before it said which change it watches"
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130
    assert "goes on without you looking. Re-attach with `onecity watch c1`" in err.decode()
    changes.gate.set()
    ended = await run("watch", "c1")
    assert (ended.code, "Done: 1 added" in ended.out) == (0, True)


async def test_delete_withdraws_with_yes_and_knows_what_is_not_there(
    run: Run, write: Write, changes: RememberedChanges
) -> None:
    await run("apply", write())
    ended = await run("delete", "gov/none", "--yes")
    assert (ended.code, "there is no service gov/none" in ended.err) == (1, True)
    ended = await run("delete", "gov/video", "--yes")
    assert ended.out.endswith("Done: 0 added, 0 changed, 1 removed in 310 ms.\n")
    assert not changes.standing


async def test_prune_removes_only_by_label_and_lists_each(run: Run, write: Write, changes: RememberedChanges) -> None:
    await run("apply", write("old", labels="{app: x}"), write("other"))
    ended = await run("apply", write("new", labels="{app: x}"), "--prune")
    assert (ended.code, "add -l KEY=VALUE" in ended.err) == (1, True)
    ended = await run("apply", write("new", labels="{app: x}"), "--prune", "-l", "app=x", "--yes")
    assert re.search(r"^  -  ExclusiveSlice  gov/old  interrupts traffic$", ended.out, re.M)
    assert sorted(changes.standing) == ["gov/new", "gov/other"]


async def test_standard_input_is_read(run: Run) -> None:
    ended = await run("plan", "-", stdin="kind: X\nmetadata: {name: a}\n")
    assert (ended.code, "default/a" in ended.out) == (2, True)


async def test_a_daemon_that_restarts_is_waited_for(
    server: NorthboundServer, run: Run, write: Write, changes: RememberedChanges
) -> None:
    changes.gate.clear()
    applying = asyncio.ensure_future(run("apply", write()))
    for _ in range(1000):
        if changes.watchers:
            break
        await asyncio.sleep(0.01)
    await server.stop(0)
    again = NorthboundServer(changes, Listen("127.0.0.1", server.port))
    await again.start()
    changes.gate.set()
    ended = await applying
    await again.stop(0)
    assert (ended.code, "lost the daemon" in ended.err) == (0, True)
    assert ended.out.endswith("Done: 1 added, 0 changed, 0 removed in 310 ms.\n")
    assert ended.out.count("change c1") == 1


async def test_watching_without_a_daemon_says_so_at_once(run: Run) -> None:
    ended = await run("watch", "c1", ONECITY_SERVER="127.0.0.1:1")
    assert (ended.code, "no onecity daemon answers" in ended.err) == (1, True)


async def test_what_is_disproved_is_not_applied(run: Run, write: Write, changes: RememberedChanges) -> None:
    changes.loops = True
    planned = await run("plan", write())
    assert planned.code == 1
    assert "loops ✗" in planned.out
    assert "loops does not hold: a → b → a" in planned.out
    assert planned.out.endswith("1 proof does not hold; nothing of this can be applied.\n")
    ended = await run("apply", write())
    assert (ended.code, "nothing was applied" in ended.err) == (1, True)
    assert not changes.changes
