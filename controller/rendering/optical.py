"""Circuits of the optical domain as trees, in the same form as configuration so that they merge and compare alike."""

from __future__ import annotations

from controller.intent.model import ServiceId
from controller.planning.placement import CircuitPlacement, Leg
from controller.rendering.tree import Tree


def circuit_fragment(circuit: CircuitPlacement, owner: ServiceId) -> Tree:
    """Return the fragment with one circuit, its routes and labels spelt out: the plan has proven exactly these."""
    content: Tree = {
        "opt:id": circuit.id,
        "opt:owner": owner,
        "opt:a-port": circuit.a.port,
        "opt:a-vlan": str(circuit.a_vlan),
        "opt:z-port": circuit.z.port,
        "opt:z-vlan": str(circuit.z_vlan),
        "opt:layer": circuit.layer,
        "opt:rate-bps": str(circuit.rate_bps),
        "opt:odu": circuit.odu,
        "opt:working": _leg(circuit.working),
    }
    if circuit.mode:
        content["opt:mode"] = circuit.mode
    if circuit.protect is not None:
        content["opt:protect"] = _leg(circuit.protect)
    if circuit.shared:
        content["opt:protect-shared"] = "true"
    return {("opt:circuit", circuit.id): content}


def _leg(leg: Leg) -> Tree:
    out: Tree = {"opt:route": leg.route}
    if leg.channel is not None:
        out["opt:channel"] = str(leg.channel)
    if leg.slots:
        out["opt:slots"] = tuple(",".join(map(str, hop)) for hop in leg.slots)
    return out
