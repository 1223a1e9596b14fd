"""What is taken, and whether it can be: labels, slots, channels, ports, bandwidth, explicit routes, disjointness.

Looks only at the units that a change read, and at what else claims the same labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from controller.intent.model import ServiceId
from controller.network.model import CityMap, Fibre, OduLink
from controller.verification.forwarding import Forwarding
from controller.verification.model import Claim, claims_of_circuit, claims_of_partition, claims_of_vpn
from controller.verification.parse import Circuit, CircuitLeg, Partition, Tunnel, Vpn
from controller.verification.proof import CounterExample, Property

SLOT_BPS = 1.301467e9  # the most that one 1.25G tributary slot carries, in an ODU4 (ITU-T G.709 table 7-8)
_WORDS = {"vlan": "VLAN", "slot": "timeslot", "channel": "channel", "client": "client port", "nrp-id": "nrp-id"}


def service_of(vpn_id: str) -> ServiceId:
    """Return the service that a VPN id stands for: `tenant.name` is `tenant/name`."""
    return ServiceId(vpn_id.replace(".", "/", 1))


def vpn_bookings(vpn: Vpn, forwarding: Forwarding) -> Iterator[CounterExample]:
    """Check that no VLAN of this VPN is also somebody else's."""
    for claim, owner in claims_of_vpn(vpn):
        if claim[0] == "vlan":
            forwarding.steps += 1
            yield from _shared(claim, owner, service_of(vpn.id), forwarding)


def circuit_bookings(circuit: Circuit, forwarding: Forwarding) -> Iterator[CounterExample]:
    """Check one circuit: labels free, ends free, legs continuous and disjoint, enough slots for the rate."""
    service, city = ServiceId(circuit.owner), forwarding.city
    for claim, owner in claims_of_circuit(circuit):
        forwarding.steps += 1
        if claim[0] in ("slot", "channel"):
            yield from _shared(claim, owner, service, forwarding)
            if int(claim[2]) in _occupied(claim, city):
                yield _capacity(service, claim, "infrastructure holds it")
        elif claim[0] == "client":
            yield from _shared(claim, owner, service, forwarding)
            others = forwarding.model.claims.get(("client-port", claim[1], ""), ())
            if claim[2] == "0" and len(set(others)) > 1:
                yield _capacity(service, claim, f"the whole port is taken, but {_others(others, owner)} use it too")
    for leg in (circuit.working, circuit.protect):
        if leg is not None:
            yield from _leg(circuit, leg, service, city)
    if circuit.protect is not None:
        shared = _leg_srlgs(circuit.working, city) & _leg_srlgs(circuit.protect, city)
        if shared:
            names = ", ".join(sorted(city.srlg_names.get(s, str(s)) for s in shared))
            yield CounterExample(
                Property.DISJOINTNESS, service, circuit.id, circuit.protect.route, f"working and protect share {names}"
            )


def tunnel_bookings(tunnel: Tunnel, service: ServiceId, forwarding: Forwarding) -> Iterator[CounterExample]:
    """Check one tunnel: its hops lead from source to destination without a loop, its paths share no risk."""
    risks: list[frozenset[int]] = []
    for role, hops in (("working", tunnel.working), ("standby", tunnel.standby)):
        if hops is None:
            continue
        forwarding.steps += len(hops)
        links = forwarding.follow(hops)
        named = tuple(str(h) for h in hops)
        if isinstance(links, str):
            yield CounterExample(Property.REACHABILITY, service, f"tunnel {tunnel.name}, {role} path", named, links)
            continue
        nodes = [tunnel.src, *(link.dst.node for link in links)]
        if len(set(nodes)) != len(nodes):
            yield CounterExample(
                Property.LOOPS, service, f"tunnel {tunnel.name}, {role} path", tuple(nodes), "it visits a node twice"
            )
        if not links or links[0].src.node != tunnel.src or nodes[-1] != tunnel.dst:
            reason = f"it does not lead from {tunnel.src} to {tunnel.dst}"
            yield CounterExample(
                Property.REACHABILITY, service, f"tunnel {tunnel.name}, {role} path", tuple(nodes), reason
            )
        risks.append(frozenset().union(*(link.srlgs for link in links)))
        yield from _link_loads(tunnel.name, service, [link.id for link in links], forwarding)
    if len(risks) == 2 and risks[0] & risks[1]:
        names = ", ".join(sorted(forwarding.city.srlg_names.get(s, str(s)) for s in risks[0] & risks[1]))
        yield CounterExample(
            Property.DISJOINTNESS, service, f"tunnel {tunnel.name}", (), f"working and standby share {names}"
        )


def partition_bookings(partition: Partition, service: ServiceId, forwarding: Forwarding) -> Iterator[CounterExample]:
    """Check one partition: its id is its own and its links have the room."""
    for claim, owner in claims_of_partition(partition):
        yield from _shared(claim, owner, service, forwarding)
    yield from _link_loads(partition.name, service, sorted(partition.links), forwarding)


def _link_loads(what: str, service: ServiceId, links: list[str], forwarding: Forwarding) -> Iterator[CounterExample]:
    booked = forwarding.model.booked
    for link_id in links:
        link = forwarding.city.link_by_id.get(link_id)
        forwarding.steps += 1
        if link is None:
            yield CounterExample(Property.CAPACITY, service, what, (link_id,), "there is no such link")
            continue
        load = booked.get(link.id, 0) + booked.get(link.src, 0)
        if load > link.capacity_bps:
            reason = f"{load / 1e9:.3f} Gbit/s are guaranteed on it, {link.capacity_bps / 1e9:.3f} Gbit/s exist"
            yield CounterExample(Property.CAPACITY, service, what, (link_id,), reason)


def _shared(claim: Claim, owner: str, service: ServiceId, forwarding: Forwarding) -> Iterator[CounterExample]:
    owners = forwarding.model.claims.get(claim, ())
    if len(owners) > 1:
        yield _capacity(service, claim, f"{owner} and {_others(owners, owner)} both use it")


def _others(owners: tuple[str, ...], owner: str) -> str:
    return ", ".join(sorted({o for o in owners if o != owner})) or f"{owner} again"


def _capacity(service: ServiceId, claim: Claim, reason: str) -> CounterExample:
    label = "" if claim[0] == "client" and claim[2] == "0" else f" {claim[2]}"
    return CounterExample(Property.CAPACITY, service, f"{_WORDS[claim[0]]}{label} of {claim[1]}", (), reason)


def _occupied(claim: Claim, city: CityMap) -> frozenset[int]:
    span: Fibre | OduLink | None = city.fibres.get(claim[1]) if claim[0] == "channel" else city.odu_links.get(claim[1])
    return span.occupied if span is not None else frozenset()


def _leg(circuit: Circuit, leg: CircuitLeg, service: ServiceId, city: CityMap) -> Iterator[CounterExample]:
    """Check that a leg leads from one end to the other and takes labels that exist, enough of them."""
    spans: dict[str, Fibre] | dict[str, OduLink] = (
        dict(city.fibres) if circuit.layer == "wavelength" else dict(city.odu_links)
    )
    at, end = (port.rsplit("/", 1)[0] for port, _ in circuit.ends)
    visited = [at]
    for hop in leg.route:
        span = spans.get(hop)
        if span is None or at not in (span.a, span.z):
            yield CounterExample(Property.REACHABILITY, service, circuit.id, leg.route, f"{hop} does not start at {at}")
            return
        at = span.z if span.a == at else span.a
        visited.append(at)
    if at != end:
        yield CounterExample(Property.REACHABILITY, service, circuit.id, leg.route, f"it ends at {at}, not at {end}")
    if len(set(visited)) != len(visited):
        yield CounterExample(Property.LOOPS, service, circuit.id, tuple(visited), "it visits a node twice")
    if circuit.layer == "wavelength":
        if any(not 1 <= leg.channel <= city.fibres[hop].channels for hop in leg.route):
            yield CounterExample(
                Property.CAPACITY, service, circuit.id, leg.route, f"channel {leg.channel} is not on the grid"
            )
        return
    needed = math.ceil(circuit.rate_bps / SLOT_BPS)
    for hop, slots in zip(leg.route, (*leg.slots, *((),) * len(leg.route)), strict=False):
        if len(set(slots)) < needed or any(not 1 <= s <= city.odu_links[hop].slots for s in slots):
            reason = (
                f"{len(set(slots))} valid slots on {hop}, {needed} are needed for {circuit.rate_bps / 1e9:g} Gbit/s"
            )
            yield CounterExample(Property.CAPACITY, service, circuit.id, leg.route, reason)


def _leg_srlgs(leg: CircuitLeg, city: CityMap) -> frozenset[int]:
    spans = [city.fibres.get(hop) or city.odu_links.get(hop) for hop in leg.route]
    return frozenset().union(*(span.srlgs for span in spans if span is not None))
