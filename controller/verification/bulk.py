"""Thousands of tunnels at once, on arrays: those that are sound are settled here, the rest is left to `bookings`.

Sound is a tunnel of which both paths lead from its source to its destination over links of its domain, without a loop
and without a link or shared risk in common, on a partition that covers them. Nothing is ever called broken here:
what is not plainly sound is looked at again one by one, which also finds the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, repeat

import numpy as np
import numpy.typing as npt

from controller.network.model import CityMap, PortRef
from controller.verification.facts import EvenRates, Tunnel
from controller.verification.forwarding import Forwarding
from controller.verification.limits import lost

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Took = list[float]  # delay s, jitter s, losses as −ln of what arrives, hops
AT_LEAST = 100  # tunnels; fewer are as quick one by one
AT_ONCE = 250  # so that memory is asked for what a few need, not all
MOST_BPS = 1 << 62  # arrays hold no more; a tunnel of more is looked at by itself
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
        # What adds up along a way, in columns: delay and jitter in seconds, losses as −ln of what arrives, hops.
        sums = [(k.delay_s, k.jitter_s, lost(k.loss_ratio), 1.0) for k in links]
        self.sums = np.array(sums, dtype=np.float64).reshape(len(links), 4)
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
        numbers = map(self.ports.get, map(id, chain.from_iterable(rows)), repeat(_NOBODY))
        self.links = np.fromiter(numbers, dtype=np.int64)
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
        arrays, links = self.arrays, self.links.clip(min=0)  # a row with an unknown link leads nowhere anyway
        counts = arrays.first[links + 1] - arrays.first[links]
        starts = np.repeat(arrays.first[links] - np.cumsum(counts) + counts, counts)
        shares = arrays.shares[starts + np.arange(len(starts))]
        row = np.repeat(self.row, counts)
        key = (row >> 1) * arrays.kinds + shares
        taken = np.zeros(len(self.tunnels) * arrays.kinds, dtype=np.bool_)
        taken[key[row & 1 == 0]] = True
        standby = key[row & 1 == 1]
        found = np.ones(len(self.tunnels), dtype=np.bool_)
        found[standby[taken[standby]] // arrays.kinds] = False
        return found

    def sums(self) -> npt.NDArray[np.float64]:
        """Return what each row comes to, as `Took`; of rows that lead nowhere it says nothing."""
        found, full = np.zeros((len(self.length), 4), dtype=np.float64), self.length > 0
        if len(self.links):
            found[full] = np.add.reduceat(self.arrays.sums[self.links], self.at[full])
        return found


def covered(paths: Paths, forwarding: Forwarding) -> Flags:
    """Say of each tunnel whether the partition that it draws from, if any, has its rate on every link of both paths."""
    model, index = forwarding.model, forwarding.city.link_index
    size, number = len(forwarding.city.links), dict[tuple[str, int], int]()
    keys: list[Indices] = []
    rates: list[Indices] = []
    for tunnel in paths.tunnels:
        if tunnel.partition is None or (tunnel.domain, tunnel.partition) in number:
            continue
        mine = number[tunnel.domain, tunnel.partition] = len(number)
        names = model.owners("nrp-id", tunnel.domain, str(tunnel.partition))
        partition = model.partitions.get((tunnel.domain, names[0])) if names else None
        given = partition.rates if partition is not None else {}
        keys.append(mine * (size + 1) + np.fromiter(map(index.get, given, repeat(size)), np.int64, len(given)))
        if isinstance(given, EvenRates):
            rates.append(np.full(len(given), min(given.rate_bps, MOST_BPS)))
        else:
            rates.append(np.fromiter((min(rate, MOST_BPS) for rate in given.values()), np.int64, len(given)))
    found = np.ones(len(paths.tunnels), dtype=np.bool_)
    draws = np.array([number.get((t.domain, t.partition or 0), _NOBODY) if t.partition is not None else _NOBODY
                      for t in paths.tunnels], dtype=np.int64)  # fmt: skip
    table = np.zeros(len(number) * (size + 1), dtype=np.int64)
    if keys:
        table[np.concatenate(keys)] = np.concatenate(rates)
    owner = paths.row >> 1
    needed = np.array([min(t.rate_bps, MOST_BPS + 1) for t in paths.tunnels], dtype=np.int64)[owner]
    asked = np.where(draws[owner] >= 0, draws[owner] * (size + 1) + paths.links, 0)
    lacking = (draws[owner] >= 0) & (table[asked] < needed) if keys else draws[owner] >= 0
    found[owner[lacking]] = False
    return found


def sound_tunnels(tunnels: Sequence[Tunnel], forwarding: Forwarding) -> dict[int, tuple[Took, Took]]:
    """Return the tunnels of which nothing is wrong, by identity; of the others it is not sure.

    With each what its working path comes to, and its standby, zeros where there is none.
    """
    arrays = forwarding.interior.arrays
    if not isinstance(arrays, LinkArrays):
        arrays = forwarding.interior.arrays = LinkArrays(forwarding.city)
    ports = {id(port): arrays.number[port] for port in forwarding.model.ports.every() if port in arrays.number}
    parts = (tunnels[at : at + AT_ONCE] for at in range(0, len(tunnels), AT_ONCE))
    return {tunnel: took for part in parts for tunnel, took in _sound(Paths(part, arrays, ports), forwarding)}


def _sound(paths: Paths, forwarding: Forwarding) -> Iterable[tuple[int, tuple[Took, Took]]]:
    tunnels = paths.tunnels
    if not len(paths.links):
        return ()
    leading, took = paths.leading(), paths.sums().tolist()
    used = np.array([not t.spare and not t.gives_way and not t.idle_ms for t in tunnels])
    apart = leading[::2] & leading[1::2] & paths.apart() & used
    forwarding.apart |= {id(tunnels[i]) for i in np.flatnonzero(apart).tolist()}
    forwarding.steps += int(paths.length.sum())
    sound = np.flatnonzero(apart & covered(paths, forwarding)).tolist()
    return [(id(tunnels[i]), (took[2 * i], took[2 * i + 1])) for i in sound]
