"""IP links that are configured, over light that is configured: whether they are there, and what they are.

A link of ours counts for what its configuration makes of it and for nothing that planning said: where both directions
stand, between two ports of the domain that are cabled to client ports, and one circuit joins those. The map that
everything else is proven on has exactly these links of ours.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace

from controller.intent.model import ServiceId
from controller.network.light import ROADM_S, TRANSPONDER_PAIR_S
from controller.network.lit import LAST_METRIC, as_link, circuit_id, ours
from controller.network.model import CityMap, Link, Port, PortRef
from controller.verification.facts import Circuit, LitDirection
from controller.verification.model import ConfigurationModel
from controller.verification.proof import CounterExample, Property, srlg_text

EASE_S = 1e-6  # delays are told in whole microseconds
MOST_KNOWN = 4


@dataclass(frozen=True, slots=True)
class _Configured:
    """A link as `network.lit` takes it, by the configuration of one direction and of the circuit under it."""

    id: str
    reverse: str
    domain: str
    a: PortRef
    z: PortRef
    rate_bps: int
    delay_s: float
    srlgs: tuple[int, ...]
    circuit_id: str
    fibres: tuple[str, ...]


_known: list[tuple[weakref.ref[CityMap], tuple[object, ...], CityMap]] = []  # newest first


def configured(model: ConfigurationModel, city: CityMap) -> CityMap:
    """Return the map with the links of ours that are configured, as they are configured, and no others."""
    standing = [k for k in city.pinned_links if ours(city, k)]
    if not model.lit and not standing:
        return city
    directions = [one for _, one in sorted(model.lit.items())]
    light = tuple(_circuit(model, city, one) for one in directions)
    key = (*directions, *light)
    for ref, known, found in _known[:]:
        if known == key and ref() is city:
            return found
    new = [k for one, under in zip(directions, light, strict=True) for k in _link(model, city, one, under)]
    found = _with(city, new, standing)
    _known[:] = [(weakref.ref(city), key, found), *_known[: MOST_KNOWN - 1]]
    return found


def _with(city: CityMap, new: list[Link], standing: list[Link]) -> CityMap:
    old = {k.id: k for k in standing}
    same = {k.id: old[k.id] for k in new if k.id in old and _alike(old[k.id], k)}
    if len(same) == len(new) == len(old):
        return city
    gone = old.keys() | {k.id for k in new}
    kept = [k for k in city.links if k.id not in gone]
    return replace(city, links=tuple(sorted((*kept, *(same.get(k.id, k) for k in new)), key=lambda k: k.id)))


def _alike(shown: Link, made: Link) -> bool:
    """Whether the map shows what is configured; its state, and what the inventory adds, are the map's to say."""
    said = ("domain", "src", "dst", "capacity_bps", "delay_s", "srlgs", "reverse", "circuit")
    return all(getattr(shown, part) == getattr(made, part) for part in said)


def _link(model: ConfigurationModel, city: CityMap, one: LitDirection, light: Circuit | None) -> Iterator[Link]:
    back = _back(model, one)
    if back is None or any(ref not in city.ports or ref.node not in city.nodes for ref in (one.src, one.dst)):
        return
    fibres = light.working.route if light is not None else ()
    name = light.id if light is not None else circuit_id(one.src, one.dst)
    found = _Configured(
        one.id, back.id, one.domain, one.src, one.dst, one.rate_bps, one.delay_s, tuple(sorted(one.srlgs)), name, fibres
    )
    yield as_link(city.nodes, city.ports, city.fibres, found)


def _back(model: ConfigurationModel, one: LitDirection) -> LitDirection | None:
    return next((k for k in model.lit.values() if (k.domain, k.src, k.dst) == (one.domain, one.dst, one.src)), None)


def _client(city: CityMap, ref: PortRef) -> Port | None:
    port = city.ports.get(ref)
    client = city.ports.get(port.peer) if port is not None and port.peer is not None else None
    return client if client is not None and client.role == "client" else None


def _circuit(model: ConfigurationModel, city: CityMap, one: LitDirection) -> Circuit | None:
    """Return the circuit that has the client ports behind both ends for itself; None where there is none."""
    ends = [_client(city, ref) for ref in (one.src, one.dst)]
    if ends[0] is None or ends[1] is None:
        return None
    wanted = {(ends[0].ref.port, 0), (ends[1].ref.port, 0)}
    names = model.owners("client", ends[0].ref.port, "0")
    found = (model.circuits.get((ends[0].domain, name)) for name in names)
    return next((c for c in found if c is not None and set(c.ends) == wanted), None)


def link_bookings(one: LitDirection, model: ConfigurationModel, city: CityMap) -> Iterator[CounterExample]:
    """Check one direction: its ports, the other direction, the light under it, and what it says of itself."""
    whose = ServiceId(circuit_id(one.src, one.dst))

    def broken(what: Property, reason: str) -> CounterExample:
        return CounterExample(what, whose, f"IP link {one.id}", (str(one.src), str(one.dst)), reason)

    for ref in (one.src, one.dst):
        port, client = city.ports.get(ref), _client(city, ref)
        if port is None or port.domain != one.domain:
            yield broken(Property.REACHABILITY, f"{one.domain} has no port {ref}")
        elif client is None:
            yield broken(Property.REACHABILITY, f"{ref} is not cabled to a client port of the optical network")
        for other in _others(one, ref, model, city):
            yield broken(Property.CAPACITY, f"{other} uses {ref} too")
    back = _back(model, one)
    if back is None:
        yield broken(Property.REACHABILITY, "only one direction of it is configured")
    elif back.rate_bps != one.rate_bps:
        yield broken(
            Property.CAPACITY, f"it offers {one.rate_bps / 1e9:g} Gbit/s, {back.rate_bps / 1e9:g} the way back"
        )
    if one.metric < LAST_METRIC:
        reason = f"its metric {one.metric} lets routers choose it by themselves: that traffic has no room reserved"
        yield broken(Property.CAPACITY, reason)
    light = _circuit(model, city, one)
    if light is None:
        yield broken(Property.REACHABILITY, "no circuit joins the client ports that its ends are cabled to")
        return
    if one.rate_bps > light.rate_bps:
        reason = f"it offers {one.rate_bps / 1e9:g} Gbit/s, circuit {light.id} carries {light.rate_bps / 1e9:g}"
        yield broken(Property.CAPACITY, reason)
    spans = [s for s in (city.fibres.get(h) or city.odu_links.get(h) for h in light.working.route) if s is not None]
    hidden = frozenset[int]().union(*(s.srlgs for s in spans)) - one.srlgs
    if hidden:
        yield broken(Property.DISJOINTNESS, f"it does not tell that it runs in {srlg_text(city, hidden)}")
    takes = TRANSPONDER_PAIR_S + sum(s.delay_s + ROADM_S for s in spans)
    if one.delay_s + EASE_S < takes and light.layer == "wavelength":
        reason = f"it tells {one.delay_s * 1e6:.0f} µs, light takes {takes * 1e6:.0f} µs"
        yield broken(Property.LATENCY, reason)


def _others(one: LitDirection, ref: PortRef, model: ConfigurationModel, city: CityMap) -> Iterator[str]:
    """Yield what else uses one of its ports: another link of ours, one of the domain's own, an access."""
    mine = {one.id} | ({back.id} if (back := _back(model, one)) is not None else set())
    for other in model.lit.values():
        if other.id not in mine and ref in (other.src, other.dst):
            yield other.id
    configured_ids = {other.id for other in model.lit.values()}
    for link in city.links:
        if link.src == ref and link.id not in configured_ids and not ours(city, link):
            yield link.id
    for owners in model.claims.get(("vlan", str(ref)), {}).values():
        yield from (owner.partition("|")[2] for owner in owners)


def leftover(light: Circuit, model: ConfigurationModel, city: CityMap) -> bool:
    """Whether a circuit that calls itself a link's own has no link over it."""
    return not any((c := _circuit(model, city, one)) is not None and c.id == light.id for one in model.lit.values())
