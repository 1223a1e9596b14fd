"""Rendered configuration read back as facts.

Nothing here knows what was intended or planned; a leaf that is missing or wrong becomes a fact that is missing or
wrong. What has
not changed is not read again: one more access on a plane of a thousand is read alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from controller.network.model import PortRef
from controller.rendering.packed import Packed, opened
from controller.rendering.tree import Step, Tree
from controller.verification.accesses import ACCESS_LEAVES, COUNTS, FIRST_COUNT, access_leaves, access_of, admin_status
from controller.verification.facts import (
    Access,
    Circuit,
    CircuitLeg,
    EvenRates,
    Hops,
    Instance,
    LitDirection,
    Partition,
    SteeringEntry,
    Tunnel,
    Vpn,
)
from controller.verification.reading import (
    Leaves,
    below,
    entries,
    named_steps,
    number,
    rate_bps,
    steps,
    text,
    texts,
    whole,
)

VPNS = ("l3nm:l3vpn-ntw", "l3nm:vpn-services")
TUNNELS = ("te:te", "te:tunnels")
PARTITIONS = ("nw:networks", "nrp:nrp-policies")
NETWORKS = ("nw:networks",)
MOST_KNOWN = 1 << 18
_HOLD, _LAST = "te:hold-priority", 7  # the schema's default


class Ports:
    """Ports by the subtrees that name them; packed, one subtree stands for all that name a port.

    What is remembered of a subtree is kept with it, so that no other can take its identity.
    """

    def __init__(self) -> None:
        self._known: dict[int, PortRef] = {}
        self._kept: list[Tree] = []
        self._refs: dict[PortRef, PortRef] = {}

    def hops(self, names: Sequence[Tree]) -> Hops:
        """Return the ports that these subtrees name, in their order."""
        known = self._known
        try:
            return tuple([known[id(named)] for named in names])
        except KeyError:
            return tuple([known.get(id(named)) or self._read(named) for named in names])

    def every(self) -> Iterable[PortRef]:
        """Return all ports that were ever named, each the one object that stands for it."""
        return self._refs.values()

    def _read(self, named: Tree) -> PortRef:
        port = PortRef(text(named, "te:node-id-uri"), text(named, "te:link-tp-id-uri"))
        port = self._refs.setdefault(port, port)
        if isinstance(named, Packed):  # others are made anew whenever somebody looks
            if len(self._kept) >= MOST_KNOWN:
                self._known.clear()
                self._kept.clear()
            self._known[id(named)] = port
            self._kept.append(named)
        return port


def vpn(domain: str, tree: Tree, known: Vpn | None) -> Vpn:
    """Read one vpn-service; accesses that have not changed are those of `known`."""
    flat = _VPN.of(tree)
    same = _unmoved(tree, known.source) if known is not None else frozenset()
    vpn_id, at = flat[0], 3
    if not _in_service(flat[1]):
        return Vpn(vpn_id, domain, {}, {}, {}, tree)
    targets: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
    for _ in range(flat[2]):
        targets[flat[at][1]], at = _targets_of(flat, at + 1)
    instances: dict[tuple[str, str], Instance] = {}
    accesses: dict[str, Access] = {}
    steering: dict[tuple[str, str, str], SteeringEntry] = {}
    count, at = flat[at], at + 1
    for _ in range(count):
        step, ne, serves, active, at = flat[at], flat[at + 1], _in_service(flat[at + 2]), flat[at + 3], at + 4
        for profile, rd in zip(flat[at : at + 2 * active : 2], flat[at + 1 : at + 2 * active : 2], strict=True):
            taken, given = targets.get(profile[1], (frozenset(), frozenset()))
            if serves:
                instances[ne, profile[1]] = Instance(domain, vpn_id, ne, profile[1], rd, taken, given)
        default, at = flat[at][1] if active == 1 else "", at + 2 * active
        count, at = flat[at], at + 1
        for _ in range(count):
            old = known.accesses.get(flat[at][1]) if known is not None else None
            if old is not None and step in same and old.node == ne and (flat[at + 3] or old.profile == default):
                found = old
            else:
                found = access_of(domain, vpn_id, ne, default, flat, at)
            if serves and _in_service(flat[at + ACCESS_LEAVES - 1]):
                accesses[found.id] = old if old is not None and old == found else found
            at += ACCESS_LEAVES + sum(flat[at + FIRST_COUNT : at + FIRST_COUNT + COUNTS])
        count, at = flat[at], at + 1
        for keys, tunnels, fallback in zip(*(flat[at + i : at + 3 * count : 3] for i in range(3)), strict=True):
            if serves:
                steering[ne, keys[1], keys[2]] = SteeringEntry(ne, keys[1], keys[2], tunnels, fallback == "drop")
        at += 3 * count
    return Vpn(vpn_id, domain, instances, accesses, steering, tree)


def _in_service(status: str) -> bool:
    """Whether a service, node or access with this administrative status serves anybody; one that says none does."""
    return not status or status.endswith("admin-up")


def _unmoved(tree: Tree, source: Tree) -> frozenset[Step]:
    """Return the nodes of a large VPN, packed one by one, that stood there before."""
    before = below(source, "l3nm:vpn-nodes")
    nodes = below(tree, "l3nm:vpn-nodes").items()
    return frozenset(step for step, node in nodes if isinstance(node, Packed) and before.get(step) is node)


def _vpn_leaves(tree: Tree) -> list[Any]:
    """Find: id, status; profiles: step, targets: kind, values; nodes. Before what there may be many of, how many."""
    profiles = list(steps(below(tree, "l3nm:vpn-instance-profiles"), "l3nm:vpn-instance-profile"))
    out: list[Any] = [text(tree, "l3nm:vpn-id"), admin_status(tree), len(profiles)]
    for step, profile in profiles:
        families = [family for _, family in entries(profile, "l3nm:address-family")]
        targets = [t for family in families for _, t in entries(below(family, "l3nm:vpn-targets"), "l3nm:vpn-target")]
        out += (step, len(targets))
        for target in targets:
            values = [value for value, _ in steps(target, "l3nm:route-targets")]
            out += (text(target, "l3nm:route-target-type"), len(values), *values)
    nodes = list(steps(below(tree, "l3nm:vpn-nodes"), "l3nm:vpn-node"))
    out.append(len(nodes))
    for step, node in nodes:
        out.append(step)
        out += _NODE.of(node) if isinstance(node, Packed) else _node_leaves(node)
    return out


def _node_leaves(node: Tree) -> list[Any]:
    """Find: node, status; profiles: step, distinguisher; accesses; steering: step, tunnels, what if none is up."""
    active = list(steps(below(node, "l3nm:active-vpn-instance-profiles"), "l3nm:vpn-instance-profile"))
    out: list[Any] = [text(node, "l3nm:ne-id"), admin_status(node), len(active)]
    for step, profile in active:
        out += (step, text(profile, "l3nm:rd"))
    accesses = list(steps(below(node, "l3nm:vpn-network-accesses"), "l3nm:vpn-network-access"))
    out.append(len(accesses))
    for step, access in accesses:
        out += access_leaves(step, opened(access))
    steering = list(steps(node, "oc:steering"))
    out.append(len(steering))
    for step, entry in steering:
        out += (step, texts(entry, "oc:tunnel"), text(entry, "oc:fallback"))
    return out


def _targets_of(flat: Sequence[Any], at: int) -> tuple[tuple[frozenset[str], frozenset[str]], int]:
    """Return what a profile imports and exports, and where its leaves end."""
    taken, given = set[str](), set[str]()
    count, at = flat[at], at + 1
    for _ in range(count):
        kind, end = flat[at], at + 2 + flat[at + 1]
        values = {step[1] for step in flat[at + 2 : end]}
        taken |= values if kind in ("import", "both") else set()
        given |= values if kind in ("export", "both") else set()
        at = end
    imports, exports = frozenset(taken), frozenset(given)
    return (imports, imports if exports == imports else exports), at


def tunnel(domain: str, tree: Tree, ports: Ports) -> Tunnel:
    """Read one TE tunnel with the hops that its domain would follow."""
    name, src, dst, generic, partition_id, guarded, second, switched_to, idle, *rest = _TUNNEL.of(tree)
    held, (length, *hops) = rest[:3], rest[3:]
    guarding = guarded and second == switched_to
    return Tunnel(
        name,
        domain,
        src,
        dst,
        rate_bps(generic),
        ports.hops(hops[:length]),
        ports.hops(hops[length:]) if guarding else None,
        whole(partition_id) if partition_id is not None else None,
        guarded and not guarding,
        max(_LAST if priority is None else whole(priority) for priority in held),
        whole(idle) if guarding else 0,
    )


def _tunnel_leaves(tree: Tree) -> list[Any]:
    second, first = below(tree, "te:secondary-paths"), below(tree, "te:primary-paths")
    spare: Tree = next((path for _, path in entries(second, "te:secondary-path")), {})
    primary: Tree = next((path for _, path in entries(first, "te:primary-path")), {})
    named = entries(below(primary, "te:candidate-secondary-paths"), "te:candidate-secondary-path")
    candidate: Tree = next((one for _, one in named), {})
    standby, working = _hops(spare) if spare else None, _hops(primary)
    paths = (primary, spare)
    return [
        text(tree, "te:name"),
        text(below(tree, "te:source"), "te:node-id"),
        text(below(tree, "te:destination"), "te:node-id"),
        text(below(tree, "te:te-bandwidth"), "te:generic"),
        text(tree, "oc:nrp-id") if "oc:nrp-id" in tree else None,
        standby is not None,
        text(spare, "te:name"),
        text(candidate, "te:secondary-path"),
        text(below(tree, "te:protection"), "te:hold-off-time"),
        text(tree, _HOLD) if _HOLD in tree else None,
        *(text(path, _HOLD) if _HOLD in path else None if _HOLD not in tree else text(tree, _HOLD) for path in paths),
        len(working),
        *working,
        *(standby or ()),
    ]


def _hops(path: Tree) -> list[Tree]:
    """Return what names the ports of a path's explicit hops, in their order."""
    listed = entries(below(path, "te:explicit-route-objects"), "te:route-object-include-exclude")
    return [below(hop, "te:unnumbered-link-hop") for _, hop in listed]


def partition(domain: str, tree: Tree) -> Partition:
    """Read one NRP: the links it takes from, and how much: a group's own rate before the policy's."""
    name, number_of, common, groups, *rest = _PARTITION.of(tree)
    rates: dict[str, int] = {}
    values, at = set(), 0
    for _ in range(groups):
        own, end = rest[at], at + 2 + rest[at + 1]
        rate = whole(common if own is None else own)
        rates.update(dict.fromkeys([step[1] for step in rest[at + 2 : end]], rate))
        at = end
        values.add(rate)
    even = EvenRates(tuple(rates), values.pop()) if len(values) == 1 and rates else rates
    return Partition(name, domain, whole(number_of), even)


def _partition_leaves(tree: Tree) -> list[Any]:
    listed = entries(below(tree, "nrp:topology", "nrp:select"), "nrp:topology-group")
    groups = [group for _, group in listed]
    common = text(below(tree, "nrp:resource-reservation"), "nrp:maximum-bandwidth")
    out: list[Any] = [text(tree, "nrp:name"), text(tree, "nrp:nrp-id"), common, len(groups)]
    for group in groups:
        own, links = below(group, "nrp:resource-reservation"), named_steps(group, "nrp:link")
        given = text(own, "nrp:maximum-bandwidth") if "nrp:maximum-bandwidth" in own else None
        out += (given, len(links), *links)
    return out


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
        text(tree, "opt:mode"),
    )


def lit_direction(domain: str, network: str, tree: Tree) -> LitDirection:
    """Read one direction of an IP link that is lit. What is not said is 0 or empty, which no check takes for good."""
    te = below(tree, "tet:te", "tet:te-link-attributes")
    rate = text(below(te, "tet:max-resv-link-bandwidth", "tet:te-bandwidth"), "tet:generic")
    src, dst = below(tree, "nt:source"), below(tree, "nt:destination")
    return LitDirection(
        text(tree, "nt:link-id"), domain, network, PortRef(text(src, "nt:source-node"), text(src, "nt:source-tp")),
        PortRef(text(dst, "nt:dest-node"), text(dst, "nt:dest-tp")), rate_bps(rate),
        min(number(te, "tet:te-default-metric"), number(te, "tet:te-igp-metric")),
        number(te, "tet:te-delay-metric") * 1e-6,
        frozenset(whole(value) for value in texts(below(te, "tet:te-srlgs"), "tet:value")),
    )  # fmt: skip


def _leg(leg: Tree) -> CircuitLeg:
    per_hop = tuple(tuple(int(s) for s in hop.split(",") if s.isdigit()) for hop in texts(leg, "opt:slots"))
    return CircuitLeg(texts(leg, "opt:route"), number(leg, "opt:channel"), per_hop)


_VPN, _NODE = Leaves(_vpn_leaves), Leaves(_node_leaves)
_TUNNEL, _PARTITION = Leaves(_tunnel_leaves), Leaves(_partition_leaves)
