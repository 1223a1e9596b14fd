"""Many demands at once, and what became of them: one array per property, a position per demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.planning.engine.network import Apart, Floats, Mask
from controller.planning.engine.ragged import Indices, Ragged

ANY_HOPS = 1 << 30


class Fate(IntEnum):
    """What became of a demand."""

    UNDECIDED = -1
    PLACED = 0
    NO_WAY = 1  # nothing that may be used joins the two ends, whatever is free
    NO_PAIR = 2  # nothing joins them twice, whatever is free
    LATE = 3  # every way takes more than was asked (delay, hops or loss)
    FULL = 4  # a way would serve if something on it were free


@dataclass(frozen=True, slots=True)
class Demands:
    """Traffic from node to node. Lower rank goes first; `fence` is the row of the masks that says what may be used."""

    src: Indices
    dst: Indices
    rate_bps: Indices
    budget_s: Floats  # inf: any
    hops: Indices
    loss_ratio: Floats  # 1: any
    first: Indices  # periods first..last-1 of the room
    last: Indices
    rank: Indices
    apart: Indices  # of a second way, by `Apart`; 0: no second way
    fence: Indices

    @classmethod
    def of(cls, src: npt.ArrayLike, dst: npt.ArrayLike, rate_bps: npt.ArrayLike, **more: npt.ArrayLike) -> Demands:
        """Fill in what is not given: no limit, the first period, one rank, no second way, the first mask.

        A single number stands for all demands.
        """
        size = len(np.asarray(src))
        plain: dict[str, npt.ArrayLike] = {
            "budget_s": np.inf, "hops": ANY_HOPS, "loss_ratio": 1.0, "first": 0, "last": 1, "rank": 0,
            "apart": int(Apart.NOTHING), "fence": 0,
        }  # fmt: skip
        given = {"src": src, "dst": dst, "rate_bps": rate_bps} | plain | more
        return cls._from({name: np.broadcast_to(np.asarray(given[name]), (size,)) for name in given})

    @classmethod
    def _from(cls, columns: Mapping[str, npt.NDArray[Any]]) -> Demands:
        floats = {"budget_s", "loss_ratio"}
        exact: dict[str, Any] = {
            f.name: columns[f.name].astype(np.float64 if f.name in floats else np.int64) for f in fields(cls)
        }
        return cls(**exact)

    def __len__(self) -> int:
        return len(self.src)

    def take(self, rows: Indices) -> Demands:
        return Demands._from({f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Answers:
    """By demand: its fate, and the links of its ways (empty where it has none)."""

    fate: Indices
    working: Ragged
    standby: Ragged

    @property
    def placed(self) -> Mask:
        found: Mask = self.fate == Fate.PLACED
        return found
