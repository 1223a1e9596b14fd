"""What a simulation says: per failure, what becomes of every service that it touches, and which links fill up.

Delays are seconds, one way, of the slowest pair; rates bit/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.intent.model import ServiceId
from controller.network.damage import Failure


class Fate(StrEnum):
    """What becomes of a service, worst first."""

    BREAKS = "breaks"  # some pair stays without a way, whatever the planner does
    DEGRADES = "degrades"  # it is carried, but outside its SLO: too slow, or without the bandwidth held for it
    ENDS = "ends"  # one of its ends is itself down; the others carry on
    REPLACED = "replaced"  # cut, or outside its SLO, until the controller has placed it again
    SWITCHES = "switches"  # protection or routing carries it on by itself, within its SLO
    EXPOSED = "exposed"  # its traffic does not notice; what stands by for it is gone


WORST_FIRST = tuple(Fate)


@dataclass(frozen=True, slots=True)
class ServiceEffect:
    """What one failure does to one service."""

    service: ServiceId
    kind: str
    fate: Fate
    pairs: int  # of ends that were promised to reach each other
    cut_at_once: int  # of them, those without a way until something is placed again
    cut_in_the_end: int  # those that stay without a way
    delay_before_s: float | None
    delay_at_once_s: float | None  # after protection and routing; None where nothing gets through
    delay_in_the_end_s: float | None  # after placing again
    budget_s: float | None
    reason: str  # one sentence: what was lost, and why nothing stands in for it


@dataclass(frozen=True, slots=True)
class LinkLoad:
    """How full a link is. `used_bps` may be more than there is where routing leads what cannot be placed."""

    link: str
    used_bps: int
    before_bps: int
    capacity_bps: int

    @property
    def share(self) -> float:
        return self.used_bps / self.capacity_bps if self.capacity_bps else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What some failures do when they happen together."""

    failures: tuple[Failure, ...]
    counts: tuple[int, ...]  # services by fate, in the order of `Fate`
    effects: tuple[ServiceEffect, ...]  # worst first; no more than were asked for
    untouched: int  # services that do not notice
    links: tuple[LinkLoad, ...]  # the fullest that are left, fullest first

    @property
    def title(self) -> str:
        return " and ".join(str(f) for f in self.failures)

    def count(self, fate: Fate) -> int:
        return self.counts[WORST_FIRST.index(fate)]

    @property
    def harmless(self) -> bool:
        """Whether every service stays within its SLO but for the moment in which it is placed again."""
        return not any(self.count(fate) for fate in (Fate.BREAKS, Fate.DEGRADES, Fate.ENDS))
