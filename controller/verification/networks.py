"""One VPN of one domain by itself: labels, addresses, borders, names, steering, and that nobody else is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from controller.intent.model import ServiceId, VipAssurance
from controller.network.model import Domain
from controller.verification.facts import Access, Span, SteeringEntry, Vpn
from controller.verification.forwarding import Forwarding, unlike
from controller.verification.model import owner_of, service_of
from controller.verification.proof import CounterExample, Property
from controller.verification.reading import span


@dataclass(frozen=True, slots=True)
class NetworkProver:
    """Checks one VPN of one domain. `protectors`: the VIPs that may add to it."""

    vpn: Vpn
    forwarding: Forwarding
    protectors: tuple[VipAssurance, ...]

    @property
    def service(self) -> ServiceId:
        return service_of(self.vpn.id)

    def check(self) -> Iterator[CounterExample]:
        domain = self.forwarding.city.domains[self.vpn.domain]
        yield from self._distinguishers()
        yield from self._targets()
        for access in self.vpn.accesses.values():
            self.forwarding.steps += 1
            yield from self._vlan(access)
            yield from self._addresses(access)
            yield from self._names(access, domain)
            if access.rank or self.forwarding.role(access) == "border":
                yield from self._border(access)
        for entry in self.vpn.steering.values():
            yield from self._steering(entry)

    def _distinguishers(self) -> Iterator[CounterExample]:
        for instance in self.vpn.instances.values():
            owners = self.forwarding.model.owners("rd", self.vpn.domain, instance.rd)
            witness = f"route distinguisher {instance.rd or '?'}"
            if not instance.rd:
                reason = f"{instance.profile} has none at {instance.node}"
                yield self._broken(Property.REACHABILITY, witness, (instance.node,), reason)
            elif len(owners) > 1:
                reason = f"{' and '.join(_instance_text(o) for o in owners)} share it: one hides the other's routes"
                yield self._broken(Property.REACHABILITY, witness, (instance.node,), reason)

    def _targets(self) -> Iterator[CounterExample]:
        """Check that nobody else hears this VPN's routes, and that it hears nobody else's."""
        model = self.forwarding.model
        for instance in self.vpn.instances.values():
            sides = (("import", instance.exports, "imports"), ("export", instance.imports, "exports"))
            for kind, targets, verb in sides:
                for target in sorted(targets):
                    for owner in model.owners(kind, self.vpn.domain, target):
                        self.forwarding.steps += 1
                        other, node, _ = owner.split("|")
                        if other != self.vpn.id:
                            reason = f"{service_of(other)} {verb} route target {target} at {node}"
                            yield self._broken(
                                Property.ISOLATION, f"routes of {self.vpn.id} at {instance.node}", (node,), reason
                            )

    def _vlan(self, access: Access) -> Iterator[CounterExample]:
        port = self.forwarding.city.ports.get(access.where)
        if port is None or port.domain != self.vpn.domain:
            reason = f"{self.vpn.domain} has no port {access.where}"
            yield self._broken(Property.REACHABILITY, access.id, (access.node,), reason)
            return
        owners = self.forwarding.model.owners("vlan", str(access.where), str(access.vlan))
        others = [o.replace("|", " ") for o in owners if o != f"{self.vpn.id}|{access.id}"]
        if others:
            reason = f"{access.id} and {', '.join(others)} both use it"
            yield self._broken(Property.CAPACITY, f"VLAN {access.vlan} of {access.where}", (), reason)
        far = self.forwarding.across(access)
        if far is not None and far.vpn != self.vpn.id:
            reason = f"VLAN {access.vlan} of {access.where} ends in {service_of(far.vpn)}"
            yield self._broken(Property.ISOLATION, access.id, (access.node, far.node), reason)

    def _addresses(self, access: Access) -> Iterator[CounterExample]:
        reason = address_fault(access)
        if reason:
            yield self._broken(Property.REACHABILITY, access.id, (str(access.where),), reason)
        if (access.node, access.profile) not in self.vpn.instances:
            reason = f"profile {access.profile or '?'} is not active there"
            yield self._broken(Property.REACHABILITY, access.id, (access.node,), reason)

    def _names(self, access: Access, domain: Domain) -> Iterator[CounterExample]:
        """Check that the profiles exist: the domain owns them, and refuses what names another."""
        for kind, used, owned in (
            ("QoS", access.qos_profiles, domain.qos_profiles),
            ("routing", access.routing_profiles, domain.routing_profiles),
        ):
            unknown = [name for name in used if name not in owned]
            if unknown and owned:  # a domain that lists none has not said which it owns
                reason = f"{domain.id} has no {kind} profile {unknown[0]}"
                yield self._broken(Property.REACHABILITY, access.id, (access.node,), reason)

    def _border(self, access: Access) -> Iterator[CounterExample]:
        """Check that a border access meets its like on the other side: same VPN, mirrored addresses and AS numbers."""
        far = self.forwarding.across(access)
        witness = f"border {access.id}, VLAN {access.vlan}"
        if far is None:
            port = self.forwarding.city.ports.get(access.where)
            there = str(port.peer) if port is not None and port.peer is not None else "the other side"
            reason = f"no access, or more than one, takes in VLAN {access.vlan} at {there}"
            yield self._broken(Property.REACHABILITY, witness, (access.node,), reason)
            return
        reason = unlike(access, far)
        if not reason and access.rank != far.rank:
            reason = f"the two sides disagree on its rank, {access.rank} and {far.rank}"
        asn = self.forwarding.city.domains[self.vpn.domain].asn
        if not reason and asn is not None and access.local_as != str(asn):
            reason = f"AS {access.local_as} is not that of {self.vpn.domain}, {asn}"
        if reason:
            yield self._broken(Property.REACHABILITY, witness, (access.node, far.node), reason)

    def _steering(self, entry: SteeringEntry) -> Iterator[CounterExample]:
        """Check that steering names tunnels that exist, lead there, and belong to the service or a VIP over it."""
        allowed = {self.service, *(v.metadata.service for v in self.protectors)}
        witness = f"steering of class {entry.target} from {entry.node} to {entry.remote}"
        for name in entry.tunnels:
            self.forwarding.steps += 1
            tunnel = self.forwarding.model.tunnels.get((self.vpn.domain, name))
            if tunnel is None:
                reason = f"{self.vpn.domain} has no tunnel {name}"
                yield self._broken(Property.REACHABILITY, witness, (entry.node,), reason)
            elif (tunnel.src, tunnel.dst) != (entry.node, entry.remote):
                reason = f"tunnel {name} leads from {tunnel.src} to {tunnel.dst}"
                yield self._broken(Property.REACHABILITY, witness, (tunnel.src, tunnel.dst), reason)
            if owner_of("tunnel", name) not in allowed:
                reason = f"tunnel {name} belongs to {owner_of('tunnel', name)}"
                yield self._broken(Property.ISOLATION, witness, (entry.node, entry.remote), reason)

    def _broken(self, what: Property, witness: str, path: tuple[str, ...], reason: str) -> CounterExample:
        return CounterExample(what, self.service, witness, path, reason)


def address_fault(access: Access) -> str:
    """Return what is wrong with an access's addresses and next hops; empty where nothing is."""
    near, far, subnet = span(access.address), span(access.customer), access.subnet
    if near is None or far is None:
        return f"{access.address or '?'} and {access.customer or '?'} are not both addresses"
    if near == far or subnet is None or far[0] != subnet[0] or not subnet[1] <= far[1] <= subnet[2]:
        return f"{access.customer} is not a neighbour of {access.address}/{access.prefix_len}"
    if access.unlike:
        return access.unlike
    if len(access.spans) < len(access.lans):
        return "it has a route for what is not a prefix"
    for (lan, hop), covered in zip(access.lans, access.spans, strict=True):
        if hop != access.customer:
            return f"its route for {lan} points at {hop}, the neighbour is {access.customer}"
        if covered[0] != far[0]:
            return f"its route for {lan} points at {hop}, an address of another family"
    return ""


def overlaps(service: ServiceId, accesses: list[Access], twins: frozenset[tuple[str, str]]) -> Iterator[CounterExample]:
    """Check that no two accesses of one VPN claim the same address; `twins` are access pairs that may share a LAN."""
    spans = sorted((s, a.id) for a in accesses for s in (*a.spans, *((a.subnet,) if a.subnet else ())))
    version, reach, holder, held = 0, -1, "", (0, 0, 0)
    for taken, access_id in spans:
        if taken[0] == version and taken[1] <= reach and access_id != holder:
            twin = taken == held and (min(holder, access_id), max(holder, access_id)) in twins
            if not twin:
                reason = f"{holder} and {access_id} both lead to it: a packet goes to whichever is nearer"
                yield CounterExample(Property.ISOLATION, service, _span_text(taken), (holder, access_id), reason)
        if taken[0] != version or taken[2] > reach:
            version, reach, holder, held = taken[0], taken[2], access_id, taken


def _span_text(taken: Span) -> str:
    kind = IPv4Address if taken[0] == 4 else IPv6Address
    return f"{kind(taken[1])}–{kind(taken[2])}"


def _instance_text(owner: str) -> str:
    vpn_id, node, profile = owner.split("|")
    return f"{service_of(vpn_id)} ({profile} at {node})"
