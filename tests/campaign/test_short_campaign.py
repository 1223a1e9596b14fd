"""A few faults of the campaign, so that every test run breaks a city; `make campaign` breaks it many times."""

from __future__ import annotations

from pathlib import Path

from tests.campaign.campaign import fill, run
from tests.campaign.faults import draw
from tests.support.stage import stage


def test_what_can_be_repaired_is_and_every_fault_is_one_incident_with_its_true_cause(tmp_path: Path) -> None:
    with stage("longgang", tmp_path) as city:
        fill(city)
        verdict = run(city, draw(7, 3, ("clock", "node", "card")), patient=False)
    assert not verdict.unrepaired
    assert not verdict.false_up
    assert not verdict.wrong_roots
    assert not verdict.oscillations
    assert not verdict.overbooked
