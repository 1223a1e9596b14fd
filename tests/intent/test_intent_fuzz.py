"""Whatever the bytes: services, or an IntentError whose every line can be printed. Never a traceback."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from intent_samples import CITY, NOW, PLANE, SLICE, VIP

from controller.errors import IntentError
from controller.intent import changed_fields, from_document, read, to_document
from controller.intent.reading import Memory

FILES = [path.read_bytes() for path in sorted((Path(__file__).resolve().parents[2] / "intents").glob("*.yaml"))]
REAL = [text[:3000] for text in FILES] + [text.encode() for text in (PLANE, SLICE, VIP, PLANE + "---\n" + VIP)]
SPLICES = [
    b"\x00", b"\xff", b"\t", b"&a ", b"*a", b"!!python/name:os.system ", b"---\n", b"...\n", b"[", b"{", b"]", b"}",
    b": ", b"- ", b"? ", b"|\n", b"> ", b"'", b'"', b"%TAG ! x\n", b"<<: ", b"1e999", b"-1", b"9" * 5000, b".nan", b"~",
    b"null", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"2026-02-30T25:61", b"0001-01-01T00:00+23:59", b"::1/200",
    b"10.0.0.0/0.0.0.0", "١٢".encode(), b"1_000", b"0x10", b"\\", b"#", b"@", b"`",
]  # fmt: skip
mutation = st.tuples(
    st.integers(0, 2999), st.integers(0, 30), st.one_of(st.sampled_from(SPLICES), st.binary(max_size=6))
)


def accept_only_intent_errors(text: str | bytes) -> None:
    refused = None
    try:
        services = read([("fuzz.yaml", text)], NOW, CITY, memory=Memory())
    except IntentError as error:
        refused, services = error, ()
    if refused is not None:
        assert refused.violations
        assert all(v.problem and v.source == "fuzz.yaml" for v in refused.violations)
        str(refused).encode("utf-8", "surrogatepass")
    for service in services:
        assert from_document(to_document(service)) == service
        assert changed_fields(service, service) == ()


@given(st.sampled_from(REAL), st.lists(mutation, min_size=1, max_size=5))
@settings(max_examples=500, deadline=None)
def test_mutated_real_files_end_as_services_or_intent_errors(text, mutations):
    for place, gone, put in mutations:
        at = place % (len(text) + 1)
        text = text[:at] + put + text[at + gone :]
    accept_only_intent_errors(text)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
@example("\ud800")
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_and_text_end_as_intent_errors(text):
    accept_only_intent_errors(text)


plain = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["10Gbps", "now"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)
FIELDS = [
    "site", "sites", "endpoints", "bandwidth", "name", "lan", "window", "start",
    "end", "duration", "conference", "mcu", "parties", "address", "demands", "from",
    "to", "slo", "latency", "regions", "include", "hubs",
]  # fmt: skip
shaped = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5)),
    max_leaves=20,
)


@given(st.sampled_from(["DedicatedPlane", "ExclusiveSlice", "VipAssurance"]), shaped, plain)
@settings(max_examples=300, deadline=None)
def test_typed_documents_of_any_shape_end_as_services_or_intent_errors(kind, spec, metadata):
    document = {"apiVersion": "onecity/v1", "kind": kind, "metadata": metadata, "spec": spec}
    with suppress(IntentError):
        from_document(document, "order")
