"""The line over which `onecity lab` asks the process that holds a city: who is dead, and start that one again.

The processes belong to whoever started them, so only that one can start them again on their ports; it is asked
over a socket in the run directory, one JSON line each way, and answers between its looks at its children.
"""

from __future__ import annotations

import contextlib
import json
import select
from pathlib import Path
from typing import Any

from lab.plant.link import connect, listen
from lab.supervision import LabError, RunningCity

SOCKET = "lab.sock"
ANSWER_S = 30.0  # a process that is started again has to be ready first
READ_S = 1.0


class Control:
    """The end of the process that holds the city."""

    def __init__(self, running: RunningCity) -> None:
        self._running = running
        self._listener = listen(running.directory / SOCKET)

    def serve(self, timeout_s: float) -> None:
        """Answer whoever asks within this time."""
        if not select.select([self._listener], [], [], timeout_s)[0]:
            return
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(OSError):  # whoever asked has gone
            connection.settimeout(READ_S)
            try:
                request = json.loads(connection.makefile("rb").readline())
                answer = {"ok": True, **self._answer(str(request.get("type")), str(request.get("name")))}
            except (LabError, ValueError, AttributeError) as error:
                answer = {"ok": False, "error": str(error)}
            connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, kind: str, name: str) -> dict[str, Any]:
        if kind == "restart":
            process = self._running.domain_process(name)
            if process.alive():
                raise LabError(f"{name} is running (process {process.pid}); only what is dead is started again")
            process.restart()
        names = ("plant", *self._running.domains)
        return {"processes": {n: self._running.domain_process(n).alive() for n in names}}

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        (self._running.directory / SOCKET).unlink(missing_ok=True)


def ask(directory: Path, **request: str) -> dict[str, bool]:
    """Ask the process that holds the city of a run directory; return which processes live. Raises LabError."""
    try:
        connection = connect(directory / SOCKET)
    except OSError:
        raise LabError(f"no city runs in {directory}; start one with onecity lab up, or name it by --dir") from None
    with connection:
        connection.settimeout(ANSWER_S)
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(connection.makefile("rb").readline() or b"{}")
        except OSError as error:
            raise LabError(f"the process that holds the city did not answer: {error}") from None
    if not answer.get("ok"):
        raise LabError(str(answer.get("error", "the process that holds the city ended")))
    return dict(answer["processes"])
