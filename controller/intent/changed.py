"""Which fields differ between two versions of a service, and what each difference does to traffic.

The one place where a field's impact is declared. Reordering sites, endpoints or parties is no change, nor is
another way to write the same value: the two documents are compared in their normal form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service
from controller.intent.plane import plane_plain
from controller.intent.reading import to_document
from controller.intent.slices import slice_plain


class Impact(StrEnum):
    """What a change does to the traffic of the service."""

    NONE = "none"
    MAKE_BEFORE_BREAK = "make-before-break"  # moved to a new path that is up before the old one goes
    INTERRUPTING = "interrupting"  # of the access, site or service named


_NONE, _MOVES, _BREAKS = Impact.NONE, Impact.MAKE_BEFORE_BREAK, Impact.INTERRUPTING

# A path's impact; `[*]` is any entry. Where an entry comes or goes as a whole, `+` and `-` say so.
IMPACTS: dict[str, Impact] = {
    "kind": _BREAKS,
    "metadata.labels[*]": _NONE,
    "spec.slo.latency": _MOVES,
    "spec.slo.jitter": _MOVES,
    "spec.slo.loss": _MOVES,
    "spec.slo.availability": _MOVES,
    "spec.slo.hops": _MOVES,
    "spec.regions.include": _MOVES,
    "spec.regions.exclude": _MOVES,
    "spec.avoid.nodes": _MOVES,
    "spec.within.nodes": _MOVES,
    "spec.trust": _MOVES,
    "spec.assurance": _NONE,
    # planes
    "spec.topology": _BREAKS,
    "spec.hubs": _BREAKS,
    "spec.plane": _MOVES,
    "spec.floor": _NONE,
    "spec.addressing.pool": _BREAKS,
    "spec.addressing.prefixLength": _BREAKS,
    "+spec.sites[*]": _NONE,
    "-spec.sites[*]": _BREAKS,
    "spec.sites[*].site": _BREAKS,
    "spec.sites[*].bandwidth": _NONE,
    "+spec.sites[*].lan[*]": _NONE,
    "-spec.sites[*].lan[*]": _BREAKS,
    "spec.sites[*].vlan": _BREAKS,
    "spec.sites[*].port": _BREAKS,
    # slices
    "+spec.endpoints[*]": _NONE,
    "-spec.endpoints[*]": _BREAKS,
    "spec.endpoints[*].site": _BREAKS,
    "+spec.endpoints[*].lan[*]": _NONE,
    "-spec.endpoints[*].lan[*]": _BREAKS,
    "spec.endpoints[*].vlan": _BREAKS,
    "spec.endpoints[*].port": _BREAKS,
    "spec.endpoints[*].attach": _BREAKS,
    "+spec.demands[*]": _NONE,
    "-spec.demands[*]": _BREAKS,
    "spec.demands[*].bandwidth": _MOVES,
    "spec.isolation": _MOVES,
    "spec.class": _MOVES,
    "spec.protection": _MOVES,
    "spec.disjoint": _MOVES,
    "spec.diverseFrom": _MOVES,
    "spec.togetherWith": _MOVES,
    # assurances: classification and pinned paths come and go beside the traffic they serve
    "spec.protects": _MOVES,
    "spec.window.start": _NONE,
    "spec.window.end": _NONE,
    "spec.window.duration": _NONE,
    "spec.priority": _NONE,
    "spec.bandwidth": _MOVES,
    "spec.conference.mcu.name": _NONE,
    "spec.conference.mcu.access": _MOVES,
    "spec.conference.mcu.address": _MOVES,
    "+spec.conference.parties[*]": _NONE,
    "-spec.conference.parties[*]": _NONE,
    "spec.conference.parties[*].access": _NONE,
    "spec.conference.parties[*].address": _NONE,
    **{
        f"spec.conference.media.{medium}.{field}": _MOVES if field == "bandwidth" else _NONE
        for medium in ("signalling", "audio", "video")
        for field in ("protocol", "ports", "bandwidth", "dscp", "queue")
    },
    "+spec.flows[*]": _NONE,
    "-spec.flows[*]": _NONE,
    "spec.flows[*].protocol": _NONE,
    "spec.flows[*].ports": _NONE,
    "spec.flows[*].bandwidth": _MOVES,
    "spec.flows[*].class": _NONE,
    "spec.flows[*].dscp": _NONE,
    "spec.flows[*].queue": _NONE,
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. `old` None: it is new; `new` None: it goes."""

    path: str  # "spec.sites[buji].bandwidth": entries are named by what they are called, not by position
    old: str | None
    new: str | None
    impact: Impact


def changed_fields(old: Service, new: Service) -> tuple[FieldChange, ...]:
    """Return what differs between two versions of a service, in the order of the documents."""
    if old.kind != new.kind:
        return (FieldChange("kind", old.kind, new.kind, IMPACTS["kind"]),)
    before, after = dict(_fields(old)), dict(_fields(new))
    changes: list[FieldChange] = []
    whole: list[str] = []  # entries that come or go: what is in them is not told again
    for path in dict.fromkeys([*before, *after]):
        was, will = before.get(path), after.get(path)
        if was == will or any(path.startswith(entry) for entry in whole):
            continue
        impact = _impact(path, was, will)
        if path.endswith("]") and (was is None or will is None):
            whole += [path + ".", path + "["]
        changes.append(FieldChange(path, was, will, impact))
    return tuple(changes)


def _impact(path: str, was: str | None, will: str | None) -> Impact:
    pattern = re.sub(r"\[[^\]]*\]", "[*]", path)
    sign = "+" if was is None else "-" if will is None else ""
    return IMPACTS.get(sign + pattern) or IMPACTS[pattern]


def _fields(service: Service) -> Iterator[tuple[str, str]]:
    """Yield every path of the normal form with its value as text; entries of lists before what is in them."""
    labels = service.metadata.labels
    yield from ((f"metadata.labels[{key}]", value) for key, value in labels)
    if isinstance(service, DedicatedPlane):
        spec = plane_plain(service, explicit=True)
    elif isinstance(service, ExclusiveSlice):
        spec = slice_plain(service, explicit=True)
    else:
        spec = to_document(service)["spec"]
    yield from _flat("spec", spec)


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for field, inner in value.items():
            if field == "lan":
                lans = inner if isinstance(inner, list) else [inner]
                yield from ((f"{path}.lan[{lan}]", str(lan)) for lan in lans)
            else:
                yield from _flat(f"{path}.{field}", inner)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for entry in value:
            name, rest = _named(entry)
            yield f"{path}[{name}]", name
            yield from _flat(f"{path}[{name}]", rest)
    elif isinstance(value, list):
        yield path, ", ".join(sorted(map(str, value)))
    else:
        yield path, str(value)


def _named(entry: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return what an entry of a list is called, and its other fields."""
    if "from" in entry:
        ends = sorted((str(entry["from"]), str(entry["to"])))
        return "--".join(ends), {key: value for key, value in entry.items() if key not in ("from", "to")}
    name = str(entry.get("name", entry.get("site")))
    return name, {key: value for key, value in entry.items() if key != "name"}
