"""What a plane's ways come to between any two accesses that talk to each other, held against what was asked.

Routers choose a plane's ways, so there is nothing to search here, only to judge. The worst pair is found without
looking at every pair: all nodes of a domain leave it over the same border, so what two of them in different domains
are apart is a sum of three parts, each at its worst by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product

from controller.intent.model import DedicatedPlane
from controller.planning.constrained import DISJOINT, Vector, kept_apart, without
from controller.planning.draft import CannotPlaceError, ratio_text, time_text
from controller.planning.hose import Ways
from controller.planning.layers import Layers
from controller.planning.limits import DELAY, HOPS, JITTER, LOSS, Limits, jitter_text, loss_of
from controller.planning.paths import Mask, Path
from controller.planning.reasons import short
from controller.planning.reliability import availability

_NOTHING = (0.0,) * 6
_RARE = 5  # the last column: −ln of the availability of links and of the nodes between


def check(ways: Ways, wanted: DedicatedPlane, usable: Mask) -> Judge:
    """Refuse ways that break what was asked; raises CannotPlaceError. Returns what can tell of each pair.

    usable: where the domains may lead the plane when a link is gone; also over what is down today, which is mended one
    day: availability is that of years, not of the hour of a cut.
    """
    judge = Judge(ways, usable)
    worst = judge.worst()
    limits = Limits.of(wanted.slo)
    if limits.delay_s is not None and worst[DELAY][0] > limits.delay_s:
        raise CannotPlaceError(f"latency: the farthest two accesses are {time_text(worst[DELAY][0])} apart")
    for column, most in enumerate(limits.most):
        sums, a, z = worst[column]
        if column != DELAY and sums > most + 1e-12:
            raise CannotPlaceError(f"{_words(column, sums)} from {short(a)} to {short(z)}, as its routers lead it")
    least = wanted.slo.availability
    if math.exp(-worst[_RARE][0]) < least:
        for a, z in judge.talking():
            given = judge.availability(a, z, least)
            if given < least:
                ends = f"{short(a)}–{short(z)}"
                raise CannotPlaceError(f"availability: the ways {ends} together give {ratio_text(given)}")
    return judge


def _words(column: int, sums: float) -> str:
    if column == JITTER:
        return f"jitter: may vary by {jitter_text(sums)}"
    if column == LOSS:
        return f"loss: may lose {loss_of((0.0, 0.0, sums)):.2g} of its packets"
    assert column == HOPS
    return f"hops: is led over {round(sums)} links"


@dataclass(slots=True)
class Judge:
    """Sums and availability of the ways between two nodes of one plane."""

    ways: Ways
    usable: Mask
    _inside: dict[tuple[str, str], Vector] = field(default_factory=dict)
    _second: dict[tuple[str, str], Path | None] = field(default_factory=dict)
    _rows: dict[int, Vector] = field(default_factory=dict)
    _nodes: dict[str, float] = field(default_factory=dict)

    def worst(self) -> list[tuple[float, str, str]]:
        """Return for every sum its highest, and between which nodes."""
        found = [(0.0, "", "")] * len(_NOTHING)
        for sums, a, z in self._worst_pairs():
            found = [max(f, (s, a, z), key=lambda x: x[0]) for f, s in zip(found, sums, strict=True)]
        return found

    def _worst_pairs(self) -> Iterator[tuple[Vector, str, str]]:
        homes: dict[str, list[str]] = {}
        for node in self.ways.hoses:
            homes.setdefault(self.ways.net.nodes[node].domain, []).append(node)
        for here, there in product(sorted(homes), repeat=2):
            if here == there:
                yield from ((self._part(a, z), a, z) for a, z in self._talk(homes[here], homes[here]))
            else:
                yield from self._across(here, there, homes)

    def _across(self, here: str, there: str, homes: dict[str, list[str]]) -> Iterator[tuple[Vector, str, str]]:
        links = self.ways.net.links
        borders = [self.ways.joined.crossings[p].primary for p in pairwise(self.ways.joined.route(here, there))]
        first, last = links[borders[0]].src.node, links[borders[-1]].dst.node
        middle = self._whole(first, last, borders)
        for column in range(len(_NOTHING)):
            near = self._farthest(homes[here], lambda n: self._part(n, first), column)
            far = self._farthest(homes[there], lambda n: self._part(last, n), column)
            for a, z in ((near[True], far[False]), (near[False], far[True])):
                if a is not None and z is not None:
                    ends = self._joint(first, {a}), self._joint(last, {z})
                    yield _sum((self._part(a, first), ends[0], middle, ends[1], self._part(last, z))), a, z

    def _farthest(self, nodes: list[str], part: Callable[[str], Vector], column: int) -> dict[bool, str | None]:
        """The farthest node of those with hubs (True), and of all."""
        hubs = [n for n in nodes if self.ways.hoses[n].hubs_bps]
        return {
            True: max(hubs, key=lambda n: part(n)[column], default=None),
            False: max(nodes, key=lambda n: part(n)[column], default=None),
        }

    def _talk(self, ones: Iterable[str], others: Iterable[str]) -> Iterator[tuple[str, str]]:
        for a, z in product(ones, others):
            if a != z and self.ways.hoses[a].talks_to(self.ways.hoses[z]):
                yield a, z

    def talking(self) -> Iterator[tuple[str, str]]:
        """Yield every two nodes whose accesses talk to each other, once."""
        nodes = sorted(self.ways.hoses)
        yield from ((a, z) for a, z in self._talk(nodes, nodes) if a < z)

    def _part(self, src: str, dst: str) -> Vector:
        """Sums over the way inside a domain, the nodes at its two ends left out."""
        if src == dst:
            return _NOTHING
        if (src, dst) not in self._inside:
            path = self.ways.inside(src, dst)
            rows = [self._row(i) for i in path]
            inner = sum(self._rare(self.ways.net.links[i].dst.node) for i in path[:-1])
            sums = [sum(column) for column in zip(*rows, strict=True)] if rows else list(_NOTHING)
            sums[_RARE] += inner
            self._inside[src, dst] = tuple(sums)
        return self._inside[src, dst]

    def _row(self, link: int) -> Vector:
        """What one link adds to every sum; looked up, as the same links carry many pairs."""
        known = self._rows.get(link)
        if known is None:
            net = self.ways.net
            rare = -math.log(net.links[link].availability)
            known = self._rows[link] = (*net.ip_burdens.sums[link].tolist(), rare)
        return known

    def _rare(self, node: str) -> float:
        known = self._nodes.get(node)
        if known is None:
            known = self._nodes[node] = -math.log(self.ways.net.nodes[node].availability)
        return known

    def _joint(self, node: str, ends: set[str]) -> Vector:
        """What a node between two parts adds, unless it is an end."""
        if node in ends:
            return _NOTHING
        return (*_NOTHING[:_RARE], self._rare(node))

    def _whole(self, first: str, last: str, borders: list[int]) -> Vector:
        """From the border node that leaves the first domain to the one that enters the last."""
        net, at, parts = self.ways.net, first, []
        for link in borders:
            near, far = net.links[link].src.node, net.links[link].dst.node
            if at != near:
                parts += [self._part(at, near), self._joint(near, set())]
            rare = -math.log(net.links[link].availability)
            parts.append((*net.ip_burdens.of((link,)), rare))
            if far != last:
                parts.append(self._joint(far, set()))
            at = far
        return _sum(parts)

    def availability(self, a: str, z: str, least: float = 1.0) -> float:
        """Return the availability between two nodes: of the way itself where that is enough, else with the others.

        A domain leads traffic around what is gone, so beside its way every part has a second, apart from the first;
        and every border has the spare ones.
        """
        nodes = self.ways.net.nodes
        one_domain = nodes[a].domain == nodes[z].domain
        alone = math.exp(-self._part(a, z)[_RARE]) if one_domain else self._availability(a, z, spare=False)
        return alone if alone >= least else self._availability(a, z, spare=True)

    def _availability(self, a: str, z: str, *, spare: bool) -> float:
        net, ways = self.ways.net, self.ways
        route = ways.joined.route(net.nodes[a].domain, net.nodes[z].domain)
        crossings = [ways.joined.crossings[pair] for pair in pairwise(route)]
        choices = [(c.primary, *c.spares) if spare else (c.primary,) for c in crossings]
        found: list[frozenset[str]] = []
        for borders in product(*(choice[:2] for choice in choices)):
            ends = [a, *(n for i in borders for n in (net.links[i].src.node, net.links[i].dst.node)), z]
            options = [self._paths(p, q, spare) for p, q in zip(ends[::2], ends[1::2], strict=True)]
            for mix in product(*options):
                edges = (*borders, *(i for path in mix for i in path))
                found.append(frozenset(n for i in edges for n in self._parts_of(i)) - {a, z})
        parts = frozenset().union(*found)
        return availability(found, {p: self._works(p) for p in parts})

    def _paths(self, src: str, dst: str, spare: bool) -> tuple[Path, ...]:
        if src == dst:
            return ((),)
        first = self.ways.inside(src, dst)
        if not spare:
            return (first,)
        ends = (min(src, dst), max(src, dst))
        if ends not in self._second:
            self._second[ends] = self._apart(*ends, self.ways.inside(*ends))
        second = self._second[ends]
        return (first,) if second is None else (first, second)

    def _apart(self, src: str, dst: str, first: Path) -> Path | None:
        net = self.ways.net
        known, key = _known_apart(net), (src, dst, first, self.usable.tobytes())
        if key not in known:
            inside = net.inside[net.nodes[src].domain] & self.usable
            rest = without(net.ip_burdens, inside, kept_apart(net.ip_burdens, first, DISJOINT))
            known[key] = net.ip.shortest(src, dst, rest) or None
        return known[key]

    def _parts_of(self, link: int) -> tuple[str, str, str]:
        k = self.ways.net.links[link]
        return min(k.id, k.reverse), k.src.node, k.dst.node

    def _works(self, part: str) -> float:
        net = self.ways.net
        return net.nodes[part].availability if part in net.nodes else net.links[net.link_index[part]].availability


_Apart = dict[tuple[str, str, Path, bytes], Path | None]
_apart_found: list[tuple[object, _Apart]] = []  # of the newest map: planes with the same ends ask the same
MOST_APART = 10_000


def _known_apart(net: Layers) -> _Apart:
    if not _apart_found or _apart_found[0][0] is not net.ip:
        _apart_found[:] = [(net.ip, {})]
    known = _apart_found[0][1]
    if len(known) >= MOST_APART:
        known.clear()
    return known


def _sum(parts: Iterable[Vector]) -> Vector:
    return tuple(math.fsum(x) for x in zip(*parts, strict=True))
