"""Who is moved away from what wears out: the burning, the urgent first, and never round and round."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.causes import Cause
from controller.assurance.health import Health
from controller.assurance.tuning import Burning, Tuner, TuningSettings
from controller.intent.model import ServiceId

WORN = Cause("fibre:f", "degraded", "fibre f is worn", frozenset({"fibre:f"}))
CLOSED = {"fibre:f": frozenset({"fibre:f", "link:l"})}


def _burning(name: str, health: Health = Health.VIOLATED, tier: int = 1, fading: bool = False) -> Burning:
    return Burning(ServiceId(name), tier, health, WORN, fading)


def test_vips_first_then_the_violated_and_who_is_well_stays() -> None:
    found = Tuner().decide(
        [
            _burning("t/risk", Health.AT_RISK),
            _burning("t/bad"),
            _burning("t/vip", Health.AT_RISK, 0),
            _burning("t/well", Health.OK),
        ],
        CLOSED,
        0.0,
    )
    assert [m.service for m in found] == ["t/vip", "t/bad", "t/risk"]
    assert found[0].shun == CLOSED["fibre:f"]


def test_who_rides_fading_light_is_moved_while_it_is_still_well() -> None:
    burning = [_burning("t/fades", Health.OK, fading=True), _burning("t/well", Health.OK), _burning("t/bad")]
    assert [m.service for m in Tuner().decide(burning, CLOSED, 0.0)] == ["t/bad", "t/fades"]


def test_nobody_is_led_from_one_worn_fibre_over_another_nor_moved_for_two_reasons_at_once() -> None:
    other = Cause("fibre:g", "degraded", "fibre g is worn", frozenset({"fibre:g"}))
    burning = [_burning("t/a"), Burning(ServiceId("t/a"), 1, Health.VIOLATED, other)]
    (move,) = Tuner().decide(burning, {**CLOSED, "fibre:g": frozenset({"fibre:g", "link:m"})}, 0.0)
    assert move.shun == {"fibre:f", "link:l", "fibre:g", "link:m"}


def test_nobody_is_moved_twice_within_the_rest_nor_tried_again_at_once() -> None:
    tuner = Tuner()
    tuner.moved([ServiceId("t/a")], 0.0)
    tuner.stayed([ServiceId("t/b")], 0.0)
    burning = [_burning("t/a"), _burning("t/b")]
    assert not tuner.decide(burning, CLOSED, 29.0)
    assert [m.service for m in tuner.decide(burning, CLOSED, 31.0)] == ["t/a"]
    assert [m.service for m in tuner.decide(burning, CLOSED, 61.0)] == ["t/a", "t/b"]


def test_who_finds_nothing_better_is_tried_ever_less_often_on_the_same_map_and_soon_on_another() -> None:
    tuner, name, tried = Tuner(), ServiceId("t/a"), list[float]()
    for second in range(0, 7200, 10):
        if tuner.decide([_burning("t/a")], CLOSED, float(second), version=1):
            tried.append(second)
            tuner.stayed([name], float(second), version=1)
    assert tried == [0, 60, 180, 420, 900, 1860, 3780]
    assert not tuner.decide([_burning("t/a")], CLOSED, 3839.0, version=2)
    assert tuner.decide([_burning("t/a")], CLOSED, 3840.0, version=2)
    tuner.stayed([name], 3840.0, version=2)
    assert tuner.decide([_burning("t/a")], CLOSED, 3900.0, version=2)


@given(st.lists(st.floats(0.0, 600.0), max_size=80), st.integers(1, 6))
def test_never_more_moves_an_hour_than_allowed(pauses: list[float], names: int) -> None:
    settings = TuningSettings(most_an_hour=7, most_of_one=3)
    tuner, now, made = Tuner(settings), 0.0, []
    for pause in pauses:
        now += pause
        moves = tuner.decide([_burning(f"t/{n}") for n in range(names)], CLOSED, now)
        tuner.moved([m.service for m in moves], now)
        made += [(now, m.service) for m in moves]
        recent = [s for at, s in made if now - at <= 3600]
        assert len(recent) <= 7
        assert all(recent.count(s) <= 3 for s in recent)
