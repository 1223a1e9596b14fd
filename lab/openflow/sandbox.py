"""A room of the lab's own: processes, network and mounts that end together.

The builder runs as process 1 of a fresh PID namespace, in a fresh network namespace. Whoever dies first – the builder,
the process outside that watches it, or that one's parent – takes all switches, hosts, links, queues and traffic
with it: the kernel ends every process of a PID namespace with its process 1, and a network namespace goes with its
last process. Nothing has to be cleaned up, and nothing outside is touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
_MS_NOSUID_NODEV_NOEXEC, _MS_REC_PRIVATE = 0b1110, 0x4000 | 0x40000
_PR_SET_PDEATHSIG = 1
PRIVATE = Path("/mnt")  # stands empty by convention; inside the room a memory disk for sockets lies over it
PID_FILE = "fabric.pid"


def run_inside(directory: Path, inside: Callable[[], None]) -> int:
    """Run `inside` in a room of its own and return its exit code; its pid, as seen from outside, is in PID_FILE."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "the lab needs to be root to make its own namespaces")
    child = os.fork()
    if child == 0:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        code = 1
        try:
            _furnish(libc)
            inside()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    (directory / PID_FILE).write_text(str(child))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, frame: _pass_on(child, n))
    _, status = os.waitpid(child, 0)
    (directory / PID_FILE).unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(status)


def _pass_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _furnish(libc: ctypes.CDLL) -> None:
    """Give the room its own view of processes, its own place for sockets, and a loopback."""
    _mount(libc, b"none", b"/", None, _MS_REC_PRIVATE)
    _mount(libc, b"proc", b"/proc", b"proc", _MS_NOSUID_NODEV_NOEXEC)
    _mount(libc, b"tmpfs", os.fsencode(PRIVATE), b"tmpfs", _MS_NOSUID_NODEV_NOEXEC)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # The switches' ends carry no addresses; without this each would send router solicitations.
    for scope in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")


def _mount(libc: ctypes.CDLL, source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
    if libc.mount(source, target, kind, flags, None) != 0:
        raise OSError(ctypes.get_errno(), f"cannot mount {os.fsdecode(target)} in a namespace of our own")


def join_network(directory: Path) -> None:
    """Move this process into the network of the room that runs in a directory; raises OSError."""
    pid = int((directory / PID_FILE).read_text())
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net") as room:
        if libc.setns(room.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot enter the lab's network namespace")


def enter_command(directory: Path, host_pid: int) -> list[str]:
    """Return what to put before a command line so that it runs on a host of the room.

    host_pid: as process 1 of the room sees it. The command belongs to the room and ends with it.
    """
    pid = (directory / PID_FILE).read_text().strip()
    return ["nsenter", "-t", pid, "-p", "-m", "-n", "nsenter", "-t", str(host_pid), "-n"]


def at_once() -> list[str]:
    """Return what to put before a command that has to run as soon as there is something to do, where we may.

    A switch or a host of a real city shares its processor with nobody. Kept waiting for its turn among other programs
    it would lose packets that no network loses. The kernel leaves others 5 % of the time whatever happens.
    """
    first = ["chrt", "--rr", "1"]
    return first if subprocess.run([*first, "true"], capture_output=True).returncode == 0 else []
