"""Ports of this machine for servers that come back on them.

The kernel hands ports out from its own range to whoever asks for any: a server that is stopped may find its port taken
when it starts again. Ours lie below that range, and each process that starts servers counts through a block of its own.
"""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _BLOCKS, _BLOCK = 18_000, 50, 256  # up to 30,799: the kernel's range begins at 32,768, or where it was told to
_turns = itertools.count()


def is_free(port: int) -> bool:
    """Say whether a server could listen on this port of the loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
        return True


def free_port() -> int:
    """Return a port on which nobody listens and which nobody is given by chance; raises OSError where all are taken."""
    block = _FIRST + os.getpid() % _BLOCKS * _BLOCK
    for turn in itertools.islice(_turns, _BLOCK):
        if is_free(port := block + turn % _BLOCK):
            return port
    raise OSError(f"all ports from {block} to {block + _BLOCK - 1} are taken")
