"""VIP assurance: pinned tunnels for the media of a plane or slice, inside a window.

The parties of a conference share one tunnel per pair of provider edges and domain. Bandwidth is proven for the
whole window when the intent is accepted; it may be taken from what planes leave squeezable, never from slices
or from other VIPs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np

from controller.intent.model import DedicatedPlane, ExclusiveSlice, MediaFlow, Service, ServiceId, VipAssurance, Window
from controller.network.ledger import BitsPerSecond, Ledger
from controller.network.model import CityMap, Link
from controller.planning.chains import Borders, Need, cases, usable_borders
from controller.planning.draft import CannotPlaceError, Draft, rate_text
from controller.planning.layers import Layers, allowed_mask, ip_mask
from controller.planning.limits import Limits
from controller.planning.paths import Mask
from controller.planning.placement import Placement, Promise, RateReservation, Steering
from controller.planning.reasons import short
from controller.planning.timed import interval_text
from controller.planning.tunnels import Ways, Weave
from controller.planning.unlit import out_of_reach, ridden, rides_on

MOST_NAMED = 5
REST = "rest"  # the class of a VIP that assures all traffic of what it protects


def place_vip(
    city: CityMap, net: Layers, draft: Draft, wanted: VipAssurance, carried: tuple[Service, Placement] | None
) -> Placement:
    """Place one VIP over the placement of what it protects; raises CannotPlaceError."""
    if carried is None:
        raise CannotPlaceError(f"{wanted.protects} is not placed, so there is nothing to protect")
    if not isinstance(wanted.window, Window):
        raise CannotPlaceError("its window is relative; it must be resolved when the intent is accepted")
    window, below = wanted.window, carried[1]
    if below.start is not None and below.end is not None and not below.start <= window.start < window.end <= below.end:
        raise CannotPlaceError(f"{wanted.protects} stands {interval_text(below.start, below.end)} only")
    number = draft.number()
    needs = _needs(wanted, *carried)
    if below.circuits:
        return Placement(
            service=wanted.metadata.service, kind=wanted.kind, number=number, labels=draft.labels(),
            start=window.start, end=window.end, promises=below.promises,
            notes=(f"{wanted.protects} rides a circuit of its own: nothing competes with it",),
        )  # fmt: skip
    taken = out_of_reach(city, net, draft.ledger, window.start, window.end, draft.old)
    weave, ways = _route(net, draft, wanted, window, below, needs, taken)
    tunnels = weave.tunnels(
        "vip", wanted.metadata.service, wanted.priority, wanted.priority, wanted.slo.loss_ratio,
        weave.budgets(ways, wanted.slo.latency_s), {p.domain: p.nrp_id for p in below.partitions},
    )  # fmt: skip
    classes = sorted({f.target_class for f in _flows(wanted)}) or [REST]
    rates = tuple(
        RateReservation(k, r, window.start, window.end, squeezes=True)
        for k, r in sorted(weave.reserved().items())
        if not below.partitions  # a slice holds already what it gives to its own VIP
    )
    links, light = ridden(city, rates, window.start, window.end)
    return Placement(
        service=wanted.metadata.service, kind=wanted.kind, number=number, tunnels=tunnels,
        steering=tuple(
            Steering(t.domain, wanted.protects, t.src, t.dst, c, (t.name,), "best-effort")
            for t in tunnels
            for c in classes
        ),
        promises=tuple(_promises(wanted, carried[1], ways)), rates=rates, labels=(*draft.labels(), *light),
        start=window.start, end=window.end, notes=(*_squeezed(draft.ledger, rates), *rides_on(links)),
        lit_links=links,
    )  # fmt: skip


def _flows(wanted: VipAssurance) -> tuple[MediaFlow, ...]:
    return wanted.conference.flows if wanted.conference is not None else wanted.flows


def _needs(wanted: VipAssurance, service: Service, below: Placement) -> list[Need]:
    """One need per pair of provider edges, rates of all who share it added up."""
    node = {a.access: a.node for a in below.attachments}
    rates: dict[tuple[str, str], int] = {}
    for a, z, rate in _talks(wanted, service, below):
        for access in (a, z):
            if access not in node and not below.circuits:
                raise CannotPlaceError(f"{wanted.protects} has no access {access}")
        if not below.circuits and node[a] != node[z]:
            key = (
                (node[a], node[z]) if wanted.conference is not None else (min(node[a], node[z]), max(node[a], node[z]))
            )
            rates[key] = rates.get(key, 0) + rate
    return [
        Need(a, z, rate, a.removeprefix("node:"), z.removeprefix("node:")) for (a, z), rate in sorted(rates.items())
    ]


def _talks(wanted: VipAssurance, service: Service, below: Placement) -> Iterable[tuple[str, str, int]]:
    """Who talks to whom, by access, and how much each direction."""
    conference = wanted.conference
    if conference is not None:
        media = sum(f.rate_bps for f in conference.flows)
        yield from ((conference.mcu.access, p.access, media) for p in conference.parties)
        return
    media = wanted.rate_bps or sum(f.rate_bps for f in wanted.flows)
    if isinstance(service, ExclusiveSlice):
        yield from ((d.a, d.z, media or d.rate_bps) for d in service.demands)
    elif isinstance(service, DedicatedPlane):
        hubs = [a for a in service.accesses if a.hub] if service.hub_and_spoke else []
        if hubs:
            pairs = [(h, s) for h in hubs for s in service.accesses if not s.hub]
            yield from ((h.name, s.name, media or s.rate_bps) for h, s in pairs)
            return
        # Any-to-any: an access shares its assured rate among all others, by hose, never more than either end has.
        accesses = service.accesses
        for i, a in enumerate(accesses):
            for z in accesses[i + 1 :]:
                yield a.name, z.name, max(1, min(media or a.rate_bps, media or z.rate_bps) // max(1, len(accesses) - 1))


def _route(
    net: Layers, draft: Draft, wanted: VipAssurance, window: Window, below: Placement, needs: list[Need],
    taken: Mask | None,
) -> tuple[Weave, list[Ways]]:  # fmt: skip
    usable = ip_mask(net, wanted.boundaries)
    if taken is not None:
        usable = usable & ~taken
    free = draft.ledger.free_array(window.start, window.end, squeeze=True)
    if below.partitions:
        free = _own(net, below)
        usable = usable & (free > 0)
    old = {(t.domain, t.src, t.dst): t for t in draft.old.tunnels} if draft.old is not None else {}
    stitched = _stitched(net, below)
    for links in stitched.values():
        in_use = next((k for k in links if net.up[net.link_index[k.id]]), None)
        if in_use is not None and not usable[net.link_index[in_use.id]]:
            ends = f"{short(in_use.src.node)}–{short(in_use.dst.node)}"
            raise CannotPlaceError(f"{wanted.protects} crosses the border {ends}, which is outside the boundaries")
    # A border that is down takes the traffic back once it is up, so both have their tunnels where that is possible.
    allowed, lasting = allowed_mask(net, wanted.boundaries), usable.copy()
    for link in (k for links in stitched.values() for k in links if allowed[net.link_index[k.id]]):
        lasting[[net.link_index[link.id], net.link_index[link.reverse]]] = True
    last: CannotPlaceError | None = None
    # Present routes are kept where they still serve; where they stand in the way everything is routed afresh.
    for order, kept in product(((0, 1), (0,)), (old, {}) if old else ({},)):
        within = lasting if len(order) > 1 else usable
        borders = usable_borders(net, stitched, within)
        weave = Weave(net, within, free.clip(max=free[net.reverse]), True, kept, Limits.of(wanted.slo))
        try:
            ways = weave.run(cases(net, borders, needs, order))
            for way in ways:
                weave.check(way, wanted.slo.availability)
            return weave, ways
        except CannotPlaceError as error:
            last = last or error
    assert last is not None
    raise last


def _own(net: Layers, below: Placement) -> BitsPerSecond:
    """Return what a slice of the IP networks holds on every link: a VIP over it rides that and nothing else."""
    own: BitsPerSecond = np.zeros(len(net.links), dtype=np.int64)
    for rate in below.rates:
        if rate.link in net.link_index:
            own[net.link_index[rate.link]] = rate.rate_bps
    return own


def _stitched(net: Layers, below: Placement) -> Borders:
    """The borders that the carrying service crosses, in the order in which its routing prefers them."""
    found: dict[frozenset[str], list[tuple[int, str, Link]]] = {}
    for stitch in below.stitches:
        if stitch.link is not None and stitch.link in net.link_index:
            link = net.links[net.link_index[stitch.link]]
            ends = frozenset((net.nodes[link.src.node].domain, net.nodes[link.dst.node].domain))
            found.setdefault(ends, []).append((stitch.rank, link.id, link))
    return {ends: tuple(k for _, _, k in sorted(links, key=lambda x: x[:2])) for ends, links in found.items()}


def _promises(wanted: VipAssurance, below: Placement, ways: list[Ways]) -> Iterable[Promise]:
    """Per party where there is a conference, else per pair of provider edges."""
    budget = wanted.slo.latency_s
    if wanted.conference is None:
        yield from (w.promise(budget) for w in ways)
        return
    node = {a.access: a.node for a in below.attachments}
    by_node: Mapping[str, Ways] = {w.need.z: w for w in ways}
    media = sum(f.rate_bps for f in wanted.conference.flows)
    mcu = wanted.conference.mcu
    for party in wanted.conference.parties:
        way = by_node.get(node[party.access])
        if way is None:  # behind the MCU's own provider edge
            via = (node[party.access].removeprefix("node:"),)
            yield Promise(mcu.name, party.name, media, 0.0, budget, None, 1.0, via)
        else:
            yield Promise(mcu.name, party.name, media, way.delay_s, budget, way.standby_s, way.availability, way.via)


def _squeezed(ledger: Ledger, rates: tuple[RateReservation, ...]) -> tuple[str, ...]:
    """Say which planes may be squeezed in the window, where the rest of the link does not suffice."""
    victims: dict[ServiceId, int] = {}
    for rate in rates:
        lacking = rate.rate_bps - ledger.free_bps(rate.link, rate.start, rate.end)
        for service in ledger.squeezable(rate.link, rate.start, rate.end) if lacking > 0 else ():
            victims[service] = max(victims.get(service, 0), lacking)
    named = [f"squeezes {s} by up to {rate_text(by)} in its window" for s, by in sorted(victims.items())]
    more = len(named) - MOST_NAMED
    return (*named[:MOST_NAMED], f"squeezes {more} more planes") if more > 0 else tuple(named)
