"""Thousands of failures over thousands of services: what is plain is settled on arrays, the rest is left to `simulate`.

Plain is a slice on one pair of tunnels inside one domain, and a plane that follows its domain's routing without a
latency to keep. Whom a failure touches, who switches and who is cut comes from incidence arrays. What must then be
placed again is plain too where its rates together fit into the fullest link that is left: whatever ways the planner
would choose, they have room, so only whether there is a way, and how long it takes, is left to find out. Wherever that
is not sure the failure is followed in full; both come to the same, which a test holds them to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from controller.intent.model import Boundaries, DedicatedPlane, ExclusiveSlice, Protection, ServiceId
from controller.network.damage import Damage
from controller.planning.layers import Layers
from controller.simulation.rides import Carried, Ride, Talk

Indices = npt.NDArray[np.int64]


class Incidence:
    """Which items ride on a link: ragged rows, one per link."""

    def __init__(self, links: int, rows: Sequence[Iterable[int]]) -> None:
        """`rows`: the links of each item."""
        item = np.array([i for i, row in enumerate(rows) for _ in row], dtype=np.int64)
        link = np.array([k for row in rows for k in row], dtype=np.int64)
        order = np.argsort(link, kind="stable")
        self._items = item[order]
        self._first = np.searchsorted(link[order], np.arange(links + 1))

    def on(self, links: Iterable[int]) -> Indices:
        """Return the items on any of these links, ascending, each once."""
        found = [self._items[self._first[k] : self._first[k + 1]] for k in links]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Plain:
    """What a failure does to plain services; those of other kinds are not in it."""

    ends: tuple[ServiceId, ...] = ()
    replaced: tuple[tuple[ServiceId, float], ...] = ()  # with their delay in the end, seconds
    broken: tuple[tuple[ServiceId, int], ...] = ()  # with the pairs of ends that nothing joins any more
    switched: int = 0
    exposed: int = 0


@dataclass(slots=True)
class _Planes:
    names: list[ServiceId] = field(default_factory=list)
    rates: list[int] = field(default_factory=list)  # of all accesses together
    pairs: list[Iterable[int]] = field(default_factory=list)  # links of each pair's way
    of_pair: list[int] = field(default_factory=list)  # its plane
    ends: list[tuple[int, int]] = field(default_factory=list)


class Screen:
    """The plain services of one snapshot as arrays. `free`: bit/s that may still be held, by link."""

    def __init__(self, net: Layers, rides: dict[ServiceId, Ride], free: Indices) -> None:
        self._net, self._graph, self._links = net, net.ip.net, len(net.links)
        self._names: list[ServiceId] = []
        self._ends: list[tuple[int, int]] = []
        self._rate: list[int] = []
        self._budget: list[float] = []
        self._simple: list[bool] = []  # nothing but rate and latency decides where it may be placed again
        working: list[Iterable[int]] = []
        standby: list[Iterable[int]] = []
        self._planes = _Planes()
        self._at: dict[str, list[ServiceId]] = {}
        for sid, ride in rides.items():
            talk = ride.talks[0] if ride.talks else None
            if talk is not None and plain_slice(ride, talk):
                self._take_slice(sid, ride, talk, working, standby)
            elif talk is not None and plain_plane(ride):
                self._take_plane(sid, ride)
        self._working, self._standby = Incidence(self._links, working), Incidence(self._links, standby)
        self._guarded = np.array([bool(spare) for spare in standby], dtype=np.bool_)
        self._pairs = Incidence(self._links, self._planes.pairs)
        self._of_pair = np.array(self._planes.of_pair, dtype=np.int64)
        self._number = {sid: i for i, sid in enumerate(self._names)}
        self._plane_number = {sid: i for i, sid in enumerate(self._planes.names)}
        self.services = frozenset((*self._names, *self._planes.names))
        self._free = free
        self._scarce = np.argsort(free, kind="stable")

    def _take_slice(
        self, sid: ServiceId, ride: Ride, talk: Talk, working: list[Iterable[int]], standby: list[Iterable[int]]
    ) -> None:
        index, wanted = self._net.ip.node_index, ride.service
        assert isinstance(wanted, ExclusiveSlice)
        _, path, _ = ride.tunnels[talk.src, talk.dst][0]
        working.append(path)
        standby.append({i for listed in ride.tunnels.values() for _, _, spare in listed for i in spare or ()})
        self._names.append(sid)
        self._ends.append((index[talk.src], index[talk.dst]))
        self._rate.append(wanted.demands[0].rate_bps * (1 if wanted.protection is Protection.NONE else 2))
        self._budget.append(talk.budget_s if talk.budget_s is not None else np.inf)
        slo = wanted.slo
        bound = (slo.jitter_s, slo.loss_ratio, slo.most_hops, wanted.plane) != (None, None, None, None)
        company = wanted.diverse_from or wanted.together_with
        self._simple.append(not bound and not company and wanted.boundaries == Boundaries())
        for node in {talk.src, talk.dst}:
            self._at.setdefault(node, []).append(sid)

    def _take_plane(self, sid: ServiceId, ride: Ride) -> None:
        planes, index = self._planes, self._net.ip.node_index
        for talk, way in ride.before.items():
            planes.pairs.append(way.links)
            planes.of_pair.append(len(planes.names))
            planes.ends.append((index[talk.src], index[talk.dst]))
        planes.names.append(sid)
        planes.rates.append(sum(a.rate_bps for a in ride.placement.attachments))
        for node in {a.node for a in ride.placement.attachments}:
            self._at.setdefault(node, []).append(sid)

    def judge(self, damage: Damage, besides_bps: int = 0) -> Plain | None:
        """Return what becomes of the plain services; None where that is not sure.

        `besides_bps`: what others that are placed again at the same time may hold of one link.
        """
        dead = {sid for node in damage.nodes for sid in self._at.get(node, ())}
        hit, bare = self._working.on(damage.links), self._standby.on(damage.links)
        gone = {self._number[sid] for sid in dead if sid in self._number}
        if gone:
            out = np.fromiter(gone, dtype=np.int64)
            hit, bare = np.setdiff1d(hit, out, assume_unique=True), np.setdiff1d(bare, out)
        both = np.intersect1d(hit, bare, assume_unique=True)
        cut = np.union1d(both, hit[~self._guarded[hit]])
        pairs = self._pairs.on(damage.links)
        planes = np.unique(self._of_pair[pairs]) if len(pairs) else pairs
        lost = {self._plane_number[sid] for sid in dead if sid in self._plane_number}
        moved = [p for p in planes.tolist() if p not in lost]
        again = self._placed_again(damage, cut, moved, pairs, lost, besides_bps)
        if again is None:
            return None
        replaced, broken = again
        torn = sum(1 for sid, _ in broken if sid in self._plane_number)
        switched = len(hit) - len(cut) + len(moved) - torn
        return Plain(tuple(sorted(dead)), replaced, broken, switched, len(bare) - len(both))

    def _placed_again(
        self, damage: Damage, cut: Indices, moved: list[int], pairs: Indices, lost: set[int], besides_bps: int
    ) -> tuple[tuple[tuple[ServiceId, float], ...], tuple[tuple[ServiceId, int], ...]] | None:
        """Return what is placed again with its delay, and what nothing joins; None where it may not have a place."""
        numbers = cut.tolist()
        if not all(self._simple[i] for i in numbers):
            return None
        needed = besides_bps + sum(self._rate[i] for i in numbers) + sum(self._planes.rates[p] for p in moved)
        if needed and needed > self._least_free(damage):
            return None
        ends = [self._ends[i] for i in numbers]
        walks = [self._planes.ends[p] for p in pairs.tolist() if self._of_pair[p] not in lost]
        if not ends and not walks:
            return (), ()
        usable = self._net.up.copy()
        usable[list(damage.links)] = False
        sources = sorted({a for a, _ in ends} or {walks[0][0]})
        delays, _, _ = self._graph.tree(np.array(sources), usable)
        row = {source: i for i, source in enumerate(sources)}
        found = [(i, float(delays[row[a], z])) for (a, z), i in zip(ends, numbers, strict=True)]
        if any(np.isfinite(s) and s > self._budget[i] for i, s in found):
            return None
        replaced = tuple((self._names[i], s) for i, s in found if np.isfinite(s))
        broken = {self._names[i]: 1 for i, s in found if not np.isfinite(s)}
        reached = np.isfinite(delays[0])
        if not all(reached[a] and reached[z] for a, z in walks):
            broken |= self._torn(usable, pairs, lost)
        return replaced, tuple(sorted(broken.items()))

    def _torn(self, usable: npt.NDArray[np.bool_], pairs: Indices, lost: set[int]) -> dict[ServiceId, int]:
        """Return the planes of which pairs lie in different pieces of the network, and how many."""
        edges = (np.ones(int(usable.sum()), dtype=np.int8), (self._graph.src[usable], self._graph.dst[usable]))
        size = self._graph.nodes
        piece = connected_components(csr_array(edges, shape=(size, size)), directed=False)[1]
        found: dict[ServiceId, int] = {}
        for p in pairs.tolist():
            plane, (a, z) = int(self._of_pair[p]), self._planes.ends[p]
            if plane not in lost and piece[a] != piece[z]:
                found[self._planes.names[plane]] = found.get(self._planes.names[plane], 0) + 1
        return found

    def _least_free(self, damage: Damage) -> int:
        for i in self._scarce.tolist():
            if i not in damage.links and self._net.up[i]:
                return int(self._free[i])
        return 0


def plain_slice(ride: Ride, talk: Talk) -> bool:
    """Whether a slice is one pair of tunnels inside one domain, and nothing else may carry it."""
    if not isinstance(ride.service, ExclusiveSlice) or len(ride.talks) != 1 or talk.circuit is not None or ride.borders:
        return False
    if ride.service.window is not None:  # what is free for it is not what is free for good
        return False
    ends = {(talk.src, talk.dst), (talk.dst, talk.src)}
    if ride.tunnels.keys() != ends or not ride.drops >= ends or any(len(t) != 1 for t in ride.tunnels.values()):
        return False
    before, (_, _, spare) = ride.before[talk], ride.tunnels[talk.src, talk.dst][0]
    if before.how != "working" or before.cut:
        return False
    return spare is None or talk.budget_s is None or _delay(ride, talk) <= talk.budget_s


def _delay(ride: Ride, talk: Talk) -> float:
    standby = ride.tunnels[talk.src, talk.dst][0][0].standby
    return standby.delay_s if standby is not None else 0.0


def plain_plane(ride: Ride) -> bool:
    """Whether a plane goes where one domain's routing leads it, with no latency to keep."""
    if not isinstance(ride.service, DedicatedPlane) or ride.tunnels or ride.borders or ride.service.window is not None:
        return False
    if ride.service.boundaries != Boundaries() or ride.service.plane is not None:
        return False
    return all(t.budget_s is None and _calm(way) for t, way in ride.before.items())


def _calm(way: Carried) -> bool:
    return not way.cut and not way.shared
