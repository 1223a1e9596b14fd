"""What northbound asks of the rest of the controller: one protocol, plain values in (here) and out (views.py).

`controller.changes` implements `ChangeService`; tests implement it in memory. Nothing here knows gRPC.
Every method may raise any `OnecityError`; northbound alone turns that into a gRPC status.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from controller.changes.map_views import Topology
from controller.changes.party_views import PartyView
from controller.changes.views import (
    Blame,
    ChangeDescription,
    ChangeEvent,
    ChangeRecord,
    DomainDiff,
    Plan,
    ServiceDescription,
    ServiceReading,
    ServiceStatus,
)
from controller.planning.why import Explanation
from controller.simulation.campaign import SimulationEvent


@dataclass(frozen=True, slots=True)
class Document:
    """Intents as they came: YAML text (any number of documents), or one document already in its dict shape."""

    source: str  # file name, or the caller's name for it; errors name it
    text: str | None = None
    content: Mapping[str, object] | None = None  # {"apiVersion": "onecity/v1", "kind": …, "metadata": …, "spec": …}


@dataclass(frozen=True, slots=True)
class Rollback:
    """Which part of the history to take back."""

    change: str  # revision or change id
    everything_after: bool = False  # False: undo exactly this change; True: return all to the state after it


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the network should become: documents put in, and services taken out."""

    documents: tuple[Document, ...] = ()
    remove: tuple[str, ...] = ()  # service ids "tenant/name" to withdraw; unknown ones are UnknownNameError
    prune_label: str = ""  # "key=value": also remove services with this label that no document names; "" none
    prune_tenant: str = ""  # the one tenant in which prune acts; "" the only tenant of the documents
    rollback: Rollback | None = None  # instead of all of the above: what the history says
    objective: str = ""  # instead of all of the above: "latency" "cost" "balance" "availability" of what may move


@dataclass(frozen=True, slots=True)
class PlanRequest:
    wanted: Wanted
    native: bool = False  # also the exact text for each domain


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """Apply and delete are one thing: a change that makes `wanted` true."""

    wanted: Wanted
    request_id: str = ""  # a repeat gets the first change's id; with other content ConflictError
    author: str = ""
    reason: str = ""
    partial: bool = False  # each service its own outcome, instead of all or none
    expected_digest: str = ""  # Plan.digest that was approved; moved since: ConflictError with the new difference


@dataclass(frozen=True, slots=True)
class BlameRequest:
    """Which places to tell of."""

    domain: str
    path: str = ""  # begins with "/": a prefix of the path; else a text anywhere in it; "" all
    service: str = ""  # only this service's places
    running: bool = False  # what runs there, not what is desired: also what is nobody's
    limit: int = 200


@dataclass(frozen=True, slots=True)
class SimulateRequest:
    """What fails, as a person writes it, and what is thought to stand besides."""

    fail: tuple[str, ...]
    add: tuple[Document, ...] = ()
    seed: int = 1
    most_services: int = 200  # told one by one per failure


class ChangeService(Protocol):
    """Everything that a client can ask for."""

    async def plan(self, request: PlanRequest) -> Plan:
        """Say what an apply would do. A service that cannot be placed is REFUSED in the plan, not an error."""

    async def apply(self, request: ApplyRequest) -> str:
        """Accept a change and return its id at once; the change goes on whoever listens.

        Bad documents (IntentError), unknown services to remove and a moved digest are raised here; refusals by
        planning and verification are results of the change.
        """

    def watch(self, change_id: str, after: int = 0, result_only: bool = False) -> AsyncIterator[ChangeEvent]:
        """Yield every event with sequence > after, first those already past, up to the result; or only the result.

        UnknownNameError on the first `__anext__` where there is no such change. Leaving the iterator does not touch
        the change.
        """

    async def services(self, tenant: str = "", label: str = "") -> tuple[ServiceStatus, ...]:
        """List services, sorted by id; `label` is "key=value" or "key"."""

    async def describe(self, service: str) -> ServiceDescription:
        """Tell everything about one service."""

    async def explain(self, service: str) -> Explanation:
        """Tell why a service goes where it goes, and why the runners-up lost."""

    async def diff(self, domain: str = "", change_id: str = "") -> tuple[DomainDiff, ...]:
        """Compare desired with running, of one domain or all; with a change id, what that change did."""

    async def history(self, service: str = "", limit: int = 50) -> tuple[ChangeRecord, ...]:
        """List changes, newest first."""

    async def change(self, name: str) -> ChangeDescription:
        """Tell all of one change, named by its revision or its id."""

    async def blame(self, request: BlameRequest) -> Blame:
        """Say of places on one domain whose they are and which change they come from."""

    async def backup(self, path: str) -> int:
        """Write a copy of the store to a file on the daemon's machine; return its bytes. Never overwrites."""

    async def topology(self) -> Topology:
        """Show the map."""

    def simulate(self, request: SimulateRequest) -> AsyncIterator[SimulationEvent]:
        """Yield progress, then the summary, then every outcome, worst first, of what would happen. Raises on the
        first `__anext__` where a name is unknown. Leaving the iterator ends the simulation."""

    def schema(self) -> str:
        """Return the JSON Schema of the intent kinds, as text."""


class Measurements(Protocol):
    """What /metrics reads at each scrape. Called in the event loop: answers from memory, in under 5 ms."""

    def domains_up(self) -> Mapping[str, bool]:
        """Say of each domain whether its session stands."""

    def readings(self) -> Iterable[ServiceReading]:
        """Yield every service of one snapshot; other work runs in the loop between two of them.

        Northbound bounds how many become series.
        """

    def open_parties(self) -> Iterable[PartyView]:
        """Yield the parties of every assured conference in its window."""

    def telemetry_gaps(self) -> Mapping[str, int]:
        """Count per domain how often its telemetry stream was lost since start."""
