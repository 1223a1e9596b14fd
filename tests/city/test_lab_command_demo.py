"""What the demo leaves behind: nothing, also of one that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab.demo import PREFIX, clear_away


def test_a_demo_clears_away_those_that_were_killed_and_no_others(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    killed, running = tmp_path / f"{PREFIX}{dead.pid}-abc", tmp_path / f"{PREFIX}{os.getpid()}-abc"
    other = tmp_path / f"{PREFIX}notes-abc"
    for directory in (killed, running, other):
        directory.mkdir()
    (killed / "onecity.yaml").write_text("listen: x\n")
    clear_away(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([running, other])
