"""Configuration leaf by leaf, as history and blame show it: where, what, and what a change did there.

Keys of list entries are left out: the path says them already. An entry or a presence container that holds nothing
else is a place of its own, with an empty value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from controller.rendering.paths import at, path_text, step_name
from controller.rendering.schema import Schema, SchemaNode
from controller.rendering.tree import Edit, Leaf, OperationKind, Path, Step, Tree
from controller.store.records import PlaceChange


@dataclass(frozen=True, slots=True)
class Place:
    """One leaf, or an entry that has none beside its keys."""

    path: Path
    text: str
    value: str


def anywhere(_: str) -> bool:
    return True


def leaves(tree: Tree, enter: Callable[[str], bool] = anywhere) -> Iterator[Place]:
    """Yield every leaf of a domain's tree in its order; subtrees whose path `enter` refuses are not looked at."""
    roots = Schema.load().roots
    for step, value in tree.items():
        yield from _below((step,), _step_text(step, roots.get(step_name(step))), value, roots, enter)


def changed_places(edit: Edit) -> Iterator[tuple[Path, PlaceChange]]:
    """Yield every leaf that an edit sets, changes or takes away, in the order of its operations."""
    for operation in edit.operations:
        path = operation.path
        gone = operation.kind is OperationKind.DELETE
        before = _values(path, at(edit.before, path))
        after = {} if gone else _values(path, at(edit.after, path))
        if operation.ordered and operation.kind is OperationKind.MERGE:
            behind = "first" if operation.after is None else f"after {' '.join(operation.after[1:])}"
            yield path, PlaceChange(path_text(path), "elsewhere in the order", behind)
        for text, place in {**before, **after}.items():
            was, now = before.get(text), after.get(text)
            old, new = was.value if was else None, now.value if now else None
            if old != new:
                yield place.path, PlaceChange(text, old, new)


def _values(path: Path, value: Tree | Leaf | None) -> dict[str, Place]:
    if value is None:
        return {}
    around = {step_name(path[-1]): node} if (node := Schema.load().find(_names(path))) else {}
    return {place.text: place for place in _below(path, path_text(path), value, around, anywhere)}


def _names(path: Path) -> tuple[str, ...]:
    return tuple(step_name(step) for step in path)


def _below(
    path: Path, text: str, value: Tree | Leaf, around: dict[str, SchemaNode], enter: Callable[[str], bool]
) -> Iterator[Place]:
    if not enter(text):
        return
    if not isinstance(value, dict):
        yield Place(path, text, ", ".join(value) if isinstance(value, tuple) else value)
        return
    node = around.get(step_name(path[-1]))
    keys = node.keys if node is not None and isinstance(path[-1], tuple) else ()
    children = node.children if node is not None else {}
    said = False
    for step, inner in value.items():
        if step in keys:
            continue
        said = True
        step_text = _step_text(step, children.get(step_name(step)))
        yield from _below((*path, step), text + step_text, inner, children, enter)
    if not said:
        yield Place(path, text, "")


def _step_text(step: Step, node: SchemaNode | None) -> str:
    """Return one step as `path_text` writes it."""
    if isinstance(step, str):
        return f"/{step}"
    keys = node.keys if node and len(node.keys) == len(step) - 1 else tuple(f"{step[0]}-key" for _ in step[1:])
    return f"/{step[0]}" + "".join(f"[{key}='{value}']" for key, value in zip(keys, step[1:], strict=True))
