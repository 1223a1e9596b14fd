"""The name of a change, of what it was planned on and of where everything goes: what was approved is what is done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from controller.changes.state import DesiredState, Standing
from controller.intent.model import RelativeWindow, Service, ServiceId
from controller.network.model import CityMap
from controller.planning.placement import Placement


def digest_of(
    state: DesiredState, city: CityMap, puts: Mapping[ServiceId, Standing], drops: frozenset[ServiceId]
) -> str:
    """Name the change and what it was planned on; moves whenever desired state, map or placements do."""
    text = [str(state.number), str(city.version), *sorted(drops)]
    text += [repr(_timeless(puts[sid])) for sid in sorted(puts)]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def _timeless(standing: Standing) -> tuple[Service, Placement]:
    """Leave out of a digest what only the moment of planning decided: when a window that starts now would start."""
    service, placement = standing.service, standing.placement
    if isinstance(service.window, RelativeWindow):
        placement = replace(
            placement,
            start=None,
            end=None,
            rates=tuple(replace(r, start=None, end=None) for r in placement.rates),
            labels=tuple(replace(label, start=None, end=None) for label in placement.labels),
        )
    return service, placement
