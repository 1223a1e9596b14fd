"""One thread that writes, so that many waiting writes share one fsync and the event loop never waits for a disk.

Jobs run in the order in which they were submitted, as many as are waiting in one SQLite transaction. A job that
fails, fails alone: the batch is rolled back and its jobs run again one by one. A lazy job wakes nobody; it travels
with the next durable one, or after a moment. If the disk refuses a lazy job, everything behind it is refused too
until it gets through: a later record on disk always means that all earlier ones are there.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from controller.errors import OnecityError, StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], Any]

_LINGER_S = 0.05  # how long a lazy write may wait for a durable one to travel with
_RETRY_S = 1.0  # pause before a lazy write that the disk refused is tried again
_BATCH = 256  # jobs in one SQLite transaction


@dataclass(slots=True)
class _Write:
    job: Job
    future: asyncio.Future[Any] | None  # None: lazy
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Give the waiter its answer; runs in the waiter's loop."""
        if self.future is None or self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """The only writer of the file. Owns the connection it is given from `start` to `close`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._backlog: list[_Write] = []  # lazy writes not yet on disk, oldest first; only the thread touches it
        self._closed = False
        self.commits = 0  # SQLite transactions so far, each one fsync
        self.on_commit: Callable[[float], None] | None = None  # told in the writer's thread how long each took, seconds
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run the job in the writer's thread and return its result once it is on disk.

        The job may run more than once (a failed batch is repeated), so it may only touch the connection.
        A cancelled waiter does not take the write back.
        """
        if self._closed:
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Write(job, future))
        return await future

    def write_soon(self, job: Job) -> None:
        """Run the job with the next durable write or after a moment; nobody waits for it. A crash may lose it."""
        if not self._closed:
            self._queue.put(_Write(job, None))

    def close(self) -> None:
        """Write what is waiting, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._next_batch()
            if batch:
                self._write_batch(batch)
        for write in self._backlog:
            log.error("a journal record was lost when the store closed: %s", write.error)

    def _next_batch(self) -> tuple[list[_Write], bool]:
        """Wait until a durable write is there, or lazy ones have lingered; take all that is waiting."""
        batch, self._backlog = self._backlog, []
        due = time.monotonic() + _RETRY_S if batch else None
        while True:
            try:
                item = self._queue.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            except queue.Empty:
                return batch, False
            if item is None:
                return batch, True
            batch.append(item)
            if item.future is not None:
                return self._drain(batch)
            due = due or time.monotonic() + _LINGER_S

    def _drain(self, batch: list[_Write]) -> tuple[list[_Write], bool]:
        while len(batch) < _BATCH:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

    def _write_batch(self, batch: list[_Write]) -> None:
        if not self._together(batch):
            self._one_by_one(batch)
        loops: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
        for write in batch:
            if write.future is not None:
                loops.setdefault(write.future.get_loop(), []).append(write)
        for loop, writes in loops.items():
            try:
                loop.call_soon_threadsafe(_settle_all, writes)
            except RuntimeError:  # the loop has ended; so have the waiters
                log.debug("%d writes finished after their event loop", len(writes))

    def _together(self, writes: list[_Write]) -> bool:
        """Run the writes in one SQLite transaction; False, with nothing kept, where any of them fails."""
        began = time.perf_counter()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for write in writes:
                write.result, write.error = write.job(self._connection), None
            self._connection.execute("COMMIT")
        except Exception as err:
            self._roll_back()
            writes[0].error = as_store_error(err)
            return False
        self.commits += 1
        if self.on_commit is not None:
            self.on_commit(time.perf_counter() - began)
        return True

    def _one_by_one(self, batch: list[_Write]) -> None:
        stuck: BaseException | None = None
        for write in batch:
            if stuck is None:
                if len(batch) == 1 or not self._together([write]):
                    stuck = self._judge(write)
            elif write.future is None:
                self._backlog.append(write)
            else:
                write.error = stuck

    def _judge(self, write: _Write) -> BaseException | None:
        """Decide what a write that failed alone means for those behind it."""
        if write.future is not None:
            return None  # its waiter hears of it; it was never promised
        if isinstance(write.error, StoreError):
            self._backlog.append(write)
            log.error("a journal record waits for the disk: %s", write.error)
            return write.error
        log.error("a lazy write failed and is dropped", exc_info=write.error)
        return None

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite has already rolled back where the disk was full
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as err:
                log.error("rollback failed: %s", err)


def _settle_all(writes: list[_Write]) -> None:
    for write in writes:
        write.settle()


def as_store_error(err: Exception) -> Exception:
    """Say in one sentence what SQLite met and what to do; errors that are ours already pass as they are."""
    if isinstance(err, OnecityError) or not isinstance(err, (sqlite3.Error, OSError)):
        return err
    text = str(err)
    if "full" in text:
        return StoreError(f"the store's disk is full ({text}): free some space; nothing of this change was kept")
    if "malformed" in text or "not a database" in text:
        return StoreError(f"the store is corrupt ({text}): stop the daemon and restore a backup")
    return StoreError(f"the store cannot be written ({text}); nothing of this change was kept")
