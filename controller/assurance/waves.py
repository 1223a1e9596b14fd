"""Which services a failure concerns, and in which order they are repaired.

The index answers in the time of what is concerned, not of what stands. It follows desired state by identity: a
service whose standing value is the same object rides what it rode before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from controller.assurance.components import Component, Damage, damage, ridden
from controller.intent.model import DedicatedPlane, Service, ServiceId, VipAssurance
from controller.planning.placement import Placement


@dataclass(frozen=True, slots=True)
class Hurt:
    """A service that a failure concerns."""

    service: ServiceId
    tier: int  # 0 VIP, 1 exclusive, 2 dedicated
    damage: Damage


class Riders:
    """Component → the services that ride it."""

    def __init__(self) -> None:
        self._by_component: dict[Component, set[ServiceId]] = {}
        self._known: dict[ServiceId, tuple[object, frozenset[Component], Placement]] = {}
        self.version = 0  # grows whenever it was brought up to date

    def follow(self, standing: Mapping[ServiceId, tuple[object, Placement]]) -> None:
        """Take over what stands now: service → (a value that is another object whenever it changed, placement)."""
        known = self._known
        moved = {s: pair for s, pair in standing.items() if (k := known.get(s)) is None or k[0] is not pair[0]}
        self.move(moved, [sid for sid in known if sid not in standing])

    def move(self, moved: Mapping[ServiceId, tuple[object, Placement]], gone: Iterable[ServiceId]) -> None:
        """Take over who came or changed, as `follow` takes them, and who went."""
        self.version += 1
        for sid in gone:
            if sid in self._known:
                self._drop(sid)
        for sid, (mark, placement) in moved.items():
            if sid in self._known:
                self._drop(sid)
            rides = ridden(placement)
            self._known[sid] = (mark, rides, placement)
            for component in rides:
                self._by_component.setdefault(component, set()).add(sid)

    def _drop(self, sid: ServiceId) -> None:
        for component in self._known.pop(sid)[1]:
            riders = self._by_component[component]
            riders.discard(sid)
            if not riders:
                del self._by_component[component]

    def ridden(self, service: ServiceId) -> frozenset[Component]:
        """Return what a service rides; nothing where it is not known."""
        known = self._known.get(service)
        return known[1] if known is not None else frozenset()

    def rides(self, service: ServiceId, placement: Placement) -> frozenset[Component]:
        """Return what a placement rides, which is known of the one that stands."""
        known = self._known.get(service)
        return known[1] if known is not None and known[2] is placement else ridden(placement)

    def on(self, components: Iterable[Component]) -> set[ServiceId]:
        """Return the services that ride any of these."""
        found: set[ServiceId] = set()
        for component in components:
            found |= self._by_component.get(component, set())
        return found


def tier(service: Service) -> int:
    """Return 0 for a VIP, 1 for an exclusive slice, 2 for a dedicated plane."""
    return 0 if isinstance(service, VipAssurance) else 2 if isinstance(service, DedicatedPlane) else 1


class Harm:
    """What was found of placements: a loop that looks often asks the same again, and incidents ask it once more.

    What is down and not ridden is no matter: the answer follows from what is down of what a placement rides.
    """

    def __init__(self, riders: Riders) -> None:
        self._riders = riders
        self._found: dict[ServiceId, tuple[Placement, Set[Component], Damage]] = {}

    def of(self, sid: ServiceId, placement: Placement, down: Set[Component]) -> Damage:
        lost = down & self._riders.rides(sid, placement)
        if not lost:
            self._found.pop(sid, None)  # only who is hurt is remembered
            return Damage.NONE
        known = self._found.get(sid)
        if known is None or known[0] is not placement or known[1] != lost:
            known = self._found[sid] = (placement, lost, damage(placement, lost))
        return known[2]

    def clear(self) -> None:
        """Nothing is down any more."""
        self._found.clear()


def hurt(
    riders: Riders,
    standing: Mapping[ServiceId, tuple[Service, Placement]],
    down: Set[Component],
    known: Harm | None = None,
) -> tuple[Hurt, ...]:
    """Return the services that the components which are down concern, most urgent first."""
    known = known or Harm(riders)
    found = []
    for sid in riders.on(down):
        pair = standing.get(sid)
        if pair is not None and (harm := known.of(sid, pair[1], down)) is not Damage.NONE:
            found.append(Hurt(sid, tier(pair[0]), harm))
    return tuple(sorted(found, key=lambda h: (_wave(h), h.service)))


def _wave(one: Hurt) -> int:
    """VIPs, then what is dead by tier, then what carries on and only lost its guard."""
    if one.tier == 0:
        return 0
    if one.tier == 2:
        return 2  # routers have led a plane around already; what it holds has to follow
    return 1 if one.damage is Damage.DEAD else 3


def waves(wounded: Iterable[Hurt], most: int) -> tuple[tuple[ServiceId, ...], ...]:
    """Part services into waves to be committed one after the other, each of one urgency and at most so many."""
    groups: dict[int, list[ServiceId]] = {}
    for one in wounded:
        groups.setdefault(_wave(one), []).append(one.service)
    return tuple(
        tuple(members[start : start + most])
        for _, members in sorted(groups.items())
        for start in range(0, len(members), most)
    )
