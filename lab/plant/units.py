"""Configuration units as received on the wire, read into what forwarding needs.

Nothing is filled in that the configuration does not say: a leaf that is missing or wrong is missing or wrong here
too, and the traffic shows it. Node and port ids lose their `node:` and `tp:`; an id without the prefix is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from lab.bandwidth import te_bandwidth_bps

Prefix = tuple[int, int, int]  # IP version, length, network as a number
Address = tuple[int, int]  # IP version, number
Doc = Mapping[str, Any]


@lru_cache(maxsize=65536)
def parse_prefix(text: str) -> Prefix | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return network.version, network.prefixlen, int(network.network_address)


@lru_cache(maxsize=65536)
def parse_address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.version, int(address)


def covers(prefix: Prefix, address: Address) -> bool:
    version, length, network = prefix
    shift = (32 if version == 4 else 128) - length
    return version == address[0] and address[1] >> shift == network >> shift


def first_host(prefix: Prefix) -> Address:
    """Return an address inside the prefix that a host could have."""
    version, length, network = prefix
    return version, network + (1 if length < (31 if version == 4 else 127) else 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """One classification entry; None: any."""

    id: str
    protocol: int | None
    source: Prefix | None
    destination: Prefix | None
    source_ports: tuple[int, int] | None
    destination_ports: tuple[int, int] | None
    target: str


@dataclass(frozen=True, slots=True)
class Action:
    """What a class means on the wire. Rates bit/s or percent of the access's bandwidth."""

    queue: int
    dscp: int | None
    committed_bps: int | None
    inbound_percent: float | None


@dataclass(frozen=True, slots=True)
class Bgp:
    local_as: int
    peer_as: int
    local_address: Address | None
    neighbor: Address | None
    preference: int  # local preference that the routing profile gives


@dataclass(frozen=True, slots=True)
class Access:
    domain: str
    vpn: str
    node: str
    id: str
    port: str
    vlan: int  # 0: untagged
    profile: str
    addresses: tuple[tuple[Prefix, Address, Address | None], ...]  # subnet, ours, customer's
    lans: tuple[tuple[Prefix, Address], ...]  # prefix, next hop
    bgp: Bgp | None
    in_bps: int  # from the site into the network
    out_bps: int
    rules: tuple[Rule, ...]
    actions: Mapping[str, Action]

    @property
    def key(self) -> str:
        return f"{self.vpn}/{self.id}"


@dataclass(frozen=True, slots=True)
class Vrf:
    """One routing table: a profile at a node."""

    key: tuple[str, str, str, str]  # domain, vpn, node, profile
    imports: frozenset[str]
    exports: frozenset[str]
    role: str
    accesses: tuple[Access, ...]
    steering: Mapping[tuple[str, str], tuple[tuple[str, ...], bool]]  # (remote node, class) → tunnels, drop else


@dataclass(frozen=True, slots=True)
class Path:
    name: str
    preference: int
    hops: tuple[tuple[str, str], ...]  # node, outgoing port


@dataclass(frozen=True, slots=True)
class Tunnel:
    domain: str
    name: str
    source: str
    destination: str
    paths: tuple[Path, ...]  # in the order in which they are tried
    nrp: int | None


@dataclass(frozen=True, slots=True)
class Partition:
    domain: str
    name: str
    nrp: int
    rates_bps: Mapping[str, int]  # link id → rate that this partition has for itself there


@dataclass(frozen=True, slots=True)
class WrittenLink:
    """One direction of an IP link that a client configured between two routers' ports towards the optical network."""

    id: str
    domain: str
    source: tuple[str, str]  # node, port
    destination: tuple[str, str]
    rate_bps: int
    admin_up: bool
    igp_metric: int


BORDER_PREFERENCE = {"border-primary": 200, "border-secondary": 50}
DEFAULT_PREFERENCE = 100
DEFAULT_QUEUE = 0
DEFAULT_METRIC = 10


def read_vpn(domain: str, doc: Doc) -> tuple[Vrf, ...]:
    """Return the routing tables of one vpn-service."""
    vpn = str(doc.get("vpn-id", ""))
    profiles = {p.get("profile-id", ""): p for p in _entries(doc, "vpn-instance-profiles", "vpn-instance-profile")}
    if not _admin_up(doc):
        return ()
    return tuple(v for n in _entries(doc, "vpn-nodes", "vpn-node") for v in _node_vrfs(domain, vpn, n, profiles))


def _node_vrfs(domain: str, vpn: str, node: Doc, profiles: Mapping[str, Doc]) -> Iterator[Vrf]:
    if not _admin_up(node):
        return
    name = _bare(node.get("ne-id", ""), "node:")
    active = {
        p.get("profile-id", ""): p for p in _entries(node, "active-vpn-instance-profiles", "vpn-instance-profile")
    }
    only = next(iter(active)) if len(active) == 1 else ""
    docs = [a for a in _entries(node, "vpn-network-accesses", "vpn-network-access") if _admin_up(a)]
    accesses = [_access(domain, vpn, name, a, only, _int(node.get("local-as"))) for a in docs]
    steering = {
        (_bare(s.get("remote-ne-id", ""), "node:"), str(s.get("class-id", ""))): (
            tuple(_list(s.get("tunnel"))),
            s.get("fallback") == "drop",
        )
        for s in _list(node.get("steering"))
    }
    for profile_id, here in active.items():
        profile = profiles.get(profile_id)
        if profile is None:
            continue
        own = any(f.get("vpn-targets") for f in _list(here.get("address-family")))
        imports, exports = _targets(here if own else profile)
        role = str(here.get("role") or profile.get("role") or "").rpartition(":")[2]
        members = tuple(a for a in accesses if a.profile == profile_id)
        yield Vrf((domain, vpn, name, profile_id), imports, exports, role, members, steering)


def _targets(profile: Doc) -> tuple[frozenset[str], frozenset[str]]:
    imports, exports = set(), set()
    for family in _list(profile.get("address-family")):
        for target in _entries(family, "vpn-targets", "vpn-target"):
            values = [
                t if isinstance(t, str) else t.get("route-target", "") for t in _list(target.get("route-targets"))
            ]
            kind = target.get("route-target-type", "")
            if kind in ("import", "both"):
                imports.update(values)
            if kind in ("export", "both"):
                exports.update(values)
    return frozenset(imports), frozenset(exports)


def _access(domain: str, vpn: str, node: str, doc: Doc, only_profile: str, node_as: int) -> Access:
    connection = _at(doc, "connection", "encapsulation")
    tagged = str(connection.get("type", "")).rpartition(":")[2] == "dot1q"
    lans, bgp = _routing(doc, node_as)
    service = doc.get("service") or {}
    qos = service.get("qos") or {}
    return Access(
        domain=domain,
        vpn=vpn,
        node=node,
        id=str(doc.get("id", "")),
        port=_bare(doc.get("interface-id", ""), "tp:"),
        vlan=_int(_at(connection, "dot1q").get("cvlan-id")) if tagged else 0,
        profile=str(doc.get("vpn-instance-profile") or only_profile),
        addresses=tuple(_addresses(doc.get("ip-connection") or {})),
        lans=lans,
        bgp=bgp,
        in_bps=_int(service.get("ce-to-pe-bandwidth")),
        out_bps=_int(service.get("pe-to-ce-bandwidth")),
        rules=tuple(_rule(r) for r in _entries(qos, "qos-classification-policy", "rule")),
        actions={str(r.get("target-class-id")): _action(r) for r in _entries(qos, "qos-action", "rule")},
    )


def _addresses(connection: Doc) -> Iterator[tuple[Prefix, Address, Address | None]]:
    for family in ("ipv4", "ipv6"):
        ip = connection.get(family) or {}
        if not str(ip.get("address-allocation-type", "")).endswith("static-address"):
            continue
        ours = parse_address(str(ip.get("local-address", "")))
        subnet = parse_prefix(f"{ip.get('local-address', '')}/{ip.get('prefix-length', '')}")
        primary = ip.get("primary-address")
        customer = next(
            (a.get("customer-address") for a in _list(ip.get("address")) if a.get("address-id") == primary), ""
        )
        if ours is not None and subnet is not None:
            yield subnet, ours, parse_address(str(customer))


def _routing(doc: Doc, node_as: int) -> tuple[tuple[tuple[Prefix, Address], ...], Bgp | None]:
    lans: list[tuple[Prefix, Address]] = []
    bgp = None
    for protocol in _entries(doc, "routing-protocols", "routing-protocol"):
        prefixes = _at(protocol, "static", "cascaded-lan-prefixes")
        for entry in (*_list(prefixes.get("ipv4-lan-prefixes")), *_list(prefixes.get("ipv6-lan-prefixes"))):
            lan, hop = parse_prefix(str(entry.get("lan", ""))), parse_address(str(entry.get("next-hop", "")))
            if lan is not None and hop is not None:
                lans.append((lan, hop))
        session = protocol.get("bgp")
        if session:
            names = [str(p.get("id", "")) for p in _list(protocol.get("routing-profiles"))]
            preference = next((BORDER_PREFERENCE[n] for n in names if n in BORDER_PREFERENCE), DEFAULT_PREFERENCE)
            neighbors = _list(session.get("neighbor"))
            bgp = Bgp(
                local_as=_int(session.get("local-as")) or node_as,
                peer_as=_int(session.get("peer-as")),
                local_address=parse_address(str(session.get("local-address", ""))),
                neighbor=parse_address(str(neighbors[0])) if neighbors else None,
                preference=preference,
            )
    return tuple(lans), bgp


def _rule(doc: Doc) -> Rule:
    match = doc.get("ipv4") or doc.get("ipv6") or {}
    family = "ipv4" if doc.get("ipv4") else "ipv6"
    transport = doc.get("tcp") or doc.get("udp") or {}
    protocol = match.get("protocol")
    implied = 6 if doc.get("tcp") else 17 if doc.get("udp") else None
    return Rule(
        id=str(doc.get("id", "")),
        protocol=_int(protocol) if protocol is not None else implied,
        source=parse_prefix(str(match.get(f"source-{family}-network", ""))),
        destination=parse_prefix(str(match.get(f"destination-{family}-network", ""))),
        source_ports=_ports(transport.get("source-port-range-or-operator")),
        destination_ports=_ports(transport.get("destination-port-range-or-operator")),
        target=str(doc.get("target-class-id", "")),
    )


def _ports(doc: Doc | None) -> tuple[int, int] | None:
    if not doc:
        return None
    if "port" in doc:
        return _int(doc["port"]), _int(doc["port"])
    low = _int(doc.get("lower-port"))
    return low, _int(doc.get("upper-port")) or low


def _action(doc: Doc) -> Action:
    percent = doc.get("inbound-rate-limit")
    return Action(
        queue=_int(doc.get("queue")) if doc.get("queue") is not None else DEFAULT_QUEUE,
        dscp=_int(doc["mark-dscp"]) if doc.get("mark-dscp") is not None else None,
        committed_bps=_int(doc["committed-rate"]) if doc.get("committed-rate") is not None else None,
        inbound_percent=float(percent) if percent is not None else None,
    )


def read_tunnel(domain: str, doc: Doc) -> Tunnel:
    primary = [_path(p) for p in _entries(doc, "primary-paths", "primary-path")]
    secondary = [_path(p) for p in _entries(doc, "secondary-paths", "secondary-path")]
    paths = (*sorted(primary, key=lambda p: p.preference), *sorted(secondary, key=lambda p: p.preference))
    return Tunnel(
        domain=domain,
        name=str(doc.get("name", "")),
        source=_bare(_at(doc, "source").get("node-id", ""), "node:"),
        destination=_bare(_at(doc, "destination").get("node-id", ""), "node:"),
        paths=paths,
        nrp=_int(doc["nrp-id"]) if doc.get("nrp-id") is not None else None,
    )


def _path(doc: Doc) -> Path:
    hops = []
    for entry in _entries(doc, "explicit-route-objects", "route-object-include-exclude"):
        hop = entry.get("unnumbered-link-hop") or {}
        hops.append((_bare(hop.get("node-id-uri", ""), "node:"), _bare(hop.get("link-tp-id-uri", ""), "tp:")))
    return Path(str(doc.get("name", "")), _int(doc.get("preference")) or 1, tuple(hops))


def read_partition(domain: str, doc: Doc) -> Partition:
    whole = _int(_at(doc, "resource-reservation").get("maximum-bandwidth"))
    rates: dict[str, int] = {}
    for group in _entries(_at(doc, "topology"), "select", "topology-group"):
        rate = _int(_at(group, "resource-reservation").get("maximum-bandwidth")) or whole
        for link in _list(group.get("link")):
            rates[str(link.get("link-ref", "")) if isinstance(link, Mapping) else str(link)] = rate
    return Partition(domain, str(doc.get("name", "")), _int(doc.get("nrp-id")), rates)


def read_written_link(domain: str, doc: Doc) -> WrittenLink:
    """Return one direction of a link; its rate is 0 where the configuration says none."""
    attributes = _at(doc, "te", "te-link-attributes")
    rate = te_bandwidth_bps(str(_at(attributes, "max-link-bandwidth", "te-bandwidth").get("generic", "")))
    source, destination = doc.get("source") or {}, doc.get("destination") or {}
    return WrittenLink(
        id=str(doc.get("link-id", "")),
        domain=domain,
        source=(_bare(source.get("source-node", ""), "node:"), _bare(source.get("source-tp", ""), "tp:")),
        destination=(_bare(destination.get("dest-node", ""), "node:"), _bare(destination.get("dest-tp", ""), "tp:")),
        rate_bps=rate or 0,
        admin_up=attributes.get("admin-status", "up") == "up",
        igp_metric=_int(attributes.get("te-igp-metric", DEFAULT_METRIC)),
    )


def _admin_up(doc: Doc) -> bool:
    status = _at(doc, "status", "admin-status").get("status")
    return status is None or str(status).endswith("admin-up")


def _entries(doc: Doc, container: str, name: str) -> list[Any]:
    return _list(_at(doc, container).get(name))


def _at(doc: Doc, *names: str) -> Doc:
    for name in names:
        doc = doc.get(name) or {}
    return doc


def _list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _int(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def _bare(text: Any, prefix: str) -> str:
    return str(text)[len(prefix) :] if str(text).startswith(prefix) else f"?{text}"
