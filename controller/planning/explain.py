"""A placement in lines that a person reads: per promise the way over both layers, and what was asked of it."""

from __future__ import annotations

from controller.network.model import CityMap
from controller.planning.draft import rate_text, ratio_text, time_text
from controller.planning.placement import CircuitPlacement, Placement, Promise


def describe(placement: Placement, city: CityMap) -> tuple[str, ...]:
    """Return one line per promise, then circuits, borders and notes."""
    return (
        *(_promise(p) for p in placement.promises),
        *(_circuit(c, city) for c in placement.circuits),
        *(
            f"border {s.name}: {_node(s.a.node)}–{_node(s.z.node)} VLAN {s.vlan}, rank {s.rank}"
            for s in placement.stitches
            if s.link is not None
        ),
        *(f"note: {n}" for n in placement.notes),
    )


def _promise(promise: Promise) -> str:
    asked = f" of {time_text(promise.budget_s)}" if promise.budget_s is not None else ""
    standby = f", standby {time_text(promise.standby_delay_s)}" if promise.standby_delay_s is not None else ""
    way = " → ".join(_node(v) for v in promise.via)
    return (
        f"{promise.a}–{promise.z}: {rate_text(promise.rate_bps)}, {time_text(promise.delay_s)}{asked}{standby}, "
        f"availability {ratio_text(promise.availability)}: {way}"
    )


def _circuit(circuit: CircuitPlacement, city: CityMap) -> str:
    labels = f"channel {circuit.working.channel}" if circuit.layer == "wavelength" else circuit.odu
    length_m = sum(city.fibres[f].length_m for f in circuit.working.route if f in city.fibres)
    way = ", ".join(circuit.working.route) + (f" ({length_m / 1000:g} km)" if length_m else "")
    role = "restoration" if circuit.shared else "protect"
    protect = f"; {role} {', '.join(circuit.protect.route)}" if circuit.protect is not None else ""
    return f"circuit {circuit.id}: {circuit.a.port}–{circuit.z.port} {labels} over {way}{protect}"


def _node(name: str) -> str:
    return name.removeprefix("node:").removeprefix("link:")
