"""Who of a batch goes first, and what an outcome is worth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.intent.model import Service, ServiceId
from controller.planning.orders import BATCH_ORDERS, MOST_PLACED, Orders, in_order, merit, orders_for
from controller.planning.placement import Placement, rate_held
from tests.support.intents import GBPS, conference, plane, slice_between


def _names(order: tuple[Service, ...]) -> list[str]:
    return [s.metadata.name for s in order]


def test_by_priority_then_the_larger_but_what_a_conference_is_over_before_it() -> None:
    under, vip = plane("under", "a", "b"), conference("meeting", "under", "a", "b")
    small, large = slice_between("small", "a", "b", GBPS), slice_between("large", "a", "b", 3 * GBPS)
    assert _names(in_order([plane("other", "a"), small, vip, large, under])) == [
        "under", "meeting", "large", "small", "other",
    ]  # fmt: skip


def test_a_slice_comes_after_those_whose_ways_decide_about_its_own() -> None:
    large = slice_between("large", "a", "b", 9 * GBPS, diverse_from=(ServiceId("gov/middle"),))
    middle = slice_between("middle", "a", "b", 5 * GBPS, together_with=(ServiceId("gov/small"),))
    small = slice_between("small", "a", "b", GBPS, diverse_from=(ServiceId("gov/not-of-this-batch"),))
    assert _names(in_order([large, middle, small])) == ["small", "middle", "large"]


def test_two_that_name_each_other_still_both_have_a_turn() -> None:
    one = slice_between("one", "a", "b", 2 * GBPS, diverse_from=(ServiceId("gov/two"),))
    two = slice_between("two", "a", "b", GBPS, diverse_from=(ServiceId("gov/one"),))
    assert sorted(_names(in_order([one, two]))) == ["one", "two"]


def test_whoever_was_refused_goes_ahead_of_his_equals_only() -> None:
    large, small = slice_between("large", "a", "b", 3 * GBPS), slice_between("small", "a", "b", GBPS)
    over, under = plane("over", "a", "b", rate_bps=9 * GBPS), plane("under", "a", "b")
    orders = Orders([large, small, over, under])
    assert _names(orders.next()) == ["large", "small", "over", "under"]
    orders.refused([ServiceId("gov/small"), ServiceId("gov/under")])
    assert _names(orders.next()) == ["small", "large", "under", "over"]


def test_every_other_order_lets_the_small_go_first_among_those_refused_alike() -> None:
    orders = Orders([slice_between("large", "a", "b", 3 * GBPS), slice_between("small", "a", "b", GBPS)])
    assert [_names(orders.next())[0] for _ in range(6)] == ["large", "large", "large", "small", "large", "small"]


def test_an_outcome_is_worth_its_highest_priority_first_then_what_it_holds() -> None:
    vip_less = plane("under", "a", "b"), slice_between("large", "a", "b", 3 * GBPS), plane("big", "a", "b")
    under, large, big = (s.metadata.service for s in vip_less)

    def worth(*names: ServiceId, held: int = 0) -> tuple[int, ...]:
        return merit(vip_less, {n: Placement(n, "", 1, rates=(rate_held("link:x", held),)) for n in names})

    assert worth(large) > worth(under, big)
    assert worth(large, big) > worth(large)
    assert worth(large, big, held=1) > worth(large, big, held=2)


@given(st.integers(0, 100_000), st.booleans())
def test_the_number_of_orders_bounds_the_work_and_is_one_where_there_is_no_time(services: int, hurry: bool) -> None:
    count = orders_for(services, hurry=hurry)
    assert 1 <= count <= BATCH_ORDERS
    assert count == 1 or (count * services <= MOST_PLACED and not hurry)
    assert orders_for(2) == BATCH_ORDERS
