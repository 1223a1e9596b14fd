"""The driver for optical domain controllers: what `Driver` promises, over onecity.optical.v1.

The domain keeps transactions itself, so the verbs map one to one, and a lost reply has a rule (optical.md §3): ask
GetTransaction and go on from its state. NOT_FOUND after a lost Prepare proves nothing, for the request may still be
travelling: the same Prepare goes out again, which the domain answers without a second effect. A request that never
arrives leaves at worst a lease, and leases end by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf import text_format
from google.protobuf.duration_pb2 import Duration
from onecity.optical.v1 import optical_pb2 as pb
from onecity.optical.v1 import optical_pb2_grpc

from controller.errors import DomainError, DomainUnreachableError
from controller.network.discovered import DomainKind, DomainTopology
from controller.rendering.tree import Edit, Path, Tree
from controller.southbound.channel import Metadata, call_metadata, open_channel
from controller.southbound.driver import DomainEvent, DomainSettings, Sample, StreamCounts, TransactionState
from controller.southbound.endpoint import with_remedy
from controller.southbound.gnmi import OPTICAL_ON_CHANGE, OPTICAL_SAMPLED, OPTICAL_SLOW, Telemetry
from controller.southbound.optical.circuits import (
    CIRCUIT,
    INFRASTRUCTURE,
    circuit_ids,
    request_of,
    topology_of,
    tree_of,
    what_remains,
)
from controller.southbound.optical.events import OwnChanges, TopologyWatch
from controller.southbound.optical.refusals import error_of

COORDINATOR: Final = "onecity"
TERM: Final = 1  # one daemon holds the store's lock, so there is no second coordinator to fence off
PROVEN_S: Final = 1.0  # a domain that answered within this needs no question whether it is there
POLL_S: Final = 0.05  # while the domain sets equipment

_State = pb.TransactionState
_OUTCOMES: Final = {
    pb.TRANSACTION_STATE_PREPARED: TransactionState.PREPARED,
    pb.TRANSACTION_STATE_PROVISIONAL: TransactionState.COMMITTED,
    pb.TRANSACTION_STATE_CONFIRMED: TransactionState.CONFIRMED,
    pb.TRANSACTION_STATE_CANCELLED: TransactionState.ABSENT,
    pb.TRANSACTION_STATE_EXPIRED: TransactionState.ABSENT,
    pb.TRANSACTION_STATE_ROLLED_BACK: TransactionState.ABSENT,
    pb.TRANSACTION_STATE_FAILED: TransactionState.ABSENT,
}
_COMMITTED: Final = (pb.TRANSACTION_STATE_PROVISIONAL, pb.TRANSACTION_STATE_CONFIRMED)

_T = TypeVar("_T")


def optical_driver(settings: DomainSettings) -> OpticalDriver:
    """Return a driver for an optical domain controller; nothing is opened yet."""
    return OpticalDriver(settings)


class OpticalDriver:
    """See `controller.southbound.driver.Driver`."""

    kind = DomainKind.OPTICAL

    def __init__(self, settings: DomainSettings) -> None:
        self.domain = settings.name
        self._settings, self._timers = settings, settings.timers
        self._channel: grpc.aio.Channel | None = None
        self._metadata: Metadata = ()
        self._heard_at = -PROVEN_S  # the loop's clock
        self._versions: dict[str, int] = {}  # of the services' circuits, as last read: what `native` shows
        self._own = OwnChanges()
        self._telemetry = Telemetry(settings, OPTICAL_ON_CHANGE, OPTICAL_SAMPLED, OPTICAL_SLOW)

    # ── sessions and reads ──────────────────────────────────────────────────────────────────────────────────────

    async def connect(self) -> None:
        if self._channel is not None and _now() - self._heard_at < PROVEN_S:
            return
        try:
            await self._call("GetDomain", pb.GetDomainRequest(), self._timers.connect_s)
        except DomainUnreachableError as error:
            raise with_remedy(error) from None

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)

    async def discover(self) -> DomainTopology:
        answer = await self._call("GetTopology", pb.GetTopologyRequest(), self._timers.read_s)
        self._versions.clear()
        self._note_versions(answer.circuits)
        return topology_of(self.domain, self._settings.network_id, answer)

    async def read(self, paths: Sequence[Path]) -> Tree:
        ids = {step[1] for path in paths if isinstance(step := path[0], tuple) and step[0] == CIRCUIT}
        if paths and not ids:
            return {}
        return tree_of(await self._circuits(sorted(ids)), paths)

    async def _circuits(self, ids: Sequence[str]) -> Sequence[pb.Circuit]:
        answer = await self._call("ListCircuits", pb.ListCircuitsRequest(ids=ids), self._timers.read_s)
        circuits: Sequence[pb.Circuit] = answer.circuits
        self._note_versions(circuits)
        return circuits

    def _note_versions(self, circuits: Sequence[pb.Circuit]) -> None:
        self._versions |= {c.spec.id: c.version for c in circuits if c.spec.owner != INFRASTRUCTURE}

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────────

    async def prepare(self, txn: str, edit: Edit, *, replay: bool = False) -> tuple[str, ...]:
        standing = await self._circuits(circuit_ids(edit))
        told: tuple[str, ...] = ()
        if not replay:
            edit, told = what_remains(edit, tree_of(standing))
        request = self._request(txn, edit, {c.spec.id: c.version for c in standing}, replay)
        put = [circuit for circuit in circuit_ids(edit) if (CIRCUIT, circuit) in edit.after]
        self._own.note(txn, put, [circuit for circuit in circuit_ids(edit) if circuit not in put])
        end = _now() + self._timers.edit_s
        try:
            answer = await self._call("Prepare", request, self._timers.edit_s)
        except DomainUnreachableError as lost:
            state = await self._state(txn, self._left(end, lost))
            if state == pb.TRANSACTION_STATE_PREPARED:
                return told
            answer = await self._call("Prepare", request, self._left(end, lost))
        return (*told, *answer.warnings)

    async def commit(self, txn: str, confirm_timeout_s: float) -> None:
        request = pb.CommitRequest(txn_id=txn, confirm_timeout=_duration(confirm_timeout_s))
        end = _now() + self._timers.commit_s
        try:
            answer = await self._call("Commit", request, self._timers.commit_s)
            state = answer.transaction.state
        except DomainUnreachableError as lost:
            state = await self._settled(txn, self._left(end, lost))
            if state == pb.TRANSACTION_STATE_PREPARED:
                state = (await self._call("Commit", request, self._left(end, lost))).transaction.state
            elif state is None:
                raise lost
        if state not in _COMMITTED:
            raise self._ended(txn, state)

    async def confirm(self, txn: str) -> None:
        request = pb.ConfirmRequest(txn_id=txn)
        end = _now() + self._timers.commit_s
        try:
            await self._call("Confirm", request, self._timers.commit_s)
        except DomainUnreachableError as lost:
            await self._call("Confirm", request, self._left(end, lost))  # its second effect is none

    async def cancel(self, txn: str) -> None:
        request = pb.CancelRequest(txn_id=txn)
        end = _now() + self._timers.commit_s
        try:
            await self._call("Cancel", request, self._timers.commit_s)
        except DomainUnreachableError as lost:
            await self._call("Cancel", request, self._left(end, lost))  # its second effect is none

    async def outcome(self, txn: str, edit: Edit) -> TransactionState:
        state = await self._settled(txn, self._timers.read_s)
        if state is not None:
            return _OUTCOMES.get(state, TransactionState.UNKNOWN)
        # Not known there: never arrived, or the domain lost its record. Its circuits tell which.
        standing = await self._circuits(circuit_ids(edit))
        if any(circuit.last_txn == txn for circuit in standing):
            same = tree_of(standing, edit.touched) == edit.after
            return TransactionState.CONFIRMED if same else TransactionState.UNKNOWN
        return TransactionState.ABSENT

    def native(self, edit: Edit) -> str:
        standing = (circuit for circuit in circuit_ids(edit) if (CIRCUIT, circuit) in edit.before)
        versions = {circuit: self._versions.get(circuit, 1) for circuit in standing}
        return text_format.MessageToString(self._request("", edit, versions, False), as_utf8=True)

    def events(self) -> AsyncIterator[DomainEvent]:
        watch = TopologyWatch(self.domain, self._stub, lambda: self._metadata, self._timers.connect_s, self._own)
        return watch.events()

    def samples(self, interval_s: float) -> AsyncIterator[tuple[Sample, ...]]:
        return self._telemetry.samples(interval_s)

    def give_way(self, wait: Callable[[], Awaitable[None]]) -> None:
        self._telemetry.wait = wait

    def stream_counts(self) -> StreamCounts:
        return StreamCounts(self._telemetry.reconnects, self._telemetry.dropped, self._telemetry.trouble)

    def _request(self, txn: str, edit: Edit, versions: dict[str, int], replay: bool) -> pb.PrepareRequest:
        try:
            request = request_of(txn, edit, versions, replay=replay)
        except (KeyError, ValueError) as error:
            problem = f"the edit holds something that is no circuit: {error}"
            raise DomainError(self.domain, problem, tag="INVALID") from error
        request.coordinator, request.term = COORDINATOR, TERM
        # Long enough that every domain of the change can commit before it ends.
        request.lease.CopyFrom(_duration(self._timers.edit_s + self._timers.commit_s + self._timers.confirm_s))
        return request

    def _left(self, end: float, lost: DomainUnreachableError) -> float:
        """Return the seconds left of a verb's deadline; raises `lost` where none are: a hang costs one deadline."""
        left = end - _now()
        if left <= 0.01:
            raise lost
        return left

    async def _state(self, txn: str, deadline_s: float) -> _State | None:
        """Return where the domain sees the transaction; None where it does not know it."""
        try:
            answer = await self._call("GetTransaction", pb.GetTransactionRequest(txn_id=txn), deadline_s)
        except DomainUnreachableError:
            raise
        except DomainError as error:
            if error.tag == "NOT_FOUND":
                return None
            raise
        state: _State = answer.transaction.state
        return state

    async def _settled(self, txn: str, deadline_s: float) -> _State | None:
        """Return the state once no equipment is being set, waiting up to the deadline."""
        end = _now() + deadline_s
        while True:
            state = await self._state(txn, deadline_s)
            if state != pb.TRANSACTION_STATE_ACTIVATING:
                return state
            if _now() >= end:
                raise DomainUnreachableError(self.domain, f"transaction {txn} is still setting equipment")
            await asyncio.sleep(POLL_S)  # the domain offers no call that waits for it

    def _ended(self, txn: str, state: int | None) -> DomainError:
        name = "UNKNOWN" if state is None else pb.TransactionState.Name(state).removeprefix("TRANSACTION_STATE_")
        return DomainError(self.domain, f"transaction {txn} is {name.lower().replace('_', ' ')}", tag=name)

    # ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _stub(self) -> Any:
        """Return a stub over the one channel, opening it on first need."""
        if self._channel is None:
            self._metadata = call_metadata(self._settings)
            self._channel = open_channel(self._settings, self._settings.address)
        return optical_pb2_grpc.OpticalDomainServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def _call(self, method: str, request: Any, deadline_s: float) -> Any:
        """Call one method; an unreachable server is given the connect deadline, an answering one the verb's."""
        call: Callable[..., Awaitable[Any]] = getattr(self._stub(), method)
        try:
            await self._ready(method)
            answer = await call(request, timeout=deadline_s, metadata=self._metadata)
            self._heard_at = _now()
            return answer
        except grpc.aio.AioRpcError as error:
            failure = error_of(self.domain, method, error, deadline_s)
            if isinstance(failure, DomainUnreachableError):
                self._heard_at = -PROVEN_S
            raise failure from None

    async def _ready(self, method: str) -> None:
        """Wait for the connection, at most the connect deadline."""
        channel = self._channel
        if channel is None or channel.get_state() is grpc.ChannelConnectivity.READY:
            return
        try:
            async with asyncio.timeout(self._timers.connect_s):
                await channel.channel_ready()
        except TimeoutError:
            problem = f"{method}: no connection to {self._settings.address} within {self._timers.connect_s:g} s"
            raise DomainUnreachableError(self.domain, problem) from None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
