"""The map without what fades: fibres that wear out are ridden anew only where nothing else keeps what is asked."""

from __future__ import annotations

from collections.abc import Iterable

from controller.network.model import CityMap
from controller.network.outage import without


def calm(city: CityMap) -> CityMap | None:
    """Return the map as if its fading fibres were dark; None where none of what is up fades. Made once per map."""
    if "_calm" not in vars(city):
        fading = frozenset(f for f in city.fading if f in city.fibres and city.fibres[f].up)
        vars(city)["_calm"] = without(city, _over(city, fading)) if fading else None
    found: CityMap | None = vars(city)["_calm"]
    return found


def _over(city: CityMap, fading: frozenset[str]) -> frozenset[str]:
    links = [k for k in city.links if not fading.isdisjoint(k.fibres)]
    odus = [o for o in city.odu_links.values() if not fading.isdisjoint(o.fibres)]
    found = {*(f"fibre:{f}" for f in fading), *(f"odu:{o.id}" for o in odus)}
    return frozenset(found | {f"link:{i}" for k in links for i in (k.id, k.reverse)})


def fading_under(city: CityMap, parts: Iterable[str]) -> tuple[str, ...]:
    """Return the fading fibres under any of these fibres, ODU links and IP links (ids), sorted."""
    if not city.fading:
        return ()
    found: set[str] = set()
    for part in parts:
        if part in city.link_by_id:
            found.update(city.link_by_id[part].fibres)
        elif part in city.odu_links:
            found.update(city.odu_links[part].fibres)
        else:
            found.add(part)
    return tuple(sorted(found & city.fading))
