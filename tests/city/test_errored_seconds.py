"""What receivers count in seconds follows G.8201: ten severe ones in a row are unavailable time, nine are not."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lab.city import load_city
from lab.plant.errored_seconds import IN_A_ROW, SEVERE_SHARE, ErroredSeconds
from lab.plant.world import World

CITY = load_city("longgang")
LONG = max((c for c in CITY.optical.circuits), key=lambda c: len(c.route))
GOOD, SPOILT, SEVERE, DARK = 0.0, 1e-4, 0.5, None


def _counted(*seconds: float | None) -> tuple[int, int, int]:
    """Return (errored, severely errored, unavailable) after these seconds."""
    one = ErroredSeconds()
    for share in seconds:
        one.take(share)
    return one.errored, one.severely_errored, one.unavailable


def test_a_second_is_severely_errored_from_fifteen_percent_of_its_blocks_or_without_light() -> None:
    assert _counted(GOOD, SPOILT, 0.1499, GOOD) == (2, 0, 0)
    assert _counted(0.15, GOOD) == (1, 1, 0)
    assert _counted(DARK, GOOD) == (1, 1, 0)


def test_nine_in_a_row_are_severe_and_the_tenth_makes_all_of_them_unavailable() -> None:
    assert _counted(*[SEVERE] * 9, GOOD) == (9, 9, 0)
    assert _counted(*[SEVERE] * 10) == (0, 0, 10)
    assert _counted(*[SEVERE] * 13) == (0, 0, 13)
    assert _counted(*[SEVERE] * 9, SPOILT, *[SEVERE] * 9, GOOD) == (19, 18, 0)


def test_ten_in_a_row_that_are_not_severe_end_unavailable_time_and_do_not_belong_to_it() -> None:
    assert _counted(*[DARK] * 12, *[GOOD] * 9, DARK) == (0, 0, 22)  # nine were not enough: all of it was unavailable
    assert _counted(*[DARK] * 12, *[GOOD] * 7, SPOILT, GOOD, SPOILT) == (2, 0, 12)
    assert _counted(*[DARK] * 12, *[GOOD] * 10, SEVERE, GOOD) == (1, 1, 12)


@given(st.lists(st.sampled_from([GOOD, SPOILT, SEVERE, DARK]), max_size=120))
def test_counters_never_go_back_and_hold_each_second_once(seconds: list[float | None]) -> None:
    one, told = ErroredSeconds(), [(0, 0, 0)]
    for share in seconds:
        one.take(share)
        told.append((one.errored, one.severely_errored, one.unavailable))
    assert all(a <= b for sooner, later in itertools.pairwise(told) for a, b in zip(sooner, later, strict=True))
    errored, severe, unavailable = told[-1]
    bad = [share is None or share > 0 for share in seconds]
    bad_severe = [share is None or share >= SEVERE_SHARE for share in seconds]
    runs = [len(list(run)) for severe, run in itertools.groupby(bad_severe) if severe]
    assert (unavailable > 0) == any(length >= IN_A_ROW for length in runs)
    assert severe <= errored <= sum(bad)
    assert errored + unavailable <= len(seconds)
    assert severe + unavailable >= sum(bad_severe) - (IN_A_ROW - 1)  # the last few may still be held back


def _told(world: World, seconds: int) -> tuple[int, int, int]:
    for _ in range(seconds):
        for _ in world.refresh():
            pass
        values = world.samples()["city-otn"]["circuits"][LONG.id]
    return values["errored_s"], values["severely_errored_s"], values["unavailable_s"]


def test_the_plant_counts_what_its_light_does() -> None:
    world = World(CITY)
    assert _told(world, 3) == (0, 0, 0)
    world.operate({"type": "degrade", "link": LONG.id, "loss": 0.01})  # a hundredth of the blocks: errored, not severe
    assert _told(world, 4) == (4, 0, 0)
    world.operate({"type": "degrade", "link": LONG.id, "loss": 0.3})
    assert _told(world, 9) == (4, 0, 0)  # not known yet what these are
    world.operate({"type": "restore", "what": LONG.id})
    assert _told(world, 1) == (13, 9, 0)
    world.operate({"type": "cut", "fibre": LONG.route[0]})
    assert _told(world, 14) == (13, 9, 14)
    world.operate({"type": "restore", "what": "all"})
    assert _told(world, 12) == (13, 9, 14)


def test_a_line_card_that_is_broken_counts_nothing() -> None:
    world = World(CITY)
    _told(world, 1)
    world.operate({"type": "fail", "circuit": LONG.id})
    for _ in world.refresh():
        pass
    assert "errored_s" not in world.samples()["city-otn"]["circuits"][LONG.id]
    world.operate({"type": "restore", "what": "all"})
    assert _told(world, 1) == (0, 0, 0)
