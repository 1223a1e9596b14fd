"""What survives the process: a snapshot, and a log of what changed since, one synced record a commit.

A record is its length, its checksum and a pickle of plain dicts, tuples and texts; a torn last record is what a
kill left behind and is cut off. The directory is private to the device, so what is unpickled is what it wrote.
"""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from lab.netconf.data import Data, Delta, patched

_HEADER = struct.Struct("<II")
COMPACT_BYTES = 16 * 2**20  # a log longer than this, and than the snapshot, is folded into a new snapshot


@dataclass(frozen=True, slots=True)
class Pending:
    """A confirmed commit that waits: what to go back to, and when."""

    before: Data
    deadline: float  # Unix time
    persist: str | None  # None: dies with its session
    session: int


@dataclass(frozen=True, slots=True)
class Saved:
    """What a device knows after a restart."""

    running: Data
    pending: Pending | None


@dataclass(frozen=True, slots=True)
class Record:
    """One step: running moves by `change`, and `pending` stands from then on.

    `opens`: the confirmed commit goes back to what was running before this record, not to what it went back to.
    """

    change: Delta
    deadline: float | None  # None: nothing is pending any more
    persist: str | None
    opens: bool


class Journal:
    """The files of one datastore. Not shared between processes."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._generation = 0
        self._log: int | None = None
        self._log_bytes = self._snapshot_bytes = 0

    def load(self, first: Data) -> Saved:
        """Read what was saved, and open the log for more. `first`: what ran before the first record."""
        snapshots = sorted(self._directory.glob("snapshot-*"), key=lambda p: int(p.name.rpartition("-")[2]))
        saved = Saved(first, None)
        if snapshots:
            self._generation = int(snapshots[-1].name.rpartition("-")[2])
            content = snapshots[-1].read_bytes()
            self._snapshot_bytes = len(content)
            saved = pickle.loads(content)
        path = self._directory / f"log-{self._generation}"
        self._log = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._sync_directory()
        content = path.read_bytes()
        records, self._log_bytes = _records(content)
        if self._log_bytes < len(content):
            os.ftruncate(self._log, self._log_bytes)
        os.lseek(self._log, self._log_bytes, os.SEEK_SET)
        for record in records:
            saved = _applied(saved, record)
        return saved

    def append(self, record: Record) -> None:
        """Write one step; it is on disk when this returns. Raises OSError, and then the step was never written."""
        assert self._log is not None
        payload = pickle.dumps(record, protocol=pickle.HIGHEST_PROTOCOL)
        content = _HEADER.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            written = 0
            while written < len(content):
                written += os.write(self._log, content[written:])
            os.fdatasync(self._log)
        except OSError:
            os.ftruncate(self._log, self._log_bytes)
            os.lseek(self._log, self._log_bytes, os.SEEK_SET)
            raise
        self._log_bytes += len(content)

    def is_long(self) -> bool:
        return self._log_bytes > max(COMPACT_BYTES, 2 * self._snapshot_bytes)

    def compact(self, saved: Saved) -> None:
        """Start a new generation that begins with this snapshot."""
        old, self._generation = self._generation, self._generation + 1
        target = self._directory / f"snapshot-{self._generation}"
        partial = self._directory / "partial"
        content = pickle.dumps(saved, protocol=pickle.HIGHEST_PROTOCOL)
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        log = os.open(self._directory / f"log-{self._generation}", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        partial.rename(target)
        self._sync_directory()
        self.close()
        self._log, self._log_bytes, self._snapshot_bytes = log, 0, len(content)
        for name in (f"snapshot-{old}", f"log-{old}"):
            (self._directory / name).unlink(missing_ok=True)

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None


def _records(content: bytes) -> tuple[list[Record], int]:
    """Return the whole records of a log and where they end."""
    records, position = [], 0
    while position + _HEADER.size <= len(content):
        length, checksum = _HEADER.unpack_from(content, position)
        payload = content[position + _HEADER.size : position + _HEADER.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            break
        records.append(pickle.loads(payload))
        position += _HEADER.size + length
    return records, position


def _applied(saved: Saved, record: Record) -> Saved:
    running = patched(saved.running, record.change)
    if record.deadline is None:
        return Saved(running, None)
    if record.opens or saved.pending is None:
        return Saved(running, Pending(saved.running, record.deadline, record.persist, 0))
    return Saved(running, replace(saved.pending, deadline=record.deadline, persist=record.persist))
