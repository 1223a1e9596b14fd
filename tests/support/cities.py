"""The lab's cities as the controller would discover them, without any server: for tests of the pure rooms."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from controller.network.discovered import (
    DiscoveredCircuit,
    DiscoveredFibre,
    DiscoveredLink,
    DiscoveredNode,
    DiscoveredOduLink,
    DiscoveredPort,
    DomainKind,
    DomainTopology,
)
from controller.network.inventory import Inventory, LinkFacts, NodeFacts, PortFacts, SiteFacts
from controller.network.merge import merge
from controller.network.model import CityMap
from lab.city import PROPAGATION_S_PER_M, City, IpDomain, IpLink, IpPort, load_city

MODULES = frozenset(
    {"ietf-l3vpn-ntw", "ietf-te", "ietf-network", "ietf-nrp-policy", "ietf-network-vpn-pm", "onecity-binding"}
)


@cache
def city_map(name: str) -> CityMap:
    """Return the merged map of a city, version 1, everything up."""
    return map_of(load_city(name))


def with_access_ports(city: CityMap, rate_bps: int) -> CityMap:
    """Return the map with access ports of another rate, where links are to be filled before ports are."""
    ports = {r: replace(p, rates_bps=(rate_bps,)) if p.role == "access" else p for r, p in city.ports.items()}
    return replace(city, ports=ports)


def map_of(city: City, version: int = 1) -> CityMap:
    """Return the merged map of a city that was read or made up."""
    return merge(topologies_of(city), inventory_of(city), version, frozenset())


@cache
def topologies(name: str) -> tuple[DomainTopology, ...]:
    """Return what each domain of the city would say of itself."""
    return topologies_of(load_city(name))


def topologies_of(city: City) -> tuple[DomainTopology, ...]:
    return (*(_ip_domain(city, d) for d in city.ip.values()), _optical_domain(city))


@cache
def inventory(name: str) -> Inventory:
    """Return the inventory that the lab would write for the city."""
    return inventory_of(load_city(name))


def inventory_of(city: City) -> Inventory:
    access = {p.site: f"node:{n}/tp:{p.id}" for n, p in _access_ports(city)}
    nodes = {
        f"node:{n.id}": NodeFacts(n.site, frozenset({city.sites[n.site].region}), n.trust, 0.9999)
        for d in city.ip.values()
        for n in d.nodes
    }
    nodes |= {n: NodeFacts(s, frozenset({city.sites[s].region}), 4, 0.99995) for n, s in city.optical.nodes.items()}
    ports = {
        f"node:{p.node}/tp:{p.id}": PortFacts(p.role, p.rate_bps, p.site)
        for d in city.ip.values()
        for p in d.ports
        if p.role in ("access", "otn")
    }
    links = {
        i: LinkFacts(link.plane, None, 0.9999, link.rank) for link in _all_links(city) for i, _, _ in link.directions()
    }
    sites = {
        s.name: SiteFacts(s.title, s.region, s.latitude, s.longitude, access.get(s.name)) for s in city.sites.values()
    }
    return Inventory(sites, nodes, ports, links)


def _access_ports(city: City) -> list[tuple[str, IpPort]]:
    return [(p.node, p) for d in city.ip.values() for p in d.ports if p.role == "access"]


def _all_links(city: City) -> tuple[IpLink, ...]:
    return (*(link for d in city.ip.values() for link in d.links), *city.borders)


def _ip_domain(city: City, domain: IpDomain) -> DomainTopology:
    own = {n.id for n in domain.nodes}
    risks = {c.id: frozenset(s for f in c.route for s in city.fibre(f).srlgs) for c in city.optical.circuits}
    links = [
        DiscoveredLink(
            id=link_id,
            src=f"node:{src[0]}",
            src_port=f"tp:{src[1]}",
            dst=f"node:{dst[0]}" if link.domain else None,
            dst_port=f"tp:{dst[1]}" if link.domain else None,
            capacity_bps=link.rate_bps,
            delay_s=link.length_m * PROPAGATION_S_PER_M,
            srlgs=risks.get(link.circuit or "", frozenset()),
            plane=link.plane,
        )
        for link in (*domain.links, *domain.borders)
        for link_id, src, dst in link.directions()
        if src[0] in own
    ]
    return DomainTopology(
        domain=domain.name,
        kind=DomainKind.IP,
        network_id=domain.network_id,
        nodes=tuple(DiscoveredNode(f"node:{n.id}", n.id, te_node_id=n.router_id, asn=domain.asn) for n in domain.nodes),
        ports=tuple(
            DiscoveredPort(f"node:{p.node}", f"tp:{p.id}", plug=p.plug.encode() if p.plug else None, lock_id=p.lock_id)
            for p in domain.ports
        ),
        links=tuple(links),
        srlg_names=tuple((n, name) for name, n in city.ducts.items()),
        qos_profiles=frozenset({"plane-default", "slice-committed", "vip"}),
        routing_profiles=frozenset({"border-primary", "border-secondary"}),
        modules=MODULES,
    )


def _optical_domain(city: City) -> DomainTopology:
    optical = city.optical
    length = {f.id: f.length_m for f in optical.fibres}
    taken: dict[str, set[int]] = {f.id: set() for f in optical.fibres}
    used = {port: c.id for c in optical.circuits for port in (c.a_port, c.z_port) if port}
    for circuit in optical.circuits:
        for fibre in circuit.route:
            taken[fibre].add(circuit.channel)
    return DomainTopology(
        domain=optical.name,
        kind=DomainKind.OPTICAL,
        network_id="",
        nodes=tuple(DiscoveredNode(n, n) for n in optical.nodes),
        ports=tuple(
            DiscoveredPort(p.node, p.id, True, p.rates_bps, None, p.lock_id, used.get(p.id), p.site)
            for p in optical.client_ports
        ),
        fibres=tuple(
            DiscoveredFibre(
                f.id, f.a, f.z, f.length_m, f.loss_db, frozenset(f.srlgs), optical.channels, frozenset(taken[f.id])
            )
            for f in optical.fibres
        ),
        odu_links=tuple(
            DiscoveredOduLink(o.id, o.a, o.z, o.circuit, o.slots, frozenset(range(1, o.slots + 1)))
            for o in optical.odu_links
        ),
        circuits=tuple(
            DiscoveredCircuit(
                c.id,
                "infrastructure",
                c.a_port,
                c.z_port,
                "wavelength",
                c.rate_bps,
                c.route,
                (),
                sum(length[f] for f in c.route) * PROPAGATION_S_PER_M,
                channel=c.channel,
            )
            for c in optical.circuits
        ),
        srlg_names=tuple((n, name) for name, n in city.ducts.items()),
    )
