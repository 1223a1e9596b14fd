from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.intent.model import ServiceId
from controller.network.ledger import Ledger
from controller.planning.placement import LabelReservation, RateReservation
from tests.support.cities import city_map

LINK = "link:lg-zhihui.ge-1..lg-nanwan.ge-1"
T0 = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Held:
    service: ServiceId
    rates: tuple[RateReservation, ...] = ()
    labels: tuple[LabelReservation, ...] = ()


def _at(hours: int | None) -> datetime | None:
    return None if hours is None else T0 + timedelta(hours=hours)


def test_windows_that_only_touch_do_not_add_up() -> None:
    ledger = Ledger(city_map("longgang"))
    ledger.add(Held(ServiceId("t/a"), (RateReservation(LINK, 10, _at(0), _at(2)),)))
    ledger.add(Held(ServiceId("t/b"), (RateReservation(LINK, 20, _at(2), _at(4)),)))
    assert ledger.peak_bps(LINK, _at(0), _at(4)) == 20
    assert ledger.peak_bps(LINK, None, None) == 20
    assert ledger.free_bps(LINK, _at(4), None) == 100 * 10**9


def test_a_vip_may_take_what_planes_leave_squeezable_and_no_more() -> None:
    ledger = Ledger(city_map("longgang"))
    ledger.add(Held(ServiceId("t/plane"), (RateReservation(LINK, 80 * 10**9, squeezable_bps=40 * 10**9),)))
    ledger.add(Held(ServiceId("t/slice"), (RateReservation(LINK, 20 * 10**9),)))
    assert ledger.free_bps(LINK, _at(0), _at(1)) == 0
    assert ledger.free_bps(LINK, _at(0), _at(1), squeeze=True) == 40 * 10**9


def test_a_slice_may_not_take_what_a_vip_was_promised() -> None:
    ledger = Ledger(city_map("longgang"))
    ledger.add(Held(ServiceId("t/vip"), (RateReservation(LINK, 70 * 10**9, _at(1), _at(2), squeezes=True),)))
    assert ledger.free_bps(LINK) == 30 * 10**9
    assert ledger.free_bps(LINK, _at(2), _at(3)) == 100 * 10**9


def test_a_label_is_free_outside_the_window_that_holds_it() -> None:
    ledger = Ledger(city_map("longgang"))
    ledger.add(Held(ServiceId("t/a"), (), (LabelReservation("number", 1001, _at(0), _at(1)),)))
    assert ledger.holder("number", 1001, _at(0), _at(1)) == "t/a"
    assert ledger.holder("number", 1001, _at(1), None) is None
    assert ledger.free_label("number", range(1001, 1003), None, None) == 1002
    assert ledger.free_label("number", range(1001, 1003), _at(1), _at(2)) == 1001


def test_the_lowest_free_label_is_found_again_after_a_removal() -> None:
    ledger = Ledger(city_map("longgang"))
    for n in range(1001, 1011):
        ledger.add(Held(ServiceId(f"t/{n}"), (), (LabelReservation("number", n),)))
    assert ledger.free_label("number", range(1001, 2000)) == 1011
    ledger.remove(ServiceId("t/1004"))
    assert ledger.free_label("number", range(1001, 2000)) == 1004


def test_the_array_of_free_capacity_agrees_with_each_link() -> None:
    city = city_map("longgang")
    ledger = Ledger(city)
    ledger.add(Held(ServiceId("t/a"), (RateReservation(LINK, 5), RateReservation(city.links[3].id, 7, _at(0), _at(2)))))
    for squeeze in (False, True):
        array = ledger.free_array(_at(1), _at(3), squeeze=squeeze)
        assert [ledger.free_bps(k.id, _at(1), _at(3), squeeze=squeeze) for k in city.links] == array.tolist()


def test_a_reservation_on_a_vanished_link_survives_until_it_is_removed() -> None:
    ledger = Ledger(city_map("longgang"))
    empty = ledger.dump()
    ledger.add(Held(ServiceId("t/a"), (RateReservation("link:gone", 5),)))
    assert ledger.free_bps("link:gone") == -5
    ledger.remove(ServiceId("t/a"))
    assert ledger.dump() == empty


hours = st.one_of(st.none(), st.integers(0, 6))


@st.composite
def holdings(draw: st.DrawFn) -> Held:
    city = city_map("longgang")
    rates = []
    for index in draw(st.lists(st.integers(0, 5), max_size=4, unique=True)):
        rate = draw(st.integers(1, 10**10))
        start, end = draw(hours), draw(hours)
        squeezable = draw(st.integers(0, rate))
        rates.append(RateReservation(city.links[index].id, rate, _at(start), _at(end), squeezable, draw(st.booleans())))
    labels = tuple(
        LabelReservation(draw(st.sampled_from(("number", "vlan:x"))), n, _at(draw(hours)), _at(draw(hours)))
        for n in draw(st.lists(st.integers(1, 6), max_size=3, unique=True))
    )
    return Held(ServiceId(f"t/{draw(st.integers(0, 8))}"), tuple(rates), labels)


@given(st.lists(holdings(), max_size=12), st.data())
def test_an_edited_ledger_equals_one_rebuilt(history: list[Held], data: st.DataObject) -> None:
    city = city_map("longgang")
    ledger = Ledger(city)
    alive: dict[ServiceId, Held] = {}
    frozen: list[tuple[Ledger, object]] = []
    for held in history:
        if data.draw(st.booleans()):
            frozen.append((ledger, ledger.dump()))
            ledger = ledger.copy()
        drop = data.draw(st.booleans())
        if alive and drop:
            gone = data.draw(st.sampled_from(sorted(alive)))
            ledger.remove(gone)
            del alive[gone]
        ledger.add(held)
        alive[held.service] = held
        ledger.free_label("number", range(1, 9))
    rebuilt = Ledger(city)
    for held in alive.values():
        rebuilt.add(held)
    assert ledger.dump() == rebuilt.dump()
    assert ledger.free_label("number", range(1, 9)) == rebuilt.free_label("number", range(1, 9))
    for earlier, dump in frozen:  # what a copy did is not seen by where it came from
        assert earlier.dump() == dump
    for name in sorted(alive):
        ledger.remove(name)
    assert ledger.dump() == Ledger(city).dump()


def test_asked_about_an_interval_it_tells_of_that_alone() -> None:
    ledger = Ledger(city_map("longgang"))
    ledger.add(Held(ServiceId("t/a"), (RateReservation(LINK, 10, _at(0), _at(2)),), (_channel(1, 0, 2),)))
    ledger.add(Held(ServiceId("t/b"), (RateReservation(LINK, 20, _at(1), _at(4)),), (_channel(2, 1, 4),)))
    ledger.add(Held(ServiceId("t/c"), (RateReservation(LINK, 40),), (LabelReservation("channel:f", 3),)))
    for hours, bps, labels in (((0, 1), 50, {1, 3}), ((1, 2), 70, {1, 2, 3}), ((4, 9), 40, {3})):
        during = ledger.during(_at(hours[0]), _at(hours[1]))
        assert during.peak_bps(LINK, None, None) == bps
        assert during.free_bps(LINK) == during.copy().free_bps(LINK) == 100 * 10**9 - bps
        assert int(during.free_array()[during.copy()._index[LINK]]) == 100 * 10**9 - bps
        assert during.held_labels("channel:f") == labels
        assert during.free_label("channel:f", range(1, 9)) == min(set(range(1, 9)) - labels)
    assert ledger.at(T0 + timedelta(minutes=90)).peak_bps(LINK, None, None) == 70
    assert ledger.peak_bps(LINK, None, None) == 70
    assert [(p.service, p.rate_bps) for p in ledger.passing(LINK, _at(2), _at(3))] == [("t/b", 20)]


def _channel(number: int, start_h: int, end_h: int) -> LabelReservation:
    return LabelReservation("channel:f", number, _at(start_h), _at(end_h))
