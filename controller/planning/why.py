"""Why a service goes where it goes: the way in use, the runners-up over both layers, and why each of them lost.

Runners-up are the quickest ways that miss one link of the way in use, which are the ones an engineer would have drawn
instead; for a slice also the other kinds of isolation, each really planned. Judged on the network as it is now with
the service itself taken out, so a runner-up that would win today is said to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from controller.intent.model import DedicatedPlane, ExclusiveSlice, Isolation, Protection, Service, ServiceId
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.constrained import kept_apart, without
from controller.planning.draft import CannotPlaceError, Draft, Pools, time_text
from controller.planning.layers import Layers, layers
from controller.planning.limits import DELAY, HOPS, Limits
from controller.planning.paths import Mask, Path
from controller.planning.placement import Placement, Promise
from controller.planning.price import price
from controller.planning.reasons import short
from controller.planning.slices import isolation_order, place_slice
from controller.planning.terrain import Terrain, over_ip, over_optics
from controller.planning.worked import risks_of

Standing = Mapping[ServiceId, tuple[Service, Placement]]
MOST_ENDS = 24  # pairs of ends that one service is explained for
MOST_RUNNERS_UP = 6


@dataclass(frozen=True, slots=True)
class Option:
    """One way between two ends. `verdict`: why it is taken, or why it lost."""

    chosen: bool
    way: tuple[str, ...]  # nodes, and the links or fibres between them
    delay_s: float
    hops: int
    load: float  # of its fullest part with this service on it, 0..1
    price: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The ways between two ends of a service, the one in use first."""

    a: str
    z: str
    layer: str  # "ip" | "odu" | "wavelength"
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of isolation that a slice could have: what it would cost, or why it cannot be."""

    isolation: str
    chosen: bool
    delay_s: float | None
    price: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Explanation:
    service: ServiceId
    kind: str
    reasons: tuple[str, ...]  # of the placement as a whole
    kinds: tuple[Kind, ...]  # slices: over which layer, and why
    choices: tuple[Choice, ...]
    left_out: int = 0  # pairs of ends beyond MOST_ENDS


def explain(city: CityMap, ledger: Ledger, service: Service, placement: Placement, standing: Standing) -> Explanation:
    """Return why `placement` is what it is. `ledger` holds everything that stands, this service too."""
    net, without_it = layers(city), ledger.on(city).during(placement.start, placement.end)
    without_it.remove(service.metadata.service)
    promises = _distinct(placement)
    terrains = [_terrain(net, without_it, service, placement, p, standing) for p in promises[:MOST_ENDS]]
    choices = [_choice(t, p, service) for t, p in zip(terrains, promises, strict=False) if t is not None]
    kinds = _kinds(city, net, without_it, service, placement, standing) if isinstance(service, ExclusiveSlice) else ()
    return Explanation(
        service.metadata.service, service.kind, tuple(_reasons(service, placement)), tuple(kinds), tuple(choices),
        max(0, len(promises) - MOST_ENDS),
    )  # fmt: skip


def _distinct(placement: Placement) -> list[Promise]:
    """One promise for each way: a plane of a thousand sites has as many ways as it has nodes."""
    found: dict[tuple[str, ...], Promise] = {}
    for promise in placement.promises:
        if len(promise.via) > 1:
            found.setdefault(promise.via, promise)
    return list(found.values())


def _terrain(
    net: Layers, ledger: Ledger, service: Service, placement: Placement, promise: Promise, standing: Standing
) -> Terrain | None:
    circuit = next(
        (c for c in placement.circuits if c.id.removesuffix(".2").endswith(f"/{promise.a}-{promise.z}")), None
    )
    avoid = {
        s: risks_of(net, standing[s][1])
        for s in (service.diverse_from if isinstance(service, ExclusiveSlice) else ())
        if s in standing
    }
    if circuit is not None:
        return over_optics(net, ledger, service, circuit, avoid)
    return over_ip(net, ledger, service, promise, avoid)


def _choice(terrain: Terrain, promise: Promise, service: Service) -> Choice:
    src, dst = terrain.src, terrain.dst
    used = terrain.used
    mode = terrain.net.mode if terrain.layer == "wavelength" else None
    limits = replace(Limits.of(service.slo), reach=1.0, mode=mode).less(terrain.fixed)
    asked = _asked(limits, terrain)
    first = _option(
        terrain, used, True, f"in use: the quickest that keeps {asked}" if asked else "in use: the quickest"
    )
    others: list[Path] = []
    for edge in used:
        rest = terrain.burdens.graph.everything() & (terrain.burdens.cable != terrain.burdens.cable[edge])
        path = terrain.burdens.graph.shortest(src, dst, rest)
        if path and path not in others:
            others.append(path)
    others.sort(key=lambda p: (terrain.burdens.of(p)[DELAY], len(p), p))
    quickest = terrain.burdens.graph.shortest(src, dst, terrain.burdens.graph.everything())
    if quickest and quickest != used and quickest not in others:
        others.insert(0, quickest)
    options = [_option(terrain, p, False, _verdict(terrain, p, limits, service)) for p in others if p != used]
    return Choice(promise.a, promise.z, terrain.layer, (first, *options[:MOST_RUNNERS_UP]))


def _asked(limits: Limits, terrain: Terrain) -> str:
    words = [
        f"{time_text(limits.delay_s + terrain.fixed[DELAY])}" if limits.delay_s is not None else "",
        f"{limits.hops} hops" if limits.hops is not None else "",
        "a standby apart from it" if terrain.protected else "",
        "the boundaries" if terrain.bounded else "",
    ]
    return ", ".join(w for w in words if w)


def _option(terrain: Terrain, path: Path, chosen: bool, verdict: str) -> Option:
    sums = terrain.burdens.of(path)
    return Option(
        chosen, terrain.way(path), sums[DELAY] + terrain.fixed[DELAY], round(sums[HOPS]),
        max((terrain.load(i) for i in path), default=0.0), sum(terrain.price(i) for i in path), verdict,
    )  # fmt: skip


def _verdict(terrain: Terrain, path: Path, limits: Limits, service: Service) -> str:
    """Say the first thing that stands against a way; if nothing does, by what it is worse."""
    for edge in path:
        said = terrain.forbidden(edge)
        if said:
            return said
    for edge in path:
        said = terrain.full(edge)
        if said:
            return said
    said = limits.beyond(terrain.burdens.of(path))
    if said:
        return said
    if terrain.protected:
        said = _as_pair(terrain, path)
        if said:
            return said
    fades = terrain.fading(path)
    if fades and not terrain.fading(terrain.used):
        return f"rides fibre {', '.join(fades)}, which is fading"
    return _compared(terrain, path)


def _as_pair(terrain: Terrain, path: Path) -> str:
    burdens = terrain.burdens
    apart = kept_apart(burdens, path, terrain.disjoint)
    standby = burdens.graph.shortest(terrain.src, terrain.dst, without(burdens, _open(terrain), apart))
    if not standby:
        return "no standby apart from it is left"
    if not terrain.standby:
        return ""
    both = burdens.of(path)[DELAY] + burdens.of(standby)[DELAY]
    now = burdens.of(terrain.used)[DELAY] + burdens.of(terrain.standby)[DELAY]
    return f"with its best standby {time_text(both - now)} slower in all" if both > now + 1e-9 else ""


def _open(terrain: Terrain) -> Mask:
    mask = terrain.burdens.graph.everything()
    for edge in range(len(mask)):
        if terrain.forbidden(edge) or terrain.full(edge):
            mask[edge] = False
    return mask


def _compared(terrain: Terrain, path: Path) -> str:
    mine, its = terrain.burdens.of(terrain.used), terrain.burdens.of(path)
    slower = its[DELAY] - mine[DELAY]
    if slower > 1e-9:
        return f"{time_text(slower)} slower"
    if slower < -1e-9:
        return f"{time_text(-slower)} quicker today; it was not open when the service was placed"
    more = round(its[HOPS] - mine[HOPS])
    return f"as quick, over {more} more links" if more > 0 else "as quick; the first by name is taken"


def _reasons(service: Service, placement: Placement) -> Iterator[str]:
    if isinstance(service, ExclusiveSlice):
        order = isolation_order(service)
        if service.isolation is Isolation.AUTO:
            yield f"isolation auto: class {service.traffic_class} tries {', then '.join(order)}"
        else:
            yield f"isolation {service.isolation}, as asked"
        if service.protection is Protection.AUTO:
            some = any(c.protect for c in placement.circuits) or any(t.standby for t in placement.tunnels)
            yield "a standby, as one way alone misses the availability" if some else "no standby: one way is enough"
    if isinstance(service, DedicatedPlane):
        pinned = sorted({f"{short(t.src)}–{short(t.dst)}" for t in placement.tunnels if t.src < t.dst})
        yield "follows the ways that its routers choose, the quickest inside each domain"
        if pinned:
            yield f"pinned by tunnels where those would leave what was asked or are full: {', '.join(pinned[:6])}"
    yield from placement.notes


def _kinds(
    city: CityMap, net: Layers, ledger: Ledger, service: ExclusiveSlice, placement: Placement, standing: Standing
) -> Iterable[Kind]:
    others = {s: standing[s][1] for s in (*service.diverse_from, *service.together_with) if s in standing}
    for kind in (Isolation.WAVELENGTH, Isolation.TIMESLOT, Isolation.NRP):
        if kind == placement.isolation:
            said = "as asked" if service.isolation is kind else "in use"
            yield Kind(str(kind), True, _slowest(placement), price(placement, city), said)
            continue
        try:
            variant = replace(service, isolation=kind)
            draft = Draft(service.metadata.service, ledger.copy(), Pools(), None)
            found = place_slice(city, net, lambda d=draft: d, variant, others)  # type: ignore[misc]
        except CannotPlaceError as error:
            yield Kind(str(kind), False, None, None, str(error))
            continue
        yield Kind(str(kind), False, _slowest(found), price(found, city), _kind_lost(service, placement, kind))


def _kind_lost(service: ExclusiveSlice, placement: Placement, kind: Isolation) -> str:
    if service.isolation is not Isolation.AUTO:
        return f"{service.isolation} was asked"
    order = isolation_order(service)
    if kind not in order:
        return f"class {service.traffic_class} rides the optical base only"
    used = order.index(Isolation(placement.isolation)) if placement.isolation else 0
    if order.index(kind) > used:
        return f"comes after {placement.isolation} for class {service.traffic_class} at this rate"
    return "comes first and would fit today; it did not when the service was placed"


def _slowest(placement: Placement) -> float | None:
    return max((p.delay_s for p in placement.promises), default=None)
