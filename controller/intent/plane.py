"""DedicatedPlane (B1 专用平面): from its shape to a value, with the rules that span fields, and back."""

from __future__ import annotations

from controller.intent.clauses import (
    Found,
    Plain,
    access_plain,
    accesses,
    boundaries,
    boundaries_plain,
    slo,
    slo_plain,
)
from controller.intent.model import AccessSite, DedicatedPlane, Metadata, Prefix, Slo
from controller.intent.quantities import nearest, percent_text, rate_text
from controller.intent.shapes import PlaneSpec
from controller.intent.windows import optional_plain, optional_window

CATALOGUE = Slo(availability=0.999)


def read_plane(spec: PlaneSpec, place: Metadata, found: Found) -> DedicatedPlane:
    """Return the plane; mistakes go to `found`, and the value then means nothing."""
    hub_and_spoke = spec.topology == "hub-and-spoke"
    hubs = frozenset(spec.hubs)
    sites = accesses(spec.sites, "sites", _rates(spec, found), hubs if hub_and_spoke else frozenset(), found)
    _check_hubs(spec, sites, found)
    pool = _pool(spec, sites, found)
    return DedicatedPlane(
        metadata=place,
        accesses=sites,
        hub_and_spoke=hub_and_spoke,
        plane=spec.plane,
        lan_pool=pool,
        lan_prefix_len=spec.addressing.prefix_length if pool is not None and spec.addressing else 24,
        floor_ratio=spec.floor,
        slo=slo(spec.slo, CATALOGUE),
        boundaries=boundaries(spec, found),
        window=optional_window(spec.window, found),
    )


def _rates(spec: PlaneSpec, found: Found) -> list[int]:
    rates = [site.bandwidth or spec.bandwidth or 0 for site in spec.sites]
    without = [index for index, rate in enumerate(rates) if rate == 0]
    if without:
        others = f" (and {len(without) - 1} more sites)" if len(without) > 1 else ""
        problem = f"is missing{others}; write spec.bandwidth for all sites, as 100Mbps, or one for each"
        found.append((("spec", "sites", without[0], "bandwidth"), problem))
    return rates


def _check_hubs(spec: PlaneSpec, sites: tuple[AccessSite, ...], found: Found) -> None:
    names = {site.name for site in sites}
    where = ("spec", "hubs")
    for hub in spec.hubs:
        if hub not in names:
            found.append((where, f'"{hub}" is not the name of a site of this plane; {nearest(hub, names)}'))
    if spec.topology == "hub-and-spoke":
        if not spec.hubs:
            found.append((where, f"hub-and-spoke needs a hub; write for example hubs: [{sites[0].name}]"))
        elif all(site.hub for site in sites):
            found.append((where, "every site is a hub, so there is no spoke; name fewer, or use topology any-to-any"))
    elif spec.hubs:
        found.append((where, "hubs mean nothing in topology any-to-any; write topology: hub-and-spoke, or no hubs"))


def _pool(spec: PlaneSpec, sites: tuple[AccessSite, ...], found: Found) -> Prefix | None:
    if spec.addressing is None:
        return None
    where, length = ("spec", "addressing", "pool"), spec.addressing.prefix_length
    if len(spec.addressing.pool) != 1:
        found.append((where, "write one prefix, as 10.64.0.0/12"))
        return None
    pool = spec.addressing.pool[0]
    if not pool.prefixlen <= length <= pool.max_prefixlen - 2:
        problem = f"a /{length} for each site does not fit {pool}; write {pool.prefixlen} to {pool.max_prefixlen - 2}"
        found.append((("spec", "addressing", "prefixLength"), problem))
        return pool
    needed, room = sum(1 for site in sites if not site.lans), 2 ** (length - pool.prefixlen)
    if needed > room:
        problem = f"{pool} holds {room:,} prefixes of /{length}, but {needed:,} sites have no lan; widen the pool"
        found.append((where, problem))
    if needed:
        _check_outside(pool, sites, found)
    return pool


def _check_outside(pool: Prefix, sites: tuple[AccessSite, ...], found: Found) -> None:
    """A given prefix inside the pool could be handed out again to another site."""
    low, high, version = int(pool.network_address), int(pool.broadcast_address), pool.version
    for index, site in enumerate(sites):
        for lan in site.lans:
            if lan.version == version and int(lan.network_address) <= high and int(lan.broadcast_address) >= low:
                problem = f"{lan} overlaps addressing.pool {pool}, which other sites get theirs from; keep them apart"
                found.append((("spec", "sites", index, "lan"), problem))


def plane_plain(plane: DedicatedPlane, *, explicit: bool = False) -> Plain:
    """Return the spec as people write it; `explicit` states every rate at its site."""
    rates = {site.rate_bps for site in plane.accesses}
    one_rate = len(rates) == 1 and not explicit
    spec: Plain = {"topology": "hub-and-spoke" if plane.hub_and_spoke else "any-to-any"}
    if plane.hub_and_spoke:
        spec["hubs"] = [site.name for site in plane.accesses if site.hub]
    if one_rate:
        spec["bandwidth"] = rate_text(plane.accesses[0].rate_bps)
    spec["sites"] = [access_plain(site, with_rate=not one_rate) for site in plane.accesses]
    if plane.lan_pool is not None:
        spec["addressing"] = {"pool": str(plane.lan_pool), "prefixLength": plane.lan_prefix_len}
    if plane.plane is not None:
        spec["plane"] = plane.plane
    spec["floor"] = percent_text(plane.floor_ratio)
    spec |= optional_plain(plane.window)
    return {**spec, "slo": slo_plain(plane.slo), **boundaries_plain(plane.boundaries)}
