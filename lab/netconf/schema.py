"""The table of YANG nodes, as a tree of objects that parse, check and print configuration without looking back.

Everything that a request needs per element is worked out once, here: Clark names, tags as text, checks, the
place that a leafref points to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lab.netconf.values import Check, compile_check, uses_identities

LEAF, LEAF_LIST, CONTAINER, LIST = range(4)
_KINDS = {"leaf": LEAF, "leaf-list": LEAF_LIST, "container": CONTAINER, "list": LIST}

# A step of an instance path: a name, or a list's name with the values of its keys.
Step = str | tuple[str, tuple[str, ...]]
InstancePath = tuple[Step, ...]


class SchemaNode:
    """One data node of the schema; choice and case are folded into `cases`."""

    def __init__(self, name: str, namespace: str, parent: SchemaNode | None, entry: Mapping[str, Any]) -> None:
        self.name = name  # "l3nm:vpn-service"
        self.prefix, _, self.local = name.partition(":")
        self.namespace = namespace
        self.tag = f"{{{namespace}}}{self.local}"
        self.parent = parent
        self.path: str = f"{parent.path if parent else ''}/{name}" if name else ""
        self.kind = _KINDS[entry["kind"]]
        self.config = bool(entry["config"])
        self.presence = "presence" in entry
        self.keys: tuple[str, ...] = tuple(entry.get("keys", ()))
        self.user_ordered = entry.get("ordered") == "user"
        self.mandatory = bool(entry.get("mandatory")) or bool(entry.get("min-elements"))
        self.cases: tuple[tuple[str, str], ...] = tuple(_case(text) for text in entry.get("case", ()))
        self.is_key = parent is not None and name in parent.keys
        self.children: dict[str, SchemaNode] = {}
        self.by_tag: dict[str, SchemaNode] = {}
        self.by_local: dict[str, list[SchemaNode]] = {}
        self.check: Check | None = None
        self.identities = False
        self.target: SchemaNode | None = None  # of a leafref
        self.scope_lists = 0  # how many outer lists a leafref shares with its target
        self.referenced = False  # some leafref points here
        self.guarded = False  # some of it belongs to the device, not to its clients
        self.required: tuple[SchemaNode, ...] = ()  # mandatory children
        self.exclusive: dict[str, tuple[str, ...]] = {}  # child → children of other cases, which it replaces
        self.checked_below = False  # something in the subtree has to be checked at validate
        self.open_here = f"<{self.local}>"
        self.open_foreign = f'<{self.local} xmlns="{namespace}">'
        self.close = f"</{self.local}>"

    def list_ancestors(self) -> list[SchemaNode]:
        """Return the lists that hold this node, outermost first."""
        found, node = [], self.parent
        while node is not None:
            if node.kind == LIST:
                found.append(node)
            node = node.parent
        return found[::-1]

    def descendants(self) -> Iterator[SchemaNode]:
        for child in self.children.values():
            yield child
            yield from child.descendants()


@dataclass(frozen=True, slots=True)
class Schema:
    """All modules. `root` has the top-level containers as children."""

    root: SchemaNode
    modules: Mapping[str, Mapping[str, str]]
    module_of_namespace: Mapping[str, str]
    prefix_of_module: Mapping[str, str]

    def namespaces(self) -> tuple[tuple[str, str], ...]:
        return tuple((m["prefix"], m["namespace"]) for m in self.modules.values())

    def node(self, path: str) -> SchemaNode:
        """Return the node at `/a:b/c:d`; raises KeyError."""
        node = self.root
        for name in path.strip("/").split("/"):
            node = node.children[name]
        return node

    def at(self, path: InstancePath) -> SchemaNode:
        node = self.root
        for step in path:
            node = node.children[step if isinstance(step, str) else step[0]]
        return node

    def text(self, path: InstancePath) -> str:
        """Return an instance path as an instance-identifier."""
        node, parts = self.root, []
        for step in path:
            name, values = (step, ()) if isinstance(step, str) else step
            node = node.children[name]
            parts.append(f"/{name}" + "".join(f"[{k}={_quoted(v)}]" for k, v in zip(node.keys, values, strict=False)))
        return "".join(parts)

    def wire_identity(self, stored: str) -> str:
        """Turn `module:name` into `prefix:name`; other values pass."""
        module, separator, name = stored.partition(":")
        prefix = self.prefix_of_module.get(module)
        return f"{prefix}:{name}" if separator and prefix else stored


@cache
def load_schema() -> Schema:
    """Build the schema of the generated table that ships in the package `onecity.yang`."""
    return build_schema(json.loads(files("onecity.yang").joinpath("subset.json").read_text(encoding="utf-8")))


def build_schema(table: Mapping[str, Any]) -> Schema:
    """Build the schema of a table; raises KeyError where a node has no parent."""
    modules = table["modules"]
    namespace_of = {m["prefix"]: m["namespace"] for m in modules.values()}
    root = SchemaNode("", "", None, {"kind": "container", "config": True})
    nodes: dict[str, SchemaNode] = {"": root}
    for path, entry in sorted(table["nodes"].items(), key=lambda item: item[0].count("/")):
        parent_path, _, name = path.rpartition("/")
        parent = nodes[parent_path]
        node = SchemaNode(name, namespace_of[name.partition(":")[0]], parent, entry)
        parent.children[name] = parent.by_tag[node.tag] = nodes[path] = node
        parent.by_local.setdefault(node.local, []).append(node)
        if "type" in entry:
            node.check = compile_check(entry["type"], table["identities"])
            node.identities = uses_identities(entry["type"])
    for path, entry in table["nodes"].items():
        _link_reference(nodes[path], entry.get("type", {}).get("path"), nodes)
    for node in nodes.values():
        _link_choices(node)
    _mark_checked(root)
    return Schema(
        root,
        modules,
        {m["namespace"]: name for name, m in modules.items()},
        {name: m["prefix"] for name, m in modules.items()},
    )


def _case(text: str) -> tuple[str, str]:
    choice, _, case = text.partition(":")
    return choice, case


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


def _link_reference(node: SchemaNode, target_path: str | None, nodes: Mapping[str, SchemaNode]) -> None:
    """A reference stays inside the lists that it shares with its target, unless it names its network itself."""
    target = nodes.get(target_path or "")
    if not target_path or target is None or not node.config:
        return
    node.target, target.referenced = target, True
    if _names_its_network(node):
        return
    own, theirs = node.list_ancestors(), target.list_ancestors()
    while node.scope_lists < min(len(own), len(theirs)) and own[node.scope_lists] is theirs[node.scope_lists]:
        if theirs[node.scope_lists] is target.parent:
            break  # it points at a sibling entry of its own list
        node.scope_lists += 1


def _names_its_network(node: SchemaNode) -> bool:
    holder = node.parent
    while holder is not None:
        if any(sibling.local == "network-ref" for sibling in holder.children.values() if sibling is not node):
            return True
        holder = holder.parent
    return False


def _link_choices(node: SchemaNode) -> None:
    node.required = tuple(c for c in node.children.values() if c.mandatory and c.config)
    for child in node.children.values():
        if child.cases:
            chosen = dict(child.cases)
            others = tuple(
                o.name for o in node.children.values() if any(chosen.get(choice, c) != c for choice, c in o.cases)
            )
            if others:
                node.exclusive[child.name] = others


def _mark_checked(node: SchemaNode) -> bool:
    below = [_mark_checked(child) for child in node.children.values()]
    node.checked_below = bool(any(below) or node.required or node.target or node.referenced)
    return node.checked_below
