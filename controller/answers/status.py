"""What a service looks like from outside: phase, conditions, measured values beside what is promised.

Computed whenever somebody asks, from what stands, what is under way and what is measured; never stored.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime

import yaml

from controller.assurance.components import Damage
from controller.changes import present
from controller.changes.state import Standing
from controller.changes.views import (
    Condition,
    EndMeasurement,
    ServiceDescription,
    ServiceReading,
    ServiceStatus,
    SloView,
)
from controller.drift.watch import Drift
from controller.intent import to_document
from controller.intent.model import ServiceId, VipAssurance
from controller.intent.quantities import duration_text
from controller.loop.health import health_word, protected, within_slo
from controller.loop.parties import Parties
from controller.loop.wellbeing import Wellbeing
from controller.network.model import CityMap
from controller.planning.emergency import is_emergency
from controller.telemetry.indicator import ServiceIndicators
from controller.telemetry.telemetry import Telemetry

LATE_S = 5.0  # so long after its window should have opened a service is not ready, whatever it has
TURNS_S = 1.0  # so long a window may take to turn, and nobody is told that it is late


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What besides the service itself decides how it looks."""

    now: datetime
    city: CityMap
    telemetry: Telemetry
    committing: Set[ServiceId]  # services of which a decided change is on its way
    in_doubt: Set[str]  # domains on which a decided transaction has not ended
    drift: Drift
    down: Set[str]  # domains out of reach
    wellbeing: Wellbeing
    parties: Parties


def phase(standing: Standing, leaving: bool, around: Circumstances) -> str:
    """Return Scheduled, Committing, Active, Deleting or Expired."""
    if leaving:
        return "Deleting"
    if standing.service.metadata.service in around.committing:
        return "Committing"
    if standing.expired:  # not before its configuration is gone, whatever the time
        return "Expired"
    return "Active" if standing.active else "Scheduled"


def status(standing: Standing, around: Circumstances, *, leaving: bool = False) -> ServiceStatus:
    """Return one line of `get`."""
    service, placement = standing.service, standing.placement
    at = phase(standing, leaving, around)
    measured = around.telemetry.service_view(placement) if at == "Active" else ServiceIndicators()
    slo = present.slo_view(service)
    waits = "waits for its repair" if around.wellbeing.witness.waits(service.metadata.service) else ""
    return ServiceStatus(
        service=service.metadata.service,
        kind=service.kind,
        phase=at,
        generation=standing.generation,
        observed_generation=standing.generation if at != "Committing" else standing.generation - 1,
        revision=standing.revision,
        labels=service.metadata.labels,
        conditions=_conditions(standing, at, slo, measured, around),
        summary=", ".join(
            part for part in (*present.summary(placement).split("\t")[:2], _turns(at, standing, around), waits) if part
        ),
        slo=slo,
        measured=measured,
        window_start=placement.start,
        window_end=placement.end,
    )


def reading(standing: Standing, around: Circumstances) -> ServiceReading:
    """Return what /metrics and reports take of a service."""
    at = phase(standing, False, around)
    slo, service = present.slo_view(standing.service), standing.service
    if not standing.active or at in ("Expired", "Scheduled"):  # a change under way does not hide how it fares
        return ServiceReading(service.metadata.service, service.kind, at, slo, ServiceIndicators())
    measured = around.telemetry.service_view(standing.placement)
    judged = _on_its_way(standing, within_slo(slo, measured), around)
    word = health_word(judged)
    bare = is_emergency(standing.placement)
    steady = around.wellbeing.judge(service.metadata.service, word, judged.message, slo, measured, unguarded=bare)
    return ServiceReading(
        service.metadata.service, service.kind, at, slo, measured, word, judged.message, steady.health.value
    )


def describe(standing: Standing, around: Circumstances, last_change: str, leaving: bool) -> ServiceDescription:
    """Return everything about one service."""
    placement = standing.placement
    parts = around.telemetry.parts(placement) if standing.active else ()
    return ServiceDescription(
        status=status(standing, around, leaving=leaving),
        intent_yaml=yaml.safe_dump(to_document(standing.service), sort_keys=False, allow_unicode=True),
        isolation=placement.isolation,
        promises=present.promises(placement),
        paths=() if standing.expired else present.paths(placement, around.city),
        resources=() if standing.expired else present.resources(placement),
        notes=placement.notes,
        parts=tuple(EndMeasurement(subject, values) for subject, values in parts),
        last_change=last_change,
        parties=around.parties.now(standing),
        record=around.parties.record(standing),
    )


def _conditions(
    standing: Standing, at: str, slo: SloView, measured: ServiceIndicators, around: Circumstances
) -> tuple[Condition, ...]:
    committed = at == "Active"
    domains = sorted(standing.fragments)
    found = [
        Condition("Placed", "False", "Expired", "its window has passed; nothing is reserved any more")
        if at == "Expired"
        else Condition("Placed", "True", "Reserved", present.reserved(standing.placement)),
        Condition("Committed", "True" if committed else "False", at, f"on {', '.join(domains)}" if committed else ""),
    ]
    if committed:
        found.append(_in_sync(standing.service.metadata.service, domains, around))
        found.append(protected(standing.service, standing.placement, around.city, around.telemetry))
        sid = standing.service.metadata.service
        judged = _on_its_way(standing, within_slo(slo, measured), around)
        bare = is_emergency(standing.placement)
        steady = around.wellbeing.judge(sid, health_word(judged), judged.message, slo, measured, unguarded=bare)
        found += [judged, around.wellbeing.probed(sid, standing.placement), around.wellbeing.condition(steady)]
        every = around.parties.condition(standing)
        found += [every] if every is not None else []
        found = list(around.wellbeing.settled(sid, found))
    if at == "Scheduled":
        down = [d for d in domains if d in around.down]
        service = standing.service
        below = service.protects if isinstance(service, VipAssurance) else None
        ready = around.wellbeing.ready(service.metadata.service, below, standing.placement, down)
        found.append(_in_time(ready, standing.placement.start, around.now))
    why = around.wellbeing.witness.waits(standing.service.metadata.service) if committed else ""
    if why:
        found.append(Condition("Whole", "False", "WaitsForRepair", why))
    stays = around.wellbeing.stays(standing.service.metadata.service) if committed else ""
    if stays:
        found.append(Condition("LedAway", "False", "Stays", stays))
    doubtful = [d for d in domains if d in around.in_doubt]
    if doubtful:
        message = f"a decided change has not ended on {', '.join(doubtful)}; it goes on by itself"
        found.append(Condition("InDoubt", "True", "Unreachable", message))
    return tuple(found)


def _turns(at: str, standing: Standing, around: Circumstances) -> str:
    """Say when the window of a service opens or closes; empty where it has none, or that is over."""
    start, end = standing.placement.start, standing.placement.end
    if at == "Scheduled" and start is not None:
        return _until(start, "opens", "should have opened", around.now)
    if at == "Active" and end is not None:
        return _until(end, "closes", "should have closed", around.now)
    return ""


def _in_time(ready: Condition, start: datetime | None, now: datetime) -> Condition:
    """Return whether a service is ready, but call nothing ready whose window should long have opened."""
    late_s = 0.0 if start is None else (now - start).total_seconds()
    if ready.status != "True" or late_s <= LATE_S:
        return ready
    return Condition("Ready", "False", "Late", f"its window should have opened {duration_text(late_s)} ago")


def _until(turn: datetime, word: str, late: str, now: datetime) -> str:
    left_s = (turn - now).total_seconds()
    if left_s > -TURNS_S:
        return f"{word} in {duration_text(max(0.0, left_s))}"
    return f"{late} {duration_text(-left_s)} ago"


def _on_its_way(standing: Standing, judged: Condition, around: Circumstances) -> Condition:
    """Return the judgement, but call nothing well because of what was measured before its way failed."""
    sid = standing.service.metadata.service
    harm = around.wellbeing.witness.harm(sid)
    if harm is Damage.DEAD:
        return Condition("WithinSlo", "False", "Down", "nothing that is up carries it")
    if harm is not Damage.NONE and judged.status == "True":
        probed = around.wellbeing.probed(sid, standing.placement)
        if probed.status != "True":
            return Condition("WithinSlo", "Unknown", "NoMeasurement", probed.message)
    return judged


def _in_sync(service: ServiceId, domains: list[str], around: Circumstances) -> Condition:
    drifted = around.drift.of(service, domains)
    if drifted:
        message = "; ".join(f"{domain} runs something else at {', '.join(paths)}" for domain, paths in drifted.items())
        return Condition("InSync", "False", "Drift", f"{message}; see `onecity drift`")
    at = around.drift.read_at(service, domains)
    lost = [d for d in domains if d in around.down]
    if lost:
        return Condition("InSync", "Unknown", "Unreachable", f"{', '.join(lost)} cannot be read", at)
    if at is None:
        return Condition("InSync", "Unknown", "NotRead", "not read since the controller was started")
    accepted = around.drift.accepted_of(service, domains)
    if accepted:
        where = ", ".join(f"{domain} in {count}" for domain, count in accepted.items())
        message = f"as desired but for places accepted as they run: {where}; see `onecity drift`"
        return Condition("InSync", "True", "Accepted", message, at)
    return Condition("InSync", "True", "ReadBack", f"read back {at:%Y-%m-%d %H:%M:%S} UTC", at)
