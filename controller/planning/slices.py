"""Exclusive slices: a dedicated circuit for every demand, or a partition of the IP networks.

Sensitive classes of traffic ride a wavelength, the rest tributary slots; the IP networks serve only where optics
cannot, and the placement says so. Availability is that of the ways between the access nodes: the devices at the
two ends are left out, no choice of way changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from controller.intent.model import AccessSite, AttachLayer, Demand, ExclusiveSlice, Isolation, Protection, ServiceId
from controller.network.model import CityMap, Port
from controller.planning.attach import access_port, attach_all, port_rates
from controller.planning.circuits import Company, Ends, Lit, Wish
from controller.planning.containers import LINE_RATES
from controller.planning.draft import FIRST_ACCESS_VLAN, CannotPlaceError, Draft, TooRareError, rate_text, ratio_text
from controller.planning.layers import Layers
from controller.planning.lighting import light
from controller.planning.limits import Limits
from controller.planning.partition import place_partition
from controller.planning.placement import (
    CircuitPlacement,
    LabelReservation,
    Placement,
    Promise,
    RateReservation,
    Stitch,
    StitchEnd,
)
from controller.planning.reasons import node_down
from controller.planning.worked import risks_of, worked_over

SENSITIVE = frozenset({"video", "compute", "natural-resources", "education", "health"})
OPTICAL_ONLY = frozenset({"video", "iot"})  # video backhaul and IoT ride the optical base, not the IP networks
LARGE_BPS = 50 * 10**9  # fills more than half of a wavelength: what is left would serve few others


@dataclass(frozen=True, slots=True)
class Others:
    """What other services mean for this one: the risks that it keeps away from, and the company it keeps."""

    avoid: frozenset[int] = frozenset()
    together: Company | None = None


def place_slice(
    city: CityMap,
    net: Layers,
    draft: Callable[[], Draft],
    wanted: ExclusiveSlice,
    others: Mapping[ServiceId, Placement],
) -> Placement:
    """Place one slice; `draft` starts afresh for every way that is tried. Raises CannotPlaceError.

    others: the placements of the services that it is to be diverse from or together with, where they have one.
    """
    beside = _beside(net, wanted, others)
    if wanted.isolation is not Isolation.AUTO:
        return _place_as(city, net, draft(), wanted, wanted.isolation, beside)
    order = isolation_order(wanted)
    errors: list[CannotPlaceError] = []
    for kind in order:
        try:
            placement = _place_as(city, net, draft(), wanted, kind, beside)
        except CannotPlaceError as error:
            errors.append(error)
            continue
        if not errors:
            return placement
        return replace(placement, notes=(*placement.notes, f"isolation is {kind}, not {order[0]}: {errors[0]}"))
    if str(errors[0]).partition(":")[0] not in _DIFFERS_BY_KIND:
        raise errors[0]
    raise CannotPlaceError(f"{errors[0]} (as {order[0]})", errors[0].full)


_DIFFERS_BY_KIND = ("latency", "jitter", "loss", "hops", "availability")  # what another kind may do better in


def isolation_order(wanted: ExclusiveSlice) -> tuple[Isolation, ...]:
    """Return what AUTO tries, first choice first: sensitive or large services ride their own wavelength, the rest
    timeslots; the IP networks serve where optics cannot, but never those that must ride the optical base.
    """
    large = any(d.rate_bps >= LARGE_BPS for d in wanted.demands)
    whole = wanted.traffic_class in SENSITIVE or large
    order = (Isolation.WAVELENGTH, Isolation.TIMESLOT) if whole else (Isolation.TIMESLOT, Isolation.WAVELENGTH)
    optical = wanted.traffic_class in OPTICAL_ONLY or wanted.protection is Protection.RESTORATION
    return order if optical else (*order, Isolation.NRP)


def _beside(net: Layers, wanted: ExclusiveSlice, others: Mapping[ServiceId, Placement]) -> Others:
    for named, what in ((wanted.diverse_from, "diverse from"), (wanted.together_with, "together with")):
        missing = [s for s in named if s not in others]
        if missing:
            raise CannotPlaceError(f"the service {missing[0]} to be {what} is not placed")
    avoid = frozenset(r for s in wanted.diverse_from for r in risks_of(net, others[s]))
    if not wanted.together_with:
        return Others(avoid)
    company = [others[s] for s in wanted.together_with]
    return Others(avoid, Company(
        wanted.together_with,
        frozenset(r for p in company for r in risks_of(net, p)),
        frozenset(k for p in company for k in worked_over(p)),
    ))  # fmt: skip


def _place_as(
    city: CityMap, net: Layers, draft: Draft, wanted: ExclusiveSlice, kind: Isolation, beside: Others
) -> Placement:
    protected = wanted.protection in (Protection.STANDBY, Protection.RESTORATION)
    if wanted.protection is not Protection.AUTO:
        return _build(city, net, draft, wanted, kind, beside, protected)
    scratch = replace(draft, ledger=draft.ledger.copy(), taken=[], port_load={})
    try:
        return _build(city, net, scratch, wanted, kind, beside, False)
    except TooRareError:
        try:
            return _build(city, net, draft, wanted, kind, beside, True)
        except CannotPlaceError as error:
            alone = _alone(city, net, draft, wanted, kind, beside)
            if alone is not None:
                return alone
            if str(error).startswith("availability"):
                raise
            why = f"{error}, and one way alone misses the availability"
            raise CannotPlaceError(why, error.full) from None


def _alone(
    city: CityMap, net: Layers, draft: Draft, wanted: ExclusiveSlice, kind: Isolation, beside: Others
) -> Placement | None:
    """Where there is no standby, a slower way may still be available enough by itself."""
    fresh = replace(draft, ledger=draft.ledger.copy(), taken=[], port_load={})
    try:
        return _build(city, net, fresh, replace(wanted, protection=Protection.NONE), kind, beside, False)
    except CannotPlaceError:
        return None


def _build(
    city: CityMap,
    net: Layers,
    draft: Draft,
    wanted: ExclusiveSlice,
    kind: Isolation,
    beside: Others,
    protected: bool,
) -> Placement:
    if kind is Isolation.NRP:
        if wanted.protection is Protection.RESTORATION:
            raise CannotPlaceError("restoration lights circuits anew; a partition of the IP networks has a standby")
        return place_partition(city, net, draft, wanted, beside.avoid, beside.together, protected)
    return _circuits(city, net, draft, wanted, kind, beside, protected)


def _circuits(
    city: CityMap,
    net: Layers,
    draft: Draft,
    wanted: ExclusiveSlice,
    kind: Isolation,
    beside: Others,
    protected: bool,
) -> Placement:
    accesses = {a.name: a for a in wanted.endpoints}
    number = draft.number()
    standing = {c.id for c in draft.old.circuits} if draft.old is not None else set()
    _keep_for_a_while(draft, {_circuit_id(draft, wanted, d) for d in wanted.demands})
    done: dict[str, tuple[Lit, Stitch | None, list[RateReservation]]] = {}
    # What stands first: a demand that was added must not take its port or VLAN.
    for demand in sorted(wanted.demands, key=lambda d: _circuit_id(draft, wanted, d) not in standing):
        a, z = accesses[demand.a], accesses[demand.z]
        if a.attach is not z.attach:
            raise CannotPlaceError(f"{a.name} is attached at {a.attach} and {z.name} at {z.attach}; both must be alike")
        found = _one(city, net, draft, wanted, kind, demand, (a, z), beside, protected)
        _check_availability(found[0].availability, wanted, demand, protected)
        done[_circuit_id(draft, wanted, demand)] = found
    results = [(d, *done[_circuit_id(draft, wanted, d)]) for d in wanted.demands]
    budget = wanted.slo.latency_s
    promises = [
        Promise(d.a, d.z, d.rate_bps, lit.delay_s, budget, lit.standby_s, lit.availability, lit.via)
        for d, lit, _, _ in results
    ]
    attached = [a for a in wanted.endpoints if a.attach is AttachLayer.IP]
    attachments = attach_all(city, net, draft, attached, {}, wanted.boundaries)
    return Placement(
        service=wanted.metadata.service, kind=wanted.kind, number=number, attachments=attachments,
        stitches=tuple(s for _, _, s, _ in results if s is not None),
        circuits=tuple(lit.circuit for _, lit, _, _ in results), promises=tuple(promises),
        rates=(*(r for _, _, _, held in results for r in held), *port_rates(attachments)),
        labels=draft.labels(), isolation=str(kind),
    )  # fmt: skip


def _keep_for_a_while(draft: Draft, staying: set[str]) -> None:
    """Leave to circuits that go what they hold in the optical domain: they are taken down after the new are up."""
    for circuit in draft.old.circuits if draft.old is not None else ():
        if circuit.id in staying:
            continue
        for resource, label in _held_in_optics(circuit):
            if draft.free(resource, label):
                draft.ledger.take(ServiceId(f"{draft.service}#before"), LabelReservation(resource, label))
        for port in (circuit.a, circuit.z):
            draft.port_load[str(port)] = draft.port_load.get(str(port), 0) + circuit.rate_bps


def _held_in_optics(circuit: CircuitPlacement) -> Iterator[tuple[str, int]]:
    for port, vlan in ((circuit.a, circuit.a_vlan), (circuit.z, circuit.z_vlan)):
        yield (f"vlan:{port}", vlan) if vlan else (f"port:{port}", 0)
    for leg in (circuit.working, circuit.protect):
        for position, hop in enumerate(leg.route if leg is not None else ()):
            assert leg is not None
            if leg.channel is not None:
                yield f"channel:{hop}", leg.channel
            else:
                yield from ((f"slot:{hop}", slot) for slot in leg.slots[position])


def _circuit_id(draft: Draft, wanted: ExclusiveSlice, demand: Demand) -> str:
    """Return the name of a demand's circuit: the one it has, or the other of its two to stand beside that."""
    first = f"{wanted.metadata.service.replace('/', '.')}/{demand.a}-{demand.z}"
    second = f"{first}.2"
    has = {c.id for c in draft.old.circuits} if draft.old is not None else set()
    present = second if second in has else first
    if draft.moving and present in has:
        return first if present == second else second
    return present


def _check_availability(given: float, wanted: ExclusiveSlice, demand: Demand, protected: bool) -> None:
    if given < wanted.slo.availability:
        kind = CannotPlaceError if protected else TooRareError
        raise kind(f"availability: the way {demand.a}–{demand.z} gives {ratio_text(given)}")


def _one(
    city: CityMap, net: Layers, draft: Draft, wanted: ExclusiveSlice, kind: Isolation, demand: Demand,
    ends: tuple[AccessSite, AccessSite], beside: Others, protected: bool,
) -> tuple[Lit, Stitch | None, list[RateReservation]]:  # fmt: skip
    circuit_id = _circuit_id(draft, wanted, demand)
    old = next((c for c in draft.old.circuits if c.id == circuit_id), None) if draft.old is not None else None
    whole = kind is Isolation.WAVELENGTH
    options = [_options(city, net, access) for access in ends]
    for dark in filter(None, (node_down(net, found) for found in options)):
        raise CannotPlaceError(dark)
    rate = _line_rate(options, demand) if whole else demand.rate_bps
    before = (old.a.port, old.z.port) if old is not None else ("", "")
    chosen = [
        _choose(draft, access, found, rate, keep, whole=whole or _takes_whole_port(access), line=whole)
        for access, found, keep in zip(ends, options, before, strict=True)
    ]
    vlan, a_vlan, z_vlan = _vlans(draft, ends, chosen, whole, old)
    wish = Wish(
        circuit_id, "wavelength" if whole else "odu", Limits.of(wanted.slo), protected, wanted.boundaries, beside.avoid,
        beside.together, wanted.disjoint, wanted.plane, protected and wanted.protection is Protection.RESTORATION,
        wanted.slo.availability if wanted.protection is Protection.NONE else None,
    )  # fmt: skip
    a, z = chosen[0][1], chosen[1][1]
    result = light(net, draft, Ends(a.ref, z.ref, a_vlan, z_vlan, rate), wish, old)
    held = [RateReservation(f"port:{p.ref}", rate) for p in (a, z)]
    stitch = None
    if chosen[0][0] is not None and chosen[1][0] is not None:
        stitch = _stitch(city, draft, demand, (chosen[0][0], chosen[1][0]), vlan, circuit_id)
    return result, stitch, held


def _takes_whole_port(access: AccessSite) -> bool:
    """A site's own equipment shares a client port only where it names a VLAN."""
    return access.attach is AttachLayer.OPTICAL and access.vlan is None


def _options(city: CityMap, net: Layers, access: AccessSite) -> tuple[tuple[Port | None, Port], ...]:
    if access.attach is AttachLayer.OPTICAL:
        site = city.sites.get(access.site)
        named = [net.ports[access.port]] if access.port and access.port in net.ports else None
        ports = named or [city.ports[r] for r in (site.client_ports if site else ())]
        if not ports:
            raise CannotPlaceError(f"site {access.site} has no client port of the optical network")
        return tuple((None, p) for p in ports)
    node = access_port(city, net, access).ref.node
    pairs = net.spare.get(node, ())
    if not pairs:
        raise CannotPlaceError(f"{node.removeprefix('node:')} has no port cabled to the optical network")
    return pairs


def _line_rate(options: list[tuple[tuple[Port | None, Port], ...]], demand: Demand) -> int:
    for rate in LINE_RATES:
        if rate >= demand.rate_bps and all(any(rate in p.rates_bps for _, p in found) for found in options):
            return rate
    raise CannotPlaceError(
        f"{rate_text(demand.rate_bps)} is more than a client port of {demand.a} and {demand.z} runs at"
    )


def _choose(
    draft: Draft,
    access: AccessSite,
    options: tuple[tuple[Port | None, Port], ...],
    rate: int,
    keep: str,
    *,
    whole: bool,
    line: bool,
) -> tuple[Port | None, Port]:
    """Take a wholly free port, or for timeslots first one that is shared already and has room."""
    ledger = draft.ledger
    mine = {None, *(c.id for c in draft.old.circuits)} if draft.old is not None else {None}
    alive = [(r, c) for r, c in options if c.up and c.used_by in mine and (r is None or r.up)]
    free, shared = [], []
    for router, client in alive:
        used = ledger.held_labels(f"vlan:{client.ref}") or (router and ledger.held_labels(f"vlan:{router.ref}"))
        if ledger.holder(f"port:{client.ref}", 0) is not None:
            continue
        if not used:
            free.append((router, client))
        elif not whole and max(client.rates_bps, default=0) - _load(draft, client) >= rate:
            shared.append((router, client))
    candidates = free if whole else shared + free
    fitting = [c for c in candidates if rate in c[1].rates_bps or (not line and rate <= max(c[1].rates_bps, default=0))]
    if not fitting:
        fastest = max((r for _, c in options for r in c.rates_bps), default=0)
        if rate > fastest:
            raise CannotPlaceError(
                f"{rate_text(rate)} is more than an optical port at {access.site} runs at ({rate_text(fastest)})"
            )
        left = "wholly free" if whole else "free or shared"
        what = f"none of the {len(options)} optical ports at {access.site} is {left} with enough room"
        raise CannotPlaceError(what, (f"port:{c.ref}" for _, c in options))
    choice = next((c for c in fitting if c[1].ref.port == keep), fitting[0])
    if whole:
        draft.hold(f"port:{choice[1].ref}", 0)
    draft.port_load[str(choice[1].ref)] = draft.port_load.get(str(choice[1].ref), 0) + rate
    return choice


def _load(draft: Draft, client: Port) -> int:
    return draft.ledger.peak_bps(f"port:{client.ref}", None, None) + draft.port_load.get(str(client.ref), 0)


def _vlans(
    draft: Draft,
    ends: tuple[AccessSite, AccessSite],
    chosen: list[tuple[Port | None, Port]],
    whole: bool,
    old: CircuitPlacement | None,
) -> tuple[int, int, int]:
    """Return (VLAN of the routers, VLAN of the circuit's ends): one number everywhere where routers tag."""
    if chosen[0][0] is None:
        result = []
        for access, (_, client) in zip(ends, chosen, strict=True):
            if whole or access.vlan is None:
                result.append(0)
                continue
            holder = draft.ledger.holder(f"vlan:{client.ref}", access.vlan)
            if holder is not None:
                raise CannotPlaceError(
                    f"VLAN {access.vlan} on {client.ref} is held by {holder}", (f"vlan:{client.ref}",)
                )
            result.append(draft.hold(f"vlan:{client.ref}", access.vlan))
        return 0, result[0], result[1]
    stitch = _old_stitch(draft, old.id) if old is not None else None
    ports = [str(r.ref) for r, _ in chosen if r is not None] + ([] if whole else [str(c.ref) for _, c in chosen])
    vlan = draft.common_vlan(ports, FIRST_ACCESS_VLAN, " and ".join(ports), stitch.vlan if stitch else None)
    return (vlan, 0, 0) if whole else (vlan, vlan, vlan)


def _old_stitch(draft: Draft, circuit: str) -> Stitch | None:
    return next((s for s in draft.old.stitches if s.circuit == circuit), None) if draft.old is not None else None


def _stitch(city: CityMap, draft: Draft, demand: Demand, routers: tuple[Port, Port], vlan: int, circuit: str) -> Stitch:
    old = _old_stitch(draft, circuit)
    numbers = (
        {draft.pools.border_net(r.label)[0]: r.label for r in draft.old.labels if r.resource == "border-net"}
        if draft.old
        else {}
    )
    index = draft.pick("border-net", draft.pools.border_nets, "/31", numbers.get(old.a.address) if old else None)
    a, z = (
        StitchEnd(p.domain, p.ref.node, p.ref.port, address, city.domains[p.domain].asn or 0)
        for p, address in zip(routers, draft.pools.border_net(index), strict=True)
    )
    return Stitch(f"circuit.{demand.a}-{demand.z}", 1, vlan, demand.rate_bps, a, z, None, circuit)
