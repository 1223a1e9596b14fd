"""Changing places of a tree without changing the tree: copies the dicts on the way, once each, and shares the rest."""

from __future__ import annotations

from controller.rendering.packed import opened
from controller.rendering.paths import step_name
from controller.rendering.schema import Schema
from controller.rendering.tree import Leaf, Path, Step, Tree


class Graft:
    """A tree being changed. `tree` is the result so far; the tree it started from stays as it was."""

    def __init__(self, tree: Tree) -> None:
        self._own: dict[int, Tree] = {}
        self.tree: Tree = self._copy(tree)

    def put(self, path: Path, value: Tree | Leaf) -> None:
        """Set a place, creating what leads to it; a place that stands keeps its position among its siblings."""
        self._parent(path)[path[-1]] = value

    def put_after(self, path: Path, value: Tree | Leaf, after: Step | None) -> None:
        """Set or move an entry of a user-ordered list behind a sibling; None: before all its siblings."""
        parent, step = self._parent(path), path[-1]
        parent.pop(step, None)
        if after is not None and next(reversed(parent), None) == after:
            parent[step] = value
            return
        items, placed = list(parent.items()), False
        parent.clear()
        for sibling, content in items:
            if after is None and not placed and step_name(sibling) == step_name(step):
                parent[step], placed = value, True
            parent[sibling] = content
            if after is not None and sibling == after:
                parent[step], placed = value, True
        if not placed:
            parent[step] = value

    def remove(self, path: Path) -> None:
        """Remove a place, and the containers on the way that it leaves empty and that mean nothing when empty."""
        trail: list[tuple[Tree, Step]] = []
        place = self.tree
        for step in path[:-1]:
            trail.append((place, step))
            place = self._below(place, step, path)
        place.pop(path[-1], None)
        schema = Schema.load()
        for depth in range(len(trail), 0, -1):
            parent, step = trail[depth - 1]
            if parent[step] or isinstance(step, tuple):
                return
            node = schema.find(path[:depth])
            if node is not None and node.presence:
                return
            del parent[step]

    def _parent(self, path: Path) -> Tree:
        place = self.tree
        for i, step in enumerate(path[:-1]):
            place = self._below(place, step, path[: i + 1])
        return place

    def _below(self, place: Tree, step: Step, path: Path) -> Tree:
        """Return the dict under a step, as a copy of our own; what does not stand yet is made, entries with keys."""
        below = place.get(step)
        if isinstance(below, dict) and id(below) in self._own:
            return below
        if isinstance(below, dict):
            fresh = self._copy(below)
        else:
            node = Schema.load().find(path) if isinstance(step, tuple) else None
            fresh = self._copy(dict(zip(node.keys, step[1:], strict=True)) if node else {})
        place[step] = fresh
        return fresh

    def _copy(self, tree: Tree) -> Tree:
        fresh = dict(opened(tree))
        self._own[id(fresh)] = fresh  # kept alive, so that no other dict gets this id
        return fresh
