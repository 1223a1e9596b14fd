"""Documents of onecity.v1 as documents of the intent room: YAML is passed on, typed messages become the same shape.

A typed intent takes exactly the way of a YAML one from here on: the same checks, the same defaults, the same
errors. So a field left unset is left out, and quantities become the text that a person would write.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from google.protobuf.duration_pb2 import Duration
from onecity.v1 import intent_pb2 as pb

from controller.changes.ports import Document

API_VERSION = "onecity/v1"
Fields = dict[str, object]


def documents(messages: Any) -> tuple[Document, ...]:
    """Return the documents of a request, in order; those without a name are called after their place."""
    return tuple(_document(message, index) for index, message in enumerate(messages))


def _document(message: pb.Document, index: int) -> Document:
    source = message.source_name or f"documents[{index}]"
    which = message.WhichOneof("intent")
    if which == "dedicated_plane":
        return Document(source, content=_whole("DedicatedPlane", message.dedicated_plane, _plane))
    if which == "exclusive_slice":
        return Document(source, content=_whole("ExclusiveSlice", message.exclusive_slice, _slice))
    if which == "vip_assurance":
        return Document(source, content=_whole("VipAssurance", message.vip_assurance, _vip))
    return Document(source, text=message.yaml)


def _whole(kind: str, message: Any, spec: Any) -> Mapping[str, object]:
    metadata = _given(name=message.metadata.name, tenant=message.metadata.tenant, labels=dict(message.metadata.labels))
    body = spec(message) | _bounded(message)
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": body}


def _plane(message: pb.DedicatedPlane) -> Fields:
    return _given(
        sites=[_access(site) | _given(bandwidth=_rate(site.bandwidth_bps)) for site in message.sites],
        bandwidth=_rate(message.bandwidth_bps),
        topology=_word(pb.PlaneTopology, message.topology),
        hubs=[site.name or site.site for site in message.sites if site.hub],
        addressing=_given(pool=message.lan_pool, prefixLength=_number(message.lan_prefix_length)),
        plane=message.plane,
        floor=_ratio(message, "floor_ratio"),
        window=_window(message.window) if message.HasField("window") else {},
    )


def _slice(message: pb.ExclusiveSlice) -> Fields:
    return _given(
        endpoints=[_access(end) | _given(attach=_word(pb.AttachLayer, end.attach)) for end in message.endpoints],
        bandwidth=_rate(message.bandwidth_bps),
        connectivity=_word(pb.SliceConnectivity, message.connectivity),
        hub=message.hub,
        demands=[{"from": d.a, "to": d.z} | _given(bandwidth=_rate(d.bandwidth_bps)) for d in message.demands],
        isolation=_word(pb.Isolation, message.isolation),
        protection=_word(pb.Protection, message.protection),
        disjoint=[_word(pb.Disjointness, kind) or "srlg" for kind in message.disjoint],
        diverseFrom=list(message.diverse_from),
        togetherWith=list(message.together_with),
        plane=message.plane,
        assurance=_word(pb.Assurance, message.assurance),
        window=_window(message.window) if message.HasField("window") else {},
    ) | _given_as("class", _word(pb.TrafficClass, message.traffic_class))


def _vip(message: pb.VipAssurance) -> Fields:
    return _given(
        protects=message.protects,
        window=_window(message.window) if message.HasField("window") else {},
        conference=_conference(message.conference) if message.HasField("conference") else {},
        flows=[_flow(flow) for flow in message.flows],
        bandwidth=_rate(message.bandwidth_bps),
        priority=_number(message.priority),
        assurance=_word(pb.Assurance, message.assurance),
    )


def _access(message: Any) -> Fields:
    return _given(
        name=message.name,
        site=message.site,
        lan=list(message.lans),
        vlan=_number(message.vlan),
        port=message.port,
    )


def _window(message: pb.Window) -> Fields:
    until = message.WhichOneof("until")
    return _given(
        start=_instant(message.start) if message.HasField("start") else "now",
        end=_instant(message.end) if until == "end" else "",
        duration=_seconds(message.duration) if until == "duration" else "",
    )


def _conference(message: pb.Conference) -> Fields:
    return _given(
        mcu=_party(message.mcu),
        parties=[_party(party) for party in message.parties],
        media=_given(
            signalling=_medium(message.signalling), audio=_medium(message.audio), video=_medium(message.video)
        ),
    )


def _party(message: pb.Party) -> Fields:
    return _given(name=message.name, access=message.access, address=message.address)


def _medium(message: pb.Medium | pb.AssuredFlow) -> Fields:
    return _given(
        bandwidth=_rate(message.bandwidth_bps),
        protocol=_word(pb.TransportProtocol, message.protocol),
        ports=_ports(message),
    )


def _flow(message: pb.AssuredFlow) -> Fields:
    treated = _given_as("class", _word(pb.FlowClass, message.flow_class))
    return _given(name=message.name) | _medium(message) | treated


def _bounded(message: Any) -> Fields:
    asked, where = message.objectives, message.boundaries
    return _given(
        slo=_given(
            latency=_seconds(asked.latency) if asked.HasField("latency") else "",
            jitter=_seconds(asked.jitter) if asked.HasField("jitter") else "",
            loss=_ratio(asked, "loss_ratio"),
            availability=_ratio(asked, "availability"),
            hops=_number(asked.most_hops),
        ),
        regions=_given(include=list(where.include_regions), exclude=list(where.exclude_regions)),
        avoid=_given(nodes=list(where.exclude_nodes)),
        within=_given(nodes=list(where.include_nodes)),
        trust=f"L{where.least_trust}" if where.least_trust else "",
    )


def _given(**fields: object) -> Fields:
    """Leave out what was not set."""
    return {name: value for name, value in fields.items() if value not in ("", [], {})}


def _given_as(name: str, value: object) -> Fields:
    """As `_given`, for names that Python keeps for itself."""
    return {name: value} if value else {}


def _rate(bps: int) -> str:
    return f"{bps}bps" if bps else ""


def _number(value: int) -> str:
    return str(value) if value else ""


def _ratio(message: Any, field: str) -> str:
    return repr(getattr(message, field)) if message.HasField(field) else ""


def _seconds(duration: Duration) -> str:
    """Whole nanoseconds as milliseconds or seconds, whichever the value is written shorter in."""
    nanoseconds = duration.ToNanoseconds()
    if nanoseconds % 10**9 == 0 and nanoseconds:
        return f"{nanoseconds // 10**9}s"
    whole, rest = divmod(abs(nanoseconds), 10**6)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return f"{'-' if nanoseconds < 0 else ''}{text}ms"


def _instant(stamp: Any) -> str:
    try:
        return str(stamp.ToDatetime(tzinfo=UTC).isoformat())
    except ValueError:  # the intent room refuses it, with the words that it takes
        return f"{stamp.seconds} seconds after 1970"


def _word(kind: Any, value: int) -> str:
    """Return the word of an enum value as YAML writes it; "" for UNSPECIFIED."""
    if not value:
        return ""
    known = kind.DESCRIPTOR.values_by_number.get(value)
    if known is None:
        return str(value)  # the intent room refuses it, with the words that it takes
    prefix = kind.DESCRIPTOR.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(known.name.removeprefix(prefix).lower().replace("_", "-"))


def _ports(message: Any) -> str:
    if not message.port_low:
        return ""
    high = message.port_high or message.port_low
    return str(message.port_low) if high == message.port_low else f"{message.port_low}-{high}"
