"""What every process of the lab does alike: say that it is ready, and end with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1


def say_ready(**facts: Any) -> None:
    """Print the one line that the parent waits for."""
    print(json.dumps({"ready": True, **facts}), flush=True)


def end_with_stdin() -> None:
    """End this process when stdin closes: its other end is held by the parent, also through kill -9."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def stutter_on_signal(set_to: Callable[[bool], None]) -> None:
    """Let SIGUSR1 turn a stutter on and SIGUSR2 off: what the network delivers twice, for those who test that."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, set_to, True)
    loop.add_signal_handler(signal.SIGUSR2, set_to, False)


async def until_signal() -> None:
    """Return at SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def _die_with(parent: int) -> None:
    """Ask the kernel to kill us with the thread that started us; the second guard beside stdin, for a hung process."""
    with contextlib.suppress(OSError, AttributeError):  # not Linux: stdin alone has to do
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    # python -m lab.process PARENT-PID MODULE ARGUMENTS…: set the guard, then become MODULE.
    _die_with(int(sys.argv[1]))
    module = sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
