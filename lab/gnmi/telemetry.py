"""The newest value of every measured leaf, and who wants to hear of changes.

A reader that is slower than the writer loses intermediate values, never the newest one, and costs no memory:
what is pending is a set of leaves, not a queue of updates. All calls from one event loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from pygnmi.spec.v080 import gnmi_pb2

from lab.gnmi.paths import Elements, JsonValue, any_match, parse_path, to_message

UPDATES_PER_MESSAGE = 500  # a reader takes each in a few milliseconds, and does other work in between


class TelemetryLeaf:
    """One path with its newest value, ready to be put on the wire."""

    __slots__ = ("at_ns", "elements", "message", "value")

    def __init__(self, elements: Elements) -> None:
        self.elements = elements
        self.message = gnmi_pb2.Update(path=to_message(elements))
        self.value: JsonValue = None
        self.at_ns = 0

    def set(self, value: JsonValue, at_ns: int) -> bool:
        """Take a value; True if it differs from the one before."""
        changed = value != self.value or not self.at_ns
        self.at_ns = at_ns
        if changed:
            self.value = value
            self.message.val.json_ietf_val = json.dumps(value, separators=(",", ":")).encode()
        return changed


class Watch:
    """The leaves of one subscription; unless sampled, also those it has still to be told of (`changed` is set)."""

    def __init__(self, patterns: Sequence[Elements], sampled: bool) -> None:
        self.patterns = tuple(patterns)
        self.sampled = sampled
        self.members: dict[str, TelemetryLeaf] = {}
        self.pending: dict[str, TelemetryLeaf] = {}
        self.removed: dict[str, Elements] = {}
        self.changed = asyncio.Event()

    def wants(self, elements: Elements) -> bool:
        return any_match(self.patterns, elements)

    def changed_leaf(self, path: str, leaf: TelemetryLeaf) -> None:
        if not self.sampled:
            self.pending[path] = leaf
            self.removed.pop(path, None)
            self.changed.set()

    def removed_leaf(self, path: str, leaf: TelemetryLeaf) -> None:
        self.members.pop(path, None)
        if not self.sampled:
            self.pending.pop(path, None)
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
        self._watches: list[Watch] = []
        self._listeners: dict[str, tuple[Watch, ...]] = {}  # per leaf, so that an update matches no patterns

    def update(self, path: str, value: JsonValue, at_ns: int | None = None) -> None:
        """Set one leaf, measured at `at_ns` (Unix time; now if None)."""
        leaf = self._leaves.get(path)
        if leaf is None:
            leaf = self._leaves[path] = TelemetryLeaf(parse_path(path))
            self._listeners[path] = listeners = tuple(w for w in self._watches if w.wants(leaf.elements))
            for watch in listeners:
                watch.members[path] = leaf
        if leaf.set(value, time.time_ns() if at_ns is None else at_ns):
            for watch in self._listeners[path]:
                watch.changed_leaf(path, leaf)

    def remove(self, path: str) -> None:
        """Forget a leaf, or every leaf below a path."""
        paths = [path] if path in self._leaves else [p for p in self._leaves if p.startswith((f"{path}/", f"{path}["))]
        for gone in paths:
            leaf = self._leaves.pop(gone)
            for watch in self._listeners.pop(gone):
                watch.removed_leaf(gone, leaf)

    def value(self, path: str) -> JsonValue:
        """Return the newest value; raises KeyError."""
        return self._leaves[path].value

    def select(self, patterns: Sequence[Elements]) -> list[TelemetryLeaf]:
        return [leaf for leaf in self._leaves.values() if any_match(patterns, leaf.elements)]

    def watch(self, patterns: Sequence[Elements], sampled: bool = False) -> Watch:
        """Start to follow every present and future leaf that matches."""
        watch = Watch(patterns, sampled)
        self._watches.append(watch)
        for path, leaf in self._leaves.items():
            if watch.wants(leaf.elements):
                watch.members[path] = leaf
                self._listeners[path] = (*self._listeners[path], watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        self._watches.remove(watch)
        for path, listeners in self._listeners.items():
            if watch in listeners:
                self._listeners[path] = tuple(w for w in listeners if w is not watch)


def notifications(leaves: Iterable[TelemetryLeaf], removed: Sequence[Elements] = ()) -> list[Any]:
    """Pack leaves into few gnmi.Notification: one per time of measurement, up to `UPDATES_PER_MESSAGE` leaves each."""
    by_time: dict[int, list[Any]] = {}
    for leaf in leaves:
        by_time.setdefault(leaf.at_ns, []).append(leaf.message)
    packed = [
        gnmi_pb2.Notification(timestamp=at_ns, update=updates[start : start + UPDATES_PER_MESSAGE])
        for at_ns, updates in by_time.items()
        for start in range(0, len(updates), UPDATES_PER_MESSAGE)
    ]
    if removed:
        packed.append(gnmi_pb2.Notification(timestamp=time.time_ns(), delete=[to_message(e) for e in removed]))
    return packed
