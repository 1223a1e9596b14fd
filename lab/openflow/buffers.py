"""Room for packets in the sockets of a switch process, so that a busy machine makes them late instead of lost.

Open vSwitch reads each port from a packet socket of its own and writes all of them through one. With the kernel's
usual 208 kB a reader that waits 90 ms for its turn loses what came meanwhile, and one full queue fills the writer's
share for everybody: packets of every other queue, the highest priority's too, are then dropped before any queue sees
them. No router's does that. Nobody can tell Open vSwitch to ask for more, so we ask on its behalf, by pidfd_getfd(2).
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
from contextlib import suppress
from pathlib import Path

BUFFER_BYTES = 16 << 20
_PIDFD_GETFD = 438  # on every architecture
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33


class Buffers:
    """The packet sockets of one process. A kernel that does not let us (before 5.6) leaves them as they are."""

    def __init__(self, pid: int) -> None:
        self._pid, self._seen = pid, set[str]()

    def widen(self) -> int:
        """Give every packet socket that is new its room; return how many there were."""
        links = {}
        with suppress(OSError):  # the process ended
            for entry in Path(f"/proc/{self._pid}/fd").iterdir():
                with suppress(OSError):  # it closed this one meanwhile
                    links[os.readlink(entry)] = int(entry.name)
        sockets = {name: number for name, number in links.items() if re.fullmatch(r"socket:\[\d+\]", name)}
        self._seen &= sockets.keys()
        return sum(self._widen(name, number) for name, number in sockets.items() if name not in self._seen)

    def _widen(self, name: str, number: int) -> int:
        self._seen.add(name)
        with suppress(OSError):
            process = os.pidfd_open(self._pid)
            try:
                copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, number, 0)
            finally:
                os.close(process)
            if copy < 0:
                return 0
            with socket.socket(fileno=copy) as found:
                if found.family != socket.AF_PACKET:
                    return 0
                found.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
                found.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, BUFFER_BYTES)
                return 1
        return 0
