"""VipAssurance (A1 重保): from its shape to a value, with the rules that span fields, and back.

Media follow what conference systems use: SIP signalling, RTP audio and video, marked after RFC 4594.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from controller.intent.clauses import (
    Found,
    Plain,
    assurance,
    assurance_mode_plain,
    boundaries,
    boundaries_plain,
    reference,
    reference_text,
    slo,
    slo_plain,
)
from controller.intent.documents import Path
from controller.intent.model import Conference, MediaFlow, Metadata, Party, Slo, VipAssurance
from controller.intent.quantities import rate_text
from controller.intent.shapes import ConferenceShape, FlowShape, MediumShape, PartyShape, VipSpec
from controller.intent.windows import read_window, window_plain

CATALOGUE = Slo(latency_s=0.050, loss_ratio=1e-5, availability=0.9999)
_PROTOCOLS = {"tcp": 6, "udp": 17}
_PROTOCOL_NAMES = {number: name for name, number in _PROTOCOLS.items()}


@dataclass(frozen=True, slots=True)
class _Treatment:
    """How one class of media is marked and queued, unless the document says otherwise."""

    dscp: int
    queue: int


_TREATMENTS = {"signalling": _Treatment(40, 6), "audio": _Treatment(46, 7), "video": _Treatment(34, 6)}
_MEDIA = (
    MediaFlow("sig", 6, 5060, 5061, 128_000, "signalling", 40, 6),
    MediaFlow("aud", 17, 16384, 16883, 256_000, "audio", 46, 7),
    MediaFlow("vid", 17, 20000, 20999, 4_000_000, "video", 34, 6),
)


def read_assurance(spec: VipSpec, place: Metadata, found: Found) -> VipAssurance:
    """Return the assurance; mistakes go to `found`, and the value then means nothing."""
    protects = reference(spec.protects, place.tenant)
    if protects == place.service:
        found.append((("spec", "protects"), "an assurance cannot protect itself; name a plane or a slice"))
    if spec.conference is not None:
        for field, written in (("flows", bool(spec.flows)), ("bandwidth", spec.bandwidth is not None)):
            if written:
                problem = "a conference states its own media (conference.media); remove this, or the conference"
                found.append((("spec", field), problem))
    return VipAssurance(
        metadata=place,
        protects=protects,
        window=read_window(spec.window, found),
        conference=_conference(spec.conference, found) if spec.conference is not None else None,
        flows=_flows(spec.flows, found),
        rate_bps=spec.bandwidth or 0,
        priority=spec.priority,
        assurance=assurance(spec, place, found),
        slo=slo(spec.slo, CATALOGUE),
        boundaries=boundaries(spec, found),
    )


def _conference(shape: ConferenceShape, found: Found) -> Conference:
    where: Path = ("spec", "conference")
    mcu = _party(shape.mcu, (*where, "mcu"), "mcu", found)
    parties = tuple(_party(party, (*where, "parties", index), None, found) for index, party in enumerate(shape.parties))
    names: dict[str, str] = {}
    addresses: dict[IPv4Address, str] = {mcu.address: "the MCU"}
    for index, party in enumerate(parties):
        here, label = (*where, "parties", index), f"parties[{index}]"
        first = names.setdefault(party.name, label)
        if first != label:
            found.append(((*here, "name"), f'"{party.name}" is already the name of {first}; write another'))
        first = addresses.setdefault(party.address, label)
        if first != label:
            found.append(((*here, "address"), f"{party.address} is already the address of {first}; write another"))
    return Conference(mcu, parties, _media(shape))


def _party(shape: PartyShape, where: Path, default_name: str | None, found: Found) -> Party:
    if (shape.site is None) == (shape.access is None):
        problem = "write site or access, not both" if shape.site else "has no site; write site, or access"
        found.append((where, f"{problem}: where the host stands in the plane that carries the conference"))
    name = shape.name or default_name or "p-" + str(shape.address).replace(".", "-")
    return Party(name, shape.access or shape.site or "", shape.address)


def _media(shape: ConferenceShape) -> tuple[MediaFlow, ...]:
    written = shape.media
    shapes = (written.signalling, written.audio, written.video) if written is not None else (None, None, None)
    return tuple(_medium(medium, default) for medium, default in zip(shapes, _MEDIA, strict=True))


def _medium(shape: MediumShape | None, default: MediaFlow) -> MediaFlow:
    if shape is None:
        return default
    low, high = shape.ports or (default.port_low, default.port_high)
    return MediaFlow(
        name=default.name,
        protocol=_PROTOCOLS[shape.protocol] if shape.protocol else default.protocol,
        port_low=low,
        port_high=high,
        rate_bps=shape.bandwidth or default.rate_bps,
        target_class=default.target_class,
        dscp=default.dscp if shape.dscp is None else shape.dscp,
        queue=default.queue if shape.queue is None else shape.queue,
    )


def _flows(shapes: list[FlowShape], found: Found) -> tuple[MediaFlow, ...]:
    names: dict[str, int] = {}
    made = []
    for index, shape in enumerate(shapes):
        first = names.setdefault(shape.name, index)
        if first != index:
            where = ("spec", "flows", index, "name")
            found.append((where, f'"{shape.name}" is already the name of flows[{first}]; write another'))
        usual = _TREATMENTS[shape.class_]
        made.append(
            MediaFlow(
                name=shape.name,
                protocol=_PROTOCOLS[shape.protocol],
                port_low=shape.ports[0],
                port_high=shape.ports[1],
                rate_bps=shape.bandwidth,
                target_class=shape.class_,
                dscp=usual.dscp if shape.dscp is None else shape.dscp,
                queue=usual.queue if shape.queue is None else shape.queue,
            )
        )
    return tuple(made)


def assurance_plain(vip: VipAssurance) -> Plain:
    """Return the spec as people write it."""
    spec: Plain = {"protects": reference_text(vip.protects, vip.metadata.tenant), "window": window_plain(vip.window)}
    if vip.conference is not None:
        spec["conference"] = {
            "mcu": _party_plain(vip.conference.mcu),
            "parties": [_party_plain(party) for party in vip.conference.parties],
            "media": {flow.target_class: _medium_plain(flow) for flow in vip.conference.flows},
        }
    if vip.flows:
        spec["flows"] = [{"name": flow.name, **_medium_plain(flow), "class": flow.target_class} for flow in vip.flows]
    if vip.rate_bps:
        spec["bandwidth"] = rate_text(vip.rate_bps)
    spec["priority"] = vip.priority
    spec |= assurance_mode_plain(vip.assurance)
    return {**spec, "slo": slo_plain(vip.slo), **boundaries_plain(vip.boundaries)}


def _party_plain(party: Party) -> Plain:
    return {"name": party.name, "access": party.access, "address": str(party.address)}


def _medium_plain(flow: MediaFlow) -> Plain:
    one = flow.port_low == flow.port_high
    return {
        "protocol": _PROTOCOL_NAMES[flow.protocol],
        "ports": str(flow.port_low) if one else f"{flow.port_low}-{flow.port_high}",
        "bandwidth": rate_text(flow.rate_bps),
        "dscp": flow.dscp,
        "queue": flow.queue,
    }
