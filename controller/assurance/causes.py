"""From everything that is wrong to the few things that caused it (after the assurance graph of RFC 9417).

A service rides a path, a path rides links, links ride fibres and nodes, and a domain controller tells of them all. What
is wrong lower down explains what is wrong above it: only what nothing explains is a cause. Fibres that fail together
and share a duct have the duct as their cause; links of a node that all fail have the node, though it never said so.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from controller.assurance.components import Component, closure
from controller.assurance.suspects import Ridden, ridden, suspects
from controller.network.model import CityMap, Link

Routes = Mapping[str, tuple[str, ...]]  # circuit → the fibres under it
_AILMENTS = ("loses", "delays", "varies in delay")  # of a link or fibre, as they are told


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that went wrong, and everything that it explains. `root` is named like a component, or
    "srlg:<number>", "controller:<domain>", "telemetry:<domain>"."""

    root: str
    kind: str  # "fibre" "duct" "node" "link" "odu" "circuit" "controller" "telemetry" "degraded" "congested" "alarm"
    title: str  # one sentence that names it as people do
    members: frozenset[Component]
    at_risk: frozenset[Component] = frozenset()  # of them, those that will soon fail by what wears out
    felt: bool = True  # by packets; else equipment alone tells of it
    evidence: frozenset[Component] = frozenset()  # of what nobody tells: the links that it was inferred from


def causes(
    city: CityMap,
    routes: Routes,
    down: Set[Component],
    lost: Mapping[str, str] | None = None,
    silent: Mapping[str, str] | None = None,
    dim: Set[str] = frozenset(),
) -> tuple[Cause, ...]:
    """Return what explains everything that is down; deterministic, roots sorted.

    down: components that say they are down. lost: domain controllers out of reach, and why. silent: domains whose
    telemetry does not come while their controller answers, and why where that is known. dim: fibres that are not cut,
    and lose so much light that what is dark over them is dark for that.
    """
    left = set(down)
    found: list[Cause] = []
    blind = {*(lost or ()), *(silent or ())}
    for node in sorted(_dead_nodes(city, routes, left, blind)):
        members = _with_circuits(city, {f"node:{node}"}, routes)
        found.append(Cause(f"node:{node}", "node", f"node {_short(node)} is down", members))
        left -= members
    found += _fibres(city, routes, left)
    found += _dimmed(city, routes, left, dim)
    for component in sorted(c for c in left if c.startswith("odu:")):
        title = f"ODU link {component[4:]} is down and the fibre under it is not: a line card, or its wavelength"
        found.append(Cause(component, "odu", title, frozenset({component})))
    for component in sorted(c for c in left if c.startswith("circuit:") and c[8:] in routes):
        members = closure(city, {component}, routes)
        title = f"circuit {component[8:]} is dark and the fibres under it are not: a transponder, or its client port"
        found.append(Cause(component, "circuit", title, members))
        left -= members
    found += _inferred(city, routes, left, ridden(city, routes, left, down, blind), lost or {}, silent or {})
    found += _links(city, left, ridden(city, routes, left, down, blind))
    for domain, why in sorted((lost or {}).items()):
        text = f"the controller of {domain} cannot be reached: {why}" if why else f"{domain} cannot be reached"
        root = f"controller:{domain}"
        found.append(Cause(root, "controller", text, frozenset({root, f"telemetry:{domain}"})))
    for domain, why in sorted((silent or {}).items()):
        root = f"telemetry:{domain}"
        if domain not in (lost or ()):
            text = f"no measurements come from {domain}" if not why else f"no telemetry from {domain}: {why}"
            found.append(Cause(root, "telemetry", text, frozenset({root})))
    return tuple(found)


def _short(name: str) -> str:
    return name.removeprefix("node:").removeprefix("link:")


def _with_circuits(city: CityMap, roots: Set[Component], routes: Routes) -> frozenset[Component]:
    """Return all that is down because these are, circuits too: their own domain may tell of them before the fibre."""
    members = closure(city, roots, routes)
    dark = {c[6:] for c in members if c.startswith("fibre:")}
    return members | {f"circuit:{circuit}" for circuit, fibres in routes.items() if not dark.isdisjoint(fibres)}


def _dead_nodes(city: CityMap, routes: Routes, down: Set[Component], blind: Set[str]) -> set[str]:
    """Nodes that say so, and those around which everything is dark for no other reason.

    A fibre under all links of a node and more explains more than the node does: then the node is not the reason.
    """
    said = {c[5:] for c in down if c.startswith("node:") and c[5:] in city.nodes}
    explained = closure(city, {c for c in down if c.startswith(("fibre:", "node:"))}, routes)
    around: dict[str, list[bool]] = {}
    for link in city.links:
        dark = f"link:{link.id}" in down or f"link:{link.reverse}" in down
        for node in (link.src.node, link.dst.node):
            around.setdefault(node, []).append(dark and f"link:{link.id}" not in explained)
    quiet = {n for n, dark in around.items() if len(dark) >= 4 and all(dark)}  # two cables, two directions each
    if quiet - said:
        shared = suspects(city, ridden(city, routes, down - explained, down, blind))
        for node in quiet - said:
            mine = {min(k.id, k.reverse) for k in city.links if node in (k.src.node, k.dst.node)}
            if any(mine < one.links for one in shared):
                quiet.discard(node)
    return said | quiet


def _inferred(
    city: CityMap,
    routes: Routes,
    left: set[Component],
    rides: Ridden,
    lost: Mapping[str, str],
    silent: Mapping[str, str],
) -> list[Cause]:
    """Take out of `left` the links that only a cut of what they share explains, of which its domain does not tell."""
    found = []
    for one in suspects(city, rides):
        first = city.fibres[one.fibres[0]]
        if first.domain in lost:
            but = f"{first.domain}, which cannot be reached, does not say so"
        else:
            but = f"{first.domain} {'is silent' if first.domain in silent else 'tells that all is well'}"
        evidence = frozenset(f"link:{way}" for pair in one.links for way in (pair, city.link_by_id[pair].reverse))
        members = _with_circuits(city, {f"fibre:{f}" for f in one.fibres}, routes) | evidence
        if one.srlg is None:
            root, kind, what = f"fibre:{first.id}", "fibre", f"fibre {first.id} ({first.a} – {first.z})"
        else:
            root, kind = f"srlg:{one.srlg}", "duct"
            what = f"duct {city.srlg_names.get(one.srlg, str(one.srlg))} ({', '.join(one.fibres)})"
            members |= {root}
        what += "".join(f" or {other}" for other in one.alike)
        title = f"{what} must be cut, though {but}: no link over it is up"
        found.append(Cause(root, kind, title, members, evidence=evidence))
        left -= members
    return found


def _fibres(city: CityMap, routes: Routes, left: set[Component]) -> list[Cause]:
    """Take fibres out of `left` with all that they explain; together where a whole duct is gone."""
    cut = {c[6:] for c in left if c.startswith("fibre:") and c[6:] in city.fibres}
    found = []
    for srlg in sorted({s for f in cut for s in city.fibres[f].srlgs}):
        inside = {f.id for f in city.fibres.values() if srlg in f.srlgs}
        if len(inside) > 1 and inside <= cut:
            members = _with_circuits(city, {f"fibre:{f}" for f in inside}, routes)
            name = city.srlg_names.get(srlg, str(srlg))
            title = f"duct {name} is cut: {', '.join(sorted(inside))}"
            found.append(Cause(f"srlg:{srlg}", "duct", title, members | {f"srlg:{srlg}"}))
            left -= members
            cut -= inside
    for fibre in sorted(cut):
        members = _with_circuits(city, {f"fibre:{fibre}"}, routes)
        part = city.fibres[fibre]
        found.append(Cause(f"fibre:{fibre}", "fibre", f"fibre {fibre} ({part.a} – {part.z}) is cut", members))
        left -= members
    return found


def _dimmed(city: CityMap, routes: Routes, left: set[Component], dim: Set[str]) -> list[Cause]:
    """Take out of `left` the circuits that are dark over fibres that lose their light, with all that they explain."""
    found = []
    for fibre in sorted(dim & city.fibres.keys()):
        dark = {f"circuit:{c}" for c, fibres in routes.items() if fibre in fibres} & left
        odus = {f"odu:{o.id}" for o in city.odu_links.values() if fibre in o.fibres} & left
        if dark or odus:
            members = closure(city, dark, routes) | odus | {f"fibre:{fibre}"}
            title = f"fibre {fibre} loses so much light that nothing over it is heard any more"
            if len(dark) < sum(fibre in fibres for fibres in routes.values()):
                title = f"fibre {fibre} loses so much light that {len(dark)} circuits over it are dark"
            found.append(Cause(f"fibre:{fibre}", "fibre", title, members))
            left -= members
    return found


def _links(city: CityMap, left: Set[Component], rides: Ridden) -> list[Cause]:
    found = []
    for link in city.links:
        if link.id < link.reverse and not left.isdisjoint((f"link:{link.id}", f"link:{link.reverse}")):
            title = (
                f"link {_short(link.src.node)} – {_short(link.dst.node)} is down, and nothing under it says that it is"
            )
            under = rides.under(link.id)
            if under:
                title += f": its own cards, or fibre {' or '.join(under)}"
            members = frozenset({f"link:{link.id}", f"link:{link.reverse}"})
            found.append(Cause(f"link:{link.id}", "link", title, members))
    return found


@dataclass(frozen=True, slots=True)
class Quality:
    """How a directed link does, measured. None: nothing fresh was measured."""

    delay_s: float | None
    loss_ratio: float | None
    load: float | None  # throughput over capacity
    jitter_s: float | None = None  # by how much the slowest packets come later than most


@dataclass(frozen=True, slots=True)
class QualityBounds:
    """From where on a link is worse than it was planned to be."""

    loss_ratio: float = 5e-4
    more_delay_s: float = 5e-4  # beyond what was planned
    more_jitter_s: float = 1e-4  # beyond what was planned and what a queue makes of it: what waits there is late too
    full: float = 0.95  # loaded like this it is crowded, not broken


def impaired(
    city: CityMap,
    routes: Routes,
    quality: Mapping[str, Quality],
    bounds: QualityBounds | None = None,
    worn: Set[str] = frozenset(),
) -> tuple[Cause, ...]:
    """Return what explains links that lose, delay or vary more than they should: a fibre under all of them, or each.

    quality: by directed link id; links that are not in it are not judged. A fibre is to blame only where every link
    over it that is judged suffers: one healthy link over it acquits it. Between equals, one in `worn`, of which
    equipment says so, is the one.
    """
    limits = bounds or QualityBounds()
    judged = {link.id: _ailments(link, quality[link.id], limits) for link in city.links if link.id in quality}
    bad = {link for link, ailments in judged.items() if ailments}
    crowded = {i for i in bad if (quality[i].load or 0.0) >= limits.full}
    found = []
    left = bad - crowded
    over: dict[str, set[str]] = {}
    for link in city.links:
        for fibre in routes.get(link.circuit or "", ()):
            if link.id in quality:
                over.setdefault(fibre, set()).add(link.id)
    guilty = {fibre for fibre, links in over.items() if links <= left}
    while guilty and left:
        worst = min(guilty, key=lambda f: (-len(over[f] & left), f not in worn, len(over[f]), f))
        explained = over[worst] & left
        if not explained:
            break
        members = frozenset({f"fibre:{worst}", *(f"link:{i}" for i in explained)})
        found.append(Cause(f"fibre:{worst}", "degraded", f"fibre {worst} {_does(judged, explained)}", members))
        left -= explained
        guilty.discard(worst)
    for name, links in (("congested", crowded), ("degraded", left)):
        for pair in sorted({min(i, city.link_by_id[i].reverse) for i in links}):
            link = city.link_by_id[pair]
            ends = f"{_short(link.src.node)} – {_short(link.dst.node)}"
            what = "is full" if name == "congested" else _does(judged, {pair, link.reverse} & links)
            members = frozenset({f"link:{link.id}", f"link:{link.reverse}"})
            found.append(Cause(f"link:{link.id}", name, f"link {ends} {what}", members))
    return tuple(found)


def _ailments(link: Link, found: Quality, limits: QualityBounds) -> frozenset[str]:
    """Return what a link does more than it should, of `_AILMENTS`."""
    late_s = 0.0 if found.delay_s is None else max(0.0, found.delay_s - link.delay_s)
    measured = (
        (found.loss_ratio, limits.loss_ratio),
        (found.delay_s, link.delay_s + limits.more_delay_s),
        (found.jitter_s, link.jitter_s + min(late_s, limits.more_delay_s) + limits.more_jitter_s),
    )
    return frozenset(
        ailment
        for ailment, (value, bound) in zip(_AILMENTS, measured, strict=True)
        if value is not None and value > bound
    )


def _does(judged: Mapping[str, Set[str]], links: Set[str]) -> str:
    """Say what any of these links does: "loses and delays more than it should"."""
    *others, last = (ailment for ailment in _AILMENTS if any(ailment in judged[link] for link in links))
    return f"{', '.join(others)}{' and ' * bool(others)}{last} more than it should"
