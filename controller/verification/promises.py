"""What each intent was promised, walked through the configuration: reachability, isolation, latency, regions.

The intents say who should reach whom; everything else comes from the rendered configuration and the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.intent.model import (
    AccessSite,
    AttachLayer,
    Boundaries,
    DedicatedPlane,
    ExclusiveSlice,
    Service,
    ServiceId,
    VipAssurance,
)
from controller.network.model import PortRef
from controller.verification.bookings import service_of
from controller.verification.forwarding import Forwarding, Key, Route, Way
from controller.verification.parse import Access, Circuit
from controller.verification.proof import CounterExample, Property


class ServiceProver:
    """Checks one service; route tables are shared between its pairs."""

    def __init__(self, service: Service, forwarding: Forwarding, protected: Service | None = None) -> None:
        self.service, self.forwarding = service, forwarding
        self.id = service.metadata.service
        carrier = protected if protected is not None else service
        self.carrier = carrier
        self.vpn_id = carrier.metadata.service.replace("/", ".", 1)
        self._tables: dict[Key, dict[Key, Route]] = {}
        self._borders: dict[Key, list[Access]] = {}
        self.found: dict[str, Access] = {a.id: a for vpn in forwarding.vpn(self.vpn_id) for a in vpn.accesses.values()}

    def check(self) -> Iterator[CounterExample]:
        if isinstance(self.service, DedicatedPlane):
            yield from self._plane(self.service)
        elif isinstance(self.service, ExclusiveSlice):
            yield from self._slice(self.service)
        else:
            yield from self._vip(self.service)

    def _plane(self, plane: DedicatedPlane) -> Iterator[CounterExample]:
        accesses = list(self._present(plane.accesses))
        yield from self.broken_accesses(plane.accesses)
        yield from self._leaks()
        hubs = [a for a in accesses if plane.hub_and_spoke and a[0].hub]
        seen: set[tuple[Key, Key]] = set()
        for site, access in accesses:
            for other, peer in hubs if plane.hub_and_spoke else accesses:
                if other is site or (_key(access), _key(peer)) in seen:
                    continue
                seen.add((_key(access), _key(peer)))
                yield from self._pair(access, peer, plane.slo.latency_s, plane.boundaries)
                if plane.hub_and_spoke:
                    yield from self._pair(peer, access, plane.slo.latency_s, plane.boundaries)

    def _slice(self, wanted: ExclusiveSlice) -> Iterator[CounterExample]:
        ends = {e.name: e for e in wanted.endpoints}
        yield from self.broken_accesses(e for e in wanted.endpoints if e.attach is AttachLayer.IP)
        yield from self._leaks()
        circuits = self.forwarding.model.circuits_of(self.id, self.forwarding.city.domains)
        for circuit in circuits:
            yield from self._circuit_bounds(circuit, wanted)
        present = {site.name: access for site, access in self._present(wanted.endpoints)}
        for demand in wanted.demands:
            a, z = ends[demand.a], ends[demand.z]
            if a.attach is AttachLayer.OPTICAL and z.attach is AttachLayer.OPTICAL:
                yield from self._optical_demand(a, z, demand.rate_bps, circuits)
            elif a.name in present and z.name in present:
                yield from self._pair(present[a.name], present[z.name], wanted.slo.latency_s, wanted.boundaries)
                yield from self._pair(present[z.name], present[a.name], wanted.slo.latency_s, wanted.boundaries)

    def _vip(self, vip: VipAssurance) -> Iterator[CounterExample]:
        conference = vip.conference
        if conference is None:
            return
        mcu = self.found.get(f"{self.vpn_id}.{conference.mcu.access}")
        if mcu is None:
            yield self._broken(Property.REACHABILITY, conference.mcu.name, (), "the MCU's access is not configured")
            return
        by_id: dict[str, tuple[dict[tuple[str, str], str], Access]] = {}
        pairs: set[tuple[Key, Key]] = set()
        for party in conference.parties:
            access = self.found.get(f"{self.vpn_id}.{party.access}")
            if access is None:
                yield self._broken(
                    Property.REACHABILITY, party.name, (), f"its access {party.access} is not configured"
                )
                continue
            if access.id not in by_id:
                by_id[access.id] = (
                    {(r.source, r.destination + r.protocol + r.ports[1]): r.target for r in access.rules},
                    access,
                )
            rules = by_id[access.id][0]
            for flow in conference.flows:
                self.forwarding.steps += 1
                key = (f"{party.address}/32", f"{conference.mcu.address}/32{flow.protocol}{flow.port_low}")
                target = rules.get(key)
                if target is None or not target.endswith(flow.target_class) or target not in access.actions:
                    reason = f"no rule at {access.id} puts it into class {flow.target_class}"
                    yield self._broken(Property.REACHABILITY, f"{party.name} {flow.name} → MCU", (access.node,), reason)
            pairs.add((_key(access), _key(mcu)))
        for near, far in sorted(pairs):
            for src, dst in ((near, far), (far, near)):
                yield from self._vip_pair(vip, src, dst)

    def _vip_pair(self, vip: VipAssurance, src: Key, dst: Key) -> Iterator[CounterExample]:
        if src[2] == dst[2]:
            return
        flows = vip.conference.flows if vip.conference else ()
        classes = {f"vip.{vip.metadata.name}.{f.target_class}" for f in flows} or {"*"}
        for target in sorted(classes):
            yield from self._judge(
                self.walk(src, dst, "", target),
                f"{src[2]} → {dst[2]} class {target}",
                vip.slo.latency_s,
                vip.boundaries,
            )

    def walk(self, src: Key, dst: Key, prefix: str, target: str = "*") -> Way:
        """Return the way from one instance to another that holds `prefix`."""
        if dst not in self._tables:
            self._tables[dst] = self.forwarding.spread(dst, self._borders)
        return self.forwarding.walk(src, self._tables[dst], prefix, target)

    def _pair(self, src: Access, dst: Access, budget_s: float | None, bounds: Boundaries) -> Iterator[CounterExample]:
        prefixes = [lan for lan, _ in dst.lans] or [""]
        for prefix in prefixes if self._static(dst) else prefixes[:1]:
            way = self.walk(_key(src), _key(dst), prefix)
            yield from self._judge(way, f"{src.id} → {prefix or dst.customer}", budget_s, bounds)

    def _static(self, access: Access) -> bool:
        """Say whether far sides know this access's prefixes one by one (static routes over circuits)."""
        return any(r.learned == "static" for r in self._tables.get(_key(access), {}).values()) or not self._tables.get(
            _key(access)
        )

    def _judge(self, way: Way, witness: str, budget_s: float | None, bounds: Boundaries) -> Iterator[CounterExample]:
        path = tuple(way.nodes)
        if way.failure:
            kind = Property.LOOPS if "circles" in way.failure else Property.REACHABILITY
            yield self._broken(kind, witness, path, way.failure)
            return
        if budget_s is not None and way.delay_s > budget_s:
            yield self._broken(
                Property.LATENCY, witness, path, f"{way.delay_s * 1e3:.2f} ms, {budget_s * 1e3:g} ms are promised"
            )
        reason = self._outside(way.nodes, bounds) or next(
            (
                f"{link.id} has trust level {link.trust}, {bounds.least_trust} is the least"
                for link in way.links
                if link.trust < bounds.least_trust
            ),
            "",
        )
        if reason:
            yield self._broken(Property.REGIONS, witness, path, reason)

    def _outside(self, nodes: Iterable[str], bounds: Boundaries) -> str:
        for node_id in nodes:
            node = self.forwarding.city.nodes.get(node_id)
            if node is None:
                return f"{node_id} is not on the map"
            if node_id in bounds.exclude_nodes or node.regions & bounds.exclude_regions:
                return f"{node_id} is where the service must not go"
            if bounds.include_regions and not node.regions & bounds.include_regions:
                return f"{node_id} is outside {', '.join(sorted(bounds.include_regions))}"
            if node.trust < bounds.least_trust:
                return f"{node_id} has trust level {node.trust}, {bounds.least_trust} is the least"
        return ""

    def _circuit_bounds(self, circuit: Circuit, wanted: ExclusiveSlice) -> Iterator[CounterExample]:
        city = self.forwarding.city
        for leg in (circuit.working, circuit.protect):
            if leg is None:
                continue
            spans = [city.fibres.get(hop) or city.odu_links.get(hop) for hop in leg.route]
            nodes = dict.fromkeys(n for span in spans if span is not None for n in (span.a, span.z))
            reason = self._outside(nodes, wanted.boundaries)
            if reason:
                yield self._broken(Property.REGIONS, circuit.id, leg.route, reason)
            delay = self.forwarding.circuit_delay_s(leg)
            if wanted.slo.latency_s is not None and delay > wanted.slo.latency_s:
                yield self._broken(
                    Property.LATENCY,
                    circuit.id,
                    leg.route,
                    f"{delay * 1e3:.2f} ms, {wanted.slo.latency_s * 1e3:g} ms are promised",
                )

    def _optical_demand(
        self, a: AccessSite, z: AccessSite, rate: int, circuits: list[Circuit]
    ) -> Iterator[CounterExample]:
        city = self.forwarding.city
        ports = {c.id: [city.ports.get(PortRef(p.rsplit("/", 1)[0], p)) for p, _ in c.ends] for c in circuits}
        wanted = {str(a.site), str(z.site)}
        fits = [c for c in circuits if {p.site for p in ports[c.id] if p is not None} == wanted and c.rate_bps >= rate]
        if not fits:
            yield self._broken(
                Property.REACHABILITY,
                f"{a.name} → {z.name}",
                (),
                f"no circuit of {rate / 1e9:g} Gbit/s joins client ports of the two sites",
            )

    def broken_accesses(self, wanted: Iterable[AccessSite]) -> Iterator[CounterExample]:
        """Check that every access is configured where the site hangs, at the rate that was asked."""
        city = self.forwarding.city
        for site in wanted:
            access_id = f"{self.vpn_id}.{site.name}"
            access = self.found.get(access_id)
            self.forwarding.steps += 1
            if access is None:
                yield self._broken(Property.REACHABILITY, site.name, (), f"no access {access_id} is configured")
                continue
            place = city.sites.get(site.site)
            port = site.port or (str(place.access) if place is not None and place.access is not None else "")
            if str(access.where) != port:
                yield self._broken(Property.REACHABILITY, site.name, (str(access.where),), f"the site hangs on {port}")
            if (access.domain, self.vpn_id, access.node, access.profile) not in self.forwarding.instances(self.vpn_id):
                yield self._broken(
                    Property.REACHABILITY,
                    site.name,
                    (access.node,),
                    f"profile {access.profile or '?'} is not active there",
                )
            if site.vlan is not None and access.vlan != site.vlan:
                yield self._broken(
                    Property.REACHABILITY, site.name, (str(access.where),), f"VLAN {access.vlan}, {site.vlan} was asked"
                )
            if min(access.to_site_bps, access.from_site_bps) < site.rate_bps:
                yield self._broken(
                    Property.CAPACITY,
                    site.name,
                    (str(access.where),),
                    f"its rate is below the {site.rate_bps / 1e6:g} Mbit/s promised",
                )
            lans = {lan for lan, _ in access.lans}
            missing = [str(lan) for lan in site.lans if str(lan) not in lans]
            if missing:
                yield self._broken(
                    Property.REACHABILITY, missing[0], (str(access.where),), f"{access_id} has no route for it"
                )
            if any(hop != access.customer for _, hop in access.lans):
                yield self._broken(
                    Property.REACHABILITY, site.name, (str(access.where),), "a route points past the customer's router"
                )

    def _present(self, wanted: Iterable[AccessSite]) -> Iterator[tuple[AccessSite, Access]]:
        for site in wanted:
            access = self.found.get(f"{self.vpn_id}.{site.name}")
            if access is not None:
                yield site, access

    def _leaks(self) -> Iterator[CounterExample]:
        """Check that nobody else hears this VPN's routes, and that it hears nobody else's."""
        model, instances = self.forwarding.model, self.forwarding.instances(self.vpn_id)
        for key, instance in instances.items():
            for kind, targets, verb in (
                ("import", instance.exports, "imports"),
                ("export", instance.imports, "exports into"),
            ):
                for target in targets:
                    for owner in model.claims.get((kind, key[0], target), ()):
                        self.forwarding.steps += 1
                        other = owner.split("|")[0]
                        if other != self.vpn_id:
                            reason = f"{service_of(other)} {verb} {target} at {owner.split('|')[1]}"
                            yield self._broken(
                                Property.ISOLATION, f"routes of {key[2]}", (key[2], owner.split("|")[1]), reason
                            )
        for access in self.found.values():
            far = self.forwarding.across(access)
            if far is not None and far.vpn != self.vpn_id:
                reason = f"VLAN {access.vlan} of {access.where} ends in {service_of(far.vpn)}"
                yield self._broken(Property.ISOLATION, access.id, (access.node, far.node), reason)

    def _broken(self, what: Property, witness: str, path: tuple[str, ...], reason: str) -> CounterExample:
        return CounterExample(what, ServiceId(self.id), witness, path, reason)


def _key(access: Access) -> Key:
    return (access.domain, access.vpn, access.node, access.profile)
