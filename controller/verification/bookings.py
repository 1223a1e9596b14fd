"""What circuits, tunnels and partitions take, and whether they can: labels, slots, channels, ports, explicit routes.

Looks only at the units that a change read, and at what else claims the same labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from controller.intent.model import Disjointness, ServiceId
from controller.network.model import CityMap, Fibre, OduLink, PortRef
from controller.verification.facts import Circuit, CircuitLeg, Hops, Partition, Tunnel, covers
from controller.verification.forwarding import Forwarding
from controller.verification.model import KEPT, owner_of
from controller.verification.proof import CounterExample, Property, srlg_text

SLOT_BPS = 1.301467e9  # the most that one 1.25G tributary slot carries, in an ODU4 (ITU-T G.709 table 7-8)
CONTAINERS = {  # payload in bit/s and slots in an ODU4 (ITU-T G.709 tables 7-2, 7-9); ODUflex is as large as its client
    "ODU0": (1_238_950_000, 1), "ODU1": (2_488_320_000, 2), "ODU2": (9_995_280_000, 8),
    "ODU2e": (10_356_010_000, 8), "ODU3": (40_150_520_000, 31), "ODU4": (104_355_980_000, 80),
}  # fmt: skip
LINE_MODES = frozenset({"100G QPSK SC-FEC"})
_DB_EASE = 1e-6

Apart = tuple[Disjointness, ...]
SRLG: Apart = (Disjointness.SRLG,)


def circuit_bookings(circuit: Circuit, forwarding: Forwarding, apart: Apart = SRLG) -> Iterator[CounterExample]:
    """Check one circuit: labels free, ends free, legs continuous and as far apart as asked, enough slots."""
    service, city = ServiceId(circuit.owner), forwarding.city
    yield from _ends(circuit, forwarding)
    for leg in (circuit.working, circuit.protect):
        if leg is not None:
            yield from _leg(circuit, leg, service, city)
            yield from _labels(circuit, leg, forwarding)
    if circuit.protect is not None:
        shared = leg_risks(circuit.working, city) & leg_risks(circuit.protect, city)
        shared = shared if Disjointness.SRLG in apart else frozenset()
        if shared or set(circuit.working.route) & set(circuit.protect.route):
            reason = f"working and protect share {srlg_text(city, shared)}"
            yield CounterExample(Property.DISJOINTNESS, service, circuit.id, circuit.protect.route, reason)
        ends = {port.rsplit("/", 1)[0] for port, _ in circuit.ends}
        both = _leg_nodes(circuit.working, city) & _leg_nodes(circuit.protect, city) - ends
        if both and Disjointness.NODE in apart:
            reason = f"working and protect both pass {', '.join(sorted(both))}"
            yield CounterExample(Property.DISJOINTNESS, service, circuit.id, circuit.protect.route, reason)


def _ends(circuit: Circuit, forwarding: Forwarding) -> Iterator[CounterExample]:
    """Check that both client ports exist and that nobody else has them, or the VLAN, or the room left on them."""
    service, model = ServiceId(circuit.owner), forwarding.model
    for port, vlan in circuit.ends:
        forwarding.steps += 1
        known = forwarding.city.ports.get(PortRef(port.rsplit("/", 1)[0], port))
        label = f"client port {port}"
        if known is None or known.role != "client":
            yield CounterExample(Property.REACHABILITY, service, label, (), f"{circuit.id} ends on no client port")
            continue
        if known.used_by not in (None, circuit.id):
            yield CounterExample(Property.CAPACITY, service, label, (), f"{known.used_by} holds it, which is not ours")
        takers = model.claims.get(("client", port), {})
        same = _others(takers.get(str(vlan), ()), circuit.id)
        if same:
            yield CounterExample(
                Property.CAPACITY, service, f"VLAN {vlan} of {port}" if vlan else label, (), _both(circuit.id, same)
            )
        everyone = {c for owners in takers.values() for c in owners}
        if vlan == 0 and len(everyone) > 1 and not same:
            reason = _both(circuit.id, sorted(everyone - {circuit.id}))
            yield CounterExample(Property.CAPACITY, service, label, (), reason)
        load = sum(model.circuits[known.domain, c].rate_bps for c in everyone if (known.domain, c) in model.circuits)
        if known.rates_bps and load > max(known.rates_bps):
            reason = f"{load / 1e9:g} Gbit/s end on it, it runs at {max(known.rates_bps) / 1e9:g}"
            yield CounterExample(Property.CAPACITY, service, label, (), reason)


def _labels(circuit: Circuit, leg: CircuitLeg, forwarding: Forwarding) -> Iterator[CounterExample]:
    """Check that every slot or channel of a leg is free of others, of infrastructure, and of the circuit itself."""
    service, city = ServiceId(circuit.owner), forwarding.city
    wave = circuit.layer == "wavelength"
    for at, hop in enumerate(leg.route):
        labels = (leg.channel,) if wave else leg.slots[at] if at < len(leg.slots) else ()
        span: Fibre | OduLink | None = city.fibres.get(hop) if wave else city.odu_links.get(hop)
        for label in labels:
            forwarding.steps += 1
            name = f"{'channel' if wave else 'timeslot'} {label} of {hop}"
            kind, kept = "channel" if wave else "slot", circuit.shared and leg is circuit.protect
            owners = forwarding.model.owners(kind, hop, str(label))
            keepers = forwarding.model.owners(KEPT + kind, hop, str(label))
            if len(owners) > 1 or (owners and keepers):
                others = _others(tuple(o.split("|")[0] for o in (*owners, *keepers)), circuit.id)
                others = others or [f"{circuit.id} once more"]
                yield CounterExample(Property.CAPACITY, service, name, leg.route, _both(circuit.id, others))
            elif kept and len(keepers) > 1:
                yield from _needed_at_once(circuit, leg, name, keepers, forwarding)
            mine = forwarding.model.ours(circuit, KEPT + kind if kept else kind, hop, str(label))
            if span is not None and label in span.occupied and not mine:
                reason = "infrastructure or somebody unknown to us holds it"
                yield CounterExample(Property.CAPACITY, service, name, leg.route, reason)


def _needed_at_once(
    circuit: Circuit, leg: CircuitLeg, name: str, keepers: tuple[str, ...], forwarding: Forwarding
) -> Iterator[CounterExample]:
    """Check that of those who keep one label for restoration no two lose their working legs by one failure."""
    service, mine = ServiceId(circuit.owner), working_risks(circuit, forwarding.city)
    for other in dict.fromkeys(o.split("|")[0] for o in keepers):
        rival = forwarding.model.circuits.get((circuit.domain, other))
        forwarding.steps += 1
        if other == circuit.id or rival is None:
            continue
        both = sorted(mine & working_risks(rival, forwarding.city))
        if both:
            reason = f"{circuit.id} and {other} both need it when {_named(both[0], forwarding.city)} fails"
            yield CounterExample(Property.CAPACITY, service, name, leg.route, reason)
    if len(keepers) > len({o.split("|")[0] for o in keepers}):
        yield CounterExample(Property.CAPACITY, service, name, leg.route, f"{circuit.id} keeps it once more")


def working_risks(circuit: Circuit, city: CityMap) -> frozenset[str]:
    """Return what takes a working leg down, ends aside: "fibre:…", "node:…", and ducts as "srlg:…"."""
    spans = [city.fibres.get(hop) or city.odu_links.get(hop) for hop in circuit.working.route]
    under = [f for span in spans if isinstance(span, OduLink) for f in span.fibres]
    under += [span.id for span in spans if isinstance(span, Fibre)]
    every = [*(s for s in spans if s is not None), *(city.fibres[f] for f in under if f in city.fibres)]
    ends = {port.rsplit("/", 1)[0] for port, _ in circuit.ends}
    found = {f"fibre:{f}" for f in under} | {f"srlg:{risk}" for span in every for risk in span.srlgs}
    return frozenset(found | {f"node:{n}" for span in every for n in (span.a, span.z) if n not in ends})


def _named(risk: str, city: CityMap) -> str:
    kind, _, name = risk.partition(":")
    return srlg_text(city, frozenset({int(name)})) if kind == "srlg" else name


def _leg(circuit: Circuit, leg: CircuitLeg, service: ServiceId, city: CityMap) -> Iterator[CounterExample]:
    """Check that a leg leads from one end to the other and takes labels that exist, enough of them."""
    wave = circuit.layer == "wavelength"
    if circuit.layer not in ("wavelength", "odu"):
        reason = f"{circuit.layer or 'nothing'} is no layer of the optical network"
        yield CounterExample(Property.REACHABILITY, service, circuit.id, leg.route, reason)
    spans: Mapping[str, Fibre] | Mapping[str, OduLink] = city.fibres if wave else city.odu_links
    at, end = (port.rsplit("/", 1)[0] for port, _ in circuit.ends)
    visited = [at]
    for hop in leg.route:
        span = spans.get(hop)
        if span is None or at not in (span.a, span.z):
            reason = f"{hop} does not start at {at}"
            yield CounterExample(Property.REACHABILITY, service, circuit.id, leg.route, reason)
            return
        at = span.z if span.a == at else span.a
        visited.append(at)
    if at != end or not leg.route:
        reason = f"it ends at {at}, not at {end}" if leg.route else "it has no route"
        yield CounterExample(Property.REACHABILITY, service, circuit.id, leg.route, reason)
    if len(set(visited)) != len(visited):
        yield CounterExample(Property.LOOPS, service, circuit.id, tuple(visited), "it visits a node twice")
    yield from _grid(circuit, leg, service, city) if wave else _enough(circuit, leg, service, city)


def _grid(circuit: Circuit, leg: CircuitLeg, service: ServiceId, city: CityMap) -> Iterator[CounterExample]:
    if circuit.mode not in LINE_MODES:
        reason = f"nobody knows how far light of mode {circuit.mode or 'none at all'} reaches"
        yield CounterExample(Property.REACHABILITY, service, circuit.id, leg.route, reason)
    dark_db = _dark_db(leg, city)
    if dark_db > 0:
        reason = f"light falls {dark_db:.2g} dB short over {len(leg.route)} fibres"
        yield CounterExample(Property.REACHABILITY, service, circuit.id, leg.route, reason)
    if any(not 1 <= leg.channel <= city.fibres[hop].channels for hop in leg.route):
        reason = f"channel {leg.channel} is not on the grid"
        yield CounterExample(Property.CAPACITY, service, circuit.id, leg.route, reason)


def _dark_db(leg: CircuitLeg, city: CityMap) -> float:
    """Return by how much light misses its mode's need at the end of a leg; 0 where it does not, or nobody knows."""
    light = [fibre.light for hop in leg.route if (fibre := city.fibres.get(hop)) is not None]
    known = [each.sums for each in light if each is not None]
    if city.line_mode is None or not known or len(known) < len(leg.route):
        return 0.0
    noise, pdl2, pmd2, dispersion = (sum(column) for column in zip(*known, strict=True))
    return max(0.0, -city.line_mode.margin_db(noise, pdl2, pmd2, dispersion) - _DB_EASE)


def _enough(circuit: Circuit, leg: CircuitLeg, service: ServiceId, city: CityMap) -> Iterator[CounterExample]:
    box_bps, box_slots = CONTAINERS.get(circuit.odu, (circuit.rate_bps, 0))
    if (circuit.odu not in CONTAINERS and circuit.odu != "ODUflex") or box_bps < circuit.rate_bps:
        reason = f"{circuit.odu or 'no container'} does not carry {circuit.rate_bps / 1e9:g} Gbit/s"
        yield CounterExample(Property.CAPACITY, service, circuit.id, leg.route, reason)
    needed = max(box_slots, math.ceil(circuit.rate_bps / SLOT_BPS))
    for at, hop in enumerate(leg.route):
        slots = set(leg.slots[at]) if at < len(leg.slots) else set()
        if len(slots) < needed or any(not 1 <= s <= city.odu_links[hop].slots for s in slots):
            reason = f"{len(slots)} slots on {hop}, {needed} are needed for {circuit.rate_bps / 1e9:g} Gbit/s"
            yield CounterExample(Property.CAPACITY, service, circuit.id, leg.route, reason)


def _leg_nodes(leg: CircuitLeg, city: CityMap) -> frozenset[str]:
    spans = [city.fibres.get(hop) or city.odu_links.get(hop) for hop in leg.route]
    return frozenset(node for span in spans if span is not None for node in (span.a, span.z))


def leg_risks(leg: CircuitLeg, city: CityMap) -> frozenset[int]:
    """Return the shared risks under a leg."""
    spans = [city.fibres.get(hop) or city.odu_links.get(hop) for hop in leg.route]
    return frozenset().union(*(span.srlgs for span in spans if span is not None))


def route_risks(hops: Hops, forwarding: Forwarding) -> frozenset[int]:
    """Return the shared risks under an explicit route."""
    return forwarding.trail(hops).risks


def tunnel_bookings(tunnel: Tunnel, forwarding: Forwarding, apart: Apart = SRLG) -> Iterator[CounterExample]:
    """Check one tunnel: hops from source to destination inside its domain, no loop, paths as far apart as asked."""
    service = owner_of("tunnel", tunnel.name)
    for role, hops in (("working", tunnel.working), ("standby", tunnel.standby)):
        if hops is not None:
            yield from _route(tunnel, role, hops, forwarding, service)
    if tunnel.gives_way:
        reason = f"others may take its place: it holds it with priority {tunnel.hold}, 0 is for what is never preempted"
        yield CounterExample(Property.CAPACITY, service, f"tunnel {tunnel.name}", (), reason)
    if tunnel.spare:
        reason = "its working path names no standby, so nothing switches to the second path that it has"
        yield CounterExample(Property.DISJOINTNESS, service, f"tunnel {tunnel.name}", (), reason)
    if tunnel.idle_ms:
        reason = f"it waits {tunnel.idle_ms} ms after a failure before it switches to its standby"
        yield CounterExample(Property.DISJOINTNESS, service, f"tunnel {tunnel.name}", (), reason)
    if tunnel.standby is not None:
        shared = route_risks(tunnel.working, forwarding) & route_risks(tunnel.standby, forwarding)
        shared = shared if Disjointness.SRLG in apart else frozenset()
        if shared or set(tunnel.working) & set(tunnel.standby):
            reason = f"working and standby share {srlg_text(forwarding.city, shared)}"
            yield CounterExample(Property.DISJOINTNESS, service, f"tunnel {tunnel.name}", (), reason)
        both = {hop.node for hop in tunnel.working[1:]} & {hop.node for hop in tunnel.standby[1:]}
        if both and Disjointness.NODE in apart:
            reason = f"working and standby both pass {', '.join(sorted(both))}"
            yield CounterExample(Property.DISJOINTNESS, service, f"tunnel {tunnel.name}", (), reason)
    if tunnel.partition is not None:
        yield from _draws(tunnel, tunnel.partition, forwarding, service)


def _route(
    tunnel: Tunnel, role: str, hops: Hops, forwarding: Forwarding, service: ServiceId
) -> Iterator[CounterExample]:
    forwarding.steps += len(hops)
    witness = f"tunnel {tunnel.name}, {role} path"
    trail = forwarding.trail(hops)
    if trail.failure:
        yield CounterExample(Property.REACHABILITY, service, witness, tuple(str(h) for h in hops), trail.failure)
        return
    links, nodes = trail.links, (tunnel.src, *trail.nodes)
    if len(set(nodes)) != len(nodes):
        yield CounterExample(Property.LOOPS, service, witness, nodes, "it visits a node twice")
    if not links or links[0].src.node != tunnel.src or nodes[-1] != tunnel.dst:
        reason = f"it does not lead from {tunnel.src} to {tunnel.dst}"
        yield CounterExample(Property.REACHABILITY, service, witness, nodes, reason)
    outside = next((link.id for link in links if link.domain != tunnel.domain), None)
    if outside is not None:
        reason = f"{outside} is not a link of {tunnel.domain}"
        yield CounterExample(Property.REACHABILITY, service, witness, nodes, reason)


def _draws(tunnel: Tunnel, nrp_id: int, forwarding: Forwarding, service: ServiceId) -> Iterator[CounterExample]:
    """Check that the partition a tunnel draws from exists and covers its links at its rate."""
    model = forwarding.model
    names = model.owners("nrp-id", tunnel.domain, str(nrp_id))
    partition = model.partitions.get((tunnel.domain, names[0])) if names else None
    if partition is None:
        reason = f"it draws from NRP {nrp_id}, which {tunnel.domain} does not have"
        yield CounterExample(Property.CAPACITY, service, f"tunnel {tunnel.name}", (), reason)
        return
    hops, out, rates, needed = (
        (*tunnel.working, *(tunnel.standby or ())),
        forwarding.out,
        partition.rates,
        tunnel.rate_bps,
    )
    forwarding.steps += len(hops)
    lacking = [link for hop in hops if (link := out.get(hop)) is not None and not covers(rates.get(link.id, 0), needed)]
    if lacking:
        link, rate = lacking[0], rates.get(lacking[0].id, 0)
        reason = f"NRP {partition.name} has {rate / 1e9:g} Gbit/s on {link.id}, {needed / 1e9:g} ride it"
        yield CounterExample(Property.CAPACITY, service, f"tunnel {tunnel.name}", (link.id,), reason)


def partition_bookings(partition: Partition, forwarding: Forwarding) -> Iterator[CounterExample]:
    """Check one partition: its id is its own and its links exist in its domain."""
    service = owner_of("partition", partition.name)
    others = _others(forwarding.model.owners("nrp-id", partition.domain, str(partition.nrp_id)), partition.name)
    if others:
        label = f"nrp-id {partition.nrp_id} of {partition.domain}"
        yield CounterExample(Property.CAPACITY, service, label, (), _both(partition.name, others))
    forwarding.steps += len(partition.rates)
    known, domain = forwarding.city.link_by_id, partition.domain
    for link_id in [k for k in partition.rates if k not in known or known[k].domain != domain]:
        yield CounterExample(Property.CAPACITY, service, partition.name, (link_id,), f"{domain} has no such link")


def _others(owners: tuple[str, ...], mine: str) -> list[str]:
    return sorted({o for o in owners if o != mine})


def _both(mine: str, others: list[str]) -> str:
    return f"{mine} and {', '.join(others)} both use it"
