"""Which domains traffic between two provider edges crosses, and over which borders: what tunnels are laid along.

Between every two domains it takes the best border, or while that is gone the next one; each mix of best and next is
a case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise, product

from controller.network.model import Link
from controller.planning.draft import CannotPlaceError
from controller.planning.layers import Layers
from controller.planning.paths import Mask
from controller.planning.reasons import short

MOST_MIXED = 3  # pairs of domains of which any border may be gone while the others stay
Segment = tuple[str, str, str]  # domain, source, destination


@dataclass(frozen=True, slots=True)
class Need:
    """Traffic between two provider edges, both directions."""

    a: str  # node ids
    z: str
    rate_bps: int
    label_a: str  # how the promise names the ends
    label_z: str


@dataclass(frozen=True, slots=True)
class Chain:
    segments: tuple[Segment, ...]  # in travel order; empty where both ends are one node
    borders: tuple[Link, ...]  # directed a → z
    start: str = ""
    end: str = ""


Borders = Mapping[frozenset[str], tuple[Link, ...]]


def usable_borders(net: Layers, borders: Borders, usable: Mask) -> Borders:
    """Return the borders that the mask allows, best first."""
    allowed = {ends: tuple(k for k in links if usable[net.link_index[k.id]]) for ends, links in borders.items()}
    return {ends: links for ends, links in allowed.items() if links}


def cases(
    net: Layers, borders: Borders, needs: Iterable[Need], order: tuple[int, ...]
) -> list[tuple[Need, tuple[Chain, ...]]]:
    """Return every need with its chain in each case. `order`: which border is the best, and which the next, if any."""
    needs = list(needs)
    domains = [_domains(net, borders, need) for need in needs]
    pairs = sorted({frozenset(pair) for one in domains for pair in pairwise(one)}, key=sorted)
    mixes = list(product(order, repeat=len(pairs)))
    if len(pairs) > MOST_MIXED:
        mixes = [(choice,) * len(pairs) for choice in order]
    choices = [dict(zip(pairs, mix, strict=True)) for mix in mixes]
    return [
        (need, tuple(_chain(net, borders, need, one, choice) for choice in choices))
        for need, one in zip(needs, domains, strict=True)
    ]


def _domains(net: Layers, borders: Borders, need: Need) -> tuple[str, ...]:
    found = _domain_sequence(borders, net.nodes[need.a].domain, net.nodes[need.z].domain)
    if found is None:
        raise CannotPlaceError(
            f"no border that is up and within the boundaries leads from {short(need.a)} to {short(need.z)}"
        )
    return found


def _chain(
    net: Layers, borders: Borders, need: Need, domains: tuple[str, ...], choice: Mapping[frozenset[str], int]
) -> Chain:
    """Return the way over the chosen border of every two domains (the last where there are fewer)."""
    at, crossed, segments = need.a, [], []
    for here, there in pairwise(domains):
        options = borders[frozenset((here, there))]
        link = options[min(choice[frozenset((here, there))], len(options) - 1)]
        if net.nodes[link.src.node].domain != here:
            link = net.links[net.link_index[link.reverse]]
        if at != link.src.node:
            segments.append((here, at, link.src.node))
        crossed.append(link)
        at = link.dst.node
    if at != need.z:
        segments.append((domains[-1], at, need.z))
    return Chain(tuple(segments), tuple(crossed), need.a, need.z)


def _domain_sequence(borders: Borders, first: str, last: str) -> tuple[str, ...] | None:
    """Fewest borders from one domain to the other; of equals the first by name."""
    seen: dict[str, tuple[str, ...]] = {first: (first,)}
    front = [first]
    while front:
        if last in seen:
            return seen[last]
        front.sort()
        following: list[str] = []
        for here in front:
            for ends in sorted(borders, key=sorted):
                there = next(iter(ends - {here}), None)
                if here in ends and there is not None and there not in seen:
                    seen[there] = (*seen[here], there)
                    following.append(there)
        front = following
    return seen.get(last)
