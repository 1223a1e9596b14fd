"""Who is to blame for each component and service: whoever is told of them one by one wants one ticket a cause.

An incident knows all that it explains. What has none is its own cause. A service that burnt its budget is still told
to have done so when the incident is over: for a while it keeps the name of what hurt it last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.assurance.incidents import DEPTH, Incident

LINGERS_S = 60.0  # after its cause is gone a service may be broken still: some are measured every ten seconds
REMEMBERED_S = 6 * 3600.0  # after which no alert looks back any more: the window of the slowest that ends by itself


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """One incident as a monitoring system is told of it. opened: seconds since the epoch."""

    cause: str
    kind: str
    severity: str
    opened: float


@dataclass(frozen=True, slots=True)
class Blame:
    """Names of components and services → what caused it, as an incident names its root."""

    components: Mapping[str, str] = field(default_factory=dict)
    hurting: Mapping[str, str] = field(default_factory=dict)  # services that an open incident concerns
    hurt_last: Mapping[str, str] = field(default_factory=dict)  # services that one concerned that is over
    just_over: frozenset[str] = frozenset()  # of these, those of which it ended a moment ago

    def of_service(self, service: str, health: str) -> str:
        """Return the cause of how a service is; of one that is broken for no known reason, itself."""
        if service in self.hurting:
            return self.hurting[service]
        itself = f"service:{service}"
        unexplained = health in ("down", "violated") and service not in self.just_over
        return itself if unexplained else self.hurt_last.get(service, itself)


class Culprits:
    """Remembers whom closed incidents concerned. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}  # service → root and when that was over

    def hear(self, incident: Incident) -> None:
        """Take news of an incident."""
        if incident.closed is not None:
            for service in incident.services:
                self._last.pop(service, None)
                self._last[service] = incident.root, incident.closed

    def blame(self, still_open: Iterable[Incident], wall: float) -> Blame:
        """Return who is to blame now. The deepest cause wins; for a service, one that took it down."""
        by_depth = sorted(still_open, key=lambda i: (DEPTH.index(i.kind), i.root))
        hurting = {service: i.root for i in by_depth for service in i.services}
        hurting.update({service: i.root for i in by_depth for service in i.dead})
        for service in [s for s, (_, over) in self._last.items() if over < wall - REMEMBERED_S]:
            del self._last[service]
        return Blame(
            {member: i.root for i in by_depth for member in i.members},
            hurting,
            {service: root for service, (root, _) in self._last.items()},
            frozenset(service for service, (_, over) in self._last.items() if over > wall - LINGERS_S),
        )


def listed(still_open: Iterable[Incident]) -> tuple[OpenIncident, ...]:
    """Return open incidents, one for each root, the worst first and of these the newest."""
    rank = {"critical": 0, "major": 1}
    found = {i.root: OpenIncident(i.root, i.kind, i.severity, i.opened) for i in still_open}
    return tuple(sorted(found.values(), key=lambda i: (rank.get(i.severity, 2), -i.opened, i.cause)))
