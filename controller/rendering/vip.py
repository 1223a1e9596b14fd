"""A VIP assurance: what it adds to the VPN of the service that it protects, while its window is open.

Only keys and added nodes, so that closing the window leaves the carrier exactly as it was. The carrier's placement says
where the accesses and borders are; the VIP's own placement brings the pinned tunnels and who rides them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from controller.intent.model import Conference, VipAssurance
from controller.network.model import CityMap
from controller.planning.placement import Placement, Stitch
from controller.rendering.classification import (
    REST,
    Treatment,
    between_all,
    class_id,
    everything,
    from_host,
    qos_overlay,
    to_host,
    treatments,
)
from controller.rendering.l3vpn import access_id, in_vpn_services, vpn_id
from controller.rendering.merge import merge
from controller.rendering.plane import reachable
from controller.rendering.steering import steering_overlay
from controller.rendering.tree import Tree
from controller.rendering.tunnels import binds, measured_network, tunnel_fragment


@dataclass(frozen=True, slots=True)
class _Treated:
    """One access of the carrier that the VIP touches."""

    domain: str
    node: str
    name: str  # as in the carrier: the access, or the stitch
    hose_bps: int
    rules: Tree
    treated: tuple[Treatment, ...]


def render_vip(vip: VipAssurance, placement: Placement, city: CityMap, carrier: Placement) -> dict[str, Tree]:
    """Return each domain's overlay on the carrier's VPN, and the VIP's tunnels with their measurement."""
    out: dict[str, Tree] = {}
    vpn = vpn_id(vip.protects)
    touched = _conference(vip, vip.conference, carrier) if vip.conference else _all_accesses(vip, carrier)
    for one in touched:
        overlay = _overlay(vip, one, binding=binds(city.domains[one.domain]))
        out[one.domain] = merge(out.get(one.domain, {}), overlay)
    flows = vip.conference.flows if vip.conference else vip.flows
    classes = {name: class_id(vip, name) for name in [*(flow.target_class for flow in flows), REST]}
    domains = {t.domain for t in placement.tunnels} | {s.domain for s in placement.steering}
    for name in sorted(domains):
        domain = city.domains[name]
        tunnels = tuple(tunnel for tunnel in placement.tunnels if tunnel.domain == name)
        for fragment in (
            steering_overlay(placement, city, name, vpn, classes),
            tunnel_fragment(tunnels, city, domain, placement.number, vip.metadata.service),
            measured_network(vpn, tunnels, domain),
        ):
            out[name] = merge(out.get(name, {}), fragment)
    return {name: tree for name, tree in sorted(out.items()) if tree}


def _overlay(vip: VipAssurance, one: _Treated, *, binding: bool) -> Tree:
    vpn, access = vpn_id(vip.protects), access_id(vip.protects, one.name)
    service = qos_overlay(vip, one.rules, one.treated, one.hose_bps, binding=binding)
    entry: Tree = {"l3nm:id": access, "l3nm:service": service}
    node: Tree = {
        "l3nm:vpn-node-id": one.node,
        "l3nm:vpn-network-accesses": {("l3nm:vpn-network-access", access): entry},
    }
    return in_vpn_services(vpn, {"l3nm:vpn-id": vpn, "l3nm:vpn-nodes": {("l3nm:vpn-node", one.node): node}})


def _conference(vip: VipAssurance, conference: Conference, carrier: Placement) -> Iterator[_Treated]:
    """Yield the parties' accesses, the MCU's, and the borders between them."""
    here = {attachment.access: attachment for attachment in carrier.attachments}
    mcu, flows = conference.mcu, conference.flows
    parties = Counter(party.access for party in conference.parties)
    rules: dict[str, Tree] = {name: {} for name in parties}
    for party in conference.parties:
        rules[party.access] |= to_host(vip, party.name, flows, mcu.address, party.address)
    rules[mcu.access] = rules.get(mcu.access, {}) | from_host(vip, "from-mcu", flows, mcu.address)
    for name in sorted(rules):
        at = here[name]
        times = parties.total() if name == mcu.access else parties[name]
        yield _Treated(at.domain, at.node, name, at.rate_bps, rules[name], treatments(flows, times))
    home = here[mcu.access].domain
    crossing = Counter({here[name].domain: 0 for name in parties})
    for name, count in parties.items():
        crossing[here[name].domain] += count
    both = to_host(vip, "to-mcu", flows, mcu.address) | from_host(vip, "from-mcu", flows, mcu.address)
    for stitch in carrier.stitches:
        times = _parties_across(stitch, home, crossing, carrier)
        if times:
            yield from _both_ends(stitch, both, treatments(flows, times))


def _parties_across(stitch: Stitch, home: str, parties: Counter[str], carrier: Placement) -> int:
    """Return how many parties are cut off from the MCU's domain where this border is closed."""
    near, far = stitch.a.domain, stitch.z.domain
    if near == far:
        return 0
    if home not in reachable(carrier.stitches, near, without=far):
        near, far = far, near
    beyond = reachable(carrier.stitches, far, without=near)
    return sum(count for domain, count in parties.items() if domain in beyond and home not in beyond)


def _both_ends(stitch: Stitch, rules: Tree, treated: tuple[Treatment, ...]) -> Iterator[_Treated]:
    for end in (stitch.a, stitch.z):
        yield _Treated(end.domain, end.node, stitch.name, stitch.rate_bps, rules, treated)


def _all_accesses(vip: VipAssurance, carrier: Placement) -> Iterator[_Treated]:
    """Yield every access and stitch of the carrier: flows, or all traffic, are assured between all of them."""
    rules = between_all(vip, vip.flows)
    for at in carrier.attachments:
        treated = treatments(vip.flows, 1) or everything(vip.rate_bps or at.rate_bps)
        yield _Treated(at.domain, at.node, at.access, at.rate_bps, rules, treated)
    for stitch in carrier.stitches:
        treated = treatments(vip.flows, len(carrier.attachments)) or everything(stitch.rate_bps)
        yield from _both_ends(stitch, rules, treated)
