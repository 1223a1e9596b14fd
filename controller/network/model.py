"""The city's map: every domain and both layers as one graph, with the inventory's facts merged in.

Frozen: a change of state makes a new map with a higher `version`. Links are directed and in a fixed order,
so that planning can index arrays by position. Delays are seconds, rates bit/s, lengths metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

from controller.network.discovered import DomainKind
from controller.network.light import Light, Mode


class PortRef(NamedTuple):
    """A port, named as its domain names it."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}/{self.port}"


@dataclass(frozen=True, slots=True)
class Site:
    id: str
    title: str
    region: str
    latitude: float
    longitude: float
    access: PortRef | None  # the IP port that the site hangs on
    client_ports: tuple[PortRef, ...] = ()  # optical client ports handed to the site


@dataclass(frozen=True, slots=True)
class Domain:
    id: str
    kind: DomainKind
    network_id: str
    asn: int | None
    modules: frozenset[str]
    qos_profiles: frozenset[str]
    routing_profiles: frozenset[str]
    stale: bool = False  # the map shows what was known before the domain was lost


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    domain: str
    kind: DomainKind
    site: str | None
    regions: frozenset[str]
    trust: int
    availability: float
    router_id: str | None
    up: bool


@dataclass(frozen=True, slots=True)
class Port:
    ref: PortRef
    domain: str
    rates_bps: tuple[int, ...]
    role: str  # "access" | "core" | "border" | "otn" (IP port cabled to a spare client port) | "client" (optical)
    peer: PortRef | None  # border: port in the other domain; otn: its client port; client: the IP port, if any
    site: str | None
    up: bool
    used_by: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of an IP link, inside a domain or across a border."""

    id: str
    domain: str | None  # None: a border link, in no domain's configuration
    src: PortRef
    dst: PortRef
    capacity_bps: int
    delay_s: float
    srlgs: frozenset[int]  # its own and those of the circuit and fibres under it
    plane: str | None
    trust: int
    availability: float
    circuit: str | None  # optical circuit under it
    reverse: str  # id of the other direction
    up: bool
    rank: int = 0  # border: 1 primary, 2 secondary, … between the same two domains; else 0
    fibres: tuple[str, ...] = ()  # under its circuit; each of them takes it down, unless there are spare ones
    spare_fibres: tuple[str, ...] = ()  # under the protect leg of its circuit
    jitter_s: float = 0.0  # what its queue adds at most to the delay of guaranteed traffic
    loss_ratio: float = 0.0  # of guaranteed traffic
    pinned: bool = False  # its metric keeps routers from choosing it by themselves: only pinned tunnels ride it

    @property
    def border(self) -> bool:
        return self.domain is None


@dataclass(frozen=True, slots=True)
class Fibre:
    id: str
    domain: str
    a: str
    z: str
    length_m: int
    delay_s: float
    loss_db: float
    srlgs: frozenset[int]
    channels: int
    occupied: frozenset[int]  # by circuits that are not ours (infrastructure, foreign)
    availability: float
    up: bool
    plane: str | None = None  # "A" or "B", where it belongs to one
    trust: int = 4
    light: Light | None = None  # what it does to light, where that is known


@dataclass(frozen=True, slots=True)
class OduLink:
    id: str
    domain: str
    a: str
    z: str
    fibres: tuple[str, ...]
    delay_s: float
    srlgs: frozenset[int]
    slots: int
    occupied: frozenset[int]  # by circuits that are not ours
    availability: float
    up: bool
    spare_fibres: tuple[str, ...] = ()  # under the protect leg of its server circuit
    planes: frozenset[str] = frozenset()  # of the fibres under it
    trust: int = 4


class LitForServices(Protocol):
    """An IP link that stands because services asked for it, over a wavelength that was lit for it.

    `id` leads from port `a` to port `z`, `reverse` back. `circuit_id`: the wavelength, over `fibres`.
    """

    @property
    def id(self) -> str: ...
    @property
    def reverse(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def a(self) -> PortRef: ...
    @property
    def z(self) -> PortRef: ...
    @property
    def rate_bps(self) -> int: ...
    @property
    def delay_s(self) -> float: ...
    @property
    def srlgs(self) -> tuple[int, ...]: ...
    @property
    def circuit_id(self) -> str: ...
    @property
    def fibres(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class CityMap:
    """One picture of everything. `problems` are conflicts and unmatched plugs, reported, never guessed."""

    version: int
    sites: Mapping[str, Site]
    domains: Mapping[str, Domain]
    nodes: Mapping[str, Node]
    ports: Mapping[PortRef, Port]
    links: tuple[Link, ...]  # sorted by id
    fibres: Mapping[str, Fibre]
    odu_links: Mapping[str, OduLink]
    srlg_names: Mapping[int, str]
    problems: tuple[str, ...] = ()
    line_mode: Mode | None = None  # of new wavelengths; None: how far they reach is read from a table
    fading: frozenset[str] = (
        frozenset()
    )  # fibres that wear out: ridden anew only where nothing else keeps what is asked
    standby_only: frozenset[str] = frozenset()  # components that nothing may be led over anew, save what only stands by
    lights: bool = True  # whether an IP link that is not there may be lit for a service
    lit: Mapping[str, LitForServices] = field(default_factory=dict)  # by link id, both directions: see `network/lit.py`

    @cached_property
    def link_by_id(self) -> Mapping[str, Link]:
        return {link.id: link for link in self.links}

    @cached_property
    def pinned_links(self) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.pinned)

    @cached_property
    def link_index(self) -> Mapping[str, int]:
        return {link.id: i for i, link in enumerate(self.links)}
