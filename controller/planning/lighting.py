"""Circuits that have, had or are to have a second way: what works stays, and what was kept is lit before all else.

What others keep already is kept with them first, as it costs nothing more; the lowest free labels come after that. A
circuit whose working way is down takes the way that was kept for it, before any other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from controller.planning.circuits import Ends, Lit, Search, Wish
from controller.planning.constrained import best_pair, best_way, kept_apart, without
from controller.planning.draft import CannotPlaceError, Draft
from controller.planning.layers import Layers
from controller.planning.paths import Mask, Path
from controller.planning.placement import CircuitPlacement, LabelReservation, Leg
from controller.planning.restoration import labels_of, risks_under

NO_RISK = ("none",)  # what takes nobody's way down


def light(net: Layers, draft: Draft, ends: Ends, wish: Wish, old: CircuitPlacement | None) -> Lit:
    """Find and hold the legs of one circuit; raises CannotPlaceError with what binds."""
    regains = old is not None and old.protect is None and wish.protected
    if not wish.shared and not regains and (old is None or not old.shared):
        search = Search(net, draft, ends, wish)
        return search.finish(*((search.keep(old) if old is not None else None) or search.legs()))
    restorable = _Restorable(net, draft, ends, wish)
    legs = (restorable.keep_on(old) or restorable.relight(old)) if old is not None else None
    return restorable.finish(*(legs or restorable.afresh()))


class _Restorable(Search):
    """A circuit that has a way kept for it, had one, or works without the second that it asks for."""

    def __init__(self, net: Layers, draft: Draft, ends: Ends, wish: Wish) -> None:
        super().__init__(net, draft, ends, wish)
        self._fibres = {f.id: f for f in net.fibre_of}
        self.need = 1 if self.wave else self.slots
        self.usable = self.allowed()

    def keep_on(self, old: CircuitPlacement) -> tuple[Leg, Leg | None] | None:
        """Leave the working leg where it is, and what is kept for it where that still serves."""
        if not self.alike(old) or not self._takes(old.working):
            return None
        if not self._still_free(old.working):
            return None
        path = self._onward([self.edge_of[hop] for hop in old.working.route])
        if not self.wish.protected:
            self._hold(old.working)
            return old.working, None
        if not self.wish.shared:
            return self._with_standby(old.working, path)
        spare = old.protect if old.shared and old.protect is not None and self._guards(old) else self._spare(path)
        return None if spare is None else self._held(old.working, path, spare)

    def _with_standby(self, working: Leg, path: Path) -> tuple[Leg, Leg] | None:
        """Find a standby for a leg that works: what has lost its own gets another without moving."""
        apart = without(self.burdens, self.roomy(self.usable), kept_apart(self.burdens, path, self.wish.disjoint))
        way = self._way(apart)
        standby = self._label(way) if way is not None else None
        if standby is None:
            return None
        self._hold(working)
        self._hold(standby)
        return working, standby

    def relight(self, old: CircuitPlacement) -> tuple[Leg, Leg | None] | None:
        """Take the way that was kept for a circuit whose working one is down, whoever else keeps it too."""
        leg = old.protect
        if not self.alike(old) or not old.shared or leg is None or not self._down(old.working) or not self._takes(leg):
            return None
        if any(not self._may_take(old, resource, label, NO_RISK) for resource, label in labels_of(old, leg)):
            return None
        path = self._onward([self.edge_of[hop] for hop in leg.route])
        if not self.wish.protected:
            self._hold(leg)
            return leg, None
        spare = self._spare(path) if self.wish.shared else None
        return None if spare is None else self._held(leg, path, spare)

    def afresh(self) -> tuple[Leg, Leg | None]:
        """Find both ways; raises CannotPlaceError with what binds."""
        if not self.wish.shared:
            return self.legs()
        ends = (self.ends.a.node, self.ends.z.node)
        roomy = self.roomy(self.usable)
        first = self.working_within(roomy)
        for spare_room in (self._room(self.usable, self._roomiest), roomy):
            fits, most = self.limits.fits, self.limits.most
            pair = best_pair(self.burdens, *ends, spare_room, fits, self.wish.disjoint, first, most)
            if pair is None:
                continue
            quicker = pair.standby_s < pair.working_s and bool(np.all(first[list(pair.standby)]))
            for path in (pair.standby, pair.working) if quicker else (pair.working,):
                working, spare = self._label(path), self._spare(path)
                if working is not None and spare is not None:
                    return self._held(working, path, spare)
        for path in self.each_way(first):
            working, spare = self._label(path), self._spare(path)
            if working is not None and spare is not None:
                return self._held(working, path, spare)
        working, spare = self.find()  # says what binds; else each has labels of its own
        return self._held(working, self._onward([self.edge_of[hop] for hop in working.route]), spare)

    def _labels(self, leg: Leg, position: int) -> tuple[int, ...]:
        return (leg.channel or 0,) if self.wave else leg.slots[position]

    # What still serves

    def _takes(self, leg: Leg) -> bool:
        """Whether a leg may work where it runs: it is up, allowed, and within every limit."""
        if any(hop not in self.edge_of for hop in leg.route):
            return False
        edges = [self.edge_of[hop] for hop in leg.route]
        allowed = self.working_within(self.usable)
        return bool(np.all(allowed[edges])) and self.limits.fits(self.burdens.of(edges))

    def _down(self, leg: Leg) -> bool:
        parts = [self.parts[self.edge_of[hop]] for hop in leg.route if hop in self.edge_of]
        nodes = {n for part in parts for n in (part.a, part.z)}
        missing = len(parts) < len(leg.route)
        return missing or any(not p.up for p in parts) or any(not self.net.nodes[n].up for n in nodes)

    def _guards(self, old: CircuitPlacement) -> bool:
        """Whether what is kept still serves: it is up, as far from the working leg as asked, and nobody's meanwhile."""
        leg = old.protect
        assert leg is not None
        if any(hop not in self.edge_of or not self.usable[self.edge_of[hop]] for hop in leg.route):
            return False
        if not self.limits.fits(self.burdens.of(self.edge_of[hop] for hop in leg.route)) or not self._apart(old):
            return False
        risks = self._risks(self._onward([self.edge_of[hop] for hop in old.working.route]))
        return all(self._may_take(old, resource, label, risks) for resource, label in labels_of(old, leg))

    def _may_take(self, old: CircuitPlacement, resource: str, label: int, risks: tuple[str, ...]) -> bool:
        part = resource.partition(":")[2]
        item = self.parts[self.edge_of[part]]
        foreign = item.occupied - self._mine(part)
        return label not in foreign and not self.draft.ledger.rivals(
            LabelReservation(resource, label, None, None, risks)
        )

    # A way to keep

    def _risks(self, working: Path) -> tuple[str, ...]:
        ends = frozenset((self.ends.a.node, self.ends.z.node))
        return risks_under((self.parts[i] for i in working), self._fibres, ends)

    def _held(self, working: Leg, path: Path, spare: Leg) -> tuple[Leg, Leg]:
        self._hold(working)
        risks = self._risks(path)
        for position, hop in enumerate(spare.route):
            for label in self._labels(spare, position):
                self.draft.hold(self._resource(hop), label, stands_by_for=risks)
        return working, spare

    def _roomiest(self, part: str) -> int:
        return len(self.free(part) | self._kept(part, frozenset()))

    def _kept(self, part: str, risks: frozenset[str]) -> frozenset[int]:
        """Labels that others keep and that may be kept with them for a way with these risks."""
        return self.draft.ledger.kept_labels(self._resource(part), risks)

    def _room(self, usable: Mask, size: Callable[[str], int]) -> Mask:
        room = np.array([size(p.id) >= self.need for p in self.parts[::2]], dtype=np.bool_)
        result: Mask = usable & np.repeat(room, 2)
        return result

    def _spare(self, working: Path) -> Leg | None:
        """Return a way to keep for this one: over what is kept already where that is enough, else the quickest."""
        risks = frozenset(self._risks(working))
        apart = without(self.burdens, self.usable, kept_apart(self.burdens, working, self.wish.disjoint))
        kept = {p.id: self._kept(p.id, risks) for p in self.parts[::2]}
        every = {part: self.free(part) | found for part, found in kept.items()}
        if self.wave:
            return self._spare_channel(apart, kept, every)
        for labels in (kept, every):
            way = self._way(self._room(apart, lambda part, of=labels: len(of[part])))  # type: ignore[misc]
            if way is not None:
                hops = [self.parts[i].id for i in way]
                slots = tuple(tuple(sorted(_first(every[h], kept[h], self.slots))) for h in hops)
                return self._leg(way, slots=slots)
        return None

    def _spare_channel(
        self, apart: Mask, kept: dict[str, frozenset[int]], every: dict[str, frozenset[int]]
    ) -> Leg | None:
        for labels in (kept, every):
            best: tuple[int, float, Leg] | None = None
            for channel in sorted(frozenset().union(*labels.values())):
                way = self._way(self._room(apart, lambda part, of=labels, n=channel: int(n in of[part])))  # type: ignore[misc]
                if way is None:
                    continue
                leg = self._leg(way, channel=channel)
                new = sum(channel not in kept[hop] for hop in leg.route)
                if best is None or (new, leg.delay_s) < best[:2]:
                    best = (new, leg.delay_s, leg)
            if best is not None:
                return best[2]
        return None

    def _way(self, usable: Mask) -> Path | None:
        try:
            found = best_way(
                self.burdens, self.ends.a.node, self.ends.z.node, usable, self.limits.fits, self.limits.most
            )
        except CannotPlaceError:
            return None  # it could not be decided
        return found or None


def _first(labels: frozenset[int], preferred: frozenset[int], count: int) -> list[int]:
    return sorted(labels, key=lambda n: (n not in preferred, n))[:count]
