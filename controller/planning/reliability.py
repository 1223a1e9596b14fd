"""Availability of a service from that of the parts on its paths, in series and in parallel, exactly.

A service works while one of its ways does; a way works while all its parts do. Parts fail independently of each
other, but ways share parts (a node, the same segment in two cases), so the ways' availabilities must not be
multiplied as if they were strangers. Exact by conditioning on one shared part after another (factoring); parts that
lie on the same ways count as one, so a pair of paths over fifty links is two steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod

Way = frozenset[str]  # names of the parts that must all work
Ways = frozenset[Way]


def availability(ways: Iterable[Iterable[str]], of: Mapping[str, float]) -> float:
    """Return the probability that at least one way works, 0..1; 0 where there is no way.

    of: the availability of every part that any way names. Exact for independent parts.
    """
    merged, values = _merged([frozenset(w) for w in ways], of)
    known: dict[Ways, float] = {}

    def works(left: Ways) -> float:
        if not left:
            return 0.0
        if frozenset() in left:
            return 1.0
        if left not in known:
            known[left] = _condition(left)
        return known[left]

    def _condition(left: Ways) -> float:
        if len(left) == 1:
            return prod(values[p] for p in sorted(next(iter(left))))
        counts = Counter(part for way in left for part in way)
        part = min(counts, key=lambda p: (-counts[p], p))
        up = _minimal(way - {part} for way in left)
        down = frozenset(way for way in left if part not in way)
        return values[part] * works(up) + (1 - values[part]) * works(down)

    return works(_minimal(merged))


def _merged(ways: list[Way], of: Mapping[str, float]) -> tuple[list[Way], dict[str, float]]:
    """Count parts that lie on exactly the same ways as one."""
    places: dict[str, list[int]] = {}
    for i, way in enumerate(ways):
        for part in way:
            places.setdefault(part, []).append(i)
    groups: dict[tuple[int, ...], list[str]] = {}
    for part in sorted(places):
        groups.setdefault(tuple(places[part]), []).append(part)
    merged: list[set[str]] = [set() for _ in ways]
    values: dict[str, float] = {}
    for where, parts in groups.items():
        values[parts[0]] = prod(of[p] for p in parts)
        for i in where:
            merged[i].add(parts[0])
    return [frozenset(m) for m in merged], values


def _minimal(ways: Iterable[Way]) -> Ways:
    """Leave out ways that need all that another needs, and more."""
    every = sorted(set(ways), key=lambda w: (len(w), sorted(w)))
    kept: list[Way] = []
    for way in every:
        if not any(k <= way for k in kept):
            kept.append(way)
    return frozenset(kept)
