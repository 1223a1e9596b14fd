"""Option A at a border: one VLAN and one /31 for every border port pair that a service crosses."""

from __future__ import annotations

from collections.abc import Iterable

from controller.network.model import CityMap, Link
from controller.planning.draft import FIRST_BORDER_VLAN, Draft
from controller.planning.placement import Stitch, StitchEnd


def border_stitches(city: CityMap, draft: Draft, crossings: Iterable[tuple[Link, int, int]]) -> tuple[Stitch, ...]:
    """Stitch each (link, rank, rate). A border that was stitched before keeps its name, VLAN and addresses."""
    before = {}
    numbers = {}
    if draft.old is not None:
        before = {
            min(s.link, city.link_by_id[s.link].reverse): s
            for s in draft.old.stitches
            if s.link in city.link_by_id and s.link
        }
        numbers = {draft.pools.border_net(r.label)[0]: r.label for r in draft.old.labels if r.resource == "border-net"}
    names = {s.name for s in before.values()}
    crossings = tuple(crossings)
    result: dict[str, Stitch] = {}
    # What is kept first: a newcomer must not take its label.
    for link, rank, rate in sorted(crossings, key=lambda c: min(c[0].id, c[0].reverse) not in before):
        old = before.get(min(link.id, link.reverse))
        if old is not None and old.link is not None:
            link = city.link_by_id[old.link]
        ports = (str(link.src), str(link.dst))
        vlan = draft.common_vlan(ports, FIRST_BORDER_VLAN, " and ".join(ports), old.vlan if old else None)
        index = draft.pick(
            "border-net", draft.pools.border_nets, "border /31", numbers.get(old.a.address) if old else None
        )
        name = (
            old.name if old is not None else next(n for n in (f"border.{i}" for i in range(1, 10**6)) if n not in names)
        )
        names.add(name)
        addresses = draft.pools.border_net(index)
        a, z = (
            StitchEnd(domain, ref.node, ref.port, address, city.domains[domain].asn or 0)
            for ref, address, domain in zip(
                (link.src, link.dst),
                addresses,
                (city.nodes[link.src.node].domain, city.nodes[link.dst.node].domain),
                strict=True,
            )
        )
        result[min(link.id, link.reverse)] = Stitch(name, rank, vlan, rate, a, z, link.id, None)
    return tuple(result[min(link.id, link.reverse)] for link, _, _ in crossings)
