"""What a simulation says as messages of onecity.v1. Mechanical, like `messages`."""

from __future__ import annotations

from onecity.v1 import simulation_pb2 as pb

from controller.northbound.messages import enum_value
from controller.simulation.campaign import Progress, SimulationEvent, Summary
from controller.simulation.report import Fate, Outcome, ServiceEffect


def event(value: SimulationEvent) -> pb.SimulateResponse:
    if isinstance(value, Progress):
        return pb.SimulateResponse(progress=pb.SimulationProgress(done=value.done, total=value.total))
    if isinstance(value, Summary):
        return pb.SimulateResponse(summary=_summary(value))
    return pb.SimulateResponse(failure=_failure(value))


def _summary(value: Summary) -> pb.SimulationSummary:
    return pb.SimulationSummary(
        failures=value.failures,
        harmless=value.harmless,
        breaking=value.breaking,
        services=value.services,
        safe=value.safe,
        weakest=[pb.WeakService(service=s, breaks=b, degrades=d) for s, b, d in value.weakest],
        refused=[str(refusal) for refusal in value.refused],
        map_version=value.map_version,
        elapsed_s=value.elapsed_s,
    )


def _failure(value: Outcome) -> pb.SimulatedFailure:
    return pb.SimulatedFailure(
        failures=[f"{f.kind}:{f.title if f.kind == 'srlg' else f.name}" for f in value.failures],
        title=value.title,
        breaks=value.count(Fate.BREAKS),
        degrades=value.count(Fate.DEGRADES),
        replaced=value.count(Fate.REPLACED),
        switches=value.count(Fate.SWITCHES),
        exposed=value.count(Fate.EXPOSED),
        ends=value.count(Fate.ENDS),
        untouched=value.untouched,
        services=[_service(effect) for effect in value.effects],
        links=[
            pb.SimulatedLink(link=k.link, used_bps=k.used_bps, before_bps=k.before_bps, capacity_bps=k.capacity_bps)
            for k in value.links
        ],
    )


def _service(value: ServiceEffect) -> pb.SimulatedService:
    return pb.SimulatedService(
        service=value.service,
        kind=value.kind,
        fate=enum_value(pb.Fate, "FATE", value.fate),
        pairs=value.pairs,
        cut_at_once=value.cut_at_once,
        cut_in_the_end=value.cut_in_the_end,
        delay_before_s=value.delay_before_s,
        delay_at_once_s=value.delay_at_once_s,
        delay_in_the_end_s=value.delay_in_the_end_s,
        budget_s=value.budget_s,
        reason=value.reason,
    )
