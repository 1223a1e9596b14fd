"""Rows of different lengths in two arrays: the links of many paths, the risks of many links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Row i is `values[starts[i]:starts[i + 1]]`."""

    starts: Indices
    values: Indices

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Ragged:
        rows = list(rows)
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(r) for r in rows], out=starts[1:])
        return cls(starts, np.array([v for r in rows for v in r], dtype=np.int64))

    @classmethod
    def by(cls, keys: Indices, values: Indices, rows: int) -> Ragged:
        """Gather values by key 0..rows-1; inside a row they keep their order."""
        order = np.argsort(keys, kind="stable")
        starts = np.zeros(rows + 1, dtype=np.int64)
        np.cumsum(np.bincount(keys, minlength=rows), out=starts[1:])
        return cls(starts, values[order])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Indices:
        return self.values[self.starts[row] : self.starts[row + 1]]

    @property
    def lengths(self) -> Indices:
        return np.diff(self.starts)

    def rows(self) -> Indices:
        """Return, for every value, the row that it is in."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def take(self, rows: Indices) -> Ragged:
        """Return these rows, in this order."""
        begins = self.starts[rows]
        lengths = self.starts[rows + 1] - begins
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=starts[1:])
        at = np.arange(starts[-1]) - np.repeat(starts[:-1] - begins, lengths)
        return Ragged(starts, self.values[at])

    def turned(self, columns: int) -> Ragged:
        """Return the table the other way round: for every value the rows that have it, ascending."""
        return Ragged.by(self.values, self.rows(), columns)
