"""Exclusive slices: every demand on what nobody else can touch, protected where that was asked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_

from controller.intent.model import (
    AccessSite,
    AttachLayer,
    Demand,
    Disjointness,
    ExclusiveSlice,
    Isolation,
    Protection,
)
from controller.network.model import CityMap, PortRef
from controller.verification.bookings import route_risks
from controller.verification.company import astray_circuit, astray_tunnel, normal_ground, whole_risks
from controller.verification.facts import Access, Circuit, CircuitLeg, Span, covers
from controller.verification.forwarding import Forwarding, Way, key_of
from controller.verification.limits import of_leg
from controller.verification.loads import Loads
from controller.verification.promises import EASE, Prover, outside
from controller.verification.proof import CounterExample, Property, srlg_text
from controller.verification.walks import Walks

_LAYER = {Isolation.WAVELENGTH: "wavelength", Isolation.TIMESLOT: "odu"}


class SliceProver(Prover):
    """Checks one slice, whichever way it is realised: by circuits, or by tunnels on a partition."""

    def __init__(self, wanted: ExclusiveSlice, walks: Walks) -> None:
        super().__init__(wanted, walks)
        self.wanted = wanted
        self.model = walks.forwarding.model
        self.circuits = self.model.circuits_of(self.id)
        self.tunnels = self.model.tunnels_of(self.id)
        # Tunnel → what its demands need of it: as all is well, and with the first borders gone. Never both at once.
        self.carried: tuple[dict[str, int], dict[str, int]] = ({}, {})

    def check(self) -> Iterator[CounterExample]:
        ends = {e.name: e for e in self.wanted.endpoints}
        yield from self.sites(tuple(e for e in self.wanted.endpoints if e.attach is AttachLayer.IP))
        for circuit in self.circuits:
            yield from self._circuit(circuit)
        yield from self.tunnels_inside(self.tunnels)
        present = {site.name: access for site, access in self.configured(self.wanted.endpoints)}
        for demand in self.wanted.demands:
            a, z = ends[demand.a], ends[demand.z]
            if AttachLayer.OPTICAL in (a.attach, z.attach):
                yield from self._between_ports(a, z, demand.rate_bps)
            elif a.name in present and z.name in present:
                yield from self._between(present[a.name], present[z.name], demand)
                yield from self._between(present[z.name], present[a.name], demand)
        yield from self._rates()
        yield from self._diverse()
        yield from self._together()

    def _between(self, src: Access, dst: Access, demand: Demand) -> Iterator[CounterExample]:
        """Check one direction of a demand between IP accesses, as all is well and with the first border cut."""
        witness = f"{_shown(src)} → {_shown(dst)}"
        way = self.walks.way(key_of(src), key_of(dst))
        yield from self.judge(way, witness)
        if way.failure:
            return
        yield from self._static_routes(way, dst, witness)
        yield from self._exclusive(way, demand, witness)
        second = self.walks.way(key_of(src), key_of(dst), cut=True) if way.borders else None
        spare = second if second is not None and not second.failure else None
        if spare is not None:
            yield from self.judge(spare, f"{witness}, first border cut")
        if self.wanted.protection is Protection.STANDBY:
            for taken in (way,) if spare is None else (way, spare):
                yield from self._on_standby(taken, witness)
        yield from self._affinity(way, witness)
        for carried, taken in zip(self.carried, (way, spare or way), strict=True):
            for name in {t.name for t in taken.tunnels}:
                carried[name] = carried.get(name, 0) + demand.rate_bps
        srlg = Disjointness.SRLG in self.wanted.disjoint
        if self.wanted.protection is Protection.STANDBY and srlg and not way.circuits:
            fatal = self._fatal(way) & (self._fatal(spare) if spare is not None else self._fatal(way))
            if fatal:
                reason = f"protection was asked, but {srlg_text(self.city, fatal)} takes every way"
                yield self.broken(Property.DISJOINTNESS, witness, tuple(way.nodes), reason)

    def _on_standby(self, way: Way, witness: str) -> Iterator[CounterExample]:
        """Check that what was promised holds too while every tunnel of a way runs over its standby."""
        if not any(t.standby for t in way.tunnels):
            return
        trails = [self.forwarding.trail(t.standby or t.working) for t in way.tunnels]
        delay = sum([trail.delay_s for trail in trails]) + sum([k.delay_s for k in way.plain])
        delay += sum([self.forwarding.circuit_delay_s(c.working, c.layer) for _, _, c in way.circuits])
        late = self.budget_s is not None and delay > self.budget_s + EASE
        if not late and not self.limited:
            return
        links = [*way.plain, *(k for trail in trails for k in trail.links)]
        path = tuple(k.id for k in links)
        if late and self.budget_s is not None:
            reason = f"{delay * 1e3:.2f} ms on its standby, {self.budget_s * 1e3:g} ms are promised"
            yield self.broken(Property.LATENCY, witness, path, reason)
        if self.limited:
            yield from self.within(links, way.circuits, f"{witness}, on its standby", path)

    def _affinity(self, way: Way, witness: str) -> Iterator[CounterExample]:
        """Check that everything that may carry a way is of the plane that was asked."""
        if self.wanted.plane is None:
            return
        spare = [k for t in way.tunnels for k in self.forwarding.trail(t.standby or ()).links]
        stray = next((k for k in (*way.links, *spare) if k.plane not in (None, self.wanted.plane)), None)
        if stray is not None:
            reason = f"{stray.id} is of plane {stray.plane}, {self.wanted.plane} was asked"
            yield self.broken(Property.REGIONS, witness, tuple(way.nodes), reason)

    def _static_routes(self, way: Way, dst: Access, witness: str) -> Iterator[CounterExample]:
        """Check that the near end of a circuit has a route for every LAN at its far end: nothing announces them."""
        for near, far, _ in way.circuits:
            known = [(s, hop) for s, (_, hop) in zip(near.spans, near.lans, strict=False)]
            for covered, (lan, _) in zip(dst.spans, dst.lans, strict=False):
                hops = [hop for wide, hop in known if _covers(wide, covered)]
                if far.address not in hops:
                    reason = f"{near.id} has no route for {lan} towards {far.address}"
                    yield self.broken(Property.REACHABILITY, witness, tuple(way.nodes), reason)

    def _exclusive(self, way: Way, demand: Demand, witness: str) -> Iterator[CounterExample]:
        """Check that nothing on the way is shared: circuits of its own at its rate, or tunnels of its own."""
        for near, _, circuit in way.circuits:
            if circuit.owner != self.id:
                reason = f"circuit {circuit.id} belongs to {circuit.owner}"
                yield self.broken(Property.ISOLATION, witness, tuple(way.nodes), reason)
            if min(circuit.rate_bps, near.rate_bps) < demand.rate_bps:
                reason = f"circuit {circuit.id} or its access has less than {demand.rate_bps / 1e9:g} Gbit/s"
                yield self.broken(Property.CAPACITY, witness, tuple(way.nodes), reason)
        for near, far in way.borders:
            if min(near.rate_bps, far.rate_bps) < demand.rate_bps:
                reason = f"border {near.id} has less than {demand.rate_bps / 1e9:g} Gbit/s"
                yield self.broken(Property.CAPACITY, witness, tuple(way.nodes), reason)
        for domain, src, dst in way.unpinned:
            if "onecity-binding" in self.city.domains[domain].modules:
                reason = f"from {src} to {dst} it shares {domain} with everybody: no tunnel of its own is steered to"
                yield self.broken(Property.CAPACITY, witness, tuple(way.nodes), reason)

        for domain, src, dst in way.straying:
            reason = f"from {src} to {dst} in {domain} it takes shared links once its tunnel is gone: it is not dropped"
            yield self.broken(Property.CAPACITY, witness, tuple(way.nodes), reason)

    def _fatal(self, way: Way) -> frozenset[int]:
        """Return the risks that alone end a way."""
        risks = frozenset[int]().union(*(link.srlgs for link in way.plain))
        for tunnel in way.tunnels:
            if id(tunnel) in self.forwarding.apart and tunnel.standby is not None:
                continue
            own = route_risks(tunnel.working, self.forwarding)
            risks |= own if tunnel.standby is None else own & route_risks(tunnel.standby, self.forwarding)
        return risks

    def _rates(self) -> Iterator[CounterExample]:
        for tunnel in self.tunnels:
            needed = max(carried.get(tunnel.name, 0) for carried in self.carried)
            if not covers(tunnel.rate_bps, needed):
                reason = f"it has {tunnel.rate_bps / 1e9:g} Gbit/s, its demands need {needed / 1e9:g}"
                yield self.broken(Property.CAPACITY, f"tunnel {tunnel.name}", (tunnel.src, tunnel.dst), reason)
            owners = self.model.owners("nrp-id", tunnel.domain, str(tunnel.partition))
            foreign = [o for o in owners if o not in {p.name for p in self.model.partitions_of(self.id)}]
            binds = "onecity-binding" in self.city.domains[tunnel.domain].modules
            if binds and (tunnel.partition is None or foreign):
                reason = f"it draws from {foreign[0] if foreign else 'no partition'}, not from one of its own"
                yield self.broken(Property.CAPACITY, f"tunnel {tunnel.name}", (tunnel.src, tunnel.dst), reason)

    def _circuit(self, circuit: Circuit) -> Iterator[CounterExample]:
        """Check that both legs stay within boundaries and budget, and that what was asked of the optics is there."""
        for leg in (circuit.working, circuit.protect):
            if leg is not None:
                yield from self._leg(circuit, leg)
        wanted = _LAYER.get(self.wanted.isolation)
        if wanted is not None and circuit.layer != wanted:
            reason = f"it is of layer {circuit.layer}, {self.wanted.isolation} was asked"
            yield self.broken(Property.CAPACITY, circuit.id, (), reason)
        if self.wanted.protection in (Protection.STANDBY, Protection.RESTORATION) and circuit.protect is None:
            yield self.broken(Property.DISJOINTNESS, circuit.id, (), "protection was asked, it has no protect leg")
        elif self.wanted.protection is Protection.STANDBY and circuit.shared:
            reason = "a standby was asked, and its protect leg is dark and shared"
            yield self.broken(Property.DISJOINTNESS, circuit.id, (), reason)

    def _leg(self, circuit: Circuit, leg: CircuitLeg) -> Iterator[CounterExample]:
        spans = [self.city.fibres.get(hop) or self.city.odu_links.get(hop) for hop in leg.route]
        nodes = dict.fromkeys(n for span in spans if span is not None for n in (span.a, span.z))
        reason = outside(self.bounds, (self.city.nodes.get(n) for n in nodes))
        if reason:
            yield self.broken(Property.REGIONS, circuit.id, leg.route, reason)
        delay = self.forwarding.circuit_delay_s(leg, circuit.layer)
        if self.budget_s is not None and delay > self.budget_s + EASE:
            reason = f"{delay * 1e3:.2f} ms, {self.budget_s * 1e3:g} ms are promised"
            yield self.broken(Property.LATENCY, circuit.id, leg.route, reason)
        reason = of_leg(leg, circuit.layer).beyond(self.slo)
        if reason:
            yield self.broken(Property.LIMITS, circuit.id, leg.route, reason)
        planes = {p for hop in leg.route for p in _planes(hop, self.city)}
        if self.wanted.plane is not None and planes - {self.wanted.plane}:
            reason = f"it runs over plane {', '.join(sorted(planes))}, {self.wanted.plane} was asked"
            yield self.broken(Property.REGIONS, circuit.id, leg.route, reason)

    def _between_ports(self, a: AccessSite, z: AccessSite, rate: int) -> Iterator[CounterExample]:
        """Check that a circuit of the rate joins the two sites' own client ports, with the VLANs that were asked."""
        wanted = sorted((str(site.site), site.vlan or 0) for site in (a, z))
        for circuit in self.circuits:
            ports = [self.city.ports.get(PortRef(p.rsplit("/", 1)[0], p)) for p, _ in circuit.ends]
            found = sorted(
                (p.site or "", vlan) for p, (_, vlan) in zip(ports, circuit.ends, strict=True) if p is not None
            )
            exact = circuit.layer == "odu"  # a wavelength takes the whole port, whatever VLANs run in it
            same = found == wanted if exact else [site for site, _ in found] == [site for site, _ in wanted]
            named = {site.port for site in (a, z) if site.port} <= {p for p, _ in circuit.ends}
            if same and named and circuit.rate_bps >= rate:
                return
        reason = f"no circuit of {rate / 1e9:g} Gbit/s joins client ports of the two sites"
        yield self.broken(Property.REACHABILITY, f"{a.name} → {z.name}", (), reason)

    def _diverse(self) -> Iterator[CounterExample]:
        """Check that no duct is shared with the services that this one is to be diverse from."""
        own = whole_risks(self.id, self.forwarding) if self.wanted.diverse_from else frozenset[int]()
        for other in self.wanted.diverse_from:
            ground = normal_ground(other, self.forwarding)
            shared = own & ground.risks if ground is not None else frozenset()
            if shared:
                reason = f"both use {srlg_text(self.city, shared)}"
                yield self.broken(Property.DISJOINTNESS, f"diversity from {other}", (), reason)

    def _together(self) -> Iterator[CounterExample]:
        """Check that every working path keeps to the ducts of the services that this one is to be together with."""
        if not self.wanted.together_with:
            return
        grounds = [normal_ground(other, self.forwarding, wide=True) for other in self.wanted.together_with]
        known = [ground for ground in grounds if ground is not None]
        if len(known) < len(grounds):
            return
        ground = reduce(or_, known)
        astray = [(f"tunnel {t.name}", astray_tunnel(t, ground, self.forwarding)) for t in self.tunnels]
        astray += [(c.id, astray_circuit(c, ground, self.city)) for c in self.circuits]
        for witness, part in astray:
            if part:
                reason = f"{part} is in no duct of {', '.join(self.wanted.together_with)}"
                yield self.broken(Property.DISJOINTNESS, witness, (part,), reason)

    def loads(self) -> Loads:
        """Return what partitions, tunnels outside them, and border accesses take of every link."""
        partitions = self.model.partitions_of(self.id)
        if len(partitions) == 1 and not self.walks.borders and all(t.partition is not None for t in self.tunnels):
            return partitions[0].rates
        found: dict[str, int] = {}
        for partition in partitions:
            for link, rate in partition.rates.items():
                found[link] = found.get(link, 0) + rate
        for tunnel in self.tunnels:
            if tunnel.partition is None:
                _add(found, self.forwarding, (*tunnel.working, *(tunnel.standby or ())), tunnel.rate_bps)
        for near in self.walks.borders:
            _add(found, self.forwarding, (near.where,), near.to_site_bps)
        return found


def _add(loads: dict[str, int], forwarding: Forwarding, hops: tuple[PortRef, ...], rate: int) -> None:
    for hop in hops:
        link = forwarding.out.get(hop)
        if link is not None:
            loads[link.id] = loads.get(link.id, 0) + rate


def _planes(hop: str, city: CityMap) -> frozenset[str]:
    """Return the planes that one hop of a circuit belongs to."""
    fibre, odu = city.fibres.get(hop), city.odu_links.get(hop)
    if fibre is not None:
        return frozenset() if fibre.plane is None else frozenset({fibre.plane})
    return odu.planes if odu is not None else frozenset()


def _shown(access: Access) -> str:
    return access.lans[0][0] if access.lans else access.customer


def _covers(wide: Span, narrow: Span) -> bool:
    return wide[0] == narrow[0] and wide[1] <= narrow[1] and narrow[2] <= wide[2]
