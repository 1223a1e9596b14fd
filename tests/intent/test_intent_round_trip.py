"""What is written back reads as the same service, for every value that a service can have."""

from __future__ import annotations

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from intent_samples import NOW, PLANE, SLICE, VIP, accepted

from controller.intent import from_document, json_schema, quantities, read, to_document
from controller.intent.reading import Memory

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
rates = st.integers(1, 10**15).map(lambda bps: f"{bps}bps")
slos = st.fixed_dictionaries(
    {},
    optional={
        "latency": st.floats(1e-6, 60).map(lambda s: f"{s!r}s"),
        "jitter": st.integers(1, 10**6).map(lambda us: f"{us}us"),
        "loss": st.floats(1e-9, 0.99).map(repr),
        "availability": st.floats(0.5, 0.9999999).map(repr),
        "hops": st.integers(1, 64),
    },
)
bounds = {
    "slo": slos,
    "regions": st.fixed_dictionaries({"include": st.lists(names, max_size=3, unique=True)}),
    "avoid": st.fixed_dictionaries({"nodes": st.lists(names, max_size=3, unique=True)}),
    "within": st.fixed_dictionaries({"nodes": st.just(["only.here", "node:and/there"])}),
    "trust": st.sampled_from(["L1", "2", 3, "l4"]),
}
vlans = st.integers(1, 4094)


@st.composite
def documents(draw):
    count = draw(st.integers(2, 5))
    called = draw(st.lists(names, min_size=count, max_size=count, unique=True))
    ends = [
        {"site": name, "lan": [f"10.{index}.{draw(st.integers(0, 255))}.0/24"], "port": f"node:{name}/tp:{index}"}
        | draw(st.fixed_dictionaries({}, optional={"vlan": vlans, "name": st.just(f"{name[:20]}-{index}x")}))
        for index, name in enumerate(called)
    ]
    kind = draw(st.sampled_from(["DedicatedPlane", "ExclusiveSlice", "VipAssurance"]))
    spec = draw(st.fixed_dictionaries({}, optional=bounds))
    if kind != "VipAssurance" and draw(st.booleans()):
        spec |= {"window": draw(windows)}
    if kind == "DedicatedPlane":
        spec |= {"bandwidth": draw(rates), "sites": [end | {"bandwidth": draw(rates)} for end in ends]}
        spec |= draw(
            st.sampled_from([{}, {"plane": "B"}, {"floor": "12.5%"}, {"addressing": {"pool": "10.64.0.0/12"}}])
        )
        if draw(st.booleans()):
            spec |= {"topology": "hub-and-spoke", "hubs": [ends[0].get("name", called[0])]}
    elif kind == "ExclusiveSlice":
        spec |= {"bandwidth": draw(rates), "endpoints": ends, "diverseFrom": ["one-more-survey", "other/b"]}
        spec |= draw(
            st.sampled_from(
                [
                    {},
                    {"connectivity": "hub-and-spoke", "hub": ends[1].get("name", called[1])},
                    {
                        "isolation": "nrp",
                        "plane": "A",
                        "togetherWith": ["a-name-longer-than-any-drawn", "other/c"],
                        "disjoint": ["node", "link"],
                    },
                ]
            )
        )
    else:
        spec |= {"protects": "other/x", "window": draw(windows)}
        if draw(st.booleans()):
            parties = [{"site": name, "address": f"10.0.0.{2 + index}"} for index, name in enumerate(called)]
            media = draw(st.fixed_dictionaries({}, optional={"video": st.just({"bandwidth": "2Mbps", "ports": 7})}))
            spec |= {"conference": {"mcu": {"access": "m", "address": "10.0.0.1"}, "parties": parties, "media": media}}
        else:
            spec |= {"bandwidth": draw(rates), "flows": [{"name": "f", "ports": "1-65535", "bandwidth": draw(rates)}]}
    labels = draw(st.dictionaries(names, st.text("abc é中: #'\"-", max_size=10), max_size=2))
    metadata = {"name": draw(names), "tenant": draw(names), "labels": labels}
    return {"apiVersion": "onecity/v1", "kind": kind, "metadata": metadata, "spec": spec}


windows = st.one_of(
    st.integers(1, 10**6).map(lambda s: {"start": "now", "duration": f"{s}s"}),
    st.integers(1, 10**6).map(lambda s: {"start": "2027-03-01 14:00:00.5 +08:00", "duration": f"{s}s"}),
)


@given(documents())
@settings(max_examples=150, deadline=None)
def test_a_service_written_back_reads_as_the_same_service(document):
    service = from_document(document)
    written = to_document(service)
    assert from_document(written) == service
    assert from_document(json.loads(json.dumps(written))) == service
    text = yaml.safe_dump(written, allow_unicode=True)
    assert read([("x", text)], NOW, memory=Memory()) == (service,)
    assert to_document(from_document(written)) == written


@given(st.integers(1, 10**15))
def test_a_rate_written_back_is_the_same_rate(bps):
    assert quantities.rate(quantities.rate_text(bps)) == bps


@given(st.floats(1e-6, 60))
def test_a_delay_written_back_is_the_same_to_the_last_bit(seconds):
    assert quantities.delay(quantities.delay_text(seconds)) == seconds


@given(st.floats(1e-9, 1, exclude_max=True))
def test_a_loss_written_back_is_the_same_to_the_last_bit(ratio):
    assert quantities.loss(quantities.loss_text(ratio)) == ratio


@given(st.floats(0.5, 1, exclude_max=True))
def test_an_availability_written_back_is_the_same_to_the_last_bit(ratio):
    assert quantities.availability(quantities.percent_text(ratio)) == ratio


def test_quantities_are_written_as_people_write_them():
    assert [quantities.rate_text(bps) for bps in (10**10, 2_500_000_000, 128_000, 999)] == [
        "10Gbps", "2.5Gbps", "128kbps", "999bps",
    ]  # fmt: skip
    assert [quantities.delay_text(s) for s in (0.02, 0.0005, 1.5)] == ["20ms", "500us", "1.5s"]
    assert [quantities.span_text(s) for s in (7200.0, 5400.0, 86400.0)] == ["2h", "90min", "1d"]
    assert quantities.percent_text(0.9999) == "99.99%"


def test_the_catalogue_fills_in_what_is_left_out():
    plane, slice_, vip = accepted(PLANE, SLICE, VIP)
    assert (plane.slo.latency_s, plane.slo.availability, plane.floor_ratio) == (None, 0.999, 0.5)
    assert (slice_.slo.latency_s, slice_.slo.loss_ratio, slice_.slo.availability) == (0.020, 1e-4, 0.9999)
    assert (vip.slo.latency_s, vip.slo.loss_ratio) == (0.050, 1e-5)
    flows = [(f.name, f.protocol, f.port_low, f.port_high, f.rate_bps, f.queue) for f in vip.conference.flows]
    assert flows == [
        ("sig", 6, 5060, 5061, 128_000, 6),
        ("aud", 17, 16384, 16883, 256_000, 7),
        ("vid", 17, 20000, 20999, 4_000_000, 6),
    ]
    assert [party.name for party in vip.conference.parties] == ["p1", "p-10-10-2-20"]


def test_an_endpoint_of_a_slice_carries_the_sum_of_its_demands():
    text = SLICE + "    - {site: pingdi}\n"
    assert [end.rate_bps for end in accepted(text)[0].endpoints] == [20 * 10**9] * 3
    hub = text.replace("spec:", "spec:\n  connectivity: hub-and-spoke\n  hub: buji")
    assert [end.rate_bps for end in accepted(hub)[0].endpoints] == [20 * 10**9, 10**10, 10**10]


def test_the_schema_knows_every_kind_and_every_field_that_is_written_back():
    schema = json_schema()
    assert len(schema["oneOf"]) == 3
    for service in accepted(PLANE, SLICE, VIP):
        document = to_document(service)
        spec = schema["$defs"][{"D": "PlaneSpec", "E": "SliceSpec", "V": "VipSpec"}[document["kind"][0]]]
        assert set(document["spec"]) <= set(spec["properties"])
        assert spec["additionalProperties"] is False
