"""Subtrees that say the same become one object, and nothing that is said changes by it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.rendering import sharing
from controller.rendering.sharing import Sharing
from controller.rendering.tree import Tree

_steps = st.one_of(
    st.sampled_from(["a", "b", "nrp:select"]), st.tuples(st.sampled_from(["l", "m"]), st.text(max_size=2))
)
_leaves = st.one_of(st.text(max_size=2), st.tuples(st.text(max_size=1)))
_trees: Any = st.recursive(
    st.dictionaries(_steps, _leaves, max_size=3),
    lambda below: st.dictionaries(_steps, st.one_of(_leaves, below), max_size=4),
    max_leaves=12,
)


def _items(tree: Tree) -> list[Any]:
    return [(step, _items(value) if isinstance(value, dict) else value) for step, value in tree.items()]


@given(st.lists(_trees, max_size=30))
def test_what_is_shared_says_what_it_said_in_the_same_order(trees: list[Tree]) -> None:
    table, before = Sharing(), [_items(tree) for tree in trees]
    assert [_items(table.tree(tree)) for tree in trees] == before
    assert [_items(tree) for tree in trees] == before


def test_from_the_third_time_on_equal_subtrees_are_one_object() -> None:
    table = Sharing()
    found = [table.tree({"x": str(i), "status": {"admin": {"state": "up"}}}) for i in range(6)]
    statuses = {id(tree["status"]) for tree in found[3:]}
    assert len(statuses) == 1


def test_a_full_table_starts_over_and_stays_right(monkeypatch: Any) -> None:
    monkeypatch.setattr(sharing, "MOST_KEPT", 4)
    table = Sharing()
    for turn in range(200):
        tree: Tree = {"a": {"b": str(turn % 7)}, "c": {"d": {"e": str(turn % 3)}}}
        assert table.tree(tree) == {"a": {"b": str(turn % 7)}, "c": {"d": {"e": str(turn % 3)}}}
