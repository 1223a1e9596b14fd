"""What a change comes to, before anything is taken or sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.changes.pipeline import Planned, Wanted, plan
from controller.changes.present import resources, service_action
from controller.changes.state import rebuilt
from controller.errors import ConflictError, IntentError
from controller.intent.model import ServiceId
from controller.network.model import CityMap
from controller.network.outage import without
from tests.changes.wanted import NOW, council, empty, office, planned, services, slice_over_three

OFFICE, COUNCIL = ServiceId("gov/office"), ServiceId("gov/council")


def _council_now(length_s: int = 3600) -> str:
    text = council(0, length_s)
    window = text[text.index("  window:") : text.index("  conference:")]
    return text.replace(window, f"  window: {{start: now, duration: {length_s}s}}\n")


def test_the_same_asked_again_comes_to_nothing(city: CityMap) -> None:
    state, model = empty(city)
    wanted = Wanted(services(office(), slice_over_three()))
    first = planned(city, state, model, wanted)
    again = planned(city, first.after, first.model, wanted)
    assert again.changes_nothing
    assert not again.edits
    assert {p.action for p in again.plans} == {"unchanged"}


def test_a_window_that_starts_now_is_the_same_when_asked_again_later(city: CityMap) -> None:
    state, model = empty(city)
    wanted = Wanted(services(office(), _council_now()))
    first = planned(city, state, model, wanted)
    assert first.after.services[COUNCIL].placement.start == NOW
    later = planned(city, first.after, first.model, wanted, NOW + timedelta(minutes=5))
    assert later.changes_nothing


def test_a_changed_hose_takes_the_vip_over_it_along(city: CityMap) -> None:
    state, model = empty(city)
    first = planned(city, state, model, Wanted(services(office(), _council_now())))
    wider = services(office().replace("100Mbps", "200Mbps"))
    second = planned(city, first.after, first.model, Wanted(wider))
    assert set(second.puts) == {OFFICE, COUNCIL}, "rate limits are percentages of the hose"
    assert second.after.services[COUNCIL].placement.start == NOW, "its window is not dated anew"


def test_a_vip_is_planned_over_its_plane_as_it_stands_where_that_is_refused(city: CityMap) -> None:
    state, model = empty(city)
    first = planned(city, state, model, Wanted(services(office(), council(0, 3600))))
    worn, other = (s.link or "" for s in first.after.services[OFFICE].placement.stitches[:2])
    narrow = {other, city.link_by_id[other].reverse}
    full = replace(city, links=tuple(replace(k, capacity_bps=10**7) if k.id in narrow else k for k in city.links))
    shun = frozenset({f"link:{worn}", f"link:{city.link_by_id[worn].reverse}"})
    found = plan(first.after, first.model, full, Wanted(again=frozenset({OFFICE, COUNCIL}), shun=shun), NOW)
    assert [r.service for r in found.refusals] == [OFFICE]
    assert {p.service for p in found.plans} == {OFFICE, COUNCIL}


def test_a_plane_led_around_a_failure_by_its_routers_moves_what_is_held_and_sends_nothing(city: CityMap) -> None:
    state, model = empty(city)
    first = planned(city, state, model, Wanted(services(office())))
    before = first.after.services[OFFICE]
    held = next(rate.link for rate in before.placement.rates if rate.link.startswith("link:"))
    ends = {held, city.link_by_id[held].reverse}
    cut = without(city, frozenset(f"link:{link}" for link in ends))
    second = planned(cut, first.after, first.model, Wanted(again=frozenset({OFFICE})))
    after = second.after.services[OFFICE]
    assert not ends & {rate.link for rate in after.placement.rates}
    assert all(after.fragments[domain] is tree for domain, tree in before.fragments.items())
    assert not second.edits


def test_what_a_vip_protects_does_not_go_from_under_it(city: CityMap) -> None:
    state, model = empty(city)
    first = planned(city, state, model, Wanted(services(office(), _council_now())))
    with pytest.raises(ConflictError, match="gov/council protects it"):
        planned(city, first.after, first.model, Wanted(drops=frozenset({OFFICE})))
    both = planned(city, first.after, first.model, Wanted(drops=frozenset({OFFICE, COUNCIL})))
    assert not both.after.services
    assert not any(both.after.desired.tree(d) for d in both.after.desired.domains)


def test_what_is_known_of_who_stands_is_after_every_change_as_if_looked_up_anew(city: CityMap) -> None:
    state, model = empty(city)
    coming = _council_now().replace("start: now, duration: 3600s", 'start: "2026-11-21T20:00:00Z", duration: 1h')
    asked = [
        Wanted(services(office())),
        Wanted(services(slice_over_three())),
        Wanted(services(office(), _council_now())),
        Wanted(services(slice_over_three("next", "10.50"))),
        Wanted(drops=frozenset({COUNCIL})),
        Wanted(services(slice_over_three("last", "10.51"), coming)),
        Wanted(opens=frozenset({COUNCIL})),
        Wanted(again=frozenset({OFFICE, COUNCIL})),
        Wanted(closes=frozenset({COUNCIL})),
        Wanted(services(_council_now()), drops=frozenset({ServiceId("lands/next")})),
    ]
    for number, wanted in enumerate(asked):
        moment = NOW + timedelta(hours=12 + number / 100) if number > 5 else NOW
        found = planned(city, state, model, wanted, moment)
        state, model = found.after, found.model
        anew = rebuilt(dict(state.services), city)
        assert state.protectors(state.services) == anew.protectors(state.services)
        assert state.protected() == anew.protected()
        assert list(state.pairs().items()) == list(anew.pairs().items())
        assert list(state.intents().items()) == list(anew.intents().items())
        assert state.windowed() == anew.windowed()


def test_a_vip_before_its_window_holds_capacity_and_configures_nothing(city: CityMap) -> None:
    state, model = empty(city)
    text = _council_now().replace("start: now, duration: 3600s", 'start: "2026-11-21T20:00:00Z", duration: 1h')
    first = planned(city, state, model, Wanted(services(office(), text)))
    assert not first.after.services[COUNCIL].active
    assert COUNCIL in first.after.ledger.services()
    assert COUNCIL not in first.after.desired.services
    opened = planned(city, first.after, first.model, Wanted(opens=frozenset({COUNCIL})), NOW + timedelta(hours=12))
    assert COUNCIL in opened.after.desired.services
    closed = planned(city, opened.after, opened.model, Wanted(closes=frozenset({COUNCIL})), NOW + timedelta(hours=13))
    assert closed.after.services[COUNCIL].expired
    assert COUNCIL not in closed.after.ledger.services()
    assert closed.after.desired.tree("city-ip") == first.after.desired.tree("city-ip"), "the plane is as it was"


def test_a_digest_names_the_change_on_the_state_it_was_made_on(city: CityMap) -> None:
    state, model = empty(city)
    wanted = Wanted(services(office()))
    first = planned(city, state, model, wanted)
    assert planned(city, state, model, wanted).digest == first.digest
    assert planned(city, state, model, Wanted(services(office("other")))).digest != first.digest
    moved = planned(city, state, model, Wanted(services(slice_over_three())))
    assert planned(city, moved.after, moved.model, wanted).digest != first.digest


def test_the_state_after_is_the_state_rebuilt_from_its_services(city: CityMap) -> None:
    state, model = empty(city)
    first = planned(city, state, model, Wanted(services(office(), slice_over_three(), _council_now())))
    second = planned(city, first.after, first.model, Wanted(drops=frozenset({ServiceId("lands/survey")})))
    again = rebuilt(second.after.services, city)
    assert again.ledger.dump() == second.after.ledger.dump()
    assert {d: again.desired.tree(d) for d in city.domains} == {d: second.after.desired.tree(d) for d in city.domains}


def _over(city: CityMap, text: str) -> Planned:
    """A conference whose window came, passed and was closed."""
    first = planned(city, *empty(city), Wanted(services(office(), text)))
    end = first.after.services[COUNCIL].placement.end
    assert end is not None
    return planned(city, first.after, first.model, Wanted(closes=frozenset({COUNCIL})), end)


def test_start_now_asked_again_when_its_window_is_over_opens_a_new_one(city: CityMap) -> None:
    text = _council_now()
    over = _over(city, text)
    next_day = NOW + timedelta(days=1)
    again = planned(city, over.after, over.model, Wanted(services(office(), text)), next_day)
    assert {p.service: p.action for p in again.plans} == {OFFICE: "unchanged", COUNCIL: "change"}
    standing = again.after.services[COUNCIL]
    assert (standing.active, standing.expired) == (True, False)
    assert standing.placement.start == next_day
    assert standing.placement.end == next_day + timedelta(hours=1)
    assert COUNCIL in again.after.desired.services
    assert planned(city, again.after, again.model, Wanted(services(text)), next_day).changes_nothing


def test_start_now_asked_again_in_the_moment_before_its_window_is_closed_opens_a_new_one(city: CityMap) -> None:
    first = planned(city, *empty(city), Wanted(services(office(), _council_now())))
    end = NOW + timedelta(hours=1)
    again = planned(city, first.after, first.model, Wanted(services(_council_now())), end)
    assert again.after.services[COUNCIL].placement.start == end


def test_an_absolute_window_that_is_over_plans_to_nothing_and_says_so(city: CityMap) -> None:
    text = _council_now().replace("start: now, duration: 3600s", 'start: "2026-11-21T08:00:00Z", duration: 1h')
    over = _over(city, text)
    again = planned(city, over.after, over.model, Wanted(services(office(), text)), NOW + timedelta(days=1))
    assert again.changes_nothing
    assert {p.service: p.action for p in again.plans} == {OFFICE: "unchanged", COUNCIL: "expired"}
    shown = {p.service: service_action(p, city) for p in again.plans}
    assert shown[COUNCIL].notes == ("its window is over since 21 Nov 09:00 UTC; write a later one, or start: now",)
    assert not shown[OFFICE].notes


def test_a_change_in_the_moment_before_a_window_is_closed_closes_it(city: CityMap) -> None:
    first = planned(city, *empty(city), Wanted(services(office(), _council_now())))
    wider = services(office().replace("100Mbps", "200Mbps"))
    after = planned(city, first.after, first.model, Wanted(wider), NOW + timedelta(hours=1)).after
    assert after.services[COUNCIL].expired
    assert COUNCIL not in after.desired.services


def _pooled() -> str:
    """The office with its prefixes from a pool: 10.58.0.0/24 for zhihui, .1 for buji, .2 for longgang."""
    text = office()
    for part in ("0", "1", "2"):
        text = text.replace(f", lan: 10.10.{part}.0/24", "")
    return text.replace("spec:", "spec:\n  addressing: {pool: 10.58.0.0/16}")


def test_hosts_of_a_conference_stand_behind_the_prefixes_that_their_plane_was_given(city: CityMap) -> None:
    fitting = _council_now().replace("10.10.", "10.58.")
    both = planned(city, *empty(city), Wanted(services(_pooled(), fitting)))
    assert both.after.services[COUNCIL].active
    stray = fitting.replace("10.58.2.21", "10.58.9.21")
    with pytest.raises(IntentError) as caught:
        planned(city, *empty(city), Wanted(services(_pooled(), stray)))
    (found,) = caught.value.violations
    assert found.problem == "10.58.9.21 is not behind longgang, which has 10.58.2.0/24"
    assert (found.source, found.field) == ("1.yaml", "spec.conference.parties[1].address")
    plane = planned(city, *empty(city), Wanted(services(_pooled())))
    with pytest.raises(IntentError, match="is not behind longgang"):
        planned(city, plane.after, plane.model, Wanted(services(stray)))
    moved = services(_pooled().replace("10.58.0.0/16", "10.59.0.0/16"))
    with pytest.raises(IntentError, match=r"is not behind zhihui, which has 10\.59\.0\.0"):
        planned(city, both.after, both.model, Wanted(moved))


def test_a_refusal_names_the_line_of_its_document(city: CityMap) -> None:
    text = office() + "---\n" + slice_over_three().replace("latency: 5ms", "latency: 2us")
    (refusal,) = plan(*empty(city), city, Wanted(services(text)), NOW).refusals
    assert refusal.source == "0.yaml:11"


def test_a_placement_shows_which_prefix_each_site_got_and_whom_a_vip_is_for(city: CityMap) -> None:
    both = planned(city, *empty(city), Wanted(services(_pooled(), _council_now().replace("10.10.", "10.58."))))
    held = {r.where: r.taken for r in resources(both.after.services[OFFICE].placement) if r.kind == "site"}
    assert held["longgang"] == "node:lg-longgang/tp:acc-1 VLAN 100, 172.16.0.9/30, LAN 10.58.2.0/24"
    (shown,) = (r for r in resources(both.after.services[COUNCIL].placement) if r.kind == "protected")
    assert (shown.where, shown.taken) == ("gov/office", "2 far ends: p0, p1")
