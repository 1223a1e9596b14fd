"""A process beside the daemon for work that takes seconds, on a copy of everything that is kept up to date.

The first request sends map and services, later ones what has changed since; both in pieces so small that the event
loop never waits for them. One request at a time. A client that leaves, or a deadline that passes, ends the process;
the next request starts another. It dies with the daemon, however that ends.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from controller.answers.side_messages import LENGTH, CityPart, Done, Failed, Run, Services, Withdrawn
from controller.changes.state import DesiredState
from controller.errors import OnecityError, PreconditionError, Status
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from controller.planning.placement import Placement
from controller.simulation.campaign import SimulationEvent, SimulationRequest

MOST_WAITING = 4
MOST_S = 600.0
IDLE_S = 120.0  # after which the copy is given back to the machine
PIECE = 10  # services, or parts of the map, that are pickled before the event loop gets its turn
WATER_BYTES = 1 << 20


class TooLongError(OnecityError):
    """What was asked takes longer than anybody waits."""

    status = Status.DEADLINE_EXCEEDED


@dataclass(frozen=True, slots=True)
class _Line:
    """The running process and the socket that is its standard input and output."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class SideProcess:
    """Owns the process. `stop` ends it."""

    def __init__(self, most_s: float = MOST_S) -> None:
        self._most_s = most_s
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._line: _Line | None = None
        self._ending: set[asyncio.Task[int]] = set()
        self._city: CityMap | None = None  # what it was sent
        self._sent: dict[ServiceId, Placement] = {}
        self._idle: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """Return the id of the process; None while there is none."""
        return self._line.process.pid if self._line is not None else None

    async def simulate(
        self, request: SimulationRequest, state: DesiredState, city: CityMap, now: datetime
    ) -> AsyncGenerator[SimulationEvent, None]:
        """Yield progress, the summary and every outcome; raises OnecityError."""
        if self._waiting >= MOST_WAITING:
            raise PreconditionError(f"{self._waiting} simulations are waiting already; ask again when they are done")
        self._waiting += 1
        try:
            async with self._turn:
                whole = False
                try:
                    async with asyncio.timeout(self._most_s):
                        async for event in self._answers(request, state, city, now):
                            yield event
                    whole = True
                except TimeoutError:
                    raise TooLongError(
                        f"the simulation was stopped after {self._most_s:g} s; name fewer failures"
                    ) from None
                except OnecityError:
                    whole = True
                    raise
                finally:
                    if not whole:
                        self._kill()  # it would go on with what nobody waits for
                    self._rest()
        finally:
            self._waiting -= 1

    async def _answers(
        self, request: SimulationRequest, state: DesiredState, city: CityMap, now: datetime
    ) -> AsyncGenerator[SimulationEvent, None]:
        if self._idle is not None:
            self._idle.cancel()
        line = await self._running()
        try:
            for message in self._news(state, city):
                await _send(line.writer, message)
            await _send(line.writer, Run(request, now))
            while True:
                answer = await _receive(line.reader)
                if isinstance(answer, Done):
                    return
                if isinstance(answer, Failed):
                    raise answer.error
                yield answer
        except (asyncio.IncompleteReadError, ConnectionError):
            self._kill()
            raise OnecityError("the process that simulates died; its last words are in the daemon's log") from None

    def _news(self, state: DesiredState, city: CityMap) -> Iterator[object]:
        """Yield what the process does not know yet, in pieces."""
        if self._city is not city:
            yield from _pieces(city)
            self._city = city
        current = {sid: s for sid, s in state.services.items() if not s.expired}
        gone = tuple(sid for sid in self._sent if sid not in current)
        if gone:
            yield Withdrawn(gone)
        for sid in gone:
            del self._sent[sid]
        changed = [sid for sid, s in current.items() if self._sent.get(sid) is not s.placement]
        for at in range(0, len(changed), PIECE):
            part = changed[at : at + PIECE]
            yield Services({sid: (current[sid].service, current[sid].placement) for sid in part})
            self._sent.update({sid: current[sid].placement for sid in part})

    async def _running(self) -> _Line:
        if self._line is not None and self._line.process.poll() is not None:
            self._kill()
        if self._line is None:
            here, there = socket.socketpair()
            with there:
                command = [sys.executable, "-m", "controller.answers.side_worker", str(os.getpid())]
                process = subprocess.Popen(command, stdin=there.fileno(), stdout=there.fileno())  # noqa: ASYNC220 – a vfork
            self._line = _Line(process, *await asyncio.open_connection(sock=here, limit=WATER_BYTES))
        return self._line

    def _rest(self) -> None:
        """Give the copy back to the machine if nobody asks again for a while."""
        if self._line is not None:
            self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._retire)

    def _retire(self) -> None:
        if not self._turn.locked():
            self._kill()

    def _kill(self) -> None:
        line, self._line, self._city, self._sent = self._line, None, None, {}
        if line is not None:
            line.writer.close()
            line.process.kill()
            ending = asyncio.ensure_future(asyncio.to_thread(line.process.wait))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """End the process and wait for its end."""
        if self._idle is not None:
            self._idle.cancel()
        self._kill()
        await asyncio.gather(*self._ending)


async def _send(pipe: asyncio.StreamWriter, message: object) -> None:
    """Send one message and let the event loop have its turn."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(LENGTH.pack(len(data)) + data)
    await pipe.drain()
    await asyncio.sleep(0)


def _pieces(city: CityMap) -> Iterator[CityPart]:
    """Yield the map field by field, the long ones in pieces."""
    for field in fields(city):
        value: Any = getattr(city, field.name)
        items = tuple(value.items() if isinstance(value, dict) else value) if isinstance(value, (dict, tuple)) else ()
        if not items:
            yield CityPart(field.name, value)
            continue
        for at in range(0, len(items), PIECE):
            part = items[at : at + PIECE]
            yield CityPart(field.name, dict(part) if isinstance(value, dict) else part, more=at > 0)


async def _receive(pipe: asyncio.StreamReader) -> Any:
    (size,) = LENGTH.unpack(await pipe.readexactly(LENGTH.size))
    return pickle.loads(await pipe.readexactly(size))
