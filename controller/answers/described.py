"""A change of the past, as a person asks about it: what it did to intents, and what it did to domains."""

from __future__ import annotations

import json
from collections.abc import Iterable

from controller.changes.views import (
    Action,
    ChangeDescription,
    ChangeRecord,
    ChangeResult,
    Difference,
    DomainDiff,
    DomainEffect,
    FieldView,
    Impact,
    Outcome,
    ServiceAction,
    ServiceDifference,
)
from controller.intent import changed_fields, from_document
from controller.store import records


def record_view(record: records.ChangeRecord) -> ChangeRecord:
    """Return the history's entry of a change."""
    return ChangeRecord(
        record.id,
        record.kind,
        record.author,
        record.reason,
        record.at,
        record.ended,
        Outcome(record.outcome) if record.outcome in set(Outcome) else None,
        tuple(s.service for s in record.services),
        record.detail or record.summary,
        record.revision,
    )


def past_result(record: records.ChangeRecord) -> ChangeResult:
    """Return the end of a change as the history has it, for those who watch it after a restart."""
    outcome = Outcome(record.outcome) if record.outcome in set(Outcome) else Outcome.IN_DOUBT
    actions = tuple(ServiceAction(s.service, "", _done(s)) for s in record.services)
    elapsed_s = max((record.ended - record.at).total_seconds(), 0.0) if record.ended else 0.0
    return ChangeResult(outcome, record.detail, actions, elapsed_s=elapsed_s)


def _done(change: records.ServiceChange) -> Action:
    if change.before == change.after:
        return Action.UNCHANGED
    return Action.CREATE if not change.before else Action.REMOVE if not change.after else Action.CHANGE


def description(record: records.ChangeRecord, effects: Iterable[records.DomainChange]) -> ChangeDescription:
    """Return all that is known of a change."""
    domains = tuple(DomainEffect(e.domain, e.native, _differences(e), e.left_out) for e in effects)
    return ChangeDescription(record_view(record), tuple(service_difference(s) for s in record.services), domains)


def domain_diffs(effects: Iterable[records.DomainChange]) -> tuple[DomainDiff, ...]:
    """Return what a change did as differences of the domains: after it against before it."""
    cut = "the change was larger than what is kept of it: {:,} more places"
    return tuple(
        DomainDiff(e.domain, True, _differences(e), cut.format(e.left_out) if e.left_out else "") for e in effects
    )


def service_difference(change: records.ServiceChange) -> ServiceDifference:
    """Return what a change did to one service's intent, field by field."""
    old = from_document(json.loads(change.before)) if change.before else None
    new = from_document(json.loads(change.after)) if change.after else None
    shown = new or old
    kind = shown.kind if shown is not None else ""
    if old is None or new is None:
        return ServiceDifference(change.service, kind, Action.CREATE if old is None else Action.REMOVE)
    fields = tuple(FieldView(f.path, f.old, f.new, Impact(f.impact)) for f in changed_fields(old, new))
    return ServiceDifference(change.service, kind, Action.CHANGE if fields else Action.UNCHANGED, fields)


def _differences(effect: records.DomainChange) -> tuple[Difference, ...]:
    return tuple(Difference(p.path, p.after, p.before, p.service) for p in effect.places)
