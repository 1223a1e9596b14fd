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
        self._known: dict[ServiceId, tuple[object, frozenset[Component]]] = {}
        self.version = 0  # grows whenever it was brought up to date

    def follow(self, standing: Mapping[ServiceId, tuple[object, Placement]]) -> None:
        """Take over what stands now: service → (a value that is another object whenever it changed, placement)."""
        self.version += 1
        for gone in [sid for sid in self._known if sid not in standing]:
            self._drop(gone)
        for sid, (mark, placement) in standing.items():
            known = self._known.get(sid)
            if known is not None and known[0] is mark:
                continue
            if known is not None:
                self._drop(sid)
            rides = ridden(placement)
            self._known[sid] = (mark, rides)
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
    """What was found of a placement while the same things were down: a loop that looks often asks the same again."""

    def __init__(self) -> None:
        self._down: Set[Component] = frozenset()
        self._found: dict[ServiceId, tuple[Placement, Damage]] = {}

    def of(self, sid: ServiceId, placement: Placement, down: Set[Component]) -> Damage:
        if down is not self._down:
            self._down, self._found = down, {}
        known = self._found.get(sid)
        if known is None or known[0] is not placement:
            known = self._found[sid] = (placement, damage(placement, down))
        return known[1]


def hurt(
    riders: Riders,
    standing: Mapping[ServiceId, tuple[Service, Placement]],
    down: Set[Component],
    known: Harm | None = None,
) -> tuple[Hurt, ...]:
    """Return the services that the components which are down concern, most urgent first."""
    known = known or Harm()
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
