"""The YANG table as a tree of nodes: what there is, how lists are keyed and ordered, what values look like.

Everything that reads, writes, compares or merges configuration asks this table instead of knowing the modules, so that
a new module is a new table and no new code. The optical domain has no YANG; its circuits are described here in the same
terms, under the pseudo-module `opt`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from controller.rendering.canonical import Canon, canonicaliser
from controller.rendering.tree import Path, Step

_TEXT = {"base": "string"}
_LEG: Mapping[str, tuple[str, ...]] = {"leaf": ("channel",), "leaf-list": ("route", "slots")}
_CIRCUIT_LEAVES = ("id", "owner", "a-port", "a-vlan", "z-port", "z-vlan", "layer", "rate-bps", "odu", "mode",
                   "protect-shared")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class SchemaNode:
    """One data node. `step` is its name with our prefix, `tag` its name as XML knows it."""

    step: str
    path: tuple[str, ...]
    kind: str  # "container" | "list" | "leaf" | "leaf-list"
    config: bool
    module: str
    tag: str  # "{namespace}local"
    local: str
    presence: bool = False
    keys: tuple[str, ...] = ()
    user_ordered: bool = False
    mandatory: bool = False
    default: str | None = None
    type: Mapping[str, Any] = field(default_factory=dict)
    canon: Canon | None = None
    identity: bool = False  # values may be identities, which carry a prefix in XML
    case: tuple[str, ...] = ()
    children: dict[str, SchemaNode] = field(default_factory=dict)
    by_tag: dict[str, SchemaNode] = field(default_factory=dict)

    @property
    def is_leaf(self) -> bool:
        return self.kind in {"leaf", "leaf-list"}


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    prefix: str
    namespace: str
    revision: str


class Schema:
    """All nodes, identities and modules of the table. Build it once, with `Schema.load()`."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.modules: Mapping[str, Module] = {name: Module(name, **m) for name, m in table["modules"].items()}
        self.by_prefix: Mapping[str, Module] = {m.prefix: m for m in self.modules.values()}
        self.by_namespace: Mapping[str, Module] = {m.namespace: m for m in self.modules.values()}
        self.identities: Mapping[str, frozenset[str]] = {n: frozenset(b) for n, b in table["identities"].items()}
        self.roots: dict[str, SchemaNode] = {}
        self.roots_by_tag: dict[str, SchemaNode] = {}
        self._nodes: dict[tuple[str, ...], SchemaNode] = {}
        for path, entry in table["nodes"].items():
            self._add(tuple(path[1:].split("/")), entry)
        for name, entry in _optical():
            self._add(name, entry)

    @staticmethod
    @cache
    def load() -> Schema:
        """Return the table that ships with the product, read once per process."""
        text = files("onecity.yang").joinpath("subset.json").read_text(encoding="utf-8")
        return Schema(json.loads(text))

    def find(self, path: Iterable[Step]) -> SchemaNode | None:
        """Return the node at a data path (list entries by name or by key), or None where the table has none."""
        return self._nodes.get(tuple(step if isinstance(step, str) else step[0] for step in path))

    def node(self, path: Path | tuple[str, ...]) -> SchemaNode:
        """Return the node at a data path; KeyError where the table has none."""
        found = self.find(path)
        if found is None:
            raise KeyError("/" + "/".join(step if isinstance(step, str) else step[0] for step in path))
        return found

    def nodes(self) -> Iterator[SchemaNode]:
        return iter(self._nodes.values())

    def derived(self, identity: str, base: str) -> bool:
        """Say whether an identity ("module:name") is a value of an identityref with this base."""
        return base in self.identities.get(identity, frozenset())

    def _add(self, path: tuple[str, ...], entry: Mapping[str, Any]) -> None:
        prefix, _, local = path[-1].partition(":")
        module = self.by_prefix.get(prefix)
        kind = entry.get("type", {})
        canon = canonicaliser(kind) if kind else None
        default = entry.get("default")
        node = SchemaNode(
            step=path[-1],
            path=path,
            kind=entry["kind"],
            config=entry["config"],
            module=module.name if module else prefix,
            tag=f"{{{module.namespace if module else prefix}}}{local}",
            local=local,
            presence=entry.get("presence", False),
            keys=tuple(entry.get("keys", ())),
            user_ordered=entry.get("ordered") == "user",
            mandatory=entry.get("mandatory", False),
            default=canon(default) if canon and default is not None else default,
            type=kind,
            canon=canon,
            identity=_may_be_identity(kind),
            case=tuple(entry.get("case", ())),
        )
        self._nodes[path] = node
        if len(path) == 1:
            self.roots[node.step], self.roots_by_tag[node.tag] = node, node
        else:
            parent = self._nodes[path[:-1]]
            parent.children[node.step], parent.by_tag[node.tag] = node, node


def _may_be_identity(kind: Mapping[str, Any]) -> bool:
    if not kind:
        return False
    return (
        kind["base"] == "identityref"
        or ("target" in kind and _may_be_identity(kind["target"]))
        or any(_may_be_identity(member) for member in kind.get("types", ()))
    )


def _optical() -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Describe a circuit of the optical domain: a list entry with two legs."""
    yield ("opt:circuit",), {"kind": "list", "config": True, "keys": ["opt:id"]}
    for name in _CIRCUIT_LEAVES:
        yield ("opt:circuit", f"opt:{name}"), {"kind": "leaf", "config": True, "type": _TEXT}
    for leg in ("opt:working", "opt:protect"):
        yield ("opt:circuit", leg), {"kind": "container", "config": True}
        for kind, names in _LEG.items():
            for name in names:
                entry = {"kind": kind, "config": True, "type": _TEXT, "ordered": "user"}
                yield ("opt:circuit", leg, f"opt:{name}"), entry
