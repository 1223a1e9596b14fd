"""Where the time of a change went, from the events that it told. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from controller.changes.views import ChangeEvent

WHOLE = {"planned": "plan", "verified": "prove", "reserved": "reserve"}  # told of the whole change
DOMAIN = {
    "connected": "connect",
    "prepared": "prepare",
    "committed": "commit",
    "verified": "read_back",
    "confirmed": "confirm",
}  # told by each domain of each step; a stage ends with the last domain
STAGES = (*WHOLE.values(), *DOMAIN.values())


def stage_durations(events: Sequence[ChangeEvent]) -> dict[str, float]:
    """Return seconds per stage, summed over the steps of the change; stages that it never reached are missing.

    Domains go through their stages side by side: a stage lasts from the end of the one before it, which is its last
    domain's, so that the stages add up to the whole.
    """
    found: dict[str, float] = {}
    ends: dict[tuple[int, str], float] = {}
    before = 0.0
    for event in events:
        told = event.progress
        if told is None:
            continue
        if not told.domain and told.stage == "queued":
            before = told.elapsed_s
        elif not told.domain and told.stage in WHOLE:
            found[WHOLE[told.stage]] = told.elapsed_s - before
            before = told.elapsed_s
        elif told.domain and told.stage in DOMAIN:
            key = (told.step, DOMAIN[told.stage])
            ends[key] = max(ends.get(key, 0.0), told.elapsed_s)
    for (_, stage), end in sorted(ends.items(), key=lambda item: item[1]):
        found[stage] = found.get(stage, 0.0) + max(0.0, end - before)
        before = max(before, end)
    return found
