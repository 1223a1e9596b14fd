"""Configuration data: nested dicts that are shared between versions and never changed once published.

    container → {name: …}     list → {key values: entry}     leaf → text     leaf-list → tuple of texts

An edit copies only the dicts on its way (see editing.py), so `a is b` means equal, and comparing two versions
costs what differs between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.netconf.schema import CONTAINER, LEAF, LEAF_LIST, LIST, InstancePath, SchemaNode

Data = dict[Any, Any]
Delta = dict[Any, Any]  # name or key → None (gone) | (new value,) | Delta


def delta(old: Data, new: Data) -> Delta:
    """Return what turns `old` into `new`; a list whose order changed is given whole."""
    found: Delta = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if before is value or (before == value and not isinstance(value, dict)):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            if _order_moved(before, value):
                found[key] = (value,)
            elif inner := delta(before, value):
                found[key] = inner
        else:
            found[key] = (value,)
    return found


def _order_moved(old: Data, new: Data) -> bool:
    """True for a list that patching entry by entry would leave in another order."""
    if not new or not isinstance(next(iter(new)), tuple):
        return False
    patched = [key for key in old if key in new]
    if len(patched) == len(new):
        return patched != list(new)
    return patched + [key for key in new if key not in old] != list(new)


def patched(data: Data, change: Delta) -> Data:
    """Return `data` with a delta applied; shares what the delta does not touch."""
    result = dict(data)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, tuple):
            result[key] = value[0]
        else:
            result[key] = patched(result[key], value)
    return result


def changed_entries(old: Data | None, new: Data | None) -> Iterator[tuple[Any, Any, Any]]:
    """Yield (key, old, new) of each child that differs; None where there is none."""
    if old is new:
        return
    before, after = old or {}, new or {}
    for key, value in before.items():
        if key not in after:
            yield key, value, None
    for key, value in after.items():
        earlier = before.get(key)
        if earlier is not value:
            yield key, earlier, value


def lookup(data: Data, path: InstancePath) -> Any:
    """Return what stands at a path, None where nothing does."""
    value: Any = data
    for step in path:
        value = value.get(step) if isinstance(step, str) else (value.get(step[0]) or {}).get(step[1])
        if value is None:
            return None
    return value


def grafted(data: Data, path: InstancePath, value: Any) -> Data:
    """Return `data` with `value` put at a path; makes the containers and lists on the way."""
    step, rest = path[0], path[1:]
    result = dict(data)
    if isinstance(step, str):
        result[step] = grafted(result.get(step, {}), rest, value) if rest else value
        return result
    name, key = step
    entries = result[name] = dict(result.get(name, {}))
    entries[key] = grafted(entries.get(key, {}), rest, value) if rest else value
    return result


def plain(node: SchemaNode, data: Data) -> dict[str, Any]:
    """Return a subtree as plain JSON: bare names, lists as arrays in order, leaves as text."""
    result: dict[str, Any] = {}
    for name, value in data.items():
        child = node.children[name]
        if child.kind == LEAF:
            result[child.local] = value
        elif child.kind == LEAF_LIST:
            result[child.local] = list(value)
        elif child.kind == LIST:
            result[child.local] = [plain(child, entry) for entry in value.values()]
        elif child.kind == CONTAINER:
            result[child.local] = plain(child, value)
    return result
