"""What is asked of the planner for a service that nothing carries any more: a way, and not also a spare one.

An availability that the whole city could promise, a city with a hole in it cannot; a service that is down because of
that is worse off than one that runs unguarded. Bandwidth, latency, isolation and boundaries stay as they were asked.
"""

from __future__ import annotations

from dataclasses import replace

from controller.intent.model import DedicatedPlane, ExclusiveSlice, Protection, Service, VipAssurance
from controller.planning.placement import Placement

NOTE = "placed in an emergency: it runs without the standby that its availability asks for"


def relaxed(service: Service) -> Service:
    """Return the same service without the wish for a standby."""
    slo = replace(service.slo, availability=0.0)
    if isinstance(service, ExclusiveSlice):
        return replace(service, slo=slo, protection=Protection.NONE)
    if isinstance(service, VipAssurance | DedicatedPlane):
        return replace(service, slo=slo)
    return service


def marked(placement: Placement) -> Placement:
    """Return the placement with a note that it is no more than that."""
    return replace(placement, notes=(*placement.notes, NOTE))


def is_emergency(placement: Placement) -> bool:
    return NOTE in placement.notes
