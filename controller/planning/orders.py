"""Who of a batch goes first: by priority, then the larger, then whoever was refused before.

Placing one after the other is quick but blind: who comes late may find his only way taken by somebody who had another.
So those who were refused go ahead next time, the more often the further (squeaky wheel: Joslin and Clements 1999);
every other time the smaller go first, which fills what the large ones leave. No clock: the caller says how often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, ServiceId, VipAssurance
from controller.planning.placement import Placement

BATCH_ORDERS = 4  # in which what is asked for together is placed, until all of it has a place
MOST_PLACED = 2000  # services times orders: people wait for the answer

Merit = tuple[int, int, int, int, int]


def orders_for(services: int, *, hurry: bool = False) -> int:
    """Return how many orders a change tries: a repair is in a hurry, a large batch would keep everybody waiting."""
    return 1 if hurry else max(1, min(BATCH_ORDERS, MOST_PLACED // max(1, services)))


class Orders:
    """Gives one order after another, each out of what the earlier ones could not place."""

    def __init__(self, wanted: Sequence[Service]) -> None:
        self._wanted = tuple(wanted)
        self._times: Counter[ServiceId] = Counter()
        self._given = 0

    def refused(self, names: Collection[ServiceId]) -> None:
        """Note who found no place in the order that was given last."""
        self._times.update(names)

    def next(self) -> tuple[Service, ...]:
        small_first = self._given % 2 == 1 and self._given > 2
        self._given += 1
        return in_order(self._wanted, self._times, small_first=small_first)


def in_order(
    wanted: Sequence[Service], times: Mapping[ServiceId, int] | None = None, *, small_first: bool = False
) -> tuple[Service, ...]:
    """By priority; but a slice comes after the services that it is to keep away from, or beside.

    `times`: how often a service was refused; of equal priority the one with more goes first.
    """
    protected = {s.protects for s in wanted if isinstance(s, VipAssurance)}
    named = {s.metadata.service: s for s in wanted}
    times = times or {}

    def key(service: Service) -> tuple[int, int, int, int, str]:
        name = service.metadata.service
        size = size_bps(service) if small_first else -size_bps(service)
        if isinstance(service, VipAssurance):
            return (1, service.priority, -times.get(name, 0), size, name)
        if name in protected:
            return (0, 0, -times.get(name, 0), size, name)
        return (2 if isinstance(service, ExclusiveSlice) else 3, 0, -times.get(name, 0), size, name)

    ordered: dict[ServiceId, Service] = {}

    def put(service: Service, below: frozenset[ServiceId]) -> None:
        name = service.metadata.service
        for other in referred_to(service):
            if other in named and other not in ordered and other not in below:
                put(named[other], below | {name})
        ordered.setdefault(name, service)

    for service in sorted(wanted, key=key):
        put(service, frozenset())
    return tuple(ordered.values())


def size_bps(service: Service) -> int:
    """Return what a service asks for in all."""
    if isinstance(service, ExclusiveSlice):
        return sum(d.rate_bps for d in service.demands)
    if isinstance(service, DedicatedPlane):
        return sum(a.rate_bps for a in service.accesses)
    if service.conference is not None:
        return len(service.conference.parties) * sum(f.rate_bps for f in service.conference.flows)
    return service.rate_bps


def merit(wanted: Sequence[Service], placements: Mapping[ServiceId, Placement]) -> Merit:
    """Return what an outcome is worth, the greater the better.

    What is served of each priority from the highest on, how many, and how little it takes: capacity is held on links,
    so a longer way takes more.
    """
    served = [0, 0, 0]
    for service in wanted:
        if service.metadata.service in placements:
            rank = 0 if isinstance(service, VipAssurance) else 1 if isinstance(service, ExclusiveSlice) else 2
            served[rank] += size_bps(service)
    held = sum(r.rate_bps for p in placements.values() for r in p.rates if not r.link.startswith("port:"))
    return served[0], served[1], served[2], len(placements), -held


def referred_diverse(service: Service) -> tuple[ServiceId, ...]:
    """Return the services that this one is to be diverse from."""
    return service.diverse_from if isinstance(service, ExclusiveSlice) else ()


def referred_to(service: Service) -> tuple[ServiceId, ...]:
    """Return the services whose ways decide about this one's."""
    return (*service.diverse_from, *service.together_with) if isinstance(service, ExclusiveSlice) else ()
