"""IP links that are not there but that the optical layer could light, as offers in a refusal, with their price.

Two routers of one domain with a free port each that is cabled to the optical network, and a channel between those
ports: the service is really planned on the map with that link in it, so what is offered would carry it. Nothing is lit
by us: an IP link is its domain's to configure, and is found like any other once it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from controller.intent.model import AttachLayer, Boundaries, ExclusiveSlice, Isolation, Service, ServiceId
from controller.network.ledger import Ledger
from controller.network.model import CityMap, Link, Port
from controller.planning.attach import access_port
from controller.planning.circuits import Ends, Lit, Wish, risks_of_route
from controller.planning.containers import LINE_RATES
from controller.planning.draft import CannotPlaceError, Draft, Pools, rate_text
from controller.planning.layers import Layers
from controller.planning.lighting import light
from controller.planning.limits import Limits
from controller.planning.placement import Placement
from controller.planning.price import ROUTER_PORTS, lit_link
from controller.planning.reasons import short

MOST_TRIED = 2  # links for one refusal: each is a map of its own
UNLIT = ServiceId("unlit/link")


@dataclass(frozen=True, slots=True)
class _Candidate:
    link: Link
    back: Link
    lit: Lit
    price: float


def offers(
    city: CityMap,
    net: Layers,
    ledger: Ledger,
    service: Service,
    full: Iterable[str],
    place_on: Callable[[CityMap, Service], Placement],
) -> Iterator[str]:
    """Yield the cheapest IP link that would have to be lit for a slice of the IP networks that lacks bandwidth.

    full: what had no room; place_on: places the service on another map, raising CannotPlaceError.
    """
    if not isinstance(service, ExclusiveSlice) or service.isolation is not Isolation.NRP:
        return
    lacking = [net.links[net.link_index[k]] for k in full if k in net.link_index]
    if not lacking:
        return
    found = []
    for pair in list(dict.fromkeys((*_around(lacking, net), *_between(city, net, service))))[:MOST_TRIED]:
        candidate = _candidate(city, net, ledger, pair, service.boundaries)
        if candidate is not None:
            found.append(candidate)
    for one in sorted(found, key=lambda c: (c.price, c.link.id)):
        try:
            placed = place_on(_with(city, one), service)
        except CannotPlaceError:
            continue
        if any(r.link in (one.link.id, one.back.id) for r in placed.rates):
            ends = f"{short(one.link.src.node)}–{short(one.link.dst.node)}"
            over = ", ".join(one.lit.circuit.working.route)
            rate = rate_text(one.link.capacity_bps)
            yield f"as asked, once an IP link {ends} is lit: {rate} over {over} (price {one.price:.3g})"
            return


def _around(lacking: Iterable[Link], net: Layers) -> Iterator[tuple[str, str]]:
    for link in lacking:
        if not link.border:
            a, z = sorted((link.src.node, link.dst.node))
            yield a, z


def _between(city: CityMap, net: Layers, service: ExclusiveSlice) -> Iterator[tuple[str, str]]:
    ends = {a.name: a for a in service.endpoints}
    for demand in service.demands:
        if any(ends[n].attach is not AttachLayer.IP for n in (demand.a, demand.z)):
            continue
        a, z = (access_port(city, net, ends[n]).ref.node for n in (demand.a, demand.z))
        if a != z and net.nodes[a].domain == net.nodes[z].domain:
            yield min(a, z), max(a, z)


def _candidate(
    city: CityMap, net: Layers, ledger: Ledger, pair: tuple[str, str], bounds: Boundaries
) -> _Candidate | None:
    free = [_free_ports(net, ledger, node) for node in pair]
    for rate in sorted(LINE_RATES, reverse=True):
        ports = [next(((r, c) for r, c in found if rate in c.rates_bps), None) for found in free]
        if ports[0] is None or ports[1] is None:
            continue
        (a, at_a), (z, at_z) = ports[0], ports[1]
        wish = Wish("unlit", "wavelength", Limits(), False, bounds, frozenset())
        try:
            lit = light(
                net, Draft(UNLIT, ledger.copy(), Pools(), None), Ends(at_a.ref, at_z.ref, 0, 0, rate), wish, None
            )
        except CannotPlaceError:
            return None
        return _as_links(city, net, a, z, rate, lit)
    return None


def _free_ports(net: Layers, ledger: Ledger, node: str) -> list[tuple[Port, Port]]:
    def used(port: Port) -> bool:
        return bool(ledger.held_labels(f"vlan:{port.ref}") or ledger.held_labels(f"port:{port.ref}"))

    pairs = net.spare.get(node, ())
    return [(r, c) for r, c in pairs if r.up and c.up and c.used_by is None and not used(r) and not used(c)]


def _as_links(city: CityMap, net: Layers, a: Port, z: Port, rate: int, lit: Lit) -> _Candidate:
    route = lit.circuit.working.route
    names = [f"unlit:{short(x.ref.node)}..{short(y.ref.node)}" for x, y in ((a, z), (z, a))]
    inside = [k for k in city.links if k.domain == a.domain]
    one = Link(
        names[0], a.domain, a.ref, z.ref, rate, lit.delay_s, risks_of_route(net, route), None,
        min(city.fibres[f].trust for f in route), lit.availability, "unlit", names[1], True, fibres=route,
        jitter_s=max((k.jitter_s for k in inside), default=0.0),
        loss_ratio=max((k.loss_ratio for k in inside), default=0.0),
    )  # fmt: skip
    back = replace(one, id=names[1], src=z.ref, dst=a.ref, reverse=names[0])
    return _Candidate(one, back, lit, lit_link(len(route)) + ROUTER_PORTS)


def _with(city: CityMap, candidate: _Candidate) -> CityMap:
    links = (*city.links, candidate.link, candidate.back)
    return replace(city, links=tuple(sorted(links, key=lambda k: k.id)))
