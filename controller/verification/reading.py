"""Finding leaves in rendered configuration.

Of packed trees, ten thousand are built alike: where the leaves stand that a reader takes is found once for each shape,
and then they are taken out of the row together. A leaf that is missing or of another kind is one that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from operator import itemgetter
from socket import AF_INET, inet_pton
from typing import Any

from controller.rendering.packed import (
    MOST_SHAPES,
    HiddenError,
    ListAt,
    Packed,
    Shape,
    StepAt,
    TextAt,
    TreeAt,
    opened,
    pattern,
)
from controller.rendering.tree import Step, Tree
from controller.verification.facts import Span

_Row = tuple[Any, ...]
_Take = Callable[[_Row], _Row]
_PLACES = (TextAt, ListAt, StepAt, TreeAt)


def _not_learnt(row: _Row) -> _Row:
    raise AssertionError("stands for a shape that is still to be learnt")


class Leaves:
    """What `find` finds in a tree, in its order: leaves, steps of entries, subtrees, and how many there are.

    `find` must not ask what a leaf or a key says, only whether it is there.
    """

    def __init__(self, find: Callable[[Tree], Sequence[Any]]) -> None:
        self._find = find
        self._known: dict[Shape, _Take | None] = {}

    def of(self, tree: Tree) -> Sequence[Any]:
        if isinstance(tree, Packed):
            take = self._known.get(tree.shape, _not_learnt)
            take = self._learnt(tree.shape) if take is _not_learnt else take
            if take is not None:
                return take(tree.row)
        return self._find(opened(tree))

    def _learnt(self, shape: Shape) -> _Take | None:
        if len(self._known) >= MOST_SHAPES:
            self._known.clear()
        self._known[shape] = take = self._places(shape)
        return take

    def _places(self, shape: Shape) -> _Take | None:
        """Return what takes the leaves out of a row; None where the shape does not say where they are."""
        try:
            found = self._find(pattern(shape))
        except HiddenError:
            return None
        same = tuple(one for one in found if not isinstance(one, _PLACES))
        if any(isinstance(one, dict) and one for one in same):
            return None
        keys = tuple((one.at, one.key) for one in found if isinstance(one, _PLACES) and one.key)
        rest, after = iter(range(shape.width, shape.width + len(same))), iter(range(shape.width + len(same), 1 << 30))
        at = [(next(after) if one.key else one.at) if isinstance(one, _PLACES) else next(rest) for one in found]
        take: _Take = itemgetter(*at) if len(at) > 1 else lambda row: tuple(row[i] for i in at)
        if keys:
            return lambda row: take((*row, *same, *[row[i][key] for i, key in keys]))
        return lambda row: take(row + same)


def steps(tree: Tree, name: str) -> Iterator[tuple[tuple[str, ...], Tree]]:
    """Yield (step, entry) of a list inside a container."""
    for step, value in tree.items():
        if isinstance(step, tuple) and step[0] == name and isinstance(value, dict):
            yield step, value


def named_steps(tree: Tree, name: str) -> list[Step]:
    """Return the steps of whatever has this name, entries or not."""
    return [step for step in tree if step[0] == name]


def entries(tree: Tree, name: str) -> Iterator[tuple[tuple[str, ...], Tree]]:
    """Yield (keys, entry) of a list inside a container."""
    for step, value in steps(tree, name):
        yield step[1:], value


def below(tree: Tree | None, *steps: Step) -> Tree:
    """Return the container at a path of steps, empty where it is not there."""
    at: Any = tree
    for step in steps:
        if not isinstance(at, dict):
            return {}
        at = at.get(step)
    return at if isinstance(at, dict) else {}


def text(tree: Tree, name: str) -> str:
    value = tree.get(name)
    return value if isinstance(value, str) else ""


def texts(tree: Tree, name: str) -> tuple[str, ...]:
    value = tree.get(name)
    return value if isinstance(value, tuple) else ()


def whole(value: str) -> int:
    """Return the number that a leaf says, 0 where it says none."""
    return int(value) if value.isdigit() or value.lstrip("-").isdigit() else 0


def number(tree: Tree, name: str) -> int:
    return whole(text(tree, name))


def optional_number(tree: Tree, name: str) -> int | None:
    return number(tree, name) if name in tree else None


def span(prefix: str) -> Span | None:
    """Return the addresses that a prefix covers; None where it is none."""
    address, slash, length = prefix.partition("/")
    try:
        if not slash or (length.isdecimal() and length.isascii() and int(length) <= 32):
            bits = 32 - int(length) if slash else 0  # by far the most, and ten times as quick as the general way
            first = int.from_bytes(inet_pton(AF_INET, address)) >> bits << bits
            return 4, first, first + (1 << bits) - 1
    except (OSError, ValueError):
        pass
    try:
        network = ip_network(prefix, strict=False)
    except ValueError:
        return None
    return network.version, int(network.network_address), int(network.broadcast_address)


def rate_bps(generic: str) -> int:
    """Return a TE bandwidth (float32 in hex, bytes/s; RFC 8776 `te-bandwidth`) as bit/s, nearest Mbit/s if close."""
    try:
        bps = float.fromhex(generic) * 8
        nearest = round(bps / 1e6) * 10**6
    except (ValueError, OverflowError):
        return 0
    return nearest if abs(bps - nearest) <= nearest * 2**-23 else int(bps)
