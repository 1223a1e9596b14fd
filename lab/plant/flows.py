"""Which packets stand for the traffic of a VPN, and where they went.

Every site access sends to each peer that it is promised: all others of its VPN; hub and spoke meet; where circuits
are named `<vpn>/<a>-<z>` those pairs. From more than 50 accesses on each sends to the hub, or to three others picked
by position, so that 1,300 accesses are 3,900 walks and not 1.7 million. Each class that an access sorts out sends
what its own rules describe, up to three of them. Between two hosts that are sorted out by their addresses both
directions are measured for each, class by class, without more traffic for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from lab.plant.forwarding import Forwarding
from lab.plant.units import Access, Address, Prefix, Rule, covers, first_host
from lab.plant.walk import Packet, Walk, walk

ALL_PAIRS_UP_TO = 50
SAMPLED_PEERS = 3
DEFAULT_PORT = 9  # discard: matches nobody's classification


@dataclass(frozen=True, slots=True)
class Flow:
    """Traffic from an access to one peer; `target` "" is the unclassified rest. `way` says where it went."""

    source: Access
    target: str
    peers: int  # how many flows share the offered traffic of this access and class
    ok: bool
    way: Walk
    # The host that this flow measures and carries nothing for, "<address>/sent" or "<address>/heard"; "": it carries.
    host: str = ""


def flows_of(forwarding: Forwarding, vpn: str) -> list[Flow]:
    """Walk everything that stands for one VPN."""
    roles = forwarding.physical.port_role
    members = forwarding.by_vpn.get(vpn, {})
    sites = [members[k] for k in sorted(members, key=lambda k: (k[1], k[0])) if _is_site(members[k], roles)]
    place = {id(a): n for n, a in enumerate(sites)}
    pairs = promised(forwarding, vpn, sites)
    flows: list[Flow] = []
    for access in sites:
        peers = pairs[place[id(access)]]
        for peer in peers:
            packet = Packet(host_of(access), host_of(peer), 17, DEFAULT_PORT, DEFAULT_PORT)
            way = walk(forwarding, access, packet)
            flows.append(Flow(access, "", len(peers), way.delivered is peer, way))
        flows.extend(_class_flows(forwarding, access, sites))
    return flows + list(_host_flows(forwarding, sites))


def _is_site(access: Access, roles: dict[tuple[str, str], str]) -> bool:
    return roles.get((access.node, access.port), "access") == "access"


def host_of(access: Access) -> Address:
    """Return an address behind the access: in its first LAN, else the customer's own."""
    if access.lans:
        return first_host(access.lans[0][0])
    for _, ours, customer in access.addresses:
        return customer or ours
    return (4, 0)


def promised(forwarding: Forwarding, vpn: str, sites: list[Access]) -> list[list[Access]]:
    """Return the peers of each site, in the order of `sites`."""
    named = _circuit_pairs(forwarding, vpn, sites)
    if named:
        return [[b for b in sites if frozenset((a.id, b.id)) in named] for a in sites]
    hubs = [a for a in sites if _role(forwarding, a) == "hub-role"]
    if hubs:
        spokes = [a for a in sites if a not in hubs]
        return [_sample(spokes, n) if a in hubs else hubs for n, a in enumerate(sites)]
    if len(sites) <= ALL_PAIRS_UP_TO:
        return [[b for b in sites if b is not a] for a in sites]
    size = len(sites)
    steps = (1, size // 3, 2 * size // 3)
    return [[sites[(n + step) % size] for step in steps] for n in range(size)]


def _sample(spokes: list[Access], position: int) -> list[Access]:
    if len(spokes) <= ALL_PAIRS_UP_TO:
        return spokes
    return [spokes[(position + n * len(spokes) // SAMPLED_PEERS) % len(spokes)] for n in range(SAMPLED_PEERS)]


def _role(forwarding: Forwarding, access: Access) -> str:
    return forwarding.vrfs[forwarding.vrf_of[access.domain, access.key]].role


def _circuit_pairs(forwarding: Forwarding, vpn: str, sites: list[Access]) -> set[frozenset[str]]:
    # While a circuit is moved there are two of a pair, and the second is called like the first with .2 behind.
    names = {name.removesuffix(".2") for name in forwarding.physical.circuits.pairs_of.get(vpn, ())}
    if not names:
        return set()
    short = {a.id: a.id.removeprefix(f"{vpn}.") for a in sites}
    return {frozenset((a, b)) for a in short for b in short if f"{short[a]}-{short[b]}" in names}


def _class_flows(forwarding: Forwarding, access: Access, sites: list[Access]) -> Iterator[Flow]:
    by_class: dict[str, list[Rule]] = {}
    for rule in access.rules:
        by_class.setdefault(rule.target, []).append(rule)
    for target, rules in by_class.items():
        packets = [p for rule in rules[:SAMPLED_PEERS] for p in packets_of(access, rule, sites)][:SAMPLED_PEERS]
        for packet in packets:
            way = walk(forwarding, access, packet)
            out = way.delivered
            ok = out is not None and out.vpn == access.vpn
            yield Flow(access, target, len(packets), ok, way)


def packets_of(access: Access, rule: Rule, sites: list[Access]) -> Iterator[Packet]:
    """Make packets that the rule describes; without a destination they go to those who sort out the same class."""
    source = first_host(rule.source) if rule.source is not None else host_of(access)
    if rule.source is not None and rule.source[1] == (32 if source[0] == 4 else 128):
        source = (rule.source[0], rule.source[2])
    protocol = rule.protocol if rule.protocol is not None else 17
    source_port = rule.source_ports[0] if rule.source_ports else DEFAULT_PORT
    port = rule.destination_ports[0] if rule.destination_ports else DEFAULT_PORT
    if rule.destination is not None:
        host = first_host(rule.destination)
        if not any(covers(lan, host) for lan, _ in access.lans):
            yield Packet(source, host, protocol, source_port, port)
        return
    partners = [s for s in sites if s is not access and any(r.target == rule.target for r in s.rules)]
    for partner in partners[:SAMPLED_PEERS]:
        yield Packet(source, host_of(partner), protocol, source_port, port)


def _host_flows(forwarding: Forwarding, sites: list[Access]) -> Iterator[Flow]:
    """Follow both directions between each two hosts that an access sorts out by their addresses, class by class."""
    for access in sites:
        for rule in access.rules:
            near, far = _host(rule.source), _host(rule.destination)
            if near is None or far is None:
                continue
            protocol = rule.protocol if rule.protocol is not None else 17
            port = rule.destination_ports[0] if rule.destination_ports else DEFAULT_PORT
            name = str(IPv4Address(near[1]) if near[0] == 4 else IPv6Address(near[1]))
            way = walk(forwarding, access, Packet(near, far, protocol, DEFAULT_PORT, port))
            yield Flow(access, rule.target, 1, _arrives(way, access), way, f"{name}/sent")
            other = next((s for s in sites if any(covers(lan, far) for lan, _ in s.lans)), None)
            if other is not None:
                back = walk(forwarding, other, Packet(far, near, protocol, port, DEFAULT_PORT))
                yield Flow(other, rule.target, 1, _arrives(back, other), back, f"{name}/heard")


def _arrives(way: Walk, source: Access) -> bool:
    return way.delivered is not None and way.delivered.vpn == source.vpn


def _host(prefix: Prefix | None) -> Address | None:
    """Return the only address of a prefix; None where there are several."""
    if prefix is None or prefix[1] != (32 if prefix[0] == 4 else 128):
        return None
    return prefix[0], prefix[2]
