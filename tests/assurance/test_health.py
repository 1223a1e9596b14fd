"""The steady word: worse soon, better late, never by turns, and a gap is a gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.health import BETTER, Health, HealthSettings, HealthTrack, Judged

SETTINGS = HealthSettings()
GOOD, BAD, GONE, GAP = (Judged(h) for h in (Health.OK, Health.VIOLATED, Health.DOWN, Health.UNKNOWN))


def _story(*moments: tuple[float, Judged]) -> list[Health]:
    """Step a track through judgements, each lasting so many seconds in steps of half a one; return its words."""
    track, at, words = HealthTrack(0.0), 0.0, [Health.UNKNOWN]
    for lasting, judged in moments:
        for _ in range(max(1, round(lasting * 2))):
            track.step(judged, at, SETTINGS)
            at += 0.5
            if track.now.health is not words[-1]:
                words.append(track.now.health)
    return words


def test_down_counts_at_once_and_ok_after_it_has_lasted() -> None:
    assert _story((2, GOOD), (0.5, GONE), (3, GOOD)) == ["unknown", "ok", "down"]
    assert _story((2, GOOD), (0.5, GONE), (8, GOOD)) == ["unknown", "ok", "down", "ok"]


def test_while_it_recovers_the_reason_is_no_longer_what_was_wrong() -> None:
    track = HealthTrack(0.0)
    reasons = []
    for at, judged in enumerate((GOOD, Judged(Health.DOWN, reason="no light"), GOOD, GOOD, GAP, GONE)):
        track.step(judged, float(at), SETTINGS)
        reasons.append(track.now.reason)
        assert at == 0 or track.now.health is Health.DOWN
    assert reasons[1:] == ["no light", BETTER, BETTER, BETTER, ""]


def test_one_bad_sample_is_no_violation_and_two_seconds_of_them_are() -> None:
    assert _story((2, GOOD), (0.5, BAD), (5, GOOD)) == ["unknown", "ok"]
    assert _story((2, GOOD), (2.5, BAD)) == ["unknown", "ok", "violated"]


def test_a_short_gap_changes_nothing_and_a_long_one_is_unknown_never_ok() -> None:
    assert _story((2, GOOD), (2, GAP), (2, GOOD)) == ["unknown", "ok"]
    assert _story((2, GOOD), (5, GAP)) == ["unknown", "ok", "unknown"]


def test_near_its_limit_it_is_at_risk_until_it_is_well_below() -> None:
    near, edge, far = (Judged(Health.OK, p) for p in (0.85, 0.75, 0.5))
    assert _story((2, far), (3, near), (20, edge)) == ["unknown", "ok", "at-risk"]
    assert _story((2, far), (3, near), (8, far)) == ["unknown", "ok", "at-risk", "ok"]


def test_without_what_stood_by_it_is_at_risk() -> None:
    assert _story((2, GOOD), (3, Judged(Health.OK, exposed="rides its standby")))[-1] is Health.AT_RISK


def test_who_flaps_has_to_be_well_for_longer_each_time() -> None:
    flaps = [(0.5, GONE), (6, GOOD)] * 4
    words = _story((2, GOOD), *flaps)
    assert words.count(Health.DOWN) <= 3
    assert _story((2, GOOD), *flaps, (61, GOOD))[-1] is Health.OK


def test_who_flaps_for_days_has_to_be_well_for_a_minute_and_no_number_overflows() -> None:
    assert _story((2, GOOD), *[(0.5, GONE), (60.5, GOOD)] * 1100)[-1] is Health.OK


def test_who_wavers_between_two_better_words_becomes_the_worse_of_them_and_stays_no_longer_what_it_was() -> None:
    near, far = Judged(Health.OK, 0.75), Judged(Health.OK, 0.5)
    wavering = [(1, near), (1, far)] * 10
    assert _story((2, GOOD), (3, BAD), *wavering)[-1] is Health.AT_RISK
    assert _story((2, GOOD), (0.5, GONE), *wavering)[-1] is not Health.DOWN


def test_who_wavers_between_two_worse_words_becomes_the_milder_of_them() -> None:
    wavering = [(1, Judged(Health.OK, 0.9)), (1, BAD)] * 3
    assert _story((2, GOOD), *wavering) == ["unknown", "ok", "at-risk"]


def test_gaps_that_are_too_short_to_count_do_not_hold_up_who_is_well_again() -> None:
    assert _story((2, GOOD), (3, BAD), *[(2, GOOD), (1, GAP)] * 5)[-1] is Health.OK


@given(st.lists(st.tuples(st.floats(0.5, 9), st.sampled_from([GOOD, BAD, GONE, GAP])), max_size=20))
def test_whatever_happened_it_ends_ok_if_all_is_well_for_long_and_never_without_measurement(
    moments: list[tuple[float, Judged]],
) -> None:
    assert _story(*moments, (70, GOOD))[-1] is Health.OK
    assert _story(*moments, (4, GAP))[-1] is Health.UNKNOWN
    assert _story(*moments, (0.5, GONE))[-1] is Health.DOWN
