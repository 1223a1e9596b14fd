"""Whether a standing placement still serves: everything it rides on is there, up, and its own to hold."""

from __future__ import annotations

from controller.network.ledger import Ledger
from controller.network.model import CityMap, PortRef
from controller.planning.layers import Layers
from controller.planning.placement import Leg, Placement
from controller.planning.worked import carried_by


def still_sound(city: CityMap, net: Layers, ledger: Ledger, placement: Placement) -> bool:
    """Return whether the placement could be taken again, unchanged. `ledger` is without it."""
    if city.standby_only and not city.standby_only.isdisjoint(carried_by(placement)):
        return False
    return _ports_stand(city, placement) and _legs_stand(city, placement) and _room(net, ledger, placement)


def _ports_stand(city: CityMap, placement: Placement) -> bool:
    refs = [PortRef(a.node, a.port) for a in placement.attachments]
    refs += [PortRef(e.node, e.port) for s in placement.stitches for e in (s.a, s.z)]
    refs += [ref for c in placement.circuits for ref in (c.a, c.z)]
    if any(ref not in city.ports for ref in refs):
        return False
    # Read while a transaction was open, a port of ours is held for a circuit that was not there yet.
    return all(city.ports[ref].used_by in (None, c.id) for c in placement.circuits for ref in (c.a, c.z))


def _legs_stand(city: CityMap, placement: Placement) -> bool:
    legs = [leg for c in placement.circuits for leg in (c.working, c.protect) if leg is not None]
    return all(_leg_stands(city, leg) for leg in legs)


def _leg_stands(city: CityMap, leg: Leg) -> bool:
    for hop in leg.route:
        part = city.fibres.get(hop) or city.odu_links.get(hop)
        if part is None or not part.up or not (city.nodes[part.a].up and city.nodes[part.z].up):
            return False
    return True


def _room(net: Layers, ledger: Ledger, placement: Placement) -> bool:
    if any(ledger.rivals(r) for r in placement.labels):
        return False
    for rate in placement.rates:
        if rate.link.startswith("port:"):
            continue  # a client port: whoever shares it holds other VLANs, and the sum was proven with this one in
        at = net.link_index.get(rate.link)
        if at is None or not net.up[at]:
            return False
        if ledger.free_bps(rate.link, rate.start, rate.end, squeeze=rate.squeezes) < rate.rate_bps:
            return False
    return True
