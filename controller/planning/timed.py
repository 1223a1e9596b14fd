"""Services that hold for a while only: what they take is held for their window, and told with it.

Labels by which a service is known (its number, its addresses) stay its own all the while it is known. Everything
that traffic takes (bandwidth, VLANs, channels, timeslots, client ports) is free for others before and after.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controller.intent.model import ExclusiveSlice, Service, ServiceId, Window
from controller.network.labels import BLINK, Instant, overlap
from controller.network.ledger import Ledger, Passing
from controller.planning.draft import CannotPlaceError, rate_text
from controller.planning.orders import referred_to
from controller.planning.placement import Placement

KEPT = frozenset({"number", "border-net", "access-net"})  # resources of which a label names the service
MOST_HOLDERS = 3
MOST_PARTS = 2
MOST_TIMES = 4  # other times that are tried for a refused service


def window_of(service: Service, now: datetime) -> Window | None:
    """Return the window of a service, None where it stands for good; raises CannotPlaceError where it is over."""
    if service.window is None:
        return None
    if not isinstance(service.window, Window):
        raise CannotPlaceError("its window is relative; it must be resolved when the intent is accepted")
    if service.window.end <= now:
        raise CannotPlaceError(f"its window ended at {service.window.end.isoformat()}")
    return service.window


def in_window(placement: Placement, window: Window | None) -> Placement:
    """Return the placement with what it holds held in its window only."""
    if window is None:
        return placement
    start, end = window.start, window.end
    return replace(
        placement,
        start=start,
        end=end,
        rates=tuple(replace(r, start=start, end=end) for r in placement.rates),
        labels=tuple(
            label if label.resource in KEPT else replace(label, start=start, end=end) for label in placement.labels
        ),
    )


def as_accepted(service: Service, placement: Placement) -> Service:
    """Return a service with the window that it was given when it was accepted."""
    if service.window is None or placement.start is None or placement.end is None:
        return service
    return replace(service, window=Window(placement.start, placement.end))


def released(service: Service, gone: Container[ServiceId]) -> Service:
    """Return a service that no longer keeps away from, or beside, those whose windows are over."""
    if not isinstance(service, ExclusiveSlice) or not any(s in gone for s in referred_to(service)):
        return service
    return replace(
        service,
        diverse_from=tuple(s for s in service.diverse_from if s not in gone),
        together_with=tuple(s for s in service.together_with if s not in gone),
    )


def meet(one: Service, other: Service) -> bool:
    """Say whether two services stand at the same time at some moment; one whose window is not dated yet may."""
    a, b = one.window, other.window
    if not isinstance(a, Window) or not isinstance(b, Window):
        return True
    return overlap(a.start, a.end, b.start, b.end)


def interval_text(start: Instant, end: Instant) -> str:
    """Write an interval as people do: `2026-12-01 09:00–18:00 UTC`, with the second day where it is another."""
    if start is None or end is None:
        return "for good"
    seconds = "%H:%M:%S" if start.second or end.second else "%H:%M"
    same_day = start.date() == end.date()
    return f"{start:%Y-%m-%d {seconds}}–{end:{seconds if same_day else f'%Y-%m-%d {seconds}'}} UTC"


def when_full(ledger: Ledger, service: Service, full: Sequence[str]) -> str:
    """Say when what is full is so, and who holds it then; empty where windows have nothing to do with it.

    full: directed links of the map, ports ("port:…"), or resources of labels ("channel:…", "slot:…").
    """
    window = service.window if isinstance(service.window, Window) else None
    start, end = (window.start, window.end) if window is not None else (None, None)
    busy = [_busiest(ledger.passing(part, start, end), start, end) for part in full[:MOST_PARTS]]
    told = [f"{interval_text(*b.interval)}, while {b.holders}" for b in busy if b is not None]
    if told:
        return f", {'; '.join(dict.fromkeys(told))}"
    return f", in its window {interval_text(start, end)}" if window is not None and full else ""


def other_times(ledger: Ledger, service: Service, full: Sequence[str], now: datetime) -> tuple[Window, ...]:
    """Return when a refused service might find room: as long but later, or, asked for good, until a window opens."""
    window = service.window if isinstance(service.window, Window) else None
    start, end = (window.start, window.end) if window is not None else (None, None)
    held = [p for part in full[:MOST_PARTS] for p in ledger.passing(part, start, end)]
    if window is None:
        first = min((p.start for p in held if p.start is not None), default=now)
        return (Window(now, first),) if service.window is None and first > now else ()
    length = window.end - window.start
    ends = sorted({p.end for p in held if p.end is not None})
    return tuple(Window(end, end + length) for end in ends[:MOST_TIMES])


@dataclass(frozen=True, slots=True)
class _Busy:
    interval: tuple[Instant, Instant]
    holders: str


def _busiest(held: Sequence[Passing], start: Instant, end: Instant) -> _Busy | None:
    """Return the stretch of [start, end) in which most is held for a while only; None where nothing is."""
    if not held:
        return None
    # What is held changes only where a hold begins or ends.
    turns = {m for p in held for m in (p.start, p.end) if m is not None} | {m for m in (start, end) if m is not None}
    moments = sorted(m for m in turns if (start is None or m >= start) and (end is None or m < end))
    loads = {m: sum(max(1, p.rate_bps) for p in held if overlap(p.start, p.end, m, m + BLINK)) for m in moments}
    first = max(moments, key=lambda m: (loads[m], -moments.index(m)))
    alike = [m for m in moments[moments.index(first) :] if loads[m] != loads[first]]
    last = alike[0] if alike else end
    alive: dict[ServiceId, int] = {}
    for p in held:
        if overlap(p.start, p.end, first, last):
            alive[p.service] = alive.get(p.service, 0) + p.rate_bps
    ranked = sorted(alive.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{sid} holds {rate_text(bps) if bps else 'some'}" for sid, bps in ranked]
    more = f" and {len(words) - MOST_HOLDERS} more do" if len(words) > MOST_HOLDERS else ""
    return _Busy((first, last), ", ".join(words[:MOST_HOLDERS]) + more)
