"""What all kinds of service have in common: promises, boundaries and accesses, read from shapes and written back.

Checks add (path, problem) to `found` and go on, so that one reading reports every mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controller.intent.documents import Path
from controller.intent.leaves import is_name
from controller.intent.model import (
    AccessSite,
    Assurance,
    AttachLayer,
    Boundaries,
    DedicatedPlane,
    Metadata,
    Prefix,
    Service,
    ServiceId,
    SiteId,
    Slo,
)
from controller.intent.quantities import delay_text, loss_text, percent_text, rate_text
from controller.intent.shapes import AccessShape, AssuredShape, BoundedShape, EndpointShape, MetadataShape, SloShape

Found = list[tuple[Path, str]]  # the mistakes of one document
Plain = dict[str, object]  # a mapping as YAML holds it


def metadata(shape: MetadataShape, source: str, line: int, found: Found) -> Metadata:
    """Return who asks for the service; labels in the order of their keys."""
    for key in shape.labels:
        if not key or len(key) > 128 or not key.isprintable() or any(c.isspace() or c in ",=" for c in key):
            found.append((("metadata", "labels", key), "is not a label; write 1 to 128 characters without space , ="))
    return Metadata(shape.name, shape.tenant, tuple(sorted(shape.labels.items())), source, line)


def reference(written: str, tenant: str) -> ServiceId:
    """Return the service that a name means: without a tenant, one of the same tenant."""
    return ServiceId(written if "/" in written else f"{tenant}/{written}")


def reference_text(service: ServiceId, tenant: str) -> str:
    """Return the shortest name of a service as seen from `tenant`."""
    return service.removeprefix(f"{tenant}/")


def slo(shape: SloShape | None, catalogue: Slo) -> Slo:
    """Return what is promised; what is not stated comes from the service catalogue."""
    if shape is None:
        return catalogue
    return Slo(
        latency_s=catalogue.latency_s if shape.latency is None else shape.latency,
        jitter_s=catalogue.jitter_s if shape.jitter is None else shape.jitter,
        loss_ratio=catalogue.loss_ratio if shape.loss is None else shape.loss,
        availability=catalogue.availability if shape.availability is None else shape.availability,
        most_hops=catalogue.most_hops if shape.hops is None else shape.hops,
    )


def assurance(shape: AssuredShape, place: Metadata, found: Found) -> Assurance:
    """Return what is done where its way wears out; the label `assurance` says it where the field is left out."""
    label = _labelled(place)
    if shape.assurance is None:
        return label or Assurance.AUTO
    wanted = Assurance(shape.assurance)
    if label not in (None, wanted):
        problem = f"says {wanted}, but the label assurance says {label}; keep the field, remove the label"
        found.append((("spec", "assurance"), problem))
    return wanted


def assurance_mode_plain(mode: Assurance) -> Plain:
    return {} if mode is Assurance.AUTO else {"assurance": mode.value}


def wish(service: Service) -> Assurance:
    """Return what is done where its way wears out, also of a service stored before there was a field for it."""
    mode = Assurance.AUTO if isinstance(service, DedicatedPlane) else service.assurance
    return _labelled(service.metadata) or mode if mode is Assurance.AUTO else mode


def _labelled(place: Metadata) -> Assurance | None:
    said = dict(place.labels).get("assurance", "")
    return Assurance(said) if said in {mode.value for mode in Assurance} else None


def boundaries(shape: BoundedShape, found: Found) -> Boundaries:
    """Return where the service may run."""
    include = frozenset(shape.regions.include if shape.regions else ())
    exclude = frozenset(shape.regions.exclude if shape.regions else ())
    for region in sorted(include & exclude):
        found.append((("spec", "regions", "exclude"), f'"{region}" is both included and excluded; keep one of them'))
    avoided = frozenset(shape.avoid.nodes if shape.avoid else ())
    within = frozenset(shape.within.nodes if shape.within else ())
    for node in sorted(avoided & within):
        found.append((("spec", "avoid", "nodes"), f'"{node}" is also in within.nodes; keep it in one of them'))
    return Boundaries(include, exclude, avoided, within, shape.trust)


def accesses(
    shapes: Sequence[AccessShape], field: str, rates: Sequence[int], hubs: frozenset[str], found: Found
) -> tuple[AccessSite, ...]:
    """Return the accesses under `spec.<field>`, after checking names, VLANs and prefixes among them."""
    made = tuple(_access(shape, rate, hubs) for shape, rate in zip(shapes, rates, strict=True))
    _check_names(made, shapes, field, found)
    _check_vlans(made, field, found)
    _check_prefixes([(access.lans, index) for index, access in enumerate(made)], field, found)
    return made


def _access(shape: AccessShape, rate: int, hubs: frozenset[str]) -> AccessSite:
    name = shape.name or shape.site
    attach = AttachLayer(shape.attach) if isinstance(shape, EndpointShape) else AttachLayer.IP
    return AccessSite(
        name, SiteId(shape.site), rate, shape.lan, shape.vlan, shape.port, hub=name in hubs, attach=attach
    )


def _check_names(made: Sequence[AccessSite], shapes: Sequence[AccessShape], field: str, found: Found) -> None:
    first: dict[str, int] = {}
    for index, access in enumerate(made):
        if shapes[index].name is None and not is_name(access.name):
            problem = "cannot also be the name of the access; write a name beside it, as name: office-1"
            found.append((("spec", field, index, "site"), f'"{access.name[:80]}" {problem}'))
        before = first.setdefault(access.name, index)
        if before == index:
            continue
        written = "name" if shapes[index].name else "site"
        found.append(
            (
                ("spec", field, index, written),
                f'"{access.name}" is already the name of {field}[{before}]; give this one its own,'
                f" as name: {access.name}-2",
            )
        )


def _check_vlans(made: Sequence[AccessSite], field: str, found: Found) -> None:
    taken: dict[tuple[str, int], str] = {}
    for index, access in enumerate(made):
        if access.vlan is None:
            continue
        other = taken.setdefault((access.port or access.site, access.vlan), access.name)
        if other != access.name:
            problem = f"VLAN {access.vlan} is taken by {other} at the same port; write another, or leave it out"
            found.append((("spec", field, index, "vlan"), problem))


def _check_prefixes(owned: Sequence[tuple[Sequence[Prefix], int]], field: str, found: Found) -> None:
    """Report prefixes that share addresses; a sweep over sorted starts, so that 5,000 sites stay cheap."""
    every = sorted(
        (lan.version, int(lan.network_address), lan.prefixlen, int(lan.broadcast_address), index, str(lan))
        for lans, index in owned
        for lan in lans
    )
    widest = None
    for lan in every:
        if widest is not None and lan[0] == widest[0] and lan[1] <= widest[3]:
            later, earlier = (lan, widest) if lan[4] >= widest[4] else (widest, lan)
            where = "the same list" if later[4] == earlier[4] else f"{field}[{earlier[4]}]"
            problem = f"{later[5]} overlaps {earlier[5]} of {where}; a prefix can be in one place only"
            found.append((("spec", field, later[4], "lan"), problem))
        if widest is None or lan[0] != widest[0] or lan[3] > widest[3]:
            widest = lan


def slo_plain(promised: Slo) -> Plain:
    """Return the promises as people write them."""
    plain: Plain = {}
    if promised.latency_s is not None:
        plain["latency"] = delay_text(promised.latency_s)
    if promised.jitter_s is not None:
        plain["jitter"] = delay_text(promised.jitter_s)
    if promised.loss_ratio is not None:
        plain["loss"] = loss_text(promised.loss_ratio)
    plain["availability"] = percent_text(promised.availability)
    if promised.most_hops is not None:
        plain["hops"] = promised.most_hops
    return plain


def boundaries_plain(bounds: Boundaries) -> Plain:
    """Return the boundaries as people write them; what is everywhere or nothing is left out."""
    plain: Plain = {}
    regions = {"include": sorted(bounds.include_regions), "exclude": sorted(bounds.exclude_regions)}
    if any(regions.values()):
        plain["regions"] = {key: names for key, names in regions.items() if names}
    if bounds.exclude_nodes:
        plain["avoid"] = {"nodes": sorted(bounds.exclude_nodes)}
    if bounds.include_nodes:
        plain["within"] = {"nodes": sorted(bounds.include_nodes)}
    if bounds.least_trust > 1:
        plain["trust"] = f"L{bounds.least_trust}"
    return plain


def access_plain(access: AccessSite, *, with_rate: bool) -> Plain:
    """Return one access as people write it."""
    plain: Plain = {"site": str(access.site)}
    if access.name != access.site:
        plain["name"] = access.name
    if with_rate:
        plain["bandwidth"] = rate_text(access.rate_bps)
    if access.lans:
        plain["lan"] = str(access.lans[0]) if len(access.lans) == 1 else [str(lan) for lan in access.lans]
    if access.vlan is not None:
        plain["vlan"] = access.vlan
    if access.port is not None:
        plain["port"] = access.port
    if access.attach is AttachLayer.OPTICAL:
        plain["attach"] = "optical"
    return plain


def at(place: Metadata, source: str, line: int) -> Metadata:
    """Return the metadata of the same document found at another place."""
    return place if (place.source, place.line) == (source, line) else replace(place, source=source, line=line)
