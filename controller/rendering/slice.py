"""An exclusive slice: dedicated circuits under lone VRFs, or a partition of the packet network with pinned tunnels."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from controller.intent.model import ExclusiveSlice
from controller.network.model import CityMap, PortRef
from controller.planning.placement import Attachment, Placement, Stitch, StitchEnd
from controller.rendering.l3vpn import (
    SLICE_PROFILE,
    Access,
    Profile,
    border_access,
    by_domain,
    circuit_access,
    lone_profile,
    mesh_profile,
    site_access,
    vpn_id,
    vpn_service,
)
from controller.rendering.merge import merge
from controller.rendering.optical import circuit_fragment
from controller.rendering.partitions import partition_fragment
from controller.rendering.steering import steering_overlay
from controller.rendering.tree import Tree
from controller.rendering.tunnels import measured_network, tunnel_fragment


def render_slice(wanted: ExclusiveSlice, placement: Placement, city: CityMap) -> dict[str, Tree]:
    """Return each domain's fragment of a slice; between optical client ports there is no IP part at all."""
    out: dict[str, Tree] = {}
    service = wanted.metadata.service
    for circuit in placement.circuits:
        out[circuit.domain] = merge(out.get(circuit.domain, {}), circuit_fragment(circuit, service))
    for domain in by_domain(placement):
        out[domain] = merge(out.get(domain, {}), _vpn(wanted, placement, city, domain))
    for name in sorted({t.domain for t in placement.tunnels} | {p.domain for p in placement.partitions}):
        out[name] = merge(out.get(name, {}), _underlay(wanted, placement, city, name))
    return out


def _vpn(wanted: ExclusiveSlice, placement: Placement, city: CityMap, domain: str) -> Tree:
    over_circuits = any(stitch.circuit for stitch in placement.stitches)
    asn, number = city.domains[domain].asn or 0, placement.number
    profile = lone_profile(number) if over_circuits else mesh_profile(asn, number)
    service = wanted.metadata.service
    extra: Tree = {}
    if placement.partitions:
        instance = f"slice/{vpn_id(service)}"
        extra["l3nm:underlay-transport"] = {
            "l3nm:transport-instance-id": instance,
            "l3nm:instance-type": "ietf-vpn-common:ietf-network-slice",
        }
    accesses = tuple(_accesses(wanted, placement, city, domain, profile))
    tree = vpn_service(service, wanted.metadata.name, city, domain, (profile,), accesses, extra)
    return merge(tree, steering_overlay(placement, city, domain, vpn_id(service), {}))


def _accesses(
    wanted: ExclusiveSlice, placement: Placement, city: CityMap, domain: str, profile: Profile
) -> Iterator[Access]:
    service = wanted.metadata.service
    for attachment in placement.attachments:
        if attachment.domain == domain:
            yield site_access(service, attachment, profile.name, SLICE_PROFILE)
    for stitch in placement.stitches:
        for near, far in ((stitch.a, stitch.z), (stitch.z, stitch.a)):
            if near.domain != domain:
                continue
            if stitch.circuit is None:
                yield border_access(service, stitch, near, far, profile.name, SLICE_PROFILE)
            else:
                lans = _far_lans(wanted, placement, stitch, near, far)
                vlan = _circuit_vlan(placement, city, stitch, near)
                yield circuit_access(service, stitch, near, far, profile.name, SLICE_PROFILE, lans, vlan)


def _far_lans(
    wanted: ExclusiveSlice, placement: Placement, stitch: Stitch, near: StitchEnd, far: StitchEnd
) -> tuple[str, ...]:
    """Return the LANs that lie behind a circuit: of the far accesses that have a demand with this end."""
    here = {a.access for a in placement.attachments if a.node == near.node}
    there = {a.access: a for a in placement.attachments if a.node == far.node}
    pairs = [(d.a, d.z) for d in wanted.demands] + [(d.z, d.a) for d in wanted.demands]
    own = [(a, z) for a, z in pairs if stitch.name in {f"circuit.{a}-{z}", f"circuit.{z}-{a}"}] or pairs
    partners = sorted({z for a, z in own if a in here and z in there})
    return tuple(dict.fromkeys(prefix for name in partners for prefix in _behind(there[name])))


def _behind(attachment: Attachment) -> tuple[str, ...]:
    """Return the prefixes that an access leads to: its LANs, or where it has none the link to the site itself."""
    return attachment.lans or (str(ip_network(f"{attachment.pe_address}/{attachment.prefix_len}", strict=False)),)


def _circuit_vlan(placement: Placement, city: CityMap, stitch: Stitch, near: StitchEnd) -> int:
    """Return the VLAN on the router's port: that of the circuit's end where the client port is shared."""
    client = None
    port = city.ports.get(PortRef(near.node, near.port))
    if port is not None:
        client = port.peer
    for circuit in placement.circuits:
        if circuit.id == stitch.circuit and client in (circuit.a, circuit.z):
            return (circuit.a_vlan if client == circuit.a else circuit.z_vlan) or stitch.vlan
    return stitch.vlan


def _underlay(wanted: ExclusiveSlice, placement: Placement, city: CityMap, name: str) -> Tree:
    """Return partition, tunnels and their measurement in one domain."""
    domain, out = city.domains[name], Tree()
    service = wanted.metadata.service
    for partition in placement.partitions:
        if partition.domain == name:
            out = merge(out, partition_fragment(partition, domain))
    tunnels = tuple(tunnel for tunnel in placement.tunnels if tunnel.domain == name)
    out = merge(out, tunnel_fragment(tunnels, city, domain, placement.number, service))
    return merge(out, measured_network(vpn_id(service), tunnels, domain))
