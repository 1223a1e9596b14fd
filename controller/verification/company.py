"""What a service runs over, as its configuration leads it: for those that are to be apart from it, or with it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

from controller.intent.model import ServiceId
from controller.network.model import CityMap, Link
from controller.verification.bookings import leg_risks, route_risks
from controller.verification.facts import Circuit, Tunnel
from controller.verification.forwarding import Forwarding, Way, key_of
from controller.verification.walks import Walks


@dataclass(frozen=True, slots=True)
class Ground:
    """Links of both layers, by id, and the risks under them."""

    parts: frozenset[str] = frozenset()
    risks: frozenset[int] = frozenset()

    def __or__(self, other: Ground) -> Ground:
        return Ground(self.parts | other.parts, self.risks | other.risks)

    def has(self, part: str, risks: frozenset[int]) -> bool:
        """Say whether a link is one of these, or lies in nothing but their ducts."""
        return part in self.parts or (bool(risks) and risks <= self.risks)


def normal_ground(service: ServiceId, forwarding: Forwarding, *, wide: bool = False) -> Ground | None:
    """Return what a service normally runs over: working paths and legs, first borders, a plane's routed ways.

    wide: with whatever a plane may load, between any two of its routers of a domain and over every border.

    None where it cannot be told: of a plane while a part of the network is down. Routers lead around that, and no
    configuration of ours is the reason.
    """
    model, out, city = forwarding.model, forwarding.out, forwarding.city
    tunnels, circuits = model.tunnels_of(service), model.circuits_of(service)
    links = {k.id: k for t in tunnels for k in forwarding.trail(t.working).links}
    walks = Walks(forwarding, service.replace("/", ".", 1))
    links |= {out[a.where].id: out[a.where] for a in walks.borders if a.rank == 1 and a.where in out}
    if walks.everywhere and not circuits and not any(t.name.startswith("slice/") for t in tunnels):
        if not all(k.up for k in city.links):
            return None
        links |= {k.id: k for way in _routed(walks) for k in way.links}
        links |= {k.id: k for k in _loadable(walks)} if wide else {}
    risks = frozenset[int]().union(*(k.srlgs for k in links.values()), *(leg_risks(c.working, city) for c in circuits))
    return Ground(frozenset(links) | {hop for c in circuits for hop in c.working.route}, risks)


def _routed(walks: Walks) -> list[Way]:
    """Return the ways between all ends of a VPN, as all is well and over its second borders."""
    ends = sorted({key_of(a) for a in walks.everywhere if walks.forwarding.role(a) == "access"})
    found = []
    for dst in ends:
        for cut in (False, True):
            routes = walks.routes(dst, cut)
            found += [walks.way(src, dst, cut=cut) for src in ends if src != dst and src in routes]
    return found


def _loadable(walks: Walks) -> list[Link]:
    """Return the links between any two routers of a VPN inside each domain, and those of all its borders."""
    forwarding = walks.forwarding
    found = [forwarding.out[a.where] for a in walks.borders if a.where in forwarding.out]
    for vpn in forwarding.vpn(walks.vpn_id):
        nodes = sorted({node for node, _ in vpn.instances})
        for src, dst in permutations(nodes, 2):
            found += forwarding.interior.links(vpn.domain, src, dst) or ()
    return found


def whole_risks(service: ServiceId, forwarding: Forwarding) -> frozenset[int]:
    """Return the risks under all that a slice may ever run over: both paths, both legs, every border."""
    model, out, city = forwarding.model, forwarding.out, forwarding.city
    found = [leg_risks(leg, city) for c in model.circuits_of(service) for leg in (c.working, c.protect) if leg]
    found += [
        route_risks(hops, forwarding) for t in model.tunnels_of(service) for hops in (t.working, t.standby) if hops
    ]
    borders = Walks(forwarding, service.replace("/", ".", 1)).borders
    found += [out[a.where].srlgs for a in borders if a.where in out]
    return frozenset[int]().union(*found)


def astray_tunnel(tunnel: Tunnel, ground: Ground, forwarding: Forwarding) -> str:
    """Return the first link of a tunnel's working path that is not on this ground; empty where all are."""
    for link in forwarding.trail(tunnel.working).links:
        if not ground.has(link.id, link.srlgs) and link.reverse not in ground.parts:
            return link.id
    return ""


def astray_circuit(circuit: Circuit, ground: Ground, city: CityMap) -> str:
    """Return the first hop of a circuit's working leg that is not on this ground; empty where all are."""
    for hop in circuit.working.route:
        span = city.fibres.get(hop) or city.odu_links.get(hop)
        if span is not None and not ground.has(hop, span.srlgs):
            return hop
    return ""
