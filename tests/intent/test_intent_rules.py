"""One test a rule: what is refused, at which field, and what the message offers instead."""

from __future__ import annotations

from datetime import timedelta

import pytest
from intent_samples import CITY, NOW, PLANE, SLICE, VIP, accepted, mistake, mistakes

from controller.errors import IntentError
from controller.intent import check_references, check_windows, from_document, read
from controller.intent.clauses import wish
from controller.intent.model import Assurance
from controller.intent.reading import Memory

BROKEN = [
    # planes
    (PLANE, "1Gbps", "100Gbs", "spec.bandwidth", '"100Gbs" is not a rate; write 100Gbps or 100Gbit/s'),
    (PLANE, "1Gbps", "100", "spec.bandwidth", '"100" has no unit; write 100Mbps or 100Mbit/s'),
    (PLANE, "1Gbps", "0Gbps", "spec.bandwidth", "is not more than zero"),
    (PLANE, "1Gbps", "99999999999999999999Gbps", "spec.bandwidth", "more than any network carries"),
    (PLANE, "1Gbps", "1e999Gbps", "spec.bandwidth", "more than any network carries"),
    (PLANE, "bandwidth:", "bandwith:", "spec.bandwith", "did you mean bandwidth?"),
    (PLANE, "  bandwidth: 1Gbps\n", "", "spec.sites[0].bandwidth", "is missing (and 2 more sites)"),
    (PLANE, "site: buji", "site: bujii", "spec.sites[1].site", "not a site of this city; did you mean buji?"),
    (PLANE, "site: buji,", "", "spec.sites[1].site", "is missing"),
    (PLANE, "site: buji", "site: zhihui", "spec.sites[1].site", "already the name of sites[0]"),
    (PLANE, "10.10.1.0/24", "10.10.0.128/25", "spec.sites[1].lan", "overlaps 10.10.0.0/24 of sites[0]"),
    (PLANE, "10.10.1.0/24", "10.10.1.7/24", "spec.sites[1].lan", "write 10.10.1.0/24"),
    (PLANE, "10.10.1.0/24", "10.10.1.7", "spec.sites[1].lan", "write 10.10.1.7/32"),
    (PLANE, "10.10.1.0/24", "10.10.1.0/33", "spec.sites[1].lan", "is not a prefix"),
    (PLANE, "10.10.1.0/24", "224.0.0.0/8", "spec.sites[1].lan", "multicast"),
    (PLANE, "lan: 10.10.1.0/24", "vlan: 4095", "spec.sites[1].vlan", "whole number from 1 to 4094"),
    (PLANE, "lan: 10.10.1.0/24", "port: acc-1", "spec.sites[1].port", "node:lg-buji/tp:acc-1"),
    (PLANE, "spec:", "spec:\n  topology: hub-and-spoke", "spec.hubs", "needs a hub"),
    (PLANE, "spec:", "spec:\n  hubs: [zhihui]", "spec.hubs", "write topology: hub-and-spoke"),
    (PLANE, "spec:", "spec:\n  topology: hub-and-spoke\n  hubs: [zhihuj, buji]", "spec.hubs", "did you mean zhihui?"),
    (PLANE, "spec:", "spec:\n  topology: mesh", "spec.topology", "write any-to-any or hub-and-spoke"),
    (PLANE, "spec:", "spec:\n  plane: C", "spec.plane", "write A or B"),
    (PLANE, "spec:", "spec:\n  floor: 150%", "spec.floor", "between 0 and 1"),
    (PLANE, "spec:", "spec:\n  trust: L5", "spec.trust", "write L1, L2, L3 or L4"),
    (PLANE, "spec:", "spec:\n  regions: {include: west, exclude: west}", "spec.regions.exclude", "both included and"),
    (PLANE, "spec:", "spec:\n  addressing: {pool: 10.10.0.0/16}\n  floor: 1", None, None),
    (PLANE, "lan: 10.10.1.0/24", "name: b", None, None),
    (PLANE, "spec:", "spec:\n  addressing: {pool: 10.0.0.0/8, prefixLength: 4}", "spec.addressing.prefixLength", "8"),
    (PLANE, "name: office", "name: Office_1", "metadata.name", "as office-1"),
    (PLANE, "name: office", f"name: {'x' * 64}", "metadata.name", "has 64 characters"),
    (PLANE, "name: office, ", "", "metadata.name", "is missing"),
    (PLANE, "tenant: gov", "tenant: [gov]", "metadata.tenant", "a list is not a name"),
    (PLANE, "tenant: gov", "labels: {a b: c}", "metadata.labels.a b", "is not a label"),
    (PLANE, "onecity/v1", "onecity/v2", "apiVersion", "write onecity/v1"),
    (PLANE, "DedicatedPlane", "DedicatedPlan", "kind", "did you mean DedicatedPlane?"),
    (PLANE, "kind: DedicatedPlane\n", "", "kind", "is missing"),
    (PLANE, "metadata: {name: office, tenant: gov}", "metadata: office", "metadata", "must be a mapping"),
    (PLANE, "spec:", "spec:\n  assurance: off", "spec.assurance", "is not a field here"),
    # what wears out
    (SLICE, "spec:", "spec:\n  assurance: never", "spec.assurance", "write auto, propose or off"),
    (SLICE, "spec:", "spec:\n  assurance: off", None, None),
    (VIP, "spec:", "spec:\n  assurance: propose", None, None),
    # promises
    (SLICE, "spec:", "spec:\n  slo: {latency: 0ms}", "spec.slo.latency", "cannot be met"),
    (SLICE, "spec:", "spec:\n  slo: {latency: 1ns}", "spec.slo.latency", "write at least 1us"),
    (SLICE, "spec:", "spec:\n  slo: {jitter: 1ns}", "spec.slo.jitter", "write at least 1us"),
    (SLICE, "spec:", "spec:\n  slo: {loss: 1e-30}", "spec.slo.loss", "write at least 1e-9"),
    (SLICE, "10Gbps", "1000000000", "spec.bandwidth", "has no unit; write 1000000000bps or 1Gbps"),
    (SLICE, "10Gbps", "1e9", "spec.bandwidth", "has no unit; write 1000000000bps or 1Gbps"),
    (SLICE, "10Gbps", "100", "spec.bandwidth", "has no unit; write 100Mbps or 100Mbit/s"),
    (SLICE, "spec:", "spec:\n  slo: {latency: -1ms}", "spec.slo.latency", "cannot be met"),
    (SLICE, "spec:", "spec:\n  slo: {latency: 20}", "spec.slo.latency", "has no unit; write for example 20ms"),
    (SLICE, "spec:", "spec:\n  slo: {latency: soon}", "spec.slo.latency", "is not a time"),
    (SLICE, "spec:", "spec:\n  slo: {jitter: 2h}", "spec.slo.jitter", "is not a time"),
    (SLICE, "spec:", "spec:\n  slo: {availability: 100%}", "spec.slo.availability", "below 100%"),
    (SLICE, "spec:", "spec:\n  slo: {availability: 99.99}", "spec.slo.availability", "write 99.99%"),
    (SLICE, "spec:", "spec:\n  slo: {loss: 2}", "spec.slo.loss", "between 0 and 1"),
    (SLICE, "spec:", "spec:\n  slo: {loss: 0}", "spec.slo.loss", "between 0 and 1"),
    # what the city has
    (SLICE, "spec:", "spec:\n  regions: {include: wset}", "spec.regions.include", "did you mean west?"),
    (VIP, "spec:", "spec:\n  regions: {exclude: [east, eas]}", "spec.regions.exclude", "did you mean east?"),
    (PLANE, "spec:", "spec:\n  avoid: {nodes: lg-buij}", "spec.avoid.nodes", "did you mean lg-buji"),
    (PLANE, "spec:", "spec:\n  within: {nodes: lg-buij}", "spec.within.nodes", "did you mean lg-buji"),
    (PLANE, "spec:", "spec:\n  within: {nodes: lg-buji}\n  avoid: {nodes: lg-buji}", "spec.avoid.nodes", "one of them"),
    (PLANE, "spec:", "spec:\n  slo: {hops: 0}", "spec.slo.hops", "whole number from 1 to 64"),
    (PLANE, "spec:", "spec:\n  avoid: {nodes: [lg-buji, otn-buji, 'node:lg-buji']}", None, None),
    (PLANE, "10.10.1.0/24", "172.16.0.0/12", "spec.sites[1].lan", "overlaps 172.16.0.0/12, from which the links"),
    (SLICE, "10.20.1.0/24", "172.20.7.0/24", "spec.endpoints[0].lan", "overlaps 172.16.0.0/12"),
    (PLANE, "spec:", "spec:\n  addressing: {pool: 172.0.0.0/8}", "spec.addressing.pool", "overlaps 172.16.0.0/12"),
    # slices
    (SLICE, "  bandwidth: 10Gbps\n", "", "spec.bandwidth", "is missing"),
    (SLICE, "    - {site: longgang, lan: 10.20.2.0/24}\n", "", "spec.endpoints", "at least 2"),
    (SLICE, "spec:", "spec:\n  isolation: wavelenght", "spec.isolation", "did you mean wavelength?"),
    (SLICE, "spec:", "spec:\n  class: vidoe", "spec.class", "did you mean video?"),
    (SLICE, "spec:", "spec:\n  connectivity: hub-and-spoke", "spec.hub", "needs a hub; write for example hub: buji"),
    (SLICE, "spec:", "spec:\n  connectivity: hub-and-spoke\n  hub: bujj", "spec.hub", "did you mean buji?"),
    (SLICE, "spec:", "spec:\n  hub: buji", "spec.hub", "write connectivity: hub-and-spoke"),
    (SLICE, "spec:", "spec:\n  diverseFrom: [survey]", "spec.diverseFrom", "cannot be diverse from itself"),
    (SLICE, "spec:", "spec:\n  togetherWith: [survey]", "spec.togetherWith", "goes its own way anyway"),
    (SLICE, "spec:", "spec:\n  togetherWith: [b]\n  diverseFrom: [b]", "spec.togetherWith", "also in diverseFrom"),
    (SLICE, "spec:", "spec:\n  disjoint: [nod]", "spec.disjoint[0]", "did you mean node?"),
    (SLICE, "spec:", "spec:\n  disjoint: []", "spec.disjoint", "at least 1"),
    (SLICE, "spec:", "spec:\n  protection: none\n  disjoint: [node]", "spec.disjoint", "has no standby"),
    (SLICE, "spec:", "spec:\n  plane: C", "spec.plane", "write A or B"),
    (SLICE, "spec:", "spec:\n  demands: [{from: buji, to: longang}]", "spec.demands[0].to", "did you mean longgang?"),
    (SLICE, "spec:", "spec:\n  demands: [{from: buji, to: buji}]", "spec.demands[0].to", "two different endpoints"),
    (SLICE, "site: buji", "attach: optical, site: buji", "spec.endpoints[1].attach", "at one layer"),
    (SLICE, "spec:", "spec:\n  window: {start: now}", "spec.window", "needs a duration"),
    (SLICE, "spec:", "spec:\n  window: {start: now, duration: 400d}", "spec.window.duration", "without a window"),
    (PLANE, "spec:", "spec:\n  window: {start: 2206-12-01T14:00Z, duration: 2h}", "spec.window.start", "ten years"),
    (PLANE, "spec:", "spec:\n  window: {duration: 2h}", "spec.window.start", "missing"),
    # assurances
    (VIP, "start: now, duration: 2h", "start: now", "spec.window", "needs a duration"),
    (VIP, "start: now, duration: 2h", "start: now, duration: 2", "spec.window.duration", "is not a duration"),
    (VIP, "start: now, duration: 2h", "start: now, duration: 400d", "spec.window.duration", "longer than a year"),
    (VIP, "start: now, duration: 2h", "start: 2026-12-01T14:00", "spec.window.start", "no time zone"),
    (VIP, "start: now, duration: 2h", "start: 2026-12-01T14:00Z", "spec.window", "has no end"),
    (VIP, "now, duration: 2h", "2026-12-01T14:00Z, end: 2026-12-01T13:00Z", "spec.window.end", "not after"),
    (VIP, "start: now, duration: 2h", "start: 9999-12-31T23:00Z, duration: 2h", "spec.window.duration", "calendar"),
    (VIP, "start: now, duration: 2h", "start: 2206-12-01T14:00Z, duration: 2h", "spec.window.start", "ten years ahead"),
    (VIP, "start: now, duration: 2h", "start: tomorrow, duration: 2h", "spec.window.start", "is not a time"),
    (VIP, "protects: office", "protects: council", "spec.protects", "cannot protect itself"),
    (VIP, "protects: office", "protects: a/b/c", "spec.protects", "is not a service"),
    (VIP, "10.10.2.20", "10.10.1.20", "spec.conference.parties[1].address", "already the address of parties[0]"),
    (VIP, "10.10.2.20", "10.10.0.10", "spec.conference.parties[1].address", "already the address of the MCU"),
    (VIP, "10.10.2.20", "fd00::1", "spec.conference.parties[1].address", "IPv6"),
    (VIP, "{site: longgang,", "{name: p1, site: longgang,", "spec.conference.parties[1].name", "already the name"),
    (VIP, "{site: longgang, ", "{", "spec.conference.parties[1]", "has no site"),
    (VIP, "  conference:", "  bandwidth: 1Mbps\n  conference:", "spec.bandwidth", "states its own media"),
    (VIP, "mcu:", "media: {video: {ports: 2-1}}\n    mcu:", "spec.conference.media.video.ports", "write 1-2"),
    (VIP, "spec:", "spec:\n  priority: 8", "spec.priority", "whole number from 0 to 7"),
]  # fmt: skip


@pytest.mark.parametrize(("good", "old", "new", "field", "words"), BROKEN, ids=range(len(BROKEN)))
def test_each_rule_names_the_field_and_what_would_be_right(good, old, new, field, words):
    text = good.replace(old, new, 1)
    assert text != good
    if field is None:
        accepted(text)
        return
    found = [violation for violation in mistakes(text) if violation.field == field]
    assert len(found) == 1, mistakes(text)
    assert words in found[0].problem
    assert found[0].line > 0


def test_the_line_is_that_of_the_field():
    assert mistake("# a comment\n---\n" + SLICE.replace("10Gbps", "10")).line == 7


def test_every_mistake_is_reported_together_over_all_documents_and_files():
    first = PLANE.replace("1Gbps", "1G") + "---\n" + SLICE.replace("slice", "").replace("buji", "bujj")
    second = VIP.replace("2h", "2")
    found = mistakes(first, second)
    assert [(v.source, v.field) for v in found] == [
        ("f0.yaml", "spec.bandwidth"),
        ("f0.yaml", "spec.endpoints[0].site"),
        ("f1.yaml", "spec.window.duration"),
    ]


def test_a_broken_rate_does_not_hide_overlapping_prefixes():
    found = mistakes(PLANE.replace("1Gbps", "1G").replace("10.10.1.0/24", "10.10.0.0/25"))
    assert {v.field for v in found} == {"spec.bandwidth", "spec.sites[1].lan"}


def test_one_name_twice_is_refused_with_the_place_of_the_first():
    found = mistake(PLANE, SLICE.replace("survey", "office"))
    assert found.field == "metadata.name"
    assert "gov/office is already written at f0.yaml:1" in found.problem


def test_the_same_name_in_two_tenants_is_two_services():
    assert len(accepted(PLANE, PLANE.replace("gov", "police"))) == 2


def test_a_party_must_stand_behind_its_access_of_the_plane():
    assert "is not behind buji" in mistake(PLANE, VIP.replace("10.10.1.20", "10.10.9.20")).problem
    assert "did you mean buji?" in mistake(PLANE, VIP.replace("site: buji", "site: bujj")).problem


def test_a_conference_rides_on_a_plane_only():
    assert "carried by a DedicatedPlane" in mistake(SLICE, VIP.replace("office", "survey")).problem


def test_an_assurance_of_an_assurance_is_refused():
    other = VIP.replace("name: council", "name: second").replace("protects: office", "protects: council")
    assert mistake(VIP, other).field == "spec.protects"


def test_two_accesses_of_one_site_need_names_and_different_vlans():
    two = PLANE.replace("site: buji", "site: zhihui, name: second, vlan: 7").replace(
        "{site: zhihui,", "{site: zhihui, vlan: 7,", 1
    )
    assert "VLAN 7 is taken by zhihui" in mistake(two).problem


def test_a_pool_too_small_for_the_sites_is_refused():
    text = PLANE.replace(", lan: 10.10.1.0/24", "").replace(", lan: 10.10.2.0/24", "")
    text = text.replace("spec:", "spec:\n  addressing: {pool: 10.64.0.0/24, prefixLength: 24}")
    assert "holds 1 prefixes of /24, but 2 sites have no lan" in mistake(text).problem


def test_a_given_prefix_inside_the_pool_that_others_draw_from_is_refused():
    text = PLANE.replace(", lan: 10.10.1.0/24", "").replace("spec:", "spec:\n  addressing: {pool: 10.10.0.0/16}")
    assert {v.field for v in mistakes(text)} == {"spec.sites[0].lan", "spec.sites[2].lan"}


def test_more_sites_than_a_plane_may_have_is_refused():
    rows = "".join(f"    - {{site: buji, name: n{i}}}\n" for i in range(5001))
    assert "at most 5,000" in mistake(PLANE[: PLANE.index("    - ")] + rows).problem


@pytest.mark.parametrize("text", [PLANE, SLICE, VIP])
def test_a_window_that_has_passed_is_refused_for_a_new_service_only(text):
    past = "window: {start: 2026-11-20T10:00Z, end: 2026-11-20T12:00Z}"
    without = text.replace("  window: {start: now, duration: 2h}\n", "")
    services = accepted(without.replace("spec:", f"spec:\n  {past}"))
    with pytest.raises(IntentError, match="ended at 2026-11-20T12:00:00Z"):
        check_windows(services, NOW, frozenset())
    check_windows(services, NOW, {services[0].metadata.service})
    check_windows(services, NOW - timedelta(days=2), frozenset())


def test_a_mistake_that_shows_beside_other_services_names_its_line():
    text = SLICE + "---\n" + VIP.replace("protects: office", "protects: offices")
    with pytest.raises(IntentError) as caught:
        check_references(accepted(text), {accepted(PLANE)[0].metadata.service: accepted(PLANE)[0]}, [("f0.yaml", text)])
    (found,) = caught.value.violations
    assert (found.source, found.line, found.field) == ("f0.yaml", 14, "spec.protects")
    past = VIP.replace("start: now, duration: 2h", "start: 2026-11-20T10:00Z,\n    end: 2026-11-20T12:00Z")
    with pytest.raises(IntentError) as caught:
        check_windows(accepted(past), NOW, frozenset(), [("f0.yaml", past)])
    (found,) = caught.value.violations
    assert (found.line, found.field) == (7, "spec.window.end")


def test_a_reference_to_nothing_is_refused_with_the_nearest_name():
    plane, vip = accepted(PLANE)[0], accepted(VIP.replace("protects: office", "protects: offices"))[0]
    with pytest.raises(IntentError, match="did you mean gov/office"):
        check_references([vip], {plane.metadata.service: plane})
    check_references(accepted(VIP), {plane.metadata.service: plane})


def test_sites_are_not_checked_where_the_city_is_unknown():
    assert read([("x", PLANE.replace("site: buji", "site: elsewhere"))], NOW, memory=Memory())


def test_scalars_are_not_guessed_at():
    plane = accepted(PLANE.replace("name: office", "name: 1203").replace("tenant: gov", "tenant: no"))[0]
    assert plane.metadata.service == "no/1203"


def test_a_typed_document_is_refused_with_the_same_words():
    with pytest.raises(IntentError) as caught:
        from_document({"apiVersion": "onecity/v1", "kind": "ExclusiveSlice", "metadata": {"name": "A"}}, "order")
    assert {v.field for v in caught.value.violations} == {"metadata.name", "spec"}
    assert str(caught.value).startswith("order: ")


def test_typed_and_written_documents_are_read_together():
    typed = {
        "apiVersion": "onecity/v1",
        "kind": "ExclusiveSlice",
        "metadata": {"name": "typed"},
        "spec": {"bandwidth": "1Gbps", "endpoints": [{"site": "buji", "vlan": 7}, {"site": "pingdi", "vlan": 7.0}]},
    }
    services = read([("a", typed), ("b", PLANE)], NOW, CITY, memory=Memory())
    assert [s.metadata.service for s in services] == ["default/typed", "gov/office"]


def test_a_typed_document_is_held_against_the_city_as_a_written_one():
    ends = [{"site": "buij", "vlan": 7}, {"site": "pingdi", "vlan": 7.0}]
    typed = {"apiVersion": "onecity/v1", "kind": "ExclusiveSlice", "metadata": {"name": "typed"}}
    with pytest.raises(IntentError) as caught:
        read([("a", {**typed, "spec": {"bandwidth": "1Gbps", "endpoints": ends}})], NOW, CITY, memory=Memory())
    (found,) = caught.value.violations
    assert found.field == "spec.endpoints[0].site"
    assert "did you mean buji?" in found.problem


def test_a_status_written_by_the_controller_may_stay_in_the_file():
    assert accepted(PLANE + "status: {phase: Active}\n") == accepted(PLANE)


def test_what_is_done_for_what_wears_out_is_a_field_and_the_label_from_before_it_holds_where_it_is_left_out():
    def wished(text: str) -> Assurance:
        return wish(accepted(text)[0])

    labelled = SLICE.replace("metadata: {", "metadata: {labels: {assurance: off}, ", 1)
    assert "labels: {assurance: off}" in labelled
    assert wished(SLICE) is Assurance.AUTO
    assert wished(SLICE.replace("spec:", "spec:\n  assurance: propose")) is Assurance.PROPOSE
    assert wished(labelled) is Assurance.OFF
    assert wished(labelled.replace("assurance: off", "assurance: perhaps")) is Assurance.AUTO
    both = mistake(labelled.replace("spec:", "spec:\n  assurance: auto"))
    assert "the label assurance says off; keep the field, remove the label" in str(both)
