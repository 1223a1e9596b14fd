"""How much every service loads every directed link with, at the least that it was promised.

A plane's hose is bounded per link by the smaller of what the sites before it may send and the sites behind it may
receive (RFC 2475 hose model), at the floor that no VIP may squeeze. Partitions and tunnels load what their
configuration says. Kept per service, so that one change adds and takes away only its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from controller.intent.model import ServiceId
from controller.network.model import CityMap, Link

Loads = Mapping[str, int]  # directed link id → bit/s


@dataclass(slots=True)
class LoadBook:
    """What each service loads, and the sum. Valid for one set of links; what is missing is worked out by `prove`."""

    links: tuple[Link, ...] = ()
    by_service: dict[ServiceId, Loads] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    aging: dict[ServiceId, None] = field(default_factory=dict)  # found over other states of the same links

    def without(self, services: Iterable[ServiceId]) -> LoadBook:
        """Return a book that does not know these services any more; this one stays as it is."""
        book = LoadBook(self.links, dict(self.by_service), dict(self.totals), dict(self.aging))
        for service in services:
            book.drop(service)
        return book

    def drop(self, service: ServiceId) -> None:
        self.aging.pop(service, None)
        for link, bps in self.by_service.pop(service, {}).items():
            self.totals[link] -= bps

    def put(self, service: ServiceId, loads: Loads) -> None:
        self.drop(service)
        self.by_service[service] = loads
        for link, bps in loads.items():
            self.totals[link] = self.totals.get(link, 0) + bps

    def start_over(self, city: CityMap) -> None:
        """Forget everything that was found over other links; a port that lights up elsewhere changes nothing.

        Where links only went down or came up, what was found is kept and looked at again a little at a time: a
        failure must not be followed by the proof of a whole city before the first repair.
        """
        if self.links is not city.links:
            before, self.links = self.links, city.links
            if _same_but_for_state(before, city.links):
                self.aging = dict.fromkeys(self.by_service)
            else:
                self.by_service, self.totals, self.aging = {}, {}, {}

    def renew(self, count: int) -> None:
        """Forget a few of what has aged, the longest standing first, so that it is worked out again."""
        for service in list(islice(self.aging, count)):
            self.drop(service)

    def heaviest(self, link: str, besides: ServiceId) -> Iterator[tuple[ServiceId, int]]:
        """Yield who else loads a link, the heaviest first."""
        others = [(s, loads[link]) for s, loads in self.by_service.items() if link in loads and s != besides]
        yield from sorted(others, key=lambda item: (-item[1], item[0]))


def _same_but_for_state(before: tuple[Link, ...], after: tuple[Link, ...]) -> bool:
    """Say whether links only went up or down, or are ones that routers never choose by themselves."""
    if any(k.pinned for links in (before, after) for k in links):
        before, after = (tuple(k for k in links if not k.pinned) for links in (before, after))
    return len(before) == len(after) and all(
        a is b or replace(a, up=b.up) == b for a, b in zip(before, after, strict=True)
    )
