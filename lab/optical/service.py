"""The gRPC face of the optical domain: protos/onecity/optical/v1, with TLS, a bearer token and rich errors."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from onecity.optical.v1 import optical_pb2 as pb
from onecity.optical.v1 import optical_pb2_grpc

from lab.optical.engine import MAX_CONFIRM_S, MAX_LEASE_S, Change
from lab.optical.refusal import RefusedError
from lab.optical.world import World

_T = TypeVar("_T")
WARM_UP_S = 120.0  # a transponder from cold; real time × the bring-up scale
DISK_RETRY_S = 0.2
PER_HOP_S = 20.0  # a ROADM on the way


class OpticalDomain(optical_pb2_grpc.OpticalDomainServiceServicer):
    """All calls run in one event loop; a step of the engine is not interrupted."""

    def __init__(self, world: World, bring_up_scale: float) -> None:
        self.world, self.engine = world, world.engine
        self.scale = bring_up_scale
        self.epoch = uuid.uuid4().hex
        self.timers_changed = asyncio.Event()
        self._stutters = False
        self._activations: dict[str, asyncio.Task[Change]] = {}
        self._watchers: list[asyncio.Queue[Sequence[str]]] = []
        world.on_event = self._tell
        for change in self.engine.open_changes():
            if change.state == pb.TRANSACTION_STATE_ACTIVATING:
                self._activate(change)  # equipment that was being set when we died is set again

    def stutter(self, on: bool) -> None:
        """Take every step twice from now on, as after a request that the network delivered twice, or once again."""
        self._stutters = on

    async def run_timers(self) -> None:
        """Expire leases and confirm timers at their time, until cancelled."""
        while True:
            try:
                wait_s = self.engine.expire()
            except sqlite3.Error as error:
                logging.getLogger(__name__).warning("what ran out of time waits for the disk: %s", error)
                wait_s = DISK_RETRY_S
            self.timers_changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.timers_changed.wait(), wait_s)

    # ── two-phase change ────────────────────────────────────────────────────────────────────────────────────────

    async def Prepare(self, request: Any, context: Any) -> pb.PrepareResponse:  # noqa: N802 – gRPC's name
        async def step() -> pb.PrepareResponse:
            change = self.engine.prepare(request)
            warnings = [
                f"circuit {put.spec.id}: {', '.join(dark)} is down; the working leg stays dark until it is repaired"
                for put in request.puts
                if (dark := self.world.dark(put.spec))
            ]
            return pb.PrepareResponse(transaction=self.engine.message(change), warnings=warnings)

        return await self._answer(step, context)

    async def Commit(self, request: Any, context: Any) -> pb.CommitResponse:  # noqa: N802
        async def step() -> pb.CommitResponse:
            confirm_s = request.confirm_timeout.ToTimedelta().total_seconds()
            if self.scale <= 0:
                return pb.CommitResponse(transaction=self.engine.message(self.engine.commit(request.txn_id, confirm_s)))
            change = self.engine.begin_activation(request.txn_id, confirm_s)
            if change.state == pb.TRANSACTION_STATE_ACTIVATING:
                await asyncio.shield(self._activate(change))
            change = self.engine.commit(request.txn_id, confirm_s)  # refuses what was cancelled meanwhile
            return pb.CommitResponse(transaction=self.engine.message(change))

        return await self._answer(step, context)

    async def Confirm(self, request: Any, context: Any) -> pb.ConfirmResponse:  # noqa: N802
        async def step() -> pb.ConfirmResponse:
            return pb.ConfirmResponse(transaction=self.engine.message(self.engine.confirm(request.txn_id)))

        return await self._answer(step, context)

    async def Cancel(self, request: Any, context: Any) -> pb.CancelResponse:  # noqa: N802
        async def step() -> pb.CancelResponse:
            return pb.CancelResponse(transaction=self.engine.message(self.engine.cancel(request.txn_id)))

        return await self._answer(step, context)

    def _activate(self, change: Change) -> asyncio.Task[Change]:
        """Join the activation under way, or start it."""
        task = self._activations.get(change.id)
        if task is None:
            task = self._activations[change.id] = asyncio.create_task(self._bring_up(change))
            task.add_done_callback(lambda done: self._activations.pop(change.id, None))
        return task

    async def _bring_up(self, change: Change) -> Change:
        lit = [spec for spec in change.wanted().values() if spec is not None]
        hops = max((len(s.working.route) for s in lit), default=0)
        await asyncio.sleep(self.scale * (WARM_UP_S + PER_HOP_S * hops) if lit else 0)
        if change.state != pb.TRANSACTION_STATE_ACTIVATING:
            return change  # cancelled meanwhile
        self.engine.commit(change.id, change.confirm_s)
        self.timers_changed.set()
        return change

    # ── reads ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def GetDomain(self, request: Any, context: Any) -> pb.GetDomainResponse:  # noqa: N802
        return pb.GetDomainResponse(
            id=self.engine.equipment.domain.name,
            instance_epoch=self.epoch,
            revision=self.engine.revision,
            max_lease=Duration(seconds=int(MAX_LEASE_S)),
            max_confirm_timeout=Duration(seconds=int(MAX_CONFIRM_S)),
        )

    async def GetTopology(self, request: Any, context: Any) -> pb.GetTopologyResponse:  # noqa: N802
        return self.world.topology()

    async def ListCircuits(self, request: Any, context: Any) -> pb.ListCircuitsResponse:  # noqa: N802
        wanted = set(request.ids)
        standing = [c for c in self.engine.circuits.values() if not wanted or c.spec.id in wanted]
        return pb.ListCircuitsResponse(circuits=[self.world.circuit(c) for c in standing])

    async def GetTransaction(self, request: Any, context: Any) -> pb.GetTransactionResponse:  # noqa: N802
        async def step() -> pb.GetTransactionResponse:
            change = self.engine.transaction(request.txn_id)
            return pb.GetTransactionResponse(transaction=self.engine.message(change))

        return await self._answer(step, context)

    async def ListTransactions(self, request: Any, context: Any) -> pb.ListTransactionsResponse:  # noqa: N802
        open_changes = [self.engine.message(c) for c in self.engine.open_changes()]
        return pb.ListTransactionsResponse(transactions=open_changes)

    async def WatchTopology(self, request: Any, context: Any) -> AsyncIterator[pb.WatchTopologyResponse]:  # noqa: N802
        events: asyncio.Queue[Sequence[str]] = asyncio.Queue()
        self._watchers.append(events)
        try:
            yield pb.WatchTopologyResponse(revision=self.engine.revision)
            while True:
                changed = list(await events.get())
                while not events.empty():
                    changed.extend(events.get_nowait())
                yield pb.WatchTopologyResponse(revision=self.engine.revision, changed=sorted(set(changed)))
        finally:
            self._watchers.remove(events)

    def _tell(self, changed: Sequence[str]) -> None:
        self.engine.revision += 1
        for events in self._watchers:
            events.put_nowait(changed)

    async def _answer(self, step: Callable[[], Awaitable[_T]], context: Any) -> _T:
        try:
            if self._stutters:
                with contextlib.suppress(RefusedError):
                    await step()
            answer = await step()
        except RefusedError as refusal:
            await _refuse(refusal, context)
        finally:
            self.timers_changed.set()
        return answer


async def _refuse(refusal: RefusedError, context: Any) -> NoReturn:
    details = (("grpc-status-details-bin", refusal.details()),)
    await context.abort(refusal.code, refusal.message, trailing_metadata=details)
    raise AssertionError("abort always raises")


class BearerToken(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Lets in only those who know the token of this run."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token.strip()}".encode()

        async def refuse(request: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the bearer token is missing or wrong")

        self._refusal = grpc.unary_unary_rpc_method_handler(refuse)

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        sent = str(dict(details.invocation_metadata).get("authorization", "")).encode()
        if not hmac.compare_digest(sent, self._expected):
            return self._refusal
        return await continuation(details)


async def serve_optical(domain: OpticalDomain, port: int, directory: Path, token: str) -> tuple[grpc.aio.Server, int]:
    """Start the TLS server on loopback; port 0 lets the system pick. Returns (server, port)."""
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", 64 * 2**20),
        ("grpc.max_send_message_length", -1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # a watcher that only listens may ask if we live
    ]
    server = grpc.aio.server(interceptors=[BearerToken(token)], options=options)
    optical_pb2_grpc.add_OpticalDomainServiceServicer_to_server(domain, server)  # type: ignore[no-untyped-call]
    certs = directory / "certs"
    pair = ((certs / "server.key").read_bytes(), (certs / "server.pem").read_bytes())
    bound = server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([pair]))
    await server.start()
    logging.getLogger(__name__).info("optical domain listens on port %d", bound)
    return server, bound
