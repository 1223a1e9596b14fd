"""What carries a service, by the names of the things that can fail, and what a failure does to it.

Components are named as telemetry names them: "link:<id>", "fibre:<id>", "odu:<id>", "node:<id>". A placement rides
some of them; when some are down it is unharmed, has lost what stood by, was switched to it, or is dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from enum import IntEnum

from controller.network.model import CityMap
from controller.planning.placement import Leg, Placement, Route, Stitch

Component = str
WAVELENGTH = "wavelength"


class Damage(IntEnum):
    """What the failure of components did to one service; the worse is the greater."""

    NONE = 0
    EXPOSED = 1  # carries on, but what stood by is gone
    SWITCHED = 2  # its domain or its routing led it around: it carries on unguarded
    DEAD = 3  # nothing carries it any more


def shown(component: Component) -> str:
    """Return a component as people name it: an id that says its kind already is not called so twice."""
    kind, _, name = component.partition(":")
    return name if name.startswith(f"{kind}:") else component


def leg_components(layer: str, leg: Leg) -> tuple[Component, ...]:
    """Return the fibres or ODU links of a leg."""
    kind = "fibre" if layer == WAVELENGTH else "odu"
    return tuple(f"{kind}:{hop}" for hop in leg.route)


def route_components(route: Route) -> tuple[Component, ...]:
    """Return the directed IP links of a pinned route."""
    return tuple(f"link:{link}" for link in route.links)


def ridden(placement: Placement) -> frozenset[Component]:
    """Return everything a placement rides, standby included: the failure of nothing else concerns it."""
    return frozenset(_all(placement))


def _all(placement: Placement) -> Iterator[Component]:
    for circuit in placement.circuits:
        yield from (f"node:{circuit.a.node}", f"node:{circuit.z.node}")
        for leg in (circuit.working, circuit.protect):
            if leg is not None:
                yield from leg_components(circuit.layer, leg)
    for tunnel in placement.tunnels:
        for route in (tunnel.working, tunnel.standby):
            if route is not None:
                yield from route_components(route)
    for stitch in placement.stitches:
        if stitch.link is not None:
            yield f"link:{stitch.link}"
    for rate in placement.rates:
        if not rate.link.startswith("port:"):
            yield f"link:{rate.link}"
    for attachment in placement.attachments:
        yield f"node:{attachment.node}"


def damage(placement: Placement, down: Set[Component]) -> Damage:
    """Return the worst that the components that are down do to any part of a service.

    `down` is closed (see `closure`): a cut fibre brings the links over it along.
    """
    if not down:
        return Damage.NONE
    return max(_parts(placement, down), default=Damage.NONE)


def _parts(placement: Placement, down: Set[Component]) -> Iterator[Damage]:
    # Sorted out once: a failure asks of a thousand services, each of which names a dozen parts and lost one.
    nodes = {c[5:] for c in down if c.startswith("node:")}
    links = {c[5:] for c in down if c.startswith("link:")}
    if nodes and any(attachment.node in nodes for attachment in placement.attachments):
        yield Damage.DEAD
    for circuit in placement.circuits:
        if circuit.a.node in nodes or circuit.z.node in nodes:
            yield Damage.DEAD
        protect = None if circuit.protect is None else leg_components(circuit.layer, circuit.protect)
        found = _pair(leg_components(circuit.layer, circuit.working), protect, down)
        # What is only kept for a circuit carries nothing before we light it.
        yield Damage.DEAD if found is Damage.SWITCHED and circuit.shared else found
    if not links:
        return
    for tunnel in placement.tunnels:
        yield _pair(tunnel.working.links, None if tunnel.standby is None else tunnel.standby.links, links)
    yield from _borders(placement.stitches, links)
    if any(rate.link in links for rate in placement.rates):
        # Held capacity over what is down: routers lead the traffic elsewhere, where nothing is held for it.
        yield Damage.SWITCHED if placement.trees or placement.tunnels else Damage.EXPOSED


def _pair(working: tuple[str, ...], standby: tuple[str, ...] | None, down: Set[str]) -> Damage:
    dead = not down.isdisjoint(working)
    if standby is None:
        return Damage.DEAD if dead else Damage.NONE
    spare_dead = not down.isdisjoint(standby)
    if dead:
        return Damage.DEAD if spare_dead else Damage.SWITCHED
    return Damage.EXPOSED if spare_dead else Damage.NONE


def _borders(stitches: Iterable[Stitch], links: Set[str]) -> Iterator[Damage]:
    """Between two domains one border of several may go; the last must not. links: those that are down."""
    between: dict[frozenset[str], list[bool]] = {}
    for stitch in stitches:
        if stitch.link is not None:
            ends = frozenset((stitch.a.domain, stitch.z.domain))
            between.setdefault(ends, []).append(stitch.link in links)
    for dead in between.values():
        if all(dead):
            yield Damage.DEAD
        elif any(dead):
            yield Damage.SWITCHED


def closure(city: CityMap, down: Set[Component], routes: Mapping[str, tuple[str, ...]]) -> frozenset[Component]:
    """Return everything that is down because these are: what rides on a fibre, ends at a node, or faces a dead end.

    routes: fibres under each lit circuit that links ride on. A link without its other direction is no link.
    """
    if not down:
        return frozenset()
    found = set(down)
    nodes = {c.removeprefix("node:") for c in down if c.startswith("node:")}
    found |= {f"fibre:{f.id}" for f in city.fibres.values() if f.a in nodes or f.z in nodes}
    dark = {c.removeprefix("fibre:") for c in found if c.startswith("fibre:")}
    for odu in city.odu_links.values():
        if odu.a in nodes or odu.z in nodes or not dark.isdisjoint(odu.fibres):
            found.add(f"odu:{odu.id}")
    unlit = {c.removeprefix("circuit:") for c in found if c.startswith("circuit:")}
    unlit |= {circuit for circuit, fibres in routes.items() if not dark.isdisjoint(fibres)}
    for link in city.links:
        ended = link.src.node in nodes or link.dst.node in nodes
        if ended or link.circuit in unlit or f"link:{link.id}" in down or f"link:{link.reverse}" in down:
            found.add(f"link:{link.id}")
    return frozenset(found)
