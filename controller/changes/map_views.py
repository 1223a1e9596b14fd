"""What the controller shows of the map. Plain values, no gRPC; rates are bit/s, times seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SiteView:
    id: str
    title: str
    region: str
    latitude: float
    longitude: float
    access: str  # "node:lg-buji/tp:acc-1"; "" none


@dataclass(frozen=True, slots=True)
class DomainView:
    id: str
    kind: str  # "ip" | "optical"
    up: bool
    stale: bool  # the map shows what was known before the domain was lost
    nodes: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class NodeView:
    id: str
    domain: str
    layer: str  # "ip" | "optical"
    site: str
    trust: int  # 1..4
    up: bool


@dataclass(frozen=True, slots=True)
class LinkView:
    """An IP link (one direction) or a fibre (both)."""

    id: str
    domain: str  # "" a border
    layer: str  # "ip" | "optical"
    a: str
    z: str
    capacity_bps: int  # fibres: 0
    reserved_bps: int
    delay_s: float
    channels: int  # fibres; else 0
    channels_taken: int
    srlgs: tuple[str, ...]  # names where known
    up: bool
    lit_for: tuple[str, ...] = ()  # services on an IP link that stands for them only


@dataclass(frozen=True, slots=True)
class Topology:
    """The city's map, both layers."""

    version: int
    sites: tuple[SiteView, ...]
    domains: tuple[DomainView, ...]
    nodes: tuple[NodeView, ...]
    links: tuple[LinkView, ...]
    problems: tuple[str, ...] = ()
