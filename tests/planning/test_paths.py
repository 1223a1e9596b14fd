from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from controller.planning.paths import Edge, Graph


def _both(*cables: tuple[str, str, float, frozenset[int]]) -> Graph:
    return Graph((), [e for a, z, d, r in cables for e in (Edge(a, z, d, r), Edge(z, a, d, r))])


def _cable(i: int, a: str, z: str, delay: float, *ducts: int) -> tuple[str, str, float, frozenset[int]]:
    return a, z, delay, frozenset(ducts) or frozenset({-1 - i})


def test_a_pair_is_found_where_removing_the_shortest_path_leaves_none() -> None:
    # The trap: s-a-b-t is quickest, and both s-a and b-t are needed by one path each of the only pair.
    graph = _both(
        _cable(0, "s", "a", 1), _cable(1, "a", "b", 1), _cable(2, "b", "t", 1),
        _cable(3, "s", "b", 3), _cable(4, "a", "t", 3),
    )  # fmt: skip
    pair = graph.disjoint_pair("s", "t", graph.everything())
    assert pair is not None
    assert {graph.nodes_on("s", pair.working), graph.nodes_on("s", pair.standby)} == {("s", "a", "t"), ("s", "b", "t")}


def test_the_trap_of_shared_ducts_is_escaped_too() -> None:
    # The quickest way shares duct 7 with one other way and duct 8 with the remaining one.
    graph = _both(
        _cable(0, "s", "a", 1, 7), _cable(1, "a", "t", 1, 8),
        _cable(2, "s", "b", 2, 7), _cable(3, "b", "t", 2),
        _cable(4, "s", "c", 3), _cable(5, "c", "t", 3, 8),
    )  # fmt: skip
    pair = graph.disjoint_pair("s", "t", graph.everything())
    assert pair is not None
    assert graph.nodes_on("s", pair.working) == ("s", "b", "t")
    assert graph.nodes_on("s", pair.standby) == ("s", "c", "t")


def test_parallel_cables_are_told_apart() -> None:
    graph = _both(_cable(0, "s", "t", 2, 5), _cable(1, "s", "t", 1, 6), _cable(2, "s", "t", 3, 6))
    assert graph.shortest("s", "t", graph.everything()) == (2,)
    pair = graph.disjoint_pair("s", "t", graph.everything())
    assert pair is not None
    assert (pair.working, pair.standby) == ((2,), (0,))


def test_a_cable_without_length_is_a_way() -> None:
    graph = _both(_cable(0, "s", "a", 0.0), _cable(1, "a", "t", 0.0))
    assert graph.shortest("s", "t", graph.everything()) == (0, 2)


def test_no_way_and_no_distance_are_different_answers() -> None:
    graph = _both(_cable(0, "s", "a", 1), _cable(1, "b", "t", 1))
    assert graph.shortest("s", "t", graph.everything()) is None
    assert graph.shortest("s", "s", graph.everything()) == ()
    assert graph.disjoint_pair("s", "t", graph.everything()) is None


@st.composite
def small_graphs(draw: st.DrawFn) -> Graph:
    nodes = "stabcd"[: draw(st.integers(3, 6))]
    cables = [
        _cable(i, a, z, draw(st.integers(1, 9)), *draw(st.sets(st.integers(1, 5), max_size=2)))
        for i, (a, z) in enumerate(combinations(nodes, 2))
        if draw(st.integers(0, 3))
    ]
    return _both(*cables)


def _simple_paths(graph: Graph, at: str, dst: str, seen: tuple[str, ...]) -> list[tuple[int, ...]]:
    if at == dst:
        return [()]
    found = []
    for i, edge in enumerate(graph.edges):
        if edge.src == at and edge.dst not in seen:
            found += [(i, *rest) for rest in _simple_paths(graph, edge.dst, dst, (*seen, edge.dst))]
    return found


@given(small_graphs())
def test_pairs_are_as_quick_as_those_of_exhaustive_search(graph: Graph) -> None:
    paths = _simple_paths(graph, "s", "t", ("s",)) if "s" in graph.node_index and "t" in graph.node_index else []
    totals = [
        graph.delay_of(p) + graph.delay_of(q)
        for p, q in combinations(paths, 2)
        if not graph.risks_of(p) & graph.risks_of(q)
    ]
    pair = graph.disjoint_pair("s", "t", graph.everything()) if paths else None
    if not totals:
        assert pair is None
    else:
        assert pair is not None
        assert not graph.risks_of(pair.working) & graph.risks_of(pair.standby)
        assert pair.working_s <= pair.standby_s
        assert abs(pair.working_s + pair.standby_s - min(totals)) < 1e-9
