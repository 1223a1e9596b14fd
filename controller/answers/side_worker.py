"""The other end of `side_process`: keeps a copy of map and services, and works on it until its parent is gone.

`python -m controller.answers.side_worker PARENT-PID`. Reads pickles from its parent on standard input and answers on
standard output; both are pipes that nobody else holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, BinaryIO

from controller.answers.side_messages import LENGTH, CityPart, Done, Failed, Run, Services, Withdrawn
from controller.changes.dating import dated
from controller.errors import OnecityError
from controller.intent.model import Service, ServiceId
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.placement import Placement, Refusal
from controller.simulation.campaign import Campaign, scenarios
from controller.simulation.simulate import Simulation, Snapshot, with_added

_PR_SET_PDEATHSIG = 1
NICE = 10  # repair and changes come first
TOLD_EVERY = 10  # failures between two words of progress


class Workplace:
    """What the worker knows, and the simulation it has built of it."""

    def __init__(self, say: Callable[[object], None]) -> None:
        self._say = say
        self._parts: dict[str, Any] = {}
        self._standing: dict[ServiceId, tuple[Service, Placement]] = {}
        self._built: tuple[datetime, Simulation] | None = None

    def take(self, message: object) -> None:
        """Enter news, or do what is asked; errors of the person who asked are answers."""
        if isinstance(message, Run):
            try:
                self._run(message)
            except OnecityError as error:
                self._say(Failed(error))
            except Exception as defect:  # the parent logs it; the worker goes on
                self._say(Failed(OnecityError(f"a defect in the simulation: {type(defect).__name__}: {defect}")))
            return
        self._built = None
        if isinstance(message, CityPart):
            self._parts[message.field] = (
                [*self._parts[message.field], message.value] if message.more else [message.value]
            )
        elif isinstance(message, Services):
            self._standing.update(message.services)
        elif isinstance(message, Withdrawn):
            for sid in message.services:
                self._standing.pop(sid, None)

    def _run(self, asked: Run) -> None:
        started = time.perf_counter()
        city = CityMap(**{field: _joined(parts) for field, parts in self._parts.items()})
        standing = dict(sorted(self._standing.items()))
        ledger = Ledger(city)
        for _, placement in standing.values():
            ledger.add(placement)
        snapshot = Snapshot(city, standing, ledger, asked.now)
        refused: tuple[Refusal, ...] = ()
        simulation = self._built[1] if self._built is not None and self._stays(asked) else None
        if asked.request.add:
            services = [dated(s, None, asked.now) for s in asked.request.add]
            snapshot, outcome = with_added(snapshot, services)
            refused, simulation = outcome.refusals, None
        simulation = simulation or Simulation(snapshot)
        if not asked.request.add:
            self._built = (asked.now, simulation)
        campaign = Campaign(simulation, refused, asked.request.most_services)
        fails = scenarios(simulation.elements, asked.request.fail, asked.request.seed)
        for progress in campaign.run(fails):
            if progress.done % TOLD_EVERY == 0:
                self._say(progress)
        self._say(replace(campaign.summary(), elapsed_s=time.perf_counter() - started))
        for one in campaign.worst_first():
            self._say(one)
        self._say(Done())

    def _stays(self, asked: Run) -> bool:
        """Whether what was built a moment ago still holds: no window has opened or closed since."""
        assert self._built is not None
        before, now = sorted((self._built[0], asked.now))
        moments = (m for _, p in self._standing.values() for m in (p.start, p.end) if m is not None)
        return not any(before < moment <= now for moment in moments)


def _joined(parts: list[Any]) -> Any:
    """Put a field of the map together again."""
    if isinstance(parts[0], dict):
        return {key: value for part in parts for key, value in part.items()}
    return tuple(item for part in parts for item in part) if isinstance(parts[0], tuple) else parts[0]


def read(stream: BinaryIO) -> object:
    """Return the next message; raises EOFError."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (size,) = LENGTH.unpack(head)
    return pickle.loads(stream.read(size))


def _die_with(parent: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # not Linux: the closed pipe alone has to do
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def main() -> None:
    """Work until standard input closes; whatever is being computed then is no longer wanted."""
    _die_with(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    with contextlib.suppress(OSError):  # a sandbox may forbid even that
        os.nice(NICE)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not end up between messages
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()

    def listen() -> None:
        with contextlib.suppress(EOFError, OSError, struct.error):
            while True:
                inbox.put(read(sys.stdin.buffer))
        os._exit(0)

    def say(message: object) -> None:
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        out.write(LENGTH.pack(len(data)) + data)
        out.flush()

    threading.Thread(target=listen, daemon=True, name="inbox").start()
    place = Workplace(say)
    while True:
        place.take(inbox.get())


if __name__ == "__main__":
    main()
