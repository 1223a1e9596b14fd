"""onecity.yaml of a run: where the domains listen, and the inventory that no domain controller can tell.

Availability of a component follows from its trust level, that of a link from its length: a metre of duct is dug
up as often as the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.city import City, IpLink

_AVAILABILITY_OF_TRUST = {1: 0.999, 2: 0.9999, 3: 0.99995, 4: 0.99999}
_OTN_TRUST, _OTN_AVAILABILITY = 4, 0.99995
_CUTS_PER_KM_YEAR, _REPAIR_H = 0.002, 6.0


def link_availability(length_m: int) -> float:
    """Return the share of a year in which a cable of this length is whole."""
    return round(1 - length_m / 1000 * _CUTS_PER_KM_YEAR * _REPAIR_H / 8760, 7)


def configuration(
    city: City, endpoints: Mapping[str, Mapping[str, int]], listen: str, metrics: str, *, lights: bool = True
) -> dict[str, Any]:
    """Return onecity.yaml as a document. `endpoints`: domain → {"netconf" or "grpc": port, "gnmi": port}.

    lights: whether the routers take IP links over light that is lit for them.
    """
    domains = []
    for domain in city.ip.values():
        if domain.name in endpoints:
            domains.append(_ip_domain(domain.name, domain.network_id, endpoints[domain.name]))
    if city.optical.name in endpoints:
        domains.append(_optical_domain(city.optical.name, endpoints[city.optical.name]))
    return {
        "listen": listen,
        "metrics": metrics,
        "state": "onecity.db",
        **({} if lights else {"lightLinks": False}),
        "domains": domains,
        "inventory": inventory(city),
    }


def _ip_domain(name: str, network: str, ports: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": name,
        "driver": "netconf",
        "network": network,
        "address": f"127.0.0.1:{ports['netconf']}",
        "username": "onecity",
        "passwordFile": f"secrets/{name}.password",
        "knownHosts": "known_hosts",
        "telemetry": f"127.0.0.1:{ports['gnmi']}",
        "ca": "ca.pem",
        "tokenFile": "secrets/token",
    }


def _optical_domain(name: str, ports: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": name,
        "driver": "optical",
        "address": f"127.0.0.1:{ports['grpc']}",
        "ca": "ca.pem",
        "telemetry": f"127.0.0.1:{ports['gnmi']}",
        "tokenFile": "secrets/token",
    }


def inventory(city: City) -> dict[str, Any]:
    """Return sites, nodes, ports and links with what discovery cannot say of them."""
    return {"sites": _sites(city), "nodes": _nodes(city), "ports": _ports(city), "links": _links(city)}


def _sites(city: City) -> dict[str, Any]:
    access: dict[str, str] = {}
    for port in (p for d in city.ip.values() for p in d.ports if p.role == "access" and p.site):
        access.setdefault(str(port.site), f"node:{port.node}/tp:{port.id}")  # two routers: the first is the default
    sites = {}
    for site in city.sites.values():
        entry: dict[str, Any] = {
            "title": site.title,
            "region": site.region,
            "latitude": site.latitude,
            "longitude": site.longitude,
        }
        if site.name in access:
            entry["access"] = access[site.name]
        sites[site.name] = entry
    return sites


def _nodes(city: City) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for domain in city.ip.values():
        for node in domain.nodes:
            availability = _AVAILABILITY_OF_TRUST[node.trust]
            nodes[f"node:{node.id}"] = _node(city, node.site, node.trust, availability)
    for otn, site in city.optical.nodes.items():
        nodes[otn] = _node(city, site, _OTN_TRUST, _OTN_AVAILABILITY)
    return nodes


def _node(city: City, site: str, trust: int, availability: float) -> dict[str, Any]:
    return {"site": site, "regions": [city.sites[site].region], "trust": trust, "availability": availability}


def _ports(city: City) -> dict[str, Any]:
    """Access ports and those cabled to the OTN have no link, so their rate is nowhere on the wire."""
    ports: dict[str, Any] = {}
    for domain in city.ip.values():
        for port in domain.ports:
            if port.role not in ("access", "otn"):
                continue
            entry: dict[str, Any] = {"role": port.role, "rate": rate_text(port.rate_bps)}
            if port.role == "access" and port.site is not None:
                entry["site"] = port.site
            ports[f"node:{port.node}/tp:{port.id}"] = entry
    return ports


def _links(city: City) -> dict[str, Any]:
    trust = {n.id: n.trust for d in city.ip.values() for n in d.nodes}
    links: dict[str, Any] = {}
    for link in (*(li for d in city.ip.values() for li in d.links), *city.borders):
        for link_id, _, _ in link.directions():
            links[link_id] = _link(link, min(trust[link.a[0]], trust[link.z[0]]))
    for fibre in city.optical.fibres:
        links[fibre.id] = {"trust": _OTN_TRUST, "availability": link_availability(fibre.length_m)}
    return links


def _link(link: IpLink, trust: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"trust": trust, "availability": link_availability(link.length_m)}
    if link.plane:
        entry["plane"] = link.plane
    if link.rank:
        entry["rank"] = link.rank
    return entry


def rate_text(rate_bps: int) -> str:
    """Write a rate as people do: 100Gbps."""
    for unit, scale in (("Gbps", 10**9), ("Mbps", 10**6), ("Kbps", 10**3)):
        if rate_bps % scale == 0:
            return f"{rate_bps // scale}{unit}"
    return f"{rate_bps}bps"
