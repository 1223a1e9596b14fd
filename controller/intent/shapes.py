"""The shape of an intent document: which fields there are, what each takes, and what the catalogue fills in.

One pydantic model a mapping; the leaf types read people's quantities. The JSON Schema for editors is generated
from here, so a field exists in one place. What a field means beside other fields is checked where its kind is
(plane.py, slices.py, assured.py), not here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from controller.intent.leaves import (
    Address,
    Availability,
    Delay,
    Label,
    Loss,
    Moment,
    Name,
    PortName,
    Ports,
    Prefixes,
    Rate,
    Ratio,
    Reference,
    Span,
    Text,
    Trust,
    Words,
    choice,
    number,
)

API_VERSION = "onecity/v1"
MOST_SITES = 5_000
TRAFFIC_CLASSES = ("video", "compute", "natural-resources", "education", "health", "iot", "other")


class Shape(BaseModel):
    """A mapping that takes the fields it names, and no others."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)


class MetadataShape(Shape):
    """Who asks for the service."""

    name: Name = Field(description="Unique in the tenant; lower-case letters, digits and -, at most 63.")
    tenant: Name = Field("default", description="The organisation that the service belongs to.")
    labels: dict[str, Label] = Field(
        default_factory=dict, description="For selection with -l, as app: finance.", max_length=64
    )


class SloShape(Shape):
    """What is promised, end to end and one way. What is left out comes from the service catalogue."""

    latency: Delay | None = Field(None, description="One way, as 20ms.")
    jitter: Delay | None = Field(None, description="One way, as 2ms.")
    loss: Loss | None = Field(None, description="Share of packets lost, as 1e-4.")
    availability: Availability | None = Field(None, description="As 99.99%.")
    hops: Annotated[int, number(1, 64)] | None = Field(
        None, description="Links that traffic may be led over, on each of its paths; any number where left out."
    )


class RegionsShape(Shape):
    """Regions to stay in and to stay out of."""

    include: Words = Field(default_factory=tuple, description="Stay in these regions; empty: everywhere.")
    exclude: Words = Field(default_factory=tuple, description="Never touch these regions.")


class AvoidShape(Shape):
    """What to route around."""

    nodes: Words = Field(
        default_factory=tuple, description="Nodes that the service never uses, as node:lg-pinghu or otn-pinghu."
    )


class WithinShape(Shape):
    """What to stay on."""

    nodes: Words = Field(
        default_factory=tuple,
        description="The only nodes that the service may use, of both layers and its own ends among them.",
    )


class BoundedShape(Shape):
    """Where a service may run; common to every kind."""

    slo: SloShape | None = Field(None, description="What is promised.")
    regions: RegionsShape | None = Field(None, description="Where it may run.")
    avoid: AvoidShape | None = Field(None, description="What it must not use.")
    within: WithinShape | None = Field(None, description="What it must stay on.")
    trust: Trust = Field(1, description="Least trust level of every node and link, L1 to L4.")


class AssuredShape(BoundedShape):
    """What has a way of its own, that it can be led away from; a plane's ways are its routers' choice."""

    assurance: Annotated[str, choice("auto", "propose", "off")] | None = Field(
        None,
        description="Where its way wears out: auto leads it elsewhere, propose waits for `onecity proposals accept`, "
        "off leaves it there. What is cut is always repaired. auto where left out.",
    )


class AccessShape(Shape):
    """Where a service meets its user."""

    site: Text = Field(description="A site of the city.")
    name: Name | None = Field(None, description="Unique in the service; the site's name where left out.")
    lan: Prefixes = Field(default_factory=tuple, description="The prefix, or list of prefixes, behind the access.")
    vlan: Annotated[int, number(1, 4094)] | None = Field(None, description="The lowest free one where left out.")
    port: PortName | None = Field(None, description="node/port; the site's own access port where left out.")


class SiteShape(AccessShape):
    """One site of a dedicated plane."""

    bandwidth: Rate | None = Field(None, description="Hose rate, each direction; spec.bandwidth where left out.")


class EndpointShape(AccessShape):
    """One end of an exclusive slice."""

    attach: Annotated[str, choice("ip", "optical")] = Field(
        "ip", description="ip: the site's IP access port. optical: the site's own port of the optical base."
    )


class AddressingShape(Shape):
    """Where sites without `lan` get their prefixes from."""

    pool: Prefixes = Field(default_factory=tuple, description="One prefix, as 10.64.0.0/12.")
    prefix_length: Annotated[int, number(8, 126)] = Field(24, description="Length of each site's prefix.")


class WindowShape(Shape):
    """When a service holds: absolute times with a zone, or from its acceptance on."""

    start: Moment = Field(description="now, or a time with its zone as 2026-12-01T14:00+08:00.")
    end: Moment | None = Field(None, description="A time with its zone.")
    duration: Span | None = Field(None, description="Instead of end, as 2h or 90min.")


class PlaneSpec(BoundedShape):
    """B1 专用平面: a network of its own over many sites."""

    sites: list[SiteShape] = Field(min_length=1, max_length=MOST_SITES)
    bandwidth: Rate | None = Field(None, description="Hose rate of each site, each direction.")
    topology: Annotated[str, choice("any-to-any", "hub-and-spoke")] = "any-to-any"
    hubs: Words = Field(default_factory=tuple, description="Names of the sites that are hubs.")
    addressing: AddressingShape | None = None
    plane: Annotated[str, choice("A", "B")] | None = Field(None, description="Stay on plane A or B of the network.")
    floor: Ratio = Field(0.5, description="Share of the hose that a VIP may never take.")
    window: WindowShape | None = Field(
        None, description="When it stands; outside it holds nothing. Until withdrawn where left out."
    )


class DemandShape(Shape):
    """Committed bandwidth between two endpoints, in both directions."""

    from_: Name = Field(alias="from")
    to: Name
    bandwidth: Rate | None = Field(None, description="spec.bandwidth where left out.")


class SliceSpec(AssuredShape):
    """B2 独享切片: bandwidth that nobody else can touch."""

    endpoints: list[EndpointShape] = Field(min_length=2, max_length=MOST_SITES)
    bandwidth: Rate | None = Field(None, description="Committed between each pair, in both directions.")
    connectivity: Annotated[str, choice("all-pairs", "hub-and-spoke")] | None = None
    hub: Name | None = Field(None, description="The endpoint that all others are joined to.")
    demands: list[DemandShape] = Field(
        default_factory=list, max_length=MOST_SITES, description="Instead of connectivity."
    )
    isolation: Annotated[str, choice("auto", "wavelength", "timeslot", "nrp")] = "auto"
    class_: Annotated[str, choice(*TRAFFIC_CLASSES)] = Field("other", alias="class")
    protection: Annotated[str, choice("auto", "none", "standby", "restoration")] = "auto"
    disjoint: list[Annotated[str, choice("link", "srlg", "node")]] = Field(
        default_factory=lambda: ["srlg"],
        min_length=1,
        max_length=3,
        description="What working and standby may not share: cables, ducts, nodes between the ends.",
    )
    diverse_from: list[Reference] = Field(
        default_factory=list, description="Share no duct with these services.", max_length=64
    )
    together_with: list[Reference] = Field(
        default_factory=list, description="Work over no duct but those that these services work over.", max_length=64
    )
    plane: Annotated[str, choice("A", "B")] | None = Field(None, description="Stay on plane A or B of the network.")
    window: WindowShape | None = Field(
        None, description="When it stands; outside it holds nothing. Until withdrawn where left out."
    )


class PartyShape(Shape):
    """A host of a conference, behind one access of the plane that carries it."""

    name: Name | None = Field(None, description="Made from the address where left out.")
    site: Text | None = Field(None, description="The site, where the plane's access is called after it.")
    access: Name | None = Field(None, description="The name of the access in the carrying plane.")
    address: Address


class MediumShape(Shape):
    """One kind of media; what is left out comes from the catalogue."""

    bandwidth: Rate | None = Field(None, description="Per party and direction.")
    protocol: Annotated[str, choice("tcp", "udp")] | None = None
    ports: Ports | None = Field(None, description="At the MCU: 5060 or 5060-5061.")
    dscp: Annotated[int, number(0, 63)] | None = None
    queue: Annotated[int, number(0, 7)] | None = Field(None, description="7 is served first.")


class MediaShape(Shape):
    """What every party exchanges with the MCU."""

    signalling: MediumShape | None = None
    audio: MediumShape | None = None
    video: MediumShape | None = None


class ConferenceShape(Shape):
    """A1.2: an MCU and its participants."""

    mcu: PartyShape
    parties: list[PartyShape] = Field(min_length=1, max_length=MOST_SITES)
    media: MediaShape | None = None


class FlowShape(Shape):
    """A1.1: one flow assured between all accesses of the service."""

    name: Name
    ports: Ports
    bandwidth: Rate
    protocol: Annotated[str, choice("tcp", "udp")] = "udp"
    class_: Annotated[str, choice("signalling", "audio", "video")] = Field("video", alias="class")
    dscp: Annotated[int, number(0, 63)] | None = None
    queue: Annotated[int, number(0, 7)] | None = None


class VipSpec(AssuredShape):
    """A1 重保: priority for a service, some of its flows or a conference, inside a window."""

    protects: Reference = Field(description="The service assured, or the plane that carries the conference.")
    window: WindowShape
    conference: ConferenceShape | None = None
    flows: list[FlowShape] = Field(default_factory=list, max_length=64)
    bandwidth: Rate | None = Field(None, description="Assured per access; the whole hose where left out.")
    priority: Annotated[int, number(0, 7)] = Field(0, description="0 is highest.")


class DocumentShape(Shape):
    """What every document has around its spec."""

    api_version: Literal["onecity/v1"]
    metadata: MetadataShape
    status: Any = Field(None, description="Written by the controller; not read.")


class PlaneShape(DocumentShape):
    """A dedicated plane."""

    kind: Literal["DedicatedPlane"]
    spec: PlaneSpec


class SliceShape(DocumentShape):
    """An exclusive slice."""

    kind: Literal["ExclusiveSlice"]
    spec: SliceSpec


class VipShape(DocumentShape):
    """An assurance."""

    kind: Literal["VipAssurance"]
    spec: VipSpec


KINDS: dict[str, type[PlaneShape] | type[SliceShape] | type[VipShape]] = {
    "DedicatedPlane": PlaneShape,
    "ExclusiveSlice": SliceShape,
    "VipAssurance": VipShape,
}


def json_schema() -> dict[str, Any]:
    """Return one JSON Schema (2020-12) of all kinds, for editors to complete and check with."""
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[PlaneShape | SliceShape | VipShape, Field(discriminator="kind")])
    schema = adapter.json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "onecity intent",
        "description": "One service that onecity keeps: a dedicated plane, an exclusive slice or an assurance.",
        **schema,
    }
