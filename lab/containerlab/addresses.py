"""Addresses of a city's routers: a loopback and a share of every link and access, in file order.

The IPv4 loopback is the router id. Links take 100.64.0.0/11 in /31 (RFC 3021) and accesses 100.96.0.0/11 in /24: shared
address space (RFC 6598), which no city's plan uses. IPv6 is one unique local /48 (RFC 4193): loopbacks in its first
/64, each link a /127 (RFC 6164) in the second, each access a /64 of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from lab.city import City, CityError, IpLink

LINKS4, ACCESS4 = IPv4Network("100.64.0.0/11"), IPv4Network("100.96.0.0/11")
PREFIX6 = IPv6Network("fd6f:6e65:6369::/48")
LOOPBACKS6 = IPv6Network((int(PREFIX6.network_address), 64))
_LINKS6 = IPv6Network((int(PREFIX6.network_address) + (1 << 64), 64))
_FIRST_ACCESS6 = 0x1000


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link or an access, with both its addresses."""

    ipv4: IPv4Interface
    ipv6: IPv6Interface


@dataclass(frozen=True, slots=True)
class Loopback:
    ipv4: IPv4Address
    ipv6: IPv6Address


@dataclass(frozen=True, slots=True)
class Addresses:
    """loopbacks: by node. ends: by (node, port), of links and accesses. sites: each site's number, from 1."""

    loopbacks: dict[str, Loopback]
    ends: dict[tuple[str, str], End]
    sites: dict[str, int]


def every_link(city: City) -> Iterator[IpLink]:
    """Yield the links between routers: each domain's own, then the borders."""
    for domain in city.ip.values():
        yield from domain.links
    yield from city.borders


def plan_addresses(city: City) -> Addresses:
    """Hand out addresses; raises CityError where two would be the same."""
    loopbacks: dict[str, Loopback] = {}
    owner: dict[str, str] = {}
    for node in (n for d in city.ip.values() for n in d.nodes):
        if (other := owner.setdefault(node.router_id, node.id)) != node.id:
            raise CityError(f"{node.id}: routerId {node.router_id} is that of {other} too; give each its own")
        ipv4 = IPv4Address(node.router_id)
        if ipv4 in LINKS4 or ipv4 in ACCESS4:
            raise CityError(f"{node.id}: routerId {ipv4} lies in 100.64.0.0/10, which links take; choose another")
        loopbacks[node.id] = Loopback(ipv4, LOOPBACKS6.network_address + int(ipv4))
    ends: dict[tuple[str, str], End] = {}
    for number, link in enumerate(every_link(city)):
        for side, end in enumerate((link.a, link.z)):
            at = 2 * number + side
            ipv4_end = IPv4Interface((LINKS4.network_address + at, 31))
            ends[end] = End(ipv4_end, IPv6Interface((_LINKS6.network_address + at, 127)))
    accesses = [p for d in city.ip.values() for p in d.ports if p.role == "access"]
    for number, port in enumerate(accesses):
        ipv4_end = IPv4Interface((ACCESS4.network_address + 256 * number + 1, 24))
        subnet = PREFIX6.network_address + ((_FIRST_ACCESS6 + number) << 64)
        ends[port.node, port.id] = End(ipv4_end, IPv6Interface((subnet + 1, 64)))
    return Addresses(loopbacks, ends, {site: n for n, site in enumerate(city.sites, 1)})
