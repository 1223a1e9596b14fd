"""FRR's configuration of one router: what a service needs beneath it, before there is any service.

Inside a domain IS-IS (level 2, both families) with metrics that are the links' delays in µs, LDP for labels, and MP-BGP
for IPv4, IPv6, VPNv4 and VPNv6 over two route reflectors. Across a border the loopbacks alone, the first border
preferred. Every access stands in a VRF of its site that imports only itself: a place for services, which are stitched
from VRF to VRF at borders (RFC 4364, 10a), and until then nobody reaches anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from lab.city import PROPAGATION_S_PER_M, City, IpDomain, IpLink, IpNode, IpPort
from lab.containerlab.addresses import LOOPBACKS6, Addresses, Loopback

REFLECTORS = 2
FIRST_TABLE = 1000  # of the kernel's routing tables, one a VRF
_MOST_METRIC = (1 << 24) - 2  # of a wide metric (RFC 5305)
_PREFERENCE = {1: 200, 2: 150}  # of a border by its rank
_NAME_BYTES = 15  # of a Linux interface

DAEMONS = """\
bgpd=yes
isisd=yes
ldpd=yes
vtysh_enable=yes
zebra_options="  -A 127.0.0.1 -s 90000000"
bgpd_options="   -A 127.0.0.1"
isisd_options="  -A 127.0.0.1"
ldpd_options="   -A 127.0.0.1"
"""
VTYSH = "service integrated-vtysh-config\n"


@dataclass(frozen=True, slots=True)
class Vrf:
    """A site's VRF at one access of a router."""

    name: str
    table: int
    port: str
    number: int  # the site's, which its route target carries


@dataclass(frozen=True, slots=True)
class Border:
    """A border link as one of its routers sees it."""

    port: str
    peer: str  # the router at the other end
    peer_port: str
    peer_asn: int
    rank: int


def delay_us(link: IpLink) -> int:
    """Return how long light takes along a link, in whole µs, at least 1."""
    return max(1, round(link.length_m * PROPAGATION_S_PER_M * 1e6))


def vrfs_of(city: City, node: IpNode, addresses: Addresses) -> list[Vrf]:
    """Return the VRFs of a router's accesses, in the order of its ports."""
    found = []
    for port in _ports(city.ip[node.domain], node, "access"):
        site = str(port.site)
        number = addresses.sites[site]
        name = f"site-{site}" if len(f"site-{site}".encode()) <= _NAME_BYTES else f"site-{number}"
        found.append(Vrf(name, FIRST_TABLE + number, port.id, number))
    return found


def reflectors_of(domain: IpDomain) -> list[str]:
    """Return the routers that reflect routes to all others: those at borders first, since they hear the most."""
    at_borders = {end[0] for link in domain.borders for end in (link.a, link.z)}
    nodes = [n.id for n in domain.nodes]
    return sorted(nodes, key=lambda n: (n not in at_borders, nodes.index(n)))[:REFLECTORS]


def router_configuration(city: City, node: IpNode, addresses: Addresses) -> str:
    """Return frr.conf of one router."""
    domain, vrfs, borders = city.ip[node.domain], vrfs_of(city, node, addresses), _borders(city, node)
    core = {end[1]: link for link in domain.links for end in (link.a, link.z) if end[0] == node.id}
    lines = [
        "frr version 8.4",
        "frr defaults traditional",
        f"hostname {node.id}",
        "log stdout",
        "service integrated-vtysh-config",
        "!",
    ]
    for vrf in vrfs:
        lines += [f"vrf {vrf.name}", "exit-vrf", "!"]
    lines += _isis(addresses.loopbacks[node.id])  # wide metrics have to be allowed before an interface has one
    lines += _interfaces(node, addresses, core, borders, vrfs)
    lines += _ldp(addresses.loopbacks[node.id], sorted(core))
    if borders:
        lines += _policy(addresses, borders)
    lines += _bgp(domain, node, addresses, borders)
    for vrf in vrfs:
        lines += _bgp_vrf(domain, node, vrf)
    return "\n".join(lines) + "\n"


def _ports(domain: IpDomain, node: IpNode, role: str) -> Iterator[IpPort]:
    return (p for p in domain.ports if p.node == node.id and p.role == role)


def _borders(city: City, node: IpNode) -> list[Border]:
    asn = {n.id: d.asn for d in city.ip.values() for n in d.nodes}
    found = []
    for link in city.borders:
        for ours, far in ((link.a, link.z), (link.z, link.a)):
            if ours[0] == node.id:
                found.append(Border(ours[1], far[0], far[1], asn[far[0]], link.rank))
    return found


def _interfaces(
    node: IpNode, addresses: Addresses, core: dict[str, IpLink], borders: Sequence[Border], vrfs: Sequence[Vrf]
) -> list[str]:
    loopback = addresses.loopbacks[node.id]
    lines = ["interface lo", f" ip address {loopback.ipv4}/32", f" ipv6 address {loopback.ipv6}/128"]
    lines += [" ip router isis core", " ipv6 router isis core", " isis passive", "exit", "!"]
    for port, link in core.items():
        far = link.z if link.a == (node.id, port) else link.a
        lines += [f"interface {port}", f" description {far[0]} {far[1]}, {link.length_m / 1000:g} km"]
        lines += [*_addresses(node, port, addresses), " ip router isis core", " ipv6 router isis core"]
        metric = min(delay_us(link), _MOST_METRIC)
        lines += [" isis circuit-type level-2-only", " isis network point-to-point", f" isis metric {metric}"]
        lines += [" mpls enable", "exit", "!"]
    for border in borders:
        lines += [f"interface {border.port}", f" description border to {border.peer} {border.peer_port}"]
        lines += [*_addresses(node, border.port, addresses), "exit", "!"]
    for vrf in vrfs:
        lines += [f"interface {vrf.port} vrf {vrf.name}", *_addresses(node, vrf.port, addresses), "exit", "!"]
    return lines


def _addresses(node: IpNode, port: str, addresses: Addresses) -> list[str]:
    end = addresses.ends[node.id, port]
    return [f" ip address {end.ipv4}", f" ipv6 address {end.ipv6}"]


def _isis(loopback: Loopback) -> list[str]:
    digits = "".join(f"{byte:03d}" for byte in loopback.ipv4.packed)
    system = ".".join(digits[i : i + 4] for i in (0, 4, 8))
    lines = ["router isis core", f" net 49.0001.{system}.00", " is-type level-2-only", " metric-style wide"]
    return [*lines, " log-adjacency-changes", "exit", "!"]


def _ldp(loopback: Loopback, ports: Sequence[str]) -> list[str]:
    lines = ["mpls ldp", f" router-id {loopback.ipv4}", " address-family ipv4"]
    lines += [f"  discovery transport-address {loopback.ipv4}"]
    for port in ports:
        lines += [f"  interface {port}", "  exit"]
    return [*lines, " exit-address-family", "exit", "!"]


def _policy(addresses: Addresses, borders: Sequence[Border]) -> list[str]:
    """What may cross a border in either direction: the city's loopbacks, and nothing else."""
    lines = []
    for n, loopback in enumerate(addresses.loopbacks.values(), 1):
        lines.append(f"ip prefix-list LOOPBACKS seq {5 * n} permit {loopback.ipv4}/32")
    lines += [f"ipv6 prefix-list LOOPBACKS seq 5 permit {LOOPBACKS6} ge 128", "!"]
    for rank in sorted({b.rank for b in borders}):
        for n, version in ((10, "ip"), (20, "ipv6")):
            lines += [f"route-map BORDER-{rank} permit {n}", f" match {version} address prefix-list LOOPBACKS"]
            lines += [f" set local-preference {_PREFERENCE.get(rank, 100)}", "exit", "!"]
    for n, version in ((10, "ip"), (20, "ipv6")):
        lines += [f"route-map OUT permit {n}", f" match {version} address prefix-list LOOPBACKS", "exit", "!"]
    return lines


def _bgp(domain: IpDomain, node: IpNode, addresses: Addresses, borders: Sequence[Border]) -> list[str]:
    ours, reflectors = addresses.loopbacks[node.id], reflectors_of(domain)
    reflects = node.id in reflectors
    others = [n.id for n in domain.nodes if n.id != node.id and (reflects or n.id in reflectors)]
    lines = [f"router bgp {domain.asn}", f" bgp router-id {ours.ipv4}", " bgp log-neighbor-changes"]
    lines += [" no bgp default ipv4-unicast"]
    inside: dict[int, list[tuple[str, bool]]] = {4: [], 6: []}  # neighbours, and whether each is a client
    for name in others:
        loopback = addresses.loopbacks[name]
        for version, address in ((4, str(loopback.ipv4)), (6, str(loopback.ipv6))):
            lines += [f" neighbor {address} remote-as {domain.asn}", f" neighbor {address} description {name}"]
            lines += [f" neighbor {address} update-source lo"]
            inside[version].append((address, reflects and name not in reflectors))
    across: dict[int, list[tuple[str, int]]] = {4: [], 6: []}
    for border in borders:
        far = addresses.ends[border.peer, border.peer_port]
        for version, peer in ((4, str(far.ipv4.ip)), (6, str(far.ipv6.ip))):
            lines += [f" neighbor {peer} remote-as {border.peer_asn}"]
            lines += [f" neighbor {peer} description border to {border.peer}"]
            across[version].append((peer, border.rank))
    lines.append(" !")
    for version, own in ((4, f"{ours.ipv4}/32"), (6, f"{ours.ipv6}/128")):
        lines += _unicast(version, own, inside[version], across[version])
    for version in (4, 6):
        lines += _vpn(version, inside[4])
    return [*lines, "exit", "!"]


def _unicast(
    version: int, own: str, inside: Sequence[tuple[str, bool]], across: Sequence[tuple[str, int]]
) -> list[str]:
    lines = [f" address-family ipv{version} unicast", f"  network {own}"]
    for address, client in inside:
        lines += [f"  neighbor {address} activate", f"  neighbor {address} next-hop-self"]
        lines += [f"  neighbor {address} route-reflector-client"] * client
    for address, rank in across:
        lines += [f"  neighbor {address} activate", f"  neighbor {address} route-map BORDER-{rank} in"]
        lines += [f"  neighbor {address} route-map OUT out"]
    return [*lines, " exit-address-family", " !"]


def _vpn(version: int, inside: Sequence[tuple[str, bool]]) -> list[str]:
    """VPN routes of both families travel over IPv4 sessions, whose next hops LDP has labels for."""
    lines = [f" address-family ipv{version} vpn"]
    for address, client in inside:
        assert ip_address(address).version == 4
        lines += [f"  neighbor {address} activate"]
        lines += [f"  neighbor {address} route-reflector-client"] * client
    return [*lines, " exit-address-family", " !"]


def _bgp_vrf(domain: IpDomain, node: IpNode, vrf: Vrf) -> list[str]:
    lines = [f"router bgp {domain.asn} vrf {vrf.name}", f" bgp router-id {node.router_id}"]
    lines += [" no bgp default ipv4-unicast", " !"]
    for version in (4, 6):
        lines += [f" address-family ipv{version} unicast", "  redistribute connected", "  label vpn export auto"]
        lines += [f"  rd vpn export {node.router_id}:{vrf.number}", f"  rt vpn both {domain.asn}:{vrf.number}"]
        lines += ["  export vpn", "  import vpn", " exit-address-family", " !"]
    return [*lines, "exit", "!"]
