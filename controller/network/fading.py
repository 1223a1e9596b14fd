"""The map without what fades: fibres that wear out are ridden anew only where nothing else keeps what is asked.

Best is a way that has nothing to do with them. Where there is none, they may still stand by for a way around them:
traffic is on them then only while something else is broken. Both are pictures of the map, so planning asks for either
like for any other map.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from controller.network.model import CityMap
from controller.network.outage import without


def calm(city: CityMap) -> CityMap | None:
    """Return the map as if what had better be left were dark; None where nothing that is up is. Made once per map."""
    if "_calm" not in vars(city):
        parts = _left(city)
        vars(city)["_calm"] = without(for_standbys(city, frozenset()), parts) if parts else None
    found: CityMap | None = vars(city)["_calm"]
    return found


def wary(city: CityMap) -> CityMap:
    """Return the map on which what had better be left only stands by. Made once per map."""
    if "_wary" not in vars(city):
        found = for_standbys(city, _left(city))
        if found is city:
            return city  # which would hold itself
        vars(city)["_wary"] = found
    known: CityMap = vars(city)["_wary"]
    return known


def for_standbys(city: CityMap, parts: frozenset[str]) -> CityMap:
    """Return the map on which these components, and no others, may be ridden by what stands by and by nothing else."""
    if parts == city.standby_only:
        return city
    after = replace(city, standby_only=parts)
    vars(after)["link_index"] = city.link_index  # the same links in the same order: ledgers stay where they are
    return after


def _left(city: CityMap) -> frozenset[str]:
    """Return the components over fading fibres that are up, and those that are for standbys only anyhow."""
    fading = frozenset(f for f in city.fading if f in city.fibres and city.fibres[f].up)
    return city.standby_only | (_over(city, fading) if fading else frozenset())


def _over(city: CityMap, fading: frozenset[str]) -> frozenset[str]:
    links = [k for k in city.links if not fading.isdisjoint(k.fibres)]
    odus = [o for o in city.odu_links.values() if not fading.isdisjoint(o.fibres)]
    found = {*(f"fibre:{f}" for f in fading), *(f"odu:{o.id}" for o in odus)}
    return frozenset(found | {f"link:{i}" for k in links for i in (k.id, k.reverse)})


def fading_under(city: CityMap, parts: Iterable[str]) -> tuple[str, ...]:
    """Return the fading fibres, and those for standbys only, under any of these fibres, ODU and IP links (ids)."""
    if not city.fading and not city.standby_only:
        return ()
    left = city.fading | {c[6:] for c in city.standby_only if c.startswith("fibre:")}
    found: set[str] = set()
    for part in parts:
        if part in city.link_by_id:
            found.update(city.link_by_id[part].fibres)
        elif part in city.odu_links:
            found.update(city.odu_links[part].fibres)
        else:
            found.add(part)
    return tuple(sorted(found & left))
