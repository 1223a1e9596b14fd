"""Which fibre, or duct, must be cut though nobody says so: its domain tells what was, is silent, or out of reach.

IP links say that they are down; where all that ride one fibre do, and there are two or more, the fibre is what they
share. A single link over a fibre could as well have lost its own cards: that is no proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from controller.assurance.components import Component
from controller.network.model import CityMap, Link

LEAST_LINKS = 2  # over one fibre, both directions counted once
Pair = str  # the lesser id of a link's two directions


@dataclass(frozen=True, slots=True)
class Suspect:
    """What alone explains why these links are down. srlg: the duct that the fibres share; None: it is one fibre."""

    fibres: tuple[str, ...]
    srlg: int | None
    links: frozenset[Pair]
    alike: tuple[str, ...] = ()  # other fibres under the very same links, which nobody can tell from this one


@dataclass(frozen=True, slots=True)
class Ridden:
    """What rides each fibre. down: link pairs that nothing explains. acquitted: fibres over which some link is up."""

    down: Mapping[str, frozenset[Pair]]
    acquitted: frozenset[str]

    def under(self, pair: Pair) -> tuple[str, ...]:
        """Return the fibres that may be cut under a link, sorted."""
        return tuple(sorted(f for f, pairs in self.down.items() if pair in pairs and f not in self.acquitted))


def ridden(
    city: CityMap, routes: Mapping[str, tuple[str, ...]], left: Set[Component], down: Set[Component], blind: Set[str]
) -> Ridden:
    """Return what rides each fibre on a wavelength without a second leg.

    left: of what is down, that which nothing explains yet. blind: domains that tell nothing; what they told last of
    their links acquits nobody.
    """
    found: dict[str, set[Pair]] = {}
    acquitted: set[str] = set()
    for link in city.links:
        if link.id > link.reverse:
            continue
        ways = {f"link:{link.id}", f"link:{link.reverse}"}
        fibres = () if link.spare_fibres else routes.get(link.circuit or "", link.fibres)
        if not ways.isdisjoint(left):
            for fibre in fibres:
                found.setdefault(fibre, set()).add(link.id)
        elif ways.isdisjoint(down) and not _tellers(city, link) <= blind:
            acquitted.update(fibres)
    return Ridden({f: frozenset(pairs) for f, pairs in found.items()}, frozenset(acquitted))


def _tellers(city: CityMap, link: Link) -> Set[str]:
    return {city.nodes[end.node].domain for end in (link.src, link.dst) if end.node in city.nodes}


def suspects(city: CityMap, rides: Ridden) -> tuple[Suspect, ...]:
    """Return fibres and ducts that explain links that are down, those that explain most first.

    Of several that explain as much a fibre comes before a duct, and the lesser name first: always the same ones.
    """
    chosen: list[Suspect] = []
    every = tuple(_candidates(city, rides))
    left = frozenset[Pair]().union(*(one.links for one in every))
    while left:
        best = min(every, key=lambda s: (-len(s.links & left), s.srlg is not None, s.srlg or 0, s.fibres))
        if len(best.links & left) < LEAST_LINKS:
            break
        alike = (s for s in every if s.links == best.links and s is not best and s.srlg is best.srlg is None)
        others = tuple(sorted(fibre for one in alike for fibre in one.fibres))
        chosen.append(Suspect(best.fibres, best.srlg, best.links & left, others))
        left -= best.links
    return tuple(chosen)


def _candidates(city: CityMap, rides: Ridden) -> Iterator[Suspect]:
    dark = {f: pairs for f, pairs in rides.down.items() if f in city.fibres and f not in rides.acquitted}
    for fibre, pairs in dark.items():
        if len(pairs) >= LEAST_LINKS:
            yield Suspect((fibre,), None, pairs)
    ducts: dict[int, set[str]] = {}
    for part in city.fibres.values():
        for srlg in part.srlgs:
            ducts.setdefault(srlg, set()).add(part.id)
    for srlg, inside in ducts.items():
        lit = tuple(sorted(inside & dark.keys()))
        if len(lit) > 1 and inside.isdisjoint(rides.acquitted):
            yield Suspect(lit, srlg, frozenset[Pair]().union(*(dark[f] for f in lit)))
