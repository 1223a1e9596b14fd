"""Desired state as one value: what stands, what it reserves, and the configuration it amounts to.

Replaced, never mutated: a change plans on a snapshot in a worker thread, and the one that loses a race simply
plans again on the newer one. `active` tells whether a service's fragments are in the desired configuration: a VIP
outside its window reserves capacity but configures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from controller.intent.model import Service, ServiceId, VipAssurance
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.emergency import is_emergency, relaxed
from controller.planning.placement import LitLink, Placement
from controller.rendering.desired import Desired
from controller.rendering.tree import Tree

T = TypeVar("T")


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
    lit: tuple[LitLink, ...] = ()  # the IP links that stand for services only, by id

    def find(self, name: str) -> ServiceId | None:
        """Return the service of this full or bare name; None where there is none or the bare name is ambiguous."""
        if name in self.services:
            return ServiceId(name)
        matches = [s for s in self.services if s.partition("/")[2] == name]
        return matches[0] if len(matches) == 1 else None

    def pairs(self) -> Mapping[ServiceId, tuple[Service, Placement]]:
        """Return the form in which planning and rendering take what stands; shared, to be copied and not changed."""
        return _roster(self.services).pairs()

    def intents(self) -> Mapping[ServiceId, Service]:
        """Return what is promised to the services that are active; shared, not to be changed."""
        return _roster(self.services).intents()

    def windowed(self) -> Set[ServiceId]:
        """Return the services that stand for a while only, also those whose time has passed."""
        return _roster(self.services).windowed()

    def protectors(self, protected: Iterable[ServiceId]) -> list[ServiceId]:
        """Return the VIPs that stand over any of these services: they are re-rendered with them."""
        wanted = set(protected)
        return [sid for sid, protects in _roster(self.services).vips() if protects in wanted]

    def protected(self) -> set[ServiceId]:
        """Return the services that VIPs stand over."""
        return {protects for _, protects in _roster(self.services).vips()}


def promised(standing: Standing) -> Service:
    """Return what is to be proven of a service: of one placed in an emergency that it is no more than that."""
    placement = standing.placement
    return relaxed(standing.service) if placement.notes and is_emergency(placement) else standing.service


class _Roster:
    """What is asked again and again of the services that stand, each found once; they are never changed."""

    __slots__ = ("_intents", "_pairs", "_vips", "_windowed", "services")

    def __init__(self, services: Mapping[ServiceId, Standing]) -> None:
        self.services = services
        self._vips: list[tuple[ServiceId, ServiceId]] | None = None
        self._pairs: dict[ServiceId, tuple[Service, Placement]] | None = None
        self._intents: dict[ServiceId, Service] | None = None
        self._windowed: frozenset[ServiceId] | None = None

    def vips(self) -> list[tuple[ServiceId, ServiceId]]:
        """Return the VIPs that stand, and what each protects."""
        if self._vips is None:
            self._vips = [
                (sid, s.service.protects)
                for sid, s in self.services.items()
                if isinstance(s.service, VipAssurance) and not s.expired
            ]
        return self._vips

    def pairs(self) -> dict[ServiceId, tuple[Service, Placement]]:
        if self._pairs is None:
            self._pairs = {sid: (s.service, s.placement) for sid, s in self.services.items() if not s.expired}
        return self._pairs

    def intents(self) -> dict[ServiceId, Service]:
        if self._intents is None:
            self._intents = {sid: promised(s) for sid, s in self.services.items() if s.active}
        return self._intents

    def windowed(self) -> frozenset[ServiceId]:
        if self._windowed is None:
            self._windowed = frozenset(sid for sid, s in self.services.items() if _ends(s))
        return self._windowed

    def after(
        self, services: Mapping[ServiceId, Standing], puts: Mapping[ServiceId, Standing], drops: Set[ServiceId]
    ) -> _Roster:
        """Return the roster of services that are these but for a few, in their order.

        What is known of these is carried over, unless somebody comes back into the middle of an order: that is
        looked up anew when it is asked for.
        """
        new, was = _Roster(services), self.services
        old = {sid: was[sid] for sid in puts if sid in was}
        gone = any(_protects(was.get(sid)) for sid in drops)
        if not gone and all(_protects(old.get(sid)) == _protects(s) for sid, s in puts.items()):
            new._vips = self._vips
        if self._windowed is not None:
            new._windowed = (self._windowed - drops - puts.keys()) | {sid for sid, s in puts.items() if _ends(s)}
        if self._pairs is not None and not any(s.expired and not puts[sid].expired for sid, s in old.items()):
            over = {sid for sid, s in puts.items() if s.expired}
            new._pairs = _but(self._pairs, drops | over)
            new._pairs.update({sid: (s.service, s.placement) for sid, s in puts.items() if sid not in over})
        if self._intents is not None and not any(puts[sid].active and not s.active for sid, s in old.items()):
            new._intents = _but(self._intents, drops | {sid for sid, s in puts.items() if not s.active})
            new._intents.update({sid: promised(s) for sid, s in puts.items() if s.active})
        return new


def _ends(standing: Standing) -> bool:
    return standing.expired or standing.placement.start is not None or standing.placement.end is not None


def _protects(standing: Standing | None) -> ServiceId | None:
    """Return what a VIP that stands protects; None for all others."""
    if standing is None or standing.expired or not isinstance(standing.service, VipAssurance):
        return None
    return standing.service.protects


def _but(known: Mapping[ServiceId, T], gone: Set[ServiceId]) -> dict[ServiceId, T]:
    """Return a copy without some: of ten thousand, in a tenth of the time that it takes to ask each of them."""
    left = dict(known)
    for sid in gone:
        left.pop(sid, None)
    return left


MOST_KNOWN = 4  # the state that stands, and those that are being planned
_known: list[_Roster] = []  # who was asked last comes first


def _roster(services: Mapping[ServiceId, Standing]) -> _Roster:
    """Return what is known of these; a state is asked several times in a row, and never changed."""
    return _remember(_remembered(services) or _Roster(services))


def _remembered(services: Mapping[ServiceId, Standing]) -> _Roster | None:
    return next((roster for roster in _known[:] if roster.services is services), None)


def _remember(roster: _Roster) -> _Roster:
    if not _known or _known[0] is not roster:
        _known[:] = [roster, *(other for other in _known if other is not roster)][:MOST_KNOWN]
    return roster


def follows(
    before: Mapping[ServiceId, Standing],
    after: Mapping[ServiceId, Standing],
    puts: Mapping[ServiceId, Standing],
    drops: Set[ServiceId],
) -> None:
    """Note that `after` is `before` but for these, so that nobody looks through all of it again."""
    found = _remembered(before)
    if found is not None:
        _remember(found.after(after, puts, drops))


def rebuilt(services: Mapping[ServiceId, Standing], city: CityMap) -> DesiredState:
    """Return the state that these services amount to; how the daemon starts, and what tests compare with."""
    ledger = Ledger(city)
    for standing in services.values():
        if not standing.expired:
            ledger.add(standing.placement)
    puts = {sid: s.fragments for sid, s in services.items() if s.active}
    number = max((s.revision for s in services.values()), default=0)
    desired = Desired().with_changes(puts, frozenset())
    return DesiredState(dict(services), desired, ledger, number, lit_for(services))


def lit_for(services: Mapping[ServiceId, Standing]) -> tuple[LitLink, ...]:
    """Return the IP links that any of these services had lit, each once, by id."""
    ridden = (s.placement.lit_links for s in services.values() if s.placement.lit_links and not s.expired)
    named = {one.id: one for links in ridden for one in links}
    return tuple(named[name] for name in sorted(named))


def links_of(
    before: Mapping[ServiceId, Standing], puts: Mapping[ServiceId, Standing], drops: Iterable[ServiceId]
) -> frozenset[str]:
    """Return the IP links lit for services that a change's services ride on, or rode on before it, by id."""
    stood = (before[sid] for sid in (*puts, *drops) if sid in before)
    return frozenset(one.id for s in (*puts.values(), *stood) for one in s.placement.lit_links)


def lit_after(
    lit: tuple[LitLink, ...], services: Mapping[ServiceId, Standing], moved: Iterable[Standing]
) -> tuple[LitLink, ...]:
    """Return the same after a change. `moved`: what it put, and what stood there before; most ride on none of these."""
    return lit_for(services) if any(s.placement.lit_links for s in moved) else lit
