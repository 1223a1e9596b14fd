"""Availability over ways that share parts: held against counting every state of every part."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.planning.reliability import availability

PARTS = {"a": 0.9, "b": 0.8, "c": 0.99, "d": 0.7, "e": 0.95, "f": 0.5, "g": 0.999}
ways_of = st.lists(st.sets(st.sampled_from(sorted(PARTS)), min_size=1), min_size=1, max_size=6)


@given(ways_of)
def test_it_is_the_sum_over_all_states_in_which_a_way_works(ways: list[set[str]]) -> None:
    names = sorted(PARTS)
    expected = 0.0
    for states in product((True, False), repeat=len(names)):
        up = {n for n, works in zip(names, states, strict=True) if works}
        if any(way <= up for way in ways):
            expected += prod(PARTS[n] if n in up else 1 - PARTS[n] for n in names)
    assert availability(ways, PARTS) == pytest.approx(expected, abs=1e-12)


def test_a_part_that_both_ways_need_is_not_made_better_by_the_second_way() -> None:
    assert availability([{"a", "b"}, {"a", "c"}], PARTS) == pytest.approx(0.9 * (1 - 0.2 * 0.01))


def test_no_way_never_works() -> None:
    assert availability([], PARTS) == 0.0


def test_two_long_ways_cost_no_more_than_two_short_ones() -> None:
    parts = {f"p{i}": 0.999 for i in range(200)}
    names = sorted(parts)
    pair = [names[:100], names[100:]]
    assert availability(pair, parts) == pytest.approx(1 - (1 - 0.999**100) ** 2)
