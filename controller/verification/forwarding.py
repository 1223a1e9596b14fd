"""Where packets go, by the rendered configuration alone: route propagation, then a walk.

Routes spread as the domains' own protocols would spread them: a routing instance imports what carries a route
target it imports (RFC 4364 §4), iBGP routes are not passed on, eBGP crosses a border where both sides mirror each
other (option A, RFC 4364 §10), a router refuses its own AS in a path, and the border's routing profile decides
between pairs. Dedicated circuits carry static routes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.network.light import OTN_SWITCH_S, ROADM_S, TRANSPONDER_PAIR_S
from controller.network.model import CityMap, Link, PortRef
from controller.verification.facts import Access, Circuit, CircuitLeg, Hops, Instance, Tunnel, Vpn
from controller.verification.igp import Interior
from controller.verification.model import ConfigurationModel

Key = tuple[str, str, str, str]  # (domain, vpn, node, profile)


class Route(NamedTuple):
    """How one instance reaches the origin: through which neighbour, over what."""

    rank: int  # of the border crossed first on the way; 0: none
    crossings: tuple[str, ...]  # domains on the way, the AS path
    learned: str  # "origin" | "bgp" | "static" | "imported"
    towards: Key | None
    over: tuple[str, str] | None = None  # bgp, static: the access it leaves through, and the one it arrives at


Routes = dict[Key, Route]


@dataclass(slots=True)
class Way:
    """A packet's way as far as it gets."""

    nodes: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    tunnels: list[Tunnel] = field(default_factory=list)
    plain: list[Link] = field(default_factory=list)  # those of `links` that no tunnel pins
    unpinned: list[tuple[str, str, str]] = field(default_factory=list)  # (domain, from, to) crossed outside any tunnel
    straying: tuple[tuple[str, str, str], ...] = ()  # the same, crossed so once the tunnel is gone
    borders: list[tuple[Access, Access]] = field(default_factory=list)  # (left through, arrived at)
    circuits: list[tuple[Access, Access, Circuit]] = field(default_factory=list)
    delay_s: float = 0.0
    failure: str = ""
    torn: bool = False  # it fails because nothing that is up leads on inside a domain: no fault of configuration

    def fail(self, reason: str) -> Way:
        self.failure = reason
        return self


@dataclass(slots=True)
class Trail:
    """What an explicit route comes to on the map, found once for everybody who asks."""

    links: tuple[Link, ...]  # as far as they are known
    nodes: tuple[str, ...]  # where each link ends
    delay_s: float
    failure: str = ""  # why it leads nowhere
    _risks: frozenset[int] | None = None

    @property
    def risks(self) -> frozenset[int]:
        """The shared risks under it; worked out when somebody asks, which most never do."""
        if self._risks is None:
            self._risks = _risks(self.links)
        return self._risks


class Forwarding:
    """Answers for one model on one map. Work is counted in `steps`."""

    def __init__(self, model: ConfigurationModel, city: CityMap, interior: Interior) -> None:
        self.model, self.city, self.interior = model, city, interior
        self.out = interior.out
        self.steps = 0
        self.apart: set[int] = set()  # identities of tunnels of which the two paths are known to share nothing
        self._crossings: dict[tuple[str, str], Access | None] = {}
        self._outward: dict[Key, list[Access]] = {}
        self._importers: dict[Key, list[Key]] = {}
        self._trails: dict[int, tuple[object, Trail]] = {}  # by identity of the hops, which is kept alive with it

    def instances(self, vpn_id: str) -> dict[Key, Instance]:
        """Return every routing instance of a VPN, in all domains."""
        return {
            (vpn.domain, vpn_id, node, profile): instance
            for vpn in self.vpn(vpn_id)
            for (node, profile), instance in vpn.instances.items()
        }

    def vpn(self, vpn_id: str) -> list[Vpn]:
        return [vpn for domain in self.city.domains if (vpn := self.model.vpns.get((domain, vpn_id))) is not None]

    def outward(self, key: Key) -> list[Access]:
        """Return an instance's accesses on borders and circuits: those that lead to another provider edge."""
        if key not in self._outward:
            vpn = self.model.vpns.get((key[0], key[1]))
            self._outward[key] = []
            for access in vpn.accesses.values() if vpn is not None else ():
                if access.node == key[2] and access.profile == key[3] and self.role(access) in ("border", "otn"):
                    self._outward[key].append(access)
        return self._outward[key]

    def role(self, access: Access) -> str:
        port = self.city.ports.get(access.where)
        return port.role if port is not None else ""

    def spread(self, origin: Key, without: Set[PortRef] = frozenset()) -> Routes:
        """Return how every instance that hears of the origin's prefixes reaches them.

        Instances of other VPNs are found as routes reach them. `without`: border ports whose cable is cut.
        """
        best: Routes = {origin: Route(0, (origin[0],), "origin", None)}
        queue = deque([origin])
        while queue:
            at = queue.popleft()
            route = best[at]
            offers = self._over_borders(at, route, without)
            if route.learned == "origin":
                offers += self._over_circuits(at)
            if route.learned != "imported":
                offers += [(key, Route(route.rank, route.crossings, "imported", at)) for key in self.importers(at)]
            for key, offer in offers:
                self.steps += 1
                held = best.get(key)
                if held is None or _preference(offer) < _preference(held):
                    best[key] = offer
                    queue.append(key)
        return best

    def importers(self, key: Key) -> list[Key]:
        """Return the instances of the same domain that take in what this one exports."""
        if key not in self._importers:
            self._importers[key] = self._find_importers(key)
        return self._importers[key]

    def _find_importers(self, key: Key) -> list[Key]:
        vpn = self.model.vpns.get((key[0], key[1]))
        instance = vpn.instances.get((key[2], key[3])) if vpn is not None else None
        found: dict[Key, None] = {}
        for target in sorted(instance.exports) if instance else ():
            for owner in self.model.owners("import", key[0], target):
                vpn_id, node, profile = owner.split("|")
                if (vpn_id, node, profile) != key[1:]:
                    found[key[0], vpn_id, node, profile] = None
        return list(found)

    def _over_borders(self, at: Key, route: Route, without: Set[PortRef]) -> list[tuple[Key, Route]]:
        found = []
        for near in self.outward(at):
            if not near.rank or near.where in without:
                continue
            far = self.across(near)
            if far is None or far.domain in route.crossings or far.where in without or unlike(near, far):
                continue
            over = Route(far.rank, (*route.crossings, far.domain), "bgp", at, (far.id, near.id))
            found.append((key_of(far), over))
        return found

    def _over_circuits(self, at: Key) -> list[tuple[Key, Route]]:
        """Offer the origin to whoever is at a circuit's far end; for which prefixes it has routes is asked later."""
        found = []
        for near in self.outward(at):
            far = self.across(near) if not near.rank else None
            if far is not None and not far.rank:
                found.append((key_of(far), Route(0, (at[0],), "static", at, (far.id, near.id))))
        return found

    def across(self, access: Access) -> Access | None:
        """Return the access at the other end of the cable or circuit that this access's VLAN leaves on."""
        memo = (access.domain, access.id)
        if memo not in self._crossings:
            self._crossings[memo] = self._cross(access)
        return self._crossings[memo]

    def _cross(self, access: Access) -> Access | None:
        port = self.city.ports.get(access.where)
        if port is None or port.peer is None:
            return None
        if port.role == "border":
            return self.taker(port.peer, access.vlan)
        leaving = self._circuit_at(port.peer, access.vlan) if port.role == "otn" else None
        if leaving is None:
            return None
        circuit, near_end = leaving
        far_port, far_vlan = circuit.ends[1 - near_end]
        client = self.city.ports.get(PortRef(far_port.rsplit("/", 1)[0], far_port))
        if client is None or client.peer is None:
            return None
        return self.taker(client.peer, far_vlan or access.vlan)

    def _circuit_at(self, client: PortRef, vlan: int) -> tuple[Circuit, int] | None:
        for label in (str(vlan), "0"):
            for circuit_id in self.model.owners("client", client.port, label):
                circuit = self.model.circuits.get((self.city.ports[client].domain, circuit_id))
                if circuit is not None:
                    return circuit, 0 if circuit.ends[0] == (client.port, int(label)) else 1
        return None

    def circuit_of(self, access: Access) -> Circuit | None:
        """Return the circuit that an access's VLAN rides on, or None."""
        port = self.city.ports.get(access.where)
        if port is None or port.role != "otn" or port.peer is None:
            return None
        found = self._circuit_at(port.peer, access.vlan)
        return found[0] if found else None

    def taker(self, port: PortRef, vlan: int) -> Access | None:
        """Return the access that takes in this VLAN on this port; None where nobody, or more than one, does."""
        owners = self.model.owners("vlan", str(port), str(vlan))
        if len(owners) != 1:
            return None
        vpn_id, access_id = owners[0].split("|", 1)
        vpn = self.model.vpns.get((self.city.ports[port].domain, vpn_id))
        return vpn.accesses.get(access_id) if vpn else None

    def walk(self, src: Key, best: Routes, target_class: str = "*") -> Way:
        """Follow best routes from one instance to the origin, gathering links and delay."""
        way, at = Way([src[2]]), src
        for _ in range(4 * len(self.city.domains) + 4):
            route = best.get(at)
            if route is None:
                return way.fail(f"no route at {at[2]}")
            if route.towards is None:
                return way
            if route.learned == "imported":
                self._inside(way, at, route.towards[2], target_class)
            else:
                self._cross_over(way, at, route, route.towards)
            if way.failure:
                return way
            at = route.towards
        return way.fail("the route goes in circles")

    def _cross_over(self, way: Way, at: Key, route: Route, towards: Key) -> None:
        """Leave `at` through the border or circuit that the route names, and arrive at the far instance."""
        assert route.over is not None
        near = self.model.vpns[at[0], at[1]].accesses[route.over[0]]
        far = self.model.vpns[towards[0], towards[1]].accesses[route.over[1]]
        circuit = self.circuit_of(near) if route.learned == "static" else None
        link = self.out.get(near.where)
        if circuit is not None:
            way.circuits.append((near, far, circuit))
            way.delay_s += self.circuit_delay_s(circuit.working, circuit.layer)
        elif link is not None:
            way.borders.append((near, far))
            way.plain.append(link)
            way.links.append(link)
            way.nodes.append(link.dst.node)
            way.delay_s += link.delay_s
            return
        else:
            way.fail(f"{near.id} leads nowhere")
        way.nodes.append(towards[2])

    def circuit_delay_s(self, leg: CircuitLeg, layer: str) -> float:
        """Return the one-way delay of a leg: of its spans on the map, and of the devices at its hops and ends."""
        spans = [self.city.fibres.get(hop) or self.city.odu_links.get(hop) for hop in leg.route]
        each, ends = (ROADM_S, TRANSPONDER_PAIR_S) if layer == "wavelength" else (OTN_SWITCH_S, 0.0)
        return ends + sum(span.delay_s + each for span in spans if span is not None)

    def _inside(self, way: Way, at: Key, remote: str, target_class: str) -> None:
        """Cross one domain: by the tunnel that steering names, or by the interior shortest path."""
        domain, vpn_id, node, _ = at
        if node == remote:
            return
        steering = self.model.vpns[domain, vpn_id].steering
        entry = steering.get((node, remote, target_class)) or steering.get((node, remote, "*"))
        for name in entry.tunnels if entry is not None else ():
            tunnel = self.model.tunnels.get((domain, name))
            if tunnel is not None:
                self._ride(way, tunnel, node, remote)
                if entry is not None and not entry.drop:
                    way.straying = (*way.straying, (domain, node, remote))
                return
        if entry is not None and entry.drop:
            way.fail(f"none of its tunnels {', '.join(entry.tunnels)} exists and nothing else may carry the traffic")
            return
        links = self.interior.links(domain, node, remote)
        if links is None:
            way.torn = True
            way.fail(f"{remote} cannot be reached from {node} inside {domain}")
            return
        way.unpinned.append((domain, node, remote))
        way.plain += links
        _append(way, self._along(links))

    def _ride(self, way: Way, tunnel: Tunnel, src: str, dst: str) -> None:
        trail = self.trail(tunnel.working)
        if trail.failure or not trail.links or trail.links[0].src.node != src or trail.nodes[-1] != dst:
            reason = trail.failure or f"its hops do not lead from {src} to {dst}"
            way.fail(f"tunnel {tunnel.name}: {reason}")
            return
        way.tunnels.append(tunnel)
        _append(way, trail)

    def follow(self, hops: Hops) -> tuple[Link, ...] | str:
        """Return the links that explicit hops lead over, or why they lead nowhere."""
        trail = self.trail(hops)
        return trail.failure or trail.links

    def trail(self, hops: Hops) -> Trail:
        """Return what explicit hops come to."""
        known = self._trails.get(id(hops))
        if known is None:
            known = self._trails[id(hops)] = (hops, self._trail(hops))
        return known[1]

    def _trail(self, hops: Hops) -> Trail:
        out = self.out
        links = [out[hop] for hop in hops if hop in out]
        if len(links) == len(hops) and [k.dst.node for k in links[:-1]] == [hop.node for hop in hops[1:]]:
            return _trail(tuple(links))
        return Trail((), (), 0.0, self._why_nowhere(hops), _risks(links))

    def _why_nowhere(self, hops: Hops) -> str:
        before: Link | None = None
        for hop in hops:
            link = self.out.get(hop)
            if link is None:
                return f"{hop} is not an outgoing port of any link"
            if before is not None and before.dst.node != hop.node:
                return f"after {before.id} the packet is at {before.dst.node}, but the next hop is {hop}"
            before = link
        return "it has no hops"

    def _along(self, links: tuple[Link, ...]) -> Trail:
        """Return the same for the way that the routers of a domain choose."""
        known = self._trails.get(id(links))
        if known is None:
            known = self._trails[id(links)] = (links, _trail(links))
        return known[1]


def _trail(links: tuple[Link, ...]) -> Trail:
    return Trail(links, tuple([k.dst.node for k in links]), sum([k.delay_s for k in links]))


def _risks(links: Iterable[Link]) -> frozenset[int]:
    return frozenset().union(*[link.srlgs for link in links])


def key_of(access: Access) -> Key:
    return (access.domain, access.vpn, access.node, access.profile)


def _append(way: Way, trail: Trail) -> None:
    way.links += trail.links
    way.nodes += trail.nodes
    way.delay_s += trail.delay_s


def _preference(route: Route) -> tuple[int, int, int, str]:
    order = {"origin": 0, "static": 1, "bgp": 2, "imported": 3}
    return (route.rank, len(route.crossings), order[route.learned], str(route.towards))


def unlike(a: Access, z: Access) -> str:
    """Return why a BGP session between two border accesses would not come up; empty where it would."""
    if not a.local_as or a.local_as != z.peer_as or a.peer_as != z.local_as:
        return f"AS {a.local_as or '?'}→{a.peer_as or '?'} faces AS {z.local_as or '?'}→{z.peer_as or '?'}"
    if not a.address or a.neighbour != z.address or z.neighbour != a.address:
        return f"{a.address} expects neighbour {a.neighbour}, {z.address} expects {z.neighbour}"
    if a.subnet is None or a.subnet != z.subnet:
        return f"{a.address}/{a.prefix_len} and {z.address}/{z.prefix_len} are different subnets"
    return ""
