"""What a service normally rides on, apart from what only stands by for it."""

from __future__ import annotations

from controller.network.model import CityMap
from controller.planning.circuits import risks_of_route
from controller.planning.layers import Layers
from controller.planning.placement import Placement

WAVELENGTH = "wavelength"


def risks_of(net: Layers, placement: Placement) -> frozenset[int]:
    """Return the shared risks under what a service normally rides on: working legs, routes, borders, hoses."""
    links = {k for k in worked_over(placement) if k in net.link_index}
    risks = {r for k in links for r in net.links[net.link_index[k]].srlgs}
    for circuit in placement.circuits:
        risks |= risks_of_route(net, circuit.working.route)
    return frozenset(risks)


def worked_over(placement: Placement) -> frozenset[str]:
    """Return the IP links, fibres and ODU links that a service normally rides on; of a plane all that it may load."""
    return frozenset(component.partition(":")[2] for component in carried_by(placement))


def carried_by(placement: Placement) -> frozenset[str]:
    """Return the same as components: "link:<id>", "fibre:<id>", "odu:<id>"."""
    parts = {f"link:{k}" for t in placement.tunnels for k in t.working.links}
    parts |= {f"link:{s.link}" for s in placement.stitches if s.link is not None and s.rank == 1}
    parts |= {f"link:{r.link}" for r in placement.rates if placement.trees}
    for circuit in placement.circuits:
        kind = "fibre" if circuit.layer == WAVELENGTH else "odu"
        parts |= {f"{kind}:{hop}" for hop in circuit.working.route}
    return frozenset(parts)


def stands_by_over(placement: Placement) -> frozenset[str]:
    """Return the IP links, fibres and ODU links (ids) that only stand by for a service."""
    parts = {k for t in placement.tunnels if t.standby is not None for k in t.standby.links}
    parts |= {s.link for s in placement.stitches if s.link is not None and s.rank != 1}
    parts |= {hop for c in placement.circuits if c.protect is not None for hop in c.protect.route}
    return frozenset(parts) - worked_over(placement)


def crossed_by(city: CityMap, vip: Placement, below: Placement) -> frozenset[str]:
    """Return the border links (ids, both directions) over which what a VIP protects takes it now.

    They are the plane's: its routers send all of its traffic over the best border that is up, whatever the class.
    """
    held = {rate.link for rate in vip.rates}
    best: dict[frozenset[str], str] = {}
    for stitch in sorted(below.stitches, key=lambda s: s.rank):
        link = city.link_by_id.get(stitch.link or "")
        if link is not None and link.up and all(city.nodes[end.node].up for end in (link.src, link.dst)):
            best.setdefault(frozenset((stitch.a.domain, stitch.z.domain)), link.id)
    both = ((k, city.link_by_id[k].reverse) for k in best.values())
    return frozenset(k for pair in both if not held.isdisjoint(pair) for k in pair)
