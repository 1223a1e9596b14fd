"""ControllerService over gRPC: unpack, ask the changes room, pack.

A client that goes away, or whose deadline passes, cancels its own call. A change that was accepted goes on: the
acceptance itself runs in a task of ours, so that a disconnect in the middle of it cannot tear it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, NoReturn, TypeVar, cast

import grpc
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import controller_pb2_grpc, explanation_pb2, history_pb2, simulation_pb2

from controller.changes import ports
from controller.errors import OnecityError
from controller.northbound import explained, messages, simulated
from controller.northbound.status import rich_status
from controller.northbound.typed_intents import documents

log = logging.getLogger(__name__)

HISTORY_DEFAULT, HISTORY_MOST = 50, 1000
BLAME_DEFAULT, BLAME_MOST = 200, 100_000
SERVICES_DEFAULT, SERVICES_MOST = 200, 10_000
Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


class ControllerServicer(controller_pb2_grpc.ControllerServiceServicer):
    """Every RPC of ControllerService."""

    def __init__(self, changes: ports.ChangeService) -> None:
        self._changes = changes
        self._accepting: set[asyncio.Task[str]] = set()

    async def Plan(self, request: pb.PlanRequest, context: Context) -> pb.PlanResponse:  # noqa: N802
        wanted = ports.Wanted(
            documents(request.documents), tuple(request.remove), request.prune_label, request.prune_tenant
        )
        if request.HasField("rollback"):
            if wanted != ports.Wanted():
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, "rollback: stands alone; leave out what else is asked"
                )
            wanted = ports.Wanted(rollback=_rollback(request.rollback))
        wanted = replace(wanted, objective=_objective(request.objective))
        plan = await answer(context, self._changes.plan(ports.PlanRequest(wanted, request.native)))
        return pb.PlanResponse(plan=await asyncio.to_thread(messages.plan, plan))

    async def Apply(self, request: pb.ApplyRequest, context: Context) -> pb.ApplyResponse:  # noqa: N802
        wanted = ports.Wanted(
            documents(request.documents), prune_label=request.prune_label, prune_tenant=request.prune_tenant,
            objective=_objective(request.objective),
        )  # fmt: skip
        asked = ports.ApplyRequest(
            wanted,
            request_id=request.request_id,
            author=request.author,
            reason=request.reason,
            partial=request.partial,
            expected_digest=request.expected_digest,
        )
        return pb.ApplyResponse(change_id=await self._accept(asked, context))

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.DeleteResponse:  # noqa: N802
        if not request.services:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "services: name at least one service, as tenant/name")
        asked = ports.ApplyRequest(
            ports.Wanted(remove=tuple(request.services)),
            request_id=request.request_id,
            author=request.author,
            reason=request.reason,
            expected_digest=request.expected_digest,
        )
        return pb.DeleteResponse(change_id=await self._accept(asked, context))

    async def Rollback(self, request: pb.RollbackRequest, context: Context) -> pb.RollbackResponse:  # noqa: N802
        asked = ports.ApplyRequest(
            ports.Wanted(rollback=_rollback(request.rollback)),
            request_id=request.request_id,
            author=request.author,
            reason=request.reason,
            expected_digest=request.expected_digest,
        )
        return pb.RollbackResponse(change_id=await self._accept(asked, context))

    async def _accept(self, asked: ports.ApplyRequest, context: Context) -> str:
        task = asyncio.ensure_future(self._changes.apply(asked))
        self._accepting.add(task)
        task.add_done_callback(self._accepted)
        return await answer(context, asyncio.shield(task))

    def _accepted(self, task: asyncio.Task[str]) -> None:
        """Fetch the exception of an acceptance that nobody waits for any more; it is in the history if it counts."""
        self._accepting.discard(task)
        if not task.cancelled():
            task.exception()

    async def WatchChange(  # noqa: N802
        self, request: pb.WatchChangeRequest, context: Context
    ) -> AsyncIterator[pb.WatchChangeResponse]:
        events = self._changes.watch(request.change_id, request.after_sequence, request.result_only)
        async with aclosing(cast("Any", events)) as stream:
            while (event := await answer(context, anext(stream, None))) is not None:
                yield messages.change_event(event)

    async def GetServices(self, request: pb.GetServicesRequest, context: Context) -> pb.GetServicesResponse:  # noqa: N802
        found = await answer(context, self._changes.services(request.tenant, request.label))
        return await asyncio.to_thread(
            lambda: pb.GetServicesResponse(services=[messages.service_status(s) for s in found])
        )

    async def DescribeService(  # noqa: N802
        self, request: pb.DescribeServiceRequest, context: Context
    ) -> pb.DescribeServiceResponse:
        found = await answer(context, self._changes.describe(request.service))
        return pb.DescribeServiceResponse(description=await asyncio.to_thread(messages.description, found))

    async def ExplainService(  # noqa: N802
        self, request: explanation_pb2.ExplainServiceRequest, context: Context
    ) -> explanation_pb2.ExplainServiceResponse:
        found = await answer(context, self._changes.explain(request.service))
        return explanation_pb2.ExplainServiceResponse(explanation=explained.explanation(found))

    async def Diff(self, request: pb.DiffRequest, context: Context) -> pb.DiffResponse:  # noqa: N802
        found = await answer(context, self._changes.diff(request.domain, request.change_id))
        return await asyncio.to_thread(lambda: pb.DiffResponse(domains=[messages.domain_diff(d) for d in found]))

    async def GetHistory(self, request: pb.GetHistoryRequest, context: Context) -> pb.GetHistoryResponse:  # noqa: N802
        if not 0 <= request.limit <= HISTORY_MOST:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"limit: must be from 0 to {HISTORY_MOST}")
        found = await answer(context, self._changes.history(request.service, request.limit or HISTORY_DEFAULT))
        return pb.GetHistoryResponse(changes=[messages.change_record(c) for c in found])

    async def GetChange(self, request: pb.GetChangeRequest, context: Context) -> pb.GetChangeResponse:  # noqa: N802
        found = await answer(context, self._changes.change(request.change))
        return await asyncio.to_thread(messages.change_description, found)

    async def Blame(self, request: pb.BlameRequest, context: Context) -> pb.BlameResponse:  # noqa: N802
        if not 0 <= request.limit <= BLAME_MOST:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"limit: must be from 0 to {BLAME_MOST}")
        asked = ports.BlameRequest(
            request.domain, request.path, request.service, request.running, request.limit or BLAME_DEFAULT
        )
        found = await answer(context, self._changes.blame(asked))
        return await asyncio.to_thread(messages.blame, found)

    async def Backup(self, request: pb.BackupRequest, context: Context) -> pb.BackupResponse:  # noqa: N802
        return pb.BackupResponse(size_bytes=await answer(context, self._changes.backup(request.path)))

    async def GetTopology(self, request: pb.GetTopologyRequest, context: Context) -> pb.GetTopologyResponse:  # noqa: N802
        found = await answer(context, self._changes.topology())
        return pb.GetTopologyResponse(topology=await asyncio.to_thread(messages.topology, found))

    async def Simulate(  # noqa: N802
        self, request: simulation_pb2.SimulateRequest, context: Context
    ) -> AsyncIterator[simulation_pb2.SimulateResponse]:
        if not 0 <= request.most_services <= SERVICES_MOST:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"most_services: must be from 0 to {SERVICES_MOST}")
        asked = ports.SimulateRequest(
            tuple(request.fail), documents(request.add), request.seed, request.most_services or SERVICES_DEFAULT
        )
        async with aclosing(cast("Any", self._changes.simulate(asked))) as stream:
            while (event := await answer(context, anext(stream, None))) is not None:
                yield simulated.event(event)

    async def GetSchema(self, request: pb.GetSchemaRequest, context: Context) -> pb.GetSchemaResponse:  # noqa: N802
        return pb.GetSchemaResponse(json_schema=await answer(context, _called(self._changes.schema)))


def _objective(value: int) -> str:
    """Return the word of an objective; an unknown number as it is, for the changes room to refuse."""
    known = pb.Objective.DESCRIPTOR.values_by_number.get(value)
    if not value:
        return ""
    return str(known.name).removeprefix("OBJECTIVE_").lower() if known is not None else str(value)


def _rollback(asked: history_pb2.Rollback) -> ports.Rollback:
    return ports.Rollback(asked.change, asked.everything_after)


async def _called(function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)


async def answer(context: Context, asked: Awaitable[T]) -> T:
    """Wait for the changes room; an error becomes a status, and a defect of ours becomes INTERNAL and a log entry."""
    try:
        return await asked
    except OnecityError as error:
        await _refuse(context, error)
    except Exception as defect:
        log.exception("defect while answering a call")
        await context.abort(
            grpc.StatusCode.INTERNAL,
            f"a defect in the controller ({type(defect).__name__}); its log holds the details",
        )
    raise AssertionError("abort always raises")


async def _refuse(context: Context, error: OnecityError) -> NoReturn:
    code, message, trailers = rich_status(error)
    await context.abort(code, message, trailers)
    raise AssertionError("abort always raises")
