"""What verification says: which promises hold, and a counter-example for each that does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from controller.intent.model import ServiceId
from controller.network.model import CityMap


class Property(StrEnum):
    """What is proven of a configuration before it is sent (brief §2: no wrong configuration enters the network)."""

    ISOLATION = "isolation"  # no tenant reaches another's prefixes
    REACHABILITY = "reachability"  # every promised pair reaches; no black hole
    LOOPS = "loops"
    CAPACITY = "capacity"  # no link, timeslot, wavelength, VLAN or port is over-booked
    DISJOINTNESS = "disjointness"  # working and protect share no SRLG; diverse from, or together with, whom it says
    LATENCY = "latency"  # the budget holds on the configured path
    LIMITS = "limits"  # jitter, loss and hops stay within what was promised
    REGIONS = "regions"  # no service leaves where it may run


@dataclass(frozen=True, slots=True)
class CounterExample:
    """One broken promise: whose, which packet or resource shows it, and the way it goes."""

    broken: Property
    service: ServiceId
    witness: str  # "10.10.1.0/24 → 10.20.3.0/24", "slot 7 of odu-f-zhihui-nanwan-1"
    path: tuple[str, ...]  # where it goes, hop by hop, as far as it gets
    reason: str  # one sentence

    def __str__(self) -> str:
        way = f" via {' → '.join(self.path)}" if self.path else ""
        return f"{self.broken}: {self.service}: {self.witness}{way}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Proofs:
    """The verdict on one change."""

    held: tuple[Property, ...]
    broken: tuple[CounterExample, ...]
    checks: int = 0  # how many single facts were examined: the cost, in work rather than time


def srlg_text(city: CityMap, risks: Iterable[int]) -> str:
    """Return shared risks by the names of their ducts; a cable without a duct is a risk of its own."""
    return ", ".join(sorted(city.srlg_names.get(s, str(s)) for s in risks)) or "a cable"
