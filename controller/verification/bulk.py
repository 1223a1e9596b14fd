"""Thousands of tunnels at once, on arrays: those that are sound are settled here, the rest is left to `bookings`.

Sound is a tunnel of which both paths lead from its source to its destination over links of its domain, without a loop
and without a link or shared risk in common, on a partition that covers them. Nothing is ever called broken here:
what is not plainly sound is looked at again one by one, which also finds the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from controller.network.model import CityMap, PortRef
from controller.verification.facts import Tunnel
from controller.verification.forwarding import Forwarding, Trail

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
AT_LEAST = 100  # tunnels; fewer are as quick one by one
AT_ONCE = 1000  # so that memory is asked for what a few need, not all
_NOBODY = -1


class LinkArrays:
    """The directed links of one map as arrays, in its order."""

    def __init__(self, city: CityMap) -> None:
        links = city.links
        self.number: dict[PortRef, int] = {link.src: i for i, link in enumerate(links)}
        ends = dict.fromkeys(n for link in links for n in (link.src.node, link.dst.node))
        self.node = {node: i for i, node in enumerate(ends)}
        self.domain = {domain: i for i, domain in enumerate(city.domains)}
        self.src = np.array([self.node[k.src.node] for k in links], dtype=np.int64)
        self.dst = np.array([self.node[k.dst.node] for k in links], dtype=np.int64)
        self.of_domain = np.array([self.domain.get(k.domain or "", _NOBODY) for k in links], dtype=np.int64)
        self.delay_s = np.array([k.delay_s for k in links], dtype=np.float64)
        risks = {risk: i for i, risk in enumerate(sorted({r for k in links for r in k.srlgs}))}
        # What a link shares with others: itself, and its risks.
        shared = [[len(risks) + i, *(risks[r] for r in k.srlgs)] for i, k in enumerate(links)]
        self.kinds = len(risks) + len(links)
        self.shares = np.array([s for row in shared for s in row], dtype=np.int64)
        self.first = np.array([0, *accumulate(len(row) for row in shared)], dtype=np.int64)


@dataclass(slots=True)
class Paths:
    """Explicit paths as ragged rows of link numbers: two for each tunnel, working and standby."""

    tunnels: Sequence[Tunnel]
    arrays: LinkArrays
    ports: dict[int, int]  # identity of a port → the link that leaves through it
    links: Indices = field(init=False)
    row: Indices = field(init=False)
    length: Indices = field(init=False)
    at: Indices = field(init=False)  # where each row starts

    def __post_init__(self) -> None:
        rows = [hops for t in self.tunnels for hops in (t.working, t.standby or ())]
        known = self.ports.get
        self.links = np.fromiter((known(id(hop), _NOBODY) for hops in rows for hop in hops), dtype=np.int64)
        self.length = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        self.row = np.repeat(np.arange(len(rows)), self.length)
        self.at = np.concatenate(([0], np.cumsum(self.length)[:-1]))

    def leading(self) -> Flags:
        """Say of each row whether it leads where its tunnel does, inside the domain, visiting no node twice."""
        arrays, count = self.arrays, len(self.length)
        good = np.repeat(np.array([t.standby is None for t in self.tunnels]), 2)
        good[::2] = False  # an empty standby is none at all; an empty working path leads nowhere
        full = self.length > 0
        unknown = np.zeros(count, dtype=np.bool_)
        unknown[self.row[self.links < 0]] = True
        src, dst = arrays.src[self.links], arrays.dst[self.links]
        torn = np.zeros(count, dtype=np.bool_)
        inner = self.row[1:] == self.row[:-1]
        torn[self.row[1:][inner & (dst[:-1] != src[1:])]] = True
        of = [(arrays.node.get(t.src, _NOBODY), arrays.node.get(t.dst, _NOBODY)) for t in self.tunnels]
        ends = np.repeat(np.array(of, dtype=np.int64), 2, axis=0)
        homes = np.array([arrays.domain.get(t.domain, -2) for t in self.tunnels], dtype=np.int64)
        torn[self.row[arrays.of_domain[self.links] != np.repeat(homes, 2)[self.row]]] = True
        starts, stops = self.at[full], self.at[full] + self.length[full] - 1
        torn[full] |= (src[starts] != ends[full, 0]) | (dst[stops] != ends[full, 1])
        size = len(arrays.node)
        visited = np.sort(np.concatenate((self.row * size + dst, np.flatnonzero(full) * size + src[starts])))
        torn[visited[1:][visited[1:] == visited[:-1]] // size] = True
        return np.where(full, ~(unknown | torn), good)

    def apart(self) -> Flags:
        """Say of each tunnel whether its two paths have neither a link nor a risk in common."""
        arrays = self.arrays
        counts = arrays.first[self.links + 1] - arrays.first[self.links]
        starts = np.repeat(arrays.first[self.links] - np.cumsum(counts) + counts, counts)
        shares = arrays.shares[starts + np.arange(len(starts))]
        row = np.repeat(self.row, counts)
        key = (row >> 1) * arrays.kinds + shares
        both = np.intersect1d(np.unique(key[row & 1 == 0]), np.unique(key[row & 1 == 1]), assume_unique=True)
        found = np.ones(len(self.tunnels), dtype=np.bool_)
        found[both // arrays.kinds] = False
        return found

    def trails(self, forwarding: Forwarding, good: Flags) -> None:
        """Let forwarding know what the good rows come to."""
        city, known = forwarding.city.links, self.links.tolist()
        ends = [link.dst.node for link in city]
        whole = np.flatnonzero(good & (self.length > 0))
        delays = np.concatenate(([0.0], np.cumsum(self.arrays.delay_s[self.links])))
        took = delays[self.at[whole] + self.length[whole]] - delays[self.at[whole]]
        rows = zip(whole.tolist(), self.at[whole].tolist(), self.length[whole].tolist(), took.tolist(), strict=True)
        for row, first, length, delay in rows:
            tunnel = self.tunnels[row >> 1]
            hops = tunnel.standby if row & 1 else tunnel.working
            assert hops is not None
            over = known[first : first + length]
            forwarding.remember(hops, Trail(tuple([city[i] for i in over]), tuple([ends[i] for i in over]), delay))


def covered(paths: Paths, forwarding: Forwarding) -> Flags:
    """Say of each tunnel whether the partition that it draws from, if any, has its rate on every link of both paths."""
    model, index = forwarding.model, forwarding.city.link_index
    size, number = len(forwarding.city.links), dict[tuple[str, int], int]()
    keys: list[int] = []
    rates: list[int] = []
    for tunnel in paths.tunnels:
        if tunnel.partition is None or (tunnel.domain, tunnel.partition) in number:
            continue
        mine = number[tunnel.domain, tunnel.partition] = len(number)
        names = model.owners("nrp-id", tunnel.domain, str(tunnel.partition))
        partition = model.partitions.get((tunnel.domain, names[0])) if names else None
        for link, rate in partition.rates.items() if partition is not None else ():
            keys.append(mine * size + index.get(link, size))
            rates.append(rate)
    found = np.ones(len(paths.tunnels), dtype=np.bool_)
    draws = np.array([number.get((t.domain, t.partition or 0), _NOBODY) if t.partition is not None else _NOBODY
                      for t in paths.tunnels], dtype=np.int64)  # fmt: skip
    order = np.argsort(keys, kind="stable")
    table, given = np.append(np.array(keys, dtype=np.int64)[order], -1), np.append(np.array(rates)[order], 0)
    owner = paths.row >> 1
    asked = draws[owner] * size + paths.links
    place = np.searchsorted(table[:-1], asked).clip(max=len(table) - 1)
    needed = np.array([t.rate_bps for t in paths.tunnels], dtype=np.int64)[owner]
    lacking = (draws[owner] >= 0) & ((table[place] != asked) | (given[place] < needed))
    found[owner[lacking]] = False
    return found


def sound_tunnels(tunnels: Sequence[Tunnel], forwarding: Forwarding) -> frozenset[int]:
    """Return the identities of the tunnels of which nothing is wrong; of the others it is not sure."""
    arrays = forwarding.interior.arrays
    if not isinstance(arrays, LinkArrays):
        arrays = forwarding.interior.arrays = LinkArrays(forwarding.city)
    ports = {id(port): arrays.number[port] for port in forwarding.model.ports.every() if port in arrays.number}
    parts = (tunnels[at : at + AT_ONCE] for at in range(0, len(tunnels), AT_ONCE))
    return frozenset().union(*(_sound(Paths(part, arrays, ports), forwarding) for part in parts))


def _sound(paths: Paths, forwarding: Forwarding) -> frozenset[int]:
    tunnels = paths.tunnels
    if not len(paths.links):
        return frozenset()
    leading = paths.leading()
    paths.trails(forwarding, leading)
    both = leading[::2] & leading[1::2]
    apart = paths.apart()
    forwarding.apart |= {id(t) for t, fine in zip(tunnels, (both & apart).tolist(), strict=True) if fine}
    sound = both & apart & covered(paths, forwarding)
    forwarding.steps += int(paths.length.sum())
    return frozenset(id(t) for t, fine in zip(tunnels, sound.tolist(), strict=True) if fine)
