"""Who is to blame for each component and service: whoever is told of them one by one wants one ticket a cause.

An incident knows all that it explains. What has none is its own cause. A service that burnt its budget is still told
to have done so when the incident is over: for a while it keeps the name of what hurt it last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.assurance.incidents import BLIND, DEPTH, Incident

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
    downed: Mapping[str, str] = field(default_factory=dict)  # services that one took down, open or over
    hurt_last: Mapping[str, str] = field(default_factory=dict)  # services that one concerned that is over
    just_over: frozenset[str] = frozenset()  # of these, those of which it ended a moment ago

    def of_service(self, service: str, health: str) -> str:
        """Return the cause of how a service is; of one that is broken for no known reason, itself.

        One that is well may have burnt its budget: that is told of what took it down last, sooner than of what merely
        concerns it now.
        """
        itself = f"service:{service}"
        if health not in ("down", "violated"):
            known = (self.downed, self.hurting, self.hurt_last)
            return next((causes[service] for causes in known if service in causes), itself)
        if service in self.hurting:
            return self.hurting[service]
        return self.hurt_last[service] if service in self.just_over else itself

    def of(self, kind: str, name: str) -> str:
        """Return the cause of how a fibre or a link is."""
        return self.components.get(f"{kind}:{name}", f"{kind}:{name}")

    def of_circuit(self, circuit: str, service: str) -> str:
        """Return the cause of how a circuit is; one that rides others fails as its service does."""
        itself = f"circuit:{circuit}"
        return self.components.get(itself) or self.hurting.get(service) or itself


class Culprits:
    """Remembers whom closed incidents concerned. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}  # service → root and when that was over
        self._downed: dict[str, tuple[str, float]] = {}  # the same, of those that nothing carried then

    def hear(self, incident: Incident) -> None:
        """Take news of an incident."""
        if incident.closed is not None and incident.kind not in BLIND:
            over = incident.root, incident.closed
            self._last.update(dict.fromkeys(incident.services, over))
            self._downed.update(dict.fromkeys(incident.dead, over))

    def blame(self, still_open: Iterable[Incident], wall: float) -> Blame:
        """Return who is to blame now. The deepest cause wins; for a service, one that took it down."""
        by_depth = sorted(still_open, key=lambda i: (DEPTH.index(i.kind), i.root))
        felt = [i for i in by_depth if i.kind not in BLIND]  # who is not heard of is not hurt by that
        hurting = {service: i.root for i in felt for service in i.services}
        dead = {service: i.root for i in felt for service in i.dead}
        for memory in (self._last, self._downed):
            for service in [s for s, (_, over) in memory.items() if over < wall - REMEMBERED_S]:
                del memory[service]
        return Blame(
            {member: i.root for i in by_depth for member in i.members},
            hurting | dead,
            {service: root for service, (root, _) in self._downed.items()} | dead,
            {service: root for service, (root, _) in self._last.items()},
            frozenset(service for service, (_, over) in self._last.items() if over > wall - LINGERS_S),
        )


def listed(still_open: Iterable[Incident]) -> tuple[OpenIncident, ...]:
    """Return open incidents, one for each root, the worst first and of these the newest."""
    rank = {"critical": 0, "major": 1}
    found = {i.root: OpenIncident(i.root, i.kind, i.severity, i.opened) for i in still_open}
    return tuple(sorted(found.values(), key=lambda i: (rank.get(i.severity, 2), -i.opened, i.cause)))
