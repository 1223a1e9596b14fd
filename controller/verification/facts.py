"""What a domain would do with its configuration, as facts: the values that verification reasons about."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

from controller.network.model import PortRef
from controller.rendering.tree import Tree

Span = tuple[int, int, int]  # (IP version, first address, last address)
Hops = tuple[PortRef, ...]  # outgoing ports


def covers(rate_bps: int, needed_bps: int) -> bool:
    """Whether a rate is at least another, as nearly as TE bandwidth, a float32 on the wire, can say either."""
    return rate_bps >= needed_bps - (needed_bps >> 23) - 1


@dataclass(frozen=True, slots=True)
class Rule:
    """One classification rule, in the order in which it is tried. None, "" and (0, 65535) match everything."""

    id: str
    protocol: str
    source: Span | None
    destination: Span | None
    source_ports: tuple[int, int]
    destination_ports: tuple[int, int]
    target: str


@dataclass(frozen=True, slots=True)
class Action:
    """What one class gets at an access. Shares are of the access's bandwidth; None where the leaf is missing."""

    inbound_share: float
    outbound_share: float
    queue: int | None
    dscp: int | None
    committed_bps: int | None


class Access(NamedTuple):
    """One VPN access: the interface and VLAN it owns, and the routes that it brings."""

    id: str
    vpn: str
    domain: str
    node: str
    where: PortRef
    vlan: int
    profile: str
    address: str
    prefix_len: int
    customer: str
    subnet: Span | None
    lans: tuple[tuple[str, str], ...]  # (prefix, next hop)
    spans: tuple[Span, ...]  # of `lans`, those that are prefixes at all
    local_as: str
    peer_as: str
    neighbour: str
    rank: int  # 1 border-primary, 2 border-secondary, 0 not BGP
    to_site_bps: int
    from_site_bps: int
    qos_profiles: tuple[str, ...]
    routing_profiles: tuple[str, ...]
    rules: tuple[Rule, ...]
    actions: Mapping[str, Action]  # by target class
    unlike: str = ""  # which type of its encapsulation or routing says another thing than what stands beside it

    @property
    def rate_bps(self) -> int:
        return min(self.to_site_bps, self.from_site_bps)


class Instance(NamedTuple):
    """A routing instance (VRF): one profile of one VPN on one node."""

    domain: str
    vpn: str
    node: str
    profile: str
    rd: str
    imports: frozenset[str]
    exports: frozenset[str]


class SteeringEntry(NamedTuple):
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
    steering: Mapping[tuple[str, str, str], SteeringEntry]  # (node, far node, class)
    source: Tree = field(default_factory=dict, compare=False, repr=False)  # what it was read from


@dataclass(frozen=True, slots=True)
class Tunnel:
    name: str
    domain: str
    src: str
    dst: str
    rate_bps: int
    working: Hops
    standby: Hops | None
    partition: int | None
    spare: bool = False  # it has a second path that the first does not name: nothing switches to it
    hold: int = 0  # 0..7: tunnels set up with a lower number may take its place (RFC 3209)
    idle_ms: int = 0  # after a failure, before it switches to its standby

    @property
    def gives_way(self) -> bool:
        """Whether others may take the place of what is never to be preempted."""
        return self.hold > 0 and self.name.startswith("slice/")


class EvenRates(Mapping[str, int]):
    """The same rate on each of some links, which is what most partitions are: a sixth of what a dict weighs."""

    __slots__ = ("links", "rate_bps")

    def __init__(self, links: tuple[str, ...], rate_bps: int) -> None:
        self.links, self.rate_bps = links, rate_bps

    def __getitem__(self, link: str) -> int:
        if link in self.links:
            return self.rate_bps
        raise KeyError(link)

    def __contains__(self, link: object) -> bool:
        return link in self.links

    def __iter__(self) -> Iterator[str]:
        return iter(self.links)

    def __len__(self) -> int:
        return len(self.links)

    def items(self) -> ItemsView[str, int]:
        return _EvenItems(self)


class _EvenItems(ItemsView[str, int]):
    def __init__(self, rates: EvenRates) -> None:
        super().__init__(rates)
        self._rates = rates

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return zip(self._rates.links, repeat(self._rates.rate_bps), strict=False)


@dataclass(frozen=True, slots=True)
class Partition:
    name: str
    domain: str
    nrp_id: int
    rates: Mapping[str, int]  # link id → bit/s cut out of it


@dataclass(frozen=True, slots=True)
class LitDirection:
    """One direction of an IP link that is configured into a domain's own network, over light lit for it."""

    id: str
    domain: str
    network: str
    src: PortRef
    dst: PortRef
    rate_bps: int  # what may be reserved on it
    metric: int  # the least that routers reckon with
    delay_s: float
    srlgs: frozenset[int]


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
    shared: bool = False  # the protect leg is dark, and kept in common with other circuits
    mode: str = ""  # of a wavelength's transponders
