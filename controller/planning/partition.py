"""Slices of the IP networks: tunnels of one's own, a resource partition per domain, option A at the borders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np

from controller.intent.model import AttachLayer, ExclusiveSlice, Protection
from controller.network.model import CityMap, Link
from controller.planning.attach import access_port, attach_all, port_rates
from controller.planning.borders import border_stitches
from controller.planning.chains import Need, Segment, cases, usable_borders
from controller.planning.circuits import Company
from controller.planning.draft import CannotPlaceError, Draft
from controller.planning.layers import Layers, ip_mask
from controller.planning.limits import Limits
from controller.planning.paths import Mask
from controller.planning.placement import (
    Attachment,
    NrpPlacement,
    Placement,
    Steering,
    TunnelPlacement,
    rate_held,
)
from controller.planning.tunnels import Ways, Weave
from controller.planning.unlit import out_of_reach, ridden, rides_on

SLICE_SETUP_PRIORITY = 4
SLICE_HOLD_PRIORITY = 0  # never preempted


def place_partition(
    city: CityMap,
    net: Layers,
    draft: Draft,
    wanted: ExclusiveSlice,
    avoid: frozenset[int],
    together: Company | None,
    protected: bool,
) -> Placement:
    """A slice of the IP networks: tunnels, a partition in every domain, option A at the borders."""
    if any(a.attach is AttachLayer.OPTICAL for a in wanted.endpoints):
        raise CannotPlaceError("an endpoint is attached at the optical layer; only a circuit serves it")
    number = draft.number()
    attachments = attach_all(city, net, draft, wanted.endpoints, {}, wanted.boundaries)
    last: CannotPlaceError | None = None
    orders = ((0, 1), (1, 0)) if protected else ((0,), (1,))
    old = {(t.domain, t.src, t.dst): t for t in draft.old.tunnels} if draft.old is not None else {}
    taken = out_of_reach(city, net, draft.ledger, old=draft.old)
    # Present routes are kept where they still serve; where they stand in the way everything is routed afresh.
    for order, kept in product(orders, (old, {}) if old else ({},)):
        try:
            weave, ways = _weave(net, draft, wanted, attachments, avoid, together, protected, order, kept, taken)
            break
        except CannotPlaceError as error:
            last = last or error
    else:
        assert last is not None
        raise last
    return _assemble_partition(city, net, draft, wanted, number, attachments, weave, ways)


def segments_of(city: CityMap, net: Layers, wanted: ExclusiveSlice) -> frozenset[Segment]:
    """Return between which routers of each domain a slice of the IP networks needs ways; raises CannotPlaceError."""
    node = {a.name: access_port(city, net, a).ref.node for a in wanted.endpoints}
    borders = usable_borders(net, net.borders, ip_mask(net, wanted.boundaries, wanted.plane))
    needs = [Need(node[d.a], node[d.z], d.rate_bps, d.a, d.z) for d in wanted.demands]
    order = (0, 1) if wanted.protection is Protection.STANDBY else (0,)
    return frozenset(s for _, chains in cases(net, borders, needs, order) for chain in chains for s in chain.segments)


def _weave(
    net: Layers, draft: Draft, wanted: ExclusiveSlice, attachments: tuple[Attachment, ...], avoid: frozenset[int],
    together: Company | None, protected: bool, order: tuple[int, ...], old: Mapping[Segment, TunnelPlacement],
    taken: Mask | None,
) -> tuple[Weave, list[Ways]]:  # fmt: skip
    usable = net.ip.without_risks(ip_mask(net, wanted.boundaries, wanted.plane), avoid)
    if taken is not None:
        usable = usable & ~taken
    free = draft.ledger.free_array()
    beside = None
    if together is not None:
        beside = np.array([together.has(k.id, k.srlgs) or together.has(k.reverse, k.srlgs) for k in net.links])
    alone = wanted.slo.availability if wanted.protection is Protection.NONE else None
    weave = Weave(
        net, usable, free.clip(max=free[net.reverse]), protected, old, Limits.of(wanted.slo), protected,
        wanted.disjoint, beside, draft.ahead, alone,
    )  # fmt: skip
    borders = usable_borders(net, net.borders, usable)
    carrying = net.carrying
    if carrying is not None:  # what may only stand by is no first border
        borders = {
            ends: tuple(sorted(links, key=lambda k: not carrying.ip[net.link_index[k.id]]))
            for ends, links in borders.items()
        }
    node = {a.access: a.node for a in attachments}
    needs = [Need(node[d.a], node[d.z], d.rate_bps, d.a, d.z) for d in wanted.demands]
    ways = weave.run(cases(net, borders, needs, order))
    for way in ways:
        weave.check(way, wanted.slo.availability)
    return weave, ways


def _assemble_partition(
    city: CityMap, net: Layers, draft: Draft, wanted: ExclusiveSlice, number: int,
    attachments: tuple[Attachment, ...], weave: Weave, ways: list[Ways],
) -> Placement:  # fmt: skip
    service = wanted.metadata.service
    crossings: dict[str, tuple[Link, int, int]] = {}
    for way in ways:
        first = {_canonical(k) for k in way.chains[0].borders}
        for border in {_canonical(k): k for chain in way.chains for k in chain.borders}.values():
            link, _, rate = crossings.get(_canonical(border), (border, 0, 0))
            rank = 1 if _canonical(border) in first else 2
            crossings[_canonical(border)] = (link, rank, rate + way.need.rate_bps)
    reserved = weave.reserved()
    domains = sorted({s[0] for s in weave.rates})
    tunnels = weave.tunnels(
        "slice", service, SLICE_SETUP_PRIORITY, SLICE_HOLD_PRIORITY, wanted.slo.loss_ratio,
        weave.budgets(ways, wanted.slo.latency_s), dict.fromkeys(domains, number),
    )  # fmt: skip
    partitions = []
    for domain in domains:
        links = tuple(k for k in sorted(reserved) if net.links[net.link_index[k]].domain == domain)
        each = [rate_held(k, reserved[k]).rate_bps for k in links]
        rates = tuple(each) if len(set(each)) > 1 else ()  # one rate everywhere is said once
        name = f"slice/{service.replace('/', '.')}"
        partitions.append(NrpPlacement(name, number, domain, max(each, default=0), links, rates))
    held = tuple(rate_held(k, r) for k, r in sorted(reserved.items()))
    lit, light = ridden(city, held)
    return Placement(
        service=service, kind=wanted.kind, number=number, attachments=attachments,
        stitches=border_stitches(city, draft, _by_rank(net, crossings.values())),
        tunnels=tunnels, partitions=tuple(partitions),
        steering=tuple(Steering(t.domain, service, t.src, t.dst, "*", (t.name,), "drop") for t in tunnels),
        promises=tuple(
            w.promise(wanted.slo.latency_s) for w in ways
        ),
        rates=(*held, *port_rates(attachments)), labels=(*draft.labels(), *light), isolation="nrp", lit_links=lit,
        notes=rides_on(lit),
    )  # fmt: skip


def _by_rank(net: Layers, crossings: Iterable[tuple[Link, int, int]]) -> list[tuple[Link, int, int]]:
    def key(crossing: tuple[Link, int, int]) -> tuple[list[str], int, str]:
        link, rank, _ = crossing
        return sorted(net.nodes[r.node].domain for r in (link.src, link.dst)), rank, link.id

    return sorted(crossings, key=key)


def _canonical(link: Link) -> str:
    return min(link.id, link.reverse)
