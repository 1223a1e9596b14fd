"""One transaction on a NETCONF domain: candidate lock, edit, confirmed commit, confirm or cancel.

What makes it safe:
- The candidate lock is held from prepare until confirm or cancel, so the candidate holds our edit or nothing. After
  a lost session the order is always: lock, discard, and only then confirm or cancel by persist-id, for a confirming
  `<commit>` would also commit whatever lies in the candidate.
- The confirmed commit persists (persist = the transaction's id): losing the session changes nothing, the timer runs.
- A lost reply is never guessed. `outcome` first takes the candidate lock: our lost session held it, so having it
  proves that this session is over and that no commit of it is still on its way. Then the images decide: running
  equals the after-image, or the before-image, or neither.
- "Not pending" as the answer to a cancel says nothing by itself: the network may hold the after-image because somebody
  else made it so. What this life of the daemon sent does say it: without a commit there is nothing to undo, and without
  a confirming commit nothing can be final. Only of a transaction whose confirm is unanswered, or that an earlier life
  began and `outcome` was asked about, do the images decide.
- Some servers grant no lock while a confirmed commit is pending (RFC 6241 §7.5 forbids that for `running` only): its
  `in-use` names no holder. Such a commit is ended without the lock, the candidate being discarded in the same breath;
  what the lock would have proved is then not taken for granted: nothing but a standing after-image is an answer, and
  "not pending" is none.
- A delete of what is gone and a create of what is there are no reason to fail: see surprises.py.
- NETCONF has no question that tells a pending commit from a final one without touching it (a follow-up confirmed
  commit would, but restarts the timer and destroys the rollback of at least one server in use). So after-image
  without our own confirmation reads as COMMITTED, and `confirm` and `cancel` settle it: "no such commit pending" is
  success for `confirm` where the after-image stands, and a failure for `cancel` there, never the reverse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from controller.errors import DomainError
from controller.rendering.tree import Edit, Path, Tree
from controller.southbound.driver import FINAL, DomainTimers, TransactionState
from controller.southbound.netconf import operations as op
from controller.southbound.netconf.client import NetconfClient
from controller.southbound.netconf.quirks import forgets_what_it_validated
from controller.southbound.netconf.replies import Reply, RpcError, refusal
from controller.southbound.netconf.surprises import SURPRISES, go_on, places_to_read
from controller.southbound.netconf.wire import edit_payload, same_at

FIRST_RETRY_S = 0.02  # waiting for a foreign lock: starts short, for most are held for one edit
LONGEST_RETRY_S = 0.5
REMEMBERED = 8  # transactions whose images or end are kept for a repeated confirm or cancel

# What servers answer where no confirmed commit of this persist-id is pending. RFC 6241 §8.4.5 says invalid-value; the
# others may as well mean that the server could not do it, and say nothing while its timer may still be running.
NOT_PENDING = frozenset({"invalid-value", "operation-failed", "data-missing", "bad-element"})

Connect = Callable[[], Awaitable[NetconfClient]]
Read = Callable[[Sequence[Path]], Awaitable[Tree]]


class _Stage(Enum):
    """How far this life of the daemon carried a transaction that it prepared."""

    PREPARED = "prepared"  # no commit was sent: nothing of it can be, or become, active
    COMMIT_SENT = "commit sent"  # active or not, but not final
    CONFIRM_SENT = "confirm sent"  # may be final


@dataclass(slots=True)
class _Open:
    """The transaction that holds the candidate lock."""

    txn: str
    client: NetconfClient
    committed: bool = False


@dataclass(frozen=True, slots=True)
class _Hold:
    """A session over a clean candidate, or over the transaction's own edit; locked where the server grants that."""

    client: NetconfClient
    locked: bool


class CandidateTransactions:
    """The transaction verbs of one domain. At most one transaction is open at a time."""

    def __init__(self, domain: str, timers: DomainTimers, connect: Connect, read: Read) -> None:
        self._domain, self._timers, self._connect, self._read = domain, timers, connect, read
        self._open: _Open | None = None
        self._edits: dict[str, Edit] = {}
        self._confirmed: dict[str, None] = {}
        self._stages: dict[str, _Stage] = {}
        self._timers_end: dict[str, float] = {}  # loop time at which the timer of a commit has ended for certain

    async def prepare(self, txn: str, edit: Edit, replay: bool) -> tuple[str, ...]:
        opened = self._open
        if opened is not None and opened.txn == txn and not opened.committed and opened.client.alive:
            await self.cancel(txn)  # asked again: start afresh
        self._reached(txn, self._stages.get(txn, _Stage.PREPARED))
        self._refuse_a_second(txn)
        client = await self._connect()
        for needed in (op.CANDIDATE, op.CONFIRMED_COMMIT):
            if needed not in client.capabilities:
                problem = f"it does not announce {needed}, without which no change is safe"
                raise DomainError(self._domain, problem, tag="capability")
        payload = await client.in_thread(edit_payload, edit, replay)
        await self._lock(client)
        self._open = _Open(txn, client)
        self._remember(txn, edit)
        try:
            edited, *validated = await self._fill_candidate(client, payload)
            warnings: tuple[str, ...] = ()
            if edited.errors and not replay and edited.errors[0].tag in SURPRISES:
                warnings = await self._judge(edit, refusal(self._domain, edited.errors))
                payload = await client.in_thread(edit_payload, edit, True)
                edited, *validated = await self._fill_candidate(client, payload)
            return warnings + self._accepted(edited, *validated)
        except DomainError:
            await self._leave(client)
            self._open = None
            raise

    async def _judge(self, edit: Edit, refused: DomainError) -> tuple[str, ...]:
        """Return what to tell where the domain is already as it shall be; raises where it is otherwise."""
        # Running is what the candidate was a moment ago: we hold its lock, and it was clean.
        return go_on(edit, await self._read(places_to_read(edit)), refused)

    async def _fill_candidate(self, client: NetconfClient, payload: str) -> list[Reply]:
        edit = op.edit_config(payload, rollback_on_error=op.ROLLBACK_ON_ERROR in client.capabilities)
        sent = [client.send("discard-changes", op.DISCARD), client.send("edit-config", edit)]
        if not client.capabilities.isdisjoint(op.VALIDATE) and not forgets_what_it_validated(client.capabilities):
            sent.append(client.send("validate", op.VALIDATE_CANDIDATE))
        discarded, *replies = await client.receive(sent, self._timers.edit_s)
        self._accepted(discarded)
        return replies

    def _accepted(self, *replies: Reply) -> tuple[str, ...]:
        """Return the warnings of these replies; raises the first refusal among them."""
        for reply in replies:
            if reply.errors:
                raise refusal(self._domain, reply.errors)
        return tuple(warning for reply in replies for warning in reply.warnings)

    async def commit(self, txn: str, confirm_timeout_s: float) -> None:
        opened = self._open
        if opened is None or opened.txn != txn:
            raise DomainError(self._domain, f"transaction {txn} is not prepared here", tag="not-prepared")
        if opened.committed:
            return
        body = op.commit_provisionally(txn, confirm_timeout_s)
        self._reached(txn, _Stage.COMMIT_SENT)
        self._note_timer(txn, confirm_timeout_s)
        reply = await opened.client.call("commit", body, self._timers.commit_s)
        if reply.errors:
            self._reached(txn, _Stage.PREPARED)
            raise refusal(self._domain, reply.errors)
        opened.committed = True

    async def confirm(self, txn: str) -> None:
        if txn in self._confirmed:
            return
        hold = await self._holding_lock(txn)
        if txn in self._stages:
            self._reached(txn, _Stage.CONFIRM_SENT)
        client = hold.client
        # Without the lock the candidate was discarded a moment ago, and is once more.
        around = ("unlock", op.UNLOCK) if hold.locked else ("discard-changes", op.DISCARD)
        requests = [client.send("commit", op.commit_finally(txn)), client.send(*around)]
        committed, unlocked = await client.receive(requests, self._timers.commit_s)
        self._open = None
        if unlocked.errors:
            client.cut()  # the lock ends with the session
        if committed.errors and not await self._already_final(txn, committed.errors[0]):
            raise refusal(self._domain, committed.errors)
        self._confirmed[txn] = None
        while len(self._confirmed) > REMEMBERED:
            del self._confirmed[next(iter(self._confirmed))]

    async def cancel(self, txn: str) -> None:
        opened = self._open
        if opened is not None and opened.txn != txn and opened.client.alive:
            await self._cancel_beside(opened.client, txn)
            return
        if self._stages.get(txn) is _Stage.PREPARED and (opened is None or not opened.client.alive):
            return  # its candidate ended with its session, and nothing was committed
        hold = await self._holding_lock(txn)
        client = hold.client
        sent = [] if self._stages.get(txn) is _Stage.PREPARED else [client.send("cancel-commit", op.cancel_commit(txn))]
        cleaning = [client.send("discard-changes", op.DISCARD)]
        if hold.locked:
            cleaning.append(client.send("unlock", op.UNLOCK))
        replies = await client.receive([*sent, *cleaning], self._timers.commit_s)
        cancelled, cleaned = replies[: len(sent)], replies[len(sent) :]
        self._open = None
        if any(reply.errors for reply in cleaned):
            client.cut()  # candidate and lock end with the session
        if cancelled and cancelled[0].errors:
            if not hold.locked:
                raise self._pending_elsewhere(refusal(self._domain, cancelled[0].errors).reason)
            await self._settle_refused_cancel(txn, refusal(self._domain, cancelled[0].errors))

    async def outcome(self, txn: str, edit: Edit) -> TransactionState:
        self._remember(txn, edit)
        if txn in self._confirmed:
            return TransactionState.CONFIRMED
        opened = self._open
        if opened is not None and opened.txn == txn and opened.client.alive:
            now = await self._read(edit.touched)
            if not opened.committed:
                return TransactionState.PREPARED
        elif opened is not None and opened.client.alive:
            now = await self._read(edit.touched)
        else:
            now = await self._read_after_the_lost_session(txn, edit)
        if same_at(edit.touched, now, edit.after):
            return TransactionState.COMMITTED
        return TransactionState.ABSENT if same_at(edit.touched, now, edit.before) else TransactionState.UNKNOWN

    async def _read_after_the_lost_session(self, txn: str, edit: Edit) -> Tree:
        hold = await self._holding_lock(txn)
        try:
            now = await self._read(edit.touched)
        finally:
            if hold.client.alive and hold.locked:
                await self._leave(hold.client)
            self._open = None
        if not hold.locked and not same_at(edit.touched, now, edit.after):
            raise self._pending_elsewhere("its lost session may not have ended yet")
        return now

    def _pending_elsewhere(self, why: str) -> DomainError:
        problem = f"a confirmed commit is pending that is not known to be this transaction's: {why}"
        return DomainError(self._domain, problem, tag="in-use")

    async def _holding_lock(self, txn: str) -> _Hold:
        """Return a session that holds the lock over a clean candidate, or over this transaction's own edit."""
        opened = self._open
        if opened is not None and opened.txn == txn and opened.client.alive:
            return _Hold(opened.client, locked=True)
        self._refuse_a_second(txn)
        self._open = None
        client = await self._connect()
        locked = await self._lock(client, beside_a_pending_commit=True)
        discarded = await client.call("discard-changes", op.DISCARD, self._timers.edit_s)
        if discarded.errors:
            client.cut()
            raise refusal(self._domain, discarded.errors)
        return _Hold(client, locked)

    async def _lock(self, client: NetconfClient, *, beside_a_pending_commit: bool = False) -> bool:
        """Lock the candidate, waiting for whoever holds it up to the edit deadline.

        False, and no lock, only where `beside_a_pending_commit` is asked for and the server grants none while one is.
        """
        loop = asyncio.get_running_loop()
        end, pause_s = loop.time() + self._timers.edit_s, FIRST_RETRY_S
        while True:
            reply = await client.call("lock", op.LOCK, max(0.05, end - loop.time()))
            if not reply.errors:
                return True
            error = reply.errors[0]
            if beside_a_pending_commit and error.tag == "in-use" and not error.session:
                return False
            if error.tag not in ("lock-denied", "in-use"):
                raise refusal(self._domain, reply.errors)
            if loop.time() + pause_s >= end:
                holder = f"session {error.session}" if error.session not in ("", "0") else "somebody outside NETCONF"
                problem = f"{holder} has held the candidate lock for {self._timers.edit_s:g} s; {error.message}"
                raise DomainError(self._domain, problem, path=error.path, tag=error.tag)
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_RETRY_S, pause_s * 2)

    async def _leave(self, client: NetconfClient) -> None:
        """Clean the candidate and give the lock back; if that fails, end the session, which does both."""
        try:
            sent = [client.send("discard-changes", op.DISCARD), client.send("unlock", op.UNLOCK)]
            replies = await client.receive(sent, self._timers.edit_s)
        except DomainError:
            client.cut()
            return
        if any(reply.errors for reply in replies):
            client.cut()

    async def _cancel_beside(self, client: NetconfClient, txn: str) -> None:
        """Cancel an old transaction while another is open: its commit only, not the other's candidate."""
        if self._stages.get(txn) is _Stage.PREPARED:
            return
        reply = await client.call("cancel-commit", op.cancel_commit(txn), self._timers.commit_s)
        if reply.errors:
            await self._settle_refused_cancel(txn, refusal(self._domain, reply.errors))

    async def _settle_refused_cancel(self, txn: str, error: DomainError) -> None:
        if error.tag not in NOT_PENDING:
            raise error
        never_confirmed = txn in self._stages and self._stages[txn] is not _Stage.CONFIRM_SENT
        if never_confirmed and _unmistakable(error):
            return
        if not await self._stands(txn):
            return
        if not self._timer_has_ended(txn, error):
            raise error
        if not never_confirmed:
            problem = f"transaction {txn} is final and stands; nothing is left to cancel"
            raise DomainError(self._domain, problem, tag=FINAL)

    async def _already_final(self, txn: str, error: RpcError) -> bool:
        """Say whether a refused confirm means that the transaction stands for good."""
        return error.tag in NOT_PENDING and await self._stands(txn) and self._timer_has_ended(txn, error)

    async def _stands(self, txn: str) -> bool:
        """Say whether the network holds what only this transaction, as far as we know, made of it."""
        edit = self._edits.get(txn)
        if edit is None or same_at(edit.touched, edit.before, edit.after):
            return False
        return same_at(edit.touched, await self._read(edit.touched), edit.after)

    def _timer_has_ended(self, txn: str, error: RpcError | DomainError) -> bool:
        """Say whether nothing of this transaction can be pending any more, whatever the server meant to say."""
        if txn in self._confirmed or _unmistakable(error):
            return True
        if txn not in self._timers_end:  # of an earlier life: its timer may have begun just before
            self._note_timer(txn, 2 * self._timers.confirm_s)
        return asyncio.get_running_loop().time() >= self._timers_end[txn]

    def _note_timer(self, txn: str, timeout_s: float) -> None:
        self._timers_end.pop(txn, None)
        self._timers_end[txn] = asyncio.get_running_loop().time() + timeout_s + self._timers.commit_s
        while len(self._timers_end) > REMEMBERED:
            del self._timers_end[next(iter(self._timers_end))]

    def _refuse_a_second(self, txn: str) -> None:
        opened = self._open
        if opened is not None and opened.client.alive:
            raise DomainError(self._domain, f"transaction {opened.txn} is open; {txn} must wait for it", tag="in-use")

    def _remember(self, txn: str, edit: Edit) -> None:
        self._edits.pop(txn, None)
        self._edits[txn] = edit
        while len(self._edits) > REMEMBERED:
            del self._edits[next(iter(self._edits))]

    def _reached(self, txn: str, stage: _Stage) -> None:
        self._stages.pop(txn, None)
        self._stages[txn] = stage
        while len(self._stages) > REMEMBERED:
            del self._stages[next(iter(self._stages))]


def _unmistakable(error: RpcError | DomainError) -> bool:
    """Say whether a server means that nothing is pending under this persist-id, and not that it could not do it."""
    return error.tag == "invalid-value" or error.path.endswith("persist-id")
