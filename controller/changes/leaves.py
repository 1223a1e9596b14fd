"""Configuration leaf by leaf, as history and blame show it: where, what, and what a change did there.

Keys of list entries are left out: the path says them already. An entry or a presence container that holds nothing
else is a place of its own, with an empty value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from controller.rendering.paths import at, path_text, step_name
from controller.rendering.schema import Schema, SchemaNode
from controller.rendering.tree import Edit, Leaf, Operation, OperationKind, Path, Step, Tree
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


def changed_places(edit: Edit, most_bytes: int) -> tuple[list[tuple[Path, PlaceChange]], int]:
    """Return the leaves that an edit sets, changes or takes away, in the order of its operations, as many as fit.

    And how many do not: of these only the number is worked out, so that a thousand services cost no more than ten.
    """
    found: list[tuple[Path, PlaceChange]] = []
    size = left_out = 0
    for operation in edit.operations:
        shown = 0
        for path, place in _of(edit, operation) if size <= most_bytes else ():
            size += len(place.path) + len(place.before or "") + len(place.after or "")
            if size > most_bytes:
                break
            found.append((path, place))
            shown += 1
        if size > most_bytes:
            left_out += max(1, _count(edit, operation)) - shown
    return found, left_out


def _of(edit: Edit, operation: Operation) -> Iterator[tuple[Path, PlaceChange]]:
    path = operation.path
    before = at(edit.before, path)
    after = None if operation.kind is OperationKind.DELETE else at(edit.after, path)
    if operation.ordered and operation.kind is OperationKind.MERGE:
        behind = "first" if operation.after is None else f"after {' '.join(operation.after[1:])}"
        yield path, PlaceChange(path_text(path), "elsewhere in the order", behind)
    elif before is None or after is None:
        for place in _values(path, after if before is None else before):
            pair = (None, place.value) if before is None else (place.value, None)
            yield place.path, PlaceChange(place.text, *pair)
    else:
        yield from _both(path, before, after)


def _both(path: Path, before: Tree | Leaf, after: Tree | Leaf) -> Iterator[tuple[Path, PlaceChange]]:
    was = {place.text: place for place in _values(path, before)}
    now = {place.text: place for place in _values(path, after)}
    for text, place in {**was, **now}.items():
        old = was[text].value if text in was else None
        new = now[text].value if text in now else None
        if old != new:
            yield place.path, PlaceChange(text, old, new)


def _count(edit: Edit, operation: Operation) -> int:
    """Return how many places an operation moves; of a replacement all that it holds."""
    tree = edit.before if operation.kind is OperationKind.DELETE else edit.after
    value = at(tree, operation.path)
    return 0 if value is None else leaf_count(value, operation.path[-1])


def leaf_count(value: Tree | Leaf, step: Step) -> int:
    """Return how many places `leaves` would yield, without working them out."""
    if not isinstance(value, dict):
        return 1
    keys = len(step) - 1 if isinstance(step, tuple) else 0
    return max(1, sum(leaf_count(inner, below) for below, inner in value.items()) - keys)


def first_leaves(value: Tree, most: int) -> tuple[Tree, int]:
    """Return the beginning of a tree, of at most about so many leaves, and how many it holds."""
    out: Tree = {}
    taken = 0
    for step, inner in value.items():
        if taken >= most:
            break
        if isinstance(inner, dict):
            out[step], some = first_leaves(inner, most - taken)
            taken += max(1, some)
        else:
            out[step] = inner
            taken += 1
    return out, taken


def _values(path: Path, value: Tree | Leaf | None) -> Iterator[Place]:
    if value is not None:
        around = {step_name(path[-1]): node} if (node := Schema.load().find(_names(path))) else {}
        yield from _below(path, path_text(path), value, around, anywhere)


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
        below = text + (f"/{step}" if isinstance(step, str) else _step_text(step, children.get(step[0])))
        if isinstance(inner, dict):
            yield from _below((*path, step), below, inner, children, enter)
        elif enter(below):  # most of what there is are leaves: no generator for each
            yield Place((*path, step), below, ", ".join(inner) if isinstance(inner, tuple) else inner)
    if not said:
        yield Place(path, text, "")


def _step_text(step: Step, node: SchemaNode | None) -> str:
    """Return one step as `path_text` writes it."""
    if isinstance(step, str):
        return f"/{step}"
    keys = node.keys if node and len(node.keys) == len(step) - 1 else tuple(f"{step[0]}-key" for _ in step[1:])
    return f"/{step[0]}" + "".join(f"[{key}='{value}']" for key, value in zip(keys, step[1:], strict=True))
