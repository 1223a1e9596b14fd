"""Dedicated circuits through the optical domain: a wavelength of one's own, or tributary slots of lit ODU4s.

A wavelength keeps one channel on its whole way; a timeslot circuit is switched at every node and takes the
lowest free slots of the fullest ODU link that has room. Protection is 1+1 over a risk-disjoint second leg.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from controller.intent.model import Boundaries
from controller.network.model import Fibre, OduLink, PortRef
from controller.planning.containers import LINE_MODE, container, line_container, reach_hops
from controller.planning.draft import CannotPlaceError, Draft, rate_text, time_text
from controller.planning.layers import TRANSPONDER_PAIR_S, Layers, either, forbidden_nodes, series
from controller.planning.paths import Graph, Mask, Path, mask_without
from controller.planning.placement import CircuitPlacement, Leg
from controller.planning.reasons import why_no_pair, why_no_path

Parts = dict[str, Fibre | OduLink]


@dataclass(frozen=True, slots=True)
class Ends:
    """The client ports that a circuit joins; VLAN 0 takes the whole port."""

    a: PortRef
    z: PortRef
    a_vlan: int
    z_vlan: int
    rate_bps: int  # wavelength: the line rate of both ports


@dataclass(frozen=True, slots=True)
class Wish:
    """What the circuit must keep to."""

    id: str
    layer: str  # "wavelength" | "odu"
    budget_s: float | None
    protected: bool
    bounds: Boundaries
    avoid: frozenset[int]  # risks of the services this one is to be diverse from


@dataclass(frozen=True, slots=True)
class Lit:
    """A circuit and what it gives."""

    circuit: CircuitPlacement
    delay_s: float
    standby_s: float | None
    availability: float
    via: tuple[str, ...]


def light(net: Layers, draft: Draft, ends: Ends, wish: Wish, old: CircuitPlacement | None) -> Lit:
    """Find and hold the legs of one circuit; raises CannotPlaceError with what binds."""
    search = _Search(net, draft, ends, wish)
    kept = search.keep(old) if old is not None else None
    legs = kept or search.legs()
    return search.finish(*legs)


class _Search:
    def __init__(self, net: Layers, draft: Draft, ends: Ends, wish: Wish) -> None:
        self.net, self.draft, self.ends, self.wish = net, draft, ends, wish
        self.wave = wish.layer == "wavelength"
        self.graph: Graph = net.fibres if self.wave else net.odu
        self.parts: tuple[Fibre, ...] | tuple[OduLink, ...] = net.fibre_of if self.wave else net.odu_of
        box = container(ends.rate_bps)
        if not self.wave and box is None:
            raise CannotPlaceError(f"{rate_text(ends.rate_bps)} is more than an ODU4 carries")
        self.slots = box.slots if box is not None else 0
        self.odu = line_container(ends.rate_bps) if self.wave or box is None else box.name
        ids = [f.id for f in net.fibre_of] if self.wave else [o.id for o in net.odu_of]
        self.edge_of = {part: 2 * i for i, part in enumerate(ids[::2])}
        self._free: dict[str, frozenset[int]] = {}

    def keep(self, old: CircuitPlacement) -> tuple[Leg, Leg | None] | None:
        """The present legs, where they still serve: an unchanged demand must not move."""
        same = (old.a, old.z, old.layer, old.rate_bps, old.odu, old.protect is not None) == (
            self.ends.a, self.ends.z, self.wish.layer, self.ends.rate_bps, self.odu, self.wish.protected,
        )  # fmt: skip
        if not same:
            return None
        ids = self.edge_of
        usable = self.allowed()
        for leg in (old.working, old.protect):
            if leg is None:
                continue
            if any(hop not in ids or not usable[ids[hop]] for hop in leg.route) or not self._still_free(leg):
                return None
            if self.wish.budget_s is not None and leg.delay_s > self.wish.budget_s:
                return None
        for leg in (old.working, old.protect):
            if leg is not None:
                self._hold(leg)
        return old.working, old.protect

    def _still_free(self, leg: Leg) -> bool:
        if self.wave:
            return all(leg.channel in self.free(hop) for hop in leg.route)
        return all(set(slots) <= self.free(hop) for hop, slots in zip(leg.route, leg.slots, strict=True))

    def free(self, part: str) -> frozenset[int]:
        """Channels of a fibre or slots of an ODU link that neither others nor our services hold."""
        known = self._free.get(part)
        if known is None:
            item = self.parts[self.edge_of[part]]
            size = item.channels if isinstance(item, Fibre) else item.slots
            held = self.draft.ledger.held_labels(self._resource(part))
            # A domain that does not say whose a label is counts our present one as occupied: it is ours to keep.
            known = self._free[part] = frozenset(range(1, size + 1)) - (item.occupied - self._mine(part)) - held
        return known

    def _mine(self, part: str) -> frozenset[int]:
        old = self.draft.old
        resource = self._resource(part)
        return frozenset(r.label for r in old.labels if r.resource == resource) if old is not None else frozenset()

    def _resource(self, part: str) -> str:
        return f"{'channel' if self.wave else 'slot'}:{part}"

    def allowed(self) -> Mask:
        """Parts that are up and within the boundaries, whatever is free on them."""
        usable = np.array([p.up for p in self.parts], dtype=np.bool_)
        usable = mask_without(self.graph, usable, forbidden_nodes(self.net, self.wish.bounds))
        return self.graph.without_risks(usable, self.wish.avoid) if self.wish.avoid else usable

    def roomy(self, usable: Mask) -> Mask:
        least = 1 if self.wave else self.slots
        room = np.array([len(self.free(p.id)) >= least for p in self.parts[::2]], dtype=np.bool_)
        result: Mask = usable & np.repeat(room, 2)
        return result

    def legs(self) -> tuple[Leg, Leg | None]:
        src, dst = self.ends.a.node, self.ends.z.node
        allowed = self.allowed()
        usable = self.roomy(allowed)
        if src == dst:
            raise CannotPlaceError(f"both ends are at {src}; a circuit joins two nodes")
        budget = self._path_budget()
        paths = self._paths(src, dst, usable, budget)
        if paths is None:
            raise CannotPlaceError(self._why(src, dst, usable, allowed, budget))
        near = self._within_reach(src, dst, usable, budget, paths)
        legs = [self._label(p) for p in near or paths]
        if any(leg is None for leg in legs):  # no channel is common to the whole way: try channel by channel
            legs = self._by_channel(src, dst, usable, budget)
        found = [leg for leg in legs if leg is not None]
        for leg in found:
            self._check_reach(leg)
            self._hold(leg)
        return found[0], found[1] if self.wish.protected else None

    def _path_budget(self) -> float | None:
        return None if self.wish.budget_s is None else self.wish.budget_s - self._fixed_s()

    def _fixed_s(self) -> float:
        """What both ends add, whatever the way."""
        return TRANSPONDER_PAIR_S if self.wave else 0.0

    def _paths(
        self, src: str, dst: str, usable: Mask, budget: float | None, graph: Graph | None = None
    ) -> tuple[Path, ...] | None:
        graph = graph or self.graph
        if self.wish.protected:
            pair = graph.disjoint_pair(src, dst, usable, budget_s=budget)
            return None if pair is None else (pair.working, pair.standby)
        path = graph.shortest(src, dst, usable)
        late = path is not None and budget is not None and graph.delay_of(path) > budget
        return None if path is None or late else (path,)

    def _by_channel(self, src: str, dst: str, usable: Mask, budget: float | None) -> list[Leg | None]:
        best: tuple[tuple[bool, float], tuple[Path, ...], int] | None = None
        for channel in range(1, max(f.channels for f in self.net.fibre_of) + 1):
            room = np.array([channel in self.free(p.id) for p in self.parts[::2]], dtype=np.bool_)
            usable_here = usable & np.repeat(room, 2)
            paths = self._paths(src, dst, usable_here, budget)
            paths = paths and (self._within_reach(src, dst, usable_here, budget, paths) or paths)
            total = sum(self.graph.delay_of(p) for p in paths or ())
            far = paths is not None and not self._reaches(paths)
            if paths is not None and (best is None or (far, total) < best[0]):
                best = ((far, total), paths, channel)
        if best is None:
            raise CannotPlaceError(f"no channel is free end to end from {src} to {dst}")
        return [self._leg(path, channel=best[2]) for path in best[1]]

    def _within_reach(
        self, src: str, dst: str, usable: Mask, budget: float | None, quickest: tuple[Path, ...]
    ) -> tuple[Path, ...] | None:
        """Return the quickest ways where light reaches that far, else ways over fewer fibres; None where none do."""
        if self._reaches(quickest):
            return quickest
        graph = self.net.few_fibres
        for most in range(max(map(len, quickest)) - 1, 0, -1):
            # Hops stand in for delay here, so a bound on delay is one on hops.
            found = self._paths(src, dst, usable, most + 0.5, graph)
            if found is None:
                return None
            late = budget is not None and any(self.graph.delay_of(path) > budget for path in found)
            if not late and self._reaches(found):
                return found
        return None

    def _reaches(self, paths: Iterable[Path]) -> bool:
        if not self.wave:
            return True
        fibres = self.net.fibre_of
        return all(len(path) <= reach_hops([fibres[i].length_m for i in path]) for path in paths)

    def _label(self, path: Path) -> Leg | None:
        """Choose the labels of one way: the lowest common channel, or the fullest ODU link with room on each hop."""
        if self.wave:
            common = frozenset.intersection(*(self.free(self.parts[i].id) for i in path))
            return self._leg(path, channel=min(common)) if common else None
        fitted = tuple(self._best_fit(i) for i in path)
        return self._leg(fitted, slots=tuple(tuple(sorted(self.free(self.parts[i].id))[: self.slots]) for i in fitted))

    def _best_fit(self, edge: int) -> int:
        """Among links over the same fibres take the one with least room, so that big holes stay."""
        parts, here = self.net.odu_of, self.net.odu_of[edge]
        alike = (
            i for i in range(edge % 2, len(parts), 2)
            if (parts[i].a, parts[i].z, parts[i].fibres) == (here.a, here.z, here.fibres) and parts[i].up
            and len(self.free(parts[i].id)) >= self.slots
        )  # fmt: skip
        return min(alike, key=lambda i: (len(self.free(parts[i].id)), parts[i].id))

    def _leg(self, path: Path, channel: int | None = None, slots: tuple[tuple[int, ...], ...] = ()) -> Leg:
        delay = self.graph.delay_of(path) + self._fixed_s()
        return Leg(tuple(self.parts[i].id for i in path), channel, slots, delay)

    def _hold(self, leg: Leg) -> None:
        for position, hop in enumerate(leg.route):
            for label in (leg.channel or 0,) if self.wave else leg.slots[position]:
                self.draft.hold(self._resource(hop), label)

    def _check_reach(self, leg: Leg) -> None:
        if not self.wave:
            return
        lengths = [f.length_m for f in self.net.fibre_of[::2] if f.id in leg.route]
        if len(leg.route) > reach_hops(lengths):
            raise CannotPlaceError(
                f"reach of {LINE_MODE}: {len(leg.route)} fibres over {', '.join(leg.route)}, "
                f"at most {reach_hops(lengths)} without regeneration"
            )

    def _why(self, src: str, dst: str, usable: Mask, allowed: Mask, budget: float | None) -> str:
        return self._why_room(src, dst, usable, allowed) or self._why_late(src, dst, usable, budget)

    def _why_room(self, src: str, dst: str, usable: Mask, allowed: Mask) -> str | None:
        up = np.array([p.up for p in self.parts], dtype=np.bool_)
        if self.graph.shortest(src, dst, allowed) is None:
            return why_no_path(self.net, self.graph, src, dst, up, self.wish.bounds, self.wish.avoid)
        path = self.graph.shortest(src, dst, allowed)
        if self.graph.shortest(src, dst, usable) is None and path is not None:
            full = [self.parts[i].id for i in path if not usable[i]]
            what = "free channel" if self.wave else f"{self.slots} free slots"
            return f"{', '.join(full)}: no {what} left"
        return None

    def _why_late(self, src: str, dst: str, usable: Mask, budget: float | None) -> str:
        path = self.graph.shortest(src, dst, usable)
        assert path is not None
        best = self.graph.delay_of(path) + self._fixed_s()
        if budget is not None and best > budget + self._fixed_s():
            return f"latency: the quickest way from {src} to {dst} takes {time_text(best)}"
        pair = self.graph.disjoint_pair(src, dst, usable)
        if pair is not None:
            standby = pair.standby_s + self._fixed_s()
            return f"latency: the quickest standby from {src} to {dst} takes {time_text(standby)}"
        return why_no_pair(self.net, self.graph, src, dst, usable)

    def finish(self, working: Leg, protect: Leg | None) -> Lit:
        ends, wish = self.ends, self.wish
        domain = self.net.nodes[ends.a.node].domain
        circuit = CircuitPlacement(
            wish.id, domain, ends.a, ends.z, ends.a_vlan, ends.z_vlan, wish.layer, ends.rate_bps, self.odu,
            LINE_MODE if self.wave else "", working, protect,
        )  # fmt: skip
        parts: Parts = {p.id: p for p in self.parts}
        availability, via = self._one(working, parts)
        if protect is not None:
            second, _ = self._one(protect, parts)
            shared = set(self._between(working, parts)) & set(self._between(protect, parts))
            common = series(self.net, sorted(shared), ())
            availability = common * either(availability / common, second / common)
        return Lit(circuit, working.delay_s, protect.delay_s if protect else None, availability, via)

    def _one(self, leg: Leg, parts: Parts) -> tuple[float, tuple[str, ...]]:
        nodes = self._walk(leg, parts)
        via = (nodes[0], *(x for hop, node in zip(leg.route, nodes[1:], strict=True) for x in (hop, node)))
        return series(self.net, nodes[1:-1], (parts[hop].availability for hop in leg.route)), via

    def _between(self, leg: Leg, parts: Parts) -> tuple[str, ...]:
        return self._walk(leg, parts)[1:-1]

    def _walk(self, leg: Leg, parts: Parts) -> tuple[str, ...]:
        nodes = [self.ends.a.node]
        for hop in leg.route:
            part = parts[hop]
            nodes.append(part.z if part.a == nodes[-1] else part.a)
        return tuple(nodes)


def risks_of_route(net: Layers, route: Iterable[str]) -> frozenset[int]:
    """Return the shared risks under a leg, of fibres or ODU links."""
    fibres = {f.id: f.srlgs for f in net.fibre_of}
    odu = {o.id: o.srlgs for o in net.odu_of}
    return frozenset(r for hop in route for r in (fibres.get(hop) or odu.get(hop) or ()))
