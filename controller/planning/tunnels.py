"""Pinned tunnels over the IP domains: what slices of kind nrp and VIPs ride on.

Traffic between two provider edges crosses a chain of domains: one pinned tunnel per domain and direction,
border to border. Between every two domains it takes the best border, or while that is gone the next one; each
mix of best and next is a case. Many pairs share a domain's segment, so segments are gathered first and routed once.
Only one case holds at a time, so a link is reserved for the largest of their loads, not for the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from controller.intent.model import Disjointness, ServiceId
from controller.planning.chains import Chain, Need, Segment
from controller.planning.constrained import Shared, Vector, kept_apart
from controller.planning.draft import CannotPlaceError, TooRareError, ratio_text
from controller.planning.limits import DELAY, worse
from controller.planning.paths import Path
from controller.planning.placement import Promise, Route, TunnelPlacement
from controller.planning.reasons import risk_names, short, why_no_pair
from controller.planning.reliability import availability
from controller.planning.segments import Segments


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
class Weave(Segments):
    """What the routes of several needs come to, each from end to end.

    A need brings one chain for every case, the normal one first; inside one domain it is the same in all of them.
    """

    def run(self, needs: Iterable[tuple[Need, tuple[Chain, ...]]]) -> list[Ways]:
        """Route everything and return what each need gets; raises CannotPlaceError."""
        needs = list(needs)
        self.lay(needs)
        return [self._ways(need, tuple(dict.fromkeys(chains))) for need, chains in needs]

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
            return why_no_pair(self.net, self.net.ip, src, dst, self.inside(domain), self.disjoint)
        named = risk_names(self.net, (n for kind, n in fatal if kind == "risk"))
        nodes = ", ".join(short(self.net.ip.nodes[n]) for kind, n in sorted(fatal) if kind == "node")
        return f"{named or nodes or 'a single cable'}: every way {way.need.label_a}–{way.need.label_z} uses it"
