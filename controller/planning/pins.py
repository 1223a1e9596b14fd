"""Where a plane may not follow the routers' own choice: tunnels between provider edges that keep it in bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from controller.intent.model import DedicatedPlane
from controller.network.ledger import BitsPerSecond
from controller.planning.draft import CannotPlaceError, rate_text
from controller.planning.hose import Hose, Pins, Ways
from controller.planning.joined import Bounds, Joined
from controller.planning.layers import Layers
from controller.planning.paths import Mask, Path
from controller.planning.placement import Route, TunnelPlacement
from controller.planning.reasons import short

MOST_DETOURS = 32  # overloaded links that one plane may be led around before it is refused
LEAST_PRIORITY = 7  # a plane's tunnel pre-empts nobody


class FullBorderError(CannotPlaceError):
    """The border that a plane's traffic would cross has no room for it; another one may have."""

    def __init__(self, message: str, border: int, full: Iterable[str]) -> None:
        super().__init__(message, full)
        self.border = border


def settle(net: Layers, joined: Joined, hoses: Mapping[str, Hose], bounds: Bounds, free: BitsPerSecond) -> Ways:
    """Return ways within the bounds on which the hose fits; raises CannotPlaceError naming what is full."""
    full: list[int] = []
    while True:
        pins = _Pinning(net, bounds, full, free).of(Ways(net, joined, hoses, {}))
        ways = Ways(net, joined, hoses, pins)
        over = [i for i, load in ways.loads().items() if load > free[i]]
        if not over:
            return ways
        border = next((i for i in over if net.links[i].border), None)
        full += [i for i in over if i not in full]
        if border is not None:
            raise FullBorderError(_no_room(net, border, free), border, (net.links[border].id,))
        if len(full) > MOST_DETOURS:
            raise CannotPlaceError(_no_room(net, over[0], free), (net.links[over[0]].id,))


def _no_room(net: Layers, at: int, free: BitsPerSecond) -> str:
    link = net.links[at]
    left = rate_text(max(0, int(free[at])))
    return f"link {short(link.src.node)}–{short(link.dst.node)} has {left} left of {rate_text(link.capacity_bps)}"


@dataclass(slots=True)
class _Pinning:
    """Finds the pairs of nodes that need a tunnel; `full` are links to be led around."""

    net: Layers
    bounds: Bounds
    full: list[int]
    free: BitsPerSecond

    def of(self, natural: Ways) -> Pins:
        if not self.full and bool(np.all(self.bounds.usable == (self.net.up & self.net.routed))):
            return {}
        room = self.bounds.usable.copy()
        room[self.full] = False
        room[self.net.reverse[self.full]] = False
        pins: dict[tuple[str, str], Path] = {}
        for domain in natural.points:
            for (a, z), spare in sorted(_ends(natural, domain).items()):
                if self._keeps(domain, a, z, self.bounds.usable if spare else room):
                    continue
                path = self._spare_path(domain, a, z) if spare else self._path(domain, a, z, room)
                if path:
                    self._may_pin(domain, a, z)
                    pins[a, z], pins[z, a] = path, tuple(int(self.net.reverse[i]) for i in reversed(path))
        return pins

    def _keeps(self, domain: str, a: str, z: str, within: Mask) -> bool:
        paths = [self.net.interior.path(domain, *ends) for ends in ((a, z), (z, a))]
        return all(path is not None and bool(np.all(within[list(path)])) for path in paths)

    def _path(self, domain: str, src: str, dst: str, room: Mask) -> Path:
        path = self.net.ip.shortest(src, dst, self.net.inside[domain] & room)
        if path is None and self.full:
            last = self.full[-1]
            raise CannotPlaceError(_no_room(self.net, last, self.free), (self.net.links[last].id,))
        if path is None:
            raise CannotPlaceError(f"no way that is up and allowed leads from {short(src)} to {short(dst)}")
        return path

    def _spare_path(self, domain: str, src: str, dst: str) -> Path | None:
        """A way to a border that stands by: nothing is held for it, and one day what is down now may be up."""
        inside = self.net.inside[domain]
        path = self.net.ip.shortest(src, dst, inside & self.bounds.usable)
        if path is None and not self._keeps(domain, src, dst, self.bounds.allowed):
            path = self.net.ip.shortest(src, dst, inside & self.bounds.allowed)
        return path

    def _may_pin(self, domain: str, src: str, dst: str) -> None:
        if domain not in self.net.binds:
            raise CannotPlaceError(
                f"{domain} cannot pin a way from {short(src)} to {short(dst)}: it lacks the module onecity-binding, "
                "and its own routing would leave what was asked"
            )


def _ends(ways: Ways, domain: str) -> dict[tuple[str, str], bool]:
    """Return the pairs of nodes between which a plane has traffic, and whether only while a border is gone."""
    found: dict[tuple[str, str], bool] = {}
    for p, q in ways.pairs(domain):
        ends = (min(p.node, q.node), max(p.node, q.node))
        if p.node != q.node:
            found[ends] = found.get(ends, True) and (p.spare or q.spare)
    return found


def tunnels(ways: Ways, wanted: DedicatedPlane, bounds: Bounds) -> tuple[TunnelPlacement, ...]:
    """Return a tunnel per pinned way and direction, with a standby where the bounds leave a disjoint one."""
    stem = f"plane/{wanted.metadata.service.replace('/', '.')}"
    return tuple(
        TunnelPlacement(
            name=f"{stem}/{short(src)}-{short(dst)}", reverse=f"{stem}/{short(dst)}-{short(src)}",
            domain=ways.net.nodes[src].domain, src=src, dst=dst, rate_bps=rate,
            working=_route(ways.net, ways.pins[src, dst]), standby=_standby(ways, (src, dst), bounds),
            latency_budget_s=None, loss_ratio=wanted.slo.loss_ratio, setup_priority=LEAST_PRIORITY,
            hold_priority=LEAST_PRIORITY,
        )
        for (src, dst), rate in ways.pinned_bps().items()
    )  # fmt: skip


def _standby(ways: Ways, ends: tuple[str, str], bounds: Bounds) -> Route | None:
    """Where the plane goes when its pinned way fails. As after any re-routing inside a domain, no rate is held."""
    net, (src, dst) = ways.net, (min(ends), max(ends))
    working = ways.pins[src, dst]
    inside = net.inside[net.nodes[src].domain] & bounds.usable
    rest = net.ip.without_risks(inside, net.ip.risks_of(working))
    rest[list(working)] = False
    rest[net.reverse[list(working)]] = False
    path = net.ip.shortest(src, dst, rest)
    if path is not None and (src, dst) != ends:
        path = tuple(int(net.reverse[i]) for i in reversed(path))
    return _route(net, path) if path else None


def _route(net: Layers, path: Path) -> Route:
    links = [net.links[i] for i in path]
    return Route(tuple(k.src for k in links), tuple(k.id for k in links), sum(k.delay_s for k in links))
