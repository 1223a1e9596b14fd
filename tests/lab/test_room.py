"""The lab's own room: nothing of it outside, nothing of it left, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.openflow.sandbox import PID_FILE
from tests.support.stage import eventually

pytestmark = pytest.mark.usefixtures("real_packets")
_PARENT = """
import sys, time
from pathlib import Path
from lab.openflow.processes import packet_plant
from lab.supervision import start_city
with start_city("longgang", Path(sys.argv[1]), plant=packet_plant(hosts=1)):
    print("up", flush=True)
    time.sleep(600)
"""


def outside() -> tuple[str, str]:
    """What the machine itself has of interfaces and queues."""
    return tuple(  # type: ignore[return-value]
        subprocess.run(line, capture_output=True, text=True, check=True).stdout
        for line in (["ip", "-o", "-br", "link"], ["tc", "qdisc", "show"])
    )


def room_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")


def living_in(room: str) -> list[int]:
    """Return the processes whose network is this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.readlink(entry / "ns" / "net") == room:
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended meanwhile
    return found


def start(directory: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", _PARENT, str(directory)]
    parent = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env={**os.environ})
    assert parent.stdout is not None
    assert parent.stdout.readline().strip() == "up"
    return parent


@pytest.mark.parametrize("victim", ["the parent", "the holder of the room"])
def test_a_kill_leaves_nothing_and_the_next_start_works(tmp_path: Path, victim: str) -> None:
    before = outside()
    parent = start(tmp_path)
    try:
        pid = int((tmp_path / PID_FILE).read_text())
        room = room_of(pid)
        assert outside() == before  # all of it is in the room
        assert len(living_in(room)) > 20  # switches, hosts, OpenFlow processes
        os.kill(parent.pid if victim == "the parent" else pid, signal.SIGKILL)
        if victim != "the parent":
            time.sleep(0.5)
            parent.kill()
        parent.wait()
        eventually(lambda: not living_in(room), within_s=60.0)
        assert outside() == before
        again = start(tmp_path)
        again.terminate()
        again.wait()
    finally:
        parent.kill()
        parent.wait()
    eventually(lambda: outside() == before, within_s=60.0)
