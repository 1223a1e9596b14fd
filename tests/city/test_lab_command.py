"""The `lab` command and its processes: clear sentences, one run per directory, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lab.command import command
from lab.supervision import LabError, start_city


def children_of(directory: Path) -> list[int]:
    """Processes that name this run directory in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
                dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if str(directory).encode() in line and not dead:
                found.append(int(entry.name))
    return found


def wait_gone(directory: Path) -> list[int]:
    for _ in range(100):
        left = children_of(directory)
        if not left:
            break
        time.sleep(0.05)
    return left


def test_a_detached_city_is_broken_repaired_and_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--dir", str(tmp_path)]
    assert command(["up", "longgang", "--detach", "--domains", "city-otn", *where]) == 0
    assert command(["up", "longgang", "--detach", *where]) == 1
    assert "runs in" in capsys.readouterr().err
    assert command(["cut", "f-zhihui-nanwan", *where]) == 0
    assert command(["degrade", "f-nanwan-buji", "--loss", "1%", "--delay", "5ms", *where]) == 0
    assert command(["degrade", "f-pinghu-zhihui", "--light", "30dB", "--over", "10s", *where]) == 0
    assert command(["down", "lg-buji", *where]) == 0
    capsys.readouterr()
    assert command(["status", *where]) == 0
    status = capsys.readouterr().out
    assert "f-zhihui-nanwan is cut" in status
    assert "lg-buji is down" in status
    assert command(["restore", "lg-buji", *where]) == 0
    assert command(["restore", "--all", *where]) == 0
    assert command(["stop", *where]) == 0
    assert wait_gone(tmp_path) == []
    assert command(["stop", *where]) == 1


def test_a_dead_process_is_named_and_started_again_and_a_second_run_keeps_the_ports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--dir", str(tmp_path)]
    assert command(["up", "longgang", "--detach", "--domains", "city-otn,compute-ip", *where]) == 0
    try:
        first = yaml.safe_load((tmp_path / "onecity.yaml").read_text())
        (pid,) = (p for p in children_of(tmp_path) if "lab.ip.main" in Path(f"/proc/{p}/cmdline").read_text())
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        capsys.readouterr()
        assert command(["status", *where]) == 1
        assert "compute-ip is dead; `onecity lab restart compute-ip`" in capsys.readouterr().out
        assert command(["restart", "city-otn", *where]) == 1
        assert "city-otn is running" in capsys.readouterr().err
        assert command(["restart", "compute-ip", *where]) == 0
        assert command(["status", *where]) == 0
    finally:
        assert command(["stop", *where]) == 0
    assert wait_gone(tmp_path) == []
    assert command(["up", "longgang", "--detach", "--domains", "city-otn,compute-ip", *where]) == 0
    assert command(["stop", *where]) == 0
    assert yaml.safe_load((tmp_path / "onecity.yaml").read_text()) == first


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "longgan"], "did you mean longgang?"),
        (["up", "longgang", "--domains", "city-opt"], "has no domain 'city-opt'"),
        (["degrade", "x", "--loss", "two"], "is not a loss; write 1% or 0.01"),
        (["degrade", "x", "--delay", "5"], "is not a delay; write 5ms or 300us"),
        (["explode"], "invalid choice: 'explode'"),
        (["cut", "x", "--dir", "nowhere"], "no city runs in"),
        (["status", "--dir", "nowhere"], "no city runs in"),
        (["cut", "x"], "name its place by --dir"),
        (["degrade", "x"], "needs --loss, --delay, --jitter or --light"),
        (["degrade", "x", "--light", "3"], "is no loss of light; write 3dB"),
        (["restore"], "say what to restore, or --all"),
    ],
)
def test_a_wrong_word_gets_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(arguments) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_plant_names_what_is_near(tmp_path: Path) -> None:
    with start_city("longgang", tmp_path, domains=["city-otn"]) as city:
        answer = city.plant({"type": "cut", "fibre": "f-zhihui-nanwa"})
        assert answer["ok"] is False
        assert "did you mean f-zhihui-nanwan" in answer["error"]
        assert city.plant({"type": "cut", "fibre": "D1-shenhui-road"})["message"] == "f-zhihui-nanwan is cut"
        with pytest.raises(LabError):
            city.domain_process("nobody")


def test_a_city_is_up_in_three_seconds_with_everything_a_controller_needs(tmp_path: Path) -> None:
    started = time.monotonic()
    with start_city("longgang", tmp_path) as city:
        took = time.monotonic() - started
        document = yaml.safe_load(city.config_path.read_text())
        assert [d["name"] for d in document["domains"]] == ["city-ip", "district-ip", "compute-ip", "city-otn"]
        assert document["inventory"]["ports"]["node:lg-buji/tp:acc-1"] == {
            "role": "access",
            "rate": "100Gbps",
            "site": "buji",
        }
        assert len((tmp_path / "known_hosts").read_text().splitlines()) == 3
        for name in ("ca.pem", "secrets/city-ip.password", "secrets/token"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0
        before = {name: dict(city.domain_process(name).ports) for name in city.domains}
        city.domain_process("district-ip").kill()
        city.domain_process("district-ip").restart()
        assert {name: city.domain_process(name).ports for name in city.domains} == before
    assert took < 3.0
    assert wait_gone(tmp_path) == []


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from lab.supervision import start_city
city = start_city("longgang", Path({str(tmp_path)!r}))
city.domain_process("compute-ip").pause()
print("up", flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    try:
        assert parent.stdout.readline() == b"up\n"
        assert len(children_of(tmp_path)) == 6  # the plant, four domains and the parent itself
    finally:
        parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_gone(tmp_path) == []
