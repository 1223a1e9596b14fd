"""Invariants of shared data, framing and the journal, on anything that Hypothesis finds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.bandwidth import te_bandwidth, te_bandwidth_bps
from lab.netconf.data import delta, grafted, lookup, patched
from lab.netconf.framing import Deframer, FramingError, framed
from lab.netconf.journal import Journal, Record, Saved
from lab.netconf.values import compile_check

_LEAVES = st.text(max_size=3) | st.lists(st.text(max_size=2), max_size=3).map(tuple)
_KEYS = st.tuples(st.sampled_from("abcd"))


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    containers = st.dictionaries(st.sampled_from(["x", "y", "z"]), children, max_size=3)
    lists = st.dictionaries(_KEYS, containers, min_size=1, max_size=4)
    return containers | lists


_DATA = st.dictionaries(st.sampled_from(["p", "q"]), st.recursive(_LEAVES, _containers, max_leaves=12), max_size=2)


def _ordered(value: Any) -> Any:
    """Make the order of list entries count in comparisons."""
    if not isinstance(value, dict):
        return value
    items = [(key, _ordered(inner)) for key, inner in value.items()]
    return items if any(isinstance(key, tuple) for key in value) else dict(items)


@given(_DATA, _DATA)
def test_a_delta_turns_one_version_into_the_other_order_included(old: Any, new: Any) -> None:
    assert _ordered(patched(old, delta(old, new))) == _ordered(new)
    assert delta(new, new) == {}


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.booleans(), st.integers(1, 7))
def test_messages_survive_any_cut(messages: list[bytes], chunked: bool, piece: int) -> None:
    sent = [m.replace(b"]]>]]>", b"") or b"x" for m in messages]
    stream = b"".join(framed(m, chunked) for m in sent)
    deframer, received = Deframer(), []
    deframer.chunked = chunked
    for start in range(0, len(stream), piece):
        deframer.feed(stream[start : start + piece])
        while (message := deframer.next_message()) is not None:
            received.append(message)
    if chunked or not any(b"]" in m for m in sent):
        assert received == sent


@pytest.mark.parametrize("garbage", [b"<rpc/>", b"\n#x\n", b"\n#99999999999999\n", b"\n#\n"])
def test_what_is_no_chunk_ends_the_session(garbage: bytes) -> None:
    deframer = Deframer()
    deframer.chunked = True
    deframer.feed(garbage)
    with pytest.raises(FramingError):
        deframer.next_message()


@given(st.lists(_DATA, min_size=1, max_size=5), st.integers(0, 4))
def test_a_journal_gives_back_the_last_version_across_a_snapshot(versions: list[Any], fold_after: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        journal = Journal(Path(directory))
        running = journal.load({}).running
        for number, version in enumerate(versions):
            journal.append(Record(delta(running, version), 99.0, "p", number == 0))
            running = version
            if number == fold_after:
                journal.close()
                journal = Journal(Path(directory))
                journal.compact(journal.load({}))
        journal.close()
        reopened = Journal(Path(directory))
        saved: Saved = reopened.load({})
        reopened.close()
    assert _ordered(saved.running) == _ordered(running)
    assert saved.pending is not None
    assert saved.pending.before == {}


def test_what_is_grafted_is_found_and_the_original_is_untouched() -> None:
    data: dict[Any, Any] = {"a": {"l": {("k",): {"x": "1"}}}}
    changed = grafted(data, ("a", ("l", ("k",)), "y"), "2")
    assert lookup(changed, ("a", ("l", ("k",)))) == {"x": "1", "y": "2"}
    assert lookup(data, ("a", ("l", ("k",)), "y")) is None


@pytest.mark.parametrize(
    ("rate_bps", "text"),
    [(10 * 10**9, "0x1.2a05f2p+30"), (100 * 10**9, "0x1.74876ep+33"), (8 * 2**30, "0x1p+30")],
)
def test_bandwidth_is_written_in_bytes_per_second(rate_bps: int, text: str) -> None:
    assert te_bandwidth(rate_bps) == text
    assert te_bandwidth_bps(text) == rate_bps


@pytest.mark.parametrize(
    ("spec", "text", "stored"),
    [
        ({"base": "uint16", "range": [[1, 4094]]}, "0100", "100"),
        ({"base": "decimal64", "fraction-digits": 5, "range": [[0, 100]]}, "12.500", "12.5"),
        ({"base": "decimal64", "fraction-digits": 5}, "7", "7.0"),
        ({"base": "bits", "bit": ["node", "link", "srlg"]}, "srlg link", "link srlg"),
        ({"base": "boolean"}, "true", "true"),
        ({"base": "binary"}, "bGct\nYm9y", "bGctYm9y"),
        ({"base": "union", "types": [{"base": "uint8"}, {"base": "enumeration", "enum": ["all"]}]}, "all", "all"),
    ],
)
def test_values_are_stored_in_canonical_form(spec: dict[str, Any], text: str, stored: str) -> None:
    assert compile_check(spec, {})(text, lambda prefix: None) == stored


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"base": "uint16", "range": [[1, 4094]]}, "4095"),
        ({"base": "uint8"}, "x"),
        ({"base": "decimal64", "fraction-digits": 2}, "1.234"),
        ({"base": "boolean"}, "TRUE"),
        ({"base": "string", "patterns": ["[a-z]+"]}, "abc1"),
        ({"base": "string", "length": [[1, 2]]}, "abc"),
        ({"base": "empty"}, "x"),
    ],
)
def test_what_is_no_value_of_the_type_is_refused(spec: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError):
        compile_check(spec, {})(text, lambda prefix: None)
