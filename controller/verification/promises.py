"""What every kind of service is promised alike: accesses where they were asked, ways inside the budget and boundaries.

The intents say who should reach whom; everything else comes from the rendered configuration and the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.intent.model import AccessSite, Boundaries, Prefix, Service, ServiceId
from controller.network.model import Link, Node
from controller.verification import limits
from controller.verification.facts import Access, Circuit, Tunnel
from controller.verification.forwarding import Forwarding, Key, Way, key_of
from controller.verification.networks import overlaps
from controller.verification.proof import CounterExample, Property
from controller.verification.walks import Walks

ANYWHERE = Boundaries()
EASE = 1e-12  # sums of floats come out a hair above what they should
Path = tuple[str, ...]  # nodes


class Prover:
    """Judges ways and accesses for one service. `walks` are those of the VPN that carries it."""

    def __init__(self, service: Service, walks: Walks) -> None:
        self.id: ServiceId = service.metadata.service
        self.anywhere = service.boundaries == ANYWHERE
        self.bounds, self.budget_s = service.boundaries, service.slo.latency_s
        self.slo, self.limited = service.slo, limits.limited(service.slo)
        self.walks, self.forwarding, self.city = walks, walks.forwarding, walks.forwarding.city

    def broken(self, what: Property, witness: str, path: tuple[str, ...], reason: str) -> CounterExample:
        return CounterExample(what, self.id, witness, path, reason)

    def judge(self, way: Way, witness: str, *, timed: bool = True) -> Iterator[CounterExample]:
        """Check that a way arrives, in time if `timed`, without leaving the boundaries."""
        self.forwarding.steps += 1
        path = tuple(way.nodes)
        if way.failure:
            kind = Property.LOOPS if "circles" in way.failure else Property.REACHABILITY
            yield self.broken(kind, witness, path, way.failure)
            return
        if timed and self.budget_s is not None and way.delay_s > self.budget_s + EASE:
            reason = f"{way.delay_s * 1e3:.2f} ms, {self.budget_s * 1e3:g} ms are promised"
            yield self.broken(Property.LATENCY, witness, path, reason)
        if timed and self.limited:
            yield from self.within(way.links, way.circuits, witness, path)
        if self.anywhere and self.forwarding.interior.trusted and all(n in self.city.nodes for n in _named(way)):
            return
        reason = outside(self.bounds, (self.city.nodes.get(n) for n in way.nodes), way.links)
        if reason:
            yield self.broken(Property.REGIONS, witness, path, reason)

    def within(
        self, links: Iterable[Link], circuits: Iterable[tuple[Access, Access, Circuit]], witness: str, path: Path
    ) -> Iterator[CounterExample]:
        """Check jitter, loss and hops of a way over these links and the working legs of these circuits."""
        legs = (limits.of_leg(circuit.working, circuit.layer) for _, _, circuit in circuits)
        reason = sum(legs, limits.of_links(links)).beyond(self.slo)
        if reason:
            yield self.broken(Property.LIMITS, witness, path, reason)

    def tunnels_inside(self, tunnels: Iterable[Tunnel]) -> Iterator[CounterExample]:
        """Check that both paths of each tunnel stay where the service may run: the standby carries it one day."""
        if self.bounds == Boundaries():
            return
        for tunnel in tunnels:
            for role, hops in (("working", tunnel.working), ("standby", tunnel.standby or ())):
                links = self.forwarding.follow(hops)
                if isinstance(links, str):
                    continue  # said already, where the tunnel itself is checked
                nodes = (tunnel.src, *(link.dst.node for link in links))
                reason = outside(self.bounds, (self.city.nodes.get(n) for n in nodes), links)
                if reason:
                    yield self.broken(Property.REGIONS, f"tunnel {tunnel.name}, {role} path", nodes, reason)

    def configured(self, sites: Iterable[AccessSite]) -> Iterator[tuple[AccessSite, Access]]:
        """Yield the accesses that are there at all, each with what was asked of it."""
        for site in sites:
            access = self.walks.accesses.get(f"{self.walks.vpn_id}.{site.name}")
            if access is not None:
                yield site, access

    def sites(self, sites: tuple[AccessSite, ...]) -> Iterator[CounterExample]:
        """Check that every access is configured where its site hangs, as it was asked, and that none is too many."""
        asked = {f"{self.walks.vpn_id}.{site.name}" for site in sites}
        for site in sites:
            access = self.walks.accesses.get(f"{self.walks.vpn_id}.{site.name}")
            self.forwarding.steps += 1
            if access is None:
                yield self.broken(Property.REACHABILITY, site.name, (), "no access is configured for it")
            else:
                yield from self._site(site, access)
        for access in self.walks.everywhere:
            if access.id not in asked and self.forwarding.role(access) == "access":
                reason = "nobody asked for this access: whoever is behind it is inside"
                yield self.broken(Property.ISOLATION, access.id, (str(access.where),), reason)
        yield from overlaps(self.id, [a for _, a in self.configured(sites)], _twins(self.walks.vpn_id, sites))

    def _site(self, site: AccessSite, access: Access) -> Iterator[CounterExample]:
        place, path = self.city.sites.get(site.site), (str(access.where),)
        port = site.port or (str(place.access) if place is not None and place.access is not None else "")
        if str(access.where) != port:
            yield self.broken(Property.REACHABILITY, site.name, path, f"the site hangs on {port}")
        if site.vlan is not None and access.vlan != site.vlan:
            reason = f"VLAN {access.vlan}, {site.vlan} was asked"
            yield self.broken(Property.REACHABILITY, site.name, path, reason)
        if access.rate_bps < site.rate_bps:
            reason = f"its rate is {access.rate_bps / 1e6:g} Mbit/s, {site.rate_bps / 1e6:g} are promised"
            yield self.broken(Property.CAPACITY, site.name, path, reason)
        if site.lans:
            lans, asked = {lan for lan, _ in access.lans}, [str(lan) for lan in site.lans]
            missing = [lan for lan in asked if lan not in lans]
            if missing:
                reason = f"{access.id} has no route for it"
                yield self.broken(Property.REACHABILITY, missing[0], path, reason)
            extra = sorted(lans - set(asked))
            if extra:
                yield self.broken(Property.ISOLATION, extra[0], path, f"{access.id} draws in what is not its own")

    def by_instance(self, pairs: Iterable[tuple[AccessSite, Access]]) -> dict[Key, list[tuple[AccessSite, Access]]]:
        """Return accesses by the routing instance that they are in, in a fixed order."""
        found: dict[Key, list[tuple[AccessSite, Access]]] = {}
        for site, access in pairs:
            found.setdefault(key_of(access), []).append((site, access))
        return dict(sorted(found.items()))


def _named(way: Way) -> Iterator[str]:
    """Yield the nodes of a way that configuration names; the others are ends of links on the map."""
    yield way.nodes[0]
    for _, far, _ in way.circuits:
        yield far.node


def outside(bounds: Boundaries, nodes: Iterable[Node | None], links: Iterable[Link] = ()) -> str:
    """Return where a way leaves the boundaries; empty where it does not."""
    for node in nodes:
        if node is None:
            return "it passes what is not on the map"
        if {node.id, node.id.removeprefix("node:")} & bounds.exclude_nodes or node.regions & bounds.exclude_regions:
            return f"{node.id} is where the service must not go"
        if bounds.include_regions and not node.regions & bounds.include_regions:
            return f"{node.id} is outside {', '.join(sorted(bounds.include_regions))}"
        if bounds.include_nodes and not {node.id, node.id.removeprefix("node:")} & bounds.include_nodes:
            return f"{node.id} is not among the nodes that it must stay on"
        if node.trust < bounds.least_trust:
            return f"{node.id} has trust level {node.trust}, {bounds.least_trust} is the least"
    for link in links:
        if link.trust < bounds.least_trust:
            return f"{link.id} has trust level {link.trust}, {bounds.least_trust} is the least"
    return ""


def crosses_two_borders(forwarding: Forwarding, way: Way) -> bool:
    """Say whether the map has a second border between all domains that a way passes."""
    pairs = {frozenset((near.domain, far.domain)) for near, far in way.borders}
    return bool(pairs) and all(forwarding.interior.borders[pair] > 1 for pair in pairs)


def _twins(vpn_id: str, sites: tuple[AccessSite, ...]) -> frozenset[tuple[str, str]]:
    """Return the pairs of accesses that one site has for the same LAN: two links to one customer."""
    by_lan: dict[tuple[str, Prefix], list[str]] = {}
    for site in sites:
        for lan in site.lans:
            by_lan.setdefault((site.site, lan), []).append(f"{vpn_id}.{site.name}")
    return frozenset((min(a, z), max(a, z)) for ids in by_lan.values() for a in ids for z in ids if a != z)
