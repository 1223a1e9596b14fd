"""One form for everything that says the same, so that apply is followed by an empty diff.

Domains report defaults, unmasked prefixes, identities of either spelling and leaves of their own. All of that follows
from the YANG table; the only hand-written list is of leaves that a server fills in although they are configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from controller.rendering.schema import Schema, SchemaNode
from controller.rendering.tree import Leaf, Step, Tree


def normalise(tree: Tree) -> Tree:
    """Return the tree in canonical form: configuration only, no defaults, nothing empty, values and keys canonical."""
    return _normal(Schema.load().roots, (), tree)


@cache
def _server_owned() -> frozenset[tuple[str, ...]]:
    """Return the configuration leaves that servers set by themselves and that we never write."""
    return frozenset(
        node.path
        for node in Schema.load().nodes()
        if node.path[-2:] == ("l3nm:admin-status", "l3nm:last-change")
        or node.path[-2:] == ("te:tunnel", "te:identifier")
        or node.step == "te:aps-signal-id"
        or node.path[-2:] == ("te:tunnel", "te:controller")
    )


def _normal(children: Mapping[str, SchemaNode], keys: tuple[str, ...], tree: Tree) -> Tree:
    out: Tree = {}
    foreign = _server_owned()
    for step, value in tree.items():
        node = children.get(step if isinstance(step, str) else step[0])
        if node is None:
            out[step] = value
        elif not node.config or node.path in foreign:
            continue
        elif isinstance(value, dict):
            content = _normal(node.children, node.keys, value)
            if isinstance(step, tuple):
                out[_entry(node, step, content)] = content
            elif content or node.presence:
                out[step] = content
        else:
            leaf = _leaf(node, value, is_key=step in keys)
            if leaf is not None:
                out[step] = leaf
    return out


def _entry(node: SchemaNode, step: tuple[str, ...], content: Tree) -> Step:
    """Name an entry by its canonical keys; an entry that came without key leaves keeps the name it has."""
    keys = tuple(content.get(key) for key in node.keys)
    if node.keys and all(isinstance(key, str) for key in keys):
        return (node.step, *(str(key) for key in keys))
    return step


def _leaf(node: SchemaNode, value: Leaf, *, is_key: bool) -> Leaf | None:
    """Return the canonical value, or None where the schema says it anyway."""
    canon = node.canon
    if isinstance(value, tuple):
        values = tuple(canon(one) for one in value) if canon else value
        return (values if node.user_ordered else tuple(sorted(set(values)))) or None
    if canon is not None:
        value = canon(value)
    return None if value == node.default and not is_key else value
