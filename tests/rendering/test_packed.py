"""A packed tree is the tree that was packed, to whoever reads it, and takes little room."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.rendering import packed as room
from controller.rendering.packed import Packed, Packer, opened
from controller.rendering.paths import units
from controller.rendering.tree import Tree

_steps = st.one_of(st.sampled_from(["a", "b", "c"]), st.tuples(st.sampled_from(["l", "m"]), st.text(max_size=2)))
_leaves = st.one_of(st.text(max_size=2), st.tuples(st.text(max_size=1)))
_trees: Any = st.recursive(
    st.dictionaries(_steps, _leaves, max_size=3),
    lambda below: st.dictionaries(_steps, st.one_of(_leaves, below), max_size=4),
    max_leaves=12,
)


def _items(tree: Tree) -> list[Any]:
    return [(step, _items(value) if isinstance(value, dict) else value) for step, value in tree.items()]


@given(st.lists(_trees, max_size=20))
def test_what_is_packed_says_what_it_said_in_the_same_order(trees: list[Tree]) -> None:
    packer, before = Packer(), [_items(tree) for tree in trees]
    for pack in (packer.tree, packer.fragment):
        packed = [pack(tree) for tree in trees]
        assert [_items(tree) for tree in packed] == before
        assert packed == trees
        assert trees == packed
    assert [_items(tree) for tree in trees] == before


@given(_trees, _trees)
def test_packed_trees_are_equal_where_the_trees_are(one: Tree, other: Tree) -> None:
    packer = Packer()
    for a in (one, packer.tree(one), packer.fragment(one)):
        for b in (other, packer.tree(other), packer.fragment(other)):
            assert (a == b) == (one == other)
            assert (a != b) == (one != other)


@given(_trees)
def test_a_packed_tree_is_read_like_the_dict_it_stands_for(tree: Tree) -> None:
    packed = Packer().tree(tree)
    assert isinstance(packed, dict)
    assert len(packed) == len(tree)
    assert bool(packed) == bool(tree)
    assert list(packed) == list(packed.keys()) == list(tree)
    assert list(reversed(packed)) == list(reversed(tree))
    assert list(packed.values()) == list(tree.values())
    assert all(step in packed and packed[step] == packed.get(step) == tree[step] for step in tree)
    assert ("no", "such") not in packed
    assert packed.get("nowhere") is None
    assert dict(packed) == {**packed} == packed.copy() == packed | {} == {} | packed == tree
    assert repr(packed) == repr(tree)
    assert copy.copy(packed) == copy.deepcopy(packed) == pickle.loads(pickle.dumps(packed)) == tree


@given(_trees)
def test_a_fragment_has_its_units_packed_one_by_one(tree: Tree) -> None:
    packed = dict(units(Packer().fragment(tree)))
    assert packed == dict(units(tree))
    assert all(not value or value.__class__ is Packed for value in packed.values() if isinstance(value, dict))


def test_trees_that_are_built_alike_share_their_shape_and_what_they_repeat() -> None:
    packer = Packer()
    trees = [
        packer.tree({"id": str(i), ("entry", f"e{i}"): {"name": f"e{i}", "mode": f"{'m' * 3}{i % 2}"}})
        for i in range(10)
    ]
    shapes = {id(tree.shape) for tree in trees if isinstance(tree, Packed)}
    rows = [tree.row for tree in trees if isinstance(tree, Packed)]
    assert len(shapes) == 1
    assert [len(row) for row in rows] == [3] * 10  # the id, the step, the mode; the name is in the step
    assert len({id(row[-1]) for row in rows[6:]}) == 2


def test_what_is_too_long_for_one_row_is_opened_entry_by_entry() -> None:
    long: Tree = {("node", str(i)): {"id": str(i), ("port", "a"): {"vlan": "7", "of": "x"}} for i in range(1000)}
    packed = Packer().tree({"name": "wide", "nodes": long})
    assert packed == {"name": "wide", "nodes": long}
    assert isinstance(packed, Packed)
    nodes = packed["nodes"]
    assert nodes.__class__ is dict
    assert isinstance(nodes, dict)
    assert all(value.__class__ is Packed for value in nodes.values())
    again = opened(packed) | {"name": "renamed"}
    assert opened(Packer().tree(again))["nodes"] is nodes  # who changes a place beside them does not pack them anew


def test_a_packed_tree_cannot_be_changed() -> None:
    packed = Packer().tree({"a": "1"})
    for change in (lambda: packed.update({"a": "2"}), lambda: packed.pop("a"), lambda: packed.setdefault("b", "2")):
        with pytest.raises(TypeError):
            change()
    with pytest.raises(TypeError):
        packed["a"] = "2"
    with pytest.raises(TypeError):
        del packed["a"]
    assert packed == {"a": "1"}


def test_full_tables_start_over_and_stay_right(monkeypatch: Any) -> None:
    monkeypatch.setattr(room, "MOST_KEPT", 4)
    monkeypatch.setattr(room, "MOST_SHAPES", 4)
    packer = Packer()
    for turn in range(200):
        tree: Tree = {"a": {f"b{turn % 9}": str(turn % 7)}, "c": {"d": {"e": str(turn % 3)}}}
        assert packer.tree(tree) == tree
