"""Rendered configuration read back as facts: what a domain would do with it, in the domain's terms.

Nothing here knows what was intended or planned; a leaf that is missing or wrong becomes a fact that is missing or
wrong. Parsed accesses are kept by the identity of their subtree, so that one more access on a plane of a thousand
costs one access.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.network.model import PortRef
from controller.rendering.tree import Step, Tree

VPNS = ("l3nm:l3vpn-ntw", "l3nm:vpn-services")
TUNNELS = ("te:te", "te:tunnels")
PARTITIONS = ("nw:networks", "nrp:nrp-policies")


@dataclass(frozen=True, slots=True)
class Rule:
    """One classification rule, in the order in which it is tried."""

    id: str
    protocol: str
    source: str
    destination: str
    ports: tuple[str, str, str]  # "source" | "destination" | "", lower, upper
    target: str


@dataclass(frozen=True, slots=True)
class Access:
    """One VPN access: the interface and VLAN it owns, and the routes that it brings."""

    id: str
    vpn: str
    domain: str
    node: str
    port: str
    vlan: int
    profile: str
    address: str
    prefix_len: int
    customer: str
    lans: tuple[tuple[str, str], ...]  # (prefix, next hop)
    local_as: str
    peer_as: str
    neighbour: str
    rank: int  # 1 border-primary, 2 border-secondary, 0 not BGP
    to_site_bps: int
    from_site_bps: int
    rules: tuple[Rule, ...]
    actions: frozenset[str]  # target classes that have an action

    @property
    def where(self) -> PortRef:
        return PortRef(self.node, self.port)


@dataclass(frozen=True, slots=True)
class Instance:
    """A routing instance (VRF): one profile of one VPN on one node."""

    domain: str
    vpn: str
    node: str
    profile: str
    imports: frozenset[str]
    exports: frozenset[str]


@dataclass(frozen=True, slots=True)
class SteeringEntry:
    node: str
    remote: str
    target: str
    tunnels: tuple[str, ...]
    drop: bool


@dataclass(frozen=True, slots=True)
class Vpn:
    """One vpn-service in one domain."""

    id: str
    domain: str
    instances: Mapping[tuple[str, str], Instance]  # (node, profile)
    accesses: Mapping[str, Access]
    steering: tuple[SteeringEntry, ...]
    nodes: frozenset[str]
    subtrees: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tunnel:
    name: str
    domain: str
    src: str
    dst: str
    rate_text: str
    working: tuple[PortRef, ...]
    standby: tuple[PortRef, ...] | None
    partition: int | None


@dataclass(frozen=True, slots=True)
class Partition:
    name: str
    domain: str
    nrp_id: int
    rate_bps: int
    links: frozenset[str]


@dataclass(frozen=True, slots=True)
class CircuitLeg:
    route: tuple[str, ...]
    channel: int
    slots: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Circuit:
    id: str
    domain: str
    owner: str
    ends: tuple[tuple[str, int], tuple[str, int]]  # (client port, VLAN; 0 the whole port)
    layer: str
    rate_bps: int
    odu: str
    working: CircuitLeg
    protect: CircuitLeg | None


def entries(tree: Tree | None, name: str) -> Iterator[tuple[tuple[str, ...], Tree]]:
    """Yield (keys, entry) of a list inside a container."""
    for step, value in (tree or {}).items():
        if isinstance(step, tuple) and step[0] == name and isinstance(value, dict):
            yield step[1:], value


def below(tree: Tree | None, *steps: Step) -> Tree:
    """Return the container at a path of steps, empty where it is not there."""
    at: Any = tree
    for step in steps:
        at = at.get(step) if isinstance(at, dict) else None
    return at if isinstance(at, dict) else {}


def text(tree: Tree, name: str) -> str:
    value = tree.get(name)
    return value if isinstance(value, str) else ""


def number(tree: Tree, name: str) -> int:
    value = text(tree, name)
    return int(value) if value.lstrip("-").isdigit() else 0


def vpn(domain: str, tree: Tree, known: Vpn | None) -> Vpn:
    """Read one vpn-service; accesses whose subtree is the very same object are taken from `known`."""
    vpn_id = text(tree, "l3nm:vpn-id")
    targets = {
        keys[0]: _targets(profile)
        for keys, profile in entries(below(tree, "l3nm:vpn-instance-profiles"), "l3nm:vpn-instance-profile")
    }
    instances: dict[tuple[str, str], Instance] = {}
    accesses: dict[str, Access] = {}
    subtrees: dict[str, object] = {}
    steering: list[SteeringEntry] = []
    nodes = set()
    for (_,), node in entries(below(tree, "l3nm:vpn-nodes"), "l3nm:vpn-node"):
        ne = text(node, "l3nm:ne-id")
        nodes.add(ne)
        active = [
            k[0] for k, _ in entries(below(node, "l3nm:active-vpn-instance-profiles"), "l3nm:vpn-instance-profile")
        ]
        for profile in active:
            imports, exports = targets.get(profile, (frozenset(), frozenset()))
            instances[ne, profile] = Instance(domain, vpn_id, ne, profile, imports, exports)
        default = active[0] if len(active) == 1 else ""
        for (access_id,), entry in entries(below(node, "l3nm:vpn-network-accesses"), "l3nm:vpn-network-access"):
            subtrees[access_id] = entry
            old = (
                known.accesses.get(access_id) if known is not None and known.subtrees.get(access_id) is entry else None
            )
            accesses[access_id] = old or _access(domain, vpn_id, ne, default, access_id, entry)
        for keys, entry in entries(node, "oc:steering"):
            tunnels = entry.get("oc:tunnel", ())
            steering.append(
                SteeringEntry(
                    ne,
                    keys[0],
                    keys[1],
                    tunnels if isinstance(tunnels, tuple) else (),
                    text(entry, "oc:fallback") == "drop",
                )
            )
    return Vpn(vpn_id, domain, instances, accesses, tuple(steering), frozenset(nodes), subtrees)


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
    return frozenset(imports), frozenset(exports)


def _access(domain: str, vpn_id: str, node: str, default_profile: str, access_id: str, entry: Tree) -> Access:
    ip = below(entry, "l3nm:ip-connection", "l3nm:ipv4")
    customer = next((text(a, "l3nm:customer-address") for _, a in entries(ip, "l3nm:address")), "")
    lans: list[tuple[str, str]] = []
    local_as = peer_as = neighbour = ""
    rank = 0
    for _, protocol in entries(below(entry, "l3nm:routing-protocols"), "l3nm:routing-protocol"):
        prefixes = below(protocol, "l3nm:static", "l3nm:cascaded-lan-prefixes")
        for family in ("l3nm:ipv4-lan-prefixes", "l3nm:ipv6-lan-prefixes"):
            lans += [(keys[0], keys[1]) for keys, _ in entries(prefixes, family)]
        bgp = below(protocol, "l3nm:bgp")
        if bgp:
            local_as, peer_as = text(bgp, "l3nm:local-as"), text(bgp, "l3nm:peer-as")
            near = bgp.get("l3nm:neighbor", ())
            neighbour = near if isinstance(near, str) else near[0] if isinstance(near, tuple) and near else ""
            names = [k[0] for k, _ in entries(protocol, "l3nm:routing-profiles")]
            rank = 2 if "border-secondary" in names else 1
    service = below(entry, "l3nm:service")
    qos = below(service, "l3nm:qos")
    rules = tuple(_rule(r) for _, r in entries(below(qos, "l3nm:qos-classification-policy"), "l3nm:rule"))
    actions = frozenset(text(a, "l3nm:target-class-id") for _, a in entries(below(qos, "l3nm:qos-action"), "l3nm:rule"))
    return Access(
        id=access_id,
        vpn=vpn_id,
        domain=domain,
        node=node,
        port=text(entry, "l3nm:interface-id"),
        vlan=number(below(entry, "l3nm:connection", "l3nm:encapsulation", "l3nm:dot1q"), "l3nm:cvlan-id"),
        profile=text(entry, "l3nm:vpn-instance-profile") or default_profile,
        address=text(ip, "l3nm:local-address"),
        prefix_len=number(ip, "l3nm:prefix-length"),
        customer=customer,
        lans=tuple(lans),
        local_as=local_as,
        peer_as=peer_as,
        neighbour=neighbour,
        rank=rank,
        to_site_bps=number(service, "l3nm:pe-to-ce-bandwidth"),
        from_site_bps=number(service, "l3nm:ce-to-pe-bandwidth"),
        rules=rules,
        actions=actions,
    )


def _rule(rule: Tree) -> Rule:
    match = below(rule, "l3nm:ipv4") or below(rule, "l3nm:ipv6")
    ports = ("", "", "")
    for transport in ("l3nm:tcp", "l3nm:udp"):
        for side in ("source", "destination"):
            span = below(rule, transport, f"l3nm:{side}-port-range-or-operator")
            if span:
                ports = (side, text(span, "l3nm:lower-port"), text(span, "l3nm:upper-port"))
    source = text(match, "l3nm:source-ipv4-network") or text(match, "l3nm:source-ipv6-network")
    destination = text(match, "l3nm:destination-ipv4-network") or text(match, "l3nm:destination-ipv6-network")
    return Rule(
        text(rule, "l3nm:id"),
        text(match, "l3nm:protocol"),
        source,
        destination,
        ports,
        text(rule, "l3nm:target-class-id"),
    )


def tunnel(domain: str, tree: Tree) -> Tunnel:
    """Read one TE tunnel with the hops that its domain would follow."""
    standby = next((_hops(path) for _, path in entries(below(tree, "te:secondary-paths"), "te:secondary-path")), None)
    working = next((_hops(path) for _, path in entries(below(tree, "te:primary-paths"), "te:primary-path")), ())
    partition = text(tree, "oc:nrp-id")
    return Tunnel(
        text(tree, "te:name"),
        domain,
        text(below(tree, "te:source"), "te:node-id"),
        text(below(tree, "te:destination"), "te:node-id"),
        text(below(tree, "te:te-bandwidth"), "te:generic"),
        working,
        standby,
        int(partition) if partition else None,
    )


def _hops(path: Tree) -> tuple[PortRef, ...]:
    hops = []
    for _, hop in entries(below(path, "te:explicit-route-objects"), "te:route-object-include-exclude"):
        link = below(hop, "te:unnumbered-link-hop")
        hops.append(PortRef(text(link, "te:node-id-uri"), text(link, "te:link-tp-id-uri")))
    return tuple(hops)


def partition(domain: str, tree: Tree) -> Partition:
    """Read one NRP: the links it takes from, and how much."""
    links: set[str] = set()
    for _, group in entries(below(tree, "nrp:topology", "nrp:select"), "nrp:topology-group"):
        links |= {keys[0] for keys, _ in entries(group, "nrp:link")}
    rate = number(below(tree, "nrp:resource-reservation"), "nrp:maximum-bandwidth")
    return Partition(text(tree, "nrp:name"), domain, number(tree, "nrp:nrp-id"), rate, frozenset(links))


def circuit(domain: str, tree: Tree) -> Circuit:
    """Read one optical circuit."""
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
    )


def _leg(leg: Tree) -> CircuitLeg:
    route, slots = leg.get("opt:route", ()), leg.get("opt:slots", ())
    per_hop = tuple(tuple(int(s) for s in hop.split(",") if s) for hop in slots) if isinstance(slots, tuple) else ()
    return CircuitLeg(route if isinstance(route, tuple) else (), number(leg, "opt:channel"), per_hop)
