"""Placements as people read them: the way of a service over both layers, what it takes, one line that sums it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from controller.changes.domains import DomainState
from controller.changes.impact import stops_everywhere
from controller.changes.pipeline import Planned, ServicePlan
from controller.changes.views import (
    Action,
    DomainCount,
    Impact,
    PathSegment,
    PromiseView,
    Proof,
    Resource,
    ServiceAction,
    SloView,
)
from controller.intent import Impact as FieldImpact
from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, VipAssurance
from controller.network.model import CityMap
from controller.planning.placement import CircuitPlacement, Leg, Placement, Route, TunnelPlacement
from controller.planning.timed import interval_text
from controller.rendering.tree import Edit, OperationKind
from controller.verification.proof import Property

ANCHOR_THZ = 191.35  # centre of channel 1 on the fixed 50 GHz grid of the C band (ITU-T G.694.1)
GRID_THZ = 0.05
MOST_NAMED = 5  # parties of a conference named beside their count
_KINDS = {"vlan": "vlan", "channel": "channel", "slot": "slot", "port": "port", "number": "number"}


def rate_text(bps: float) -> str:
    """Return a rate in the largest unit that keeps it readable: `8.5 Gbit/s`."""
    for scale, unit in ((1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if bps >= scale:
            return f"{bps / scale:.4g} {unit}"
    return f"{bps:.4g} bit/s"


def delay_text(seconds: float) -> str:
    """Return a delay in milliseconds, two significant decimals below ten."""
    ms = seconds * 1e3
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:.1f} ms"


def channel_text(channel: int) -> str:
    """Return the centre frequency of a channel of the fixed grid."""
    return f"{ANCHOR_THZ + (channel - 1) * GRID_THZ:.2f} THz"


def service_action(plan: ServicePlan, city: CityMap, refusal: str = "") -> ServiceAction:
    """Return one service's part of a plan."""
    placement = plan.placement
    action = _ACTIONS[plan.action]
    changes = tuple(
        f"{f.path}: {f.old} → {f.new}"
        if f.old and f.new
        else f"{f.path}: {f.new or f.old} {'added' if f.new else 'removed'}"
        for f in plan.fields
    )
    stops = interrupted(plan)
    held = (reserved(placement),) if placement is not None and placement.start is not None else ()
    if placement is None or action is Action.UNCHANGED:
        return ServiceAction(
            plan.service,
            plan.kind,
            action,
            Impact(plan.impact),
            "",
            changes,
            notes=over(plan),
            refusal=refusal,
            interrupts=stops,
        )
    return ServiceAction(
        plan.service,
        plan.kind,
        action,
        Impact(plan.impact),
        summary(placement),
        changes,
        paths(placement, city),
        resources(placement),
        promises(placement),
        (*held, *placement.notes),
        refusal,
        stops,
    )


def reserved(placement: Placement) -> str:
    """Say that a service's resources are reserved, and for when."""
    if placement.start is None or placement.end is None:
        return "resources are reserved"
    return f"reserved for {interval_text(placement.start, placement.end)}"


def repaired_action(plan: ServicePlan, refusal: str = "") -> ServiceAction:
    """Return one service's part of a repair: nobody reads the details of hundreds while they wait for it."""
    said = summary(plan.placement) if plan.placement is not None else ""
    return ServiceAction(plan.service, plan.kind, _ACTIONS[plan.action], Impact(plan.impact), said, (), refusal=refusal)


def over(plan: ServicePlan) -> tuple[str, ...]:
    """Return what is to be said of a service that is asked for and does nothing, as its window has passed."""
    if plan.action != "expired" or plan.placement is None or plan.placement.end is None:
        return ()
    return (f"its window is over since {plan.placement.end:%d %b %H:%M} UTC; write a later one, or start: now",)


def interrupted(plan: ServicePlan) -> tuple[str, ...]:
    """Return the entries (sites, endpoints, demands) whose traffic a change stops; none where it is all of it."""
    entries: list[str] = []
    for change in () if stops_everywhere(plan.previous, plan.placement) else plan.fields:
        if change.impact is FieldImpact.INTERRUPTING:
            _, bracket, rest = change.path.partition("[")
            if not bracket:
                return ()
            entries.append(rest.partition("]")[0])
    return tuple(dict.fromkeys(entries))


_ACTIONS = {
    "create": Action.CREATE,
    "change": Action.CHANGE,
    "remove": Action.REMOVE,
    "unchanged": Action.UNCHANGED,
    "expired": Action.UNCHANGED,
    "refused": Action.REFUSED,
    "open": Action.CHANGE,
    "close": Action.CHANGE,
}


def summary(placement: Placement) -> str:
    """Return the columns of the plan line: what it takes, how it is isolated, what it gives, what stands by."""
    worst = max(placement.promises, key=lambda p: p.delay_s, default=None)
    given = (
        ""
        if worst is None
        else delay_text(worst.delay_s) + (f" of {delay_text(worst.budget_s)}" if worst.budget_s else "")
    )
    standby = max((p.standby_delay_s for p in placement.promises if p.standby_delay_s is not None), default=None)
    behind = "" if standby is None else f"standby {delay_text(standby)}"
    if placement.kind == "ExclusiveSlice":
        rate = rate_text(max((p.rate_bps for p in placement.promises), default=0))
        return "\t".join((rate, _isolation_text(placement), given, behind))
    if placement.kind == "DedicatedPlane":
        count = len(placement.attachments)
        hubs = sum(a.hub for a in placement.attachments)
        shape = "hub-and-spoke" if hubs else "any-to-any"
        return "\t".join((f"{count} site{'s' * (count != 1)}", shape, given, behind))
    window = (
        f"window {placement.start:%d %b %H:%M}–{placement.end:%d %b %H:%M} UTC"
        if placement.start and placement.end
        else ""
    )
    return "\t".join((_parties(len(placement.promises)), window, given, behind))


def _parties(count: int) -> str:
    return "1 party" if count == 1 else f"{count} parties"


def _isolation_text(placement: Placement) -> str:
    for circuit in placement.circuits:
        if circuit.layer == "wavelength":
            return f"own wavelength {channel_text(circuit.working.channel or 0)}"
        return f"{len(circuit.working.slots[0])} timeslot{'s' * (len(circuit.working.slots[0]) != 1)} ({circuit.odu})"
    return f"partition {placement.number}" if placement.partitions else placement.isolation


def promises(placement: Placement) -> tuple[PromiseView, ...]:
    return tuple(
        PromiseView(p.a, p.z, p.rate_bps, p.delay_s, p.budget_s, p.standby_delay_s, p.availability, p.via)
        for p in placement.promises
    )


def paths(placement: Placement, city: CityMap) -> tuple[PathSegment, ...]:
    """Return the way of a service, layer by layer: optical first, as it comes up first."""
    segments: list[PathSegment] = []
    for circuit in placement.circuits:
        segments.append(_leg(circuit, circuit.working, "working", city))
        if circuit.protect is not None:
            role = "restoration" if circuit.shared else "standby"
            segments.append(_leg(circuit, circuit.protect, role, city))
    segments += [_leg(one.circuit, one.circuit.working, "working", city) for one in placement.lit_links]
    for tunnel in placement.tunnels:
        segments.append(_route(tunnel, tunnel.working, "working", city))
        if tunnel.standby is not None:
            segments.append(_route(tunnel, tunnel.standby, "standby", city))
    for stitch in placement.stitches:
        if stitch.circuit is None:
            hops, name = (stitch.a.node, stitch.z.node), stitch.name
            link = city.link_by_id.get(stitch.link or "")
            delay = link.delay_s if link else None
            segments.append(
                PathSegment("ip", "", "border", name, hops, delay, f"VLAN {stitch.vlan}, pair {stitch.rank}")
            )
    for number, tree in enumerate(placement.trees):
        segments.append(PathSegment("ip", "", "tree", f"hose tree {number + 1}", tree, None, f"{len(tree)} links"))
    return tuple(segments)


def _leg(circuit: CircuitPlacement, leg: Leg, role: str, city: CityMap) -> PathSegment:
    if circuit.layer == "wavelength":
        detail = f"{channel_text(leg.channel or 0)}, {circuit.mode or circuit.odu}"
    else:
        detail = f"{circuit.odu}, slots " + " | ".join(_runs(hop) for hop in leg.slots)
    return PathSegment(
        "optical", circuit.domain, role, circuit.id, _walk(circuit.a.node, leg.route, city), leg.delay_s, detail
    )


def _walk(start: str, route: Iterable[str], city: CityMap) -> tuple[str, ...]:
    """Interleave node and link ids along a route, whichever way each link was named."""
    hops, at = [start], start
    for link_id in route:
        link = city.fibres.get(link_id) or city.odu_links.get(link_id)
        at = "?" if link is None else link.z if link.a == at else link.a
        hops += [link_id, at]
    return tuple(hops)


def _runs(slots: tuple[int, ...]) -> str:
    """Write 1,2,3,7 as 1–3,7."""
    runs: list[list[int]] = []
    for slot in sorted(slots):
        if runs and runs[-1][1] == slot - 1:
            runs[-1][1] = slot
        else:
            runs.append([slot, slot])
    return ",".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)


def _route(tunnel: TunnelPlacement, route: Route, role: str, city: CityMap) -> PathSegment:
    nodes = [tunnel.src] + [city.link_by_id[link].dst.node for link in route.links if link in city.link_by_id]
    return PathSegment("ip", tunnel.domain, role, tunnel.name, tuple(nodes), route.delay_s, rate_text(tunnel.rate_bps))


def resources(placement: Placement) -> tuple[Resource, ...]:
    """Return what is held, labels of one resource gathered in one line."""
    held = sites(placement)
    held += [Resource("rate", r.link, rate_text(r.rate_bps)) for r in placement.rates]
    gathered: dict[tuple[str, bool], list[int]] = {}
    for label in placement.labels:
        gathered.setdefault((label.resource, bool(label.stands_by_for)), []).append(label.label)
    for (resource, kept), labels in gathered.items():
        kind, _, where = resource.partition(":")
        taken = "whole port" if kind == "port" else _runs(tuple(labels)) + " kept" * kept
        held.append(Resource(_KINDS.get(kind, "address"), where or kind, taken))
    return tuple(held)


def sites(placement: Placement) -> list[Resource]:
    """Return where each access meets the network and which prefixes it has; of a VIP, what it protects and for whom."""
    held = []
    for a in placement.attachments:
        lans = f", LAN {', '.join(a.lans)}" if a.lans else ""
        met = f"{a.node}/{a.port} VLAN {a.vlan}, {a.pe_address}/{a.prefix_len}{lans}"
        held.append(Resource("site", a.access, met))
    names = tuple(dict.fromkeys(p.z for p in placement.promises))
    if placement.kind == "VipAssurance" and placement.steering:
        first = ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
        count = f"{len(names):,} far end{'s' * (len(names) != 1)}"
        held.append(Resource("protected", placement.steering[0].vpn_service, f"{count}: {first}"))
    return held


def slo_view(service: Service) -> SloView:
    """Return what is promised to the tenant, as status and metrics show it beside what is measured."""
    rate: int | None = None
    if isinstance(service, DedicatedPlane):
        rate = min((a.rate_bps for a in service.accesses), default=None)
    elif isinstance(service, ExclusiveSlice):
        rate = max((d.rate_bps for d in service.demands), default=None)
    elif isinstance(service, VipAssurance) and service.conference is not None:
        rate = sum(f.rate_bps for f in service.conference.flows)
    slo = service.slo
    return SloView(slo.latency_s, slo.jitter_s, slo.loss_ratio, slo.availability, rate)


def domain_counts(edits: Iterable[Edit], steps: Counter[str]) -> tuple[DomainCount, ...]:
    """Return how many places of each domain are added, changed and removed."""
    counts = []
    for edit in sorted(edits, key=lambda e: e.domain):
        kinds = Counter(op.kind for op in edit.operations)
        adds = kinds[OperationKind.CREATE] + kinds[OperationKind.MERGE]
        counts.append(
            DomainCount(
                edit.domain, steps[edit.domain], adds, kinds[OperationKind.REPLACE], kinds[OperationKind.DELETE]
            )
        )
    return tuple(counts)


def obstacles(planned: Planned, states: Mapping[str, DomainState]) -> tuple[str, ...]:
    """Return what would make applying this fail now, though the plan is good: domains that do not answer."""
    down = [(e.domain, states[e.domain]) for e in planned.edits if e.domain in states and not states[e.domain].up]
    return tuple(
        f"{name} is down{f' ({state.message})' if state.message else ''}; apply will fail until it is back"
        for name, state in sorted(down, key=lambda pair: pair[0])
    )


def proofs(planned: Planned) -> tuple[Proof, ...]:
    """Return each property with its first counter-example, in the order in which they are declared."""
    broken = {b.broken: b for b in reversed(planned.proofs.broken)}
    shown = [p for p in Property if p in planned.proofs.held or p in broken]
    return tuple(Proof(p.value, p not in broken, str(broken[p]) if p in broken else "") for p in shown)
