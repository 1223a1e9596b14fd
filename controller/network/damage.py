"""What goes down with what: a cut fibre takes its circuits, a node its cables, a duct everything that runs in it.

Failures are named as people name them (`fibre:f-nanwan-buji`, `node:lg-buji`, `srlg:duct-7`, `link:…`). The map after
a failure is the map as it would be discovered: the same parts in the same order, some of them down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TypeVar

from controller.errors import ConfigurationError, UnknownNameError
from controller.network.model import CityMap, Fibre, Link, Node, OduLink, Port, PortRef

T = TypeVar("T", Node, Fibre, OduLink)
KINDS = ("fibre", "link", "node", "srlg")
MOST_NEAR = 3


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """One thing that fails. `name` is the id on the map; of a duct, its SRLG number."""

    kind: str  # one of KINDS
    name: str
    title: str = ""  # as a person calls it

    def __str__(self) -> str:
        return f"{self.kind} {self.title or self.name}"


@dataclass(frozen=True, slots=True)
class Damage:
    """Everything that is down after some failures together. `links`: indices of directed links on the map."""

    failures: tuple[Failure, ...]
    links: frozenset[int]
    nodes: frozenset[str]
    fibres: frozenset[str]  # cut, or ending at a node that is down
    odu_links: frozenset[str]

    def __str__(self) -> str:
        return " and ".join(str(f) for f in self.failures)


class Elements:
    """What of a city can fail, and what hangs on it. Built once per map."""

    def __init__(self, city: CityMap) -> None:
        self.city = city
        self._ducts = {name: number for number, name in sorted(city.srlg_names.items(), reverse=True)}
        self._at_node: dict[str, list[int]] = {}
        self._on_fibre: dict[str, list[int]] = {}
        self._in_duct: dict[int, tuple[list[int], list[str]]] = {}
        self._fibres_at: dict[str, list[str]] = {}
        self._odu_on: dict[str, list[str]] = {}
        for i, link in enumerate(city.links):
            for node in {link.src.node, link.dst.node}:
                self._at_node.setdefault(node, []).append(i)
            for fibre in {*link.fibres, *link.spare_fibres}:
                self._on_fibre.setdefault(fibre, []).append(i)
            for srlg in link.srlgs if not link.fibres else ():
                self._in_duct.setdefault(srlg, ([], []))[0].append(i)
        for cable in city.fibres.values():
            for node in {cable.a, cable.z}:
                self._fibres_at.setdefault(node, []).append(cable.id)
            for srlg in cable.srlgs:
                self._in_duct.setdefault(srlg, ([], []))[1].append(cable.id)
        for odu in city.odu_links.values():
            for name in {*odu.fibres, *odu.spare_fibres}:
                self._odu_on.setdefault(name, []).append(odu.id)

    def named(self, text: str) -> Failure:
        """Return the failure that a person named as `kind:name`; raises ConfigurationError or UnknownNameError."""
        kind, sign, name = text.partition(":")
        if not sign or kind not in KINDS:
            raise ConfigurationError(
                f"{text!r} names no failure; write fibre:NAME, link:NAME, node:NAME or srlg:NAME, "
                "or all-single or double:SAMPLES"
            )
        names = self._names(kind)
        found = names.get(name)
        if found is None:
            near = [n for n in names if name and n.startswith(name)][:MOST_NEAR]
            near = near or get_close_matches(name, list(names), MOST_NEAR, 0.5)
            what = "shared risk group" if kind == "srlg" else kind
            some = ", ".join(sorted(names)[:6])
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {some} …" if some else "there is none"
            raise UnknownNameError(f"no {what} {name!r} on the map; {hint}")
        return found

    def _names(self, kind: str) -> dict[str, Failure]:
        """Return what may be written after `kind:`, the short form of an id too where it is one."""
        if kind == "srlg":
            numbers = {str(n): self._duct(n) for n in self._in_duct}
            return {**numbers, **{name: self._duct(n) for name, n in self._ducts.items() if n in self._in_duct}}
        every: Iterable[str] = self.city.fibres if kind == "fibre" else self.city.nodes
        if kind == "link":
            every = self.city.link_by_id
        full = {name: Failure(kind, name, name.removeprefix(f"{kind}:")) for name in every}
        return {**{f.title: f for f in full.values()}, **full}

    def _duct(self, number: int) -> Failure:
        return Failure("srlg", str(number), self.city.srlg_names.get(number, str(number)))

    def singles(self) -> tuple[Failure, ...]:
        """Return everything that can fail by itself: fibres, cables without a fibre, nodes, ducts. Sorted."""
        found = [Failure("fibre", name) for name in self.city.fibres]
        found += [
            Failure("link", k.id, k.id.removeprefix("link:"))
            for k in self.city.links
            if not k.fibres and k.id < k.reverse
        ]
        found += [Failure("node", name, name.removeprefix("node:")) for name in self.city.nodes]
        found += [self._duct(number) for number in self._in_duct]
        return tuple(sorted(found))

    def damage(self, failures: Iterable[Failure]) -> Damage:
        """Return everything that is down when all of these fail at once."""
        failures = tuple(failures)
        nodes = frozenset(f.name for f in failures if f.kind == "node")
        links: set[int] = set()
        fibres = {f.name for f in failures if f.kind == "fibre"}
        for node in nodes:
            links.update(self._at_node.get(node, ()))
            fibres.update(self._fibres_at.get(node, ()))
        for failure in failures:
            if failure.kind == "srlg":
                cables, inside = self._in_duct.get(int(failure.name), ((), ()))
                links.update(cables)
                fibres.update(inside)
            elif failure.kind == "link":
                at = self.city.link_index[failure.name]
                links.update((at, self.city.link_index[self.city.links[at].reverse]))
        links.update(i for f in fibres for i in self._on_fibre.get(f, ()) if _dark(self.city.links[i], fibres))
        odu = {o for f in fibres for o in self._odu_on.get(f, ()) if _dark(self.city.odu_links[o], fibres)}
        return Damage(failures, frozenset(links), nodes, frozenset(fibres), frozenset(odu))


def _dark(part: Link | OduLink, gone: Collection[str]) -> bool:
    """Whether a cut takes down what is carried: there is no spare leg, or that is cut too."""
    if not any(f in gone for f in part.fibres):
        return False
    return not part.spare_fibres or any(f in gone for f in part.spare_fibres)


def damaged(city: CityMap, damage: Damage) -> CityMap:
    """Return the map as it would be discovered after a failure."""
    links = list(city.links)
    for i in damage.links:
        links[i] = replace(links[i], up=False)
    after = replace(
        city,
        nodes=_down(city.nodes, damage.nodes),
        links=tuple(links),
        fibres=_down(city.fibres, damage.fibres),
        odu_links=_down(city.odu_links, damage.odu_links),
        ports={**city.ports, **dict(_dark_ports(city, damage))},
    )
    vars(after)["link_index"] = city.link_index  # the same links in the same order: ledgers stay where they are
    return after


def _down(parts: Mapping[str, T], gone: Iterable[str]) -> dict[str, T]:
    return {**parts, **{name: replace(parts[name], up=False) for name in gone}}


def _dark_ports(city: CityMap, damage: Damage) -> Iterator[tuple[PortRef, Port]]:
    """Yield the ports without light: at both ends of a dead link, on a dead node, or cabled to one."""
    dead = {city.links[i].src for i in damage.links}
    if damage.nodes:
        dead |= {r for r, p in city.ports.items() if r.node in damage.nodes or (p.peer and p.peer.node in damage.nodes)}
    for ref in dead:
        if ref in city.ports:
            yield ref, replace(city.ports[ref], up=False)
