"""Services for which IP links are lit: where room is all that they lack, or a way between routers that nothing joins.

What is there comes first: a service for which a link is looked for could not be placed on it. Who asks for what light
cannot mend (latency, regions, a plane, a standby apart) is refused as ever, and slices are told which link would do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from controller.intent.model import ExclusiveSlice, Isolation, Service, ServiceId, VipAssurance, Window
from controller.network.ledger import Ledger
from controller.network.model import CityMap, Link
from controller.planning.draft import CannotPlaceError
from controller.planning.layers import Layers
from controller.planning.parted import Gap, gaps
from controller.planning.partition import segments_of
from controller.planning.placement import Placement
from controller.planning.slices import isolation_order
from controller.planning.unlit import Search, around, between, lacking_room, out_of_reach
from controller.planning.worked import risks_of

PlaceOn = Callable[[CityMap, Ledger, Service], Placement]  # raises CannotPlaceError
Known = Callable[[ServiceId], tuple[Service, Placement] | None]


@dataclass(frozen=True, slots=True)
class Lightened:
    """A placement over IP links that are not lit yet. `taken`: they are lit for it; else they are only offered."""

    placement: Placement
    taken: bool


@dataclass(frozen=True, slots=True)
class Lighting:
    """Where a service stands that could not be placed. `ledger` is without what it holds."""

    city: CityMap
    net: Layers
    ledger: Ledger
    known: Known
    place_on: PlaceOn

    def of(self, service: Service, *, offer: bool) -> Lightened | None:
        """Return the placement over IP links that are lit for it; None where that helps nothing.

        They are lit where planning may; else they are offered, if `offer` says so.
        """
        if not self.net.spare or not self._may_ride_tunnels(service):
            return None
        offer = offer and isinstance(service, ExclusiveSlice) and service.isolation is Isolation.NRP
        plain = replace(service, isolation=Isolation.NRP) if isinstance(service, ExclusiveSlice) else service
        search = self._search(service)
        lacking, torn = self._lacking(plain, search.ledger), tuple[Gap, ...]()
        if not lacking and (self.city.lights or offer):
            torn = self._torn(plain, search)
        taken = self.city.lights and bool(lacking or torn)
        if not taken and not offer:
            return None
        nearest = [gap.pairs[0] for gap in torn]
        others = [pair for gap in torn for pair in gap.pairs[1:]]
        found = search.lighten(
            (*around(lacking), *nearest),
            (*others, *self._ends(plain)),
            lambda city: self.place_on(city, self.ledger.on(city), service),
        )
        return None if found is None else Lightened(found, taken)

    def _search(self, service: Service) -> Search:
        plane, diverse = (service.plane, service.diverse_from) if isinstance(service, ExclusiveSlice) else (None, ())
        others = [there[1] for name in diverse if (there := self.known(name)) is not None]
        avoid = frozenset(r for other in others for r in risks_of(self.net, other))
        window = service.window if isinstance(service.window, Window) else None
        ledger = self.ledger if window is None else self.ledger.during(window.start, window.end)
        return Search(self.city, self.net, ledger, service.boundaries, plane, avoid)

    def _lacking(self, service: Service, ledger: Ledger) -> tuple[Link, ...]:
        """Return the links that lack room for a service which would stand if they had it."""
        try:
            wished = self.place_on(self.city, self.ledger.boundless(), service)
        except CannotPlaceError:
            return ()
        return tuple(lacking_room(self.net, ledger, wished))

    def _torn(self, service: Service, search: Search) -> tuple[Gap, ...]:
        """Return where nothing at all joins routers between which a slice runs.

        A VIP is none the better for a way where its plane, which rides no such link, has come apart.
        """
        if not isinstance(service, ExclusiveSlice):
            return ()
        up, start, end = self.net.up, None, None
        if isinstance(service.window, Window):
            start, end = service.window.start, service.window.end
        taken = out_of_reach(self.city, self.net, self.ledger, start, end)
        try:
            segments = segments_of(self.city, self.net, service)
        except CannotPlaceError:
            return ()
        return gaps(self.net, up if taken is None else up & ~taken, segments, search.cabled)

    def _ends(self, service: Service) -> tuple[tuple[str, str], ...]:
        try:
            return tuple(between(self.city, self.net, service))
        except CannotPlaceError:
            return ()

    def _may_ride_tunnels(self, service: Service) -> bool:
        """Whether a service rides tunnels of its own over links that others may share, or does where optics cannot."""
        if isinstance(service, ExclusiveSlice):
            auto = service.isolation is Isolation.AUTO and Isolation.NRP in isolation_order(service)
            return service.isolation is Isolation.NRP or auto
        below = self.known(service.protects) if isinstance(service, VipAssurance) else None
        return below is not None and not below[1].circuits and not below[1].partitions
