"""From one whole-domain tree to another: the operations, and the exact images of what they touch.

Both trees are normalised. Subtrees that are the same object are not looked at, so the cost follows the change and not
the size of the domain. Explicit operations stand only on keyed entries, leaves, presence containers and routes, never
on the containers that others share.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import compress, islice

from controller.errors import ConflictError
from controller.rendering.graft import Graft
from controller.rendering.lit import passed_through
from controller.rendering.packed import opened
from controller.rendering.paths import at, extract, outermost, path_text, smallest_entry, step_name
from controller.rendering.schema import Schema, SchemaNode
from controller.rendering.tree import Edit, Leaf, Operation, OperationKind, Path, Step, Tree

# Replaced as a whole: half of a route is not a route.
_WHOLE = frozenset({"te:explicit-route-objects", "opt:working", "opt:protect"})
_LONG = 32  # entries of a list from which it pays to look for those that did not move


def diff(old: Tree, new: Tree) -> tuple[Operation, ...]:
    """Return the operations that turn `old` into `new`; empty where they say the same, order of rules included."""
    operations: list[Operation] = []
    _compare(Schema.load().roots, (), old, new, operations)
    return tuple(operations)


def edit(domain: str, old: Tree, new: Tree) -> Edit:
    """Return what one transaction does to a domain, with images of the smallest entries that hold every change."""
    operations = diff(old, new)
    touched = outermost(smallest_entry(operation.path) for operation in operations)
    return Edit(domain, operations, touched, extract(old, touched), extract(new, touched))


def apply(tree: Tree, operations: Sequence[Operation]) -> Tree:
    """Return the tree after the operations, as an honest domain would hold it.

    Raises ConflictError where an entry to create is there already, or one to delete is not.
    """
    graft = Graft(tree)
    for operation in operations:
        path, value = operation.path, operation.value
        standing = at(graft.tree, path)
        if operation.kind is OperationKind.DELETE:
            if standing is None:
                raise ConflictError(f"data-missing: {path_text(path)} is to be deleted and is not there")
            graft.remove(path)
        elif operation.kind is OperationKind.CREATE and standing is not None:
            raise ConflictError(f"data-exists: {path_text(path)} is to be created and is there already")
        elif operation.ordered:
            moved = standing if operation.kind is OperationKind.MERGE and standing is not None else value
            graft.put_after(path, moved if moved is not None else {}, operation.after)
        else:
            graft.put(path, value if value is not None else {})
    return graft.tree


def _compare(children: Mapping[str, SchemaNode], path: Path, old: Tree, new: Tree, operations: list[Operation]) -> None:
    """Compare two dicts at one place: what went, what came, what changed."""
    if old is new:
        return
    old, new = opened(old), opened(new)
    for step in [step for step in old if step not in new]:
        _gone(children.get(step_name(step)), (*path, step), old[step], operations)
    if not _ordered(children):
        for step in [step for step, value in new.items() if old.get(step) is not value]:
            _came_or_changed(children.get(step_name(step)), (*path, step), old.get(step), new[step], operations)
        return
    last: dict[str, Step] = {}
    stay: dict[str, frozenset[Step]] = {}
    for step, value in new.items():
        was_here = old.get(step)
        child = children.get(step_name(step))
        if child is not None and child.user_ordered and isinstance(step, tuple):
            if child.step not in stay:
                stay[child.step] = _unmoved(child.step, old, new)
            after, last[child.step] = last.get(child.step), step
            if was_here is None:
                operations.append(Operation(OperationKind.CREATE, (*path, step), value, after, ordered=True))
                continue
            if step not in stay[child.step]:
                operations.append(Operation(OperationKind.MERGE, (*path, step), {}, after, ordered=True))
        if was_here is not value:
            _came_or_changed(child, (*path, step), was_here, value, operations)


def _came_or_changed(
    child: SchemaNode | None, path: Path, was: Tree | Leaf | None, value: Tree | Leaf, operations: list[Operation]
) -> None:
    if was is None:
        _came(child, path, value, operations)
    else:
        _changed(child, path, was, value, operations)


def _gone(child: SchemaNode | None, path: Path, was: Tree | Leaf, operations: list[Operation]) -> None:
    step = path[-1]
    if isinstance(was, dict) and isinstance(step, str) and not _is_one(child, step):
        for below, value in was.items():
            _gone(child.children.get(step_name(below)) if child else None, (*path, below), value, operations)
    elif isinstance(was, dict) and passed_through(step, was):
        children: Mapping[str, SchemaNode] = child.children if child else {}
        for below in [below for below in opened(was) if isinstance(below, tuple)]:
            _gone(children.get(below[0]), (*path, below), was[below], operations)
    else:
        operations.append(Operation(OperationKind.DELETE, path))


def _came(child: SchemaNode | None, path: Path, value: Tree | Leaf, operations: list[Operation]) -> None:
    step = path[-1]
    if isinstance(step, tuple) and isinstance(value, dict) and passed_through(step, value):
        entries: Tree = {below: inner for below, inner in value.items() if isinstance(below, tuple)}
        _compare(child.children if child else {}, path, {}, entries, operations)
    elif isinstance(step, tuple):
        operations.append(Operation(OperationKind.CREATE, path, value))
    elif isinstance(value, dict) and not _is_one(child, step):
        _compare(child.children if child else {}, path, {}, value, operations)
    else:
        operations.append(Operation(OperationKind.MERGE, path, value))


def _changed(
    child: SchemaNode | None, path: Path, was: Tree | Leaf, value: Tree | Leaf, operations: list[Operation]
) -> None:
    if not isinstance(was, dict) or not isinstance(value, dict):
        if was != value:
            operations.append(Operation(OperationKind.REPLACE, path, value))
        return
    children: Mapping[str, SchemaNode] = child.children if child else {}
    if was == value and not (child is not None and _disordered(child, was, value)):
        return  # what was read from a domain shares nothing with what is wanted: dicts compare themselves far faster
    was, value = opened(was), opened(value)
    old, new = (was, value) if _ordered(children) else _without_the_same(was, value)
    if step_name(path[-1]) in _WHOLE or _leaf_list_changed(old, new):
        if was != value or (child is not None and _disordered(child, was, value)):
            operations.append(Operation(OperationKind.REPLACE, path, value))
    else:
        _compare(children, path, old, new, operations)


def _ordered(children: Mapping[str, SchemaNode]) -> bool:
    """Say whether the order of any of these is the user's."""
    return any(child.user_ordered for child in children.values())


def _without_the_same(old: Tree, new: Tree) -> tuple[Tree, Tree]:
    """Return both without what they begin and end with in common, object for object.

    Of a list of thousands of entries a change moves one. To look each of them up, by keys that have to be hashed every
    time, would cost what the domain costs and not what the change does.
    """
    if min(len(old), len(new)) < _LONG:
        return old, new
    first = _in_common(zip(old.items(), new.items(), strict=False))
    most = min(len(old), len(new)) - first
    last = min(most, _in_common(zip(reversed(old.items()), reversed(new.items()), strict=False)))
    return dict(islice(old.items(), first, len(old) - last)), dict(islice(new.items(), first, len(new) - last))


def _in_common(pairs: Iterable[tuple[tuple[Step, Tree | Leaf], tuple[Step, Tree | Leaf]]]) -> int:
    """Return how many pairs there are before the first that is not the same twice."""
    count = 0
    for (was_step, was), (step, value) in pairs:
        if was_step is not step or was is not value:
            break
        count += 1
    return count


def _is_one(child: SchemaNode | None, step: str) -> bool:
    """Say whether a container comes and goes as one: because its presence means something, or because it is a route."""
    return step in _WHOLE or (child is not None and child.presence)


def _leaf_list_changed(was: Tree, value: Tree) -> bool:
    """A leaf-list that lost or moved a value can only be said by replacing what holds it."""
    moved = [step for step, leaf in was.items() if value.get(step) is not leaf]
    return any(isinstance(leaf := was[step], tuple) and value.get(step) != leaf for step in moved)


def _disordered(node: SchemaNode, was: Tree, value: Tree) -> bool:
    """Say of two equal trees whether entries stand in another order where order is the user's; elsewhere it is none."""
    if was is value or not _holds_order(node):
        return False
    children = node.children
    ordered = {name for name, child in children.items() if child.user_ordered and child.kind == "list"}
    if ordered and any(
        [step for step in was if step_name(step) == name] != [step for step in value if step_name(step) == name]
        for name in ordered
    ):
        return True
    return any(
        isinstance(one, dict)
        and isinstance(other, dict)
        and (child := children.get(step_name(step))) is not None
        and _disordered(child, one, other)
        for step, one, other in _apart(was, value)
    )


def _apart(was: Tree, value: Tree) -> Iterable[tuple[Step, Tree | Leaf, Tree | Leaf]]:
    """Yield the entries of two equal trees that are not one object: of thousands a change makes a few anew."""
    if type(was) is dict and type(value) is dict and all(map(operator.is_, was, value)):
        entries = zip(was, was.values(), value.values(), strict=True)
        return compress(entries, map(operator.is_not, was.values(), value.values()))
    return ((step, one, other) for step, one in was.items() if one is not (other := value[step]))


@cache
def _holds_order(node: SchemaNode) -> bool:
    """Say whether a list whose order is the user's lies anywhere below."""
    return any((c.user_ordered and c.kind == "list") or _holds_order(c) for c in node.children.values())


def _unmoved(name: str, old: Tree, new: Tree) -> frozenset[Step]:
    """Return the largest set of entries whose relative order is the same in both (longest increasing subsequence)."""
    position = {step: i for i, step in enumerate(step for step in old if step_name(step) == name)}
    common = [step for step in new if step in position]
    tails: list[int] = []
    tail_steps: list[Step] = []
    before: dict[Step, Step | None] = {}
    for step in common:
        place = bisect_left(tails, position[step])
        before[step] = tail_steps[place - 1] if place else None
        if place == len(tails):
            tails.append(position[step])
            tail_steps.append(step)
        else:
            tails[place], tail_steps[place] = position[step], step
    kept: set[Step] = set()
    step_or_none: Step | None = tail_steps[-1] if tail_steps else None
    while step_or_none is not None:
        kept.add(step_or_none)
        step_or_none = before[step_or_none]
    return frozenset(kept)
