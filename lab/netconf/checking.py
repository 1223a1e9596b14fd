"""What spans nodes: mandatory leaves and references, checked for what changed and not for what stands.

Running's references are counted per target and value, so that deleting something finds out at once whether anyone
still points at it. The counts follow every commit and rollback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lab.netconf.data import Data, changed_entries
from lab.netconf.editing import schema_error
from lab.netconf.errors import NetconfError
from lab.netconf.schema import CONTAINER, LEAF, LEAF_LIST, LIST, InstancePath, Schema, SchemaNode

MOST_ERRORS = 20  # in one answer
_Keys = tuple[tuple[str, ...], ...]  # keys of the lists on the way, outermost first
_Reference = tuple[str, _Keys, str]  # target's path, keys of shared lists, value


class Changes:
    """What differs between two versions, as far as checks care."""

    def __init__(self, schema: Schema, old: Data, new: Data) -> None:
        self.pointing: list[tuple[_Reference, SchemaNode, InstancePath]] = []  # new references
        self.no_longer: Counter[_Reference] = Counter()
        self.vanished: list[tuple[SchemaNode, _Keys, str, InstancePath]] = []  # values that may be pointed at
        self.incomplete: list[tuple[SchemaNode, InstancePath]] = []  # mandatory leaves that are not there
        self._walk(schema.root, old, new, (), ())

    def _walk(self, node: SchemaNode, old: Data | None, new: Data | None, path: InstancePath, keys: _Keys) -> None:
        if new and node.required:
            self._completeness(node, new, path)
        for name, before, after in changed_entries(old, new):
            child = node.children[name]
            if not child.checked_below and child.target is None and not child.referenced:
                continue
            if child.kind == CONTAINER:
                self._walk(child, before, after, (*path, name), keys)
            elif child.kind == LIST:
                for key, entry_before, entry_after in changed_entries(before, after):
                    self._walk(child, entry_before, entry_after, (*path, (name, key)), (*keys, key))
            else:
                self._leaf(child, before, after, (*path, name), keys)

    def _completeness(self, node: SchemaNode, new: Data, path: InstancePath) -> None:
        for leaf in node.required:
            if leaf.name in new:
                continue
            cases = dict(leaf.cases)
            others = (node.children[name] for name in new)
            if not cases or any(dict(o.cases).items() >= cases.items() for o in others):
                self.incomplete.append((leaf, (*path, leaf.name)))

    def _leaf(self, node: SchemaNode, before: Any, after: Any, path: InstancePath, keys: _Keys) -> None:
        old, new = _values(before), _values(after)
        if node.target is not None:
            scope = keys[: node.scope_lists]
            self.pointing.extend(((node.target.path, scope, v), node, path) for v in new if v not in old)
            self.no_longer.update((node.target.path, scope, v) for v in old if v not in new)
        if node.referenced:
            self.vanished.extend((node, keys, v, path) for v in old if v not in new)


def _values(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


class References:
    """The counted references of running."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._counts: Counter[_Reference] = Counter()
        self._scopes: dict[str, set[int]] = {}  # per target: how many outer lists its referrers share with it
        for node in schema.root.descendants():
            if node.target is not None:
                self._scopes.setdefault(node.target.path, set()).add(node.scope_lists)

    def follow(self, old: Data, new: Data) -> None:
        """Count what one version points at in place of another."""
        self.follow_changes(Changes(self._schema, old, new))

    def follow_changes(self, changes: Changes) -> None:
        self._counts.update(reference for reference, _, _ in changes.pointing)
        self._counts.subtract(changes.no_longer)
        for reference in changes.no_longer:
            if self._counts[reference] <= 0:
                del self._counts[reference]

    def errors(self, changes: Changes, new: Data) -> list[NetconfError]:
        """Return what keeps `new` from being valid."""
        schema = self._schema
        found = [
            schema_error(schema, "data-missing", "a mandatory leaf is not there", path, "missing-element")
            for _, path in changes.incomplete[:MOST_ERRORS]
        ]
        exists: dict[_Reference, bool] = {}
        for reference, node, path in changes.pointing:
            there = exists.get(reference)
            if there is None:
                assert node.target is not None
                there = exists[reference] = _stands(node.target, new, reference[1], reference[2])
            if not there:
                message = f"{reference[2]!r} names nothing at {reference[0]}"
                found.append(schema_error(schema, "data-missing", message, path, "instance-required"))
        found.extend(self._dangling(changes, new))
        return found[:MOST_ERRORS]

    def _dangling(self, changes: Changes, new: Data) -> Iterator[NetconfError]:
        gained = Counter(reference for reference, _, _ in changes.pointing)
        for node, keys, value, path in changes.vanished:
            for shared in self._scopes[node.path]:
                reference = (node.path, keys[:shared], value)
                left = self._counts[reference] + gained[reference] - changes.no_longer[reference]
                if left <= 0 or gained[reference] or _stands(node, new, reference[1], value):
                    continue  # a new reference to what vanished has been told of already
                holder = _first_referrer(self._schema, new, node, reference) or path
                message = f"{value!r} is still in use"
                yield schema_error(self._schema, "data-missing", message, holder, "instance-required")


def _stands(target: SchemaNode, data: Data, scope: _Keys, value: str) -> bool:
    """True if the target leaf has that value somewhere within the scope."""
    chain: list[SchemaNode] = []
    node: SchemaNode | None = target
    while node is not None and node.parent is not None:
        chain.append(node)
        node = node.parent
    return _reach(chain[::-1], 0, data, scope, 0, value)


def _reach(chain: list[SchemaNode], depth: int, data: Data, scope: _Keys, lists: int, value: str) -> bool:
    node = chain[depth]
    there = data.get(node.name)
    if there is None:
        return False
    if node.kind in (LEAF, LEAF_LIST):
        return value in _values(there)
    if node.kind == CONTAINER:
        return _reach(chain, depth + 1, there, scope, lists, value)
    if lists < len(scope):
        entry = there.get(scope[lists])
        return entry is not None and _reach(chain, depth + 1, entry, scope, lists + 1, value)
    if depth + 2 == len(chain) and node.keys == (chain[-1].name,):
        return (value,) in there
    return any(_reach(chain, depth + 1, entry, scope, lists + 1, value) for entry in there.values())


def _first_referrer(schema: Schema, data: Data, target: SchemaNode, wanted: _Reference) -> InstancePath | None:
    """Find who points there. Walks everything: only on the way to a refusal."""
    everything = Changes(schema, {}, data)
    return next((path for reference, _, path in everything.pointing if reference == wanted), None)
