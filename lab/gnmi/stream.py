"""One STREAM subscription: when its leaves are due, and what goes first.

Values are put into messages only when the reader takes the next one: nothing that waits grows old, and no older value
can overtake a newer one. News goes before samples, and both before what stood when the reader came: a hundred thousand
leaves take it a second, in which it must not fall behind with everything else.

A sample is taken once in each interval, as soon as something was measured in it. To look at fixed times instead would
tell every value a part of an interval late, by chance up to the whole.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import Any

from pygnmi.spec.v080 import gnmi_pb2

from lab.gnmi.paths import Elements, from_messages
from lab.gnmi.telemetry import UPDATES_PER_MESSAGE, TelemetryLeaf, TelemetryTree, Watch, notifications

SHORTEST_SAMPLE_S = 0.1
BATCH_DELAY_S = 0.01  # after news for so long further changes gather and then travel together


class _Lane:
    """Leaves that wait to be told, in the order in which they came; each once."""

    def __init__(self, leaves: Iterable[TelemetryLeaf] = ()) -> None:
        self._coming = dict.fromkeys(leaves)
        self._going = iter(self._coming)
        self._coming = {}

    def add(self, leaves: Iterable[TelemetryLeaf]) -> None:
        self._coming.update(dict.fromkeys(leaves))

    def take(self, most: int) -> list[TelemetryLeaf]:
        """Return the next few; empty where nothing waits."""
        found = list(islice(self._going, most))
        if not found and self._coming:
            self._going, self._coming = iter(self._coming), {}
            found = list(islice(self._going, most))
        return found


class Stream:
    """What one reader asked for. Iterate over `responses`; `close` ends what it began."""

    def __init__(self, tree: TelemetryTree, wanted: Any) -> None:
        """wanted: a gnmi.SubscriptionList of mode STREAM."""
        self._tree, self._wanted = tree, wanted
        self._news, self._samples = _Lane(), _Lane()
        self._removed: list[Elements] = []
        self._waiting = asyncio.Event()
        self._watches: list[Watch] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def responses(self) -> AsyncIterator[Any]:
        """Yield gnmi.SubscribeResponse for ever: what stands, sync_response, and all along what is new."""
        patterns = [self._pattern(s) for s in self._wanted.subscription]
        standing = [] if self._wanted.updates_only else self._tree.select(patterns)
        self._begin()
        # Oldest first, so that few messages hold values of the same time of measurement.
        present, synced = _Lane(sorted(standing, key=lambda leaf: leaf.at_ns)), False
        while True:
            self._waiting.clear()
            removed, self._removed = self._removed, []
            leaves = self._news.take(UPDATES_PER_MESSAGE)
            if not leaves and not removed:
                leaves = self._samples.take(UPDATES_PER_MESSAGE) or present.take(UPDATES_PER_MESSAGE)
            for notification in notifications(leaves, removed):
                yield gnmi_pb2.SubscribeResponse(update=notification)
            if leaves or removed:
                continue
            if not synced:
                synced = True
                yield gnmi_pb2.SubscribeResponse(sync_response=True)
            await self._waiting.wait()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for watch in self._watches:
            self._tree.unwatch(watch)

    def _pattern(self, subscription: Any) -> Elements:
        return from_messages(self._wanted.prefix, subscription.path)

    def _begin(self) -> None:
        on_change = [s for s in self._wanted.subscription if s.mode != gnmi_pb2.SAMPLE]
        watch = self._watch([self._pattern(s) for s in on_change])
        self._tasks.append(asyncio.create_task(self._changes(watch)))
        beats = [s.heartbeat_interval / 1e9 for s in on_change if s.heartbeat_interval]
        if beats:
            self._tasks.append(asyncio.create_task(self._heartbeats(max(min(beats), SHORTEST_SAMPLE_S), watch)))
        for s in self._wanted.subscription:
            if s.mode == gnmi_pb2.SAMPLE:
                interval_s = max(s.sample_interval / 1e9, SHORTEST_SAMPLE_S) if s.sample_interval else 1.0
                watch = self._watch([self._pattern(s)], sampled=True)
                self._tasks.append(asyncio.create_task(self._sample(interval_s, watch, s.suppress_redundant)))

    def _watch(self, patterns: Sequence[Elements], *, sampled: bool = False) -> Watch:
        self._watches.append(self._tree.watch(patterns, sampled))
        return self._watches[-1]

    async def _changes(self, watch: Watch) -> None:
        while True:
            await watch.changed.wait()
            leaves, removed = watch.take()
            self._news.add(leaves)
            self._removed += removed
            self._waiting.set()
            await asyncio.sleep(BATCH_DELAY_S)

    async def _heartbeats(self, pause_s: float, watch: Watch) -> None:
        """Tell again, now and then, what has not changed: who hears nothing cannot know that it still holds."""
        while True:
            await asyncio.sleep(pause_s)
            self._samples.add(watch.leaves())
            self._waiting.set()

    async def _sample(self, interval_s: float, watch: Watch, only_news: bool) -> None:
        """Once in each interval tell what was measured since the last time; all that stands, unless only news."""
        loop = asyncio.get_running_loop()
        began = next_s = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(None if only_news else next_s + interval_s):
                    await watch.changed.wait()
                await asyncio.sleep(max(0.0, next_s - loop.time()))
            except TimeoutError:
                pass
            next_s = began + interval_s * (math.floor((loop.time() - began) / interval_s) + 1)
            leaves, _ = watch.take()
            self._samples.add(leaves if only_news else watch.leaves())
            self._waiting.set()
