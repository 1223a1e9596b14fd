"""Slices and planes that stand for a while only: they hold what they take in their window, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.intent.model import (
    AttachLayer,
    Isolation,
    Protection,
    RelativeWindow,
    Service,
    ServiceId,
    Slo,
    VipAssurance,
    Window,
)
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import Placement
from controller.planning.timed import KEPT
from tests.planning.test_invariants import cities, services
from tests.support.cities import city_map, with_access_ports
from tests.support.intents import GBPS, NOW, access, conference, plane, slice_between
from tests.support.invariants import check_all

CITY = with_access_ports(city_map("longgang"), 10**12)
HOUR = timedelta(hours=1)
LOOSE = Slo(None, availability=0.9)
DARK = replace(CITY, lights=False)  # no link is lit where one is full
TUBE = f"{NOW:%Y-%m-%d}"


def _window(start_h: int, end_h: int) -> Window:
    return Window(NOW + start_h * HOUR, NOW + end_h * HOUR)


def _slice(name: str, start_h: int, end_h: int, rate_bps: int = 60 * GBPS, **more: Any) -> Service:
    more = {"isolation": Isolation.NRP, "protection": Protection.NONE, "slo": LOOSE} | more
    return slice_between(name, "buji", "zhihui", rate_bps, window=_window(start_h, end_h), **more)


def _wave(name: str, start_h: int, end_h: int, **more: Any) -> Service:
    return _slice(name, start_h, end_h, 100 * GBPS, isolation=Isolation.WAVELENGTH, **more)


def _slots(name: str, start_h: int, end_h: int) -> Service:
    return _slice(name, start_h, end_h, isolation=Isolation.TIMESLOT)


def _tree(name: str, start_h: int, end_h: int) -> Service:
    return plane(name, "buji", "nanwan", rate_bps=60 * GBPS, window=_window(start_h, end_h))


def _kept(name: str, start_h: int, end_h: int) -> Service:
    more = {"isolation": Isolation.TIMESLOT, "protection": Protection.RESTORATION}
    return _slice(name, start_h, end_h, 40 * GBPS, **more)


KINDS = [_slice, _slots, _wave, _kept, _tree]


def _plan(*wanted: Service, city: CityMap = CITY, ledger: Ledger | None = None) -> PlanOutcome:
    outcome = place(city, ledger or Ledger(city), wanted, {}, NOW)
    check_all(city, {s.metadata.service: s for s in wanted}, outcome.placements)
    return outcome


def _standing(outcome: PlanOutcome, *wanted: Service) -> dict[ServiceId, tuple[Service, Placement]]:
    return {s.metadata.service: (s, outcome.placements[s.metadata.service]) for s in wanted}


@pytest.mark.parametrize("kind", KINDS)
def test_two_that_would_not_fit_together_fit_one_after_the_other(kind: Callable[..., Service]) -> None:
    """The second window begins at the moment at which the first ends, and takes the same ways."""
    full = [kind(f"x{n}", 1, 3) for n in range(20)]
    together = _plan(*full)
    assert together.refusals, "the city holds them all at once: the test says nothing"
    later = [replace(s, metadata=replace(s.metadata, name=f"y{n}"), window=_window(3, 4)) for n, s in enumerate(full)]
    both = _plan(*full, *later)
    assert len(both.placements) == 2 * len(together.placements)
    assert {name.partition("/")[2][0] for name in both.placements} == {"x", "y"}


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_it_takes_is_held_for_its_window(kind: Callable[..., Service]) -> None:
    placed = _plan(kind("backup", 1, 3)).placements[ServiceId("gov/backup")]
    window = _window(1, 3)
    assert (placed.start, placed.end) == (window.start, window.end)
    assert {(r.start, r.end) for r in placed.rates} == {(window.start, window.end)}
    taken = {(r.start, r.end) for r in placed.labels if r.resource not in KEPT}
    assert taken == {(window.start, window.end)}
    assert {(r.start, r.end) for r in placed.labels if r.resource in KEPT} == {(None, None)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_holds_is_free_before_and_after(kind: Callable[..., Service]) -> None:
    empty = Ledger(CITY).dump()
    outcome = _plan(kind("backup", 1, 3))
    for start, end in ((None, NOW + HOUR), (NOW + 3 * HOUR, None)):
        free, whole = outcome.ledger.free_array(start, end), Ledger(CITY).free_array()
        assert (free == whole).all()
    outcome.ledger.remove(ServiceId("gov/backup"))
    assert outcome.ledger.dump() == empty


def test_a_refusal_names_the_link_the_interval_and_who_holds_it() -> None:
    one, other = _slice("one", 1, 3), _slice("other", 2, 5)
    first = _plan(one, _slice("besides", 1, 3))  # both ways out of buji
    (refusal,) = _plan(other, city=DARK, ledger=first.ledger).refusals
    assert refusal.binds == (
        f"link lg-buji–lg-nanwan has 40 Gbit/s left of 100 Gbit/s, {TUBE} 10:00–11:00 UTC, "
        "while gov/besides holds 60 Gbit/s"
    )
    assert refusal.would_fit[0] == f"60 Gbit/s from {TUBE} 11:00 UTC"


def test_what_stands_for_good_is_refused_for_what_is_reserved_ahead() -> None:
    first = _plan(_slice("one", 24, 48), _slice("besides", 24, 48))
    lasting = replace(_slice("lasting", 0, 1), window=None)
    (refusal,) = _plan(lasting, city=DARK, ledger=first.ledger).refusals
    day = f"{NOW + timedelta(days=1):%Y-%m-%d} 08:00"
    assert f"{day}–{NOW + timedelta(days=2):%Y-%m-%d} 08:00 UTC, while gov/besides holds 60 Gbit/s" in refusal.binds
    assert refusal.would_fit[0] == f"60 Gbit/s until {day} UTC"
    assert not _plan(replace(lasting, window=_window(0, 24)), ledger=first.ledger).refusals, "what is offered fits"


def test_a_written_vlan_is_free_for_another_window() -> None:
    def backup(name: str, start_h: int) -> Service:
        ends = (access("buji", GBPS, vlan=700), access("zhihui", GBPS, vlan=700))
        return replace(_slice(name, start_h, start_h + 1, GBPS), endpoints=ends)  # type: ignore[call-arg]

    assert not _plan(backup("one", 1), backup("two", 2)).refusals
    (refusal,) = _plan(backup("one", 1), backup("two", 1)).refusals
    assert refusal.binds.endswith(f"is held by gov/one, {TUBE} 09:00–10:00 UTC, while gov/one holds some")


def test_an_assurance_fits_into_the_window_of_what_it_protects_or_is_refused() -> None:
    office = plane("office", "zhihui", "buji", "pingdi", window=_window(1, 3))
    inside = conference("flood", "office", "zhihui", "buji", window=_window(1, 3))
    assert not _plan(office, inside).refusals
    (refusal,) = _plan(office, replace(inside, window=_window(1, 4))).refusals
    assert refusal.binds == f"gov/office stands {TUBE} 09:00–11:00 UTC only"


def test_the_ways_of_others_are_kept_away_from_only_while_both_stand() -> None:
    """Both ways out of buji are taken by the one; the other has nobody to keep away from once that has gone."""
    one = _slice("one", 1, 3, GBPS, protection=Protection.STANDBY)
    for start_h, refused in ((2, True), (3, False)):
        other = _slice("other", start_h, 5, GBPS, protection=Protection.STANDBY, diverse_from=(ServiceId("gov/one"),))
        assert bool(_plan(one, other).refusals) is refused


def test_a_window_that_moves_keeps_the_ways_and_labels_that_it_can() -> None:
    was, will = _wave("backup", 1, 3), _wave("backup", 2, 4)
    first = _plan(was)
    again = place(CITY, first.ledger, [will], _standing(first, was), NOW).placements[ServiceId("gov/backup")]
    before = first.placements[ServiceId("gov/backup")]
    assert (again.circuits, again.attachments, again.number) == (before.circuits, before.attachments, before.number)
    assert {r.end for r in again.rates} == {NOW + 4 * HOUR}


@pytest.mark.parametrize("kind", KINDS)
def test_placed_again_unchanged_it_stays_as_it_is(kind: Callable[..., Service]) -> None:
    service = kind("backup", 1, 3)
    first = _plan(service)
    again = place(CITY, first.ledger, [service], _standing(first, service), NOW)
    assert again.placements == first.placements
    assert again.ledger.dump() == first.ledger.dump()


def test_one_that_started_with_its_acceptance_stays_when_it_is_placed_again() -> None:
    asked = replace(_slice("backup", 0, 2), window=RelativeWindow(7200.0))
    dated = replace(asked, window=_window(0, 2))
    first = _plan(dated)
    standing = {ServiceId("gov/backup"): (asked, first.placements[ServiceId("gov/backup")])}
    again = place(CITY, first.ledger, [dated], standing, NOW + HOUR)
    assert again.placements == first.placements


def test_a_window_that_is_over_or_not_dated_is_refused() -> None:
    over, undated = _slice("over", -2, 0), replace(_slice("undated", 0, 1), window=RelativeWindow(60.0))
    found = {r.service: r.binds for r in _plan(over, undated).refusals}
    assert found[ServiceId("gov/over")].startswith("its window ended at")
    assert found[ServiceId("gov/undated")].startswith("its window is relative")


def test_a_site_lends_its_own_client_port_to_one_after_the_other() -> None:
    """A circuit of a whole port ends when its window does, and the port takes the next."""
    wanted = [_wave(f"x{n}", n, n + 1, attach=AttachLayer.OPTICAL) for n in range(1, 9)]
    placements = _plan(*wanted).placements
    assert len(placements) == len(wanted)
    assert len({(c.a, c.z) for p in placements.values() for c in p.circuits}) == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_windows_that_do_not_meet_never_refuse_each_other(data: st.DataObject) -> None:
    """What fits an empty city by itself fits beside any number of others that stand at other times."""
    city, sites = data.draw(cities())
    wanted = []
    for n in range(data.draw(st.integers(2, 6))):
        service = data.draw(services(sites, f"x{n}").filter(lambda s: not isinstance(s, VipAssurance)))
        wanted.append(replace(service, window=_window(2 * n, 2 * n + data.draw(st.integers(1, 2)))))
    alone = {s.metadata.service for s in wanted if not place(city, Ledger(city), [s], {}, NOW).refusals}
    outcome = place(city, Ledger(city), wanted, {}, NOW)
    assert outcome.placements.keys() == alone
    check_all(city, {s.metadata.service: s for s in wanted}, outcome.placements)
    again = place(city, Ledger(city), list(reversed(wanted)), {}, NOW)
    assert repr(again.placements) == repr(outcome.placements)
    for name in sorted(outcome.placements):
        outcome.ledger.remove(name)
    assert outcome.ledger.on(city).dump() == Ledger(city).dump()
