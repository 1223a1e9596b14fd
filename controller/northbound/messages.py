"""Values of views.py as messages of onecity.v1. Mechanical: a decision here would be one that clients cannot see."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from onecity.v1 import controller_pb2, history_pb2, plan_pb2, status_pb2, topology_pb2

from controller.changes import map_views, party_views, views
from controller.telemetry.indicator import Indicator, ServiceIndicators


def enum_value(kind: Any, prefix: str, word: str) -> Any:
    """Return the member that `word` ("make-before-break", "InSync") means; UNSPECIFIED where there is none."""
    name = f"{prefix}_{word.upper().replace('-', '_')}"
    return kind.Value(name) if name in kind.keys() else 0  # noqa: SIM118 (a protobuf enum is no dict)


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Return None for None: the field stays unset."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def plan(value: views.Plan) -> plan_pb2.Plan:
    return plan_pb2.Plan(
        services=[action(s) for s in value.services],
        domains=[
            plan_pb2.DomainCount(domain=d.domain, steps=d.steps, adds=d.adds, changes=d.changes, removes=d.removes)
            for d in value.domains
        ],
        proofs=[plan_pb2.Proof(name=p.name, holds=p.holds, detail=p.detail) for p in value.proofs],
        proofs_s=value.proofs_s,
        native=[plan_pb2.NativeText(domain=n.domain, step=n.step, text=n.text) for n in value.native],
        digest=value.digest,
        notes=value.notes,
        warnings=value.warnings,
        drifted=value.drifted,
    )


def action(value: views.ServiceAction) -> plan_pb2.ServiceAction:
    return plan_pb2.ServiceAction(
        service=value.service,
        kind=value.kind,
        action=enum_value(plan_pb2.Action, "ACTION", value.action),
        impact=enum_value(plan_pb2.Impact, "IMPACT", value.impact),
        facts=value.summary.split("\t") if value.summary else [],
        changes=value.changes,
        paths=[segment(p) for p in value.paths],
        resources=[resource(r) for r in value.resources],
        promises=[promise(p) for p in value.promises],
        notes=value.notes,
        refusal=value.refusal,
        interrupts=value.interrupts,
    )


def segment(value: views.PathSegment) -> plan_pb2.PathSegment:
    return plan_pb2.PathSegment(
        layer=enum_value(plan_pb2.Layer, "LAYER", value.layer),
        domain=value.domain,
        role=enum_value(plan_pb2.PathRole, "PATH_ROLE", value.role),
        name=value.name,
        hops=value.hops,
        delay_s=value.delay_s,
        detail=value.detail,
    )


def resource(value: views.Resource) -> plan_pb2.Resource:
    return plan_pb2.Resource(kind=value.kind, where=value.where, taken=value.taken)


def promise(value: views.PromiseView) -> plan_pb2.Promise:
    return plan_pb2.Promise(
        a=value.a,
        z=value.z,
        rate_bps=value.rate_bps,
        delay_s=value.delay_s,
        budget_s=value.budget_s,
        standby_delay_s=value.standby_delay_s,
        availability=value.availability,
        via=value.via,
    )


def change_event(value: views.ChangeEvent) -> controller_pb2.WatchChangeResponse:
    message = controller_pb2.WatchChangeResponse(sequence=value.sequence, services=value.services)
    if value.progress is not None:
        p = value.progress
        message.progress.CopyFrom(
            plan_pb2.ChangeProgress(
                stage=p.stage,
                domain=p.domain,
                step=p.step,
                step_name=p.step_name,
                elapsed_s=p.elapsed_s,
                detail=p.detail,
            )
        )
    if value.result is not None:
        message.result.CopyFrom(_result(value.result))
    return message


def _result(value: views.ChangeResult) -> plan_pb2.ChangeResult:
    return plan_pb2.ChangeResult(
        outcome=enum_value(plan_pb2.ChangeOutcome, "CHANGE_OUTCOME", value.outcome),
        message=value.message,
        services=[action(s) for s in value.services],
        failures=[plan_pb2.DomainFailure(domain=f.domain, stage=f.stage, message=f.message) for f in value.failures],
        warnings=value.warnings,
        elapsed_s=value.elapsed_s,
    )


def service_status(value: views.ServiceStatus) -> status_pb2.ServiceStatus:
    return status_pb2.ServiceStatus(
        service=value.service,
        kind=value.kind,
        phase=enum_value(status_pb2.Phase, "PHASE", value.phase),
        generation=value.generation,
        observed_generation=value.observed_generation,
        revision=value.revision,
        labels=dict(value.labels),
        conditions=[
            status_pb2.Condition(
                type=c.type,
                status=enum_value(status_pb2.ConditionStatus, "CONDITION_STATUS", c.status),
                reason=c.reason,
                message=c.message,
                since=timestamp(c.since),
            )
            for c in value.conditions
        ],
        summary=value.summary,
        slo=slo(value.slo),
        measured=measured(value.measured),
        window_start=timestamp(value.window_start),
        window_end=timestamp(value.window_end),
    )


def slo(value: views.SloView) -> status_pb2.Slo:
    return status_pb2.Slo(
        delay_s=value.delay_s,
        jitter_s=value.jitter_s,
        loss_ratio=value.loss_ratio,
        availability=value.availability,
        rate_bps=value.rate_bps,
    )


def measured(value: ServiceIndicators) -> status_pb2.Measured:
    return status_pb2.Measured(
        delay=_indicator(value.delay_s),
        jitter=_indicator(value.jitter_s),
        loss=_indicator(value.loss_ratio),
        throughput=_indicator(value.throughput_bps),
        subjects=value.subjects,
        silent=value.silent,
        down=value.down,
    )


def _indicator(value: Indicator | None) -> status_pb2.Indicator | None:
    if value is None:
        return None
    return status_pb2.Indicator(
        subject=value.subject,
        value=value.value,
        p50=value.p50,
        p99=value.p99,
        samples=value.samples,
        age_s=value.age_s,
    )


_PARTY_NOW = ("name", "access", "address", "health", "delay_s", "jitter_s", "loss_ratio")
_PARTY_HAD = (
    "name", "ok_s", "violated_s", "down_s", "unknown_s", "delay_mean_s", "delay_worst_s", "jitter_mean_s",
    "jitter_worst_s", "loss_mean", "loss_worst",
)  # fmt: skip


def assurance_record(value: party_views.AssuranceRecord) -> status_pb2.AssuranceRecord:
    return status_pb2.AssuranceRecord(
        since=timestamp(value.since),
        until=timestamp(value.until),
        over=value.over,
        outages=value.outages,
        broken_s=value.broken_s,
        repairs=value.repairs,
        parties=[party_attained(p) for p in value.parties],
    )


def party_attained(value: party_views.PartyRecord) -> status_pb2.PartyAttained:
    return status_pb2.PartyAttained(**{name: getattr(value, name) for name in _PARTY_HAD})


def description(value: views.ServiceDescription) -> status_pb2.ServiceDescription:
    return status_pb2.ServiceDescription(
        status=service_status(value.status),
        intent_yaml=value.intent_yaml,
        isolation=value.isolation,
        promises=[promise(p) for p in value.promises],
        paths=[segment(p) for p in value.paths],
        resources=[resource(r) for r in value.resources],
        notes=value.notes,
        parts=[status_pb2.PartMeasured(subject=p.subject, measured=measured(p.measured)) for p in value.parts],
        parties=[status_pb2.PartyMeasured(**{name: getattr(p, name) for name in _PARTY_NOW}) for p in value.parties],
        record=None if value.record is None else assurance_record(value.record),
        last_change=value.last_change,
    )


def domain_diff(value: views.DomainDiff) -> status_pb2.DomainDiff:
    return status_pb2.DomainDiff(
        domain=value.domain,
        reachable=value.reachable,
        differences=[difference(d) for d in value.differences],
        message=value.message,
    )


def difference(value: views.Difference) -> status_pb2.Difference:
    return status_pb2.Difference(
        path=value.path,
        wanted=value.wanted,
        running=value.running,
        service=value.service,
        whose=enum_value(status_pb2.Whose, "WHOSE", value.whose) if value.whose else None,
    )


def change_record(value: views.ChangeRecord) -> controller_pb2.ChangeRecord:
    return controller_pb2.ChangeRecord(
        change_id=value.change_id,
        kind=value.kind,
        author=value.author,
        reason=value.reason,
        accepted_at=timestamp(value.accepted_at),
        ended_at=timestamp(value.ended_at),
        outcome=enum_value(plan_pb2.ChangeOutcome, "CHANGE_OUTCOME", value.outcome) if value.outcome else None,
        services=value.services,
        message=value.message,
        revision=value.revision,
    )


def change_description(value: views.ChangeDescription) -> controller_pb2.GetChangeResponse:
    return controller_pb2.GetChangeResponse(
        change=change_record(value.record),
        services=[
            history_pb2.ServiceDifference(
                service=s.service,
                kind=s.kind,
                action=enum_value(plan_pb2.Action, "ACTION", s.action),
                fields=[
                    history_pb2.FieldDifference(
                        path=f.path, old=f.old, new=f.new, impact=enum_value(plan_pb2.Impact, "IMPACT", f.impact)
                    )
                    for f in s.fields
                ],
            )
            for s in value.services
        ],
        domains=[
            history_pb2.DomainEffect(
                domain=d.domain, native=d.native, places=[difference(p) for p in d.places], left_out=d.left_out
            )
            for d in value.domains
        ],
    )


def blame(value: views.Blame) -> controller_pb2.BlameResponse:
    return controller_pb2.BlameResponse(
        places=[
            history_pb2.BlamedPlace(
                path=p.path,
                value=p.value,
                services=p.services,
                revision=p.revision,
                change_id=p.change_id,
                wanted=p.wanted,
            )
            for p in value.places
        ],
        more=value.more,
    )


def topology(value: map_views.Topology) -> topology_pb2.Topology:
    layer = plan_pb2.Layer
    return topology_pb2.Topology(
        version=value.version,
        sites=[
            topology_pb2.Site(
                id=s.id,
                title=s.title,
                region=s.region,
                latitude=s.latitude,
                longitude=s.longitude,
                access=s.access,
            )
            for s in value.sites
        ],
        domains=[
            topology_pb2.Domain(
                id=d.id,
                layer=enum_value(layer, "LAYER", d.kind),
                up=d.up,
                stale=d.stale,
                nodes=d.nodes,
                message=d.message,
            )
            for d in value.domains
        ],
        nodes=[
            topology_pb2.Node(
                id=n.id,
                domain=n.domain,
                layer=enum_value(layer, "LAYER", n.layer),
                site=n.site,
                trust=n.trust,
                up=n.up,
            )
            for n in value.nodes
        ],
        links=[
            topology_pb2.Link(
                id=k.id,
                domain=k.domain,
                layer=enum_value(layer, "LAYER", k.layer),
                a=k.a,
                z=k.z,
                capacity_bps=k.capacity_bps,
                reserved_bps=k.reserved_bps,
                delay_s=k.delay_s,
                channels=k.channels,
                channels_taken=k.channels_taken,
                lit_for=k.lit_for,
                srlgs=k.srlgs,
                up=k.up,
            )
            for k in value.links
        ],
        problems=value.problems,
    )
