"""What a way costs the city, in one currency over both layers: one channel over one fibre is 1.

A lit ODU4 or IP link needs a channel on each fibre under it and a pair of transponders, worth ten channels; what takes
a part of it costs that part. So a timeslot circuit over three lit links is dearer per bit than a wavelength once it
fills them, and far cheaper while it does not. The proportions are our own; operators may weigh them otherwise.
"""

from __future__ import annotations

from controller.network.model import CityMap
from controller.planning.placement import CircuitPlacement, Placement

TRANSPONDERS = 10.0  # a pair of them, in channels over a fibre
ROUTER_PORTS = 20.0  # a pair of router ports
KEPT = 0.5  # of the price of what is kept for restoration: others keep it too


def lit_link(fibres: int) -> float:
    """Return the price of a whole channel lit over so many fibres."""
    return TRANSPONDERS + max(1, fibres)


def share_of_odu(slots: int, all_slots: int, fibres: int) -> float:
    """Return the price of some slots of one lit ODU link."""
    return lit_link(fibres) * slots / max(1, all_slots)


def share_of_ip(rate_bps: int, capacity_bps: int, fibres: int) -> float:
    """Return the price of a rate on one direction pair of an IP link."""
    return (lit_link(fibres) + ROUTER_PORTS) * rate_bps / max(1, capacity_bps)


def price(placement: Placement, city: CityMap) -> float:
    """Return what a whole placement costs: its circuits, both legs, and the rates that it holds on IP links."""
    rates: dict[str, int] = {}
    for r in placement.rates:
        link = city.link_by_id.get(r.link)
        if link is not None:
            pair = min(link.id, link.reverse)
            rates[pair] = max(rates.get(pair, 0), r.rate_bps)
    links = [(city.link_by_id[k], rate) for k, rate in sorted(rates.items())]
    over_ip = sum(share_of_ip(rate, k.capacity_bps, len(k.fibres)) for k, rate in links)
    return over_ip + sum(_circuit(c, city) for c in placement.circuits)


def _circuit(circuit: CircuitPlacement, city: CityMap) -> float:
    total = 0.0
    for leg in (circuit.working, circuit.protect):
        if leg is None:
            continue
        dark = circuit.shared and leg is circuit.protect
        if circuit.layer == "wavelength":
            # What is kept for restoration is lit with the transponders of the working leg.
            total += len(leg.route) * KEPT if dark else lit_link(len(leg.route))
            continue
        for hop, slots in zip(leg.route, leg.slots, strict=True):
            odu = city.odu_links.get(hop)
            if odu is not None:
                total += share_of_odu(len(slots), odu.slots, len(odu.fibres)) * (KEPT if dark else 1.0)
    return total
