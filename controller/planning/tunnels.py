"""Pinned tunnels over the IP domains: what slices of kind nrp and VIPs ride on.

Traffic between two provider edges crosses a chain of domains: one pinned tunnel per domain and direction,
border to border. Between every two domains it takes the best border, or while that is gone the next one; each
mix of best and next is a case. Many pairs share a domain's segment, so segments are gathered first and routed once.
Only one case holds at a time, so a link is reserved for the largest of their loads, not for the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from controller.intent.model import Disjointness, ServiceId
from controller.network.ledger import BitsPerSecond
from controller.network.model import Link
from controller.planning.beyond import Bound, why_beyond
from controller.planning.chains import Chain, Need, Segment
from controller.planning.constrained import (
    DISJOINT,
    Shared,
    Vector,
    apart,
    best_pair,
    best_way,
    kept_apart,
    without,
)
from controller.planning.draft import CannotPlaceError, Proposal, TooRareError, rate_text, ratio_text
from controller.planning.layers import Layers
from controller.planning.limits import DELAY, NO_LIMITS, Limits, tightest, worse
from controller.planning.paths import Mask, Path
from controller.planning.placement import Promise, Route, TunnelPlacement
from controller.planning.rarity import Rare
from controller.planning.reasons import risk_names, short, why_no_pair
from controller.planning.reliability import availability


@dataclass(frozen=True, slots=True)
class Ways:
    """A need with its chains and what they give."""

    need: Need
    chains: tuple[Chain, ...]
    sums: Vector  # of the normal way
    standby_sums: Vector | None  # the worst that each comes to on any other way
    availability: float
    protected: bool
    via: tuple[str, ...]

    @property
    def delay_s(self) -> float:
        return self.sums[DELAY]

    @property
    def standby_s(self) -> float | None:
        return None if self.standby_sums is None else self.standby_sums[DELAY]

    def promise(self, budget_s: float | None) -> Promise:
        need = self.need
        return Promise(
            need.label_a,
            need.label_z,
            need.rate_bps,
            self.delay_s,
            budget_s,
            self.standby_s,
            self.availability,
            self.via,
        )


@dataclass(slots=True)
class Weave:
    """Routes the segments of several needs over what is free. `free` is per link and symmetrical.

    A need brings one chain for every case, the normal one first; inside one domain it is the same in all of them.
    """

    net: Layers
    usable: Mask
    free: BitsPerSecond
    protect: bool  # look for a standby on every segment
    old: Mapping[Segment, TunnelPlacement]
    limits: Limits = NO_LIMITS  # of every need's way, end to end
    strict: bool = False  # a standby keeps the limits too; else any standby is better than none
    disjoint: tuple[Disjointness, ...] = DISJOINT
    together: Mask | None = None  # where working paths have to run
    ahead: Proposal = field(default_factory=dict)  # found for a whole batch together; taken where they serve
    least: float | None = None  # the availability that each need's way has to have by itself
    needs: dict[Segment, list[tuple[Need, Chain]]] = field(default_factory=dict)
    rates: dict[Segment, dict[int, int]] = field(default_factory=dict)  # segment → case → rate
    loads: dict[int, BitsPerSecond] = field(default_factory=dict)  # case → load per link
    routes: dict[Segment, tuple[Path, Path | None]] = field(default_factory=dict)

    def run(self, needs: Iterable[tuple[Need, tuple[Chain, ...]]]) -> list[Ways]:
        """Route everything and return what each need gets; raises CannotPlaceError."""
        needs = list(needs)
        for need, chains in needs:
            for number, chain in enumerate(chains):
                self._gather(need, number, chain)
        for segment in sorted(self.rates):
            if segment[1] < segment[2]:
                self._route(segment)
        return [self._ways(need, tuple(dict.fromkeys(chains))) for need, chains in needs]

    def _gather(self, need: Need, number: int, chain: Chain) -> None:
        load = self.loads.setdefault(number, np.zeros(len(self.net.links), dtype=np.int64))
        for domain, src, dst in chain.segments:
            for segment in ((domain, src, dst), (domain, dst, src)):
                self.needs.setdefault(segment, []).append((need, chain))
                per_chain = self.rates.setdefault(segment, {})
                per_chain[number] = per_chain.get(number, 0) + need.rate_bps
        for border in chain.borders:
            at = self.net.link_index[border.id]
            if not self.usable[at]:
                raise CannotPlaceError(f"border {_pair(border)} is down or outside the boundaries")
            if self.free[at] < load[at] + need.rate_bps:
                raise CannotPlaceError(
                    f"border {_pair(border)} has {rate_text(max(0, int(self.free[at] - load[at])))} left", (border.id,)
                )
            load[[at, self.net.reverse[at]]] += need.rate_bps

    def _route(self, segment: Segment) -> None:
        domain, src, dst = segment
        rates = self.rates[segment]
        room = self.free - self.loads_of(rates)
        inside = np.array([k.domain == domain for k in self.net.links], dtype=np.bool_) & self.usable
        usable = inside & (room >= max(rates.values()))
        limits = self._left(segment)
        kept = self._kept(segment, usable, limits) or self._proposed(segment, usable, limits)
        working, standby = kept if kept is not None else self._search(segment, usable, inside, limits)
        back = (domain, dst, src)
        self.routes[segment] = (working, standby)
        self.routes[back] = (self._mirror(working), self._mirror(standby) if standby is not None else None)
        for number, rate in rates.items():
            for path in (working, standby or ()):
                for at in path:
                    self.loads[number][[at, self.net.reverse[at]]] += rate

    def loads_of(self, rates: Mapping[int, int]) -> BitsPerSecond:
        """The load that a new route meets: the highest of the cases it carries in."""
        result: BitsPerSecond = np.maximum.reduce([self.loads[n] for n in rates])
        return result

    def _left(self, segment: Segment) -> Limits:
        """What the limits of all needs leave to one segment: those routed take what they take, the others the least.

        So a limit that can be kept at all is kept, each for itself, over any number of domains.
        """
        if self.limits == NO_LIMITS:
            return self.limits
        left: list[Limits] = []
        for _, chain in self.needs[segment]:
            limits = self.limits.less(self.net.ip_burdens.of(self.net.link_index[b.id] for b in chain.borders))
            for other in chain.segments:
                if set(other) != set(segment):
                    limits = limits.less(self._taken(other))
            left.append(limits)
        return tightest(left)

    def _taken(self, segment: Segment) -> Vector:
        burdens = self.net.ip_burdens
        if segment in self.routes:
            return worse(*(burdens.of(p) for p in self.routes[segment] if p is not None))
        index = self.net.ip.node_index
        least = burdens.least_to(index[segment[2]], self._inside(segment[0]))[index[segment[1]]]
        return tuple(float(x) for x in least)

    def _inside(self, domain: str) -> Mask:
        result: Mask = self.net.inside[domain] & self.usable
        return result

    def _search(self, segment: Segment, usable: Mask, inside: Mask, limits: Limits) -> tuple[Path, Path | None]:
        _, src, dst = segment
        burdens = self.net.ip_burdens
        first = usable if self.together is None else usable & self.together
        path = best_way(burdens, src, dst, first, limits.fits, limits.most)
        if path is None:
            if self.net.ip.shortest(src, dst, first) is not None:
                bound = self._bound(limits, protected=False)
                raise CannotPlaceError(why_beyond(bound, src, dst, usable))
            if self.net.ip.shortest(src, dst, usable) is not None:
                raise CannotPlaceError(f"no way from {short(src)} to {short(dst)} keeps to the ducts asked for")
            raise self._none(src, dst, inside)
        if not self.protect:
            return self._often(path, segment, first, limits), None
        narrowed = None if self.together is None else first
        pair = best_pair(burdens, src, dst, usable, limits.fits, self.disjoint, narrowed, limits.most)
        if pair is None and not self.strict and limits != NO_LIMITS:
            rest = without(burdens, usable, kept_apart(burdens, path, self.disjoint))
            return path, self.net.ip.shortest(src, dst, rest) or None
        free = NO_LIMITS.fits
        if pair is None and self.strict and best_pair(burdens, src, dst, usable, free, self.disjoint, narrowed):
            raise CannotPlaceError(why_beyond(self._bound(limits, protected=True), src, dst, usable))
        return (path, None) if pair is None else (pair.working, pair.standby)

    def _often(self, path: Path, segment: Segment, usable: Mask, limits: Limits) -> Path:
        """Return the quickest way that works as often as it has to, or the one given where none does."""
        if self.least is None:
            return path
        rare = self.net.laid.get("rare")  # of the whole map: found once, not for every service
        if not isinstance(rare, Rare):
            rare = Rare.of(self.net.ip_burdens, [k.availability for k in self.net.links], self.net.nodes)
            self.net.laid["rare"] = rare
        most = min(self._rare_left(rare, segment, need, chain) for need, chain in self.needs[segment])
        if rare.fits(path, most):
            return path
        return rare.best_way(segment[1], segment[2], usable, limits, most) or path

    def _rare_left(self, rare: Rare, segment: Segment, need: Need, chain: Chain) -> float:
        """What the rest of a chain leaves to one of its segments."""
        left = rare.most(self.least or 0.0, need.a, need.z)
        left -= rare.sum(tuple(self.net.link_index[b.id] for b in chain.borders))
        index = self.net.ip.node_index
        for other in chain.segments:
            if set(other) != set(segment):
                route = self.routes.get(other)
                inside = self._inside(other[0])
                left -= rare.sum(route[0]) if route else rare.least(index[other[1]], index[other[2]], inside)
        return left

    def _bound(self, limits: Limits, *, protected: bool) -> Bound:
        names = tuple(k.id for k in self.net.links)
        together = self.together
        return Bound(
            self.net, self.net.ip_burdens, limits, protected, self.disjoint, (0.0,) * 5, names,
            lambda mask: mask if together is None else mask & together,
        )  # fmt: skip

    def _none(self, src: str, dst: str, inside: Mask) -> CannotPlaceError:
        path = self.net.ip.shortest(src, dst, inside)
        if path is None:
            return CannotPlaceError(f"nothing that is up and within the boundaries joins {short(src)} and {short(dst)}")
        at = min(path, key=lambda i: (int(self.free[i]), i))
        left = rate_text(max(0, int(self.free[at])))
        link = self.net.links[at]
        words = f"link {_pair(link)} has {left} left of {rate_text(link.capacity_bps)}"
        return CannotPlaceError(words, (link.id, link.reverse))

    def _kept(self, segment: Segment, usable: Mask, limits: Limits) -> tuple[Path, Path | None] | None:
        """The present route, where it still serves."""
        old = self.old.get(segment)
        if old is None or (self.protect and old.standby is None):
            return None
        index = self.net.link_index
        routes = [old.working] + ([old.standby] if old.standby is not None and self.protect else [])
        if any(k not in index for r in routes for k in r.links):
            return None
        paths = [tuple(index[k] for k in r.links) for r in routes]
        return self._serving(paths, segment, usable, limits)

    def _proposed(self, segment: Segment, usable: Mask, limits: Limits) -> tuple[Path, Path | None] | None:
        """The way that the batch was given together, where it still serves."""
        if segment not in self.ahead:
            return None
        working, standby = self.ahead[segment]
        if self.protect and standby is None:
            return None
        paths = [working] if standby is None or not self.protect else [working, standby]
        return self._serving(paths, segment, usable, limits)

    def _serving(
        self, paths: list[Path], segment: Segment, usable: Mask, limits: Limits
    ) -> tuple[Path, Path | None] | None:
        if not all(usable[list(path)].all() for path in paths):
            return None
        burdens = self.net.ip_burdens
        bound = paths if self.strict else paths[:1]
        if not all(limits.fits(burdens.of(p)) for p in bound):
            return None
        if self.together is not None and not np.all(self.together[list(paths[0])]):
            return None
        if not self.protect and self._often(paths[0], segment, usable, limits) is not paths[0]:
            return None
        if len(paths) > 1 and not apart(burdens, paths[0], paths[1], self.disjoint):
            return None
        return paths[0], paths[1] if len(paths) > 1 else None

    def _mirror(self, path: Path) -> Path:
        return tuple(int(self.net.reverse[i]) for i in reversed(path))

    def _ways(self, need: Need, chains: tuple[Chain, ...]) -> Ways:
        first = chains[0]
        others = [self._sums(c, standby=s) for c in chains for s in (False, True)][1:]
        fatal = frozenset.intersection(*(self._fatal(c) for c in chains))
        spare = len(chains) > 1 or any(self.routes[s][1] is not None for s in first.segments)
        return Ways(
            need, chains, self._sums(first, standby=False), worse(*others) if spare else None,
            self._availability(chains, need), not fatal, self._via(need, first),
        )  # fmt: skip

    def _sums(self, chain: Chain, *, standby: bool) -> Vector:
        path = [self.net.link_index[b.id] for b in chain.borders]
        for segment in chain.segments:
            working, second = self.routes[segment]
            path += second if standby and second is not None else working
        return self.net.ip_burdens.of(path)

    def _delay(self, chain: Chain, *, standby: bool) -> float:
        return self._sums(chain, standby=standby)[DELAY]

    def _fatal(self, chain: Chain) -> frozenset[Shared]:
        """What alone takes the whole chain down, of the kinds that working and standby must not share."""
        burdens = self.net.ip_burdens
        borders = tuple(self.net.link_index[b.id] for b in chain.borders)
        result = set(kept_apart(burdens, borders, self.disjoint))
        if Disjointness.NODE in self.disjoint:
            index = self.net.ip.node_index
            inner = {n for b in chain.borders for n in (b.src.node, b.dst.node)} - {chain.start, chain.end}
            result |= {("node", index[n]) for n in inner}
        for segment in chain.segments:
            working, second = self.routes[segment]
            own = kept_apart(burdens, working, self.disjoint)
            result |= own if second is None else own & kept_apart(burdens, second, self.disjoint)
        return frozenset(result)

    def _availability(self, chains: tuple[Chain, ...], need: Need) -> float:
        """Every chain with every mix of working and standby is a way; the two end nodes are left out."""
        ways: list[frozenset[str]] = []
        for chain in chains:
            borders = tuple(self.net.link_index[b.id] for b in chain.borders)
            options = [[p for p in self.routes[s] if p is not None] for s in chain.segments]
            for mix in product(*options):
                edges = (*borders, *(i for path in mix for i in path))
                ways.append(frozenset(self._parts(edges)) - {need.a, need.z})
        return availability(ways, {part: self._works(part) for part in frozenset().union(*ways)})

    def _works(self, part: str) -> float:
        node = self.net.nodes.get(part)
        return node.availability if node is not None else self.net.links[self.net.link_index[part]].availability

    def _parts(self, edges: Iterable[int]) -> Iterable[str]:
        for i in edges:
            link = self.net.links[i]
            yield from (min(link.id, link.reverse), link.src.node, link.dst.node)

    def _via(self, need: Need, chain: Chain) -> tuple[str, ...]:
        nodes = [short(need.a)]
        links = {s[0]: self.routes[s][0] for s in chain.segments}
        borders = list(chain.borders)
        at = need.a
        while True:
            domain = self.net.nodes[at].domain
            for i in links.pop(domain, ()):
                link = self.net.links[i]
                nodes += [link.circuit or link.id, short(link.dst.node)]
            if not borders:
                return tuple(nodes)
            border = borders.pop(0)
            nodes += [border.circuit or border.id, short(border.dst.node)]
            at = border.dst.node

    def reserved(self) -> dict[str, int]:
        """Return the rate to hold per directed link."""
        top: BitsPerSecond = (
            np.maximum.reduce(list(self.loads.values()))
            if self.loads
            else np.zeros(len(self.net.links), dtype=np.int64)
        )
        return {self.net.links[i].id: int(top[i]) for i in np.flatnonzero(top)}

    def tunnels(
        self,
        prefix: str,
        service: ServiceId,
        priority: int,
        hold: int,
        loss: float | None,
        budgets: Mapping[Segment, float],
        partitions: Mapping[str, int],
    ) -> tuple[TunnelPlacement, ...]:
        """Return one tunnel per segment and direction, named `<prefix>/<tenant>.<name>/<from>-<to>`."""
        stem = f"{prefix}/{service.replace('/', '.')}"
        result = []
        for segment in sorted(self.rates):
            domain, src, dst = segment
            working, standby = self.routes[segment]
            result.append(
                TunnelPlacement(
                    name=f"{stem}/{short(src)}-{short(dst)}", reverse=f"{stem}/{short(dst)}-{short(src)}",
                    domain=domain, src=src, dst=dst, rate_bps=max(self.rates[segment].values()),
                    working=self._as_route(working), standby=None if standby is None else self._as_route(standby),
                    latency_budget_s=budgets.get(segment), loss_ratio=loss, setup_priority=priority,
                    hold_priority=hold, partition=partitions.get(domain),
                )
            )  # fmt: skip
        return tuple(result)

    def _as_route(self, path: Path) -> Route:
        links = [self.net.links[i] for i in path]
        return Route(tuple(k.src for k in links), tuple(k.id for k in links), sum(k.delay_s for k in links))

    def budgets(self, ways: Iterable[Ways], budget_s: float | None) -> dict[Segment, float]:
        """Return each segment's share of the end-to-end budget: what the rest of the way leaves it, at the tightest."""
        result: dict[Segment, float] = {}
        for way in ways if budget_s is not None else ():
            for chain in way.chains:
                total = self._delay(chain, standby=True)
                for domain, src, dst in chain.segments:
                    working, second = self.routes[domain, src, dst]
                    own = self.net.ip.delay_of(second if second is not None else working)
                    share = round((budget_s or 0.0) - (total - own), 9)
                    for segment in ((domain, src, dst), (domain, dst, src)):
                        result[segment] = min(share, result.get(segment, share))
        return result

    def check(self, way: Ways, least: float) -> None:
        """Refuse a way that breaks what was asked; raises CannotPlaceError (TooRareError: a standby may mend it)."""
        pair = f"{way.need.label_a}–{way.need.label_z}"
        said = self.limits.beyond(way.sums)
        if said:
            name, _, rest = said.partition(": ")
            raise CannotPlaceError(f"{name}: the way {pair} {rest}")
        if self.strict and not way.protected:
            raise CannotPlaceError(self._why_unprotected(way))
        said = self.limits.beyond(way.standby_sums) if self.strict and way.standby_sums is not None else ""
        if said:
            name, _, rest = said.partition(": ")
            raise CannotPlaceError(f"{name}: the standby {pair} {rest}")
        if way.availability < least:
            kind = CannotPlaceError if self.protect else TooRareError
            raise kind(f"availability: the way {pair} gives {ratio_text(way.availability)}")

    def _why_unprotected(self, way: Ways) -> str:
        fatal = frozenset.intersection(*(self._fatal(c) for c in way.chains))
        if len(way.chains[0].segments) == 1 and not way.chains[0].borders:
            domain, src, dst = way.chains[0].segments[0]
            return why_no_pair(self.net, self.net.ip, src, dst, self._inside(domain), self.disjoint)
        named = risk_names(self.net, (n for kind, n in fatal if kind == "risk"))
        nodes = ", ".join(short(self.net.ip.nodes[n]) for kind, n in sorted(fatal) if kind == "node")
        return f"{named or nodes or 'a single cable'}: every way {way.need.label_a}–{way.need.label_z} uses it"


def _pair(link: Link) -> str:
    return f"{short(link.src.node)}–{short(link.dst.node)}"
