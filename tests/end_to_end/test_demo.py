"""`make demo` plays to its end, and whatever ends it leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stage import eventually

DEMO = (sys.executable, "-m", "lab.demo")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _empty() -> None:
    """The demo has a city of its own; the one of the other files is not needed."""


@pytest.mark.timeout(220)
def test_the_demo_plays_to_its_end() -> None:
    done = subprocess.run(DEMO, cwd=ROOT, capture_output=True, text=True, timeout=210)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "9 unchanged" in done.stdout
    assert "f-nanwan-buji is cut" in done.stdout
    assert "nothing is left running" in done.stdout
    for table in done.stdout.split("$ onecity get\n")[1:]:  # what is shown is measured: before, cut, and spliced
        assert "no measurement" not in table.split("\n\n")[0], table
        assert "settling" not in table.split("\n\n")[0], table


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_demo_leaves_no_process_behind(number: signal.Signals) -> None:
    demo = subprocess.Popen(DEMO, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert demo.stdout is not None
    assert b"serves on" in demo.stdout.readline()
    started = _below(demo.pid)
    assert len(started) >= 6  # plant, four domains, the daemon
    demo.send_signal(number)
    demo.wait(60)
    demo.stdout.close()
    eventually(lambda: not [pid for pid in started if _alive(pid)])


def _below(parent: int) -> set[int]:
    """Return all living descendants of a process."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _parent(int(entry.name))) is not None:
            parents[int(entry.name)] = found
    found_pids, grown = {parent}, True
    while grown:
        more = {pid for pid, above in parents.items() if above in found_pids}
        grown = not more <= found_pids
        found_pids |= more
    return found_pids - {parent}


def _parent(pid: int) -> int | None:
    try:
        state, above = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(above)


def _alive(pid: int) -> bool:
    return _parent(pid) is not None
