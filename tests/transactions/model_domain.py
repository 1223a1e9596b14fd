"""A domain controller in memory that keeps the driver's contract, and loses messages and power when told to.

Its running configuration is a flat set of list entries, `("t:entry", name)`; a fake clock drives its confirm timers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from controller.errors import DomainError, DomainUnreachableError
from controller.network.discovered import DomainKind, DomainTopology
from controller.rendering.tree import Edit, Operation, OperationKind, Path, Tree
from controller.southbound.driver import FINAL, DomainEvent, DomainTimers, Sample, TransactionState

State = TransactionState
TIMERS = DomainTimers(connect_s=0.05, edit_s=1.0, commit_s=1.0, confirm_s=60.0, read_s=1.0)


class Crash(BaseException):
    """The coordinator dies at this instruction."""


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Fault:
    """What happens at the next call of this verb: `lost` before the effect, `late` after it, refused, hung, crash.

    `delayed`: not answered, and carried out only when late messages arrive. `twice`: answered, and carried out once
    more then. `held`: answered when the domain is told to let go.
    """

    verb: str
    how: str  # "lost" "late" "refuse" "hang" "slow" "held" "delayed" "twice" "crash-before" "crash-after" "defect"
    skip: int = 0  # calls of this verb that pass first
    txn: str = ""  # only for transactions whose id contains this


@dataclass
class _Open:
    txn: str
    edit: Edit
    before: Tree
    expires_at: float | None = None  # None: prepared


@dataclass
class ModelDomain:
    """Implements Driver. `running` is what a person would find on the network."""

    domain: str
    clock: Clock
    kind: DomainKind = DomainKind.IP
    running: Tree = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    reachable: bool = True
    broken: bool = False  # refuses every prepare on the merits
    refused: dict[str, str] = field(default_factory=dict)  # entry that it refuses → the path that it then names
    ends: dict[str, State] = field(default_factory=dict)
    open: _Open | None = None
    late: list[Callable[[], Awaitable[object]]] = field(default_factory=list)  # messages that are still on their way
    let_go: asyncio.Event = field(default_factory=asyncio.Event)  # ends what is "held"
    _deaf: bool = False  # carries out late messages: no faults, no record
    journal: list[str] = field(default_factory=list)  # shared between domains by tests that look at order

    def tick(self) -> None:
        if self.open and self.open.expires_at is not None and self.clock() >= self.open.expires_at:
            self._roll_back()

    def restart(self) -> None:
        """Loses what is prepared, keeps what is committed with its timer."""
        if self.open and self.open.expires_at is None:
            self._roll_back()

    def _roll_back(self) -> None:
        assert self.open
        if self.open.expires_at is not None:
            self.running = self.open.before
        self.ends[self.open.txn] = State.ABSENT
        self.open = None

    async def late_messages_arrive(self) -> None:
        """Carry out what was on its way, in its order; nobody hears the answers."""
        self._deaf = True
        try:
            while self.late:
                with contextlib.suppress(DomainError):
                    await self.late.pop(0)()
        finally:
            self._deaf = False

    async def _enter(
        self, verb: str, txn: str = "", again: Callable[[], Awaitable[object]] | None = None
    ) -> Fault | None:
        if self._deaf:
            self.tick()
            return None
        self.calls.append((verb, txn))
        self.journal.append(f"{self.domain} {verb} {txn}".strip())
        await asyncio.sleep(0)
        self.tick()
        fault = None
        for one in self.faults:
            if one.verb == verb and one.txn in txn:
                if one.skip:
                    one.skip -= 1
                    continue
                fault = one
                self.faults.remove(one)
                break
        if fault and fault.how == "crash-before":
            raise Crash
        if not self.reachable or (fault and fault.how == "lost"):
            raise DomainUnreachableError(self.domain, "connection refused")
        if fault and fault.how in ("delayed", "twice") and again is not None:
            self.late.append(again)
            if fault.how == "delayed":
                raise DomainUnreachableError(self.domain, "no answer within the deadline")
        if fault and fault.how == "hang":
            await asyncio.sleep(3600)
        if fault and fault.how == "slow":
            await asyncio.sleep(0.01)
        if fault and fault.how == "held":
            await self.let_go.wait()
        if fault and fault.how == "refuse":
            raise DomainError(self.domain, f"{verb}: no, thank you", path="/t:entry[x]", tag="invalid-value")
        if fault and fault.how == "defect":
            raise KeyError("a bug in the driver")
        return fault

    def _leave(self, fault: Fault | None) -> None:
        if fault and fault.how == "crash-after":
            raise Crash
        if fault and fault.how == "late":
            raise DomainUnreachableError(self.domain, "connection lost while waiting for the reply")

    async def connect(self) -> None:
        self._leave(await self._enter("connect"))

    async def close(self) -> None:
        return None

    async def discover(self) -> DomainTopology:
        raise NotImplementedError

    async def read(self, paths: Sequence[Path]) -> Tree:
        fault = await self._enter("read")
        self._leave(fault)
        if fault and fault.how == "lie":
            return {}
        return {step: deepcopy(value) for step, value in self.running.items() if (step,) in paths}

    async def prepare(self, txn: str, edit: Edit, *, replay: bool = False) -> tuple[str, ...]:
        fault = await self._enter("prepare", txn, lambda: self.prepare(txn, edit, replay=replay))
        if txn in self.ends:
            raise DomainError(self.domain, f"{txn} has ended", tag="ended")
        if self.broken:
            raise DomainError(self.domain, "VLAN 7 in use", path="/t:entry[x]", tag="invalid-value")
        for name, path in self.refused.items():
            if (("t:entry", name),) in edit.touched:
                raise DomainError(self.domain, f"{name} is not for me", path=path, tag="invalid-value")
        if self.open and self.open.txn != txn:
            raise DomainError(self.domain, f"locked by {self.open.txn}", tag="lock-denied")
        if not replay:
            for operation in edit.operations:
                if operation.kind is OperationKind.CREATE and operation.path[0] in self.running:
                    raise DomainError(self.domain, "exists", tag="data-exists")
        self.open = _Open(txn, edit, deepcopy(self.running))
        self._leave(fault)
        return ("fan is loud",) if fault and fault.how == "warn" else ()

    async def commit(self, txn: str, confirm_timeout_s: float) -> None:
        fault = await self._enter("commit", txn, lambda: self.commit(txn, confirm_timeout_s))
        if not self.open or self.open.txn != txn:
            raise DomainError(self.domain, f"{txn} is not prepared", tag="ended")
        for operation in self.open.edit.operations:
            step = operation.path[0]
            if operation.kind is OperationKind.DELETE:
                self.running = {k: v for k, v in self.running.items() if k != step}
            else:
                assert isinstance(operation.value, dict)
                self.running = {**self.running, step: operation.value}
        self.open.expires_at = self.clock() + confirm_timeout_s
        self._leave(fault)

    async def confirm(self, txn: str) -> None:
        fault = await self._enter("confirm", txn, lambda: self.confirm(txn))
        if self.ends.get(txn) is not State.CONFIRMED:
            if not self.open or self.open.txn != txn or self.open.expires_at is None:
                raise DomainError(self.domain, f"{txn} is not committed", tag="unknown-persist-id")
            self.ends[txn] = State.CONFIRMED
            self.open = None
        self._leave(fault)

    async def cancel(self, txn: str) -> None:
        fault = await self._enter("cancel", txn, lambda: self.cancel(txn))
        if self.ends.get(txn) is State.CONFIRMED:
            raise DomainError(self.domain, f"{txn} is confirmed", tag=FINAL)
        if self.open and self.open.txn == txn:
            self._roll_back()
        self.ends[txn] = State.ABSENT
        self._leave(fault)

    async def outcome(self, txn: str, edit: Edit) -> State:
        fault = await self._enter("outcome", txn)
        self._leave(fault)
        if fault and fault.how == "forget":
            return State.UNKNOWN
        if self.open and self.open.txn == txn:
            return State.PREPARED if self.open.expires_at is None else State.COMMITTED
        return self.ends.get(txn, State.ABSENT)

    def native(self, edit: Edit) -> str:
        return ""

    async def events(self) -> AsyncIterator[DomainEvent]:
        return
        yield

    async def samples(self, interval_s: float) -> AsyncIterator[tuple[Sample, ...]]:
        return
        yield


def put(domain: str, name: str, value: str, before: str | None = None) -> Edit:
    """Return the edit that gives one entry a value."""
    step = ("t:entry", name)
    after: Tree = {step: {"t:name": name, "t:value": value}}
    kind = OperationKind.CREATE if before is None else OperationKind.REPLACE
    old: Tree = {} if before is None else {step: {"t:name": name, "t:value": before}}
    return Edit(domain, (Operation(kind, (step,), after[step]),), ((step,),), old, after)


def entries(domain: ModelDomain) -> dict[str, str]:
    """Return the running entries as name → value."""
    return {step[1]: value["t:value"] for step, value in domain.running.items()}  # type: ignore[index,call-overload,misc]


def drop(domain: str, name: str, before: str) -> Edit:
    """Return the edit that removes one entry."""
    step = ("t:entry", name)
    old: Tree = {step: {"t:name": name, "t:value": before}}
    return Edit(domain, (Operation(OperationKind.DELETE, (step,)),), ((step,),), old, {})
