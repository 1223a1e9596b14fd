"""What the controller shows of an assured conference, party by party. Units as in views."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PartyView:
    """One party of an assured conference, the worse of both directions. Now; None: nothing fresh was measured."""

    service: str
    name: str
    access: str
    address: str
    health: str  # "ok" | "violated" | "down" | "unknown"
    delay_s: float | None = None
    jitter_s: float | None = None
    loss_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class PartyRecord:
    """What one party had in the window, up to now."""

    name: str
    ok_s: float
    violated_s: float
    down_s: float
    unknown_s: float  # in which nobody could see it
    delay_mean_s: float | None
    delay_worst_s: float | None
    jitter_mean_s: float | None
    jitter_worst_s: float | None
    loss_mean: float | None
    loss_worst: float | None


@dataclass(frozen=True, slots=True)
class AssuranceRecord:
    """What became of an assurance in its window, up to now or to its end."""

    since: datetime
    until: datetime
    over: bool
    outages: int  # times that it was down or outside its limits
    broken_s: float  # how long together
    repairs: int  # changes by which it was led around a failure or away from wear
    parties: tuple[PartyRecord, ...]
