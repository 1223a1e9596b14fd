"""Before- and after-images: do two agree, and what edit leads back from one to the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from controller.rendering.tree import Edit, Leaf, Operation, OperationKind, Path, Step, Tree

_SHOWN = 3  # differences named in one message


def disagreement(edit: Edit, running: Tree) -> str:
    """Return in one line where the running configuration is not the edit's after-image; empty where it is."""
    found: list[str] = []
    for path in edit.touched:
        wanted, there = value_at(edit.after, path) or {}, value_at(running, path) or {}
        if wanted is not there and wanted != there:
            found.extend(islice(_differences(wanted, there, path), _SHOWN - len(found)))
            if len(found) >= _SHOWN:
                break
    return "; ".join(found) or _disorder(edit, running)


def beside(edit: Edit, running: Tree) -> str:
    """Return the first place that differs from the after-image, where the edit itself writes none that differs.

    What runs there was there before, or came from somebody else: an edit can only have undone what it writes. Empty
    where a place that it writes differs.
    """
    first = ""
    for path in edit.touched:
        wanted, there = value_at(edit.after, path) or {}, value_at(running, path) or {}
        for place, _ in _places(wanted, there, path):
            if any(_within(place, operation.path) for operation in edit.operations):
                return ""
            first = first or path_text(place)
    return first


def _within(one: Path, other: Path) -> bool:
    """Say whether one of two places holds the other, or is it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def holds(image: Tree, touched: Sequence[Path], running: Tree) -> bool:
    """Say whether the running configuration at these paths is this image; the order of entries aside."""
    return all((value_at(image, path) or {}) == (value_at(running, path) or {}) for path in touched)


def inverse(edit: Edit) -> Edit:
    """Return the edit that puts every touched place back to what it was, whatever stands there now."""
    operations = []
    for path in edit.touched:
        value = value_at(edit.before, path)
        if value is None:
            operations.append(Operation(OperationKind.DELETE, path))
        else:
            operations.append(Operation(OperationKind.REPLACE, path, value))
    return Edit(edit.domain, tuple(operations), edit.touched, edit.after, edit.before)


def value_at(tree: Tree, path: Path) -> Tree | Leaf | None:
    """Return what stands at the path, or None."""
    node: Tree | Leaf = tree
    for step in path:
        if not isinstance(node, dict) or step not in node:
            return None
        node = node[step]
    return node


def path_text(path: Path) -> str:
    """Return a path for people: /l3nm:vpn-services/l3nm:vpn-service[gov.office]/…"""
    return "/" + "/".join(step if isinstance(step, str) else f"{step[0]}[{','.join(step[1:])}]" for step in path)


def _disorder(edit: Edit, running: Tree) -> str:
    """Dicts compare without order, which matters in the lists that the user orders."""
    for operation in edit.operations:
        if operation.ordered:
            parent, entry = operation.path[:-1], operation.path[-1]
            wanted = _entries(value_at(edit.after, parent), entry)
            if wanted and wanted != [one for one in _entries(value_at(running, parent), entry) if one in wanted]:
                return f"{path_text(parent)}: the entries are not in the order asked for"
    return ""


def _entries(parent: Tree | Leaf | None, like: Step) -> list[Step]:
    """Return the entries of one list in their order."""
    if not isinstance(parent, dict) or not isinstance(like, tuple):
        return []
    return [step for step in parent if isinstance(step, tuple) and step[0] == like[0]]


def _differences(wanted: Tree | Leaf, running: Tree | Leaf, at: Path) -> Iterator[str]:
    for place, said in _places(wanted, running, at):
        yield f"{path_text(place)}: {said}"


def _places(wanted: Tree | Leaf, running: Tree | Leaf, at: Path) -> Iterator[tuple[Path, str]]:
    """Yield each place that differs, with how."""
    if not isinstance(wanted, dict) or not isinstance(running, dict):
        if wanted != running:
            yield at, f"is {_short(running)}, should be {_short(wanted)}"
        return
    for step, value in wanted.items():
        if step not in running:
            yield (*at, step), "is missing"
        elif running[step] is not value:
            yield from _places(value, running[step], (*at, step))
    for step in running:
        if step not in wanted:
            yield (*at, step), "is there and should not be"


def _short(value: Tree | Leaf) -> str:
    return "a container" if isinstance(value, dict) else repr(value)
