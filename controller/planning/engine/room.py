"""What is free on every link over time, and who of many may have it.

Time is cut where anything begins or ends, so that inside a period nothing changes. A demand that lasts over several
periods needs its rate in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from controller.planning.engine.network import Mask, Network
from controller.planning.engine.ragged import Indices, Ragged

Rates = npt.NDArray[np.int64]


@dataclass(slots=True)
class Room:
    """`free`: bit/s by period and link, changed in place. `both_ways`: what is held counts on the reverse link too."""

    net: Network
    free: Rates
    both_ways: bool = True

    @classmethod
    def of(cls, net: Network, free: Rates, *, both_ways: bool = True) -> Room:
        """Take what is free on every link, in one period or by period; the room is a copy of its own."""
        return cls(net, np.array(np.atleast_2d(free), dtype=np.int64, order="C"), both_ways)

    def least(self, first: int, last: int) -> Rates:
        """Return what may be had of each link throughout periods first..last-1."""
        free: Rates = self.free[first] if last == first + 1 else self.free[first:last].min(axis=0)
        if self.both_ways:
            back = self.net.reverse
            free = np.where(back >= 0, np.minimum(free, free[back]), free)
        return free

    def hold(self, links: Indices, rate_bps: int, first: int, last: int) -> None:
        """Take (or with a negative rate give back) a rate on links of which none comes twice."""
        self.free[first:last, self._both(links)] -= rate_bps

    def fits(self, links: Indices, rate_bps: int, first: int, last: int) -> bool:
        return bool((self.free[first:last, self._both(links)] >= rate_bps).all())

    def _both(self, links: Indices) -> Indices:
        if not self.both_ways:
            return links
        back = self.net.reverse[links]
        return np.concatenate((links, back[back >= 0]))

    def usable(self, rate_bps: int, first: int, last: int) -> Mask:
        usable: Mask = self.least(first, last) >= rate_bps
        return usable

    def admit(self, links: Ragged, rate_bps: Rates, first: Indices, last: Indices) -> Mask:
        """Hold what each row asks on its links, in the order of the rows, where it fits; return who was admitted.

        The same as asking one after the other. In each round a row is in for good if it fits with all rows before
        it, and out for good if it would not even fit after those that are in; the first that is left is always one
        or the other. A row that is in left room for all before it, so nobody is overtaken.
        """
        who, what = self.claims(links, first, last)
        free = self.free.reshape(-1)
        admitted: Mask = links.lengths == 0
        open_ = np.ones(len(links), dtype=np.bool_)
        order = np.lexsort((who, what))
        who, what = who[order], what[order]
        rate = rate_bps[who]
        while len(who):
            before = np.cumsum(rate)
            start = np.flatnonzero(np.concatenate(([True], what[1:] != what[:-1])))
            sizes = np.diff(np.append(start, len(what)))
            total = before - np.repeat(before[start] - rate[start], sizes)
            sure = open_.copy()
            sure[who[total > free[what]]] = False
            inside = sure[who]
            np.subtract.at(free, what[inside], rate[inside])
            admitted |= sure
            open_ &= ~sure
            open_[who[open_[who] & (rate > free[what])]] = False
            left = open_[who]
            who, what, rate = who[left], what[left], rate[left]
        return admitted

    def claims(self, links: Ragged, first: Indices, last: Indices) -> tuple[Indices, Indices]:
        """Return (row, what it takes): each of its links, in both directions, in each of its periods."""
        who, what = links.rows(), links.values
        if self.both_ways:
            back = self.net.reverse[what]
            who, what = np.concatenate((who, who[back >= 0])), np.concatenate((what, back[back >= 0]))
        if len(self.free) == 1:
            return who, what
        periods = (last - first)[who]
        row = np.repeat(np.arange(len(who)), periods)
        step = np.arange(len(row)) - np.repeat(np.cumsum(periods) - periods, periods)
        return who[row], (first[who[row]] + step) * self.net.links + what[row]
