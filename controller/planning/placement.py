"""Where a service goes: everything that rendering needs, decided, and nothing that it would have to choose.

A placement is a value: it is stored beside its intent, and the ledger is rebuilt from the reservations in it.
Rates bit/s, delays seconds, ids those of the city's map. All tuples are in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from controller.intent.model import ServiceId
from controller.network.model import PortRef


@dataclass(frozen=True, slots=True)
class RateReservation:
    """Capacity held on a directed link over [start, end). None: from always, until withdrawn.

    `link` is a directed link id of the map, or "port:<node>/<port>" for the own rate of an optical client port or of a
    router's access port.
    """

    link: str
    rate_bps: int
    start: datetime | None = None
    end: datetime | None = None
    squeezable_bps: int = 0  # planes: the part of `rate_bps` above the floor, which a VIP may take in its window
    squeezes: bool = False  # VIPs: takes from what planes leave squeezable


@lru_cache(maxsize=1 << 18)
def rate_held(link: str, rate_bps: int, squeezable_bps: int = 0) -> RateReservation:
    """Return capacity held for good; services that hold the same on the same link share the one value."""
    return RateReservation(link, rate_bps, squeezable_bps=squeezable_bps)


@dataclass(frozen=True, slots=True)
class LabelReservation:
    """One label of a resource that only one service may hold: see `network/ledger.py` for the key forms.

    "vlan:<node>/<port>" 1..4094 · "channel:<fibre>" 1..80 · "slot:<odu link>" 1..80 · "port:<node>/<port>" 0
    (a whole client port; timeslots that share one hold its VLANs instead) · "number" (RT, RD, NRP and colour
    number) · "border-net" (index of a /31 in the border pool) · "access-net" (index of a /30 in the access pool).
    """

    resource: str
    label: int
    start: datetime | None = None
    end: datetime | None = None
    # Channels and slots kept for restoration: what takes down the way that they stand by for ("fibre:…", "srlg:…",
    # "node:…"). Others may keep the same label for ways that have none of it in common. (): in use.
    stands_by_for: tuple[str, ...] = ()
    of_link: str = ""  # the IP link that it was lit for: every service on that link holds the label with the others


@dataclass(frozen=True, slots=True)
class Attachment:
    """One access of the service at a provider edge."""

    access: str  # AccessSite.name
    site: str
    domain: str
    node: str
    port: str
    vlan: int
    pe_address: str  # "172.16.0.1"
    ce_address: str  # "172.16.0.2"
    prefix_len: int  # 30
    lans: tuple[str, ...]  # canonical prefixes behind the CE
    rate_bps: int
    hub: bool = False


@dataclass(frozen=True, slots=True)
class StitchEnd:
    domain: str
    node: str
    port: str
    address: str  # this end of the /31
    asn: int


@dataclass(frozen=True, slots=True)
class Stitch:
    """A place where the service crosses between two provider edges outside any IP domain's own forwarding.

    A border (option A, BGP, rank 1 primary, 2 secondary), or a dedicated circuit (static routes; rank 1).
    """

    name: str  # "border.1", "circuit.buji-zhihui"
    rank: int
    vlan: int
    rate_bps: int
    a: StitchEnd
    z: StitchEnd
    link: str | None  # border: directed link id a→z (its reverse is z→a)
    circuit: str | None  # dedicated circuit under it: routes are static, VRFs import nothing


@dataclass(frozen=True, slots=True)
class Leg:
    """One route of a circuit through the optical domain, a to z."""

    route: tuple[str, ...]  # fibre ids (wavelength) or ODU link ids (odu)
    channel: int | None  # wavelength: one channel end to end
    slots: tuple[tuple[int, ...], ...]  # odu: the tributary slots on each hop
    delay_s: float


@dataclass(frozen=True, slots=True)
class CircuitPlacement:
    id: str  # "<tenant>.<name>/<a>-<z>", unique in the domain
    domain: str
    a: PortRef  # client port
    z: PortRef
    a_vlan: int  # 0: the whole port; else only this VLAN of a shared client port
    z_vlan: int
    layer: str  # "wavelength" | "odu"
    rate_bps: int
    odu: str  # "ODU4", "ODU2e", "ODU0", "ODUflex" …; for a wavelength the container it carries
    mode: str  # line mode, "100G QPSK SC-FEC"; empty for odu
    working: Leg
    protect: Leg | None  # SRLG-disjoint: 1+1, or kept for restoration
    shared: bool = False  # the protect leg is dark, and its labels are kept in common with others, until we light it

    @property
    def standby(self) -> Leg | None:
        """The leg that the domain switches to by itself."""
        return None if self.shared else self.protect


@dataclass(frozen=True, slots=True)
class LitLink:
    """An IP link that was lit for services: it comes with the first that rides on it and goes with the last.

    Every one of them carries the same value, so that what it renders to is one and counted. The circuit leads from
    the client port behind `a` to the one behind `z`, both taken whole, and is named and owned by the link.
    """

    id: str  # directed, a to z
    reverse: str
    domain: str
    a: PortRef  # router ports
    z: PortRef
    rate_bps: int
    delay_s: float  # whole microseconds, as te-delay-metric tells it
    srlgs: tuple[int, ...]  # of everything under it, sorted
    circuit: CircuitPlacement
    price: float  # in the currency of price.py, when it was lit

    @property
    def circuit_id(self) -> str:
        return self.circuit.id

    @property
    def fibres(self) -> tuple[str, ...]:
        return self.circuit.working.route

    def labels(self, start: datetime | None = None, end: datetime | None = None) -> tuple[LabelReservation, ...]:
        """Return what it takes in the optical domain: both client ports, and the channel on every fibre."""
        leg = self.circuit.working
        held = [(f"port:{ref}", 0) for ref in (self.circuit.a, self.circuit.z)]
        held += [(f"channel:{fibre}", leg.channel or 0) for fibre in leg.route]
        return tuple(LabelReservation(what, label, start, end, of_link=self.id) for what, label in held)


@dataclass(frozen=True, slots=True)
class Route:
    """A pinned path inside one IP domain."""

    hops: tuple[PortRef, ...]  # the outgoing port of each node in turn
    links: tuple[str, ...]  # the same as directed link ids
    delay_s: float


@dataclass(frozen=True, slots=True)
class TunnelPlacement:
    """One direction of a pinned tunnel inside one IP domain."""

    name: str  # "slice/<tenant>.<name>/<from>-<to>", "vip/…"
    reverse: str  # name of the tunnel for the other direction
    domain: str
    src: str
    dst: str
    rate_bps: int
    working: Route
    standby: Route | None
    latency_budget_s: float | None  # this domain's share
    loss_ratio: float | None
    setup_priority: int
    hold_priority: int
    partition: int | None = None  # nrp-id it draws from


@dataclass(frozen=True, slots=True)
class NrpPlacement:
    """A network resource partition in one IP domain."""

    name: str  # "slice/<tenant>.<name>"
    nrp_id: int
    domain: str
    rate_bps: int  # of the link that carries most
    links: tuple[str, ...]  # directed, working and standby, sorted
    rates_bps: tuple[int, ...] = ()  # what is cut out of each of `links`; empty: `rate_bps` everywhere


@dataclass(frozen=True, slots=True)
class Steering:
    """Traffic of a VPN at `node` towards `remote` rides these tunnels, the first that is up."""

    domain: str
    vpn_service: ServiceId  # whose VPN: the slice itself, or the plane under a VIP
    node: str
    remote: str
    target_class: str  # "*": whatever no other entry names; a VIP's own class of everything is "rest"
    tunnels: tuple[str, ...]
    fallback: str  # "best-effort" | "drop"


@dataclass(frozen=True, slots=True)
class Promise:
    """What the placement gives between two endpoints, against what was asked. One way, the worse direction."""

    a: str
    z: str
    rate_bps: int
    delay_s: float
    budget_s: float | None
    standby_delay_s: float | None
    availability: float
    via: tuple[str, ...]  # readable: node and fibre ids in order


@dataclass(frozen=True, slots=True)
class Placement:
    """The whole decision for one service."""

    service: ServiceId
    kind: str
    number: int  # RT, RD, NRP id and colour; unique among all services
    attachments: tuple[Attachment, ...] = ()
    stitches: tuple[Stitch, ...] = ()
    circuits: tuple[CircuitPlacement, ...] = ()
    tunnels: tuple[TunnelPlacement, ...] = ()
    partitions: tuple[NrpPlacement, ...] = ()
    steering: tuple[Steering, ...] = ()
    trees: tuple[tuple[str, ...], ...] = ()  # planes: directed link ids of the hose tree, per direction
    promises: tuple[Promise, ...] = ()
    rates: tuple[RateReservation, ...] = ()
    labels: tuple[LabelReservation, ...] = ()
    start: datetime | None = None  # of a window: when its configuration enters the network; None: at once
    end: datetime | None = None
    isolation: str = ""  # what AUTO became: "wavelength", "timeslot", "nrp"
    notes: tuple[str, ...] = ()  # what the plan should say: squeezes, missing modules
    lit_links: tuple[LitLink, ...] = ()  # those of the links that it rides on which stand for services only

    def open_at(self, now: datetime) -> bool:
        """Say whether it is to be in the network by now."""
        return self.start is None or self.start <= now


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a service cannot be placed, in the three lines that an engineer needs."""

    service: ServiceId
    kind: str
    source: str
    needs: str
    binds: str
    would_fit: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.source}: {self.kind} {self.service} cannot be placed",
            f"  needs      {self.needs}",
            f"  binds      {self.binds}",
        ]
        if self.would_fit:
            lines.append(f"  would fit  {' · '.join(self.would_fit)}")
        return "\n".join(lines)
