"""The two-phase change of circuits: what each step does, on disk before it is answered.

The domain alone decides when a lease or a confirm timer ends. It counts on its monotonic clock while it runs; on
disk stands the wall-clock deadline, so that time spent dead counts too. Nothing here speaks gRPC or to the plant:
`on_change` hears which circuits are lit differently.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import grpc
from onecity.optical.v1 import optical_pb2 as pb

from lab.optical.claims import SPARE, Claims, Key, claims_of
from lab.optical.equipment import Equipment
from lab.optical.refusal import RefusedError, conflict, invalid, precondition, unknown
from lab.optical.store import Store, StoredCircuit, StoredTxn

MAX_LEASE_S = 600.0
MAX_CONFIRM_S = 900.0
DEFAULT_LEASE_S = 60.0
DEFAULT_CONFIRM_S = 120.0
OPEN = (pb.TRANSACTION_STATE_PREPARED, pb.TRANSACTION_STATE_ACTIVATING, pb.TRANSACTION_STATE_PROVISIONAL)
Lit = Mapping[str, pb.CircuitSpec | None]


@dataclass(slots=True)
class Change:
    """One transaction. `deadline` is monotonic: of the lease while PREPARED, of the confirm timer while PROVISIONAL."""

    id: str
    state: pb.TransactionState
    content: bytes = b""
    request: pb.PrepareRequest = field(default_factory=pb.PrepareRequest)
    deadline: float = 0.0
    confirm_s: float = 0.0
    before: dict[str, pb.Circuit] = field(default_factory=dict)
    reason: str = ""
    ended: float = 0.0  # wall clock; 0 while open

    def wanted(self) -> Lit:
        """Return what its circuits become; None: deleted."""
        puts: dict[str, pb.CircuitSpec | None] = {p.spec.id: p.spec for p in self.request.puts}
        return {**puts, **{d.id: None for d in self.request.deletes}}


class Engine:
    """Circuits, claims and transactions of one optical domain. Used from one thread."""

    def __init__(self, equipment: Equipment, store: Store, on_change: Callable[[Lit], None] = lambda lit: None) -> None:
        self.equipment, self.store, self.on_change = equipment, store, on_change
        self.revision = int(time.time())  # grows over restarts too
        self.sizes = {("channel", f): equipment.domain.channels for f in equipment.fibres}
        self.sizes |= {("slot", link.id): link.slots for link in equipment.domain.odu_links}
        self.store.forget(time.time())
        self._load()
        self.expire()

    def _load(self) -> None:
        """Take up what is on disk, and nothing else."""
        self.claims = Claims()
        self.circuits: dict[str, pb.Circuit] = {}
        self.versions: dict[str, int] = {}  # also of deleted circuits
        self.changes: dict[str, Change] = {}
        self.held_by: dict[str, str] = {}  # circuit → open transaction
        for spec in self.equipment.infrastructure.values():
            self.circuits[spec.id] = pb.Circuit(spec=spec, version=1)
            self._hold(spec)
        for stored in self.store.circuits():
            self.versions[stored.id] = stored.version
            if stored.spec is not None:
                spec = pb.CircuitSpec.FromString(stored.spec)
                self.circuits[stored.id] = pb.Circuit(spec=spec, version=stored.version, last_txn=stored.last_txn)
                self._hold(spec)
        offset = time.monotonic() - time.time()
        for row in self.store.transactions(time.time()):
            state = cast(pb.TransactionState, row.state)
            change = Change(row.id, state, row.content, pb.PrepareRequest.FromString(row.request))
            change.deadline, change.confirm_s = row.deadline + offset, row.confirm_s
            change.before = {c.spec.id: c for c in pb.ListCircuitsResponse.FromString(row.before).circuits}
            change.reason, change.ended = row.reason, row.ended
            self.changes[row.id] = change
            if change.state in OPEN:
                self._hold_again(change)

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Have everything inside on disk when this returns.

        Where the disk refuses, what was changed in memory meanwhile never happened: to answer a repeated request from
        it would be to promise what the next start does not know.
        """
        try:
            with self.store.step():
                yield
        except sqlite3.Error:
            self._load()
            raise

    def _hold_again(self, change: Change) -> None:
        """Rebuild what an open transaction holds beside the standing circuits, which are held already."""
        standing = change.state == pb.TRANSACTION_STATE_PROVISIONAL
        for circuit, spec in change.wanted().items():
            self.held_by[circuit] = change.id
            if standing and circuit in change.before:
                self._hold(change.before[circuit].spec)
            elif not standing and spec is not None:
                self._hold(spec)

    # ── the five verbs ──────────────────────────────────────────────────────────────────────────────────────────

    def prepare(self, request: pb.PrepareRequest) -> Change:
        """Hold everything or nothing."""
        if not request.txn_id:
            raise invalid("txn_id", "a transaction needs an id")
        content = _digest(request)
        known = self._current(request.txn_id)
        if known is not None:
            return self._repeated(known, content)
        term_name = f"term:{request.coordinator}"
        if request.term < self.store.fact(term_name):
            raise precondition("STALE_TERM", f"term {request.term} of {request.coordinator!r} is over")
        change = Change(request.txn_id, pb.TRANSACTION_STATE_PREPARED, content, request)
        self._admit(change)
        lease_s = _bounded(request.lease.ToTimedelta().total_seconds(), DEFAULT_LEASE_S, MAX_LEASE_S, "lease")
        change.deadline = time.monotonic() + lease_s
        change.before = {c: self.circuits[c] for c in change.wanted() if c in self.circuits}
        with self._step():
            self.store.put_fact(term_name, request.term)
            self._save(change)
        self.changes[change.id] = change
        for circuit, spec in change.wanted().items():
            self.held_by[circuit] = change.id
            if spec is not None:
                self._hold(spec)
        self._bump()
        return change

    def begin_activation(self, txn_id: str, confirm_s: float) -> Change:
        """Note that equipment is being set; PREPARED only, anything else answers for itself."""
        change = self._existing(txn_id)
        if change.state == pb.TRANSACTION_STATE_PREPARED:
            change.confirm_s = _bounded(confirm_s, DEFAULT_CONFIRM_S, MAX_CONFIRM_S, "confirm_timeout")
            self._move(change, pb.TRANSACTION_STATE_ACTIVATING)
        return change

    def commit(self, txn_id: str, confirm_s: float) -> Change:
        """Light what was prepared and start the confirm timer."""
        change = self._existing(txn_id)
        if change.state in (pb.TRANSACTION_STATE_PROVISIONAL, pb.TRANSACTION_STATE_CONFIRMED):
            return change
        if change.state not in OPEN:
            raise self._ended(change)
        if change.state == pb.TRANSACTION_STATE_PREPARED:
            change.confirm_s = _bounded(confirm_s, DEFAULT_CONFIRM_S, MAX_CONFIRM_S, "confirm_timeout")
        change.deadline = time.monotonic() + change.confirm_s
        change.state = pb.TRANSACTION_STATE_PROVISIONAL
        with self._step():
            self._save(change)
            for circuit, spec in change.wanted().items():
                self._stand(circuit, spec, self.versions.get(circuit, 0) + 1, change.id)
        self._bump()
        self.on_change(change.wanted())
        return change

    def confirm(self, txn_id: str) -> Change:
        """Make it final and let go of what only the state before needed."""
        change = self._existing(txn_id)
        if change.state == pb.TRANSACTION_STATE_CONFIRMED:
            return change
        if change.state in (pb.TRANSACTION_STATE_PREPARED, pb.TRANSACTION_STATE_ACTIVATING):
            raise precondition("NOT_COMMITTED", f"transaction {txn_id} is not committed yet")
        if change.state not in OPEN:
            raise self._ended(change)
        self._move(change, pb.TRANSACTION_STATE_CONFIRMED)
        for old in change.before.values():
            self._release(old.spec)
        return change

    def cancel(self, txn_id: str) -> Change:
        """Undo, or leave a tombstone that refuses a late Prepare."""
        if not txn_id:
            raise invalid("txn_id", "a transaction needs an id")
        change = self._current(txn_id)
        if change is None:
            change = Change(
                txn_id, pb.TRANSACTION_STATE_CANCELLED, reason="cancelled before it was prepared", ended=time.time()
            )
            with self._step():
                self._save(change)
            self.changes[txn_id] = change
        elif change.state == pb.TRANSACTION_STATE_CONFIRMED:
            raise precondition("ENDED", f"transaction {txn_id} is confirmed; undo it with a new one")
        elif change.state in OPEN:
            self._undo(change, pb.TRANSACTION_STATE_CANCELLED, "cancelled")
        return change

    def expire(self) -> float | None:
        """End what ran out of time; return the seconds until the next deadline, None where none runs."""
        now = time.monotonic()
        for change in [self.changes[t] for t in set(self.held_by.values())]:
            if change.state == pb.TRANSACTION_STATE_ACTIVATING or change.deadline > now:
                continue
            if change.state == pb.TRANSACTION_STATE_PREPARED:
                self._undo(change, pb.TRANSACTION_STATE_EXPIRED, "the lease ended before Commit")
            else:
                self._undo(change, pb.TRANSACTION_STATE_ROLLED_BACK, "the confirm timer ended")
        running = [self.changes[t] for t in set(self.held_by.values())]
        timed = [c.deadline for c in running if c.state != pb.TRANSACTION_STATE_ACTIVATING]
        return max(0.0, min(timed) - now) if timed else None

    # ── reads ───────────────────────────────────────────────────────────────────────────────────────────────────

    def transaction(self, txn_id: str) -> Change:
        return self._existing(txn_id)

    def open_changes(self) -> list[Change]:
        self.expire()
        return [self.changes[t] for t in sorted(set(self.held_by.values()))]

    @staticmethod
    def message(change: Change) -> pb.Transaction:
        """Return the wire form, with the time that is left now."""
        message = pb.Transaction(txn_id=change.id, state=change.state, reason=change.reason)
        if change.state in (pb.TRANSACTION_STATE_PREPARED, pb.TRANSACTION_STATE_PROVISIONAL):
            message.remaining.FromNanoseconds(max(0, int((change.deadline - time.monotonic()) * 1e9)))
        return message

    # ── parts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _admit(self, change: Change) -> None:
        """Check every put and delete against the equipment, the versions and each other."""
        request, seen = change.request, set[str]()
        deleted = {d.id for d in request.deletes}
        versions = [(p.spec.id, p.expected_version) for p in request.puts]
        for circuit, expected in [*versions, *((d.id, d.expected_version) for d in request.deletes)]:
            if circuit in seen:
                raise invalid("puts", f"circuit {circuit} stands twice in this transaction")
            seen.add(circuit)
            self._check_version(circuit, expected, circuit in deleted)
        taken: dict[Key, str] = {}
        spare = Claims()  # what this very transaction wants as spare
        for put in request.puts:
            self.equipment.check(put.spec)
            wanted, risks = claims_of(put.spec), self._risks(put.spec)
            refusal = self.claims.refusal(put.spec.id, wanted, deleted, self.sizes, risks) or spare.refusal(
                put.spec.id, wanted, set(), self.sizes, risks
            )
            if refusal is not None:
                raise refusal
            for claim in wanted:
                rival = self._rival_within(taken, claim)
                if rival is not None:
                    what = f"{claim[0]} {claim[2]} of {claim[1]}"
                    raise invalid("puts", f"{what} is wanted by both {rival} and {put.spec.id}")
            taken.update((claim, put.spec.id) for claim in wanted if not claim[0].startswith(SPARE))
            spare.hold(put.spec.id, {claim for claim in wanted if claim[0].startswith(SPARE)}, risks)

    def _risks(self, spec: pb.CircuitSpec) -> frozenset[str]:
        return self.equipment.risks(spec) if spec.protect_shared else frozenset()

    def _hold(self, spec: pb.CircuitSpec) -> None:
        self.claims.hold(spec.id, claims_of(spec), self._risks(spec))

    def _release(self, spec: pb.CircuitSpec) -> None:
        self.claims.release(spec.id, claims_of(spec), self._risks(spec))

    @staticmethod
    def _rival_within(taken: Mapping[Key, str], claim: Key) -> str | None:
        kind, where, label = claim[0].removeprefix(SPARE), claim[1], claim[2]
        if kind != "port":
            return taken.get((kind, where, label))
        for (k, w, n), holder in taken.items():
            if (k, w) == (kind, where) and (n == label or 0 in (n, label)):
                return holder
        return None

    def _check_version(self, circuit: str, expected: int, deleting: bool) -> None:
        if circuit in self.equipment.infrastructure:
            raise invalid("deletes", f"circuit {circuit} is infrastructure and is not changed through this interface")
        holder = self.held_by.get(circuit)
        if holder is not None and self._current(holder) is not None and circuit in self.held_by:
            raise conflict("HELD_BY_OTHER", f"circuit {circuit} is being changed by transaction {holder}")
        standing = self.circuits.get(circuit)
        if deleting and standing is None:
            raise unknown("circuit", circuit)
        version = standing.version if standing is not None else 0
        if version != expected:
            raise conflict("VERSION_CHANGED", f"circuit {circuit} is at version {version}, not {expected}")

    def _repeated(self, known: Change, content: bytes) -> Change:
        if known.content and known.content != content:
            message = f"transaction {known.id} exists with other content"
            raise RefusedError(grpc.StatusCode.ALREADY_EXISTS, "TXN_CONTENT_DIFFERS", message)
        if known.state in OPEN or known.state == pb.TRANSACTION_STATE_CONFIRMED:
            return known
        raise self._ended(known)

    @staticmethod
    def _ended(change: Change) -> RefusedError:
        reason = "LEASE_EXPIRED" if change.state == pb.TRANSACTION_STATE_EXPIRED else "ENDED"
        state = pb.TransactionState.Name(change.state).removeprefix("TRANSACTION_STATE_")
        return precondition(reason, f"transaction {change.id} ended as {state}: {change.reason}")

    def _current(self, txn_id: str) -> Change | None:
        """Return the transaction after any deadline that has passed by now took effect."""
        self.expire()
        return self.changes.get(txn_id)

    def _existing(self, txn_id: str) -> Change:
        change = self._current(txn_id)
        if change is None:
            raise unknown("transaction", txn_id)
        return change

    def _move(self, change: Change, state: pb.TransactionState) -> None:
        change.state = state
        if state not in OPEN:
            change.ended = time.time()
        with self._step():
            self._save(change)
        if state not in OPEN:
            self._let_go(change)
        self._bump()

    def _let_go(self, change: Change) -> None:
        for circuit in change.wanted():
            self.held_by.pop(circuit, None)

    def _undo(self, change: Change, state: pb.TransactionState, reason: str) -> None:
        """Bring back the state before, free what was wanted."""
        was_lit = change.state == pb.TRANSACTION_STATE_PROVISIONAL
        wanted = change.wanted()
        change.state, change.reason, change.ended = state, reason, time.time()
        with self._step():
            self._save(change)
            if was_lit:
                for circuit in wanted:
                    old = change.before.get(circuit)
                    version = old.version if old else self.versions.get(circuit, 0)
                    self._stand(circuit, old.spec if old else None, version, old.last_txn if old else change.id)
        for spec in wanted.values():
            if spec is not None:
                self._release(spec)
        self._let_go(change)
        self._bump()
        if was_lit:
            self.on_change({c: (change.before[c].spec if c in change.before else None) for c in wanted})

    def _stand(self, circuit: str, spec: pb.CircuitSpec | None, version: int, txn: str) -> None:
        """Make this the standing form of a circuit, in memory and (inside a step) on disk."""
        self.store.put_circuit(
            StoredCircuit(circuit, spec.SerializeToString() if spec is not None else None, version, txn)
        )
        self.versions[circuit] = max(version, self.versions.get(circuit, 0))
        if spec is None:
            self.circuits.pop(circuit, None)
        else:
            self.circuits[circuit] = pb.Circuit(spec=spec, version=version, last_txn=txn)

    def _save(self, change: Change) -> None:
        deadline = change.deadline - time.monotonic() + time.time()
        before = pb.ListCircuitsResponse(circuits=change.before.values()).SerializeToString()
        request = change.request.SerializeToString()
        row = (change.deadline and deadline, change.confirm_s, before, change.reason, change.ended)
        self.store.put_txn(StoredTxn(change.id, change.state, change.content, request, *row))

    def _bump(self) -> None:
        self.revision += 1


def _digest(request: pb.PrepareRequest) -> bytes:
    """Identify what is asked, whoever repeats it: term and lease may differ between repeats."""
    content = pb.PrepareRequest(coordinator=request.coordinator, puts=request.puts, deletes=request.deletes)
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()


def _bounded(asked_s: float, default_s: float, most_s: float, name: str) -> float:
    if asked_s < 0 or asked_s > most_s:
        raise invalid(name, f"{name} {asked_s:g} s is not 0 to {most_s:g} s")
    return asked_s or default_s
