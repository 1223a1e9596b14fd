"""Running and candidate, their locks, and the confirmed commit that undoes itself (RFC 6241 §7, §8.3–8.4).

A candidate that nobody touched *is* running. Sessions are numbers here; 0 is the device itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from lab.netconf.checking import Changes, References
from lab.netconf.data import Data, Delta, delta
from lab.netconf.editing import Editing, Guard
from lab.netconf.errors import NetconfError, SeveralNetconfError, lock_denied
from lab.netconf.journal import Journal, Pending, Record, Saved
from lab.netconf.schema import Schema

DISK_RETRY_S = 0.2
COMPACTION_DELAY_S = 0.2  # after the commit has been answered


class Inspector(Protocol):
    """The device's own limits: what the schema cannot know."""

    def errors(self, old: Data, new: Data) -> list[NetconfError]:
        """Return what keeps the device from running `new` instead of `old`."""

    def follow(self, old: Data, new: Data) -> None:
        """Take note that running moved."""


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """Running moved. `session` 0: the device did it, by rolling back."""

    session: int
    old: Data
    new: Data
    change: Delta


@dataclass(frozen=True, slots=True)
class ConfirmedCommitEvent:
    """RFC 6470: start, cancel, timeout, extend or complete."""

    event: str
    session: int
    timeout_s: int = 0


Listener = Callable[[ConfigChanged | ConfirmedCommitEvent], None]


class Datastore:
    """The two datastores of one device. Call from one event loop."""

    def __init__(
        self,
        schema: Schema,
        journal: Journal,
        guard: Guard,
        inspector: Inspector,
        device: Callable[[Data], Data] = dict,
    ) -> None:
        """device: lays over a configuration what the device itself brings, whatever clients write."""
        self.schema = schema
        self._journal, self._guard, self._inspector = journal, guard, inspector
        self._references = References(schema)
        self._listeners: list[Listener] = []
        self._locks: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._valid: tuple[Data, Changes] | None = None  # the candidate that was found valid last, and how it differs
        saved = journal.load(device({}))
        self.running = device(saved.running)
        self._pending = saved.pending
        if saved.pending is not None:
            before = device(saved.pending.before)
            self._pending = Pending(before, saved.pending.deadline, saved.pending.persist, 0)
        self.candidate = self.running
        self._references.follow({}, self.running)
        self._inspector.follow({}, self.running)

    def start(self) -> None:
        """Take up a confirmed commit that was open when the process ended; one whose time is over goes back now."""
        if self._pending is not None and (self._pending.persist is None or self._pending.deadline <= time.time()):
            self._roll_back("timeout", 0)
        elif self._pending is not None:
            self._arm(self._pending)

    def stop(self) -> None:
        self._disarm()
        self._journal.close()

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def _tell(self, event: ConfigChanged | ConfirmedCommitEvent) -> None:
        for listener in self._listeners:
            listener(event)

    # locks

    def lock(self, target: str, session: int) -> None:
        holder = self._locks.get(target)
        if holder is not None:
            raise lock_denied(holder, f"{target} is locked by session {holder}")
        if target == "candidate" and self.candidate is not self.running:
            raise lock_denied(0, "the candidate holds changes that nobody committed; discard them first")
        if target == "running" and self._pending is not None and self._pending.session != session:
            raise lock_denied(self._pending.session, "a confirmed commit of another session is open")
        self._locks[target] = session

    def unlock(self, target: str, session: int) -> None:
        if self._locks.get(target) != session:
            raise NetconfError("operation-failed", f"{target} is not locked by this session", kind="protocol")
        del self._locks[target]

    def _need(self, session: int, *targets: str) -> None:
        for target in targets:
            holder = self._locks.get(target)
            if holder is not None and holder != session:
                raise NetconfError(
                    "in-use",
                    f"{target} is locked by session {holder}",
                    kind="protocol",
                    info=(("session-id", str(holder)),),
                )

    def session_ended(self, session: int) -> None:
        """Free what a session held; its confirmed commit goes back unless it persists."""
        if self._locks.get("candidate") == session:
            self.candidate = self.running
        self._locks = {target: holder for target, holder in self._locks.items() if holder != session}
        if self._pending is not None and self._pending.persist is None and self._pending.session == session:
            self._roll_back("cancel", session)

    # editing

    def edit(self, config: etree._Element, default_operation: str, test: str, session: int) -> None:
        """Change the candidate; `test` is the test-option, empty for the default (set, and validate later)."""
        self._need(session, "candidate")
        edited = Editing(self.schema, self._guard, self.candidate).apply(config, default_operation)
        if test in ("test-then-set", "test-only"):
            self._check(edited)
        if test != "test-only":
            self.candidate = edited

    def discard(self, session: int) -> None:
        self._need(session, "candidate")
        self.candidate = self.running

    def validate(self, source: str) -> None:
        """Check a datastore; raises SeveralNetconfError. Running is valid by construction."""
        if source == "candidate":
            self._check(self.candidate)

    def _check(self, candidate: Data) -> Changes | None:
        if candidate is self.running:
            return None
        if self._valid is not None and self._valid[0] is candidate:
            return self._valid[1]
        changes = Changes(self.schema, self.running, candidate)
        errors = self._references.errors(changes, candidate) or self._inspector.errors(self.running, candidate)
        if errors:
            raise SeveralNetconfError(errors)
        self._valid = candidate, changes
        return changes

    # committing

    def commit(self, session: int, timeout_s: int | None, persist: str | None, persist_id: str | None) -> None:
        """Make the candidate running: for good, or (with a timeout) until confirmed."""
        self._need(session, "candidate", "running")
        self._may_continue(session, persist_id)
        changes = self._check(self.candidate)
        old, new, earlier = self.running, self.candidate, self._pending
        change = delta(old, new) if changes is not None else {}
        deadline = None if timeout_s is None else time.time() + timeout_s
        if change or deadline is not None or earlier is not None:
            self._journal.append(Record(change, deadline, persist, earlier is None))
        self._disarm()
        self._pending = None
        if deadline is not None:
            before = old if earlier is None else earlier.before
            self._pending = Pending(before, deadline, persist, session)
            self._arm(self._pending)
        if changes is not None:
            self._references.follow_changes(changes)
        self._moved(session, old, new, change)
        if timeout_s is not None:
            self._tell(ConfirmedCommitEvent("extend" if earlier else "start", session, timeout_s))
        elif earlier is not None:
            self._tell(ConfirmedCommitEvent("complete", session))
        self._compact_later()

    def _may_continue(self, session: int, persist_id: str | None) -> None:
        """Raise unless this session may commit now, given the confirmed commit that is open."""
        pending = self._pending
        if persist_id is not None and (pending is None or pending.persist != persist_id):
            raise NetconfError("invalid-value", f"no confirmed commit is open under persist-id {persist_id}")
        if pending is None or persist_id is not None:
            return
        if pending.persist is not None:
            raise NetconfError("invalid-value", "the open confirmed commit needs its persist-id")
        if pending.session != session:
            raise NetconfError("in-use", f"session {pending.session} has a confirmed commit open", kind="protocol")

    def cancel(self, session: int, persist_id: str | None) -> None:
        """Undo the open confirmed commit."""
        if self._pending is None:
            raise NetconfError("operation-failed", "no confirmed commit is open")
        self._may_continue(session, persist_id)
        self._roll_back("cancel", session)

    def _roll_back(self, why: str, session: int) -> None:
        assert self._pending is not None
        old, new, clean = self.running, self._pending.before, self.candidate is self.running
        change = delta(old, new)
        self._journal.append(Record(change, None, None, False))
        self._disarm()
        self._pending = None
        self._references.follow(old, new)
        if clean:
            self.candidate = new
        self._moved(session if why == "cancel" else 0, old, new, change)
        self._tell(ConfirmedCommitEvent(why, session))

    def _moved(self, session: int, old: Data, new: Data, change: Delta) -> None:
        self.running, self._valid = new, None
        if not change:
            return
        self._inspector.follow(old, new)
        self._tell(ConfigChanged(session, old, new, change))

    def _arm(self, pending: Pending) -> None:
        loop = asyncio.get_running_loop()
        left = max(0.0, pending.deadline - time.time())
        self._timer = loop.call_later(left, self._expire, pending)

    def _expire(self, pending: Pending) -> None:
        """Go back because nobody confirmed; where the disk refuses that, again and again."""
        try:
            self._roll_back("timeout", pending.session)
        except OSError:
            self._timer = asyncio.get_running_loop().call_later(DISK_RETRY_S, self._expire, pending)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _compact_later(self) -> None:
        if self._journal.is_long():
            asyncio.get_running_loop().call_later(COMPACTION_DELAY_S, self._compact)

    def _compact(self) -> None:
        if self._journal.is_long():
            self._journal.compact(Saved(self.running, self._pending))
