"""The map and differences as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message
from onecity.v1 import plan_pb2, status_pb2, topology_pb2

from controller.cli.plain import enum_word
from controller.cli.quantities import count, rate, seconds
from controller.cli.screen import Screen, harmless

MOST_DIFFERENCES = 50


def show_topology(screen: Screen, city: topology_pb2.Topology, part: str | None = None) -> None:
    """Write the map, or one part of it; what was reported as wrong always comes last."""
    parts = {"domains": _show_domains, "nodes": _show_nodes, "links": _show_links, "fibres": _show_fibres}
    if part is None:
        sums = (count(len(city.sites), "site"), count(len(city.nodes), "node"), count(len(city.links), "link"))
        screen.line(f"map version {city.version}: {', '.join(sums)}")
    for name, show in parts.items():
        if part in (None, name):
            if part is None:
                screen.line()
            show(screen, city)
    for problem in city.problems:
        screen.line()
        screen.line(f"problem: {harmless(problem)}")


def part_of(city: topology_pb2.Topology, part: str) -> list[Message]:
    """Return what the map holds of one part."""
    layer = {"links": plan_pb2.LAYER_IP, "fibres": plan_pb2.LAYER_OPTICAL}.get(part)
    if layer is not None:
        return [link for link in city.links if link.layer == layer]
    return list(city.domains if part == "domains" else city.nodes)


def _show_domains(screen: Screen, city: topology_pb2.Topology) -> None:
    rows = [[d.id, _layer(d.layer), _state(screen, d.up), f"{d.nodes}", harmless(d.message)] for d in city.domains]
    screen.table(("domain", "layer", "state", "nodes", ""), rows, right=(3,))


def _show_nodes(screen: Screen, city: topology_pb2.Topology) -> None:
    nodes = [[n.id, n.domain, n.site, f"L{n.trust}", _state(screen, n.up)] for n in city.nodes]
    screen.table(("node", "domain", "site", "trust", "state"), nodes)


def _show_links(screen: Screen, city: topology_pb2.Topology) -> None:
    links = [k for k in city.links if k.layer == plan_pb2.LAYER_IP]
    lit = any(k.lit_for for k in links)
    head = ("link", "domain", "reserved", "of", "delay", "shared risks", "state", *(("lit for",) * lit))
    screen.table(head, [
        [k.id, k.domain or "border", rate(k.reserved_bps), rate(k.capacity_bps), seconds(k.delay_s),
         ", ".join(k.srlgs), _state(screen, k.up), *((", ".join(k.lit_for),) * lit)]
        for k in links
    ])  # fmt: skip


def _show_fibres(screen: Screen, city: topology_pb2.Topology) -> None:
    head = ("fibre", "from", "to", "channels taken", "delay", "shared risks", "state")
    screen.table(head, [
        [k.id, k.a, k.z, f"{k.channels_taken} of {k.channels}", seconds(k.delay_s),
         ", ".join(k.srlgs), _state(screen, k.up)]
        for k in city.links if k.layer == plan_pb2.LAYER_OPTICAL
    ])  # fmt: skip


def _layer(value: int) -> str:
    return enum_word(plan_pb2.Layer.DESCRIPTOR, value) or ""


def _state(screen: Screen, up: bool) -> str:
    return screen.paint("up", "green") if up else screen.paint("down", "red")


def show_diff(screen: Screen, domains: Sequence[status_pb2.DomainDiff]) -> None:
    """Write what differs on each domain, the wanted value first."""
    for domain in domains:
        if not domain.reachable:
            screen.line(f"{screen.paint(domain.domain, 'bold')}: cannot be compared: {harmless(domain.message)}")
            continue
        found = len(domain.differences)
        screen.line(f"{screen.paint(domain.domain, 'bold')}: {count(found, 'difference') if found else 'as desired'}")
        for difference in domain.differences[:MOST_DIFFERENCES]:
            _difference(screen, difference)
        if found > MOST_DIFFERENCES:
            screen.line(screen.paint(f"  … {found - MOST_DIFFERENCES:,} more with -o yaml", "faint"))


def _difference(screen: Screen, difference: status_pb2.Difference) -> None:
    path, owner = harmless(difference.path), f"   ({difference.service})" if difference.service else ""
    wanted = harmless(difference.wanted) if difference.HasField("wanted") else None
    running = harmless(difference.running) if difference.HasField("running") else None
    if running is None:
        screen.line(screen.paint(f"  - {path} = {wanted}   missing on the domain{owner}", "red"))
    elif wanted is None:
        screen.line(screen.paint(f"  + {path} = {running}   not desired{owner}", "green"))
    else:
        screen.line(screen.paint(f"  ~ {path} = {running}   desired {wanted}{owner}", "yellow"))
