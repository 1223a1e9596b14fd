"""The map as it is shown: both layers, what is taken, what was reported and never guessed."""

from __future__ import annotations

from collections.abc import Mapping

from controller.changes.domains import DomainState
from controller.changes.map_views import DomainView, LinkView, NodeView, SiteView, Topology
from controller.network.ledger import Ledger
from controller.network.model import CityMap, Fibre, Link
from controller.planning.placement import LitLink

LOOSE_ENDS = ("lock id ", "plug ")


def topology_view(city: CityMap, states: Mapping[str, DomainState], ledger: Ledger) -> Topology:
    """Return the map with every domain's session and every link's reservations."""
    sites = tuple(
        SiteView(s.id, s.title, s.region, s.latitude, s.longitude, str(s.access) if s.access else "")
        for s in sorted(city.sites.values(), key=lambda s: s.id)
    )
    nodes = tuple(
        NodeView(n.id, n.domain, n.kind.value, n.site or "", n.trust, n.up)
        for n in sorted(city.nodes.values(), key=lambda n: n.id)
    )
    links = links_view(city, ledger)
    return Topology(city.version, sites, _domains(city, states), nodes, links, _problems(city, states))


def links_view(city: CityMap, ledger: Ledger) -> tuple[LinkView, ...]:
    """Return every IP link and fibre with what is reserved on it."""
    booked = ledger.on(city)
    links = (_link(link, booked, city) for link in city.links)
    return (*links, *(_fibre(fibre, ledger, city) for _, fibre in sorted(city.fibres.items())))


def _problems(city: CityMap, states: Mapping[str, DomainState]) -> tuple[str, ...]:
    """Return what was reported; the loose ends that a domain leaves which was never discovered are one line of it.

    An end is loose where its cable or border is named by one port alone: the other may lie in that domain.
    """
    missing = sorted(name for name in states if name not in city.domains)
    loose = [p for p in city.problems if p.startswith(LOOSE_ENDS) and "," not in p.partition(";")[0]] if missing else []
    if not loose:
        return city.problems
    names = ", ".join(missing)
    line = f"{names}: not discovered yet; {len(loose):,} cables and borders of other domains may end there"
    gone = set(loose)
    return (line, *(p for p in city.problems if p not in gone))


def _domains(city: CityMap, states: Mapping[str, DomainState]) -> tuple[DomainView, ...]:
    counts: dict[str, int] = {}
    for node in city.nodes.values():
        counts[node.domain] = counts.get(node.domain, 0) + 1
    found = []
    for name, state in sorted(states.items()):
        domain = city.domains.get(name)
        kind, stale = (domain.kind.value, domain.stale) if domain else ("", True)
        found.append(DomainView(name, kind, state.up, stale, counts.get(name, 0), state.message))
    return tuple(found)


def _link(link: Link, ledger: Ledger, city: CityMap) -> LinkView:
    return LinkView(
        id=link.id,
        domain=link.domain or "",
        layer="ip",
        a=str(link.src),
        z=str(link.dst),
        capacity_bps=link.capacity_bps,
        reserved_bps=link.capacity_bps - ledger.free_bps(link.id),
        delay_s=link.delay_s,
        channels=0,
        channels_taken=0,
        srlgs=_names(link.srlgs, city),
        up=link.up,
        lit_for=riders(city, ledger, link.id) if link.id in city.lit else (),
    )


def riders(city: CityMap, ledger: Ledger, link: str) -> tuple[str, ...]:
    """Return the services on a link that stands for services only, now or in a window to come; not what is leaving."""
    one = city.lit.get(link)
    light = one.labels()[0] if isinstance(one, LitLink) else None  # everybody on the link holds what it is made of
    holders = ledger.holders(light.resource, light.label) if light is not None else ()
    return tuple(name for name in holders if "#" not in name)


def _fibre(fibre: Fibre, ledger: Ledger, city: CityMap) -> LinkView:
    taken = fibre.occupied | ledger.held_labels(f"channel:{fibre.id}")
    return LinkView(
        id=fibre.id,
        domain=fibre.domain,
        layer="optical",
        a=fibre.a,
        z=fibre.z,
        capacity_bps=0,
        reserved_bps=0,
        delay_s=fibre.delay_s,
        channels=fibre.channels,
        channels_taken=len(taken),
        srlgs=_names(fibre.srlgs, city),
        up=fibre.up,
    )


def _names(srlgs: frozenset[int], city: CityMap) -> tuple[str, ...]:
    return tuple(city.srlg_names.get(s, str(s)) for s in sorted(srlgs))
