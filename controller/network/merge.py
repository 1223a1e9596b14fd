"""Several domains and the inventory become one map.

Each domain knows only itself: the two ends of a border cable carry equal plug ids, a router port and the OTN
port it is cabled to carry equal lock ids. Matching them gives the links that no domain has, and the circuit
under each IP link gives that link the fibres' risks. What does not match is reported, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from controller.network.discovered import (
    DiscoveredCircuit,
    DiscoveredFibre,
    DiscoveredLink,
    DiscoveredNode,
    DiscoveredPort,
    DomainKind,
    DomainTopology,
)
from controller.network.inventory import Inventory, LinkFacts, NodeFacts, PortFacts
from controller.network.lit import (
    CABLE_AVAILABILITY,
    LAST_METRIC,
    LINK_LOSS,
    LIT,
    NODE_AVAILABILITY,
    QUEUE_BITS,
    light_availability,
    plane_over,
)
from controller.network.model import CityMap, Domain, Fibre, Link, Node, OduLink, Port, PortRef, Site

PROPAGATION_S_PER_M = 4.897e-9  # standard single-mode fibre
FIBRE_UNAVAILABILITY_PER_M = 4.6e-9  # one cut a year and 200 km, eight hours to splice


def merge(topologies: Sequence[DomainTopology], inventory: Inventory, version: int, stale: frozenset[str]) -> CityMap:
    """Return the city's map; `stale` names the domains whose topology is what was known before they were lost."""
    return _Merge(sorted(topologies, key=lambda t: t.domain), inventory, stale).build(version)


def is_ours(circuit: DiscoveredCircuit) -> bool:
    """Whether a service asked for this circuit, so that the ledger already holds what it occupies."""
    return "/" in circuit.owner


@dataclass(slots=True)
class _Merge:
    topologies: Sequence[DomainTopology]
    inventory: Inventory
    stale: frozenset[str]
    problems: list[str] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    ports: dict[PortRef, DiscoveredPort] = field(default_factory=dict)
    domain_of_port: dict[PortRef, str] = field(default_factory=dict)
    cables: dict[PortRef, PortRef] = field(default_factory=dict)  # between layers, both ways
    fibres: dict[str, Fibre] = field(default_factory=dict)
    circuits: dict[str, DiscoveredCircuit] = field(default_factory=dict)
    circuit_between: dict[frozenset[str], str] = field(default_factory=dict)  # of two client port ids

    def build(self, version: int) -> CityMap:
        for topology in self.topologies:
            self._take_nodes(topology)
        self._match_locks()
        for topology in self.topologies:
            self._take_optics(topology)
        odu_links = dict(sorted((o.id, o) for t in self.topologies for o in self._odu_links(t)))
        borders, peers = self._borders()
        links = sorted([*self._inner_links(), *borders], key=lambda link: link.id)
        ports = self._ports(links, peers)
        domains = {t.domain: self._domain(t) for t in self.topologies}
        return CityMap(
            version=version,
            sites=self._sites(ports),
            domains=domains,
            nodes=self.nodes,
            ports=ports,
            links=tuple(links),
            fibres=self.fibres,
            odu_links=odu_links,
            srlg_names=dict(sorted(pair for t in self.topologies for pair in t.srlg_names)),
            problems=tuple(dict.fromkeys(self.problems)),
        )

    def _report(self, problem: str) -> None:
        self.problems.append(problem)

    def _domain(self, topology: DomainTopology) -> Domain:
        t, profiles = topology, (topology.qos_profiles, topology.routing_profiles)
        return Domain(t.domain, t.kind, t.network_id, self._asn(t), t.modules, *profiles, t.domain in self.stale)

    def _asn(self, topology: DomainTopology) -> int | None:
        numbers = sorted({n.asn for n in topology.nodes if n.asn is not None})
        if len(numbers) > 1:
            self._report(f"domain {topology.domain}: its nodes name several ASNs ({numbers}); {numbers[0]} is used")
        return numbers[0] if numbers else None

    def _take_nodes(self, topology: DomainTopology) -> None:
        for node in topology.nodes:
            other = self.nodes.get(node.id)
            if other is not None:
                self._report(
                    f"node {node.id} is in domain {other.domain} and in domain {topology.domain}; "
                    f"the one of {other.domain} is used"
                )
                continue
            self.nodes[node.id] = self._node(topology, node)
        for port in topology.ports:
            ref = PortRef(port.node, port.id)
            owner = self.nodes.get(port.node)
            if owner is None or owner.domain != topology.domain:
                if owner is None:
                    self._report(f"port {ref} of domain {topology.domain} is on a node that the domain does not list")
                continue
            self.ports[ref] = port
            self.domain_of_port[ref] = topology.domain

    def _node(self, topology: DomainTopology, node: DiscoveredNode) -> Node:
        facts = self.inventory.nodes.get(node.id, NodeFacts())
        site = facts.site or node.site
        regions = facts.regions | node.regions
        if site is not None and site not in self.inventory.sites:
            self._report(f"node {node.id} stands at site {site}, which the inventory does not list")
        elif site is not None and not regions:
            regions = frozenset({self.inventory.sites[site].region})
        trust = facts.trust or node.trust or 1
        availability = NODE_AVAILABILITY if facts.availability is None else facts.availability
        return Node(
            node.id, topology.domain, topology.kind, site, regions, trust, availability, node.te_node_id, node.up
        )

    def _match_locks(self) -> None:
        """Pair each router port with the client port of the same lock id."""
        ends: dict[int, list[PortRef]] = {}
        for ref, port in self.ports.items():
            if port.lock_id is not None:
                ends.setdefault(port.lock_id, []).append(ref)
        optics_known = any(t.kind is DomainKind.OPTICAL for t in self.topologies)
        for lock, refs in sorted(ends.items()):
            kinds = {self.nodes[r.node].kind for r in refs}
            if len(refs) == 2 and len(kinds) == 2:
                self.cables[refs[0]], self.cables[refs[1]] = refs[1], refs[0]
            elif optics_known or len(refs) > 1:
                names = ", ".join(str(r) for r in refs)
                self._report(
                    f"lock id {lock} is carried by {names}; a cable joins one IP port and one optical client port"
                )

    def _take_optics(self, topology: DomainTopology) -> None:
        own = [c for c in topology.circuits if is_ours(c)]
        ours: dict[str, set[int]] = {}
        for circuit in own:
            if circuit.layer == "wavelength":
                for route, channel in (
                    (circuit.route, circuit.channel),
                    (circuit.protect_route, circuit.protect_channel),
                ):
                    for hop in route if channel is not None else ():
                        ours.setdefault(hop, set()).add(channel or 0)
        for fibre in sorted(topology.fibres, key=lambda f: f.id):
            self.fibres[fibre.id] = self._fibre(topology.domain, fibre, ours.get(fibre.id, set()))
        for circuit in topology.circuits:
            self.circuits[circuit.id] = circuit
            if circuit.a_port and circuit.z_port and (circuit.id.startswith(LIT) or not is_ours(circuit)):
                self.circuit_between[frozenset((circuit.a_port, circuit.z_port))] = circuit.id

    def _fibre(self, domain: str, fibre: DiscoveredFibre, ours: set[int]) -> Fibre:
        facts = self.inventory.links.get(fibre.id, LinkFacts())
        availability = (
            1 - FIBRE_UNAVAILABILITY_PER_M * fibre.length_m if facts.availability is None else facts.availability
        )
        return Fibre(
            fibre.id,
            domain,
            fibre.a,
            fibre.z,
            fibre.length_m,
            fibre.length_m * PROPAGATION_S_PER_M,
            fibre.loss_db,
            fibre.srlgs,
            fibre.channels,
            fibre.occupied - ours,
            availability,
            fibre.up,
            facts.plane,
            facts.trust or min((self.nodes[n].trust for n in (fibre.a, fibre.z) if n in self.nodes), default=1),
        )

    def _fibres_under(self, circuit_id: str | None) -> tuple[Fibre, ...]:
        circuit = self.circuits.get(circuit_id or "")
        return tuple(self.fibres[f] for f in circuit.route if f in self.fibres) if circuit else ()

    def _spare_under(self, circuit_id: str | None) -> tuple[str, ...]:
        circuit = self.circuits.get(circuit_id or "")
        return tuple(f for f in circuit.protect_route if f in self.fibres) if circuit else ()

    def _circuit_up(self, circuit_id: str | None) -> bool:
        """A circuit is up when its domain says so and, unprotected, when no fibre under it is down."""
        circuit = self.circuits.get(circuit_id or "")
        if circuit is None:
            return True
        return circuit.up and (bool(circuit.protect_route) or all(f.up for f in self._fibres_under(circuit.id)))

    def _odu_links(self, topology: DomainTopology) -> Iterable[OduLink]:
        ours: dict[str, set[int]] = {}
        for circuit in topology.circuits:
            if circuit.layer != "wavelength" and is_ours(circuit):
                for route, slots in ((circuit.route, circuit.slots), (circuit.protect_route, circuit.protect_slots)):
                    for hop, taken in zip(route, slots, strict=False):
                        ours.setdefault(hop, set()).update(taken)
        for odu in topology.odu_links:
            fibres = self._fibres_under(odu.server_circuit)
            server = self.circuits.get(odu.server_circuit)
            if server is None:
                self._report(
                    f"ODU link {odu.id} of domain {topology.domain} names the circuit {odu.server_circuit}, "
                    "which is not there"
                )
            busy = frozenset(range(1, odu.slots + 1)) - odu.free - frozenset(ours.get(odu.id, ()))
            delay = server.latency_s if server and server.latency_s > 0 else sum(f.delay_s for f in fibres)
            yield OduLink(
                odu.id,
                topology.domain,
                odu.a,
                odu.z,
                tuple(f.id for f in fibres),
                delay,
                frozenset(s for f in fibres for s in f.srlgs),
                odu.slots,
                busy,
                light_availability(fibres, self.nodes),
                odu.up and server is not None and self._circuit_up(odu.server_circuit),
                self._spare_under(odu.server_circuit),
                frozenset(f.plane for f in fibres if f.plane is not None),
                min((f.trust for f in fibres), default=1),
            )

    def _link(
        self, link: DiscoveredLink, domain: str | None, dst: PortRef, reverse: str, up: bool, rank: int = 0
    ) -> Link:
        src = PortRef(link.src, link.src_port)
        facts = self.inventory.links.get(link.id) or self.inventory.links.get(reverse) or LinkFacts()
        clients = (self.cables.get(src), self.cables.get(dst))
        circuit = self.circuit_between.get(frozenset(c.port for c in clients if c)) if all(clients) else None
        fibres = self._fibres_under(circuit)
        lit = circuit is not None and circuit.startswith(LIT)  # for this link alone: what its fibres are, it is
        light = [f.trust for f in fibres if lit]
        own = CABLE_AVAILABILITY if facts.availability is None else facts.availability
        return Link(
            id=link.id,
            domain=domain,
            src=src,
            dst=dst,
            capacity_bps=link.capacity_bps,
            delay_s=link.delay_s,
            srlgs=link.srlgs.union(*(f.srlgs for f in fibres)),
            plane=facts.plane or link.plane or (plane_over(fibres) if lit else None),
            trust=facts.trust or link.trust or min([self.nodes[r.node].trust for r in (src, dst)] + light),
            availability=own * light_availability(fibres, self.nodes),
            circuit=circuit,
            reverse=reverse,
            up=up and self._circuit_up(circuit),
            rank=rank,
            fibres=tuple(f.id for f in fibres),
            spare_fibres=self._spare_under(circuit),
            jitter_s=QUEUE_BITS / max(1, link.capacity_bps) if facts.jitter_s is None else facts.jitter_s,
            loss_ratio=LINK_LOSS if facts.loss_ratio is None else facts.loss_ratio,
            pinned=link.metric >= LAST_METRIC,
        )

    def _port_up(self, *refs: PortRef) -> bool:
        return all(self.ports[r].up and self.nodes[r.node].up for r in refs if r in self.ports)

    def _inner_links(self) -> Iterable[Link]:
        for topology in self.topologies:
            whole = [k for k in topology.links if k.dst is not None and k.dst_port is not None]
            by_ends = {(k.src, k.src_port, k.dst, k.dst_port): k for k in whole}
            for link in whole:
                back = by_ends.get((link.dst or "", link.dst_port or "", link.src, link.src_port))
                if link.src not in self.nodes or link.dst not in self.nodes:
                    self._report(f"link {link.id} of domain {topology.domain} ends at a node that no domain lists")
                elif back is None:
                    self._report(f"link {link.id} of domain {topology.domain} has no reverse direction; not used")
                else:
                    self._check_ends(link, back)
                    src, dst = PortRef(link.src, link.src_port), PortRef(link.dst, link.dst_port or "")
                    yield self._link(link, topology.domain, dst, back.id, link.up and self._port_up(src, dst))

    def _check_ends(self, link: DiscoveredLink, back: DiscoveredLink) -> None:
        if link.capacity_bps != back.capacity_bps and link.id < back.id:
            self._report(
                f"link {link.id} offers {link.capacity_bps} bit/s and its reverse {back.capacity_bps} bit/s; "
                "each direction is used as told"
            )

    def _borders(self) -> tuple[list[Link], dict[PortRef, PortRef]]:
        """Join the half links whose ports carry equal plugs; rank those between the same two domains."""
        half = {
            PortRef(k.src, k.src_port): k
            for t in self.topologies
            for k in t.links
            if k.dst is None or k.dst_port is None
        }
        plugs: dict[bytes, list[PortRef]] = {}
        for ref, port in sorted(self.ports.items()):
            if port.plug is not None:
                plugs.setdefault(port.plug, []).append(ref)
        pairs: dict[tuple[str, str], list[tuple[PortRef, PortRef]]] = {}
        for plug, refs in sorted(plugs.items()):
            if len(refs) != 2 or self.domain_of_port[refs[0]] == self.domain_of_port[refs[1]]:
                names = ", ".join(f"{r} (domain {self.domain_of_port[r]})" for r in refs)
                self._report(
                    f"plug {plug.decode(errors='replace')!r} is carried by {names}; "
                    "a border cable joins one port of each of two domains"
                )
            elif refs[0] not in half or refs[1] not in half:
                missing = refs[0] if refs[0] not in half else refs[1]
                self._report(
                    f"border port {missing} has a plug but its domain offers no link on it, "
                    "so nothing is known of its rate"
                )
            else:
                key = (self.domain_of_port[refs[0]], self.domain_of_port[refs[1]])
                pairs.setdefault(key, []).append((refs[0], refs[1]))
        links: list[Link] = []
        peers: dict[PortRef, PortRef] = {}
        for _, members in sorted(pairs.items()):
            members.sort(key=lambda pair: self._border_order(half[pair[0]], half[pair[1]]))
            for position, (a, z) in enumerate(members, start=1):
                peers[a], peers[z] = z, a
                there, back = half[a], half[z]
                self._check_ends(there, back)
                up = there.up and back.up and self._port_up(a, z)
                links.append(self._link(there, None, z, back.id, up, position))
                links.append(self._link(back, None, a, there.id, up, position))
        return links, peers

    def _border_order(self, there: DiscoveredLink, back: DiscoveredLink) -> tuple[int, float, str]:
        """The inventory's rank, else the shorter border first."""
        facts = self.inventory.links.get(there.id) or self.inventory.links.get(back.id) or LinkFacts()
        return (facts.rank or 99, there.delay_s, min(there.id, back.id))

    def _ports(self, links: list[Link], peers: dict[PortRef, PortRef]) -> dict[PortRef, Port]:
        rate = {link.src: link.capacity_bps for link in links}
        result: dict[PortRef, Port] = {}
        for ref, port in sorted(self.ports.items()):
            facts = self.inventory.ports.get(str(ref), PortFacts())
            site = facts.site or port.site
            if site is not None and site not in self.inventory.sites:
                self._report(f"port {ref} is handed to site {site}, which the inventory does not list")
            rates = port.rates_bps
            if not rates and (known := facts.rate_bps or rate.get(ref)):
                rates = (known,)
            peer = peers.get(ref) or self.cables.get(ref)
            role = self._role(ref, port, ref in rate)
            if facts.role and (facts.role, role) != ("otn", "core"):  # a link that we lit ends on a spare port
                role = facts.role
            result[ref] = Port(
                ref, self.domain_of_port[ref], rates, role, peer, site, port.up, self._foreign_user(port)
            )
        return result

    def _foreign_user(self, port: DiscoveredPort) -> str | None:
        """Who uses a whole port, unless it is a service of ours: that one is in the ledger."""
        if (port.used_by or "").startswith(LIT):  # until a transaction of ours ends it is held, and no circuit any more
            return None
        circuit = self.circuits.get(port.used_by or "")
        return None if circuit is not None and is_ours(circuit) else port.used_by

    def _role(self, ref: PortRef, port: DiscoveredPort, linked: bool) -> str:
        if self.nodes[ref.node].kind is DomainKind.OPTICAL:
            return "client"
        if port.plug is not None:
            return "border"
        if linked:
            return "core"
        return "otn" if ref in self.cables else "access"

    def _sites(self, ports: dict[PortRef, Port]) -> dict[str, Site]:
        clients: dict[str, list[PortRef]] = {}
        for ref, port in ports.items():
            if port.role == "client" and port.site is not None:
                clients.setdefault(port.site, []).append(ref)
        by_name = {str(ref): ref for ref in ports}
        sites: dict[str, Site] = {}
        for name, facts in sorted(self.inventory.sites.items()):
            access = by_name.get(facts.access) if facts.access else None
            if facts.access and access is None:
                self._report(f"site {name} hangs on {facts.access}, a port that no domain lists")
            sites[name] = Site(
                name, facts.title, facts.region, facts.latitude, facts.longitude, access, tuple(clients.get(name, ()))
            )
        return sites
