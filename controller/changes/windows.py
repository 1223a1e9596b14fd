"""Windows open and close by themselves: at their time, or as soon as the daemon is back.

Times are absolute and the wall clock is asked again every little while, so a clock that steps is noticed. What has
to be done is found in desired state, never remembered: a restart, a missed timer and a turn on time are one case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from controller.changes.pipeline import Wanted
from controller.changes.state import DesiredState
from controller.errors import OnecityError

log = logging.getLogger(__name__)

LONGEST_SLEEP_S = 10.0
GATHER_S = 0.05  # changes that follow one another so quickly are looked at once


def due(state: DesiredState, now: datetime) -> Wanted:
    """Return the windows that should be open and are not, and those that are and should not be."""
    opens, closes = set(), set()
    for sid in state.windowed():
        standing = state.services[sid]
        if standing.expired:
            continue
        phase = standing.window_state(now)
        if phase == "open" and not standing.active:
            opens.add(sid)
        elif phase == "past":
            closes.add(sid)
    return Wanted(opens=frozenset(opens), closes=frozenset(closes))


def next_turn(state: DesiredState, now: datetime) -> datetime:
    """Return when a window next opens or closes, at most `LONGEST_SLEEP_S` from now."""
    latest = now + timedelta(seconds=LONGEST_SLEEP_S)
    turns = [
        turn
        for standing in map(state.services.__getitem__, state.windowed())
        if not standing.expired
        for turn in (standing.placement.start, standing.placement.end)
        if turn is not None and turn > now
    ]
    return min([*turns, latest])


async def keep(
    state: Callable[[], DesiredState],
    now: Callable[[], datetime],
    turn: Callable[[Wanted], Awaitable[None]],
    moved: asyncio.Event,
) -> None:
    """Turn windows for ever. `turn` carries out one change; `moved` is set whenever desired state is replaced."""
    while True:
        wanted = due(state(), now())
        if wanted.opens or wanted.closes:
            try:
                await turn(wanted)
            except OnecityError as error:
                log.error("window could not be turned, trying again: %s", error)
                await asyncio.sleep(1.0)
        moved.clear()
        wait_s = (next_turn(state(), now()) - now()).total_seconds()
        try:
            async with asyncio.timeout(max(wait_s, 0.01)):
                await moved.wait()
            await asyncio.sleep(GATHER_S)
        except TimeoutError:
            continue
