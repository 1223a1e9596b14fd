"""Dedicated planes: an L3VPN whose hose bandwidth is held on the ways that its traffic takes, never per pair of sites.

Routers lead it over the quickest ways inside their domains. Where such a way leaves the plane A or B that was asked,
or the boundaries, or is full, a tunnel between the two provider edges pins it elsewhere; everywhere else there is
none. All borders that may be used are stitched; what is held runs over the one that routing prefers. Which that is,
is ours to say: one that wears out comes after one that does not, where everything asked is kept over that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from controller.intent.model import Boundaries, DedicatedPlane
from controller.network.ledger import BitsPerSecond, Ledger
from controller.network.model import CityMap, Link
from controller.planning.attach import allocate_lans, attach_all, port_rates, still_attached
from controller.planning.borders import border_stitches
from controller.planning.draft import CannotPlaceError, Draft
from controller.planning.hose import Hose, Ways
from controller.planning.joined import Bounds, Joined, join
from controller.planning.layers import Layers, allowed_mask, forbidden_nodes, ip_mask
from controller.planning.paths import Path
from controller.planning.pins import FullBorderError, settle, tunnels
from controller.planning.placement import (
    Attachment,
    Placement,
    Promise,
    RateReservation,
    Steering,
    TunnelPlacement,
    rate_held,
)
from controller.planning.plane_limits import Judge, check
from controller.planning.reasons import boundary_text, short

MOST_SHAPES = 2048  # of planes, remembered per map
MOST_EXACT = 64  # nodes; of larger planes it is enough to know that what was asked is kept


def place_plane(city: CityMap, net: Layers, draft: Draft, wanted: DedicatedPlane) -> Placement:
    """Place one plane; raises CannotPlaceError."""
    old = draft.old.attachments if draft.old is not None else ()
    number = draft.number()
    lans = allocate_lans(wanted.accesses, wanted.lan_pool, wanted.lan_prefix_len, old)
    attachments = attach_all(city, net, draft, wanted.accesses, lans, wanted.boundaries)
    _check_hubs(attachments)
    laid = _laid(net, wanted, attachments, draft.ledger.free_array())
    return Placement(
        service=wanted.metadata.service, kind=wanted.kind, number=number, attachments=attachments,
        stitches=border_stitches(city, draft, _crossings(net, laid.joined, laid.loads)), tunnels=laid.tunnels,
        steering=tuple(_steering(wanted, laid.tunnels)), trees=laid.trees,
        promises=_promises(laid, wanted, attachments),
        rates=(*laid.held, *port_rates(attachments)), labels=draft.labels(),
        notes=(*_notes(laid.tunnels), *_meeting(wanted, attachments)),
    )  # fmt: skip


def led_again(
    city: CityMap, net: Layers, ledger: Ledger, wanted: DedicatedPlane, standing: Placement
) -> Placement | None:
    """Return the place of an unchanged plane whose routers lead it elsewhere now, where nothing else of it moves.

    None: it has to be placed as ever. `ledger` is without what it holds.
    """
    try:
        if standing.tunnels or not still_attached(city, net, ledger, wanted.accesses, wanted.boundaries, standing):
            return None
        passed = frozenset(_passed_over(net, standing))
        laid = _laid(net, wanted, standing.attachments, ledger.free_array(), passed)
    except CannotPlaceError:
        return None
    crossings = [(min(k.id, k.reverse), rank, rate) for k, rank, rate in _crossings(net, laid.joined, laid.loads)]
    stitched = [(s.link and min(s.link, city.link_by_id[s.link].reverse), s.rank, s.rate_bps) for s in standing.stitches
                if s.link is None or s.link in city.link_by_id]  # fmt: skip
    if laid.tunnels or crossings != stitched or len(stitched) != len(standing.stitches):
        return None
    return replace(
        standing, steering=(), trees=laid.trees, promises=_promises(laid, wanted, standing.attachments),
        rates=(*laid.held, *port_rates(standing.attachments)), notes=tuple(_meeting(wanted, standing.attachments)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Laid:
    """How a plane lies in the network, and what follows from that alone: the same for all planes of one shape."""

    joined: Joined
    loads: Mapping[int, int]  # bit/s by link
    tunnels: tuple[TunnelPlacement, ...]  # bear the plane's name: one with any is laid by itself
    root: str
    trees: tuple[tuple[str, ...], ...]
    given: Mapping[str, tuple[float, float, tuple[str, ...]]]  # node → delay, availability and way from the root
    held: tuple[RateReservation, ...]


def _laid(
    net: Layers, wanted: DedicatedPlane, attachments: tuple[Attachment, ...], free: BitsPerSecond,
    passed: frozenset[int] = frozenset(),
) -> _Laid:  # fmt: skip
    """Lay a plane, or find how one of its shape was laid on this map: most have few sites, and many the same.

    What was found with all links empty holds as long as it fits; where it does not, another way is looked for.
    passed: borders that carry nothing while others are there. Raises CannotPlaceError.
    """
    hoses = _hoses(wanted, attachments)
    hubs = frozenset(a.node for a in attachments if a.hub)
    shape = (
        wanted.boundaries, wanted.plane, wanted.hub_and_spoke, wanted.slo, wanted.floor_ratio, hubs,
        tuple(sorted(hoses.items())), passed,
    )  # fmt: skip
    found = net.laid.get(shape)
    if not isinstance(found, _Laid):
        try:
            found = _lay(net, wanted, hoses, hubs, np.full(len(free), np.iinfo(np.int64).max), passed)
        except CannotPlaceError:
            return _lay(net, wanted, hoses, hubs, free, passed)
        if len(net.laid) >= MOST_SHAPES:
            net.laid.clear()
        if not found.tunnels:
            net.laid[shape] = found
    if any(load > free[i] for i, load in found.loads.items()):
        return _lay(net, wanted, hoses, hubs, free, passed)
    return found


def _lay(
    net: Layers, wanted: DedicatedPlane, hoses: dict[str, Hose], hubs: frozenset[str], free: BitsPerSecond,
    passed: frozenset[int],
) -> _Laid:  # fmt: skip
    refused: CannotPlaceError | None = None
    for over in _left_aside(net, passed):
        try:
            return _lay_without(net, wanted, hoses, hubs, free, over)
        except CannotPlaceError as error:
            refused = error
    assert refused is not None
    raise refused


def _left_aside(net: Layers, passed: frozenset[int]) -> Iterator[frozenset[int]]:
    """Yield which borders are to carry nothing: those that wear out too, else sooner them than no way at all.

    What the map keeps for standbys only carries nothing in any case.
    """
    if not net.fading and net.carrying is None:
        yield passed
        return
    borders = {net.link_index[k.id]: k for links in net.borders.values() for k in links}
    if net.carrying is not None:
        yield passed | {i for i in borders if not net.carrying.ip[i]}
        return
    worn = {i for i, k in borders.items() if not net.fading.isdisjoint(k.fibres)}
    yield from dict.fromkeys((passed | worn, passed))


def _lay_without(
    net: Layers, wanted: DedicatedPlane, hoses: dict[str, Hose], hubs: frozenset[str], free: BitsPerSecond,
    aside: frozenset[int],
) -> _Laid:  # fmt: skip
    bounds, ways = _settled(net, wanted, hoses, free, aside)
    loads = ways.loads()
    judge = check(ways, wanted, bounds.allowed)
    root = _root(ways, hubs, wanted)
    least = 1.0 if len(hoses) <= MOST_EXACT else wanted.slo.availability
    given = {node: _given(ways, judge, root, node, least) for node in hoses}
    pinned, held = tunnels(ways, wanted, bounds), tuple(_held(net, loads, wanted))
    return _Laid(ways.joined, loads, pinned, root, _trees(ways, root), given, held)


def _settled(
    net: Layers, wanted: DedicatedPlane, hoses: dict[str, Hose], free: BitsPerSecond, aside: frozenset[int]
) -> tuple[Bounds, Ways]:
    """Lay the plane over the borders that are preferred; where one of them is full, over the next."""
    bounds, refused = _not_over(net, _bounds(net, wanted), aside), None
    while True:
        try:
            return bounds, settle(net, _joined(net, wanted, hoses, bounds), hoses, bounds, free)
        except FullBorderError as full:
            bounds, refused = _not_over(net, bounds, (full.border,)), refused or full
        except CannotPlaceError as error:
            raise refused or error from error


def _not_over(net: Layers, bounds: Bounds, borders: Iterable[int]) -> Bounds:
    """Lead no traffic over these borders while others are there; they stay as spare ones."""
    usable = bounds.usable.copy()
    for border in borders:
        usable[[border, net.reverse[border]]] = False
    return replace(bounds, usable=usable)


def _passed_over(net: Layers, placement: Placement) -> Iterator[int]:
    """Borders that were stitched behind one that is up: at planning they had no room."""
    ranked: dict[frozenset[str], list[tuple[int, int]]] = {}
    for s in placement.stitches:
        if s.link is not None and s.link in net.link_index:
            ranked.setdefault(frozenset((s.a.domain, s.z.domain)), []).append((s.rank, net.link_index[s.link]))
    for borders in ranked.values():
        up = [i for _, i in sorted(borders) if net.up[i]]
        yield from up[1:]


def follows(net: Layers, wanted: DedicatedPlane, placement: Placement) -> bool:
    """Say whether the traffic of a standing plane still takes the ways that are held for it."""
    hoses = _hoses(wanted, placement.attachments)
    bounds = _not_over(net, _bounds(net, wanted), _passed_over(net, placement))
    pins = {(t.src, t.dst): tuple(net.link_index[k] for k in t.working.links) for t in placement.tunnels}
    try:
        joined = _joined(net, wanted, hoses, bounds)
    except CannotPlaceError:
        return False
    held = tuple(_held(net, Ways(net, joined, hoses, pins).loads(), wanted))
    standing = (replace(r, start=None, end=None) for r in placement.rates if not r.link.startswith("port:"))
    return held == tuple(standing)


def _check_hubs(attachments: tuple[Attachment, ...]) -> None:
    """A border leads to hubs or to spokes: its routing instance cannot keep the two apart."""
    hubs = {a.domain: a.access for a in reversed(attachments) if a.hub}
    if len(hubs) > 1:
        where = " and ".join(f"{access} in {domain}" for domain, access in sorted(hubs.items()))
        raise CannotPlaceError(f"hubs {where}: the hubs of one plane must be in one domain")


def _bounds(net: Layers, wanted: DedicatedPlane) -> Bounds:
    """Routers choose no link that was lit for services, and it goes with them: no way of a plane is pinned to it."""
    return Bounds(
        ip_mask(net, wanted.boundaries, wanted.plane) & net.routed,
        allowed_mask(net, wanted.boundaries, wanted.plane) & net.routed,
        allowed_mask(net, wanted.boundaries) & net.routed,
    )


def _hoses(wanted: DedicatedPlane, attachments: tuple[Attachment, ...]) -> dict[str, Hose]:
    hoses: dict[str, Hose] = {}
    for a in attachments:
        everybody = a.hub or not wanted.hub_and_spoke
        hose = Hose(hubs_bps=a.rate_bps) if everybody else Hose(spokes_bps=a.rate_bps)
        hoses[a.node] = hoses.get(a.node, Hose()) + hose
    return hoses


def _joined(net: Layers, wanted: DedicatedPlane, hoses: dict[str, Hose], bounds: Bounds) -> Joined:
    down = forbidden_nodes(net, wanted.boundaries) & set(hoses)
    if down:
        raise CannotPlaceError(f"{', '.join(sorted(map(short, down)))} is down or outside the boundaries")
    root = min((n for n, hose in hoses.items() if hose.hubs_bps), default=min(hoses))
    joined = join(net, bounds, hoses, root)
    if joined.lost:
        only = f", plane {wanted.plane}" if wanted.plane else ""
        raise CannotPlaceError(
            f"no way that is up leads from {short(root)} to {short(joined.lost[0])} "
            f"(boundaries: {boundary_text(wanted.boundaries)}{only})"
        )
    return joined


def _root(ways: Ways, hubs: frozenset[str], wanted: DedicatedPlane) -> str:
    """The hub's node, else the one from which all sites together are quickest; the first by name of equals."""
    if wanted.hub_and_spoke and hubs:
        return min(hubs)
    return min(ways.hoses, key=lambda n: (round(sum(ways.delay_s(n, z) for z in ways.hoses), 12), n))


def _trees(ways: Ways, root: str) -> tuple[tuple[str, ...], ...]:
    """Link ids of the ways from the root, and to it."""
    links = ways.net.links
    away = sorted({i for n in ways.hoses for i in ways.way(root, n)})
    back = sorted({i for n in ways.hoses for i in ways.way(n, root)})
    return (tuple(links[i].id for i in away), tuple(links[i].id for i in back)) if away else ()


def _promises(laid: _Laid, wanted: DedicatedPlane, attachments: tuple[Attachment, ...]) -> tuple[Promise, ...]:
    """What every access gets to and from the root."""
    centre = next(a.access for a in attachments if a.node == laid.root)
    budget, given = wanted.slo.latency_s, laid.given
    return tuple(
        Promise(centre, a.access, a.rate_bps, given[a.node][0], budget, None, given[a.node][1], given[a.node][2])
        for a in attachments
        if a.access != centre
    )


def _given(ways: Ways, judge: Judge, root: str, node: str, least: float) -> tuple[float, float, tuple[str, ...]]:
    path: Path = ways.way(root, node)
    links = [ways.net.links[i] for i in path]
    via = (short(root), *(x for k in links for x in (k.circuit or k.id, short(k.dst.node))))
    return ways.net.ip.delay_of(path), judge.availability(root, node, least) if path else 1.0, via


def _crossings(net: Layers, joined: Joined, loads: Mapping[int, int]) -> Iterator[tuple[Link, int, int]]:
    """Every border that the plane may cross, with its rank and the rate that may cross it.

    The rank is the plane's own: a border that would lead it off its plane A or B does not come first.
    """
    for (here, there), crossing in sorted(joined.crossings.items()):
        if here < there:
            rate = max(loads.get(i, 0) for i in (crossing.primary, int(net.reverse[crossing.primary])))
            for rank, i in enumerate(crossing.order, start=1):
                yield net.links[min(i, int(net.reverse[i]))], rank, rate


def _held(net: Layers, loads: dict[int, int], wanted: DedicatedPlane) -> Iterable[RateReservation]:
    for link, load in sorted((net.links[i].id, load) for i, load in loads.items()):
        yield rate_held(link, load, load - round(load * wanted.floor_ratio))


def _steering(wanted: DedicatedPlane, pinned: tuple[TunnelPlacement, ...]) -> Iterator[Steering]:
    """What must not leave its boundaries is dropped sooner; what keeps to a plane or around a full link may stray."""
    fallback = "drop" if wanted.boundaries != Boundaries() else "best-effort"
    for t in pinned:
        yield Steering(t.domain, wanted.metadata.service, t.src, t.dst, "*", (t.name,), fallback)


def _notes(pinned: tuple[TunnelPlacement, ...]) -> tuple[str, ...]:
    pairs = sorted(f"{short(t.src)}–{short(t.dst)}" for t in pinned if t.src < t.dst)
    if not pairs:
        return ()
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return (f"pinned by tunnels, as routing would lead it elsewhere: {', '.join(pairs[:3])}{more}",)


def _meeting(wanted: DedicatedPlane, attachments: tuple[Attachment, ...]) -> tuple[str, ...]:
    """Say which spokes are in one routing table and so need no hub to reach each other."""
    spokes = Counter(a.node for a in attachments if wanted.hub_and_spoke and not a.hub)
    shared = sorted(short(node) for node, count in spokes.items() if count > 1)
    return (f"spokes at {', '.join(shared)} share a router and reach each other there",) if shared else ()
