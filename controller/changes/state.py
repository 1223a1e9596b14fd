"""Desired state as one value: what stands, what it reserves, and the configuration it amounts to.

Replaced, never mutated: a change plans on a snapshot in a worker thread, and the one that loses a race simply
plans again on the newer one. `active` tells whether a service's fragments are in the desired configuration: a VIP
outside its window reserves capacity but configures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from controller.intent.model import Service, ServiceId, VipAssurance
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.placement import Placement
from controller.rendering.desired import Desired
from controller.rendering.tree import Tree


@dataclass(frozen=True, slots=True)
class Standing:
    """One accepted service: the intent as accepted, where it went, and what that renders to."""

    service: Service
    placement: Placement
    fragments: Mapping[str, Tree]  # domain → configuration while active
    generation: int  # grows with every accepted change of the intent
    revision: int  # of desired state, when it last changed
    active: bool
    expired: bool = False

    def window_state(self, now: datetime) -> str:
        """Return "always", "before", "open" or "past"."""
        start, end = self.placement.start, self.placement.end
        if start is None or end is None:
            return "always"
        return "before" if now < start else "open" if now < end else "past"

    def over(self, now: datetime) -> bool:
        """Whether its window has passed, also in the moment before it is closed."""
        return self.expired or self.window_state(now) == "past"


@dataclass(frozen=True, slots=True)
class DesiredState:
    """Everything that stands, with the two projections that planning and rendering need."""

    services: Mapping[ServiceId, Standing]
    desired: Desired
    ledger: Ledger
    number: int = 0  # grows with every accepted change; a saved plan names the one it was made on

    def find(self, name: str) -> ServiceId | None:
        """Return the service of this full or bare name; None where there is none or the bare name is ambiguous."""
        if name in self.services:
            return ServiceId(name)
        matches = [s for s in self.services if s.partition("/")[2] == name]
        return matches[0] if len(matches) == 1 else None

    def pairs(self) -> dict[ServiceId, tuple[Service, Placement]]:
        """Return the form in which planning and rendering take what stands."""
        return {sid: (s.service, s.placement) for sid, s in self.services.items() if not s.expired}

    def protectors(self, protected: Iterable[ServiceId]) -> list[ServiceId]:
        """Return the VIPs that stand over any of these services: they are re-rendered with them."""
        wanted = set(protected)
        return [sid for sid, protects in _assurances(self.services) if protects in wanted]

    def protected(self) -> set[ServiceId]:
        """Return the services that VIPs stand over."""
        return {protects for _, protects in _assurances(self.services)}


MOST_KNOWN = 4  # the state that stands, and those that are being planned
_known: list[tuple[Mapping[ServiceId, Standing], list[tuple[ServiceId, ServiceId]]]] = []  # newest first


def _assurances(services: Mapping[ServiceId, Standing]) -> list[tuple[ServiceId, ServiceId]]:
    """Return the VIPs that stand and what each protects; a state is asked several times in a row, and never changed."""
    found = _remembered(services)
    if found is None:
        found = [
            (sid, s.service.protects)
            for sid, s in services.items()
            if isinstance(s.service, VipAssurance) and not s.expired
        ]
        _remember(services, found)
    return found


def _remembered(services: Mapping[ServiceId, Standing]) -> list[tuple[ServiceId, ServiceId]] | None:
    return next((found for known, found in _known[:] if known is services), None)


def _remember(services: Mapping[ServiceId, Standing], found: list[tuple[ServiceId, ServiceId]]) -> None:
    _known[:] = [(services, found), *_known[: MOST_KNOWN - 1]]


def follows(
    before: Mapping[ServiceId, Standing],
    after: Mapping[ServiceId, Standing],
    puts: Mapping[ServiceId, Standing],
    drops: Set[ServiceId],
) -> None:
    """Note that `after` is `before` but for these: without a VIP among them, the same VIPs stand, and nobody looks."""
    found = _remembered(before)
    if found is None:
        return
    vips = {sid for sid, _ in found}
    if vips.isdisjoint(drops) and not any(
        sid in vips or isinstance(s.service, VipAssurance) for sid, s in puts.items()
    ):
        _remember(after, found)


def rebuilt(services: Mapping[ServiceId, Standing], city: CityMap) -> DesiredState:
    """Return the state that these services amount to; how the daemon starts, and what tests compare with."""
    ledger = Ledger(city)
    for standing in services.values():
        if not standing.expired:
            ledger.add(standing.placement)
    puts = {sid: s.fragments for sid, s in services.items() if s.active}
    number = max((s.revision for s in services.values()), default=0)
    return DesiredState(dict(services), Desired().with_changes(puts, frozenset()), ledger, number)
