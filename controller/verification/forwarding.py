"""Where packets go, by the rendered configuration alone: route propagation, then a walk.

Routes spread as the domains' own protocols would spread them: a routing instance imports what carries a route
target it imports (RFC 4364 §4), iBGP routes are not passed on, eBGP crosses a border where both sides mirror each
other (option A, RFC 4364 §10), a router refuses its own AS in a path, and the border's routing profile decides
between pairs. Dedicated circuits carry static routes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from controller.network.model import CityMap, Link, PortRef
from controller.verification.igp import Interior
from controller.verification.model import ConfigurationModel
from controller.verification.parse import Access, Circuit, CircuitLeg, Instance, Tunnel, Vpn

Key = tuple[str, str, str, str]  # (domain, vpn, node, profile)


@dataclass(frozen=True, slots=True)
class Route:
    """How one instance reaches the origin: through which neighbour, over what."""

    rank: int  # of the border crossed first on the way; 0: none
    crossings: tuple[str, ...]  # domains on the way, the AS path
    learned: str  # "origin" | "bgp" | "static" | "imported"
    towards: Key | None
    over: tuple[str, str] | None = None  # bgp, static: the access it leaves through, and the one it arrives at


@dataclass(slots=True)
class Way:
    """A packet's way as far as it gets."""

    nodes: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    circuits: list[str] = field(default_factory=list)
    delay_s: float = 0.0
    delivered: Access | None = None
    failure: str = ""

    def fail(self, reason: str) -> Way:
        self.failure = reason
        return self


class Forwarding:
    """Answers for one model on one map. Work is counted in `steps`."""

    def __init__(self, model: ConfigurationModel, city: CityMap, interior: Interior) -> None:
        self.model, self.city, self.interior = model, city, interior
        self.steps = 0
        self.out = {link.src: link for link in city.links}
        self._crossings: dict[tuple[str, str], Access | None] = {}

    def instances(self, vpn_id: str) -> dict[Key, Instance]:
        """Return every routing instance of a VPN, in all domains."""
        found: dict[Key, Instance] = {}
        for vpn in self.vpn(vpn_id):
            for (node, profile), instance in vpn.instances.items():
                found[vpn.domain, vpn_id, node, profile] = instance
        return found

    def vpn(self, vpn_id: str) -> list[Vpn]:
        return [vpn for domain in self.city.domains if (vpn := self.model.vpns.get((domain, vpn_id))) is not None]

    def instance(self, key: Key) -> Instance | None:
        vpn = self.model.vpns.get((key[0], key[1]))
        return vpn.instances.get((key[2], key[3])) if vpn is not None else None

    def accesses(self, key: Key) -> list[Access]:
        vpn = self.model.vpns.get((key[0], key[1]))
        return [a for a in vpn.accesses.values() if a.node == key[2] and a.profile == key[3]] if vpn else []

    def spread(self, origin: Key, borders: dict[Key, list[Access]]) -> dict[Key, Route]:
        """Return how every instance that hears of the origin's prefixes reaches them.

        `borders` gives the BGP accesses of each instance; instances of other VPNs are found as routes reach them.
        """
        best: dict[Key, Route] = {origin: Route(0, (origin[0],), "origin", None)}
        queue = deque([origin])
        while queue:
            at = queue.popleft()
            route = best[at]
            offers = self._over_borders(at, route, borders)
            if route.learned == "origin":
                offers += self._over_circuits(at)
            if route.learned != "imported":
                offers += [(key, Route(route.rank, route.crossings, "imported", at)) for key in self._importers(at)]
            for key, offer in offers:
                self.steps += 1
                held = best.get(key)
                if held is None or _preference(offer) < _preference(held):
                    best[key] = offer
                    queue.append(key)
        return best

    def _importers(self, key: Key) -> list[Key]:
        instance = self.instance(key)
        found: dict[Key, None] = {}
        for target in sorted(instance.exports) if instance else ():
            for owner in self.model.claims.get(("import", key[0], target), ()):
                vpn_id, node, profile = owner.split("|")
                if (node, profile) != key[2:] or vpn_id != key[1]:
                    found[key[0], vpn_id, node, profile] = None
        return list(found)

    def _over_borders(self, at: Key, route: Route, borders: dict[Key, list[Access]]) -> list[tuple[Key, Route]]:
        if at not in borders:
            borders[at] = [a for a in self.accesses(at) if a.rank]
        found = []
        for near in borders[at]:
            far = self.across(near)
            if far is None or far.domain in route.crossings or not _mirrored(near, far):
                continue
            key = (far.domain, far.vpn, far.node, far.profile)
            found.append((key, Route(far.rank, (*route.crossings, far.domain), "bgp", at, (far.id, near.id))))
        return found

    def _over_circuits(self, at: Key) -> list[tuple[Key, Route]]:
        """Offer the origin to whoever has static routes over a circuit that ends here; which ones, the walk checks."""
        found = []
        for near in self.accesses(at):
            far = self.across(near) if not near.rank else None
            if far is not None and far.lans:
                found.append(
                    ((far.domain, far.vpn, far.node, far.profile), Route(0, (at[0],), "static", at, (far.id, near.id)))
                )
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
            return self.owner(port.peer, access.vlan)
        if port.role != "otn":
            return None
        leaving = self._circuit_at(port.peer, access.vlan)
        if leaving is None:
            return None
        circuit, near_end = leaving
        far_port, far_vlan = circuit.ends[1 - near_end]
        node = far_port.rsplit("/", 1)[0]
        client = self.city.ports.get(PortRef(node, far_port))
        if client is None or client.peer is None:
            return None
        return self.owner(client.peer, far_vlan or access.vlan)

    def _circuit_at(self, client: PortRef, vlan: int) -> tuple[Circuit, int] | None:
        for label in (str(vlan), "0"):
            for circuit_id in self.model.claims.get(("client", client.port, label), ()):
                domain = self.city.ports[client].domain
                circuit = self.model.circuits.get((domain, circuit_id))
                if circuit is not None:
                    return circuit, 0 if circuit.ends[0] == (client.port, int(label)) else 1
        return None

    def circuit_of(self, access: Access) -> Circuit | None:
        """Return the circuit that an access's VLAN rides on, or None."""
        port = self.city.ports.get(access.where)
        found = (
            self._circuit_at(port.peer, access.vlan) if port is not None and port.role == "otn" and port.peer else None
        )
        return found[0] if found else None

    def owner(self, port: PortRef, vlan: int) -> Access | None:
        """Return the access that takes in this VLAN on this port; None where nobody, or more than one, does."""
        owners = self.model.claims.get(("vlan", f"{port.node}/{port.port}", str(vlan)), ())
        if len(owners) != 1:
            return None
        vpn_id, access_id = owners[0].split("|", 1)
        domain = self.city.ports[port].domain
        vpn = self.model.vpns.get((domain, vpn_id))
        return vpn.accesses.get(access_id) if vpn else None

    def walk(self, src: Key, best: dict[Key, Route], prefix: str, target_class: str = "*") -> Way:
        """Follow best routes from one instance to the origin, gathering links and delay."""
        way, at = Way([src[2]]), src
        for _ in range(4 * len(self.city.domains) + 4):
            route = best.get(at)
            if route is None:
                return way.fail(f"no route at {at[2]}")
            if route.learned == "origin":
                return way
            assert route.towards is not None
            if route.learned == "imported":
                if not self._inside(way, at, route.towards[2], target_class):
                    return way
            else:
                self._cross_over(way, at, route, prefix)
                if way.failure:
                    return way
            at = route.towards
        return way.fail("the route goes in circles")

    def _cross_over(self, way: Way, at: Key, route: Route, prefix: str) -> None:
        """Leave `at` through the border or circuit that the route names, and arrive at the far instance."""
        assert route.over is not None
        assert route.towards is not None
        near = self.model.vpns[at[0], at[1]].accesses[route.over[0]]
        far = self.model.vpns[route.towards[0], route.towards[1]].accesses[route.over[1]]
        if route.learned == "static":
            circuit = self.circuit_of(near)
            if circuit is None or not any(_covers(lan, prefix) and hop == far.address for lan, hop in near.lans):
                way.fail(f"{near.id} has no route for {prefix} towards {far.address}")
                return
            way.circuits.append(circuit.id)
            way.delay_s += self.circuit_delay_s(circuit.working)
        else:
            link = self.out.get(near.where)
            if link is not None:
                way.links.append(link)
                way.delay_s += link.delay_s
        way.nodes.append(route.towards[2])

    def circuit_delay_s(self, leg: CircuitLeg) -> float:
        """Return the one-way delay of a leg by the map: fibres for a wavelength, server links for timeslots."""
        spans = [self.city.fibres.get(hop) or self.city.odu_links.get(hop) for hop in leg.route]
        return sum(span.delay_s for span in spans if span is not None)

    def _inside(self, way: Way, at: Key, remote: str, target_class: str) -> bool:
        """Cross one domain: by the tunnel that steering names, or by the interior shortest path."""
        domain, vpn_id, node, _ = at
        vpn = self.model.vpns[domain, vpn_id]
        entry = None
        for wanted in dict.fromkeys((target_class, "*")):
            entry = next(
                (s for s in vpn.steering if s.node == node and s.remote == remote and s.target == wanted), None
            )
            if entry is not None:
                break
        if entry is not None and entry.tunnels:
            tunnel = self.model.tunnels.get((domain, entry.tunnels[0]))
            if tunnel is not None:
                return self._ride(way, tunnel, tunnel.working, node, remote)
            if entry.drop:
                way.fail(f"tunnel {entry.tunnels[0]} does not exist and nothing else may carry the traffic")
                return False
        links = self.interior.links(domain, node, remote) if node != remote else ()
        if links is None:
            way.fail(f"{remote} cannot be reached from {node} inside {domain}")
            return False
        _append(way, links)
        return True

    def _ride(self, way: Way, tunnel: Tunnel, hops: tuple[PortRef, ...], src: str, dst: str) -> bool:
        links = self.follow(hops)
        if isinstance(links, str) or not links or links[0].src.node != src or links[-1].dst.node != dst:
            reason = links if isinstance(links, str) else f"its hops do not lead from {src} to {dst}"
            way.fail(f"tunnel {tunnel.name}: {reason}")
            return False
        _append(way, links)
        return True

    def follow(self, hops: tuple[PortRef, ...]) -> tuple[Link, ...] | str:
        """Return the links that explicit hops lead over, or why they lead nowhere."""
        links: list[Link] = []
        for hop in hops:
            link = self.out.get(hop)
            if link is None:
                return f"{hop} is not an outgoing port of any link"
            if links and links[-1].dst.node != hop.node:
                return f"after {links[-1].id} the packet is at {links[-1].dst.node}, but the next hop is {hop}"
            links.append(link)
        return tuple(links)


def _append(way: Way, links: tuple[Link, ...]) -> None:
    for link in links:
        way.links.append(link)
        way.nodes.append(link.dst.node)
        way.delay_s += link.delay_s


def _preference(route: Route) -> tuple[int, int, int, str]:
    order = {"origin": 0, "static": 1, "bgp": 2, "imported": 3}
    return (route.rank, len(route.crossings), order[route.learned], str(route.towards))


def _mirrored(a: Access, z: Access) -> bool:
    """Say whether a BGP session between two border accesses would come up."""
    return (
        a.local_as == z.peer_as != ""
        and a.peer_as == z.local_as
        and a.neighbour == z.address != ""
        and z.neighbour == a.address
        and _same_subnet(a, z)
    )


def _same_subnet(a: Access, z: Access) -> bool:
    try:
        return (
            ip_address(z.address) in ip_network(f"{a.address}/{a.prefix_len}", strict=False)
            and a.prefix_len == z.prefix_len
        )
    except ValueError:
        return False


def _covers(lan: str, prefix: str) -> bool:
    try:
        wide, narrow = ip_network(lan), ip_network(prefix)
        return wide.version == narrow.version and narrow.subnet_of(wide)  # type: ignore[arg-type]
    except ValueError:
        return False
