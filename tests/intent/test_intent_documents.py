"""Hostile and broken files: each ends in one sentence with its line, and costs little."""

from __future__ import annotations

import time

import pytest
from intent_samples import PLANE, SLICE, accepted, mistake, mistakes

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)

REFUSED = {
    "a file over the limit": (b"x" * (4 * 2**20 + 1), 0, "4.0 MB; the limit is 4 MB"),
    "text over the limit": ("\u4e00" * (2 * 2**20), 0, "more than 4 MB"),
    "a YAML bomb": (BOMB, 1, "once aliases are expanded"),
    "an alias to itself": ("a: &a [*a]", 1, "nested more than 24"),
    "deep nesting": ("[" * 500 + "]" * 500, 1, "nested more than 24"),
    "very deep nesting": ("[" * 200_000 + "]" * 200_000, 1, ""),
    "deep block nesting": ("- " * 50_000, 1, ""),
    "UTF-16": (PLANE.encode("utf-16"), 0, "UTF-16 or UTF-32; save it as UTF-8"),
    "Latin-1": (PLANE.encode() + b"# caf\xe9\n", 10, "byte 0xe9 is not UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", 1, "is this a YAML text file?"),
    "a NUL byte": ("a: b\nc: \0", 2, "NUL byte"),
    "a control character": ("a: b\nc: \x07", 2, "control character"),
    "a lone surrogate": ("a: \ud800", 1, ""),
    "a tab": ("metadata:\n\tname: x", 2, "a tab is used for indentation"),
    "a duplicate key": (PLANE + "kind: ExclusiveSlice\n", 10, 'field "kind" is written twice'),
    "a Python tag": ("a: !!python/object/apply:os.system [ls]", 1, "tag"),
    "a merge key": ("a: &a {b: c}\nd: {<<: *a}", 2, "merge keys"),
    "an open bracket": ("a: [b\n", 2, "close the bracket"),
    "two colons": ("a: b: c", 1, "quote text"),
    "a directive": ("%YAML 1.2\n---\na: b\n", 1, "directives"),
    "a list as key": ("? [a]\n: b", 1, "field name must be plain text"),
    "a bare word": ("hello", 1, "is not a document"),
    "an empty file": ("", 0, "holds no document"),
    "only comments": ("# nothing\n---\n# here\n...\n", 0, "holds no document"),
    "an unknown alias": ("a: *b", 1, "undefined alias"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_file_ends_in_one_sentence_with_its_line(name):
    text, line, words = REFUSED[name]
    started = time.perf_counter()
    found = mistakes(text)[0]
    assert words in found.problem, found
    assert line in (0, found.line) or words == ""
    assert time.perf_counter() - started < 3


def test_a_broken_document_does_not_hide_the_others():
    found = mistakes(PLANE + "---\na: [\n---\n" + SLICE.replace("10Gbps", "10"))
    assert [v.line for v in found] == [12, 17]


def test_a_field_written_twice_does_not_hide_the_rest_of_its_document():
    found = mistakes(PLANE.replace("bandwidth: 1Gbps", "bandwidth: 1G") + "kind: ExclusiveSlice\n")
    assert [(v.line, v.field) for v in found] == [(5, "spec.bandwidth"), (10, "")]
    assert 'field "kind" is written twice' in mistake(PLANE + "kind: DedicatedPlane\n").problem


@pytest.mark.alone
def test_a_list_that_no_intent_needs_is_refused_while_it_is_read():
    rows = "".join(f"    - {{site: buji, name: n{i}, lan: 10.{i >> 8}.{i & 255}.0/24}}\n" for i in range(60_000))
    started = time.perf_counter()
    found = mistake(PLANE + rows)
    assert time.perf_counter() - started < 3
    assert (found.line, found.field) == (7, "spec.sites")
    assert "at most 5,000" in found.problem


def test_several_documents_a_file_with_every_kind_of_separator():
    text = f"\ufeff--- # first\n{PLANE}...\n# between\n---\n{SLICE}---\n---\n".replace("\n", "\r\n")
    assert [s.metadata.line for s in accepted(text)] == [2, 14]


def test_three_dashes_inside_a_block_of_text_are_not_a_separator():
    text = PLANE.replace("tenant: gov}", 'tenant: gov, labels: {note: "a --- b"}}')
    assert dict(accepted(text)[0].metadata.labels)["note"] == "a --- b"


def test_a_few_aliases_are_fine():
    text = PLANE.replace("{site: zhihui, lan: 10.10.0.0/24}", "&z {site: zhihui}") + "status: *z\n"
    assert accepted(text)


def test_thousands_of_mistakes_are_cut_short_and_stay_cheap():
    rows = "".join(f"    - {{site: buji, name: N{i}}}\n" for i in range(3000))
    started = time.perf_counter()
    found = mistakes(PLANE + rows)
    assert len(found) == 501
    assert "and 2,500 more mistakes from here on" in found[-1].problem
    assert time.perf_counter() - started < 5


def test_an_error_never_carries_control_characters_or_whole_files():
    problem = mistake(PLANE.replace("1Gbps", '"' + "\\e[31m" * 1000 + '"')).problem
    assert "\x1b" not in problem
    assert len(problem) < 300
