"""From a placement to each domain's fragment of configuration. Decides nothing: the placement has decided."""

from __future__ import annotations

from collections.abc import Mapping

from controller.errors import UnknownNameError
from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, ServiceId
from controller.network.model import CityMap
from controller.planning.placement import Placement
from controller.rendering.lit import with_lit_links
from controller.rendering.packed import packed_fragment
from controller.rendering.plane import render_plane
from controller.rendering.slice import render_slice
from controller.rendering.tree import Tree
from controller.rendering.vip import render_vip


def render(
    service: Service, placement: Placement, city: CityMap, standing: Mapping[ServiceId, tuple[Service, Placement]]
) -> dict[str, Tree]:
    """Return the normalised fragment of one service for every domain that it needs, by domain name.

    standing: the other services with their placements; a VIP needs the one that it protects, UnknownNameError without.
    Whether a VIP's window is open is the caller's business: this renders what stands while it is.
    """
    fragments = _rendered(service, placement, city, standing)
    if placement.lit_links:
        fragments = with_lit_links(fragments, placement.lit_links, city)
    return {domain: packed_fragment(tree) for domain, tree in fragments.items()}


def configured_alike(one: Placement, other: Placement) -> bool:
    """Whether two placements of one plane or slice render to the same: what is held and promised is not configured."""
    return all(
        getattr(one, part) == getattr(other, part)
        for part in ("number", "attachments", "stitches", "circuits", "tunnels", "partitions", "steering", "lit_links")
    )


def _rendered(
    service: Service, placement: Placement, city: CityMap, standing: Mapping[ServiceId, tuple[Service, Placement]]
) -> dict[str, Tree]:
    match service:
        case DedicatedPlane():
            return render_plane(service, placement, city)
        case ExclusiveSlice():
            return render_slice(service, placement, city)
        case _:
            carrier = standing.get(service.protects)
            if carrier is None:
                raise UnknownNameError(
                    f"{service.metadata.service} protects {service.protects}, which is not there; apply it first"
                )
            return render_vip(service, placement, city, carrier[1])
