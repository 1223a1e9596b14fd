"""Ports of this machine for servers that come back on them.

The kernel hands ports out from its own range to whoever asks for any: a server that is stopped may find its port taken
when it starts again. Ours lie below that range, and each process that starts servers counts through a block of its own,
which it holds by listening on the first port of it: between asking for a port and using it nobody else is given it.
"""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _BLOCKS, _BLOCK = 18_000, 50, 256  # up to 30,799: the kernel's range begins at 32,768, or where it was told to
_turns = itertools.count()
_held: dict[int, socket.socket] = {}  # process → what holds its block


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
    block = _own_block()
    for turn in itertools.islice(_turns, _BLOCK):
        if is_free(port := block + 1 + turn % (_BLOCK - 1)):
            return port
    raise OSError(f"all ports from {block} to {block + _BLOCK - 1} are taken")


def _own_block() -> int:
    """Return the first port of this process's block; a child that was forked takes another one."""
    if os.getpid() not in _held:
        for turn in range(_BLOCKS):
            holder = socket.socket()
            block = _FIRST + (os.getpid() + turn) % _BLOCKS * _BLOCK
            try:
                holder.bind(("127.0.0.1", block))
                holder.listen(1)
            except OSError:
                holder.close()
                continue
            _held[os.getpid()] = holder
            break
        else:
            raise OSError(f"{_BLOCKS} processes start servers already")
    return int(_held[os.getpid()].getsockname()[1])
