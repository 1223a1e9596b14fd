"""Subtrees that say the same become one object: ten thousand services repeat themselves mostly.

Trees are never changed once built, so who holds a subtree cannot tell. What is seen once is only remembered by its
hash; from the second time on it is kept, and found again by its content. A kept subtree is found by the identity of
its own subtrees, which it holds: no identity can pass to something else while it is looked for.
"""

from __future__ import annotations

from controller.rendering.tree import Leaf, Step, Tree

MOST_ITEMS = 6  # larger subtrees are rarely equal
MOST_KEPT = 1 << 16
SHARED_ALREADY = frozenset({"te:explicit-route-objects", "nrp:select"})  # long lists whose entries are made only once

_Content = tuple[tuple[Step, Leaf | int], ...]


class Sharing:
    """Finds for a subtree the equal one that is kept already."""

    def __init__(self) -> None:
        self._kept: dict[_Content, Tree] = {}
        self._ours: set[int] = set()  # identities of the kept ones
        self._seen: set[int] = set()  # hashes of contents that came once

    def tree(self, tree: Tree) -> Tree:
        """Return an equal tree that shares what it can with all that came before."""
        if id(tree) in self._ours:
            return tree
        out: Tree | None = None
        content: list[tuple[Step, Leaf | int]] = []
        small = len(tree) <= MOST_ITEMS
        for step, value in tree.items():
            if not isinstance(value, dict):
                content.append((step, value))
                continue
            if step in SHARED_ALREADY:
                small = False
                continue
            below = self.tree(value)
            small = small and id(below) in self._ours
            content.append((step, id(below)))
            if below is not value:
                out = dict(tree) if out is None else out
                out[step] = below
        found = tree if out is None else out
        return self._one(tuple(content), found) if small else found

    def _one(self, content: _Content, tree: Tree) -> Tree:
        known = self._kept.get(content)
        if known is not None:
            return known
        mark = hash(content)
        if mark not in self._seen:
            if len(self._seen) >= 2 * MOST_KEPT:
                self._seen.clear()
            self._seen.add(mark)
            return tree
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
            self._ours.clear()
        self._kept[content] = tree
        self._ours.add(id(tree))
        return tree


_everything = Sharing()


def shared(tree: Tree) -> Tree:
    """Return an equal tree that shares what it can with every other of this process."""
    return _everything.tree(tree)
