"""Labels of resources (VLANs, channels, timeslots, numbers): who holds which, over which interval of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from controller.intent.model import ServiceId
from controller.network.layered import Layered

Instant = datetime | None  # None: from always, or until withdrawn
BLINK = timedelta(microseconds=1)  # the least that two instants lie apart


class Label(Protocol):
    """One label as a placement holds it."""

    @property
    def resource(self) -> str: ...
    @property
    def label(self) -> int: ...
    @property
    def start(self) -> Instant: ...
    @property
    def end(self) -> Instant: ...
    @property
    def stands_by_for(self) -> tuple[str, ...]: ...
    @property
    def of_link(self) -> str: ...


class LabelHold(NamedTuple):
    service: ServiceId
    start: Instant
    end: Instant
    stands_by_for: tuple[str, ...] = ()  # what takes the way down that the label is kept for; (): it is in use
    of_link: str = ""  # the IP link that it was lit for, which services hold it for together


def overlap(start: Instant, end: Instant, other_start: Instant, other_end: Instant) -> bool:
    """Return whether two half-open intervals have a moment in common."""
    return (end is None or other_start is None or other_start < end) and (
        start is None or other_end is None or start < other_end
    )


def rival(hold: LabelHold, label: Label, start: Instant, end: Instant) -> bool:
    """Say whether a label that is held cannot be held by another like this too, in [start, end)."""
    if not overlap(hold.start, hold.end, start, end):
        return False
    if hold.of_link and hold.of_link == label.of_link:
        return False
    kept = hold.stands_by_for and label.stands_by_for
    return not kept or not set(hold.stands_by_for).isdisjoint(label.stands_by_for)


@lru_cache(maxsize=4096)
def _held_by(*hold: Any) -> tuple[LabelHold, ...]:
    """Return a hold by itself, the same object for all labels that a service holds alike: it has a dozen or more."""
    return (LabelHold(*hold),)


class Table:
    """Who holds which labels of one resource, shared by copies of a ledger until one of them writes.

    `full_below` remembers, per first candidate, below which label everything is
    held for good, so that finding the lowest free label of many need not look at all of them. It is true of the
    table, whoever found it out.
    """

    __slots__ = ("_held", "full_below")

    def __init__(self, held: Layered[int, tuple[LabelHold, ...]], full_below: dict[int, int]) -> None:
        self._held = held
        self.full_below = full_below

    @classmethod
    def empty(cls) -> Table:
        return cls(Layered(), {})

    def copy(self) -> Table:
        return Table(self._held.copy(), dict(self.full_below))

    def __bool__(self) -> bool:
        return len(self._held) > 0

    def of(self, label: int) -> tuple[LabelHold, ...]:
        """Return who holds a label, at any time."""
        return self._held.get(label) or ()

    def items(self) -> Iterable[tuple[int, tuple[LabelHold, ...]]]:
        """Return every label that somebody holds, with who does."""
        return self._held.items()

    def _write(self, label: int, held: tuple[LabelHold, ...]) -> None:
        if held:
            self._held[label] = held
        else:
            self._held.pop(label)

    def add(self, service: ServiceId, label: Label) -> None:
        alone = _held_by(service, label.start, label.end, label.stands_by_for, label.of_link)
        before = self.of(label.label)
        self._write(label.label, (*before, *alone) if before else alone)

    def drop(self, service: ServiceId, label: int) -> None:
        self._write(label, tuple(h for h in self.of(label) if h.service != service))
        for first, below in self.full_below.items():
            if first <= label < below:
                self.full_below[first] = label

    def free(self, label: int, start: Instant, end: Instant) -> bool:
        return not any(overlap(h.start, h.end, start, end) for h in self.of(label))

    def lowest(self, candidates: range, start: Instant, end: Instant) -> int | None:
        first = self.full_below.get(candidates.start, candidates.start)
        while first < candidates.stop and any(h.start is None and h.end is None for h in self.of(first)):
            first += 1
        self.full_below[candidates.start] = first
        return next((c for c in range(first, candidates.stop) if self.free(c, start, end)), None)
