"""The exact answer to a small batch, by HiGHS: what of it can be placed at most, and what that takes at least.

Every way (or pair of ways) that keeps a demand's limits is written out; one binary variable says that it is taken.
Nothing of the planner is used, so that it can be held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from tests.support.networks import S_PER_KM, Sample

Way = tuple[int, ...]  # cables, from one end to the other


@dataclass(frozen=True)
class Ask:
    """What is to be carried between two nodes; a `protected` one holds its rate on both of two ways."""

    a: int
    z: int
    rate_bps: int
    budget_s: float
    protected: bool
    hops: int = 99


@dataclass(frozen=True)
class Best:
    """`accepted_bps`: no placement accepts more. `cost`: bit/s times seconds that the ways of the accepted take."""

    accepted_bps: float
    cost: float


def ways(sample: Sample, ask: Ask, free_bps: np.ndarray | None = None) -> list[Way]:
    """Return every way within the limits (and with room, given `free_bps` by cable) that passes no node twice."""
    leaving: list[list[tuple[int, int]]] = [[] for _ in range(sample.nodes)]
    for i, (a, z) in enumerate(zip(sample.a.tolist(), sample.z.tolist(), strict=True)):
        if free_bps is None or free_bps[i] >= ask.rate_bps:
            leaving[a].append((i, z))
            leaving[z].append((i, a))
    delay = (sample.km * S_PER_KM).tolist()

    def beyond(at: int, seen: frozenset[int], left_s: float, hops: int) -> Iterator[Way]:
        if at == ask.z:
            yield ()
            return
        for cable, node in leaving[at] if hops else ():
            if node not in seen and delay[cable] <= left_s + 1e-12:
                for rest in beyond(node, seen | {node}, left_s - delay[cable], hops - 1):
                    yield (cable, *rest)

    return list(beyond(ask.a, frozenset({ask.a}), ask.budget_s, ask.hops))


def options(sample: Sample, ask: Ask, free_bps: np.ndarray | None = None) -> list[Way]:
    """Return what serves a demand: ways, or for a protected one the cables of two that share no duct and no cable."""
    every = ways(sample, ask, free_bps)
    if not ask.protected:
        return every
    ducts = [{-1 - i, *(n for n, d in enumerate(sample.ducts) if i in d)} for i in range(sample.cables)]
    risks = [frozenset().union(*(ducts[i] for i in way)) for way in every]
    return [(*p, *q) for (p, one), (q, other) in combinations(zip(every, risks, strict=True), 2) if not one & other]


def solve(sample: Sample, asks: Sequence[Ask], capacity_bps: int, accepted: Sequence[bool] | None = None) -> Best:
    """Return the most that can be accepted; or where `accepted` says who is, the least that this costs.

    Both are HiGHS's bounds, within 0.1 % of what it found: nothing is better.
    """
    columns = [(n, o) for n, ask in enumerate(asks) if accepted is None or accepted[n] for o in options(sample, ask)]
    if not columns:
        return Best(0.0, 0.0)
    rate = np.array([asks[n].rate_bps / capacity_bps for n, _ in columns])
    delay = sample.km * S_PER_KM
    cost = rate * [float(delay[list(o)].sum()) for _, o in columns]
    lengths = [len(o) for _, o in columns]
    owner = np.repeat(np.arange(len(columns)), lengths)
    cables = np.array([i for _, o in columns for i in o])
    load = csr_array((rate[owner], (cables, owner)), shape=(sample.cables, len(columns)))
    who = np.array([n for n, _ in columns])
    once = csr_array((np.ones(len(columns)), (who, np.arange(len(columns)))), shape=(len(asks), len(columns)))
    least = np.zeros(len(asks)) if accepted is None else np.array(accepted, dtype=np.float64)
    found = milp(
        -rate if accepted is None else cost / cost.max(), integrality=np.ones(len(columns)), bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(load, ub=np.ones(sample.cables)), LinearConstraint(once, least, np.ones(len(asks)))
        ],
        options={"mip_rel_gap": 1e-3},
    )  # fmt: skip
    assert found.x is not None, found.message
    taken = np.round(found.x)
    bound = -found.mip_dual_bound * capacity_bps if accepted is None else float((taken * rate).sum()) * capacity_bps
    least_cost = float((taken * cost).sum()) if accepted is None else found.mip_dual_bound * float(cost.max())
    return Best(float(bound), least_cost * capacity_bps)
