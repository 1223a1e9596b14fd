"""Dedicated planes: an L3VPN whose hose bandwidth is held on a tree, never on n² tunnels.

The tree stands at the hub, or any-to-any at the node from which all sites are quickest to reach. Over a link
of the tree can never pass more than the smaller of what the sites on its two sides may send, so that is what
is held, per direction. Both border pairs are stitched; the tree runs over the better one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from controller.intent.model import DedicatedPlane
from controller.network.model import CityMap, Link
from controller.planning.attach import allocate_lans, attach_all
from controller.planning.borders import border_stitches
from controller.planning.draft import CannotPlaceError, Draft, rate_text, time_text
from controller.planning.layers import Layers, forbidden_nodes, ip_mask, series
from controller.planning.paths import Mask, Path
from controller.planning.placement import Attachment, Placement, Promise, RateReservation
from controller.planning.reasons import boundary_text, short

MOST_DETOURS = 32  # overloaded links that one plane may be led around before it is refused


def place_plane(city: CityMap, net: Layers, draft: Draft, wanted: DedicatedPlane) -> Placement:
    """Place one plane; raises CannotPlaceError."""
    old = draft.old.attachments if draft.old is not None else ()
    number = draft.number()
    lans = allocate_lans(wanted.accesses, wanted.lan_pool, wanted.lan_prefix_len, old)
    attachments = attach_all(city, net, draft, wanted.accesses, lans, wanted.boundaries)
    tree = _Tree(net, draft, wanted, attachments)
    tree.grow()
    stitches = border_stitches(city, draft, _crossings(net, tree))
    rates = tuple(_held(net, tree, wanted))
    return Placement(
        service=wanted.metadata.service, kind=wanted.kind, number=number, attachments=attachments,
        stitches=stitches, trees=tree.directions(), promises=tree.promises(), rates=rates, labels=draft.labels(),
    )  # fmt: skip


class _Tree:
    """The quickest tree from one root to every provider edge, led around links without room."""

    def __init__(self, net: Layers, draft: Draft, wanted: DedicatedPlane, attachments: tuple[Attachment, ...]) -> None:
        self.net, self.wanted, self.attachments = net, wanted, attachments
        self.hose: dict[str, int] = {}
        for attachment in attachments:
            self.hose[attachment.node] = self.hose.get(attachment.node, 0) + attachment.rate_bps
        self.total = sum(self.hose.values())
        free = draft.ledger.free_array()
        self.free = free.clip(max=free[net.reverse]) if len(free) else free
        self.usable = self._rank_first(ip_mask(net, wanted.boundaries, wanted.plane))
        self.loads: dict[int, int] = {}  # link index (away from the root) → bit/s
        self.paths: dict[str, Path] = {}
        self.root = ""

    def _rank_first(self, usable: Mask) -> Mask:
        """Leave only the best usable border between two domains: the one that routing prefers."""
        result = usable.copy()
        for links in self.net.borders.values():
            best = next((k for k in links if usable[self.net.link_index[k.id]]), None)
            for link in links:
                if best is not None and link is not best:
                    result[[self.net.link_index[link.id], self.net.link_index[link.reverse]]] = False
        return result

    def grow(self) -> None:
        """Find root, paths and loads; raises CannotPlaceError naming what is missing or full."""
        down = forbidden_nodes(self.net, self.wanted.boundaries) & set(self.hose)
        if down:
            raise CannotPlaceError(f"{', '.join(sorted(map(short, down)))} is down or outside the boundaries")
        usable = self.usable
        tried: list[int] = []
        while True:
            self._span(usable, tried)
            full = [i for i, load in sorted(self.loads.items()) if load > self.free[i]]
            if not full:
                return
            tried += full
            if len(tried) > MOST_DETOURS:
                raise CannotPlaceError(self._no_room(full[0]))
            usable = usable.copy()
            usable[full] = False
            usable[self.net.reverse[full]] = False

    def _no_room(self, at: int) -> str:
        link = self.net.links[at]
        left = rate_text(max(0, int(self.free[at])))
        return f"link {short(link.src.node)}–{short(link.dst.node)} has {left} left of {rate_text(link.capacity_bps)}"

    def _span(self, usable: Mask, tried: list[int]) -> None:
        graph = self.net.ip
        self.root, before, distance = self._centre(usable)
        lost = sorted(n for n in self.hose if not np.isfinite(distance[graph.node_index[n]]))
        if lost and tried:
            raise CannotPlaceError(self._no_room(tried[-1]))
        if lost:
            where = boundary_text(self.wanted.boundaries)
            only = f", plane {self.wanted.plane}" if self.wanted.plane else ""
            raise CannotPlaceError(
                f"no way that is up leads from {short(self.root)} to {short(lost[0])} (boundaries: {where}{only})"
            )
        self.paths = {n: graph.path_to(n, before, usable) or () for n in sorted(self.hose)}
        below: dict[int, int] = {}
        for node, path in self.paths.items():
            for i in path:
                below[i] = below.get(i, 0) + self.hose[node]
        self.loads = {i: min(rate, self.total - rate) for i, rate in below.items()}

    def _centre(
        self, usable: Mask
    ) -> tuple[str, np.ndarray[tuple[int], np.dtype[np.int32]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """The hub's node, else the one from which all sites together are quickest; the first by name of equals."""
        graph = self.net.ip
        hubs = sorted({a.node for a in self.attachments if a.hub})
        roots = hubs[:1] if self.wanted.hub_and_spoke and hubs else sorted(self.hose)
        ends = [graph.node_index[n] for n in sorted(self.hose)]
        best = None
        for root in roots:
            distance, before = graph.tree(root, usable)
            unreached = int(np.count_nonzero(~np.isfinite(distance[ends])))
            reached = distance[ends][np.isfinite(distance[ends])]
            key = (unreached, round(float(reached.sum()), 12), root)
            if best is None or key < best[0]:
                best = (key, before, distance)
        assert best is not None
        return best[0][2], best[1], best[2]

    def directions(self) -> tuple[tuple[str, ...], ...]:
        """Link ids away from the root, and towards it."""
        away = sorted(self.loads)
        if not away:
            return ()
        links = self.net.links
        return tuple(links[i].id for i in away), tuple(links[self.net.reverse[i]].id for i in away)

    def promises(self) -> tuple[Promise, ...]:
        """What every access gets to and from the root of the tree, the worst pair being the sum of two."""
        centre = next(a.access for a in self.attachments if a.node == self.root)
        budget = self.wanted.slo.latency_s
        worst = sorted((self.net.ip.delay_of(p) for p in self.paths.values()), reverse=True)
        longest = worst[0] if self.wanted.hub_and_spoke or len(worst) < 2 else worst[0] + worst[1]
        if budget is not None and longest > budget:
            raise CannotPlaceError(f"latency: the farthest two accesses are {time_text(longest)} apart")
        given = {node: self._given(node) for node in self.paths}
        return tuple(
            Promise(centre, a.access, a.rate_bps, given[a.node][0], budget, None, given[a.node][1], given[a.node][2])
            for a in self.attachments
            if a.access != centre
        )

    def _given(self, node: str) -> tuple[float, float, tuple[str, ...]]:
        path = self.paths[node]
        links = [self.net.links[i] for i in path]
        between = [k.dst.node for k in links[:-1]]
        availability = series(self.net, between, (k.availability for k in links))
        via = (short(self.root), *(x for k in links for x in (k.circuit or k.id, short(k.dst.node))))
        return self.net.ip.delay_of(path), availability, via


def _crossings(net: Layers, tree: _Tree) -> Iterable[tuple[Link, int, int]]:
    """Every border of each two domains that the tree joins, with its rank and the rate that may cross it."""
    rates: dict[frozenset[str], int] = {}
    for i, load in tree.loads.items():
        link = net.links[i]
        if link.border:
            ends = frozenset((net.nodes[link.src.node].domain, net.nodes[link.dst.node].domain))
            rates[ends] = rates.get(ends, 0) + load
    for ends, rate in sorted(rates.items(), key=lambda item: sorted(item[0])):
        for link in net.borders[ends]:
            yield link, link.rank, rate


def _held(net: Layers, tree: _Tree, wanted: DedicatedPlane) -> Iterable[RateReservation]:
    both: Mapping[str, int] = {
        net.links[at].id: load for i, load in tree.loads.items() for at in (i, int(net.reverse[i])) if load
    }
    for link, load in sorted(both.items()):
        yield RateReservation(link, load, squeezable_bps=load - round(load * wanted.floor_ratio))
