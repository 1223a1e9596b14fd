"""Rendered configuration read back as facts.

Nothing here knows what was intended or planned; a leaf that is missing or wrong becomes a fact that is missing or
wrong. Parsed accesses are kept with their subtree, so that one more access on a plane of a thousand is read alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Any

from controller.network.model import PortRef
from controller.rendering.packed import Packed, opened
from controller.rendering.tree import Step, Tree
from controller.verification.facts import (
    Access,
    Action,
    Circuit,
    CircuitLeg,
    EvenRates,
    Hops,
    Instance,
    Partition,
    Rule,
    Span,
    SteeringEntry,
    Tunnel,
    Vpn,
)

VPNS = ("l3nm:l3vpn-ntw", "l3nm:vpn-services")
TUNNELS = ("te:te", "te:tunnels")
PARTITIONS = ("nw:networks", "nrp:nrp-policies")
MOST_KNOWN = 1 << 18
NO_ACTIONS: dict[str, Action] = {}  # of most accesses
_V4 = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?:/([0-9]{1,2}))?").fullmatch
_ALL_PORTS = (0, 65535)


def entries(tree: Tree | None, name: str) -> Iterator[tuple[tuple[str, ...], Tree]]:
    """Yield (keys, entry) of a list inside a container."""
    for step, value in (tree or {}).items():
        if step.__class__ is tuple and step[0] == name and isinstance(value, dict):
            yield step[1:], value


def below(tree: Tree | None, *steps: Step) -> Tree:
    """Return the container at a path of steps, empty where it is not there."""
    at: Any = tree
    for step in steps:
        if not isinstance(at, dict):
            return {}
        at = at.get(step)
    return at if isinstance(at, dict) else {}


class Ports:
    """Ports by the subtrees that name them: subtrees that say the same are mostly one object, and so are the ports.

    What is remembered of a subtree is kept with it, so that no other can take its identity.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tree, PortRef]] = {}
        self._refs: dict[PortRef, PortRef] = {}

    def hops(self, path: Tree) -> Hops:
        """Return the ports that the explicit hops of a path name, in their order."""
        known, found = self._known, []
        for step, hop in below(path, "te:explicit-route-objects").items():
            if step[0] == "te:route-object-include-exclude" and isinstance(hop, dict):
                named = below(hop, "te:unnumbered-link-hop")
                pair = known.get(id(named))
                found.append(pair[1] if pair is not None else self._read(named))
        return tuple(found)

    def every(self) -> Iterable[PortRef]:
        """Return all ports that were ever named, each the one object that stands for it."""
        return self._refs.values()

    def _read(self, named: Tree) -> PortRef:
        port = self.one(PortRef(text(named, "te:node-id-uri"), text(named, "te:link-tp-id-uri")))
        if named.__class__ is Packed:  # shared by all that name the port; others are made anew whenever one looks
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[id(named)] = (named, port)
        return port

    def one(self, port: PortRef) -> PortRef:
        """Return the one object that stands for all equal ones."""
        return self._refs.setdefault(port, port)


def text(tree: Tree, name: str) -> str:
    value = tree.get(name)
    return value if isinstance(value, str) else ""


def texts(tree: Tree, name: str) -> tuple[str, ...]:
    value = tree.get(name)
    return value if isinstance(value, tuple) else ()


def number(tree: Tree, name: str) -> int:
    value = text(tree, name)
    return int(value) if value.lstrip("-").isdigit() else 0


def optional_number(tree: Tree, name: str) -> int | None:
    return number(tree, name) if name in tree else None


def span(prefix: str) -> Span | None:
    """Return the addresses that a prefix covers; None where it is none."""
    found = _V4(prefix)
    if found is not None:  # by far the most, and ten times as quick as the general way
        a, b, c, d, length = map(int, found.groups("32"))
        if a < 256 and b < 256 and c < 256 and d < 256 and length <= 32:
            bits = 32 - length
            first = (a << 24 | b << 16 | c << 8 | d) >> bits << bits
            return 4, first, first + (1 << bits) - 1
    try:
        network = ip_network(prefix, strict=False)
    except ValueError:
        return None
    return network.version, int(network.network_address), int(network.broadcast_address)


def rate_bps(generic: str) -> int:
    """Return a TE bandwidth (float32 in hex, bytes/s; RFC 8776 `te-bandwidth`) as bit/s, nearest Mbit/s if close."""
    try:
        bps = float.fromhex(generic) * 8
        nearest = round(bps / 1e6) * 10**6
    except (ValueError, OverflowError):
        return 0
    return nearest if abs(bps - nearest) <= nearest * 2**-23 else int(bps)


def vpn(domain: str, tree: Tree, known: Vpn | None) -> Vpn:
    """Read one vpn-service; accesses whose subtree has not changed are taken from `known`."""
    source, tree = tree, opened(tree)
    vpn_id = text(tree, "l3nm:vpn-id")
    targets = {
        keys[0]: _targets(profile)
        for keys, profile in entries(below(tree, "l3nm:vpn-instance-profiles"), "l3nm:vpn-instance-profile")
    }
    instances: dict[tuple[str, str], Instance] = {}
    accesses: dict[str, Access] = {}
    steering: dict[tuple[str, str, str], SteeringEntry] = {}
    before = below(known.source, "l3nm:vpn-nodes") if known is not None else {}
    for keys, packed_node in entries(below(tree, "l3nm:vpn-nodes"), "l3nm:vpn-node"):
        node, old_node = opened(packed_node), below(before, ("l3nm:vpn-node", *keys))
        stood = below(old_node, "l3nm:vpn-network-accesses") if known is not None else {}
        same = old_node is packed_node
        ne = text(node, "l3nm:ne-id")
        active = _active(node)
        for profile, rd in active.items():
            imports, exports = targets.get(profile, (frozenset(), frozenset()))
            instances[ne, profile] = Instance(domain, vpn_id, ne, profile, rd, imports, exports)
        default = next(iter(active)) if len(active) == 1 else ""
        for (access_id,), entry in entries(below(node, "l3nm:vpn-network-accesses"), "l3nm:vpn-network-access"):
            unchanged = same or (known is not None and stood.get(("l3nm:vpn-network-access", access_id)) == entry)
            old = _still(known.accesses.get(access_id), entry, ne, default) if known is not None and unchanged else None
            accesses[access_id] = old or _access(domain, vpn_id, ne, default, access_id, opened(entry))
        steering.update(_steering(ne, node))
    return Vpn(vpn_id, domain, instances, accesses, steering, source)


def _still(old: Access | None, entry: Tree, node: str, default_profile: str) -> Access | None:
    """Return an access whose subtree is the same, unless what it takes from around it is another."""
    if old is None or old.node != node:
        return None
    return old if "l3nm:vpn-instance-profile" in entry or old.profile == default_profile else None


def _active(node: Tree) -> dict[str, str]:
    """Return the profiles that a node activates, with their route distinguishers."""
    listed = entries(below(node, "l3nm:active-vpn-instance-profiles"), "l3nm:vpn-instance-profile")
    return {keys[0]: text(entry, "l3nm:rd") for keys, entry in listed}


def _steering(ne: str, node: Tree) -> Iterator[tuple[tuple[str, str, str], SteeringEntry]]:
    for keys, entry in entries(node, "oc:steering"):
        drop = text(entry, "oc:fallback") == "drop"
        yield (ne, keys[0], keys[1]), SteeringEntry(ne, keys[0], keys[1], texts(entry, "oc:tunnel"), drop)


def _targets(profile: Tree) -> tuple[frozenset[str], frozenset[str]]:
    imports, exports = set(), set()
    for _, family in entries(profile, "l3nm:address-family"):
        for _, target in entries(below(family, "l3nm:vpn-targets"), "l3nm:vpn-target"):
            values = {keys[0] for keys, _ in entries(target, "l3nm:route-targets")}
            kind = text(target, "l3nm:route-target-type")
            if kind in ("import", "both"):
                imports |= values
            if kind in ("export", "both"):
                exports |= values
    taken, given = frozenset(imports), frozenset(exports)
    return taken, taken if given == taken else given


def _access(domain: str, vpn_id: str, node: str, default_profile: str, access_id: str, entry: Tree) -> Access:
    connection = below(entry, "l3nm:ip-connection")
    ip = below(connection, "l3nm:ipv4") or below(connection, "l3nm:ipv6")
    customer = next((text(a, "l3nm:customer-address") for _, a in entries(ip, "l3nm:address")), "")
    address, length = text(ip, "l3nm:local-address"), number(ip, "l3nm:prefix-length")
    lans, bgp, routing_profiles = _routing(entry)
    service = below(entry, "l3nm:service")
    qos = below(service, "l3nm:qos")
    rank = (2 if "border-secondary" in routing_profiles else 1) if bgp else 0
    return Access(
        id=access_id,
        vpn=vpn_id,
        domain=domain,
        node=node,
        where=PortRef(node, text(entry, "l3nm:interface-id")),
        vlan=number(below(entry, "l3nm:connection", "l3nm:encapsulation", "l3nm:dot1q"), "l3nm:cvlan-id"),
        profile=text(entry, "l3nm:vpn-instance-profile") or default_profile,
        address=address,
        prefix_len=length,
        customer=customer,
        subnet=span(f"{address}/{length}"),
        lans=lans,
        spans=tuple(s for s in (span(lan) for lan, _ in lans) if s is not None),
        local_as=text(bgp, "l3nm:local-as"),
        peer_as=text(bgp, "l3nm:peer-as"),
        neighbour=next(iter(texts(bgp, "l3nm:neighbor")), text(bgp, "l3nm:neighbor")),
        rank=rank,
        to_site_bps=number(service, "l3nm:pe-to-ce-bandwidth"),
        from_site_bps=number(service, "l3nm:ce-to-pe-bandwidth"),
        qos_profiles=tuple(k[0] for k, _ in entries(below(qos, "l3nm:qos-profile"), "l3nm:qos-profile")),
        routing_profiles=routing_profiles,
        rules=tuple(_rule(r) for _, r in entries(below(qos, "l3nm:qos-classification-policy"), "l3nm:rule")),
        actions=dict(_action(a) for _, a in entries(below(qos, "l3nm:qos-action"), "l3nm:rule")) or NO_ACTIONS,
    )


def _routing(entry: Tree) -> tuple[tuple[tuple[str, str], ...], Tree, tuple[str, ...]]:
    """Return static routes as (prefix, next hop), the BGP session, and the names of routing profiles."""
    lans: list[tuple[str, str]] = []
    bgp: Tree = {}
    names: list[str] = []
    for _, protocol in entries(below(entry, "l3nm:routing-protocols"), "l3nm:routing-protocol"):
        prefixes = below(protocol, "l3nm:static", "l3nm:cascaded-lan-prefixes")
        for family in ("l3nm:ipv4-lan-prefixes", "l3nm:ipv6-lan-prefixes"):
            lans += [(keys[0], keys[1]) for keys, _ in entries(prefixes, family)]
        bgp = below(protocol, "l3nm:bgp") or bgp
        names += [keys[0] for keys, _ in entries(protocol, "l3nm:routing-profiles")]
    return tuple(lans), bgp, tuple(names)


def _rule(rule: Tree) -> Rule:
    match = below(rule, "l3nm:ipv4") or below(rule, "l3nm:ipv6")
    ports = {"source": _ALL_PORTS, "destination": _ALL_PORTS}
    for transport in ("l3nm:tcp", "l3nm:udp"):
        for side in ports:
            found = below(rule, transport, f"l3nm:{side}-port-range-or-operator")
            if found:
                low = number(found, "l3nm:lower-port")
                ports[side] = (low, number(found, "l3nm:upper-port") if "l3nm:upper-port" in found else low)
    networks = {}
    for side in ports:
        prefix = text(match, f"l3nm:{side}-ipv4-network") or text(match, f"l3nm:{side}-ipv6-network")
        networks[side] = span(prefix) if prefix else None
    return Rule(
        text(rule, "l3nm:id"),
        text(match, "l3nm:protocol"),
        networks["source"],
        networks["destination"],
        ports["source"],
        ports["destination"],
        text(rule, "l3nm:target-class-id"),
    )


def _action(rule: Tree) -> tuple[str, Action]:
    return text(rule, "l3nm:target-class-id"), Action(
        _share(text(rule, "l3nm:inbound-rate-limit")),
        _share(text(rule, "l3nm:outbound-rate-limit")),
        optional_number(rule, "oc:queue"),
        optional_number(rule, "oc:mark-dscp"),
        optional_number(rule, "oc:committed-rate"),
    )


def _share(percent: str) -> float:
    try:
        return float(percent) / 100
    except ValueError:
        return 0.0


def tunnel(domain: str, tree: Tree, ports: Ports) -> Tunnel:
    """Read one TE tunnel with the hops that its domain would follow."""
    tree = opened(tree)
    second, first = below(tree, "te:secondary-paths"), below(tree, "te:primary-paths")
    standby = next((ports.hops(path) for _, path in entries(second, "te:secondary-path")), None)
    working = next((ports.hops(path) for _, path in entries(first, "te:primary-path")), ())
    return Tunnel(
        text(tree, "te:name"),
        domain,
        text(below(tree, "te:source"), "te:node-id"),
        text(below(tree, "te:destination"), "te:node-id"),
        rate_bps(text(below(tree, "te:te-bandwidth"), "te:generic")),
        working,
        standby,
        optional_number(tree, "oc:nrp-id"),
    )


def partition(domain: str, tree: Tree) -> Partition:
    """Read one NRP: the links it takes from, and how much: a group's own rate before the policy's."""
    tree = opened(tree)
    whole = number(below(tree, "nrp:resource-reservation"), "nrp:maximum-bandwidth")
    rates: dict[str, int] = {}
    for _, group in entries(below(tree, "nrp:topology", "nrp:select"), "nrp:topology-group"):
        own = optional_number(below(group, "nrp:resource-reservation"), "nrp:maximum-bandwidth")
        rate = whole if own is None else own
        rates.update([(step[1], rate) for step in group if step[0] == "nrp:link"])
    values = set(rates.values())
    even = EvenRates(tuple(rates), values.pop()) if len(values) == 1 else rates
    return Partition(text(tree, "nrp:name"), domain, number(tree, "nrp:nrp-id"), even)


def circuit(domain: str, tree: Tree) -> Circuit:
    """Read one optical circuit."""
    tree = opened(tree)
    ends = (
        (text(tree, "opt:a-port"), number(tree, "opt:a-vlan")),
        (text(tree, "opt:z-port"), number(tree, "opt:z-vlan")),
    )
    protect = _leg(below(tree, "opt:protect")) if "opt:protect" in tree else None
    return Circuit(
        text(tree, "opt:id"),
        domain,
        text(tree, "opt:owner"),
        ends,
        text(tree, "opt:layer"),
        number(tree, "opt:rate-bps"),
        text(tree, "opt:odu"),
        _leg(below(tree, "opt:working")),
        protect,
        text(tree, "opt:protect-shared") == "true",
    )


def _leg(leg: Tree) -> CircuitLeg:
    per_hop = tuple(tuple(int(s) for s in hop.split(",") if s.isdigit()) for hop in texts(leg, "opt:slots"))
    return CircuitLeg(texts(leg, "opt:route"), number(leg, "opt:channel"), per_hop)
