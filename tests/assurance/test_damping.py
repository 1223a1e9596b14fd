"""What counts as down: at once down, up again only after staying up, and nothing stays behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.damping import Damper, DampingSettings

SETTINGS = DampingSettings(first_hold_s=1.0, hold_s=2.0, most_hold_s=60.0, forget_s=120.0)
FLAP = st.lists(st.tuples(st.floats(0.001, 5.0), st.booleans()), max_size=40)


def test_a_failure_counts_at_once_and_a_first_return_after_a_moment() -> None:
    damper = Damper(SETTINGS)
    assert damper.told("fibre:f", False, 10.0)
    assert damper.down(10.0) == {"fibre:f"}
    assert not damper.told("fibre:f", True, 10.5)
    assert damper.held(11.0) == damper.down(11.0) == {"fibre:f"}
    assert damper.next_release(11.0) == 11.5
    assert damper.down(11.6) == frozenset()


def test_what_bounces_every_300_ms_fails_once_and_is_held_ever_longer() -> None:
    damper = Damper(SETTINGS)
    told = [damper.told("link:l", up, 10 + 0.3 * i) for i, up in enumerate((False, True, False, True, False, True))]
    assert told == [True, False, False, False, False, False]
    assert damper.flapping() == ("link:l",)
    assert damper.down(11.5) == {"link:l"}
    assert damper.next_release(11.5) == 11.5 + 4.0
    assert damper.down(15.6) == frozenset()


def test_what_flaps_without_end_is_held_as_long_as_can_be_and_no_number_overflows() -> None:
    damper = Damper(SETTINGS)
    for i in range(5000):
        damper.told("link:l", i % 2 == 1, 0.3 * i)
    assert damper.next_release(1500.0) == 0.3 * 4999 + SETTINGS.most_hold_s


def test_what_never_failed_is_not_remembered() -> None:
    damper = Damper(SETTINGS)
    assert not damper.told("link:l", True, 1.0)
    assert damper.next_release(1.0) is None


@given(FLAP)
def test_whatever_flaps_is_down_while_it_says_so_and_up_in_the_end(moves: list[tuple[float, bool]]) -> None:
    damper, now = Damper(SETTINGS), 0.0
    for pause, up in moves:
        now += pause
        damper.told("c", up, now)
        assert up or "c" in damper.down(now)
    damper.told("c", True, now)
    assert damper.down(now + SETTINGS.most_hold_s) == frozenset()
    damper.forget(now + SETTINGS.most_hold_s + SETTINGS.forget_s + 1)
    assert damper.flapping() == ()
