"""Where the time of a change went."""

from __future__ import annotations

import pytest

from controller.changes.stages import STAGES, stage_durations
from controller.changes.views import ChangeEvent, ProgressEvent


def told(*progress: tuple[str, str, int, float]) -> list[ChangeEvent]:
    return [
        ChangeEvent(n, ProgressEvent(stage, domain, step, elapsed_s=at))
        for n, (stage, domain, step, at) in enumerate(progress, 1)
    ]


def test_a_stage_ends_with_its_last_domain_and_all_stages_add_up_to_the_whole() -> None:
    found = stage_durations(
        told(
            ("queued", "", 0, 0.0),
            ("planned", "", 0, 0.010),
            ("verified", "", 0, 0.012),
            ("reserved", "", 0, 0.020),
            ("prepared", "a", 0, 0.025),
            ("prepared", "b", 0, 0.040),
            ("committed", "a", 0, 0.050),
            ("committed", "b", 0, 0.045),
            ("verified", "b", 0, 0.060),
            ("confirmed", "b", 0, 0.065),
            ("prepared", "a", 1, 0.075),
            ("confirmed", "a", 1, 0.100),
        )
    )
    assert found["prepare"] == pytest.approx(0.020 + 0.010)
    assert found["commit"] == pytest.approx(0.010)
    assert sum(found.values()) == pytest.approx(0.100)
    assert set(found) <= set(STAGES)
    assert "connect" not in found


def test_what_never_happened_has_no_duration() -> None:
    assert stage_durations(told(("queued", "", 0, 0.0), ("planned", "", 0, 0.1))) == {"plan": 0.1}
    assert stage_durations([]) == {}
