"""Ways and pairs within several limits at once, held against looking at every simple way."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.model import Disjointness
from controller.planning.constrained import Burdens, best_pair, best_way
from controller.planning.in_order import ways_in_order
from controller.planning.paths import Edge, Graph, Path

NODES = "abcdef"


@st.composite
def networks(draw: st.DrawFn) -> Burdens:
    cables = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NODES), st.sampled_from(NODES), st.integers(1, 9), st.integers(0, 9), st.integers(1, 4)
            ).filter(lambda c: c[0] != c[1]),
            min_size=4, max_size=11,
        )
    )  # fmt: skip
    edges, sums = [], []
    for i, (a, z, delay, other, duct) in enumerate(cables):
        risks = frozenset({duct}) if draw(st.booleans()) else frozenset({-1 - i})
        edges += [Edge(a, z, delay / 1e3, risks), Edge(z, a, delay / 1e3, risks)]
        sums += [(delay / 1e3, float(other), 1.0)] * 2
    return Burdens(Graph(NODES, edges), np.array(sums), np.arange(len(edges)) // 2)


def _simple_ways(graph: Graph, at: int, dst: int, seen: tuple[int, ...] = ()) -> list[Path]:
    if at == dst:
        return [()]
    found = []
    for i, edge_src in enumerate(graph.src.tolist()):
        to = int(graph.dst[i])
        if edge_src == at and to not in (*seen, at):
            found += [(i, *rest) for rest in _simple_ways(graph, to, dst, (*seen, at))]
    return found


def _delay(graph: Graph, path: Path) -> float:
    return sum(graph.edges[i].delay_s for i in path)


@settings(max_examples=150, deadline=None)
@given(networks(), st.integers(0, 25), st.integers(1, 5))
def test_the_quickest_way_within_all_limits_is_found(net: Burdens, most: int, hops: int) -> None:
    graph = net.graph
    ways = _simple_ways(graph, graph.node_index["a"], graph.node_index["f"])
    fit = [w for w in ways if net.of(w)[1] <= most and net.of(w)[2] <= hops]
    found = best_way(net, "a", "f", graph.everything(), lambda s: s[1] <= most and s[2] <= hops)
    if not fit:
        assert found is None
    else:
        assert found is not None
        assert found in fit
        assert _delay(graph, found) == pytest.approx(min(_delay(graph, w) for w in fit))


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(0, 25))
def test_ways_in_order_are_all_that_fit_each_once_and_the_quickest_first(net: Burdens, most: int) -> None:
    graph = net.graph
    fit = [w for w in _simple_ways(graph, graph.node_index["a"], graph.node_index["f"]) if net.of(w)[1] <= most]
    found = list(ways_in_order(net, "a", "f", graph.everything(), lambda s: s[1] <= most))
    assert sorted(found) == sorted(fit)
    delays = [_delay(graph, w) for w in found]
    assert delays == pytest.approx(sorted(delays))


KINDS = [
    (Disjointness.LINK,),
    (Disjointness.SRLG,),
    (Disjointness.NODE,),
    (Disjointness.NODE, Disjointness.SRLG),
]


def _apart(net: Burdens, one: Path, other: Path, kinds: tuple[Disjointness, ...]) -> bool:
    graph = net.graph
    if {int(net.cable[i]) for i in one} & {int(net.cable[i]) for i in other}:
        return False
    if Disjointness.SRLG in kinds and graph.risks_of(one) & graph.risks_of(other):
        return False
    inner = [{int(graph.dst[i]) for i in path[:-1]} for path in (one, other)]
    return Disjointness.NODE not in kinds or not inner[0] & inner[1]


@settings(max_examples=150, deadline=None)
@given(networks(), st.integers(0, 30), st.sampled_from(KINDS))
def test_the_quickest_pair_within_all_limits_shares_nothing_of_its_kinds(
    net: Burdens, most: int, kinds: tuple[Disjointness, ...]
) -> None:
    graph = net.graph
    ways = [w for w in _simple_ways(graph, graph.node_index["a"], graph.node_index["f"]) if net.of(w)[1] <= most]
    pairs = [(w, s) for w, s in product(ways, ways) if _apart(net, w, s, kinds)]
    found = best_pair(net, "a", "f", graph.everything(), lambda s: s[1] <= most, kinds)
    if not pairs:
        assert found is None
    else:
        assert found is not None
        assert _apart(net, found.working, found.standby, kinds)
        assert found.working_s <= found.standby_s
        best = min(_delay(graph, w) + _delay(graph, s) for w, s in pairs)
        assert math.isclose(found.working_s + found.standby_s, best)
