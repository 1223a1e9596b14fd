"""What a service looks like from outside: phase, conditions, measured values beside what is promised.

Computed whenever somebody asks, from what stands, what is under way and what is measured; never stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime

import yaml

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
from controller.intent import to_document
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from controller.planning.placement import Placement
from controller.telemetry.indicator import Indicator, ServiceIndicators
from controller.telemetry.telemetry import Telemetry

PROTECT_LEG = 2.0  # value of the metric `active_leg`


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What besides the service itself decides how it looks."""

    now: datetime
    city: CityMap
    telemetry: Telemetry
    under_way: Set[ServiceId]  # services that a change holds
    in_doubt: Set[str]  # domains on which a decided transaction has not ended
    drifted: Mapping[str, bool]  # domain → whether the last comparison found a difference; absent: never compared


def phase(standing: Standing, leaving: bool, around: Circumstances) -> str:
    """Return Scheduled, Committing, Active, Deleting or Expired."""
    if leaving:
        return "Deleting"
    if standing.expired:  # not before its configuration is gone, whatever the time
        return "Expired"
    if standing.service.metadata.service in around.under_way:
        return "Committing"
    return "Active" if standing.active else "Scheduled"


def status(standing: Standing, around: Circumstances, *, leaving: bool = False) -> ServiceStatus:
    """Return one line of `get`."""
    service, placement = standing.service, standing.placement
    at = phase(standing, leaving, around)
    measured = around.telemetry.service_view(placement) if at == "Active" else ServiceIndicators()
    slo = present.slo_view(service)
    return ServiceStatus(
        service=service.metadata.service,
        kind=service.kind,
        phase=at,
        generation=standing.generation,
        observed_generation=standing.generation if at != "Committing" else standing.generation - 1,
        revision=standing.revision,
        labels=service.metadata.labels,
        conditions=_conditions(standing, at, slo, measured, around),
        summary=", ".join(part for part in present.summary(placement).split("\t")[:2] if part),
        slo=slo,
        measured=measured,
        window_start=placement.start,
        window_end=placement.end,
    )


def reading(standing: Standing, around: Circumstances) -> ServiceReading:
    """Return what /metrics shows of a service."""
    at = phase(standing, False, around)
    measured = around.telemetry.service_view(standing.placement) if at == "Active" else ServiceIndicators()
    return ServiceReading(
        standing.service.metadata.service, standing.service.kind, at, present.slo_view(standing.service), measured
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
        paths=present.paths(placement, around.city),
        resources=present.resources(placement),
        notes=placement.notes,
        parts=tuple(EndMeasurement(subject, values) for subject, values in parts),
        last_change=last_change,
    )


def _conditions(
    standing: Standing, at: str, slo: SloView, measured: ServiceIndicators, around: Circumstances
) -> tuple[Condition, ...]:
    committed = at == "Active"
    domains = sorted(standing.fragments)
    found = [
        Condition("Placed", "True", "Reserved", "resources are reserved"),
        Condition("Committed", "True" if committed else "False", at, f"on {', '.join(domains)}" if committed else ""),
    ]
    if committed:
        found += [_in_sync(domains, around), _protected(standing.placement, around.telemetry)]
        if slo.delay_s is not None or slo.loss_ratio is not None:
            found.append(_within_slo(slo, measured))
    doubtful = [d for d in domains if d in around.in_doubt]
    if doubtful:
        message = f"a decided change has not ended on {', '.join(doubtful)}; it goes on by itself"
        found.append(Condition("InDoubt", "True", "Unreachable", message))
    return tuple(found)


def _in_sync(domains: list[str], around: Circumstances) -> Condition:
    drifted = [d for d in domains if around.drifted.get(d)]
    if drifted:
        return Condition("InSync", "False", "Drift", f"{', '.join(drifted)} runs something else; see `onecity diff`")
    return Condition("InSync", "True", "ReadBack", "read back after the commit")


def _protected(placement: Placement, telemetry: Telemetry) -> Condition:
    """Say whether something stands by; a service that rides its standby already has nothing left."""
    moved = [c.id for c in placement.circuits if _rides_standby(c.id, telemetry)]
    if moved:
        return Condition("Protected", "False", "OnStandby", f"{', '.join(moved)} rides its standby leg")
    if not placement.circuits and not placement.tunnels:
        ranks = {s.rank for s in placement.stitches}
        if len(ranks) == 1:
            return Condition("Protected", "False", "OneBorder", "only one border pair")
        return Condition("Protected", "True", "Rerouted", "both border pairs" if ranks else "inside one domain")
    without = [c.id for c in placement.circuits if c.protect is None]
    without += [t.name for t in placement.tunnels if t.standby is None]
    if without:
        return Condition("Protected", "False", "NoStandby", f"nothing stands by for {', '.join(without[:3])}")
    return Condition("Protected", "True", "Standby")


def _rides_standby(circuit: str, telemetry: Telemetry) -> bool:
    leg = telemetry.indicator(f"circuit:{circuit}", "active_leg")
    return leg is not None and leg.value == PROTECT_LEG


def _within_slo(slo: SloView, measured: ServiceIndicators) -> Condition:
    checks = [("delay", slo.delay_s, measured.delay_s), ("loss", slo.loss_ratio, measured.loss_ratio)]
    if measured.down:
        return Condition("WithinSlo", "False", "Down", f"down: {', '.join(measured.down[:3])}")
    broken = [n for n, limit, value in checks if limit is not None and value is not None and value.value > limit]
    if broken:
        return Condition("WithinSlo", "False", "Violated", ", ".join(broken))
    if any(limit is not None and not _known(value) for _, limit, value in checks):
        return Condition("WithinSlo", "Unknown", "NoSamples", "nothing fresh was measured yet")
    return Condition("WithinSlo", "True", "Measured", "")


def _known(value: Indicator | None) -> bool:
    return value is not None
