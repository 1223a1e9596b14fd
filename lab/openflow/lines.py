"""JSON lines over unix sockets between the processes of a domain and between domains, on plain threads.

Whoever connects is told the last thing that was published; whoever subscribes connects again for ever.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.plant.link import connect, listen

RETRY_S = 0.05
SEND_S = 5.0  # who does not read for as long is hung up on
Message = Mapping[str, Any]


class Line:
    """One connection, written by one thread at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self.hello: dict[str, Any] = {}

    def send(self, message: Message) -> bool:
        """Send one message; False where the other end has gone."""
        with self._lock:
            try:
                self._connection.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            except OSError:
                self.close()
                return False
        return True

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def serve(path: Path, heard: Callable[[Line, dict[str, Any]], None], left: Callable[[Line], None]) -> None:
    """Accept connections in threads; each message goes to `heard`, the end of a connection to `left`."""
    listener = listen(path)
    threading.Thread(target=_accept, args=(listener, heard, left), daemon=True, name=path.name).start()


def _accept(
    listener: socket.socket, heard: Callable[[Line, dict[str, Any]], None], left: Callable[[Line], None]
) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_read, args=(connection, Line(connection), heard, left), daemon=True).start()


def _read(
    connection: socket.socket,
    line: Line,
    heard: Callable[[Line, dict[str, Any]], None],
    left: Callable[[Line], None],
) -> None:
    with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as stream:
        for text in stream:
            heard(line, json.loads(text))
    left(line)


def subscribe(path: Path, hello: Message, heard: Callable[[Line, dict[str, Any]], None], name: str) -> None:
    """Stay connected to a socket in a thread, saying hello at each connect."""

    def run() -> None:
        while True:
            with contextlib.suppress(OSError, ValueError), connect(path) as connection:
                line = Line(connection)
                line.send(hello)
                with connection.makefile("rb") as stream:
                    for text in stream:
                        heard(line, json.loads(text))
            time.sleep(RETRY_S)

    threading.Thread(target=run, daemon=True, name=name).start()
