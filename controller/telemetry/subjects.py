"""Which measured things carry a service, from its placement.

The names are those that rendering gives them on the wire; telemetry learns them from the placement and from what
the domains report, and so sees what was really configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from controller.planning.placement import Placement


def vpn_id(service: str) -> str:
    """Return the vpn-id of a service id: `tenant/name` → `tenant.name`."""
    return service.replace("/", ".", 1)


def placement_subjects(placement: Placement) -> tuple[str, ...]:
    """Return the subjects that carry the service, sorted: its tunnels, circuits and accesses.

    A VIP has no accesses of its own: its flows are found among what is reported (`flow_subjects`).
    """
    vpn = vpn_id(placement.service)
    found = {f"tunnel:{tunnel.name}" for tunnel in placement.tunnels}
    found |= {f"circuit:{circuit.id}" for circuit in placement.circuits}
    found |= {f"access:{vpn}/{vpn}.{attachment.access}" for attachment in placement.attachments}
    return tuple(sorted(found))


Flows = Mapping[tuple[str, str], Sequence[str]]  # class and vpn-id → the subjects of both


def by_class(reported: Iterable[str]) -> Flows:
    """Return flows by their class and the VPN that they are in."""
    found: dict[tuple[str, str], list[str]] = {}
    for subject in reported:
        target, mark, where = subject.removeprefix("flow:").partition("@")
        if mark:
            found.setdefault((target, where.partition("/")[0]), []).append(subject)
    return found


def flow_subjects(placement: Placement, reported: Flows) -> tuple[str, ...]:
    """Return the reported flows of a VIP's classes on the VPNs that it protects, sorted."""
    name = placement.service.partition("/")[2]  # on the wire a class bears its VIP's: two of one plane have video each
    steps = (step for step in placement.steering if step.target_class != "*")
    wanted = {(f"vip.{name}.{step.target_class}", vpn_id(step.vpn_service)) for step in steps}
    return tuple(sorted(subject for flows in wanted for subject in reported.get(flows, ())))
