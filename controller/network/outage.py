"""A map with what streams say is down, before the domains were asked again: discovery takes a second, this none."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import TypeVar

from controller.network.model import CityMap, Fibre, Node, OduLink

Part = TypeVar("Part", Fibre, OduLink, Node)


def without(city: CityMap, down: Set[str]) -> CityMap:
    """Return the map with these components down: "link:<id>", "fibre:<id>", "odu:<id>", "node:<id>".

    Parts that are not touched are shared with the map given, so that what was worked out of them stays good.
    """
    if not down:
        return city
    links = city.links
    if any(f"link:{link.id}" in down and link.up for link in links):
        links = tuple(replace(k, up=False) if f"link:{k.id}" in down and k.up else k for k in links)
    after = replace(
        city,
        links=links,
        nodes=_down(city.nodes, "node", down),
        fibres=_down(city.fibres, "fibre", down),
        odu_links=_down(city.odu_links, "odu", down),
    )
    vars(after)["link_index"] = city.link_index  # the same links in the same order: ledgers stay where they are
    return after


def _down(parts: Mapping[str, Part], kind: str, down: Set[str]) -> Mapping[str, Part]:
    hit = {name for name, part in parts.items() if part.up and f"{kind}:{name}" in down}
    return {name: replace(p, up=False) if name in hit else p for name, p in parts.items()} if hit else parts
