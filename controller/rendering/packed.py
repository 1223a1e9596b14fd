"""Trees that stand, in little room: what ten thousand services ask for are the same few shapes over other values.

A packed tree is a dict to whoever reads it. It holds its shape, one object for all trees that are built alike, and its
values in one row; the dicts are made when somebody looks inside, and forgotten again. Trees are never changed once
built, so nobody can tell, and who needs a place of its own copies it, as always.

    in the shape    names of nodes, which of them are entries, leaves that repeat a key of their entry
    in the row      steps of entries, all other leaves, and subtrees that are packed themselves: where many share one
                    (the port of a hop), and the entries of lists too long to open as one (the nodes of a large plane)
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from controller.rendering.tree import Leaf, Step, Tree

MOST_VALUES = 512  # of one row; what holds more is opened entry by entry
MOST_SHAPES = 1 << 14
MOST_KEPT = 1 << 15
MARKS = 1 << 16
# What is below a part that is no shape: in the row a leaf, a leaf-list or a subtree; n > 0: the n-th key of its entry.
TEXT: Final = 0
LIST: Final = -1
TREE: Final = -2

Part = tuple[str, "Shape | int", int, int]  # name, what is below, how many in a row, length of their steps or 0


class Shape:
    """What trees have in common that differ in values only. `width`: how many values they have."""

    __slots__ = ("parts", "width")

    def __init__(self, parts: tuple[Part, ...], width: int) -> None:
        self.parts, self.width = parts, width


class Packed(dict[Step, "Tree | Leaf"]):
    """A tree that opens when it is read. It cannot be changed."""

    __slots__ = ("row", "shape")

    def __init__(self, shape: Shape, row: tuple[Any, ...]) -> None:
        self.shape, self.row = shape, row

    def __getitem__(self, step: Step) -> Tree | Leaf:
        return opened(self)[step]

    def get(self, step: Step, default: Any = None) -> Any:
        return opened(self).get(step, default)

    def __contains__(self, step: object) -> bool:
        return step in opened(self)

    def __iter__(self) -> Iterator[Step]:
        return iter(opened(self))

    def __reversed__(self) -> Iterator[Step]:
        return reversed(opened(self))

    def __len__(self) -> int:
        return sum(times for _, _, times, _ in self.shape.parts)

    def __bool__(self) -> bool:
        return bool(self.shape.parts)

    def keys(self) -> Any:
        return opened(self).keys()

    def values(self) -> Any:
        return opened(self).values()

    def items(self) -> Any:
        return opened(self).items()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, dict):
            return NotImplemented
        if isinstance(other, Packed) and other.shape is self.shape and other.row == self.row:
            return True
        return opened(self) == opened(other)  # entries may stand in another order

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(opened(self))

    def __or__(self, other: Any) -> Any:
        return opened(self) | opened(other)

    def __ror__(self, other: Any) -> Any:
        return other | opened(self)

    def copy(self) -> Tree:
        return dict(opened(self))

    def __copy__(self) -> Packed:
        return self

    def __reduce__(self) -> Any:
        return dict, (dict(opened(self)),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a packed tree cannot be changed; copy it")

    __setitem__ = __delitem__ = __ior__ = pop = popitem = clear = update = setdefault = _refuse


MOST_OPEN = 512  # trees that stay open; who looks inside a tree looks again at once, and a change at each of its trees
_open: dict[int, tuple[Packed, Tree]] = {}  # by identity, which its tree keeps while it is here


def opened(tree: Tree) -> Tree:
    """Return the tree as a plain dict, whose subtrees are plain too but for those packed by themselves."""
    if not isinstance(tree, Packed):
        return tree
    known = _open.get(id(tree))
    if known is not None and known[0] is tree:
        return known[1]
    found = _opened(tree.shape, tree.row, 0, ())
    if len(_open) >= MOST_OPEN:
        _open.clear()  # in one go: other threads look here too
    _open[id(tree)] = (tree, found)
    return found


def _opened(shape: Shape, row: tuple[Any, ...], at: int, keys: tuple[str, ...]) -> Tree:
    """Return what a shape says of the values from `at`; `keys`: the step of the entry that it is, if it is one."""
    out: Tree = {}
    for name, below, times, entry in shape.parts:
        if entry:
            for _ in range(times):
                step = row[at]
                if isinstance(below, Shape):
                    out[step] = _opened(below, row, at + 1, step)
                    at += 1 + below.width
                else:
                    out[step] = row[at + 1]
                    at += 2
        elif isinstance(below, Shape):
            out[name] = _opened(below, row, at, ())
            at += below.width
        elif below <= TEXT:
            out[name] = row[at]
            at += 1
        else:
            out[name] = keys[below]
    return out


class TextAt(str):
    """Stands for the leaf at a place of the row. To ask what it says is a mistake: that differs from tree to tree."""

    at: int
    key = 0  # n > 0: the leaf is the n-th key of the step at that place

    def __bool__(self) -> bool:
        raise TypeError("the value of a leaf is not in the shape of its tree")


class ListAt(tuple[str, ...]):
    """Stands for the leaf-list at a place of the row."""

    at: int
    key = 0

    def __bool__(self) -> bool:
        raise TypeError("the values of a leaf-list are not in the shape of their tree")


class StepAt(tuple[str, ...]):
    """Stands for the step of an entry: of its keys it knows nothing."""

    at: int
    key = 0


class HiddenError(LookupError):
    """Somebody looks into a subtree that is packed by itself: its shape is not known from around it."""


class TreeAt(dict[Step, "Tree | Leaf"]):
    """Stands for a subtree that is packed by itself."""

    at: int
    key = 0

    def _hidden(self, *_: object) -> NoReturn:
        raise HiddenError

    __bool__ = __getitem__ = __iter__ = __len__ = __contains__ = get = keys = values = items = _hidden


_STANDS: Final = {TEXT: TextAt, LIST: ListAt, TREE: TreeAt}


def pattern(shape: Shape, at: int = 0, step: StepAt | None = None) -> Tree:
    """Return the tree that all trees of a shape are alike in: places of the row stand for what is in them."""
    out: Tree = {}
    for name, below, times, entry in shape.parts:
        for _ in range(times):
            here: Step = name
            if entry:
                here = StepAt((name, str(at), *("" for _ in range(entry - 2))))
                here.at = at
                at += 1
            if isinstance(below, Shape):
                out[here] = pattern(below, at, here if isinstance(here, StepAt) else None)
                at += below.width
                continue
            found = (_STANDS[below] if below <= TEXT else TextAt)()
            found.at = at
            if below <= TEXT:
                at += 1
            elif step is not None:
                found.at, found.key = step.at, below
            out[here] = found
    return out


class Packer:
    """Packs trees. Knows the shapes and values that came before; what comes once is only remembered by its hash."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[Any, ...], Shape] = {}
        self._kept: dict[Leaf, Leaf] = {}
        self._seen = array("H", bytes(2 * MARKS))  # of what came once, some bits of its hash, by others

    def fragment(self, tree: Tree) -> Tree:
        """Return a domain's whole tree packed, and each of its units (`paths.units`) by itself."""
        return self._packed(tree, units=True)

    def tree(self, tree: Tree) -> Tree:
        """Return a tree packed; where it is too large for one row, its lists stay dicts of packed entries."""
        return self._packed(tree, units=False)

    def _packed(self, tree: Tree, *, units: bool) -> Tree:
        if isinstance(tree, Packed) or not tree:
            return tree
        row: list[Any] = []
        shape = self._flat(tree, (), row, units=units)
        if shape is not None:
            return Packed(shape, tuple(row))
        out: Tree = {}
        for step, value in tree.items():
            inner = units and isinstance(step, str)
            out[self._one(step)] = self._packed(value, units=inner) if isinstance(value, dict) else self._one(value)
        return out if any(out[step] is not value for step, value in tree.items()) else tree

    def _flat(self, tree: Tree, keys: tuple[str, ...], row: list[Any], *, units: bool) -> Shape | None:
        """Append the values of a tree to a row and return its shape; `keys` is its step, if it is an entry.

        None where they are too many; then the row holds some of them.
        """
        content: list[Any] = []  # the parts, item after item
        start = len(row)
        for step, value in tree.items():
            if isinstance(step, tuple):
                name, entry = step[0], len(step)
                row.append(self._one(step))
            else:
                name, entry = step, 0
            below: Shape | int = TEXT
            if isinstance(value, dict):
                below = self._below(step, value, row, units=units)
            elif keys and not entry and value in keys[1:]:
                below = keys.index(value, 1)
            else:
                row.append(self._one(value))
                below = TEXT if isinstance(value, str) else LIST
            if entry and content and (content[-4], content[-1]) == (name, entry) and content[-3] is below:
                content[-2] += 1
            else:
                content += (name, below, 1, entry)
            if len(row) - start > MOST_VALUES:
                return None
        known = tuple(content)
        return self._shapes.get(known) or self._new(known, len(row) - start)

    def _below(self, step: Step, value: Tree, row: list[Any], *, units: bool) -> Shape | int:
        """Append a subtree: its values, or where it stands by itself the subtree, packed."""
        start = len(row)
        if value.__class__ is dict and not (units and isinstance(step, tuple)):
            shape = self._flat(value, step if isinstance(step, tuple) else (), row, units=units)
            if shape is not None:
                return shape
            del row[start:]
        row.append(self._packed(value, units=units and isinstance(step, str)))
        return TREE

    def _new(self, content: tuple[Any, ...], width: int) -> Shape:
        if len(self._shapes) >= MOST_SHAPES:
            self._shapes.clear()
        parts = zip(content[::4], content[1::4], content[2::4], content[3::4], strict=True)
        shape = self._shapes[content] = Shape(tuple(parts), width)
        return shape

    def _one(self, value: Leaf) -> Leaf:
        """Return the one object that stands for all equal steps or leaves that come often."""
        known = self._kept.get(value)
        if known is not None:
            return known
        mark = hash(value)
        place, mark = mark % MARKS, mark // MARKS % MARKS
        if self._seen[place] != mark:
            self._seen[place] = mark
            return value
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[value] = value
        return value


_everything = Packer()


def packed(tree: Tree) -> Tree:
    """Return one unit or subtree packed, sharing shapes and values with all others of this process."""
    return _everything.tree(tree)


def packed_fragment(tree: Tree) -> Tree:
    """Return what one service asks of a domain, packed unit by unit."""
    return _everything.fragment(tree)
