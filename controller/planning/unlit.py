"""IP links that are not there but that the optical layer could light: candidates with a price.

Two routers of one domain with a free port each that is cabled to the optical network, and a channel between those
ports. They are looked at only where something that rides pinned tunnels finds no room on what is there, or no way,
cheapest first, and one is taken only if the whole service then keeps every promise. To routers it is the last of all
ways, so planes hold nothing on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil

import numpy as np

from controller.intent.model import AttachLayer, Boundaries, ExclusiveSlice, Service, ServiceId
from controller.network.fading import calm
from controller.network.labels import Instant
from controller.network.ledger import Ledger
from controller.network.lit import circuit_id, link_id, with_lit
from controller.network.model import CityMap, Link, Port
from controller.planning.attach import access_port
from controller.planning.circuits import Ends, Wish, risks_of_route
from controller.planning.containers import LINE_RATES
from controller.planning.draft import CannotPlaceError, Draft, Pools, rate_text
from controller.planning.layers import Layers, layers
from controller.planning.lighting import light
from controller.planning.limits import Limits
from controller.planning.paths import Mask
from controller.planning.placement import LabelReservation, LitLink, Placement, RateReservation
from controller.planning.price import ROUTER_PORTS, lit_link
from controller.planning.reasons import short

MOST_TRIED = 3  # links for one service, one at a time: each is a map of its own
MOST_TOGETHER = 4  # links that are lit for one service at once
UNLIT = ServiceId("unlit/link")
_MICROSECOND = 1e-6

PlaceOn = Callable[[CityMap], Placement]  # raises CannotPlaceError


# Links that are lit already


def out_of_reach(
    city: CityMap,
    net: Layers,
    ledger: Ledger,
    start: Instant = None,
    end: Instant = None,
    old: Placement | None = None,
) -> Mask | None:
    """Return the links of ours whose light others hold at some moment of an interval, while nobody is on them.

    old: what the service held that is placed; the ledger is without it.

    Such a link stands in its users' windows only, and what it is made of is somebody else's in between, also of those
    who are unknown to us. None: there is no such link.
    """
    found = None
    for one in dict.fromkeys(lit_on(city)):
        if any(ledger.rivals(label) for label in one.labels(start, end)) or _foreign(city, ledger, one, old):
            found = np.zeros(len(net.links), dtype=np.bool_) if found is None else found
            found[[net.link_index[k] for k in (one.id, one.reverse) if k in net.link_index]] = True
    return found


def _foreign(city: CityMap, ledger: Ledger, one: LitLink, old: Placement | None) -> bool:
    """Whether somebody unknown to us has what the link is made of, while it is not lit."""
    leg, light = one.circuit.working, one.labels()[-1]
    held = old.labels if old is not None else ()
    mine = any((k.resource, k.label, k.start) == (light.resource, light.label, None) for k in held)
    if mine or ledger.stands(light.resource, light.label):
        return False  # it is lit, and what was read while that was done tells of it as of somebody else's
    taken = any(leg.channel in city.fibres[f].occupied for f in leg.route if f in city.fibres)
    ports = (city.ports.get(ref) for ref in (one.circuit.a, one.circuit.z))
    return taken or any(port is None or port.used_by is not None for port in ports)


def lit_on(city: CityMap) -> Iterator[LitLink]:
    """Yield the links of ours on a map, by either direction."""
    for one in city.lit.values():
        assert isinstance(one, LitLink)
        yield one


def ridden(
    city: CityMap, rates: Iterable[RateReservation], start: Instant = None, end: Instant = None
) -> tuple[tuple[LitLink, ...], tuple[LabelReservation, ...]]:
    """Return the links of ours that hold something for a service, and what they take in the optical domain."""
    if not city.lit:
        return (), ()
    named = {one.id: one for r in rates if isinstance(one := city.lit.get(r.link), LitLink)}
    links = tuple(named[name] for name in sorted(named))
    return links, tuple(label for one in links for label in one.labels(start, end))


# Links to light


@dataclass(frozen=True, slots=True)
class Search:
    """For whom a link is looked for: on which map, beside what, and within which limits."""

    city: CityMap
    net: Layers
    ledger: Ledger  # asked about the service's window
    bounds: Boundaries
    plane: str | None = None
    avoid: frozenset[int] = frozenset()

    def lighten(
        self, lacking: Iterable[tuple[str, str]], others: Iterable[tuple[str, str]], place_on: PlaceOn
    ) -> Placement | None:
        """Return the placement over the cheapest link that carries it, else over all those that lack; None: none does.

        lacking: routers of one domain between which there is no room for it, or no way; others: such that a link
        between them may do instead.
        """
        around = list(dict.fromkeys(lacking))
        pairs = islice(dict.fromkeys((*around, *others)), MOST_TRIED)
        singles = [c for c in map(self._candidate, pairs) if c is not None]
        tries: list[tuple[LitLink, ...]] = [(one,) for one in sorted(singles, key=lambda c: (c.price, c.id))]
        if 1 < len(around) <= MOST_TOGETHER:
            tries += [every] if (every := self._all_of(around)) else []
        for lit in tries:
            try:
                placed = place_on(with_lit(self.city, (*lit_on(self.city), *lit)))
            except CannotPlaceError:
                continue
            if placed.lit_links:
                return placed
        return None

    def _all_of(self, pairs: list[tuple[str, str]]) -> tuple[LitLink, ...]:
        """Return a link for every pair, side by side; () where one of them has none."""
        found: list[LitLink] = []
        ledger = self.ledger.copy()
        for pair in pairs:
            one = Search(self.city, self.net, ledger, self.bounds, self.plane, self.avoid)._candidate(pair)
            if one is None:
                return ()
            found.append(one)
            for label in one.labels():
                ledger.take(UNLIT, label)
        return tuple(found)

    def _candidate(self, pair: tuple[str, str]) -> LitLink | None:
        quiet = calm(self.city)
        found = self._over(layers(quiet), pair) if quiet is not None else None
        return found or self._over(self.net, pair)

    def _over(self, net: Layers, pair: tuple[str, str]) -> LitLink | None:
        """Return the same over what is up on one picture of the map; what fades is lit where nothing else leads."""
        free = [self._free_ports(node) for node in pair]
        for rate in sorted(LINE_RATES, reverse=True):
            ports = [next(((r, c) for r, c in found if rate in c.rates_bps), None) for found in free]
            if ports[0] is None or ports[1] is None:
                continue
            (a, at_a), (z, at_z) = ports[0], ports[1]
            wish = Wish(
                circuit_id(a.ref, z.ref), "wavelength", Limits(), False, self.bounds, self.avoid, plane=self.plane
            )
            draft = Draft(UNLIT, self.ledger.copy(), Pools(), None)
            try:
                lit = light(net, draft, Ends(at_a.ref, at_z.ref, 0, 0, rate), wish, None)
            except CannotPlaceError:
                return None
            return LitLink(
                link_id(a.ref, z.ref), link_id(z.ref, a.ref), a.domain, a.ref, z.ref, rate,
                ceil(lit.delay_s / _MICROSECOND - 1e-6) * _MICROSECOND,
                tuple(sorted(risks_of_route(net, lit.circuit.working.route))), lit.circuit,
                lit_link(len(lit.circuit.working.route)) + ROUTER_PORTS,
            )  # fmt: skip
        return None

    def cabled(self, node: str) -> frozenset[str]:
        """Return the optical nodes to which a router has free ports cabled."""
        return frozenset(client.ref.node for _, client in self._free_ports(node))

    def _free_ports(self, node: str) -> list[tuple[Port, Port]]:
        def used(port: Port) -> bool:
            return bool(self.ledger.held_labels(f"vlan:{port.ref}") or self.ledger.held_labels(f"port:{port.ref}"))

        def lost(port: Port) -> bool:
            return port.domain in self.city.domains and self.city.domains[port.domain].stale

        pairs = self.net.spare.get(node, ())
        free = [(r, c) for r, c in pairs if r.up and c.up and c.used_by is None and not used(r) and not used(c)]
        return [(r, c) for r, c in free if not lost(r) and not lost(c)]


def around(lacking: Iterable[Link]) -> Iterator[tuple[str, str]]:
    """Yield the routers at the ends of links inside domains."""
    for link in lacking:
        if not link.border:
            a, z = sorted((link.src.node, link.dst.node))
            yield a, z


def between(city: CityMap, net: Layers, service: Service) -> Iterator[tuple[str, str]]:
    """Yield the pairs of routers of one domain between which a slice has traffic."""
    if not isinstance(service, ExclusiveSlice):
        return
    ends = {a.name: a for a in service.endpoints}
    for demand in service.demands:
        if any(ends[n].attach is not AttachLayer.IP for n in (demand.a, demand.z)):
            continue
        a, z = (access_port(city, net, ends[n]).ref.node for n in (demand.a, demand.z))
        if a != z and net.nodes[a].domain == net.nodes[z].domain:
            yield min(a, z), max(a, z)


def lacking_room(net: Layers, ledger: Ledger, wished: Placement) -> Iterator[Link]:
    """Yield the links on which a placement that was made as if there were room everywhere finds none."""
    for rate in wished.rates:
        at = net.link_index.get(rate.link)
        if at is not None and rate.rate_bps > ledger.free_bps(rate.link, rate.start, rate.end, squeeze=rate.squeezes):
            yield net.links[at]


def offered(one: LitLink) -> str:
    """Say which link would have to be lit: `an IP link lg-buji–lg-nanwan is lit: 100 Gbit/s over … (price 31)`."""
    return f"an IP link {_ends(one)} is lit: {_light(one)}"


def lit_text(one: LitLink) -> str:
    """Say which link a service rides on that stands for services only: `IP link lg-buji–lg-nanwan: 100 Gbit/s …`."""
    return f"IP link {_ends(one)}: {_light(one)}"


def rides_on(links: Iterable[LitLink]) -> tuple[str, ...]:
    """Say of a placement which links under it stand for services only."""
    return tuple(f"rides on {lit_text(one)}, lit for services" for one in links)


def lights(placement: Placement, known: Mapping[str, object]) -> Placement:
    """Return a placement that says which links it lights; `known`: those that are lit already, by id."""
    fresh = {rides_on((k,))[0]: f"lights {lit_text(k)}" for k in placement.lit_links if k.id not in known}
    return replace(placement, notes=tuple(fresh.get(note, note) for note in placement.notes))


def _ends(one: LitLink) -> str:
    return f"{short(one.a.node)}–{short(one.z.node)}"


def _light(one: LitLink) -> str:
    return f"{rate_text(one.rate_bps)} over {', '.join(one.fibres)} (price {one.price:.3g})"
