"""A domain controller's cable to the plant: sends its running configuration, hears of state and measurements.

Reconnects for ever; after each connect the whole configuration goes over as a replacement, so that neither side
has to remember what the other missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

LINE_LIMIT = 256 * 2**20  # a plane of 1,300 accesses is one line
_RETRY_S = 0.02


class PlantLink:
    """One domain's connection. `everything` gives all units for a replacement; `on_message` hears the plant."""

    def __init__(
        self,
        socket: Path,
        domain: str,
        everything: Callable[[], Mapping[str, Any]],
        on_message: Callable[[dict[str, Any]], None],
    ) -> None:
        self._socket, self._domain = socket, domain
        self._everything, self._on_message = everything, on_message
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._session()
            self._writer = None
            await asyncio.sleep(_RETRY_S)

    def send(self, put: Mapping[str, Any], drop: Sequence[str] = ()) -> None:
        """Tell of changed units; while the plant is away nothing is lost, the next connect sends all."""
        if self._writer is not None:
            self._write({"type": "config", "replace": False, "put": put, "drop": list(drop)})

    async def _session(self) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connect(self._socket), limit=LINE_LIMIT)
        self._writer = writer
        try:
            self._write({"type": "hello", "role": "domain", "domain": self._domain})
            self._write({"type": "config", "replace": True, "put": self._everything(), "drop": []})
            while line := await reader.readline():
                self._on_message(json.loads(line))
        finally:
            writer.close()

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")


def connect(path: Path) -> socket.socket:
    """Connect to a unix socket however long its path is; raises OSError."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as short:
            connection.connect(short)
    except OSError:
        connection.close()
        raise
    return connection


def listen(path: Path) -> socket.socket:
    """Bind a unix socket that only its owner may use, in place of any that a dead process left."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    with _short(path) as short:
        listener.bind(short)
    path.chmod(0o600)
    listener.listen()
    return listener


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The kernel takes 107 bytes: a longer path is reached through its directory's descriptor."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    room = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{room}/{path.name}"
    finally:
        os.close(room)
