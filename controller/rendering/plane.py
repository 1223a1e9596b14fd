"""A dedicated plane: one VPN per domain, hoses at the accesses, option A at the borders. Never tunnels per pair.

Tunnels there are only where the placement pins a way between two provider edges that routing would not take.
"""

from __future__ import annotations

from collections.abc import Iterator

from controller.intent.model import DedicatedPlane
from controller.network.model import CityMap
from controller.planning.placement import Placement, Stitch
from controller.rendering.l3vpn import (
    PLANE_PROFILE,
    Access,
    Profile,
    border_access,
    border_profile,
    by_domain,
    hub_profiles,
    mesh_profile,
    site_access,
    vpn_id,
    vpn_service,
)
from controller.rendering.merge import merge
from controller.rendering.steering import steering_overlay
from controller.rendering.tree import Tree
from controller.rendering.tunnels import measured_network, tunnel_fragment


def render_plane(plane: DedicatedPlane, placement: Placement, city: CityMap) -> dict[str, Tree]:
    """Return each domain's fragment of a plane."""
    out: dict[str, Tree] = {}
    for domain in by_domain(placement):
        profiles = _profiles(plane, placement, domain, city.domains[domain].asn or 0)
        accesses = tuple(_accesses(plane, placement, domain, profiles))
        service = plane.metadata.service
        vpn = vpn_service(service, plane.metadata.name, city, domain, profiles, accesses)
        pinned = tuple(tunnel for tunnel in placement.tunnels if tunnel.domain == domain)
        for more in (
            steering_overlay(placement, city, domain, vpn_id(service), {}),
            tunnel_fragment(pinned, city, city.domains[domain], placement.number, service),
            measured_network(vpn_id(service), pinned, city.domains[domain]),
        ):
            vpn = merge(vpn, more)
        out[domain] = vpn
    return out


def _profiles(plane: DedicatedPlane, placement: Placement, domain: str, asn: int) -> tuple[Profile, ...]:
    """Return the VRFs of a domain: a common one, or the hub's, the spokes' and one per border to spokes.

    Where the hub is on the far side, the border stands for the hub and takes its VRF. Else it stands for the spokes
    beyond it, which meet no others in a VRF of their own.
    """
    if not plane.hub_and_spoke:
        return (mesh_profile(asn, placement.number),)
    addresses: dict[str, dict[str, str]] = {}
    for stitch in placement.stitches:
        for near, far in ((stitch.a, stitch.z), (stitch.z, stitch.a)):
            if near.domain == domain and not _leads_to_hub(placement, near.domain, far.domain):
                addresses.setdefault(far.domain, {}).setdefault(near.node, near.address)
    borders = (border_profile(asn, placement.number, far, addresses[far]) for far in sorted(addresses))
    return (*hub_profiles(asn, placement.number), *borders)


def _accesses(
    plane: DedicatedPlane, placement: Placement, domain: str, profiles: tuple[Profile, ...]
) -> Iterator[Access]:
    service = plane.metadata.service
    hub, spoke = profiles[0], profiles[min(1, len(profiles) - 1)]
    beyond = {profile.name: profile for profile in profiles}
    for attachment in placement.attachments:
        if attachment.domain == domain:
            profile = hub if attachment.hub else spoke
            yield site_access(service, attachment, profile.name, PLANE_PROFILE)
    for stitch in placement.stitches:
        for near, far in ((stitch.a, stitch.z), (stitch.z, stitch.a)):
            if near.domain == domain:
                profile = beyond.get(f"border-{far.domain}", hub)
                yield border_access(service, stitch, near, far, profile.name, PLANE_PROFILE)


def _leads_to_hub(placement: Placement, near: str, far: str) -> bool:
    hubs = {a.domain for a in placement.attachments if a.hub}
    return bool(hubs & reachable(placement.stitches, far, without=near))


def reachable(stitches: tuple[Stitch, ...], start: str, *, without: str) -> frozenset[str]:
    """Return the domains that a service reaches from `start` over its stitches without crossing `without`."""
    neighbours: dict[str, set[str]] = {}
    for stitch in stitches:
        neighbours.setdefault(stitch.a.domain, set()).add(stitch.z.domain)
        neighbours.setdefault(stitch.z.domain, set()).add(stitch.a.domain)
    found, waiting = {start}, [start]
    while waiting:
        for domain in sorted(neighbours.get(waiting.pop(), set()) - found - {without}):
            found.add(domain)
            waiting.append(domain)
    return frozenset(found)
