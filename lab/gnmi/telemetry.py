"""The newest value of every measured leaf, and who wants to hear of changes.

A reader that is slower than the writer loses intermediate values, never the newest one, and costs no memory:
what is pending is a set of leaves, not a queue of updates. All calls from one event loop; what is written in one turn
of it is told together.

A city of ten thousand services has a hundred thousand leaves of a few dozen shapes (a path without its keys). Leaves
stand by shape, so that to follow all accesses is to follow six shapes, and matches no pattern against any leaf.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from pygnmi.spec.v080 import gnmi_pb2

from lab.gnmi.paths import Elements, JsonValue, any_match, of_shape, parse_path, to_message, with_keys

UPDATES_PER_MESSAGE = 500  # a reader takes each in a few milliseconds, and does other work in between
Shape = tuple[str, ...]


class Shelf:
    """All leaves of one shape, and who follows them; `whole`: all of them, whatever their keys."""

    __slots__ = ("elements", "leaves", "watches")

    def __init__(self, elements: Elements) -> None:
        self.elements = elements  # of any of its leaves
        self.leaves: dict[str, TelemetryLeaf] = {}
        self.watches: list[tuple[Watch, bool]] = []


class TelemetryLeaf:
    """One path with its newest value, ready to be put on the wire."""

    __slots__ = ("at_ns", "elements", "gone", "message", "shelf", "value")

    def __init__(self, elements: Elements, shelf: Shelf) -> None:
        self.elements, self.shelf = elements, shelf
        self.message = gnmi_pb2.Update(path=to_message(elements))
        self.value: JsonValue = None
        self.at_ns = 0
        self.gone = False  # removed, perhaps while it waited to be told

    def set(self, value: JsonValue, at_ns: int) -> bool:
        """Take a value; True if it differs from the one before."""
        changed = value != self.value or not self.at_ns
        self.at_ns = at_ns
        if changed:
            self.value = value
            self.message.val.json_ietf_val = json.dumps(value, separators=(",", ":")).encode()
        return changed


class Watch:
    """The leaves of one subscription, and what it has still to be told of (`changed` is set).

    That is what changed, or, if sampled, what was measured again: also with the same value, so that a probe that died
    does not look steady.
    """

    def __init__(self, patterns: Sequence[Elements], sampled: bool) -> None:
        self.patterns = tuple(patterns)
        self.sampled = sampled
        self.shelves: list[tuple[Shelf, bool]] = []
        self.pending: dict[str, TelemetryLeaf] = {}
        self.removed: dict[str, Elements] = {}
        self.changed = asyncio.Event()

    def wants(self, elements: Elements) -> bool:
        return any_match(self.patterns, elements)

    def leaves(self) -> list[TelemetryLeaf]:
        """Return all that it follows."""
        return [leaf for s, whole in self.shelves for leaf in s.leaves.values() if whole or self.wants(leaf.elements)]

    def news(self, path: str, leaf: TelemetryLeaf) -> None:
        self.pending[path] = leaf
        self.removed.pop(path, None)
        self.changed.set()

    def removed_leaf(self, path: str, leaf: TelemetryLeaf) -> None:
        self.pending.pop(path, None)
        if not self.sampled:
            self.removed[path] = leaf.elements
            self.changed.set()

    def take(self) -> tuple[list[TelemetryLeaf], list[Elements]]:
        leaves, removed = list(self.pending.values()), list(self.removed.values())
        self.pending.clear()
        self.removed.clear()
        self.changed.clear()
        return leaves, removed


class TelemetryTree:
    """Path → value, with subscriptions."""

    def __init__(self) -> None:
        self._leaves: dict[str, TelemetryLeaf] = {}
        self._shelves: dict[Shape, Shelf] = {}
        self._watches: list[Watch] = []

    def update(self, path: str, value: JsonValue, at_ns: int | None = None) -> None:
        """Set one leaf, measured at `at_ns` (Unix time; now if None)."""
        leaf = self._leaves.get(path) or self._new(path)
        at_ns = time.time_ns() if at_ns is None else at_ns
        again = at_ns != leaf.at_ns
        changed = leaf.set(value, at_ns)
        if changed or again:
            for watch, whole in leaf.shelf.watches:
                if (changed or watch.sampled) and (whole or watch.wants(leaf.elements)):
                    watch.news(path, leaf)

    def _new(self, path: str) -> TelemetryLeaf:
        elements = parse_path(path)
        shape = tuple(e.name for e in elements)
        shelf = self._shelves.get(shape)
        if shelf is None:
            shelf = self._shelves[shape] = Shelf(elements)
            for watch in self._watches:
                _follow(watch, shelf)
        leaf = self._leaves[path] = shelf.leaves[path] = TelemetryLeaf(elements, shelf)
        return leaf

    def remove(self, path: str) -> None:
        """Forget a leaf, or every leaf below a path."""
        paths = [path] if path in self._leaves else [p for p in self._leaves if p.startswith((f"{path}/", f"{path}["))]
        for gone in paths:
            leaf = self._leaves.pop(gone)
            leaf.gone = True
            del leaf.shelf.leaves[gone]
            for watch, whole in leaf.shelf.watches:
                if whole or watch.wants(leaf.elements):
                    watch.removed_leaf(gone, leaf)

    def value(self, path: str) -> JsonValue:
        """Return the newest value; raises KeyError."""
        return self._leaves[path].value

    def select(self, patterns: Sequence[Elements]) -> list[TelemetryLeaf]:
        """Return every leaf that matches one of the patterns."""
        watch = Watch(patterns, sampled=False)
        for shelf in self._shelves.values():
            _join(watch, shelf)
        return watch.leaves()

    def watch(self, patterns: Sequence[Elements], sampled: bool = False) -> Watch:
        """Start to follow every present and future leaf that matches."""
        watch = Watch(patterns, sampled)
        self._watches.append(watch)
        for shelf in self._shelves.values():
            _follow(watch, shelf)
        return watch

    def unwatch(self, watch: Watch) -> None:
        self._watches.remove(watch)
        for shelf, whole in watch.shelves:
            shelf.watches.remove((watch, whole))


def _join(watch: Watch, shelf: Shelf) -> bool | None:
    """Have a watch look at a shelf if it wants any of it; say whether it wants the whole, None where nothing."""
    concerned = [p for p in watch.patterns if of_shape(p, shelf.elements)]
    if not concerned:
        return None
    whole = any(not with_keys(p) for p in concerned)
    watch.shelves.append((shelf, whole))
    return whole


def _follow(watch: Watch, shelf: Shelf) -> None:
    whole = _join(watch, shelf)
    if whole is not None:
        shelf.watches.append((watch, whole))


def notifications(leaves: Iterable[TelemetryLeaf], removed: Sequence[Elements] = ()) -> list[Any]:
    """Pack leaves into few gnmi.Notification: one per time of measurement, up to `UPDATES_PER_MESSAGE` leaves each."""
    by_time: dict[int, list[Any]] = {}
    for leaf in leaves:
        if not leaf.gone:
            by_time.setdefault(leaf.at_ns, []).append(leaf.message)
    packed = []
    if removed:
        packed.append(gnmi_pb2.Notification(timestamp=time.time_ns(), delete=[to_message(e) for e in removed]))
    packed += [
        gnmi_pb2.Notification(timestamp=at_ns, update=updates[start : start + UPDATES_PER_MESSAGE])
        for at_ns, updates in by_time.items()
        for start in range(0, len(updates), UPDATES_PER_MESSAGE)
    ]
    return packed
