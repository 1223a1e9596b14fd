"""What must hold of any set of placements, checked from the map and the placements alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, pairwise

from controller.intent.model import ExclusiveSlice, Service, ServiceId, VipAssurance
from controller.network.labels import overlap
from controller.network.lit import with_lit
from controller.network.model import CityMap
from controller.planning.placement import CircuitPlacement, LabelReservation, Leg, Placement, Route, TunnelPlacement


def check_all(city: CityMap, services: Mapping[ServiceId, Service], placements: Mapping[ServiceId, Placement]) -> None:
    """Assert every invariant at once, on the map with the IP links that the placements light."""
    city = with_lit(city, (k for p in placements.values() for k in p.lit_links))
    check_capacity(city, placements.values())
    check_labels(placements.values())
    for name, placement in placements.items():
        check_promises(services[name], placement)
        check_kept(city, placement)
        for circuit in placement.circuits:
            check_circuit(city, circuit)
        for tunnel in placement.tunnels:
            check_tunnel(city, tunnel)


def check_capacity(city: CityMap, placements: Iterable[Placement]) -> None:
    """No link is held beyond its capacity at any moment, in full by planes and slices, nor in what none can squeeze."""
    rates = [r for p in placements for r in p.rates if r.link in city.link_by_id]
    moments = {r.start for r in rates} | {None}
    for link in city.links:
        on_it = [r for r in rates if r.link == link.id]
        for moment in moments:
            alive = [
                r for r in on_it
                if (r.start is None or (moment is not None and r.start <= moment))
                and (r.end is None or moment is None or moment < r.end)
            ]  # fmt: skip
            assert sum(r.rate_bps for r in alive if not r.squeezes) <= link.capacity_bps, link.id
            assert sum(r.rate_bps - r.squeezable_bps for r in alive) <= link.capacity_bps, link.id


def check_labels(placements: Iterable[Placement]) -> None:
    """No label is held twice at any moment, but for restoration of what cannot fail together."""
    seen: dict[tuple[str, int], list[LabelReservation]] = {}
    for placement in placements:
        for label in placement.labels:
            seen.setdefault((label.resource, label.label), []).append(label)
    for key, held in seen.items():
        for one, other in combinations(held, 2):
            if one.of_link and one.of_link == other.of_link:
                continue  # they ride on the link that it was lit for
            if overlap(one.start, one.end, other.start, other.end):
                assert one.stands_by_for, key
                assert other.stands_by_for, key
                assert not set(one.stands_by_for) & set(other.stands_by_for), key


def check_kept(city: CityMap, placement: Placement) -> None:
    """What is kept for restoration says all that takes the working leg down, and nothing else is held so."""
    kept = {(r.resource, r.label): set(r.stands_by_for) for r in placement.labels if r.stands_by_for}
    for circuit in placement.circuits:
        kind = "channel" if circuit.layer == "wavelength" else "slot"
        for position, hop in enumerate(circuit.protect.route if circuit.shared and circuit.protect else ()):
            assert circuit.protect is not None
            labels = (circuit.protect.channel,) if kind == "channel" else circuit.protect.slots[position]
            for label in labels:
                assert _failures(city, circuit) <= kept.pop((f"{kind}:{hop}", label or 0))
    assert not kept


def _failures(city: CityMap, circuit: CircuitPlacement) -> set[str]:
    """Every single fibre, duct and node of which the failure takes a working leg down, ends aside."""
    parts = [city.fibres.get(h) or city.odu_links[h] for h in circuit.working.route]
    names = {f for h, p in zip(circuit.working.route, parts, strict=True) for f in (getattr(p, "fibres", None) or (h,))}
    nodes = {n for f in names for n in (city.fibres[f].a, city.fibres[f].z)} - {circuit.a.node, circuit.z.node}
    ducts = {r for f in names for r in city.fibres[f].srlgs}
    return {*(f"fibre:{f}" for f in names), *(f"srlg:{r}" for r in ducts), *(f"node:{n}" for n in nodes)}


def check_promises(service: Service, placement: Placement) -> None:
    for promise in placement.promises:
        if service.slo.latency_s is not None and not isinstance(service, VipAssurance):
            assert promise.delay_s <= service.slo.latency_s
        if isinstance(service, ExclusiveSlice):
            assert promise.availability >= service.slo.availability
            budget = service.slo.latency_s
            assert promise.standby_delay_s is None or budget is None or promise.standby_delay_s <= budget


def check_circuit(city: CityMap, circuit: CircuitPlacement) -> None:
    legs = [leg for leg in (circuit.working, circuit.protect) if leg is not None]
    for leg in legs:
        _check_leg(city, circuit, leg)
    if circuit.protect is not None:
        assert not _leg_risks(city, circuit.working) & _leg_risks(city, circuit.protect)


def _check_leg(city: CityMap, circuit: CircuitPlacement, leg: Leg) -> None:
    at = circuit.a.node
    for position, hop in enumerate(leg.route):
        if circuit.layer == "wavelength":
            fibre = city.fibres[hop]
            assert fibre.up
            assert leg.channel is not None
            assert 1 <= leg.channel <= fibre.channels
            assert leg.channel not in fibre.occupied
            at = fibre.z if fibre.a == at else fibre.a
        else:
            odu = city.odu_links[hop]
            assert odu.up
            assert leg.slots[position]
            assert not set(leg.slots[position]) & odu.occupied
            assert all(1 <= s <= odu.slots for s in leg.slots[position])
            at = odu.z if odu.a == at else odu.a
    assert at == circuit.z.node


def _leg_risks(city: CityMap, leg: Leg) -> frozenset[int]:
    parts = [city.fibres.get(h) or city.odu_links[h] for h in leg.route]
    return frozenset(r for p in parts for r in p.srlgs)


def check_tunnel(city: CityMap, tunnel: TunnelPlacement) -> None:
    for route in (tunnel.working, tunnel.standby):
        if route is not None:
            _check_route(city, tunnel, route)
    if tunnel.standby is not None:
        assert not set(tunnel.working.links) & set(tunnel.standby.links)
        assert not _route_risks(city, tunnel.working) & _route_risks(city, tunnel.standby)


def _check_route(city: CityMap, tunnel: TunnelPlacement, route: Route) -> None:
    links = [city.link_by_id[k] for k in route.links]
    assert links[0].src.node == tunnel.src
    assert links[-1].dst.node == tunnel.dst
    assert all(a.dst.node == b.src.node for a, b in pairwise(links))
    assert all(k.up and k.domain == tunnel.domain for k in links)
    assert route.hops == tuple(k.src for k in links)


def _route_risks(city: CityMap, route: Route) -> frozenset[int]:
    return frozenset(r for k in route.links for r in city.link_by_id[k].srlgs)
