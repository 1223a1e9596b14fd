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
        asn = city.domains[domain].asn or 0
        profiles = (
            hub_profiles(asn, placement.number) if plane.hub_and_spoke else (mesh_profile(asn, placement.number),)
        )
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


def _accesses(
    plane: DedicatedPlane, placement: Placement, domain: str, profiles: tuple[Profile, ...]
) -> Iterator[Access]:
    service = plane.metadata.service
    for attachment in placement.attachments:
        if attachment.domain == domain:
            profile = profiles[-1] if not attachment.hub else profiles[0]
            yield site_access(service, attachment, profile.name, PLANE_PROFILE)
    for stitch in placement.stitches:
        for near, far in ((stitch.a, stitch.z), (stitch.z, stitch.a)):
            if near.domain == domain:
                profile = _border_profile(plane, placement, profiles, near.domain, far.domain)
                yield border_access(service, stitch, near, far, profile.name, PLANE_PROFILE)


def _border_profile(
    plane: DedicatedPlane, placement: Placement, profiles: tuple[Profile, ...], near: str, far: str
) -> Profile:
    """Choose the VRF of a border access so that two spokes meet only at the hub.

    Where the hub is on the far side, the border stands for the hub and takes its VRF; on the hub's own side the border
    stands for the spokes beyond it.
    """
    if not plane.hub_and_spoke:
        return profiles[0]
    hubs = {a.domain for a in placement.attachments if a.hub}
    beyond = reachable(placement.stitches, far, without=near)
    return profiles[0] if min(hubs, default=near) in beyond else profiles[1]


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
