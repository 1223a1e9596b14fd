"""What the store keeps, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controller.intent.model import Service, ServiceId
from controller.planning.placement import Placement
from controller.rendering.tree import Leaf, Path, Tree


class WindowState(StrEnum):
    """Where a service stands in its window; NONE for services without one."""

    NONE = "none"
    SCHEDULED = "scheduled"
    OPEN = "open"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class StoredService:
    """Desired state of one service: what was asked, where it goes, what that is on each domain.

    `fragments` hold the service's own leaves, so the service is the origin of every leaf in them.
    """

    id: ServiceId
    kind: str
    generation: int  # of the intent: counts its accepted documents
    revision: int  # of the desired state: counts every change of any of this, re-placements too
    document: str  # the intent as given, JSON
    service: Service
    placement: Placement | None = None
    fragments: Mapping[str, Tree] = field(default_factory=dict)  # by domain
    window: WindowState = WindowState.NONE


@dataclass(frozen=True, slots=True)
class Replacement:
    """A stored service that is only placed anew: what was asked and what is configured stay as they are kept."""

    id: ServiceId
    generation: int
    revision: int
    placement: Placement
    window: WindowState


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What a change did to one service. Empty document: the service was not there."""

    service: ServiceId
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """One entry of the history: who changed what, when and why, and how it ended."""

    id: str
    author: str
    reason: str
    at: datetime  # acceptance, UTC
    request_id: str = ""  # empty: none; otherwise the same request id always gives the same change
    kind: str = "apply"  # "apply" "delete" "rollback" "repair" "window" "drift"
    summary: str = ""
    services: tuple[ServiceChange, ...] = ()
    native: Mapping[str, str] = field(default_factory=dict)  # domain → the exact text it was sent; not in lists
    outcome: str = "running"  # or how it ended
    detail: str = ""  # failures and warnings, for people
    ended: datetime | None = None
    revision: int = 0  # position in the history, given by the store


@dataclass(frozen=True, slots=True)
class PlaceChange:
    """One leaf that a change set, changed or took away."""

    path: str  # "/l3nm:l3vpn-ntw/…"
    before: str | None  # None: was not there
    after: str | None  # None: is not there any more
    service: str = ""  # whose leaf it is; several names where they share it


@dataclass(frozen=True, slots=True)
class DomainChange:
    """What a change did to one domain. Large ones are cut: `native` says so itself, `left_out` counts places."""

    domain: str
    native: str  # exactly what the domain was sent, step by step
    places: tuple[PlaceChange, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A place that runs otherwise than desired, and may, because somebody said so; as it was then."""

    domain: str
    path: Path
    running: Tree | Leaf | None  # None: is not there
    wanted: Tree | Leaf | None  # None: should not be there
    change_id: str  # that put it into the history: who, when and why
    at: datetime


@dataclass(frozen=True, slots=True)
class OpenChange:
    """A change that was accepted and has not ended: what it will make of the desired state, and its plan."""

    record: ChangeRecord
    puts: tuple[StoredService, ...]
    drops: tuple[ServiceId, ...]
    plan: str  # opaque text of the changes room: its steps


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One line of the journal of one transaction."""

    txn: str
    kind: str
    body: str
    at: float  # seconds since the epoch
