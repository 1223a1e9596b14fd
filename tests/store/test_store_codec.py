"""What was written is what is read, for every value that the rooms keep."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import StoreError
from controller.intent.model import DedicatedPlane, ExclusiveSlice, Metadata, Service, VipAssurance
from controller.network.discovered import DomainTopology
from controller.network.model import PortRef
from controller.planning.placement import Placement
from controller.rendering.tree import Edit, Operation, OperationKind, Tree
from controller.store.codec import decode, dumps, encode, loads
from controller.store.records import ChangeRecord
from controller.transactions.step import Step

text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)
instants = st.datetimes(timezones=st.just(UTC))
steps = text | st.lists(text, min_size=1, max_size=3).map(tuple)
leaves = text | st.lists(text, max_size=3).map(tuple)
trees = st.recursive(
    st.dictionaries(steps, leaves, max_size=3),
    lambda inner: st.dictionaries(steps, inner | leaves, max_size=4),
    max_leaves=12,
)
paths = st.lists(steps, max_size=4).map(tuple)
operations = st.builds(
    Operation, st.sampled_from(OperationKind), paths, st.none() | trees | leaves, st.none() | steps, st.booleans()
)
edits = st.builds(
    Edit, text, st.lists(operations, max_size=3).map(tuple), st.lists(paths, max_size=3).map(tuple), trees, trees
)


def resolved(cls):
    """Strategy for a dataclass of the contract, from its own type hints."""
    return st.from_type(cls)


st.register_type_strategy(str, text)
st.register_type_strategy(datetime, instants)
st.register_type_strategy(float, st.floats(allow_nan=False))


@settings(max_examples=60, deadline=None)
@given(st.one_of([resolved(cls) for cls in (DedicatedPlane, ExclusiveSlice, VipAssurance)]))
def test_services_come_back_equal(service):
    assert loads(Service, dumps(Service, service)) == service


@settings(max_examples=40, deadline=None)
@given(resolved(Placement))
def test_placements_come_back_equal(placement):
    back = loads(Placement, dumps(Placement, placement))
    assert back == placement
    assert all(isinstance(circuit.a, PortRef) for circuit in back.circuits)


@settings(max_examples=40, deadline=None)
@given(resolved(DomainTopology))
def test_topologies_come_back_equal(topology):
    assert loads(DomainTopology, dumps(DomainTopology, topology)) == topology


@settings(max_examples=150, deadline=None)
@given(edits)
def test_edits_come_back_equal_with_their_order(edit):
    back = loads(Edit, dumps(Edit, edit))
    assert back == edit
    assert repr(back) == repr(edit)  # dicts compare without order; their text does not


@given(trees)
def test_trees_come_back_with_their_order(tree):
    assert repr(loads(Tree, dumps(Tree, tree))) == repr(tree)


def test_a_missing_field_takes_its_default_and_an_unknown_one_is_refused():
    data = encode(Metadata, Metadata("a", "t", labels=(("k", "v"),)))
    del data["labels"]
    assert decode(Metadata, data) == Metadata("a", "t")
    data["colour"] = "red"
    with pytest.raises(StoreError, match="colour"):
        decode(Metadata, data)


def test_defaults_are_written_so_that_changing_them_changes_nothing_stored():
    assert json.loads(dumps(Metadata, Metadata("a", "t")))["line"] == 0


@dataclass(frozen=True)
class _Odd:
    what: complex


def test_a_type_that_the_store_cannot_write_is_refused_by_name():
    with pytest.raises(StoreError, match="complex"):
        dumps(_Odd, _Odd(1j))


@pytest.mark.parametrize("damaged", ['{"name": "a"}', "[]", "null", '{"name": "a", "tenant": "t", "labels": 3}'])
def test_what_does_not_fit_ends_as_a_store_error(damaged):
    with pytest.raises(StoreError):
        loads(Metadata, damaged)


def test_wrong_value_inside_a_union_is_refused():
    with pytest.raises(StoreError):
        loads(Service, '["Placement", {}]')
    with pytest.raises(StoreError):
        dumps(Service, IPv4Network("10.0.0.0/8"))


def test_a_key_with_nul_is_refused():
    with pytest.raises(StoreError):
        dumps(Tree, {("t:x", "a\0b"): {}})


@pytest.mark.alone
def test_a_big_edit_is_written_in_some_milliseconds():
    entries: Tree = {("t:entry", str(n)): {"t:id": str(n), "t:a": {"t:b": "1", "t:c": "2"}} for n in range(3000)}
    touched = tuple((step,) for step in entries)
    edit = Edit(
        "d", tuple(Operation(OperationKind.CREATE, path, entries[path[0]]) for path in touched), touched, {}, entries
    )
    step = Step("c", 0, "build", (edit,), (("d",),))
    started = time.perf_counter()
    written = dumps(Step, step)
    middle = time.perf_counter()
    assert loads(Step, written) == step
    print(f"{len(written)} characters: write {middle - started:.3f} s, read {time.perf_counter() - middle:.3f} s")
    assert middle - started < 0.5


def test_a_change_record_with_its_native_diffs_comes_back():
    record = ChangeRecord("c", "ada", "why", datetime(2026, 1, 2, tzinfo=UTC), native={"city-ip": "<x/>"})
    assert loads(ChangeRecord, dumps(ChangeRecord, record)) == record


def test_a_slice_or_plane_of_before_there_were_windows_stands_for_good() -> None:
    meta = Metadata("x", "gov")
    for kept in (ExclusiveSlice(meta, (), ()), DedicatedPlane(meta, ())):
        stored = encode(type(kept), kept)
        assert stored.pop("window") is None
        assert decode(type(kept), stored) == kept
