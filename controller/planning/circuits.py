"""Dedicated circuits through the optical domain: a wavelength of one's own, or tributary slots of lit ODU4s.

A wavelength keeps one channel on its whole way; a timeslot circuit is switched at every node and takes the
lowest free slots of the fullest ODU link that has room. Protection is 1+1 over a risk-disjoint second leg.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from controller.intent.model import Boundaries, Disjointness, ServiceId
from controller.network.light import TRANSPONDER_PAIR_S
from controller.network.model import Fibre, OduLink, PortRef
from controller.planning.beyond import Bound, why_beyond
from controller.planning.constrained import DISJOINT, apart, best_pair, best_way, kept_apart, without
from controller.planning.containers import LINE_MODE, container, line_container
from controller.planning.draft import CannotPlaceError, Draft, rate_text
from controller.planning.in_order import MOST_WAYS, ways_in_order
from controller.planning.layers import Layers, forbidden_nodes, planes_of
from controller.planning.limits import DELAY, Limits
from controller.planning.paths import Graph, Mask, Path, mask_without
from controller.planning.placement import CircuitPlacement, Leg
from controller.planning.rarity import Rare
from controller.planning.reasons import why_no_path
from controller.planning.reliability import availability
from controller.planning.restoration import with_contention

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
    limits: Limits  # of each leg
    protected: bool
    bounds: Boundaries
    avoid: frozenset[int]  # risks of the services this one is to be diverse from
    together: Company | None = None  # where the working leg has to run
    disjoint: tuple[Disjointness, ...] = DISJOINT
    plane: str | None = None
    shared: bool = False  # protected: the second leg is dark, and kept in common with others
    least: float | None = None  # the availability that a leg without standby has to have


@dataclass(frozen=True, slots=True)
class Company:
    """The ducts, and the parts of both layers, that some services work over."""

    services: tuple[ServiceId, ...]
    risks: frozenset[int]
    parts: frozenset[str]  # ids of IP links, fibres, ODU links

    def has(self, part: str, risks: frozenset[int]) -> bool:
        return part in self.parts or (bool(risks) and risks <= self.risks)

    def __str__(self) -> str:
        return ", ".join(self.services)


@dataclass(frozen=True, slots=True)
class Lit:
    """A circuit and what it gives."""

    circuit: CircuitPlacement
    delay_s: float
    standby_s: float | None
    availability: float
    via: tuple[str, ...]


class Search:
    """One circuit on one draft: what it may use, and the legs that keep to its wish."""

    def __init__(self, net: Layers, draft: Draft, ends: Ends, wish: Wish) -> None:
        self.net, self.draft, self.ends, self.wish = net, draft, ends, wish
        self.wave = wish.layer == "wavelength"
        self.graph: Graph = net.fibres if self.wave else net.odu
        self.burdens = net.fibre_burdens if self.wave else net.odu_burdens
        # What both ends add, whatever the way.
        self._fixed = (TRANSPONDER_PAIR_S if self.wave else 0.0, *(0.0,) * (self.burdens.sums.shape[1] - 1))
        self.limits = replace(wish.limits.less(self._fixed), reach=1.0, mode=net.mode if self.wave else None)
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
        if not self.alike(old) or (old.protect is not None) is not self.wish.protected:
            return None
        ids = self.edge_of
        usable = self.allowed()
        for leg in (old.working, old.protect):
            if leg is None:
                continue
            if any(hop not in ids or not usable[ids[hop]] for hop in leg.route) or not self._still_free(leg):
                return None
            path = tuple(ids[hop] for hop in leg.route)
            if not self.limits.fits(self.burdens.of(path)):
                return None
            if self._often(path, self.ends.a.node, self.ends.z.node, usable) is not path:
                return None
        if not np.all(self.working_within(usable)[[ids[hop] for hop in old.working.route]]) or not self._apart(old):
            return None
        for leg in (old.working, old.protect):
            if leg is not None:
                self._hold(leg)
        return old.working, old.protect

    def alike(self, old: CircuitPlacement) -> bool:
        """Whether a circuit joins the same ports at the same rate, whatever its ways are."""
        return (old.a, old.z, old.layer, old.rate_bps, old.odu) == (
            self.ends.a, self.ends.z, self.wish.layer, self.ends.rate_bps, self.odu,
        )  # fmt: skip

    def _apart(self, old: CircuitPlacement) -> bool:
        """Whether the present legs differ in all that is asked now, which may be more than it was."""
        if old.protect is None:
            return True
        one, other = ([self.edge_of[hop] for hop in leg.route] for leg in (old.working, old.protect))
        return apart(self.burdens, self._onward(one), self._onward(other), self.wish.disjoint)

    def _onward(self, edges: list[int]) -> Path:
        """The same parts in the direction of travel."""
        at, found = self.ends.a.node, []
        for edge in edges:
            found.append(edge if self.graph.edges[edge].src == at else edge + 1)
            at = self.graph.edges[found[-1]].dst
        return tuple(found)

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
        if self.wish.bounds.least_trust > 1:
            usable = usable & np.array([p.trust >= self.wish.bounds.least_trust for p in self.parts], dtype=np.bool_)
        if self.wish.plane is not None:
            usable = usable & np.array([planes_of(p) <= {self.wish.plane} for p in self.parts], dtype=np.bool_)
        return self.graph.without_risks(usable, self.wish.avoid) if self.wish.avoid else usable

    def roomy(self, usable: Mask) -> Mask:
        least = 1 if self.wave else self.slots
        room = np.array([len(self.free(p.id)) >= least for p in self.parts[::2]], dtype=np.bool_)
        result: Mask = usable & np.repeat(room, 2)
        return result

    def legs(self) -> tuple[Leg, Leg | None]:
        """Find and hold the legs; raises CannotPlaceError with what binds."""
        found = self.find()
        for leg in found:
            self._hold(leg)
        return found[0], found[1] if self.wish.protected else None

    def find(self) -> list[Leg]:
        """Return the working leg, and where it is to be protected the other; raises CannotPlaceError."""
        src, dst = self.ends.a.node, self.ends.z.node
        allowed = self.allowed()
        usable = self.roomy(allowed)
        if src == dst:
            raise CannotPlaceError(f"both ends are at {src}; a circuit joins two nodes")
        paths = self._paths(src, dst, usable)
        if paths is None:
            raise self._none(src, dst, usable, allowed)
        legs = [self._label(p) for p in paths]
        if any(leg is None for leg in legs):  # no channel is common to the whole way: try channel by channel
            legs = self._by_channel(src, dst, usable)
        return [leg for leg in legs if leg is not None]

    def _paths(self, src: str, dst: str, usable: Mask) -> tuple[Path, ...] | None:
        first = self.working_within(usable)
        if not self.wish.protected:
            path = best_way(self.burdens, src, dst, first, self.limits.fits, self.limits.most)
            return None if path is None else (self._often(path, src, dst, first),)
        narrowed = None if first is usable else first
        fits, most = self.limits.fits, self.limits.most
        pair = best_pair(self.burdens, src, dst, usable, fits, self.wish.disjoint, narrowed, most)
        return None if pair is None else (pair.working, pair.standby)

    def _often(self, path: Path, src: str, dst: str, usable: Mask) -> Path:
        """Return the quickest way that works as often as it has to, or the one given where none does."""
        if self.wish.least is None:
            return path
        name = "rare light" if self.wave else "rare slots"
        rare = self.net.laid.get(name)  # of the whole map: found once, not for every circuit
        if not isinstance(rare, Rare):
            rare = self.net.laid[name] = Rare.of(self.burdens, [p.availability for p in self.parts], self.net.nodes)
        most = rare.most(self.wish.least, src, dst)
        return path if rare.fits(path, most) else rare.best_way(src, dst, usable, self.limits, most) or path

    def working_within(self, usable: Mask) -> Mask:
        """Of what is usable, what the working leg may use: company asked for, and what wears out, bind only that."""
        carrying, together = self.net.carrying, self.wish.together
        if carrying is not None:
            usable = usable & (carrying.fibres if self.wave else carrying.odu)
        if together is not None:
            usable = usable & np.array([together.has(p.id, p.srlgs) for p in self.parts], dtype=np.bool_)
        return usable

    def _by_channel(self, src: str, dst: str, usable: Mask) -> list[Leg | None]:
        best: tuple[float, tuple[Path, ...], int] | None = None
        for channel in range(1, max(f.channels for f in self.net.fibre_of) + 1):
            room = np.array([channel in self.free(p.id) for p in self.parts[::2]], dtype=np.bool_)
            paths = self._paths(src, dst, usable & np.repeat(room, 2))
            total = sum(self.graph.delay_of(p) for p in paths or ())
            if paths is not None and (best is None or total < best[0]):
                best = (total, paths, channel)
        if best is not None:
            return [self._leg(path, channel=best[2]) for path in best[1]]
        legs = self._one_by_one(src, dst, usable) if self.wish.protected else None
        if legs is None:
            raise CannotPlaceError(f"no channel is free end to end from {src} to {dst}")
        return legs

    def _one_by_one(self, src: str, dst: str, usable: Mask) -> list[Leg | None] | None:
        """Look for a standby on any channel beside each way on which one is free: both on the same was too much."""
        for path in self.each_way(self.working_within(usable)):
            working = self._label(path)
            if working is None:
                continue
            apart_from_it = without(self.burdens, usable, kept_apart(self.burdens, path, self.wish.disjoint))
            for channel in range(1, max(f.channels for f in self.net.fibre_of) + 1):
                room = np.array([channel in self.free(p.id) for p in self.parts[::2]], dtype=np.bool_)
                mask = apart_from_it & np.repeat(room, 2)
                standby = best_way(self.burdens, src, dst, mask, self.limits.fits, self.limits.most)
                if standby:
                    return [working, self._leg(standby, channel=channel)]
        return None

    def each_way(self, usable: Mask) -> Iterator[Path]:
        """Yield the quickest ways of the circuit within its limits; not all where there are very many."""
        ends = (self.ends.a.node, self.ends.z.node)
        return islice(ways_in_order(self.burdens, *ends, usable, self.limits.fits, self.limits.most), MOST_WAYS)

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
        delay = self.graph.delay_of(path) + self._fixed[DELAY]
        return Leg(tuple(self.parts[i].id for i in path), channel, slots, delay)

    def _hold(self, leg: Leg) -> None:
        for position, hop in enumerate(leg.route):
            for label in (leg.channel or 0,) if self.wave else leg.slots[position]:
                self.draft.hold(self._resource(hop), label)

    def _none(self, src: str, dst: str, usable: Mask, allowed: Mask) -> CannotPlaceError:
        if self.graph.shortest(src, dst, allowed) is None:
            up = np.array([p.up for p in self.parts], dtype=np.bool_)
            why = why_no_path(self.net, self.graph, src, dst, up, self.wish.bounds, self.wish.avoid)
            return CannotPlaceError(why)
        first = self.working_within(allowed)
        path = self.graph.shortest(src, dst, first)
        if path is None:
            asked = f"the ducts of {self.wish.together}" if self.wish.together is not None else "what does not wear out"
            return CannotPlaceError(f"no way from {src} to {dst} keeps to {asked}")
        if self.graph.shortest(src, dst, first & usable) is None:
            full = [self.parts[i].id for i in path if not usable[i]]
            what = "free channel" if self.wave else "free slot" if self.slots == 1 else f"{self.slots} free slots"
            return CannotPlaceError(f"{', '.join(full)}: no {what} left", map(self._resource, full))
        return CannotPlaceError(why_beyond(self.bound(), src, dst, usable))

    def bound(self) -> Bound:
        """What the search was held to, for the words of a refusal."""
        return Bound(
            self.net, self.burdens, self.limits, self.wish.protected, self.wish.disjoint, self._fixed,
            tuple(p.id for p in self.parts), self.working_within,
        )  # fmt: skip

    def finish(self, working: Leg, protect: Leg | None) -> Lit:
        ends, wish = self.ends, self.wish
        domain = self.net.nodes[ends.a.node].domain
        circuit = CircuitPlacement(
            wish.id, domain, ends.a, ends.z, ends.a_vlan, ends.z_vlan, wish.layer, ends.rate_bps, self.odu,
            LINE_MODE if self.wave else "", working, protect, wish.shared and protect is not None,
        )  # fmt: skip
        parts: Parts = {p.id: p for p in self.parts}
        legs = [leg for leg in (working, protect) if leg is not None]
        walks = [self._walk(leg, parts) for leg in legs]
        of = {hop: parts[hop].availability for leg in legs for hop in leg.route}
        of |= {n: self.net.nodes[n].availability for walk in walks for n in walk[1:-1]}
        ways = [(*leg.route, *walk[1:-1]) for leg, walk in zip(legs, walks, strict=True)]
        given = availability(ways, of)
        if circuit.shared:
            given = with_contention(availability(ways[:1], of), given)
        via = (walks[0][0], *(x for pair in zip(working.route, walks[0][1:], strict=True) for x in pair))
        return Lit(circuit, working.delay_s, protect.delay_s if protect else None, given, via)

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
