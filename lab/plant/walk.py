"""One packet's way through the city, hop by hop, and why it ends where it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from lab.plant.cable import Link
from lab.plant.forwarding import Forwarding
from lab.plant.routes import Route, VrfKey
from lab.plant.units import Access, Action, Address, Path, Rule, Tunnel, covers

MOST_CROSSINGS = 16  # borders and circuits before we call it a loop
SHARED = -1  # partition number of the part of a link that nobody has for himself


@dataclass(frozen=True, slots=True)
class Packet:
    source: Address
    destination: Address
    protocol: int = 17
    source_port: int = 0
    destination_port: int = 0


@dataclass(slots=True)
class Walk:
    """What happened. `delivered` None: dropped, for `reason`. Links carry (link, partition, queue)."""

    delivered: Access | None = None
    reason: str = ""
    links: list[tuple[Link, int, int]] = field(default_factory=list)
    circuits: list[str] = field(default_factory=list)
    tunnels: list[tuple[str, str]] = field(default_factory=list)
    action: Action | None = None  # of the first classification
    text: list[str] = field(default_factory=list)


class Dropped(Exception):  # noqa: N818 – an event on the way, not an error
    """The packet ends here."""


def walk(forwarding: Forwarding, ingress: Access, packet: Packet) -> Walk:
    """Send a packet in at an access and follow it."""
    way = Walk()
    try:
        _follow(forwarding, ingress, packet, way)
    except Dropped as end:
        way.reason = str(end)
        way.text.append(f"dropped: {end}")
    return way


def _follow(forwarding: Forwarding, ingress: Access, packet: Packet, way: Walk) -> None:
    access = ingress
    if not forwarding.port_up(access):
        raise Dropped(f"{access.node}/{access.port} is down")
    _only(forwarding, (access.node, access.port, access.vlan))
    for crossing in range(MOST_CROSSINGS):
        key = forwarding.vrf_of[access.domain, access.key]
        target, action = classify(access, packet)
        if crossing == 0:
            way.action = action
        queue = action.queue if action is not None else 0
        _say(way, f"{access.node}/{access.port} vlan {access.vlan} → VRF {key[1]} ({key[3]})", target, queue)
        table = forwarding.tables.get(key)
        route = table.lookup(packet.destination) if table is not None else None
        if route is None:
            raise Dropped(f"{access.node}: VRF {key[1]} has no route to {_show(packet.destination)}")
        if route.vrf[2] != access.node:
            _transport(forwarding, key, route, target, queue, way)
        out = route.access
        if not forwarding.port_up(out):
            raise Dropped(f"{out.node}/{out.port} is down")
        if route.vrf[1] != key[1]:
            way.text.append(f"{out.node}: into VPN {route.vrf[1]}, another than {key[1]}: the route targets let it")
        if forwarding.physical.port_role.get((out.node, out.port)) == "access":
            _deliver(forwarding, route, packet, way)
            return
        access = _cross(forwarding, route, queue, way)
    raise Dropped(f"went round {MOST_CROSSINGS} times: a loop")


def classify(access: Access, packet: Packet) -> tuple[str, Action | None]:
    """Return (class, action) of the first rule that matches; ("", None) where none does."""
    for rule in access.rules:
        if _matches(rule, packet):
            return rule.target, access.actions.get(rule.target)
    return "", None


def _matches(rule: Rule, packet: Packet) -> bool:
    if rule.protocol is not None and rule.protocol != packet.protocol:
        return False
    if rule.source is not None and not covers(rule.source, packet.source):
        return False
    if rule.destination is not None and not covers(rule.destination, packet.destination):
        return False
    if rule.source_ports and not rule.source_ports[0] <= packet.source_port <= rule.source_ports[1]:
        return False
    low_high = rule.destination_ports
    return not low_high or low_high[0] <= packet.destination_port <= low_high[1]


def _transport(forwarding: Forwarding, key: VrfKey, route: Route, target: str, queue: int, way: Walk) -> None:
    """Carry the packet to the node where the route leaves the domain: in a tunnel if steering says so."""
    domain, node, remote = key[0], key[2], route.vrf[2]
    steering = forwarding.vrfs[key].steering
    tunnels, drop_else = steering.get((remote, target)) or steering.get((remote, "*")) or ((), False)
    for name in tunnels:
        tunnel = forwarding.tunnels.get((domain, name))
        path = live_path(forwarding, tunnel) if tunnel is not None else None
        if tunnel is not None and path is not None:
            _in_tunnel(forwarding, tunnel, path, node, remote, queue, way)
            return
    if tunnels and drop_else:
        raise Dropped(
            f"{node}: no tunnel to {remote} is up ({', '.join(tunnels)}) and the steering forbids any other way"
        )
    links = forwarding.shortest(domain, node, remote)
    if links is None:
        raise Dropped(f"{node}: no way to {remote} inside {domain}")
    for link in links:
        _take(way, link, SHARED, queue, "IGP")


def live_path(forwarding: Forwarding, tunnel: Tunnel) -> Path | None:
    """Return the first path none of whose links is down. Whether its hops make sense, only a packet finds out."""
    physical = forwarding.physical
    stuck = physical.circuits.stuck.get(tunnel.name)
    if stuck and tunnel.paths:
        return tunnel.paths[0]  # its router believes that it switched: packets still take the first way
    for path in tunnel.paths if stuck is None else tunnel.paths[:1]:
        links = [physical.link_from.get(hop) for hop in path.hops]
        if path.hops and all(link is None or physical.link_up[link.id] for link in links):
            return path
    return None


def _in_tunnel(
    forwarding: Forwarding, tunnel: Tunnel, path: Path, node: str, remote: str, queue: int, way: Walk
) -> None:
    if tunnel.source != node:
        raise Dropped(f"{node}: tunnel {tunnel.name} starts at {tunnel.source}")
    way.tunnels.append((tunnel.domain, tunnel.name))
    here = node
    for hop_node, hop_port in path.hops:
        if hop_node != here:
            raise Dropped(f"{here}: tunnel {tunnel.name} ({path.name}) names a port of {hop_node} here")
        link = forwarding.physical.link_from.get((hop_node, hop_port))
        if link is None or link.domain != tunnel.domain:
            raise Dropped(
                f"{here}: tunnel {tunnel.name} leaves by {hop_port}, behind which is no link of {tunnel.domain}"
            )
        if not forwarding.physical.link_up[link.id]:
            raise Dropped(f"{here}: tunnel {tunnel.name} ({path.name}) leaves by {hop_port}, which is dark")
        _take(way, link, _partition(forwarding, tunnel, link), queue, f"tunnel {tunnel.name} {path.name}")
        here = link.destination[0]
    if here != remote:
        raise Dropped(f"{here}: tunnel {tunnel.name} ends here, the VPN label belongs to {remote}")
    if here != tunnel.destination:
        raise Dropped(f"{here}: tunnel {tunnel.name} should end at {tunnel.destination}")


def _partition(forwarding: Forwarding, tunnel: Tunnel, link: Link) -> int:
    if tunnel.nrp is None:
        return SHARED
    partition = forwarding.partition_by_number.get((tunnel.domain, tunnel.nrp))
    if partition is None or link.id not in partition.rates_bps:
        raise Dropped(f"{link.source[0]}: {link.id} has no partition {tunnel.nrp} for tunnel {tunnel.name}")
    return tunnel.nrp


def _deliver(forwarding: Forwarding, route: Route, packet: Packet, way: Walk) -> None:
    out = route.access
    _only(forwarding, (out.node, out.port, out.vlan))
    customers = {customer for _, _, customer in out.addresses}
    if route.next_hop is not None and route.next_hop not in customers:
        raise Dropped(f"{out.node}/{out.port}: nobody answers at {_show(route.next_hop)}")
    if route.next_hop is None and packet.destination not in customers:
        raise Dropped(f"{out.node}/{out.port}: nobody answers at {_show(packet.destination)}")
    way.delivered = out
    way.text.append(f"{out.node}/{out.port} vlan {out.vlan}: delivered to {out.key}")


def _cross(forwarding: Forwarding, route: Route, queue: int, way: Walk) -> Access:
    """Leave by a border or a circuit and come in at the far end."""
    physical, out = forwarding.physical, route.access
    port = (out.node, out.port)
    link, vlan = physical.link_from.get(port), out.vlan
    if link is not None and link.domain is None:
        if not physical.link_up[link.id]:
            raise Dropped(f"{link.id} is down")
        _take(way, link, SHARED, queue, f"border vlan {vlan}")
        far_port = link.destination
    elif port in physical.client_of and link is None:
        far_port, vlan = _ride(forwarding, physical.client_of[port], vlan, way)
    else:
        raise Dropped(f"{out.node}/{out.port} leads to no border, circuit or site")
    far = _only(forwarding, (*far_port, vlan))
    if route.next_hop is not None and route.next_hop not in [ours for _, ours, _ in far.addresses]:
        raise Dropped(f"{far.node}/{far.port} vlan {vlan}: nobody answers at {_show(route.next_hop)}")
    return far


def _ride(forwarding: Forwarding, client: str, vlan: int, way: Walk) -> tuple[tuple[str, str], int]:
    circuits = forwarding.physical.circuits
    riding = circuits.at(client, vlan)
    if len(riding) != 1:
        what = "no circuit takes" if not riding else f"{' and '.join(c.id for c, _ in riding)} both take"
        raise Dropped(f"{client}: {what} VLAN {vlan}")
    circuit, (far_client, far_vlan) = riding[0]
    state = circuits.states[circuit.id]
    if not state.up:
        raise Dropped(f"circuit {circuit.id} is down: {state.reason}")
    way.circuits.append(circuit.id)
    way.text.append(
        f"{client}: circuit {circuit.id} ({state.active} leg, {state.latency_s * 1e6:.0f} µs) to {far_client}"
    )
    router = forwarding.physical.router_of.get(far_client)
    if router is None:
        raise Dropped(f"{far_client}: handed to the site's own equipment, not to a router")
    if not forwarding.physical.port_up[router]:
        raise Dropped(f"{router[0]}/{router[1]} is down")
    return router, far_vlan or vlan


def _only(forwarding: Forwarding, place: tuple[str, str, int]) -> Access:
    found = forwarding.accesses_at.get(place, [])
    if len(found) != 1:
        what = "nobody listens" if not found else f"{' and '.join(a.key for a in found)} both claim"
        raise Dropped(f"{place[0]}/{place[1]}: {what} VLAN {place[2]}")
    return found[0]


def _take(way: Walk, link: Link, partition: int, queue: int, how: str) -> None:
    way.links.append((link, partition, queue))
    over = f", over circuit {link.circuit}" if link.written else ""
    way.text.append(f"{link.source[0]}/{link.source[1]} → {link.destination[0]} ({how}{over})")


def _say(way: Walk, where: str, target: str, queue: int) -> None:
    way.text.append(f"{where}, class {target}, queue {queue}" if target else where)


def _show(address: Address) -> str:
    return str(IPv4Address(address[1]) if address[0] == 4 else IPv6Address(address[1]))
