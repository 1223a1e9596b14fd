"""Two fragments become one tree: equal leaves are shared, different ones are a conflict that names the path.

What only one side has is taken over as it is, so that a merge costs what the sides have in common.
"""

from __future__ import annotations

from controller.errors import ConflictError
from controller.rendering.packed import opened
from controller.rendering.paths import path_text
from controller.rendering.tree import Leaf, Path, Step, Tree

_RULES = "l3nm:qos-classification-policy"  # first match wins, so the order of rules is ours to decide


class LeafConflictError(ConflictError):
    """Two fragments want different values at one place. `path` is where; Desired adds the names of the services."""

    def __init__(self, path: Path, first: Tree | Leaf, second: Tree | Leaf) -> None:
        self.path, self.first, self.second = path, first, second
        super().__init__(f"{path_text(path)}: {_shown(first)} against {_shown(second)}")


def merge(first: Tree, second: Tree, path: Path = ()) -> Tree:
    """Return a tree that says what both say; raises LeafConflictError where they disagree."""
    if first is second or not second:
        return first
    if not first:
        return second
    first, second = opened(first), opened(second)
    out: Tree | None = None
    for step, value in second.items():
        standing = first.get(step)
        if standing is None:
            merged: Tree | Leaf = value
        elif isinstance(standing, dict) and isinstance(value, dict):
            merged = merge(standing, value, (*path, step))
        elif standing == value:
            continue
        else:
            raise LeafConflictError((*path, step), standing, value)
        if merged is not standing:
            out = dict(first) if out is None else out
            out[step] = merged
    if out is None:
        return first
    if path and path[-1] == _RULES:
        return dict(sorted(out.items(), key=lambda item: rule_order(item[0])))
    return out


def rule_order(step: Step) -> tuple[int, str]:
    """Order classification rules: a VIP's before a plane's, then by id, which starts with the VIP's priority."""
    key = step[1] if isinstance(step, tuple) else step
    return (0 if key.startswith("vip.") else 1, key)


def _shown(value: Tree | Leaf) -> str:
    return "a subtree" if isinstance(value, dict) else repr(value)
