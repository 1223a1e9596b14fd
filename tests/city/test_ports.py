"""Processes that start servers at the same time never choose the same port."""

from __future__ import annotations

import subprocess
import sys

_ALIKE = """
import os, sys
os.getpid = lambda: 7
from lab.ports import free_port
print(*(free_port() for _ in range(20)), flush=True)
sys.stdin.read()
"""


def test_two_processes_never_choose_the_same_port_and_a_block_is_free_again() -> None:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _ALIKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ports(process: subprocess.Popen[str]) -> set[int]:
        assert process.stdout is not None
        return set(map(int, process.stdout.readline().split()))

    with start() as one, start() as other:
        first, second = ports(one), ports(other)
        assert len(first) == len(second) == 20
        assert first.isdisjoint(second)
        one.kill()
        one.wait(10)
        with start() as third:  # what was killed holds nothing
            assert ports(third).isdisjoint(second)
