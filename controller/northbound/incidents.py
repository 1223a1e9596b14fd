"""IncidentService over gRPC: the incidents as they are kept, listed and followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Protocol

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from onecity.v1 import incident_pb2 as pb
from onecity.v1 import incident_pb2_grpc

from controller.assurance.incidents import Entry, Incident
from controller.changes.views import ChangeResult, Outcome
from controller.errors import OnecityError
from controller.intent.model import ServiceId
from controller.loop.slow_loop import Proposal
from controller.northbound.status import rich_status

LIMIT_DEFAULT, LIMIT_MOST = 100, 1000
SERVICE = pb.DESCRIPTOR.services_by_name["IncidentService"].full_name
_SEVERITIES = {"warning": pb.SEVERITY_WARNING, "major": pb.SEVERITY_MAJOR, "critical": pb.SEVERITY_CRITICAL}
Context = grpc.aio.ServicerContext[Any, Any]


class IncidentSource(Protocol):
    """Who keeps incidents."""

    def listed(self, closed: bool, limit: int) -> tuple[Incident, ...]:
        """Return incidents, those that are open first, then the newest; with `closed` also those that are over."""

    def watch(self) -> AsyncIterator[Incident]:
        """Yield the open incidents, then each again whenever there is something to tell of it."""


class ProposalSource(Protocol):
    """Who proposes moves."""

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """Return what waits to be accepted, by service."""

    @property
    def staying(self) -> Mapping[ServiceId, str]:
        """Return who cannot be led away from what wears out, and why, by service."""

    async def accept(self, service: str, author: str = "") -> ChangeResult:
        """Carry out a proposal; `author` accepts it. Raises UnknownNameError."""


class IncidentServicer(incident_pb2_grpc.IncidentServiceServicer):
    """Every RPC of IncidentService."""

    def __init__(self, source: IncidentSource, proposals: ProposalSource | None = None) -> None:
        self._source, self._proposals = source, proposals

    async def ListIncidents(  # noqa: N802
        self, request: pb.ListIncidentsRequest, context: Context
    ) -> pb.ListIncidentsResponse:
        if not 0 <= request.limit <= LIMIT_MOST:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"limit: must be from 0 to {LIMIT_MOST}")
        found = self._source.listed(request.closed, request.limit or LIMIT_DEFAULT)
        return pb.ListIncidentsResponse(incidents=[incident_message(i) for i in found])

    async def WatchIncidents(  # noqa: N802
        self, request: pb.WatchIncidentsRequest, context: Context
    ) -> AsyncIterator[pb.WatchIncidentsResponse]:
        watched: Any = self._source.watch()
        async with aclosing(watched) as incidents:
            async for incident in incidents:
                yield pb.WatchIncidentsResponse(incident=incident_message(incident))

    async def ListProposals(  # noqa: N802
        self, request: pb.ListProposalsRequest, context: Context
    ) -> pb.ListProposalsResponse:
        if self._proposals is None:
            return pb.ListProposalsResponse()
        found, staying = self._proposals.proposals, self._proposals.staying
        return pb.ListProposalsResponse(
            proposals=[pb.Proposal(service=p.service, reason=p.reason) for p in found],
            staying=[pb.Proposal(service=sid, reason=why) for sid, why in staying.items()],
        )

    async def AcceptProposal(  # noqa: N802
        self, request: pb.AcceptProposalRequest, context: Context
    ) -> pb.AcceptProposalResponse:
        if self._proposals is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "nothing is proposed here")
        assert self._proposals is not None
        try:
            result = await self._proposals.accept(request.service, request.author)
        except OnecityError as error:
            code, message, trailers = rich_status(error)
            await context.abort(code, message, trailers)
            raise AssertionError("abort always raises") from None
        refused = "\n".join(a.refusal for a in result.services if a.refusal)
        moved = result.outcome is Outcome.COMMITTED and not refused
        return pb.AcceptProposalResponse(moved=moved, message=refused or result.message)


def incident_message(incident: Incident) -> pb.Incident:
    """Return an incident as it travels."""
    return pb.Incident(
        id=incident.id,
        root=incident.root,
        kind=incident.kind,
        title=incident.title,
        severity=_SEVERITIES[incident.severity],
        opened_at=_stamp(incident.opened),
        closed_at=None if incident.closed is None else _stamp(incident.closed),
        services=sorted(incident.services),
        dead=sorted(incident.dead),
        tenants=incident.tenants,
        flaps=incident.flaps,
        timeline=[_entry(e) for e in incident.timeline],
    )


def _entry(entry: Entry) -> pb.TimelineEntry:
    domain_time = None if entry.said_at is None else _stamp(entry.said_at)
    return pb.TimelineEntry(at=_stamp(entry.at), text=entry.text, domain_time=domain_time)


def _stamp(at: float) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(datetime.fromtimestamp(at, UTC))
    return found
