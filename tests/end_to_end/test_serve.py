"""What `onecity serve` says, and that it ends cleanly whenever it is told to, or cannot begin."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.support.stage import Stage, eventually, wait_ready

LIBRARIES = ("Traceback", "ncclient", "paramiko", "never retrieved", "never awaited", "Event loop", "add_port", "ERROR")


@pytest.fixture
def alone(longgang: Stage) -> Stage:
    """The city without its daemon; the test starts its own."""
    longgang.daemon.terminate()
    longgang.daemon.wait(20)
    return longgang


@pytest.fixture(autouse=True)
def _daemon_again(longgang: Stage, _empty: None):  # type: ignore[no-untyped-def]
    yield
    if longgang.daemon.poll() is not None:
        longgang.start_daemon()
        eventually(lambda: all(d.reachable for d in longgang.client.stub.Diff(_diff(), timeout=60).domains))


def _diff() -> object:
    from onecity.v1 import controller_pb2

    return controller_pb2.DiffRequest()


class Serve:
    """A daemon whose words are kept."""

    def __init__(self, config: Path) -> None:
        line = [
            sys.executable,
            "-u",  # so that it is started by itself, not forked from one that is warm (tests/support/warm.py)
            "-m",
            "lab.process",
            str(os.getpid()),
            "controller.cli.main",
            "serve",
            "-c",
            str(config),
        ]
        self._said = config.parent / "logs" / f"serve-{time.monotonic_ns()}.log"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=said)

    def until(self, words: str) -> None:
        """Wait until it has said these words."""
        eventually(lambda: words in self._said.read_text(encoding="utf-8"), 20)

    def ended(self, number: int | None = None) -> tuple[int, str]:
        """Return its exit code and what it said on standard error."""
        if number is not None:
            self.process.send_signal(number)
        self.process.wait(30)
        said = self._said.read_text(encoding="utf-8")
        assert not [word for word in LIBRARIES if word in said], said
        return self.process.returncode, said


@pytest.mark.parametrize("which", ["metrics", "listen"])
def test_a_taken_port_is_one_sentence_and_nothing_else(alone: Stage, which: str) -> None:
    address = yaml.safe_load(alone.city.config_path.read_text(encoding="utf-8"))[which]
    host, port = address.split(":")
    with socket.create_server((host, int(port))):
        code, said = Serve(alone.city.config_path).ended()
    assert code == 1
    lines = [line for line in said.splitlines() if " INFO " not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"onecity: {which}: {address} cannot be had")


def test_ctrl_c_of_a_healthy_daemon_is_silent(alone: Stage) -> None:
    serve = Serve(alone.city.config_path)
    wait_ready(alone.address)
    code, said = serve.ended(signal.SIGINT)
    assert code == 0
    assert all(f"domain {name} is up" in said for name in alone.city.domains)


def test_sigterm_while_a_domain_is_awaited_ends_cleanly(alone: Stage) -> None:
    compute = alone.city.domain_process("compute-ip")
    compute.pause()
    try:
        serve = Serve(alone.city.config_path)
        serve.until("waiting for compute-ip")
        code, said = serve.ended(signal.SIGTERM)
    finally:
        compute.resume()
    assert code == 0
    assert said.count("waiting for compute-ip") == 1


def test_a_domain_that_is_away_is_told_of_once_and_when_it_is_back(alone: Stage) -> None:
    compute = alone.city.domain_process("compute-ip")
    compute.kill()
    try:
        serve = Serve(alone.city.config_path)
        serve.until("waiting for compute-ip")
        serve.until("domain compute-ip is down")
        time.sleep(2.0)  # the next attempts fail too
    finally:
        compute.restart()
    wait_ready(alone.address)
    code, said = serve.ended(signal.SIGTERM)
    assert code == 0
    assert said.count("domain compute-ip is down") == 1
    assert "Connection refused" in said
    assert "waiting for compute-ip" in said
    assert said.count("domain compute-ip is up") == 1
