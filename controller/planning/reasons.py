"""What stands in the way, in words that name the duct, the boundary or the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.intent.model import Boundaries, Disjointness
from controller.network.model import Port
from controller.planning.layers import Layers, node_allowed
from controller.planning.paths import Graph, Mask, mask_without

MOST_NAMED = 4


def short(node: str) -> str:
    """Name a node as people do."""
    return node.removeprefix("node:")


def risk_name(net: Layers, risk: int) -> str:
    """Name a shared risk by its duct where one is known."""
    return f"duct {net.srlg_names[risk]}" if risk in net.srlg_names else f"risk group {risk}"


def risk_names(net: Layers, risks: Iterable[int]) -> str:
    return ", ".join(risk_name(net, r) for r in sorted(risks) if r >= 0)


def why_no_path(
    net: Layers, graph: Graph, src: str, dst: str, up: Mask, bounds: Boundaries, avoid: frozenset[int]
) -> str:
    """Say why no way is allowed from src to dst, before any question of capacity."""
    for end in (src, dst):
        node = net.nodes[end]
        if not node.up:
            return f"{short(end)} is down"
        if not node_allowed(node, bounds):
            return f"{short(end)} itself is outside the boundaries ({boundary_text(bounds)}; its trust is {node.trust})"
    if graph.shortest(src, dst, up) is None:
        return f"nothing that is up joins {short(src)} and {short(dst)}"
    if avoid and graph.shortest(src, dst, graph.without_risks(up, avoid)) is None:
        return f"{risk_names(net, avoid)}: the service to be diverse from uses them, and no way avoids them"
    return f"the boundaries ({boundary_text(bounds)}) leave no way from {short(src)} to {short(dst)}"


def node_down(net: Layers, options: Iterable[tuple[Port | None, Port]]) -> str:
    """Name the node that is down under every one of these pairs of ports; empty where some pair's nodes are up."""
    first = ""
    for pair in options:
        down = [port.ref.node for port in reversed(pair) if port is not None and not net.nodes[port.ref.node].up]
        if not down:
            return ""
        first = first or down[0]
    return f"{short(first)} is down" if first else ""


def why_no_pair(
    net: Layers, graph: Graph, src: str, dst: str, usable: Mask, kinds: tuple[Disjointness, ...] = (Disjointness.SRLG,)
) -> str:
    """Name the duct, or the node where those must differ, that every way shares, or say that no two ways are apart."""
    path = graph.shortest(src, dst, usable) or ()
    for edge in path[:-1] if Disjointness.NODE in kinds else ():
        node = graph.edges[edge].dst
        if graph.shortest(src, dst, mask_without(graph, usable, {node})) is None:
            return f"node {short(node)}: every way from {short(src)} to {short(dst)} passes it"
    for edge in path:
        for risk in sorted(graph.edges[edge].risks):
            if graph.shortest(src, dst, graph.without_risks(usable, (risk,))) is None:
                ends = f"{short(graph.edges[edge].src)}–{short(graph.edges[edge].dst)}"
                if risk < 0:
                    return f"{ends}: every way from {short(src)} to {short(dst)} uses it"
                alike = _members(graph, risk)
                return f"{risk_name(net, risk)} ({alike}): every way from {short(src)} to {short(dst)} uses it"
    common = {Disjointness.LINK: "cable", Disjointness.SRLG: "duct", Disjointness.NODE: "node"}
    return f"no two ways from {short(src)} to {short(dst)} are free of a common {' or '.join(common[k] for k in kinds)}"


def _members(graph: Graph, risk: int) -> str:
    pairs = sorted(
        {
            " – ".join(sorted((short(graph.edges[i].src), short(graph.edges[i].dst))))
            for i in graph.edges_with_risks((risk,))
        }
    )
    return ", ".join(pairs[:MOST_NAMED]) + (", …" if len(pairs) > MOST_NAMED else "")


def _more(count: int) -> str:
    return f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""


def boundary_text(bounds: Boundaries) -> str:
    """Write boundaries in a few words; "none" where there are none."""
    parts: Mapping[str, str] = {
        "within": ", ".join(sorted(bounds.include_regions)),
        "not in": ", ".join(sorted(bounds.exclude_regions)),
        "not over": ", ".join(sorted(bounds.exclude_nodes)),
        "only over": ", ".join(sorted(bounds.include_nodes)[:MOST_NAMED]) + _more(len(bounds.include_nodes)),
        "trust ≥": str(bounds.least_trust) if bounds.least_trust > 1 else "",
    }
    return "; ".join(f"{k} {v}" for k, v in parts.items() if v) or "none"
