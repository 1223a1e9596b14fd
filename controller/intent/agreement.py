"""Whether a service agrees with what is around it: the other services, the sites of the city, the calendar.

Each function returns (path, problem) pairs; empty where all is well.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from controller.intent.clauses import Found
from controller.intent.documents import Path
from controller.intent.model import (
    DedicatedPlane,
    ExclusiveSlice,
    Party,
    Service,
    ServiceId,
    VipAssurance,
    Window,
)
from controller.intent.quantities import instant_text, nearest

_FAR = timedelta(days=3660)  # ten years: a window further ahead is a mistyped year


def unknown_sites(service: Service, sites: frozenset[str]) -> Found:
    """Return the accesses at sites that the city does not have."""
    if isinstance(service, VipAssurance):
        return []  # parties name accesses of their plane
    field, accesses = (
        ("sites", service.accesses) if isinstance(service, DedicatedPlane) else ("endpoints", service.endpoints)
    )
    return [
        (
            ("spec", field, index, "site"),
            f'"{access.site[:80]}" is not a site of this city; {nearest(access.site, sites)}',
        )
        for index, access in enumerate(accesses)
        if access.site not in sites
    ]


def unknown_references(service: Service, known: Mapping[ServiceId, Service]) -> Found:
    """Return the services named that do not exist."""
    names: list[tuple[Path, ServiceId]] = []
    if isinstance(service, VipAssurance):
        names.append((("spec", "protects"), service.protects))
    elif isinstance(service, ExclusiveSlice):
        names.extend((("spec", "diverseFrom"), other) for other in service.diverse_from)
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
    if service.conference is None:
        return []
    if isinstance(protected, ExclusiveSlice):
        return [(where, f"{service.protects} is a slice; a conference is carried by a DedicatedPlane")]
    return _misplaced_parties(service, protected)


def _misplaced_parties(vip: VipAssurance, plane: DedicatedPlane) -> Found:
    assert vip.conference is not None
    accesses = {access.name: access for access in plane.accesses}
    found: Found = []
    hosts: list[tuple[Path, Party]] = [(("spec", "conference", "mcu"), vip.conference.mcu)]
    hosts += [(("spec", "conference", "parties", i), party) for i, party in enumerate(vip.conference.parties)]
    for path, host in hosts:
        access = accesses.get(host.access)
        if access is None:
            problem = f'"{host.access}" is not an access of {vip.protects}; {nearest(host.access, set(accesses))}'
            found.append((path, problem))
        elif access.lans and not any(lan.version == 4 and host.address in lan for lan in access.lans):
            lans = ", ".join(map(str, access.lans))
            found.append(((*path, "address"), f"{host.address} is not behind {host.access}, which has {lans}"))
    return found


def passed(service: Service, now: datetime) -> Found:
    """Return the window of an assurance if it has ended by `now`."""
    if not isinstance(service, VipAssurance) or not isinstance(service.window, Window) or service.window.end > now:
        return []
    ended, today = instant_text(service.window.end), instant_text(now.replace(microsecond=0))
    return [(("spec", "window"), f"the window ended at {ended} and it is {today}; write a later one, or start: now")]


def far_ahead(service: Service, now: datetime) -> Found:
    """Return the window of an assurance if it begins so far ahead that the year must be mistyped."""
    if not isinstance(service, VipAssurance) or not isinstance(service.window, Window):
        return []
    if service.window.start - now <= _FAR:
        return []
    start = instant_text(service.window.start)
    return [(("spec", "window", "start"), f"{start} is more than ten years ahead; is the year right?")]
