"""The cheapest way under limits that add up along it: delay, loss, hops.

Most ways keep to their limits anyway, so the unlimited one is tried first. Where it does not, labels are set per
node in the order of their cost (Hansen 1980); one that another beats in everything, or that cannot keep to a limit
whatever follows, is dropped. Exact up to a number of labels; beyond it the way that spares the tightest limit is
given where that one serves.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from controller.planning.engine.network import TIE_S, Floats, Mask, Network, Path

MOST_LABELS = 50_000
_SLACK = 1e-12  # sums of the same numbers in another order


@dataclass(frozen=True, slots=True)
class Limits:
    """What a way may add up to. None: anything."""

    delay_s: float | None = None
    hops: int | None = None
    loss_ratio: float | None = None


NO_LIMITS = Limits()


def cheapest_within(
    net: Network, src: int, dst: int, usable: Mask, limits: Limits, cost: Floats | None = None
) -> Path | None:
    """Return the way of least cost (delay where none is given) within the limits; None where there is none.

    () where source is destination. `cost` per link, at least 0.
    """
    path = net.shortest(src, dst, usable, cost)
    if not path or within(net, path, limits):
        return path
    if cost is None and limits.hops is None and limits.loss_ratio is None:
        return None  # the quickest of all is late
    bounds = [(m, b) for m, b in bounds_of(net, limits)]
    ahead = []
    for metric, bound in bounds:  # what is still to come at least, from every node to the destination
        to_go = _to(net, dst, usable, metric)
        if to_go[src] > bound + _SLACK:
            return None
        ahead.append(to_go)
    price = net.search_s if cost is None else cost + TIE_S
    exact, found = _labels(net, src, dst, usable, price, bounds, ahead)
    if exact or found:
        return found
    for metric, _ in bounds:
        spare = net.shortest(src, dst, usable, metric)
        if spare and within(net, spare, limits):
            return spare
    return None


def within(net: Network, path: Path, limits: Limits) -> bool:
    """Return whether a way keeps to its limits."""
    return all(float(metric[list(path)].sum()) <= bound + _SLACK for metric, bound in bounds_of(net, limits))


def bounds_of(net: Network, limits: Limits) -> list[tuple[Floats, float]]:
    """Return limits as sums over links, and what each may come to."""
    found: list[tuple[Floats, float]] = []
    if limits.delay_s is not None:
        found.append((net.delay_s, limits.delay_s))
    if limits.hops is not None:
        found.append((np.ones(net.links), float(limits.hops)))
    if limits.loss_ratio is not None and limits.loss_ratio < 1:
        found.append((net.loss, float(-np.log1p(-limits.loss_ratio))))
    return found


def _to(net: Network, dst: int, usable: Mask, metric: Floats) -> Floats:
    distance, _, _ = net.turned.tree(dst, usable, metric)
    return distance


def _labels(
    net: Network, src: int, dst: int, usable: Mask, price: Floats, bounds: list[tuple[Floats, float]],
    ahead: list[Floats],
) -> tuple[bool, Path | None]:  # fmt: skip
    """Return (whether every label was looked at that had to be, the way)."""
    leaving: list[list[int]] = [[] for _ in range(net.nodes)]
    for i in np.flatnonzero(usable).tolist():
        leaving[int(net.src[i])].append(i)
    ends, prices = net.dst.tolist(), price.tolist()
    metrics = [(m.tolist(), b + _SLACK, a.tolist()) for (m, b), a in zip(bounds, ahead, strict=True)]
    kept: list[list[tuple[float, ...]]] = [[] for _ in range(net.nodes)]  # sums of the labels that are settled
    queue: list[tuple[float, tuple[float, ...], int, Path]] = [(0.0, (0.0,) * len(metrics), src, ())]
    for _ in range(MOST_LABELS):
        if not queue:
            return True, None
        paid, sums, at, path = heapq.heappop(queue)
        if at == dst:
            return True, path
        if any(all(k <= s for k, s in zip(known, sums, strict=True)) for known in kept[at]):
            continue
        kept[at].append(sums)
        for i in leaving[at]:
            more = tuple(s + m[i] for s, (m, _, _) in zip(sums, metrics, strict=True))
            if all(s + to[ends[i]] <= most for s, (_, most, to) in zip(more, metrics, strict=True)):
                heapq.heappush(queue, (paid + prices[i], more, ends[i], (*path, i)))
    return False, None
