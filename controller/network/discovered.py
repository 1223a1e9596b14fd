"""What one domain controller says of itself, in no protocol's terms.

Drivers translate their wire format into these values; `merge` turns several of them and the inventory into
the city's map. Rates are bit/s, delays seconds, lengths metres. Ids are opaque strings of the domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DomainKind(StrEnum):
    """The layer that a domain works in."""

    IP = "ip"
    OPTICAL = "optical"


@dataclass(frozen=True, slots=True)
class DiscoveredNode:
    id: str  # "node:lg-buji", "otn-buji"
    name: str
    up: bool = True
    te_node_id: str | None = None  # dotted quad, the router id
    asn: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    site: str | None = None  # only where the domain offers it (onecity-binding)
    regions: frozenset[str] = frozenset()
    trust: int | None = None


@dataclass(frozen=True, slots=True)
class DiscoveredPort:
    node: str
    id: str  # "tp:ge-1"; optical client port "otn-buji/c1"
    up: bool = True
    rates_bps: tuple[int, ...] = ()  # what the port can run at; one entry for an IP port
    plug: bytes | None = None  # RFC 8795 inter-domain-plug-id: equal bytes in two domains are one cable
    lock_id: int | None = None  # RFC 8795 inter-layer-lock-id: equal numbers in an IP and an optical domain
    used_by: str | None = None  # optical: id of the circuit that owns the whole port
    site: str | None = None  # optical client port handed to a site


@dataclass(frozen=True, slots=True)
class DiscoveredLink:
    """One direction of an IP link. A half link (border) has no destination."""

    id: str
    src: str
    src_port: str
    dst: str | None
    dst_port: str | None
    capacity_bps: int  # reservable
    delay_s: float
    srlgs: frozenset[int] = frozenset()
    plane: str | None = None
    trust: int | None = None
    metric: int = 10
    up: bool = True


@dataclass(frozen=True, slots=True)
class DiscoveredFibre:
    """A fibre pair between two optical nodes (photonic link), both directions alike."""

    id: str
    a: str
    z: str
    length_m: int
    loss_db: float
    srlgs: frozenset[int]
    channels: int  # size of the fixed grid (80 = 50 GHz in C band)
    occupied: frozenset[int]  # channel numbers 1..channels
    up: bool = True


@dataclass(frozen=True, slots=True)
class DiscoveredOduLink:
    """A lit ODU server link whose tributary slots can be sold. Both directions alike."""

    id: str
    a: str
    z: str
    server_circuit: str  # id of the circuit that carries it; its route gives fibres, delay and SRLGs
    slots: int  # 80 of 1.25G for an ODU4
    free: frozenset[int]  # slot numbers 1..slots
    up: bool = True


@dataclass(frozen=True, slots=True)
class DiscoveredCircuit:
    id: str
    owner: str  # "infrastructure", or the service id that asked for it
    a_port: str
    z_port: str
    layer: str  # "wavelength" | "odu"
    rate_bps: int
    route: tuple[str, ...]  # fibre ids (wavelength) or ODU link ids (odu), a to z
    protect_route: tuple[str, ...]
    latency_s: float
    up: bool = True
    version: int = 0
    channel: int | None = None  # wavelength: what the working leg holds on each fibre of `route`
    slots: tuple[tuple[int, ...], ...] = ()  # odu: tributary slots on each hop of `route`
    protect_channel: int | None = None
    protect_slots: tuple[tuple[int, ...], ...] = ()
    mode: str = ""  # wavelength: its line mode


@dataclass(frozen=True, slots=True)
class DomainTopology:
    """All that one domain said at one moment."""

    domain: str
    kind: DomainKind
    network_id: str  # "net:city-ip"
    nodes: tuple[DiscoveredNode, ...]
    ports: tuple[DiscoveredPort, ...]
    links: tuple[DiscoveredLink, ...] = ()
    fibres: tuple[DiscoveredFibre, ...] = ()
    odu_links: tuple[DiscoveredOduLink, ...] = ()
    circuits: tuple[DiscoveredCircuit, ...] = ()
    srlg_names: tuple[tuple[int, str], ...] = ()
    qos_profiles: frozenset[str] = frozenset()  # owned by the domain, read by us
    routing_profiles: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()  # YANG modules announced; decides what rendering may use
