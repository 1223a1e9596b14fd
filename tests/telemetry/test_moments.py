"""When something was measured, by our clock, whatever the domain's clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.telemetry.moments import Moments


@given(st.lists(st.tuples(st.floats(0.1, 5.0), st.floats(0.0, 3.0), st.floats(-100, 100)), min_size=1, max_size=40))
def test_no_sample_passes_for_newer_than_it_arrived(samples: list[tuple[float, float, float]]) -> None:
    moments, now, clock = Moments(), 1000.0, 5e8
    for pause, lag, step in samples:
        now += pause
        clock += step
        moments.take("d", "s", clock + now - lag, now)
        found = moments.of("s")
        assert found is not None
        assert found <= now + 1e-6


def test_a_late_sample_is_as_old_as_it_is() -> None:
    moments = Moments()
    moments.take("d", "quick", 5000.0, 100.01)
    moments.take("d", "late", 5001.0, 103.0)
    found = moments.of("late")
    assert found is not None
    assert abs(found - 101.01) < 1e-6
