"""Pinned tunnels over the IP domains: what slices of kind nrp and VIPs ride on.

Traffic between two provider edges crosses a chain of domains: one pinned tunnel per domain and direction,
border to border. Between every two domains it takes the best border, or while that is gone the next one; each
mix of best and next is a case. Many pairs share a domain's segment, so segments are gathered first and routed once.
Only one case holds at a time, so a link is reserved for the largest of their loads, not for the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np

from controller.intent.model import ServiceId
from controller.network.ledger import BitsPerSecond
from controller.network.model import Link
from controller.planning.draft import CannotPlaceError, rate_text, ratio_text, time_text
from controller.planning.layers import Layers, either, series
from controller.planning.paths import Mask, Path
from controller.planning.placement import Promise, Route, TunnelPlacement
from controller.planning.reasons import risk_names, short, why_no_pair

MOST_MIXED = 3  # pairs of domains of which any border may be gone while the others stay
Segment = tuple[str, str, str]  # domain, source, destination


@dataclass(frozen=True, slots=True)
class Need:
    """Traffic between two provider edges, both directions."""

    a: str  # node ids
    z: str
    rate_bps: int
    label_a: str  # how the promise names the ends
    label_z: str


@dataclass(frozen=True, slots=True)
class Chain:
    segments: tuple[Segment, ...]  # in travel order; empty where both ends are one node
    borders: tuple[Link, ...]  # directed a → z


@dataclass(frozen=True, slots=True)
class Ways:
    """A need with its chains and what they give."""

    need: Need
    chains: tuple[Chain, ...]
    delay_s: float
    standby_s: float | None
    availability: float
    protected: bool
    via: tuple[str, ...]

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
                per_chain = self.rates.setdefault(segment, {})
                per_chain[number] = per_chain.get(number, 0) + need.rate_bps
        for border in chain.borders:
            at = self.net.link_index[border.id]
            if not self.usable[at]:
                raise CannotPlaceError(f"border {_pair(border)} is down or outside the boundaries")
            if self.free[at] < load[at] + need.rate_bps:
                raise CannotPlaceError(
                    f"border {_pair(border)} has {rate_text(max(0, int(self.free[at] - load[at])))} left"
                )
            load[[at, self.net.reverse[at]]] += need.rate_bps

    def _route(self, segment: Segment) -> None:
        domain, src, dst = segment
        rates = self.rates[segment]
        room = self.free - self.loads_of(rates)
        inside = np.array([k.domain == domain for k in self.net.links], dtype=np.bool_) & self.usable
        usable = inside & (room >= max(rates.values()))
        kept = self._kept(segment, usable)
        working, standby = kept if kept is not None else self._search(src, dst, usable, inside, max(rates.values()))
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

    def _search(self, src: str, dst: str, usable: Mask, inside: Mask, rate_bps: int) -> tuple[Path, Path | None]:
        graph = self.net.ip
        path = graph.shortest(src, dst, usable)
        if path is None:
            raise CannotPlaceError(self._why_none(src, dst, inside, rate_bps))
        if not self.protect:
            return path, None
        pair = graph.disjoint_pair(src, dst, usable)
        return (path, None) if pair is None else (pair.working, pair.standby)

    def _why_none(self, src: str, dst: str, inside: Mask, rate_bps: int) -> str:
        path = self.net.ip.shortest(src, dst, inside)
        if path is None:
            return f"nothing that is up and within the boundaries joins {short(src)} and {short(dst)}"
        at = min(path, key=lambda i: (int(self.free[i]), i))
        left = rate_text(max(0, int(self.free[at])))
        return f"link {_pair(self.net.links[at])} has {left} left of {rate_text(self.net.links[at].capacity_bps)}"

    def _kept(self, segment: Segment, usable: Mask) -> tuple[Path, Path | None] | None:
        """The present route, where it still serves."""
        old = self.old.get(segment)
        if old is None or (self.protect and old.standby is None):
            return None
        index = self.net.link_index
        routes = [old.working] + ([old.standby] if old.standby is not None and self.protect else [])
        if any(k not in index or not usable[index[k]] for r in routes for k in r.links):
            return None
        paths = [tuple(index[k] for k in r.links) for r in routes]
        return paths[0], paths[1] if len(paths) > 1 else None

    def _mirror(self, path: Path) -> Path:
        return tuple(int(self.net.reverse[i]) for i in reversed(path))

    def _ways(self, need: Need, chains: tuple[Chain, ...]) -> Ways:
        first = chains[0]
        delay = self._delay(first, standby=False)
        others = [self._delay(c, standby=s) for c in chains for s in (False, True)][1:]
        fatal = frozenset.intersection(*(self._fatal(c) for c in chains))
        availability = self._availability(chains[0], need)
        if len(chains) > 1:
            availability = either(availability, self._availability(chains[-1], need))  # all borders the next ones
        spare = len(chains) > 1 or any(self.routes[s][1] is not None for s in first.segments)
        return Ways(
            need, chains, delay, max(others) if spare else None, availability, not fatal, self._via(need, first)
        )  # fmt: skip

    def _delay(self, chain: Chain, *, standby: bool) -> float:
        total = sum(b.delay_s for b in chain.borders)
        for segment in chain.segments:
            working, second = self.routes[segment]
            total += self.net.ip.delay_of(second if standby and second is not None else working)
        return total

    def _fatal(self, chain: Chain) -> frozenset[int]:
        """Risks that alone take the whole chain down."""
        graph = self.net.ip
        result: set[int] = set()
        for border in chain.borders:
            result |= graph.edges[self.net.link_index[border.id]].risks
        for segment in chain.segments:
            working, second = self.routes[segment]
            risks = graph.risks_of(working)
            result |= risks if second is None else risks & graph.risks_of(second)
        return frozenset(result)

    def _availability(self, chain: Chain, need: Need) -> float:
        """Borders and segments in series, each segment with its standby; the two end nodes are left out."""
        inner = {n for s in chain.segments for n in s[1:]} | {
            n for b in chain.borders for n in (b.src.node, b.dst.node)
        }
        total = series(self.net, sorted(inner - {need.a, need.z}), (b.availability for b in chain.borders))
        for segment in chain.segments:
            working, second = self.routes[segment]
            one = self._path_availability(*segment[1:], working)
            total *= one if second is None else either(one, self._path_availability(*segment[1:], second))
        return total

    def _path_availability(self, src: str, dst: str, path: Path) -> float:
        nodes = self.net.ip.nodes_on(src, path)
        return series(
            self.net, (n for n in nodes if n not in (src, dst)), (self.net.links[i].availability for i in path)
        )

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

    def check(self, way: Ways, budget_s: float | None, availability: float, *, must_protect: bool) -> None:
        """Refuse a way that breaks what was asked; raises CannotPlaceError."""
        pair = f"{way.need.label_a}–{way.need.label_z}"
        if budget_s is not None and way.delay_s > budget_s:
            raise CannotPlaceError(f"latency: the way {pair} takes {time_text(way.delay_s)}")
        if must_protect and not way.protected:
            raise CannotPlaceError(self._why_unprotected(way))
        if must_protect and budget_s is not None and way.standby_s is not None and way.standby_s > budget_s:
            raise CannotPlaceError(f"latency: the standby {pair} takes {time_text(way.standby_s)}")
        if way.availability < availability:
            raise CannotPlaceError(f"availability: the way {pair} gives {ratio_text(way.availability)}")

    def _why_unprotected(self, way: Ways) -> str:
        fatal = frozenset.intersection(*(self._fatal(c) for c in way.chains))
        named = risk_names(self.net, fatal)
        if len(way.chains[0].segments) == 1 and not way.chains[0].borders:
            domain, src, dst = way.chains[0].segments[0]
            inside = np.array([k.domain == domain for k in self.net.links], dtype=np.bool_) & self.usable
            return why_no_pair(self.net, self.net.ip, src, dst, inside)
        return f"{named or 'a single cable'}: every way {way.need.label_a}–{way.need.label_z} uses it"


Borders = Mapping[frozenset[str], tuple[Link, ...]]


def usable_borders(net: Layers, borders: Borders, usable: Mask) -> Borders:
    """Return the borders that the mask allows, best first."""
    allowed = {ends: tuple(k for k in links if usable[net.link_index[k.id]]) for ends, links in borders.items()}
    return {ends: links for ends, links in allowed.items() if links}


def cases(
    net: Layers, borders: Borders, needs: Iterable[Need], order: tuple[int, ...]
) -> list[tuple[Need, tuple[Chain, ...]]]:
    """Return every need with its chain in each case. `order`: which border is the best, and which the next, if any."""
    needs = list(needs)
    domains = [_domains(net, borders, need) for need in needs]
    pairs = sorted({frozenset(pair) for one in domains for pair in pairwise(one)}, key=sorted)
    mixes = list(product(order, repeat=len(pairs)))
    if len(pairs) > MOST_MIXED:
        mixes = [(choice,) * len(pairs) for choice in order]
    choices = [dict(zip(pairs, mix, strict=True)) for mix in mixes]
    return [
        (need, tuple(_chain(net, borders, need, one, choice) for choice in choices))
        for need, one in zip(needs, domains, strict=True)
    ]


def _domains(net: Layers, borders: Borders, need: Need) -> tuple[str, ...]:
    found = _domain_sequence(borders, net.nodes[need.a].domain, net.nodes[need.z].domain)
    if found is None:
        raise CannotPlaceError(
            f"no border that is up and within the boundaries leads from {short(need.a)} to {short(need.z)}"
        )
    return found


def _chain(
    net: Layers, borders: Borders, need: Need, domains: tuple[str, ...], choice: Mapping[frozenset[str], int]
) -> Chain:
    """Return the way over the chosen border of every two domains (the last where there are fewer)."""
    at, crossed, segments = need.a, [], []
    for here, there in pairwise(domains):
        options = borders[frozenset((here, there))]
        link = options[min(choice[frozenset((here, there))], len(options) - 1)]
        if net.nodes[link.src.node].domain != here:
            link = net.links[net.link_index[link.reverse]]
        if at != link.src.node:
            segments.append((here, at, link.src.node))
        crossed.append(link)
        at = link.dst.node
    if at != need.z:
        segments.append((domains[-1], at, need.z))
    return Chain(tuple(segments), tuple(crossed))


def _domain_sequence(borders: Borders, first: str, last: str) -> tuple[str, ...] | None:
    """Fewest borders from one domain to the other; of equals the first by name."""
    seen: dict[str, tuple[str, ...]] = {first: (first,)}
    front = [first]
    while front:
        if last in seen:
            return seen[last]
        front.sort()
        following: list[str] = []
        for here in front:
            for ends in sorted(borders, key=sorted):
                there = next(iter(ends - {here}), None)
                if here in ends and there is not None and there not in seen:
                    seen[there] = (*seen[here], there)
                    following.append(there)
        front = following
    return seen.get(last)


def _pair(link: Link) -> str:
    return f"{short(link.src.node)}–{short(link.dst.node)}"
