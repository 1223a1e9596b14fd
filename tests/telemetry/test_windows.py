"""The newest values of many subjects at once are what each of them alone has that is fresh."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.telemetry.windows import Windows


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("mn"), st.floats(0, 20)), max_size=12), st.floats(0, 60)
)
def test_the_newest_of_many_subjects_is_what_is_fresh_of_each(
    told: list[tuple[str, str, float]], later_s: float
) -> None:
    windows, now = Windows(), 0.0
    for value, (subject, metric, pause_s) in enumerate(told):
        now += pause_s
        windows.add(subject, metric, float(value), now)
    now += later_s
    for metric in "mn":
        assert windows.newest("abc", metric, now) == [windows.fresh(s, now).get(metric) for s in "abc"]


def test_what_comes_rarely_is_no_gap_after_a_connection_that_told_its_last_value_first() -> None:
    windows = Windows()
    for at in (0.0, 10.0, 20.0, 29.5, 30.0):  # the last but one repeats what was measured before the connection
        windows.add("access:a", "delay_s", 0.001, at)
    assert windows.newest(("access:a",), "delay_s", 39.9) == [0.001]
    windows = Windows()
    for at in (0.0, 1.0):  # a first connection
        windows.add("access:a", "delay_s", 0.001, at)
    assert windows.fresh("access:a", 11.0)
    for at in (2.0, 3.0, 4.0):  # it comes every second after all
        windows.add("access:a", "delay_s", 0.001, at)
    assert windows.fresh("access:a", 9.0)
    assert not windows.fresh("access:a", 9.1)
