"""What becomes of one service as it is placed: its configuration, and whether anything of it is new."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from controller.changes.state import DesiredState, Standing
from controller.intent.model import Service, ServiceId, VipAssurance
from controller.network.model import CityMap
from controller.planning.placement import Placement
from controller.rendering.render import configured_alike, render
from controller.rendering.tree import Tree


def standing_of(
    state: DesiredState,
    service: Service,
    placement: Placement,
    city: CityMap,
    pairs: Mapping[ServiceId, tuple[Service, Placement]],
    now: datetime,
) -> Standing | None:
    """Render one service; None where a dependant turns out exactly as it was."""
    sid = service.metadata.service
    old = state.services.get(sid)
    fragments = _kept(old, service, placement) or render(service, placement, city, pairs)
    active = placement.open_at(now)
    if old is not None and old.service == service and old.placement == placement and dict(old.fragments) == fragments:
        return None
    if old is not None:  # what stays the same stays the same object: nobody compares it with itself again
        fragments = {d: old.fragments[d] if old.fragments.get(d) == tree else tree for d, tree in fragments.items()}
    return Standing(service, placement, fragments, (old.generation if old else 0) + 1, state.number + 1, active)


def _kept(old: Standing | None, service: Service, placement: Placement) -> dict[str, Tree] | None:
    """Return the configuration that a service has, where nothing changed but what is held for it.

    Most of what a failure moves are planes: routers lead them around, and only what is held has to follow.
    """
    if old is None or old.service is not service or isinstance(service, VipAssurance):
        return None
    return dict(old.fragments) if configured_alike(old.placement, placement) else None
