"""Finding and cutting places of a tree by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.rendering.schema import Schema
from controller.rendering.tree import Leaf, Path, Step, Tree


def step_name(step: Step) -> str:
    return step if isinstance(step, str) else step[0]


def path_text(path: Path) -> str:
    """Return a path as people and domain controllers write it: `/l3nm:l3vpn-ntw/…[l3nm:vpn-id='gov.office']`."""
    schema, parts = Schema.load(), []
    names: tuple[str, ...] = ()
    for step in path:
        names = (*names, step_name(step))
        node = schema.find(names)
        if isinstance(step, tuple):
            keys = node.keys if node and len(node.keys) == len(step) - 1 else tuple(f"{step[0]}-key" for _ in step[1:])
            parts.append(step[0] + "".join(f"[{key}='{value}']" for key, value in zip(keys, step[1:], strict=True)))
        else:
            parts.append(step)
    return "/" + "/".join(parts)


def at(tree: Tree, path: Path) -> Tree | Leaf | None:
    """Return what stands at a path, or None."""
    place: Tree | Leaf | None = tree
    for step in path:
        if not isinstance(place, dict):
            return None
        place = place.get(step)
    return place


def extract(tree: Tree, paths: Iterable[Path]) -> Tree:
    """Return a tree that holds exactly these places, and the keys of the entries on the way; absent stays absent."""
    out: Tree = {}
    for path in paths:
        found = at(tree, path)
        if found is None:
            continue
        place = out
        for i, step in enumerate(path[:-1]):
            below = place.get(step)
            if not isinstance(below, dict):
                below = _keys(tree, path[: i + 1])
                place[step] = below
            place = below
        place[path[-1]] = found
    return out


def _keys(tree: Tree, path: Path) -> Tree:
    step, node = path[-1], Schema.load().find(path)
    if isinstance(step, str) or node is None:
        return {}
    return dict(zip(node.keys, step[1:], strict=True))


def smallest_entry(path: Path) -> Path:
    """Return the path of the smallest keyed entry that holds a place, above every list whose order is the user's.

    Above, because the order of such a list is part of what must be read back.
    """
    schema, found = Schema.load(), path
    names: tuple[str, ...] = ()
    for i, step in enumerate(path):
        names = (*names, step_name(step))
        if isinstance(step, tuple):
            node = schema.find(names)
            if node is not None and node.user_ordered:
                return found
            found = path[: i + 1]
    return found


def outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths without those that lie under another one, each once, in the order in which they came."""
    unique = dict.fromkeys(paths)
    return tuple(path for path in unique if not any(path[:i] in unique for i in range(1, len(path))))


def units(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree | Leaf]]:
    """Yield the independent parts of a domain's tree: the outermost list entries (a VPN, a tunnel, a circuit …)."""
    for step, value in tree.items():
        here = (*path, step)
        if isinstance(step, str) and isinstance(value, dict) and value:
            yield from units(value, here)
        else:
            yield here, value
