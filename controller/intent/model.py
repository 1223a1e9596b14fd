"""What a service is, once its YAML has been understood: frozen values in SI units.

Rates are bit/s (int), times are seconds (float), ratios are 0..1 (float), instants are UTC datetimes.
Defaults of the catalogue are already filled in; nothing here knows of networks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import NewType

ServiceId = NewType("ServiceId", str)  # "tenant/name"
SiteId = NewType("SiteId", str)

Prefix = IPv4Network | IPv6Network


def service_id(tenant: str, name: str) -> ServiceId:
    """Return the id under which a service is known everywhere: `tenant/name`."""
    return ServiceId(f"{tenant}/{name}")


class Isolation(StrEnum):
    """How hard a slice is separated from everything else (brief §4)."""

    AUTO = "auto"
    WAVELENGTH = "wavelength"
    TIMESLOT = "timeslot"
    NRP = "nrp"


class Protection(StrEnum):
    """What stands by when the working path fails. AUTO: SRLG-disjoint where the availability asks for it.

    RESTORATION: a second way through the optical layer is kept free, in common with circuits that cannot fail at the
    same time, and lit when the first fails.
    """

    AUTO = "auto"
    NONE = "none"
    STANDBY = "standby"
    RESTORATION = "restoration"


class Disjointness(StrEnum):
    """What a working path and its standby may not have in common. LINK is in each of the others."""

    LINK = "link"  # one cable, or one lit link
    SRLG = "srlg"  # one duct: whatever is cut together
    NODE = "node"  # one node between the two ends


class Assurance(StrEnum):
    """What is done for a service whose way wears out. What is dead is always brought elsewhere."""

    AUTO = "auto"  # it is led elsewhere
    PROPOSE = "propose"  # that waits for somebody to accept it
    OFF = "off"  # nothing


class AttachLayer(StrEnum):
    """Where an endpoint meets the network: an IP access port, or a client port of the optical base."""

    IP = "ip"
    OPTICAL = "optical"


@dataclass(frozen=True, slots=True)
class Metadata:
    """Who asked for the service and where it was written."""

    name: str
    tenant: str
    labels: tuple[tuple[str, str], ...] = ()  # sorted by key
    # Where it was written says nothing about what the service is: moving a document in its file changes nothing.
    source: str = field(default="", compare=False)  # file or document name
    line: int = field(default=0, compare=False)  # where the document starts

    @property
    def service(self) -> ServiceId:
        return service_id(self.tenant, self.name)


@dataclass(frozen=True, slots=True)
class Slo:
    """What is promised, end to end and one way. None: best effort."""

    latency_s: float | None = None
    jitter_s: float | None = None
    loss_ratio: float | None = None
    availability: float = 0.999
    most_hops: int | None = None  # links that traffic may be led over, on each of its paths; None: any number


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where the service may run."""

    include_regions: frozenset[str] = frozenset()  # empty: everywhere
    exclude_regions: frozenset[str] = frozenset()
    exclude_nodes: frozenset[str] = frozenset()
    include_nodes: frozenset[str] = frozenset()  # of both layers, the ends among them; empty: everywhere
    least_trust: int = 1  # 1..4 (brief §5)


@dataclass(frozen=True, slots=True)
class AccessSite:
    """One access of a plane or endpoint of a slice."""

    name: str  # unique within the service
    site: SiteId
    rate_bps: int  # hose, each direction
    lans: tuple[Prefix, ...] = ()  # prefixes behind the access; empty: allocated from `pool`, or none
    vlan: int | None = None  # None: the planner picks the lowest free one on the port
    port: str | None = None  # "node:lg-buji/tp:acc-1"; None: the site's own access port
    hub: bool = False
    attach: AttachLayer = AttachLayer.IP


@dataclass(frozen=True, slots=True)
class Window:
    """Absolute [start, end), UTC. A relative window is resolved once, at acceptance, and stored absolute."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class RelativeWindow:
    """`start: now, duration: 2h` before it is accepted."""

    duration_s: float


@dataclass(frozen=True, slots=True)
class DedicatedPlane:
    """B1 专用平面: an L3VPN of its own."""

    metadata: Metadata
    accesses: tuple[AccessSite, ...]
    hub_and_spoke: bool = False
    plane: str | None = None  # affinity "A" or "B"
    lan_pool: Prefix | None = None  # accesses without `lans` get one prefix of `lan_prefix_len` each
    lan_prefix_len: int = 24
    floor_ratio: float = 0.5  # of the hose that a VIP may never take
    slo: Slo = field(default_factory=Slo)
    boundaries: Boundaries = field(default_factory=Boundaries)
    window: Window | RelativeWindow | None = None  # when it stands and holds anything; None: until withdrawn
    kind = "DedicatedPlane"


@dataclass(frozen=True, slots=True)
class Demand:
    """Committed bandwidth between two endpoints of a slice, in both directions."""

    a: str  # AccessSite.name
    z: str
    rate_bps: int


@dataclass(frozen=True, slots=True)
class ExclusiveSlice:
    """B2 独享切片: bandwidth that nobody else can touch."""

    metadata: Metadata
    endpoints: tuple[AccessSite, ...]
    demands: tuple[Demand, ...]
    isolation: Isolation = Isolation.AUTO
    traffic_class: str = "other"  # one of TRAFFIC_CLASSES: decides AUTO
    protection: Protection = Protection.AUTO
    disjoint: tuple[Disjointness, ...] = (Disjointness.SRLG,)  # working and standby; sorted
    diverse_from: tuple[ServiceId, ...] = ()
    together_with: tuple[ServiceId, ...] = ()  # the working path uses only ducts that theirs use
    plane: str | None = None  # affinity "A" or "B"
    assurance: Assurance = Assurance.AUTO
    slo: Slo = field(default_factory=lambda: Slo(latency_s=0.020, loss_ratio=1e-4, availability=0.9999))
    boundaries: Boundaries = field(default_factory=Boundaries)
    window: Window | RelativeWindow | None = None  # when it stands and holds anything; None: until withdrawn
    kind = "ExclusiveSlice"


@dataclass(frozen=True, slots=True)
class Party:
    """A participant of a conference: a host behind one access of the plane that carries it."""

    name: str
    access: str  # AccessSite.name in the carrying plane
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class MediaFlow:
    """One kind of media that every party exchanges with the MCU."""

    name: str  # "sig" | "aud" | "vid"; unique in the conference
    protocol: int  # IP protocol number (6 TCP, 17 UDP)
    port_low: int  # at the MCU
    port_high: int
    rate_bps: int  # per party and direction
    target_class: str  # "signalling" | "audio" | "video"
    dscp: int
    queue: int  # 0..7, 7 served first


@dataclass(frozen=True, slots=True)
class Conference:
    """A1.2: an MCU and its participants over an existing dedicated plane."""

    mcu: Party
    parties: tuple[Party, ...]
    flows: tuple[MediaFlow, ...]


@dataclass(frozen=True, slots=True)
class VipAssurance:
    """A1 重保: priority for a service or a conference, inside a window."""

    metadata: Metadata
    protects: ServiceId  # the plane or slice whose traffic is assured; for a conference, the carrying plane
    window: Window | RelativeWindow
    conference: Conference | None = None
    flows: tuple[MediaFlow, ...] = ()  # A1.1: the flows assured between all accesses; empty: all traffic
    rate_bps: int = 0  # A1.1: assured per access; 0: the whole hose
    priority: int = 0  # 0 highest .. 7
    assurance: Assurance = Assurance.AUTO
    slo: Slo = field(default_factory=lambda: Slo(latency_s=0.050, loss_ratio=1e-5, availability=0.9999))
    boundaries: Boundaries = field(default_factory=Boundaries)
    kind = "VipAssurance"


Service = DedicatedPlane | ExclusiveSlice | VipAssurance
