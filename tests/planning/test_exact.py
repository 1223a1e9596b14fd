"""Searches are bounded; what one of them gives up on is decided exactly, so that nothing feasible is refused."""

from __future__ import annotations

from itertools import permutations
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.intent.model import Isolation, Protection, Slo
from controller.network.ledger import Ledger
from controller.planning import constrained
from controller.planning.constrained import Burdens, best_pair, best_way
from controller.planning.draft import CannotPlaceError
from controller.planning.engine import exact
from controller.planning.engine.bounded import Limits, bounds_of, within
from controller.planning.engine.exact import Question, decide, without_circles
from controller.planning.engine.network import Apart, Network
from controller.planning.engine.pairs import PairWish, disjoint_pair
from controller.planning.paths import Edge, Graph
from controller.planning.place import place
from tests.planning.test_constrained import KINDS, _apart, _simple_ways
from tests.planning.test_constrained import networks as burdened
from tests.planning.test_engine import every_way, networks, together
from tests.support.intents import GBPS, NOW, slice_between
from tests.support.invariants import check_all
from tests.support.networks import Sample

APART = Apart.LINKS | Apart.RISKS


def _braid(stages: int, seed: int) -> Sample:
    """Return a chain of nodes with three cables from each to the next, of which only one choice makes two ways apart.

    Ducts tie the first cables of all stages to each other, and the second ones; the third, the shortest, shares a duct
    with both of another stage. A search that forbids one duct after the other gets lost among them.
    """
    random = Random(seed)
    ducts: list[tuple[int, ...]] = [(3 * i + k, 3 * i + 3 + k) for i in range(stages - 1) for k in (0, 1)]
    for i in range(stages):
        other = random.choice([j for j in range(stages) if j != i])
        ducts += [tuple(sorted((3 * i + 2, 3 * other + k))) for k in (0, 1, 2)]
    km = np.array([length for _ in range(stages) for length in (random.randint(2, 9), random.randint(2, 9), 1)])
    ends = np.repeat(np.arange(stages), 3)
    return Sample("braid", stages + 1, ends, ends + 1, km.astype(np.float64), tuple(ducts))


@pytest.mark.parametrize("stages", [8, 12, 20])
def test_a_pair_is_found_where_forbidding_one_duct_after_the_other_finds_none(stages: int) -> None:
    net = _braid(stages, 1).network()
    wish = PairWish(0, stages, APART, eager=True)
    assert disjoint_pair(net, wish, net.everything(), exact=False) is None  # or this test is about nothing
    pair = disjoint_pair(net, wish, net.everything())
    assert pair is not None
    assert not together(net, pair.working, pair.standby, APART)
    assert pair.working_s <= pair.standby_s


def test_a_protected_slice_is_placed_where_the_search_for_its_pair_gives_up() -> None:
    sample = _braid(9, 4)
    where = sample.map(10 * GBPS)
    wanted = slice_between(
        "braided", "s0000", "s0009", GBPS, isolation=Isolation.NRP, protection=Protection.STANDBY,
        slo=Slo(latency_s=0.02, availability=0.9),
    )  # fmt: skip
    outcome = place(where, Ledger(where), [wanted], {}, NOW)
    assert outcome.refusals == ()
    check_all(where, {wanted.metadata.service: wanted}, outcome.placements)


@settings(max_examples=60, deadline=None)
@given(networks(), st.sampled_from((Apart.NOTHING, APART, APART | Apart.NODES)), st.sampled_from((None, 8.0, 15.0)))
def test_the_exact_program_finds_ways_exactly_where_there_are_some(
    net: Network, apart: Apart, budget: float | None
) -> None:
    limits, every = Limits(budget, 3), net.everything()
    ways = [w for w in every_way(net, 0, 1, every) if within(net, w, limits)]
    pairs = [p for p in permutations(ways, 2) if not together(net, *p, apart)] if apart else [(w,) for w in ways]
    found = decide(net, Question(0, 1, every, every, apart, bounds_of(net, limits)))
    assert (found is None) == (not pairs)
    if found is not None:
        assert found in pairs
        least = min(sum(net.delay_of(w) for w in p) for p in pairs)
        assert sum(net.delay_of(w) for w in found) <= least / (1 - exact.GAP) + 1e-6


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(net=burdened(), most=st.integers(0, 30), kinds=st.sampled_from(KINDS))
def test_limits_of_every_kind_hold_where_the_searches_give_up_at_once(
    monkeypatch: pytest.MonkeyPatch, net: Burdens, most: int, kinds: tuple
) -> None:
    monkeypatch.setattr(constrained, "MAX_BRANCHES", 0)
    monkeypatch.setattr(constrained, "MOST_LABELS", 0)
    graph = net.graph

    def fits(sums: tuple[float, ...]) -> bool:
        return sums[1] <= most  # no sum that the program is told of: it has to ask

    ways = [w for w in _simple_ways(graph, graph.node_index["a"], graph.node_index["f"]) if fits(net.of(w))]
    pairs = [p for p in permutations(ways, 2) if _apart(net, *p, kinds)]
    for bounds in ((), (np.inf, float(most), np.inf)):
        one = best_way(net, "a", "f", graph.everything(), fits, bounds)
        assert one in ways if ways else one is None
        two = best_pair(net, "a", "f", graph.everything(), fits, kinds, None, bounds)
        assert (two is None) == (not pairs)
        if two is not None:
            assert (two.working, two.standby) in pairs


@given(networks(), st.randoms(use_true_random=False))
def test_a_way_is_read_from_an_answer_that_goes_in_circles(net: Network, random: Random) -> None:
    """As HiGHS answers now and then: the links in any order, circles that the way passes through and others."""
    every = net.everything()
    ways = every_way(net, 0, 1, every)
    if not ways:
        return
    way = random.choice(ways)
    circles = [c for at in range(net.nodes) for i in np.flatnonzero(net.src == at).tolist()
               for c in [(i, *back) for back in every_way(net, int(net.dst[i]), at, every)]]  # fmt: skip
    used = set(way)
    for circle in random.sample(circles, min(3, len(circles))):
        if not used & set(circle):
            used |= set(circle)
    found = without_circles(net, np.array(random.sample(sorted(used), len(used))), 0, 1)
    assert found in ways
    assert set(found) <= used


def test_a_question_that_even_the_program_gives_up_on_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constrained, "MOST_LABELS", 0)
    monkeypatch.setattr(exact, "MOST_CUTS", 0)
    edges = [Edge(a, z, 1e-3, frozenset({i})) for i in range(4) for a, z in ("ab" if i < 2 else "bc",)]
    # Of two links a hop one spoils the second sum, the other the third; no mixture of them keeps both.
    net = Burdens(Graph("abc", edges), np.array([(1e-3, 3, 0), (1e-3, 0, 3)] * 2), np.arange(4))
    with pytest.raises(CannotPlaceError, match="from a to c keeps every limit could not be decided"):
        best_way(net, "a", "c", net.graph.everything(), lambda sums: sums[1] <= 4 and sums[2] <= 2)
