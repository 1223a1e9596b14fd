"""Processes of the product that start in a tenth of the time: forked from one that has all of its modules loaded.

A run of the tests starts some five hundred daemons, domain controllers and commands, and most of what that costs is
Python's imports. Beside each other (`make test`, not in a run of a single file) the tests take them from here: each
worker has one process that loads the modules once and forks whenever `subprocess.Popen` is asked for one of PROGRAMS.
What is forked is a child of the worker like any other – own pid, waited for, killed, guarded – since the worker adopts
it. Whatever is asked for in another way, or cannot be had here, is started as ever.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from ctypes import CDLL
from pathlib import Path
from typing import Any

PROGRAMS = ("controller.cli.main", "lab.ip.main", "lab.optical.main", "lab.plant.main")
COMMAND = str(Path(sys.executable).with_name("onecity"))
_BESIDE = (
    "controller.daemon", "controller.cli.reading", "controller.cli.changing", "controller.cli.drifting", "lab.process",
)  # fmt: skip
_AT_THE_START = ("PYTHON", "LC_", "LANG", "TZ", "GRPC_", "MALLOC_")  # what only a process of its own takes notice of
_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER
_LOADED_S, _LONGEST = 60.0, 1 << 18
_real_popen = subprocess.Popen


# ── in the worker ───────────────────────────────────────────────────────────────────────────────────────────────


class WarmPopen(_real_popen):  # type: ignore[type-arg, misc, valid-type]
    """As `subprocess.Popen`, with the programs of the product forked from a process that has loaded them."""

    def _execute_child(self, args: Any, *how: Any) -> None:
        # The same in Python 3.11, 3.12 and 3.13.
        executable, before_exec, _, passed, cwd, env, _, _, shell, *ends = how[:15]
        group, groups, user, mask, session, process_group = how[16:22]
        plain = not (executable or before_exec or passed or shell) and (group, groups, user) == (None, None, None)
        wanted = _wanted(args, env) if plain and (mask, process_group) == (-1, -1) else None
        taken = (ends[0], ends[3], ends[5])
        files = [own if own != -1 else usual for own, usual in zip(taken, (0, 1, 2), strict=True)]
        pid = None
        if wanted:
            wanted |= {"cwd": os.path.abspath(os.fspath(cwd or ".")), "session": bool(session)}
            pid = _mother.child(wanted, files)
        if pid is None:
            super()._execute_child(args, *how)
            return
        self.pid, self._child_created = pid, True
        self._close_pipe_fds(*ends)


def _wanted(args: Any, env: Any) -> dict[str, Any] | None:
    """Return what to fork, where it is one of ours and asks for nothing that is settled before Python starts."""
    if isinstance(args, str | bytes | os.PathLike):
        return None
    line = [os.fspath(a) for a in args]
    environment = dict(os.environ if env is None else env)
    told = {k: v for k, v in environment.items() if k.startswith(_AT_THE_START)}
    if told != {k: v for k, v in os.environ.items() if k.startswith(_AT_THE_START)}:
        return None
    if line[:1] == [COMMAND]:
        return {"module": PROGRAMS[0], "arguments": line[1:], "environment": environment}
    if line[:2] != [sys.executable, "-m"] or not {*line[2:3], *line[4:5]} & set(PROGRAMS):
        return None
    if line[2] not in (*PROGRAMS, "lab.process"):
        return None
    return {"module": line[2], "arguments": line[3:], "environment": environment}


class _Mother:
    """The process that has the modules loaded, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._failed = False

    def child(self, request: dict[str, Any], files: list[int]) -> int | None:
        """Fork a child of ours with these as its standard files; return its pid, or None where it cannot be had."""
        priority = os.getpriority(os.PRIO_PROCESS, 0)
        line = json.dumps({**request, "parent": os.getpid(), "priority": priority}).encode()
        with self._lock:
            if self._failed or len(line) > _LONGEST:
                return None
            libc = CDLL(None)
            try:
                channel = self._channel = self._channel or _start()
                libc.prctl(_ADOPT_ORPHANS, 1)
                socket.send_fds(channel, [line], files)
                return int(channel.recv(64))
            except (OSError, ValueError):
                self._failed = True
                return None
            finally:
                libc.prctl(_ADOPT_ORPHANS, 0)


def _start() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        line = [sys.executable, "-m", __name__, str(number)]
        _real_popen(line, pass_fds=(number,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    ours.settimeout(_LOADED_S)
    return ours


_mother = _Mother()


def install() -> None:
    """Take the programs of the product from here from now on."""
    if sys.platform == "linux":
        subprocess.Popen = WarmPopen  # type: ignore[misc]


# ── in the process that has them loaded ─────────────────────────────────────────────────────────────────────────


def _load() -> None:
    for module in (*PROGRAMS, *_BESIDE):
        importlib.import_module(module)
    for module in (*PROGRAMS, "lab.process"):
        del sys.modules[module]  # each is run as the main module, as ever
    gc.collect()
    gc.freeze()


def _serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork whatever is asked for. Returns in each child, with what it is to become, and None at the end."""
    while True:
        line, files, *_ = socket.recv_fds(channel, _LONGEST, 3)
        if not line:
            return None
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child == 0:
                for number in (reading, writing, channel.detach()):
                    os.close(number)
                request: dict[str, Any] = json.loads(line)
                _become(request, files)
                return request
            os.write(writing, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)  # from here on the worker is the parent of the child
        channel.send(os.read(reading, 64))
        for number in (reading, writing, *files):
            os.close(number)


def _become(request: dict[str, Any], files: list[int]) -> None:
    """Be what a process of its own would be at its first line."""
    deadline = time.monotonic() + 10.0
    while os.getppid() != request["parent"]:
        if time.monotonic() > deadline:
            os._exit(70)
        time.sleep(0.001)
    if request["session"]:
        os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if os.getpriority(os.PRIO_PROCESS, 0) != request["priority"]:
        os.setpriority(os.PRIO_PROCESS, 0, request["priority"])
    at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    sys.stdout = sys.__stdout__ = _writer(1, "strict", line_buffering=os.isatty(1), write_through=at_once)
    sys.stderr = sys.__stderr__ = _writer(2, "backslashreplace", line_buffering=True, write_through=at_once)


def _writer(number: int, errors: str, **more: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), errors=errors, **more)


if __name__ == "__main__":
    os.setsid()  # a Ctrl-C is for the worker; this ends when the worker does
    _load()
    if (becoming := _serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        sys.argv = ["", *becoming["arguments"]]
        runpy.run_module(becoming["module"], run_name="__main__", alter_sys=True)
