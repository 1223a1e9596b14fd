"""Seconds that equipment counts: ten severely errored ones in a row are an alarm, whoever counts them how."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.receivers import CRITICAL, OF_FRAMES, Complaint, Receiver
from controller.assurance.severe import LEAST_PAUSE_S, SEVERE, UNAVAILABLE, Counter, Growth, SevereSeconds

KIND = "unavailable"


class Told:
    """One receiver's counters, told in pairs, as equipment does; says whether the alarm stands."""

    def __init__(self, severe: float = 0.0, unavailable: float = 0.0) -> None:
        self.one, self.at = SevereSeconds(), 1000.0
        self.severe, self.unavailable = severe, unavailable
        self.said: list[str] = []
        for _ in range(2):
            self.tell()
        assert self.said == []

    def tell(self, severe: float = 0.0, unavailable: float = 0.0, after_s: float = 1.0) -> bool:
        """Tell that the counters grew by so much within `after_s`."""
        self.at += after_s
        self.severe += severe
        self.unavailable += unavailable
        for metric, value in ((SEVERE, self.severe), (UNAVAILABLE, self.unavailable)):
            words = self.one.take(metric, value, self.at)
            if words is not None:
                self.said.append(words)
        return self.one.alarm

    def many(self, growths: Iterable[tuple[float, float]]) -> list[bool]:
        return [self.tell(*growth) for growth in growths]


def test_a_counter_tells_by_its_growth_and_neither_a_restart_nor_a_gap_tells_anything() -> None:
    one = Counter()
    assert one.take(700.0, 10.0) is None  # since when is not known
    assert one.take(703.0, 13.0) == Growth(3.0, 3.0)
    assert one.take(703.0, 14.0) == Growth(0.0, 1.0)
    assert one.take(2.0, 15.0) is None  # restarted, and not -701
    assert one.take(3.0, 16.0) == Growth(1.0, 1.0)
    assert one.take(9.0, 16.0 + LEAST_PAUSE_S + 0.1) is None  # a gap where one a second is usual
    assert one.take(10.0, 22.5) == Growth(1.0, pytest.approx(1.4))
    assert one.take(11.0, 3.0) is None  # the clock was set back
    assert one.take(12.0, 4.0) == Growth(1.0, 1.0)


def test_a_pause_that_is_usual_is_no_gap() -> None:
    one = Counter()
    assert [one.take(float(n), 10.0 * n) for n in range(4)] == [None, *[Growth(1.0, 10.0)] * 3]
    assert one.take(4.0, 30.0 + 26.0) is None


@pytest.mark.parametrize(
    ("growth", "whole_s"),
    [
        (Growth(1.0, 1.0), 1),
        (Growth(1.0, 1.4), 1),
        (Growth(0.0, 1.0), 0),
        (Growth(9.0, 1.0), 1),  # counted late, when the tenth was good
        (Growth(10.0, 10.0), 10),
        (Growth(9.0, 9.98), 10),  # told a moment early
        (Growth(8.0, 10.0), 0),
    ],
)
def test_an_interval_counts_where_all_of_its_seconds_were_severe(growth: Growth, whole_s: int) -> None:
    assert growth.whole_s == whole_s


def test_nine_in_a_row_and_a_good_one_raise_nothing_and_the_tenth_does() -> None:
    told = Told()
    assert told.many([(1, 0)] * 9 + [(0, 0)] + [(1, 0)] * 9) == [False] * 19
    assert told.tell(severe=1)
    assert told.said == ["10 severely errored seconds in a row"]


def test_equipment_that_holds_seconds_back_raises_it_by_unavailable_seconds_at_once() -> None:
    told = Told(severe=50.0, unavailable=4000.0)
    assert told.many([(0, 0)] * 9) == [False] * 9  # it does not know yet what they are
    assert told.tell(unavailable=10)
    assert told.said == ["10 unavailable seconds, begun by 10 severely errored ones in a row"]
    late = Told()
    assert late.many([(0, 0)] * 9 + [(9, 0)] + [(0, 0)] * 9 + [(9, 0)]) == [False] * 20  # twice nine, and a good one


def test_it_is_cleared_after_three_samples_in_a_row_in_which_nothing_grew() -> None:
    told = Told()
    told.tell(unavailable=10)
    assert told.many([(0, 1), (0, 0), (0, 0), (0, 1), (0, 0), (0, 0), (1, 0)]) == [True] * 7
    assert told.many([(0, 0), (0, 0), (0, 0), (0, 0)]) == [True, True, False, False]
    assert told.said[1:] == [""]
    assert told.tell(unavailable=3)  # nine good ones were not enough: it was unavailable all the time


def test_a_restart_begins_the_row_anew_and_clears_nothing() -> None:
    told = Told(severe=100.0)
    assert told.many([(1, 0)] * 9) == [False] * 9
    told.severe = 0.0
    assert told.many([(1, 0)] * 10) == [False] * 10  # the first of them tells only where the counter is now
    assert told.tell(severe=1)
    told.severe = told.unavailable = 0.0
    assert told.many([(0, 0)] * 3) == [True] * 3  # of the first nothing is known
    assert not told.tell()


def test_a_gap_is_no_sample_it_neither_raises_nor_clears() -> None:
    told = Told()
    assert told.many([(1, 0)] * 9) == [False] * 9
    assert not told.tell(severe=30, after_s=30.0)
    assert told.many([(1, 0)] * 9) == [False] * 9
    assert told.tell(severe=1)
    assert told.many([(0, 0)] * 2) == [True] * 2
    assert told.tell(after_s=60.0)
    assert not told.tell()  # the third that was measured
    unheard = Told()
    assert not unheard.tell(unavailable=60, after_s=60.0)


def test_equipment_that_tells_every_ten_seconds_raises_it_as_well() -> None:
    for growth in ({"severe": 10.0}, {"unavailable": 10.0}):
        told = Told()
        told.tell(after_s=5.0)
        assert not told.tell(severe=8, after_s=10.0)
        assert told.tell(after_s=10.0, **growth)


def test_what_is_dark_is_told_of_elsewhere_and_counts_again_when_it_is_seen_in_the_light() -> None:
    told = Told()
    told.one.lit(False)
    assert told.many([(0, 0)] * 9 + [(0, 10)] + [(0, 1)] * 20) == [False] * 30
    told.one.lit(True)
    assert told.many([(0, 1)] * 2 + [(0, 0)] * 9) == [False] * 11  # still of the dark
    assert told.tell(unavailable=10)  # and this is not
    assert not told.one.lit(True)
    assert told.one.alarm
    assert told.one.lit(False)  # the dark is told by itself
    assert told.many([(0, 1)] * 5) == [False] * 5
    assert not told.one.lit(True)
    assert told.many([(0, 9), (0, 0)]) == [False] * 2


def test_light_that_comes_back_spoilt_is_told_after_ten_seconds() -> None:
    told = Told()
    told.one.lit(False)
    told.many([(0, 1)] * 20)
    told.one.lit(True)
    assert told.many([(0, 1)] * 10) == [False] * 9 + [True]


def test_equipment_that_tells_of_one_counter_alone_is_heard() -> None:
    for metric in (SEVERE, UNAVAILABLE):
        one = SevereSeconds()
        told = [one.take(metric, float(value), 100.0 + n) for n, value in enumerate([0, 0, *range(1, 12), 11, 11, 11])]
        assert one.alarm is False
        assert [w for w in told if w is not None][1] == ""


def test_a_receiver_complains_of_it_and_it_stands_until_it_is_over() -> None:
    one = Receiver(("f",), -18.0)
    found = [one.take(UNAVAILABLE, float(value), float(n)) for n, value in enumerate([5, 5, 15])]
    assert found == [
        None, None, Complaint(KIND, CRITICAL, "10 unavailable seconds, begun by 10 severely errored ones in a row"),
    ]  # fmt: skip
    assert one.standing == {KIND: CRITICAL}
    assert one.complains
    assert KIND in OF_FRAMES
    found = [one.take(UNAVAILABLE, 15.0, 3.0 + n) for n in range(3)]
    assert found == [None, None, Complaint(KIND, 0, "")]
    assert one.standing == {}


@given(st.lists(st.sampled_from(["good", "severe", "restart", "gap"]), max_size=80))
def test_it_is_raised_by_ten_seen_in_a_row_and_ended_by_three_seen_without(seconds: list[str]) -> None:
    one, at, count, row, calm, standing = SevereSeconds(), 0.0, 0.0, 0, 0, False
    one.take(SEVERE, count, at)
    for second in seconds:
        before = count
        at += 100.0 if second == "gap" else 1.0
        count = 0.0 if second == "restart" else count + (second == "severe")
        one.take(SEVERE, count, at)
        if second == "gap" or count < before:
            row = 0  # nothing is known of it, and what was calm before is calm still
        elif second == "severe":
            row, calm = row + 1, 0
        else:
            row, calm = 0, calm + 1
        standing = (standing or row >= 10) and calm < 3
        assert one.alarm == standing
