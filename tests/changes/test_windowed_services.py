"""Slices and planes with a window: accepted ahead, in the network while it is open, gone after it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from controller.changes.leavings import leavings
from controller.changes.opening import with_openings
from controller.changes.pipeline import Planned, Wanted, plan
from controller.changes.present import service_action
from controller.changes.state import rebuilt
from controller.errors import IntentError
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from controller.verification.proof import Property
from tests.changes.wanted import NOW, empty, office, partition, planned, services, slice_over_three

SURVEY, OFFICE, PARTITION = ServiceId("lands/survey"), ServiceId("gov/office"), ServiceId("lands/partition")
TEXTS = {SURVEY: slice_over_three(), OFFICE: office(), PARTITION: partition()}
DAY = "2026-11-21"


def at(hour: float) -> datetime:
    """Hours after midnight; it is eight."""
    return NOW + timedelta(hours=hour - 8)


def within(text: str, start: str, end: str) -> str:
    return text.replace("spec:\n", f'spec:\n  window: {{start: "{DAY}T{start}Z", end: "{DAY}T{end}Z"}}\n', 1)


def _ahead(city: CityMap, *texts: str) -> Planned:
    return planned(city, *empty(city), Wanted(services(*texts)))


@pytest.mark.parametrize("sid", TEXTS)
def test_before_and_after_its_window_nothing_of_it_is_in_the_network(city: CityMap, sid: ServiceId) -> None:
    nothing = rebuilt({}, city)
    first = _ahead(city, within(TEXTS[sid], "09:00:00", "18:00:00"))
    assert not first.edits
    assert not first.after.services[sid].active
    assert sid in first.after.ledger.services()
    opened = planned(city, first.after, first.model, Wanted(opens=frozenset({sid})), at(9))
    assert opened.edits
    assert sid in opened.after.desired.services
    assert opened.after.ledger.dump() == first.after.ledger.dump(), "what it holds was held before"
    closed = planned(city, opened.after, opened.model, Wanted(closes=frozenset({sid})), at(18))
    assert closed.after.services[sid].expired
    assert closed.after.ledger.dump() == nothing.ledger.dump()
    assert not any(closed.after.desired.tree(d) for d in closed.after.desired.domains)


def test_the_same_asked_again_in_its_window_and_after_it_comes_to_nothing(city: CityMap) -> None:
    wanted = Wanted(services(within(partition(), "09:00:00", "18:00:00")))
    first = planned(city, *empty(city), wanted)
    opened = planned(city, first.after, first.model, Wanted(opens=frozenset({PARTITION})), at(9))
    assert planned(city, opened.after, opened.model, wanted, at(10)).changes_nothing
    closed = planned(city, opened.after, opened.model, Wanted(closes=frozenset({PARTITION})), at(18))
    after = planned(city, closed.after, closed.model, wanted, at(19))
    assert after.changes_nothing
    assert [p.action for p in after.plans] == ["expired"]


def test_start_now_is_dated_once_and_named_by_one_digest(city: CityMap) -> None:
    text = partition().replace("spec:\n", "spec:\n  window: {start: now, duration: 2h}\n")
    wanted = Wanted(services(text))
    first, later = (planned(city, *empty(city), wanted, moment) for moment in (NOW, NOW + timedelta(minutes=3)))
    assert first.digest == later.digest
    standing = first.after.services[PARTITION]
    assert (standing.active, standing.placement.start, standing.placement.end) == (True, at(8), at(10))
    assert planned(city, first.after, first.model, wanted, at(9)).changes_nothing
    repaired = planned(city, first.after, first.model, Wanted(again=frozenset({PARTITION})), at(9))
    assert repaired.changes_nothing


def test_what_is_in_use_takes_the_place_of_what_has_gone_in_the_network_too(city: CityMap) -> None:
    """The second uses the labels of the first: the configurations of both together would clash."""
    one, two = (
        within(slice_over_three(name, lan), start, end)
        .replace("timeslot", "wavelength")
        .replace("1Gbps", "100Gbps")
        .replace("longgang", "zhihui")
        for name, lan, start, end in (
            ("one", "10.40", "09:00:00", "10:00:00"),
            ("two", "10.41", "10:00:00", "11:00:00"),
        )
    )
    first = _ahead(city, one, two)
    sids = ServiceId("lands/one"), ServiceId("lands/two")
    a, b = (first.after.services[sid].placement.circuits[0] for sid in sids)
    assert (a.working, a.a, a.z) == (b.working, b.a, b.z)
    opened = planned(city, first.after, first.model, Wanted(opens=frozenset({sids[0]})), at(9))
    early = plan(opened.after, opened.model, city, Wanted(opens=frozenset({sids[1]})), at(10))
    assert early.proofs.broken, "while the first is still there the second is not let in"
    closed = planned(city, opened.after, opened.model, Wanted(closes=frozenset({sids[0]})), at(10))
    planned(city, closed.after, closed.model, Wanted(opens=frozenset({sids[1]})), at(10))


def test_to_put_off_what_is_in_use_interrupts_it_and_to_prolong_it_does_not(city: CityMap) -> None:
    lasting = _ahead(city, partition())
    put_off = planned(city, lasting.after, lasting.model, Wanted(services(within(partition(), "09:00:00", "18:00:00"))))
    (action,) = put_off.plans
    assert (action.action, action.impact) == ("change", "interrupting")
    assert put_off.edits
    for end, start in (("19:00:00", "08:00:00"), ("12:00:00", "08:00:00")):
        window = _ahead(city, within(partition(), "08:00:00", "18:00:00"))
        (action,) = planned(city, window.after, window.model, Wanted(services(within(partition(), start, end)))).plans
        assert (action.action, action.impact) == ("change", "none")


def test_what_had_a_window_stays_when_the_window_is_taken_away(city: CityMap) -> None:
    first = _ahead(city, within(partition(), "09:00:00", "18:00:00"))
    second = planned(city, first.after, first.model, Wanted(services(partition())))
    standing = second.after.services[PARTITION]
    assert (standing.active, standing.placement.start) == (True, None)
    assert second.edits


def test_a_plan_says_what_is_reserved_and_for_when(city: CityMap) -> None:
    first = _ahead(city, within(partition(), "09:00:00", "18:00:00"))
    shown = service_action(first.plans[0], city)
    assert shown.notes[0] == f"reserved for {DAY} 09:00–18:00 UTC"


def test_an_assurance_outside_the_window_of_what_it_protects_is_refused_with_its_line() -> None:
    vip = f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: council, tenant: gov}}
spec:
  protects: office
  window: {{start: "{DAY}T08:30:00Z", end: "{DAY}T18:30:00Z"}}
"""
    with pytest.raises(IntentError) as caught:
        services(within(office(), "09:00:00", "18:00:00"), vip)
    start, end = caught.value.violations
    assert (start.field, end.field) == ("spec.window.start", "spec.window.end")
    assert start.problem.startswith("gov/office stands from 2026-11-21T09:00:00Z to 2026-11-21T18:00:00Z only")


def test_what_is_protected_does_not_get_a_window_shorter_than_its_protection(city: CityMap) -> None:
    vip = f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: council, tenant: gov}}
spec:
  protects: office
  window: {{start: "{DAY}T10:00:00Z", end: "{DAY}T12:00:00Z"}}
"""
    first = _ahead(city, office(), vip)
    narrowed = plan(first.after, first.model, city, Wanted(services(within(office(), "09:00:00", "11:00:00"))), NOW)
    (refusal,) = narrowed.refusals
    assert refusal.binds == f"gov/office stands {DAY} 09:00–11:00 UTC only"


def test_who_keeps_away_from_a_service_stays_when_that_ones_window_is_over(city: CityMap) -> None:
    loose = "{latency: 10ms, availability: 99%}"
    ahead = within(partition(), "09:00:00", "18:00:00").replace("{latency: 10ms}", loose).replace("standby", "none")
    apart = partition("apart", "10.41").replace("{latency: 10ms}", loose).replace("standby", "none")
    apart = apart.replace("  endpoints", "  diverseFrom: [partition]\n  endpoints").replace("pingdi", "zhihui")
    ahead = ahead.replace("buji", "longgang").replace("pingdi", "pinghu")
    first = _ahead(city, ahead, apart)
    closed = planned(city, first.after, first.model, Wanted(closes=frozenset({PARTITION})), at(18))
    sid = ServiceId("lands/apart")
    assert planned(city, closed.after, closed.model, Wanted(again=frozenset({sid})), at(19)).changes_nothing
    wider = planned(city, closed.after, closed.model, Wanted(services(apart.replace("200M", "300M"))), at(19))
    assert wider.after.services[sid].placement.promises[0].rate_bps == 300_000_000


def test_while_its_window_is_moved_both_are_held_and_no_moment_twice(city: CityMap) -> None:
    first = _ahead(city, within(partition(), "09:00:00", "18:00:00"))
    second = planned(city, first.after, first.model, Wanted(services(within(partition(), "12:00:00", "20:00:00"))))
    (left,) = leavings(first.after.services, second.after.services, [PARTITION], "c")
    assert {(r.start, r.end) for r in left.rates} == {(at(9), at(12))}
    assert {(r.start, r.end) for r in left.labels} == {(at(9), at(12))}
    before = {r.link: r.rate_bps for r in first.after.services[PARTITION].placement.rates}
    assert {r.link: r.rate_bps for r in left.rates} == before


@pytest.mark.parametrize(("start", "together"), [("09:00:00", True), ("09:59:00", True), ("10:00:00", False)])
def test_what_could_not_stand_beside_others_when_it_opens_is_found_when_it_is_accepted(
    city: CityMap, start: str, together: bool
) -> None:
    """Two slices that were placed without knowing of each other, and so have the same labels."""
    one = _ahead(city, within(slice_over_three("one"), "09:00:00", "10:00:00"))
    two = _ahead(city, within(slice_over_three("two", "10.41"), start, "11:00:00"))
    both = {**one.after.services, **two.after.services}
    state = rebuilt(both, city)
    found = with_openings(one.proofs, state, one.model, city, two.puts)
    assert bool(found.broken) is together
    assert all(b.service in both and f"when its window opens, {DAY} {start[:5]}" in b.reason for b in found.broken)
    assert (Property.CAPACITY in found.held) is not together
    assert found.checks > one.proofs.checks


def test_what_is_accepted_ahead_is_proven_ahead(city: CityMap) -> None:
    first = _ahead(city, within(partition(), "09:00:00", "18:00:00"), within(office(), "10:00:00", "18:00:00"))
    assert set(first.proofs.held) == set(Property)
    assert first.proofs.checks > 0
    assert not first.edits


def test_a_service_is_removed_before_its_window_as_if_it_had_never_been(city: CityMap) -> None:
    first = _ahead(city, within(slice_over_three(), "09:00:00", "18:00:00"))
    gone = planned(city, first.after, first.model, Wanted(drops=frozenset({SURVEY})))
    assert not gone.edits
    assert gone.after.ledger.dump() == rebuilt({}, city).ledger.dump()
