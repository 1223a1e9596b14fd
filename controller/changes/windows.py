"""Windows open and close by themselves: at their time, or as soon as the daemon is back.

Times are absolute and the wall clock is asked again every little while, so a clock that steps is noticed. What has
to be done is found in desired state, never remembered: a restart, a missed timer and a turn on time are one case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from controller.assurance.damping import doubled
from controller.changes.pipeline import Wanted
from controller.changes.state import DesiredState
from controller.errors import OnecityError
from controller.intent.model import ServiceId

log = logging.getLogger(__name__)

LONGEST_SLEEP_S = 10.0
GATHER_S = 0.05  # changes that follow one another so quickly are looked at once
RETRY_S = 1.0  # after a turn that failed; doubled each time it fails alike


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


def held_up(wanted: Wanted, state: DesiredState, down: AbstractSet[str]) -> dict[ServiceId, list[str]]:
    """Return the services whose windows cannot turn yet, and the domains out of reach that each of them waits for."""
    found = {sid: sorted(down & state.services[sid].fragments.keys()) for sid in sorted(wanted.opens | wanted.closes)}
    return {sid: domains for sid, domains in found.items() if domains}


async def keep(
    state: Callable[[], DesiredState],
    now: Callable[[], datetime],
    turn: Callable[[Wanted], Awaitable[None]],
    moved: asyncio.Event,
    down: Callable[[], AbstractSet[str]] = frozenset,
) -> None:
    """Turn windows for ever. `turn` carries out one change; `moved` is set whenever desired state is replaced.

    down: the domains out of reach. What touches one of them waits for it, and is turned as soon as it answers.
    """
    told, fails = list[str](), 0
    while True:
        moved.clear()
        wanted = due(state(), now())
        waiting = held_up(wanted, state(), down())
        said = [f"{sid} waits for {', '.join(domains)}, out of reach" for sid, domains in waiting.items()]
        wanted = Wanted(opens=wanted.opens - waiting.keys(), closes=wanted.closes - waiting.keys())
        failed = False
        if wanted.opens or wanted.closes:
            try:
                await turn(wanted)
            except OnecityError as error:
                said.append(str(error))
                failed = True
                moved.clear()  # the attempt itself set it
            except Exception:  # one defect must not keep all windows from turning
                log.exception("a round of turning windows failed")
                said, failed = ["a defect of onecity"], True
        fails = fails + 1 if failed else 0
        if said and said != told:
            log.error("windows could not be turned, tried again until they can: %s", "; ".join(said))
        told = said
        pause_s = RETRY_S if waiting else doubled(RETRY_S, fails - 1, LONGEST_SLEEP_S) if fails else LONGEST_SLEEP_S
        wait_s = min(pause_s, (next_turn(state(), now()) - now()).total_seconds())
        try:
            async with asyncio.timeout(max(wait_s, 0.01)):
                await moved.wait()
            await asyncio.sleep(GATHER_S)
        except TimeoutError:
            continue
