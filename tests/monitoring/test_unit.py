"""The daemon does all of its work under the filter of system calls of its unit, in its helper processes too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.supervision import start_city
from tests.end_to_end.intents import slice_over_three
from tests.monitoring.confined import allowed, library
from tests.support.stage import COMMITTED, Stage, eventually

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or library() is None, reason="needs systemd-analyze and libseccomp"
)


class Confined(Stage):
    def _start(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        guarded = [sys.executable, "-m", "lab.process", str(os.getpid()), "tests.monitoring.confined"]
        with self.log.open("ab") as log:
            line = [*guarded, "controller.cli.main", "serve", "-c", str(self.city.config_path)]
            return subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, **environment})


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[Confined]:
    with start_city("longgang", tmp_path) as city:
        standing = Confined(city)
        try:
            yield standing
        finally:
            standing.stop()


def test_the_filter_is_what_the_unit_says() -> None:
    names = allowed()
    assert {"read", "execve", "clone", "socket", "fsync", "setpriority"} <= names
    assert names.isdisjoint({"sched_setaffinity", "mount", "ptrace", "chroot", "reboot", "bpf"})


def test_it_serves_simulates_forecasts_and_is_scraped(confined: Confined) -> None:
    assert confined.client.apply(slice_over_three())[1].outcome == COMMITTED
    found = confined.command("simulate", "--fail", "fibre:f-nanwan-buji", "-o", "json")
    assert found.returncode in (0, 2), found.stderr
    assert json.loads(found.stdout)

    def forecast() -> list[str]:
        told = confined.command("report", "--links", "1", "-o", "json")
        assert told.returncode == 0, told.stderr
        return [k["problem"] for k in json.loads(told.stdout)["links"]]

    eventually(forecast)
    assert all("needs 72 hours" in problem or "statsmodels" in problem for problem in forecast())  # it was looked at
    assert "Traceback" not in confined.log.read_text(encoding="utf-8", errors="replace")
