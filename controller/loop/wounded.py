"""Who is hurt by what is down, found anew only where something moved: the loop looks far more often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from controller.assurance.components import Component, Damage, damage
from controller.assurance.incidents import MOST_BLIND
from controller.assurance.switching import OwnStates
from controller.assurance.waves import Harm, Hurt, Riders, hurt
from controller.changes.state import Standing
from controller.intent.model import ServiceId


def spread(services: Iterable[ServiceId], most: int) -> set[str]:
    """Return at most so many of these, the first of every tenant before the second of any; always the same ones."""
    by_tenant: dict[str, list[str]] = {}
    for sid in services:
        by_tenant.setdefault(sid.partition("/")[0], []).append(str(sid))
    ranked = [(rank, sid) for mine in by_tenant.values() for rank, sid in enumerate(sorted(mine))]
    return {sid for _, sid in sorted(ranked)[:most]}


class Wounded:
    """Holds the last answer and what it was found from."""

    def __init__(self, riders: Riders, own: OwnStates) -> None:
        self._riders, self._own = riders, own
        self._harm, self._shown = Harm(riders), Harm(riders)  # by what counts as down, and by what says that it is
        self._from: tuple[object, ...] = ()
        self._found: tuple[Hurt, ...] = ()
        self._blind: tuple[object, frozenset[str], frozenset[str]] = (None, frozenset(), frozenset())

    def by(self, fallen: frozenset[Component], services: Mapping[ServiceId, Standing]) -> tuple[Hurt, ...]:
        """Return the services that these concern, most urgent first. Both arguments are replaced, never changed."""
        mark = (fallen, services, self._riders.version, self._own.version)
        if (
            not self._from
            or any(a is not b for a, b in zip(self._from[:2], mark[:2], strict=True))
            or (self._from[2:] != mark[2:])
        ):
            self._from, self._found = mark, self._find(fallen, services)
        return self._found

    def harm(self, sid: ServiceId, standing: Standing | None, dark: AbstractSet[Component]) -> Damage:
        """Return what the failure of all these does to a service."""
        return self._shown.of(sid, standing.placement, dark) if dark and standing is not None else Damage.NONE

    def concerned(
        self,
        components: AbstractSet[Component],
        services: Mapping[ServiceId, Standing],
        fallen: AbstractSet[Component] = frozenset(),
        known_dead: AbstractSet[ServiceId] = frozenset(),
    ) -> tuple[set[str], set[str]]:
        """Return whom the failure of these alone concerns, and those of them that nothing carries.

        What has a window to come loses nothing yet. fallen: all that is down; who is carried by what neither of two
        failures took alone is down by both. known_dead: who carries nothing, also by what its domain says of it or by
        what is measured, whatever stands by. Where a controller or its measurements are away, all are concerned that
        have something there.
        """
        concerned, dead = set(), set()
        blind = {c.partition(":")[2] for c in components if c.startswith(("controller:", "telemetry:"))}
        rest = fallen - components
        if blind:
            concerned = set(self._there(frozenset(blind), services))
        for sid in self._riders.on(components):
            standing = services.get(sid)
            if standing is not None and standing.active:
                found = self._harm.of(sid, standing.placement, components)
                if found is not Damage.NONE:
                    concerned.add(str(sid))
                both = found in (Damage.EXPOSED, Damage.SWITCHED) and rest & self._riders.rides(sid, standing.placement)
                if both and damage(standing.placement, rest) is not Damage.DEAD:  # else it is no doing of these
                    found = damage(standing.placement, fallen)
                stuck = found is Damage.SWITCHED and sid in known_dead
                if found is Damage.DEAD or (stuck and damage(standing.placement, fallen) is not Damage.DEAD):
                    dead.add(str(sid))
        return concerned, dead

    def _there(self, domains: frozenset[str], services: Mapping[ServiceId, Standing]) -> AbstractSet[str]:
        """Return who has something in these domains; found anew only where services changed."""
        if self._blind[0] is not services or self._blind[1] != domains:
            there = (s for s, at in services.items() if at.active and not domains.isdisjoint(at.fragments))
            self._blind = (services, domains, frozenset(spread(there, MOST_BLIND)))
        return self._blind[2]

    def _find(self, fallen: frozenset[Component], services: Mapping[ServiceId, Standing]) -> tuple[Hurt, ...]:
        if not fallen:
            self._harm.clear()
            self._shown.clear()
        riding = [sid for sid in self._riders.on(fallen) if sid in services]
        standing = {sid: (services[sid].service, services[sid].placement) for sid in riding}
        # To have been switched is the domain's word, not ours: where it says that nothing carries it, it is dead.
        return tuple(
            replace(h, damage=Damage.DEAD)
            if h.damage is Damage.SWITCHED and self._own.any_down(standing[h.service][1])
            else h
            for h in hurt(self._riders, standing, fallen, self._harm)
        )
