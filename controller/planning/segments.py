"""Where tunnels run: each segment of a chain of domains is routed once, for all who cross it, over what is free.

Present routes are kept where they still serve, and those that a batch was given together; else working and standby are
looked for as a pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from controller.intent.model import Disjointness
from controller.network.ledger import BitsPerSecond
from controller.network.model import Link
from controller.planning.beyond import Bound, why_beyond
from controller.planning.chains import Chain, Need, Segment
from controller.planning.constrained import DISJOINT, Vector, apart, best_pair, best_way, kept_apart, without
from controller.planning.draft import CannotPlaceError, Proposal, rate_text
from controller.planning.layers import Layers
from controller.planning.limits import NO_LIMITS, Limits, tightest, worse
from controller.planning.paths import Mask, Path
from controller.planning.placement import TunnelPlacement
from controller.planning.rarity import Rare
from controller.planning.reasons import short


@dataclass(slots=True)
class Segments:
    """Routes the segments of several needs over what is free. `free` is per link and symmetrical."""

    net: Layers
    usable: Mask
    free: BitsPerSecond
    protect: bool  # look for a standby on every segment
    old: Mapping[Segment, TunnelPlacement]
    limits: Limits = NO_LIMITS  # of every need's way, end to end
    strict: bool = False  # a standby keeps the limits too; else any standby is better than none
    disjoint: tuple[Disjointness, ...] = DISJOINT
    together: Mask | None = None  # where working paths have to run
    ahead: Proposal = field(default_factory=dict)  # found for a whole batch together; taken where they serve
    least: float | None = None  # the availability that each need's way has to have by itself
    needs: dict[Segment, list[tuple[Need, Chain]]] = field(default_factory=dict)
    rates: dict[Segment, dict[int, int]] = field(default_factory=dict)  # segment → case → rate
    loads: dict[int, BitsPerSecond] = field(default_factory=dict)  # case → load per link
    routes: dict[Segment, tuple[Path, Path | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        carrying = self.net.carrying
        if carrying is not None:
            self.together = carrying.ip if self.together is None else self.together & carrying.ip

    def lay(self, needs: Iterable[tuple[Need, tuple[Chain, ...]]]) -> None:
        """Route everything; raises CannotPlaceError."""
        for need, chains in needs:
            for number, chain in enumerate(chains):
                self._gather(need, number, chain)
        for segment in sorted(self.rates):
            if segment[1] < segment[2]:
                self._route(segment)

    def _gather(self, need: Need, number: int, chain: Chain) -> None:
        load = self.loads.setdefault(number, np.zeros(len(self.net.links), dtype=np.int64))
        for domain, src, dst in chain.segments:
            for segment in ((domain, src, dst), (domain, dst, src)):
                self.needs.setdefault(segment, []).append((need, chain))
                per_chain = self.rates.setdefault(segment, {})
                per_chain[number] = per_chain.get(number, 0) + need.rate_bps
        for border in chain.borders:
            at = self.net.link_index[border.id]
            if not self.usable[at]:
                raise CannotPlaceError(f"border {pair_text(border)} is down or outside the boundaries")
            if self.free[at] < load[at] + need.rate_bps:
                raise CannotPlaceError(
                    f"border {pair_text(border)} has {rate_text(max(0, int(self.free[at] - load[at])))} left",
                    (border.id,),
                )
            load[[at, self.net.reverse[at]]] += need.rate_bps

    def _route(self, segment: Segment) -> None:
        domain, src, dst = segment
        rates = self.rates[segment]
        room = self.free - self.loads_of(rates)
        inside = np.array([k.domain == domain for k in self.net.links], dtype=np.bool_) & self.usable
        usable = inside & (room >= max(rates.values()))
        limits = self._left(segment)
        kept = self._kept(segment, usable, limits) or self._proposed(segment, usable, limits)
        working, standby = kept if kept is not None else self._search(segment, usable, inside, limits)
        back = (domain, dst, src)
        self.routes[segment] = (working, standby)
        self.routes[back] = (self._mirror(working), self._mirror(standby) if standby is not None else None)
        for number, rate in rates.items():
            for path in (working, standby or ()):
                for at in path:
                    self.loads[number][[at, self.net.reverse[at]]] += rate

    def loads_of(self, rates: Mapping[int, int]) -> BitsPerSecond:
        """The load that a new route meets: the highest of the cases it carries in."""
        result: BitsPerSecond = np.maximum.reduce([self.loads[n] for n in rates])
        return result

    def _left(self, segment: Segment) -> Limits:
        """What the limits of all needs leave to one segment: those routed take what they take, the others the least.

        So a limit that can be kept at all is kept, each for itself, over any number of domains.
        """
        if self.limits == NO_LIMITS:
            return self.limits
        left: list[Limits] = []
        for _, chain in self.needs[segment]:
            limits = self.limits.less(self.net.ip_burdens.of(self.net.link_index[b.id] for b in chain.borders))
            for other in chain.segments:
                if set(other) != set(segment):
                    limits = limits.less(self._taken(other))
            left.append(limits)
        return tightest(left)

    def _taken(self, segment: Segment) -> Vector:
        burdens = self.net.ip_burdens
        if segment in self.routes:
            return worse(*(burdens.of(p) for p in self.routes[segment] if p is not None))
        index = self.net.ip.node_index
        least = burdens.least_to(index[segment[2]], self.inside(segment[0]))[index[segment[1]]]
        return tuple(float(x) for x in least)

    def inside(self, domain: str) -> Mask:
        """Return the links of a domain that may be used."""
        result: Mask = self.net.inside[domain] & self.usable
        return result

    def _search(self, segment: Segment, usable: Mask, inside: Mask, limits: Limits) -> tuple[Path, Path | None]:
        _, src, dst = segment
        burdens = self.net.ip_burdens
        first = usable if self.together is None else usable & self.together
        path = best_way(burdens, src, dst, first, limits.fits, limits.most)
        if path is None:
            if self.net.ip.shortest(src, dst, first) is not None:
                bound = self._bound(limits, protected=False)
                raise CannotPlaceError(why_beyond(bound, src, dst, usable))
            if self.net.ip.shortest(src, dst, usable) is not None:
                asked = "the ducts asked for" if self.net.carrying is None else "what does not wear out"
                raise CannotPlaceError(f"no way from {short(src)} to {short(dst)} keeps to {asked}")
            raise self._none(src, dst, inside)
        if not self.protect:
            return self._often(path, segment, first, limits), None
        narrowed = None if self.together is None else first
        pair = best_pair(burdens, src, dst, usable, limits.fits, self.disjoint, narrowed, limits.most)
        if pair is None and not self.strict and limits != NO_LIMITS:
            rest = without(burdens, usable, kept_apart(burdens, path, self.disjoint))
            return path, self.net.ip.shortest(src, dst, rest) or None
        free = NO_LIMITS.fits
        if pair is None and self.strict and best_pair(burdens, src, dst, usable, free, self.disjoint, narrowed):
            raise CannotPlaceError(why_beyond(self._bound(limits, protected=True), src, dst, usable))
        return (path, None) if pair is None else (pair.working, pair.standby)

    def _often(self, path: Path, segment: Segment, usable: Mask, limits: Limits) -> Path:
        """Return the quickest way that works as often as it has to, or the one given where none does."""
        if self.least is None:
            return path
        rare = self.net.laid.get("rare")  # of the whole map: found once, not for every service
        if not isinstance(rare, Rare):
            rare = Rare.of(self.net.ip_burdens, [k.availability for k in self.net.links], self.net.nodes)
            self.net.laid["rare"] = rare
        most = min(self._rare_left(rare, segment, need, chain) for need, chain in self.needs[segment])
        if rare.fits(path, most):
            return path
        return rare.best_way(segment[1], segment[2], usable, limits, most) or path

    def _rare_left(self, rare: Rare, segment: Segment, need: Need, chain: Chain) -> float:
        """What the rest of a chain leaves to one of its segments."""
        left = rare.most(self.least or 0.0, need.a, need.z)
        left -= rare.sum(tuple(self.net.link_index[b.id] for b in chain.borders))
        index = self.net.ip.node_index
        for other in chain.segments:
            if set(other) != set(segment):
                route = self.routes.get(other)
                inside = self.inside(other[0])
                left -= rare.sum(route[0]) if route else rare.least(index[other[1]], index[other[2]], inside)
        return left

    def _bound(self, limits: Limits, *, protected: bool) -> Bound:
        names = tuple(k.id for k in self.net.links)
        together = self.together
        return Bound(
            self.net, self.net.ip_burdens, limits, protected, self.disjoint, (0.0,) * 5, names,
            lambda mask: mask if together is None else mask & together,
        )  # fmt: skip

    def _none(self, src: str, dst: str, inside: Mask) -> CannotPlaceError:
        path = self.net.ip.shortest(src, dst, inside)
        if path is None:
            return CannotPlaceError(f"nothing that is up and within the boundaries joins {short(src)} and {short(dst)}")
        at = min(path, key=lambda i: (int(self.free[i]), i))
        left = rate_text(max(0, int(self.free[at])))
        link = self.net.links[at]
        words = f"link {pair_text(link)} has {left} left of {rate_text(link.capacity_bps)}"
        return CannotPlaceError(words, (link.id, link.reverse))

    def _kept(self, segment: Segment, usable: Mask, limits: Limits) -> tuple[Path, Path | None] | None:
        """The present route, where it still serves."""
        old = self.old.get(segment)
        if old is None or (self.protect and old.standby is None):
            return None
        index = self.net.link_index
        routes = [old.working] + ([old.standby] if old.standby is not None and self.protect else [])
        if any(k not in index for r in routes for k in r.links):
            return None
        paths = [tuple(index[k] for k in r.links) for r in routes]
        return self._serving(paths, segment, usable, limits)

    def _proposed(self, segment: Segment, usable: Mask, limits: Limits) -> tuple[Path, Path | None] | None:
        """The way that the batch was given together, where it still serves."""
        if segment not in self.ahead:
            return None
        working, standby = self.ahead[segment]
        if self.protect and standby is None:
            return None
        paths = [working] if standby is None or not self.protect else [working, standby]
        return self._serving(paths, segment, usable, limits)

    def _serving(
        self, paths: list[Path], segment: Segment, usable: Mask, limits: Limits
    ) -> tuple[Path, Path | None] | None:
        if not all(usable[list(path)].all() for path in paths):
            return None
        burdens = self.net.ip_burdens
        bound = paths if self.strict else paths[:1]
        if not all(limits.fits(burdens.of(p)) for p in bound):
            return None
        if self.together is not None and not np.all(self.together[list(paths[0])]):
            return None
        if not self.protect and self._often(paths[0], segment, usable, limits) is not paths[0]:
            return None
        if len(paths) > 1 and not apart(burdens, paths[0], paths[1], self.disjoint):
            return None
        return paths[0], paths[1] if len(paths) > 1 else None

    def _mirror(self, path: Path) -> Path:
        return tuple(int(self.net.reverse[i]) for i in reversed(path))

    def reserved(self) -> dict[str, int]:
        """Return the rate to hold per directed link."""
        top: BitsPerSecond = (
            np.maximum.reduce(list(self.loads.values()))
            if self.loads
            else np.zeros(len(self.net.links), dtype=np.int64)
        )
        return {self.net.links[i].id: int(top[i]) for i in np.flatnonzero(top)}


def pair_text(link: Link) -> str:
    """Return a link as people name it: `lg-nanwan–lg-buji`."""
    return f"{short(link.src.node)}–{short(link.dst.node)}"
