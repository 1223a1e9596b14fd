"""Taking history back: which documents a rollback puts in place again, and when it cannot.

`rollback REV` undoes exactly that change: each service whose intent it changed gets back the intent that stood before
it. That is well defined only while these intents still are as the change left them; where a later change moved them
on, it is refused with the list of those changes, newest first, in the order in which they could be undone. (A later
change that was itself undone is no obstacle.) `rollback --to REV` returns every intent to what it was right after that
revision; 0 is before the first.

What a rollback puts back is planned on the network of today: paths and numbers may come out differently. Windows that
have passed stay passed; windows that were given as "now, for two hours" come back as the hours that they meant then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.changes.keep import document_text
from controller.changes.pipeline import Wanted
from controller.changes.ports import Rollback
from controller.changes.state import DesiredState
from controller.changes.views import Outcome
from controller.errors import PreconditionError
from controller.intent import check_references, from_document
from controller.intent.model import RelativeWindow, Service, ServiceId, Window
from controller.store.records import ChangeRecord, ServiceChange
from controller.store.store import Store

MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A rollback, worked out."""

    wanted: Wanted
    reason: str  # names what is taken back
    expected: Mapping[ServiceId, str] = field(default_factory=dict)  # documents that it was worked out on; "" none
    notes: tuple[str, ...] = ()  # what is left as it is, and why

    def moved(self, state: DesiredState) -> str:
        """Say which service is not any more what this was worked out on; "" where all are."""
        changed = [sid for sid, text in self.expected.items() if _text(state, sid) != text]
        if not changed:
            return ""
        return f"{', '.join(sorted(changed))} changed while the rollback was on its way; look at the history again"


def take_back(asked: Rollback, store: Store, state: DesiredState, now: datetime) -> TakenBack:
    """Work a rollback out. Raises UnknownNameError, or PreconditionError with what stands in its way."""
    if asked.everything_after:
        return _return_to(asked.change, store, state, now)
    return _undo(store.change(asked.change), store, state, now)


def _undo(record: ChangeRecord, store: Store, state: DesiredState, now: datetime) -> TakenBack:
    name = f"revision {record.revision}"
    if record.ended is None:
        raise PreconditionError(f"{name} (change {record.id}) is still under way; wait for its end")
    if record.outcome != Outcome.COMMITTED:
        raise PreconditionError(f"{name} (change {record.id}) ended {record.outcome}: nothing of it stands")
    changes = {change.service: change for change in record.services if change.before != change.after}
    if not changes:
        raise PreconditionError(f"{name} (a {record.kind}) changed no intent, so there is nothing to take back")
    _refuse_where_others_came_after(record, changes, store, state)
    targets = {sid: change.before for sid, change in changes.items()}
    what = f"undoes {name} (change {record.id}" + (f": {record.reason})" if record.reason else ")")
    return _worked_out(targets, what, name, store, state, now)


def _return_to(name: str, store: Store, state: DesiredState, now: datetime) -> TakenBack:
    revision = 0 if name == "0" else store.change(name).revision
    targets: dict[ServiceId, str] = {}
    newest = revision
    for record in store.applied_after(revision):
        newest = record.revision
        for change in record.services:
            if change.before != change.after:
                targets.setdefault(change.service, change.before)
    targets = {sid: text for sid, text in targets.items() if not _is(state, sid, text)}
    what = f"returns to revision {revision}, before revisions {revision + 1} to {newest}"
    return _worked_out(targets, what, f"revision {revision}", store, state, now)


def _worked_out(
    targets: Mapping[ServiceId, str], reason: str, source: str, store: Store, state: DesiredState, now: datetime
) -> TakenBack:
    puts: list[Service] = []
    notes: list[str] = []
    for sid, text in sorted(targets.items()):
        if not text:
            continue
        service = _dated(from_document(json.loads(text), source), text, store)
        if isinstance(service.window, Window) and service.window.end <= now:
            notes.append(f"{sid}: its window ended {service.window.end:%Y-%m-%d %H:%M} UTC and stays passed")
        else:
            puts.append(service)
    drops = frozenset(sid for sid, text in targets.items() if not text and sid in state.services)
    remaining = {sid: s.service for sid, s in state.services.items() if sid not in drops}
    check_references(puts, remaining)
    expected = {sid: _text(state, sid) for sid in targets}
    return TakenBack(Wanted(tuple(puts), drops), reason, expected, tuple(notes))


def _dated(service: Service, text: str, store: Store) -> Service:
    """Return a service that holds "from now on" with the window that it had when it was accepted."""
    if not isinstance(service.window, RelativeWindow):
        return service
    sid, before = service.metadata.service, None
    while records := store.history(200, before, sid):
        for record in records:
            if any(c.service == sid and c.after == text != c.before for c in record.services):
                end = record.at + timedelta(seconds=service.window.duration_s)
                return replace(service, window=Window(record.at, end))
        before = records[-1].revision
    return service


def _refuse_where_others_came_after(
    record: ChangeRecord, changes: Mapping[ServiceId, ServiceChange], store: Store, state: DesiredState
) -> None:
    """Refuse to undo a change whose intents were moved on since, or on which other services came to stand."""
    moved = {sid for sid, change in changes.items() if not _is(state, sid, change.after)}
    gone = {sid for sid, change in changes.items() if not change.before}
    leaning = set(state.protectors(gone)) - changes.keys()
    if not moved | leaning:
        return
    later = [r for r in store.applied_after(record.revision) if _touches(r, moved | leaning)]
    lines = [_line(r, moved | leaning) for r in reversed(later)]
    more = [f"  … and {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    listed = "\n".join([*lines[:MOST_LISTED], *more])
    raise PreconditionError(
        f"revision {record.revision} cannot be undone alone, later changes build on it:\n{listed}\n"
        "undo those first, in this order, or everything since: "
        f"onecity rollback --to {record.revision - 1}"
    )


def _touches(record: ChangeRecord, services: Iterable[ServiceId]) -> bool:
    wanted = set(services)
    return any(c.service in wanted and c.before != c.after for c in record.services)


def _line(record: ChangeRecord, services: set[ServiceId]) -> str:
    names = ", ".join(sorted(c.service for c in record.services if c.service in services and c.before != c.after))
    words = [f"revision {record.revision}", f"{record.at:%Y-%m-%d %H:%M:%S} UTC", record.kind, record.author, names]
    return "  " + "  ".join(word for word in [*words, record.reason] if word)


def _is(state: DesiredState, sid: ServiceId, text: str) -> bool:
    """Say whether a service stands as this document says; as a value, for defaults may be written otherwise since."""
    standing = state.services.get(sid)
    if standing is None or not text:
        return standing is None and not text
    return document_text(standing.service) == text or standing.service == from_document(json.loads(text))


def _text(state: DesiredState, sid: ServiceId) -> str:
    standing = state.services.get(sid)
    return document_text(standing.service) if standing is not None else ""
