"""Whether a service agrees with what is around it: the other services, the sites of the city, the calendar.

Each function returns (path, problem) pairs; empty where all is well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network

from controller.intent.clauses import Found
from controller.intent.documents import Path
from controller.intent.model import (
    Boundaries,
    DedicatedPlane,
    ExclusiveSlice,
    Party,
    Prefix,
    Service,
    ServiceId,
    VipAssurance,
    Window,
)
from controller.intent.quantities import instant_text, nearest

Lans = Mapping[str, Sequence[Prefix]]  # the prefixes behind each access, by its name

_FAR = timedelta(days=3660)  # ten years: a window further ahead is a mistyped year


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What there is in the city that documents name; empty where it is not known."""

    sites: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    reserved: tuple[IPv4Network, ...] = ()  # what onecity takes its own link addresses from


def strange(service: Service, catalogue: Catalogue) -> Found:
    """Return what the service names that the city does not have, and addresses that the city needs itself."""
    found = _unknown_boundaries(service.boundaries, catalogue)
    if isinstance(service, VipAssurance):
        return found  # parties name accesses of their plane
    field, accesses = (
        ("sites", service.accesses) if isinstance(service, DedicatedPlane) else ("endpoints", service.endpoints)
    )
    if catalogue.sites:
        found += [
            (
                ("spec", field, index, "site"),
                f'"{access.site[:80]}" is not a site of this city; {nearest(access.site, catalogue.sites)}',
            )
            for index, access in enumerate(accesses)
            if access.site not in catalogue.sites
        ]
    lans: list[tuple[Path, Prefix]] = [
        (("spec", field, index, "lan"), lan) for index, access in enumerate(accesses) for lan in access.lans
    ]
    if isinstance(service, DedicatedPlane) and service.lan_pool is not None:
        lans.append((("spec", "addressing", "pool"), service.lan_pool))
    for path, lan in lans:
        taken = next((r for r in catalogue.reserved if isinstance(lan, IPv4Network) and lan.overlaps(r)), None)
        if taken is not None:
            problem = f"{lan} overlaps {taken}, from which the links to the sites get their addresses; write another"
            found.append((path, problem))
    return found


def _unknown_boundaries(bounds: Boundaries, catalogue: Catalogue) -> Found:
    found: Found = []
    regions = (("include", bounds.include_regions), ("exclude", bounds.exclude_regions))
    for field, named in regions if catalogue.regions else ():
        for name in sorted(named - catalogue.regions):
            problem = f'"{name[:80]}" is not a region of this city; {nearest(name, catalogue.regions)}'
            found.append((("spec", "regions", field), problem))
    known = catalogue.nodes | {node.removeprefix("node:") for node in catalogue.nodes}
    nodes = (("avoid", bounds.exclude_nodes), ("within", bounds.include_nodes))
    for field, named in nodes if catalogue.nodes else ():
        for name in sorted(named - known):
            choice = catalogue.nodes if ":" in name else known - {n for n in catalogue.nodes if ":" in n}
            problem = f'"{name[:80]}" is not a node of this city; {nearest(name, choice)}'
            found.append((("spec", field, "nodes"), problem))
    return found


def unknown_references(service: Service, known: Mapping[ServiceId, Service]) -> Found:
    """Return the services named that do not exist."""
    names: list[tuple[Path, ServiceId]] = []
    if isinstance(service, VipAssurance):
        names.append((("spec", "protects"), service.protects))
    elif isinstance(service, ExclusiveSlice):
        names.extend((("spec", "diverseFrom"), other) for other in service.diverse_from)
        names.extend((("spec", "togetherWith"), other) for other in service.together_with)
    return [
        (path, f'there is no service "{name}"; {nearest(name, set(known) - {service.metadata.service})}')
        for path, name in names
        if name not in known
    ]


def misfits(service: Service, known: Mapping[ServiceId, Service]) -> Found:
    """Return what does not fit the service that an assurance protects, where that one is known."""
    if not isinstance(service, VipAssurance):
        return []
    protected = known.get(service.protects)
    where: Path = ("spec", "protects")
    if protected is None:
        return []
    if isinstance(protected, VipAssurance):
        return [(where, f"{service.protects} is itself an assurance; name a plane or a slice")]
    outside = _outside(service, protected)
    if service.conference is None:
        return outside
    if isinstance(protected, ExclusiveSlice):
        return [*outside, (where, f"{service.protects} is a slice; a conference is carried by a DedicatedPlane")]
    return outside + misplaced_hosts(service, protected, {access.name: access.lans for access in protected.accesses})


def _outside(vip: VipAssurance, protected: DedicatedPlane | ExclusiveSlice) -> Found:
    """Return the window of an assurance that is open while what it protects does not stand."""
    inner, outer = vip.window, protected.window
    if not isinstance(inner, Window) or not isinstance(outer, Window):
        return []  # what starts with its acceptance is known only then
    found: Found = []
    stands = f"{vip.protects} stands from {instant_text(outer.start)} to {instant_text(outer.end)} only"
    if inner.start < outer.start:
        found.append((("spec", "window", "start"), f"{stands}; start then or later"))
    if inner.end > outer.end:
        found.append((("spec", "window", "end"), f"{stands}; end then or sooner"))
    return found


def misplaced_hosts(vip: VipAssurance, plane: DedicatedPlane, lans: Lans) -> Found:
    """Return the hosts of a conference that are not behind their access; one without prefixes may hold any."""
    if vip.conference is None:
        return []
    accesses = {access.name for access in plane.accesses}
    found: Found = []
    hosts: list[tuple[Path, Party]] = [(("spec", "conference", "mcu"), vip.conference.mcu)]
    hosts += [(("spec", "conference", "parties", i), party) for i, party in enumerate(vip.conference.parties)]
    for path, host in hosts:
        behind = lans.get(host.access, ())
        if host.access not in accesses:
            problem = f'"{host.access}" is not an access of {vip.protects}; {nearest(host.access, accesses)}'
            found.append((path, problem))
        elif behind and not any(lan.version == 4 and host.address in lan for lan in behind):
            has = ", ".join(map(str, behind))
            found.append(((*path, "address"), f"{host.address} is not behind {host.access}, which has {has}"))
    return found


def passed(service: Service, now: datetime) -> Found:
    """Return the window of a service if it has ended by `now`."""
    if not isinstance(service.window, Window) or service.window.end > now:
        return []
    ended, today = instant_text(service.window.end), instant_text(now.replace(microsecond=0))
    problem = f"the window ended at {ended} and it is {today}; write a later one, or start: now"
    return [(("spec", "window", "end"), problem)]


def far_ahead(service: Service, now: datetime) -> Found:
    """Return the window of a service if it begins so far ahead that the year must be mistyped."""
    if not isinstance(service.window, Window):
        return []
    if service.window.start - now <= _FAR:
        return []
    start = instant_text(service.window.start)
    return [(("spec", "window", "start"), f"{start} is more than ten years ahead; is the year right?")]
