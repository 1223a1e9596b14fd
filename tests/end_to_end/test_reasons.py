"""What engineers ask of planning, over a live city: moves that the domains accept, reasons, other objectives."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.intents import slice_over_three
from tests.support.stage import COMMITTED, UNCHANGED, Stage


@pytest.mark.parametrize("isolation", ["timeslot", "wavelength"])
def test_a_slice_whose_ends_move_is_built_beside_the_old_one(longgang: Stage, isolation: str) -> None:
    before = slice_over_three().replace("isolation: timeslot", f"isolation: {isolation}").replace("99.99%", "99%")
    before = before.replace("protection: standby", "protection: none").replace("longgang", "compute")
    assert longgang.client.apply(before)[1].outcome == COMMITTED
    result = longgang.client.apply(before.replace("buji", "nanwan"))[1]
    assert result.outcome == COMMITTED, result.message
    assert not any(longgang.client.differences().values())


def test_an_engineer_is_told_why_a_slice_goes_where_it_goes(longgang: Stage) -> None:
    longgang.client.apply(slice_over_three())
    table = longgang.command("explain", "lands/survey")
    assert table.returncode == 0, table.stderr
    assert "isolation timeslot, as asked" in table.stdout
    assert "buji–longgang, optical layer, timeslots" in table.stdout
    assert "in use: the quickest that keeps 5 ms, a standby apart from it" in table.stdout
    found = json.loads(longgang.command("explain", "survey", "-o", "json").stdout)
    assert [k["isolation"] for k in found["isolations"] if k["chosen"]] == ["timeslot"]
    used, *others = found["choices"][0]["options"]
    assert used["chosen"]
    assert others
    assert all(o["verdict"] for o in others)
    unknown = longgang.command("explain", "gov/none")
    assert (unknown.returncode, "no service 'gov/none'" in unknown.stderr) == (1, True)


@pytest.mark.parametrize(("isolation", "far", "near"), [("timeslot", "compute", "pinghu"), ("nrp", "zhihui", "nanwan")])
def test_a_slice_moves_where_an_objective_is_better_served(
    longgang: Stage, isolation: str, far: str, near: str
) -> None:
    """Placed while its quickest way was out of bounds, and left there when the bounds went: nothing moves by itself."""
    text = slice_over_three().replace("protection: standby", "protection: none").replace("99.99%", "99%")
    text = text.replace("isolation: timeslot", f"isolation: {isolation}").replace("longgang", far)
    text = text.replace("buji", "bantian" if near == "pinghu" else "buji")
    closed = f"  avoid: {{nodes: [otn-{near}, lg-{near}]}}\n"
    assert longgang.client.apply(text + closed)[1].outcome == COMMITTED
    assert longgang.client.apply(text)[1].outcome == COMMITTED
    before = longgang.client.describe("lands/survey").promises[0].delay_s
    seen = longgang.command("plan", "--objective", "latency")
    assert seen.returncode == 2, seen.stdout + seen.stderr
    assert "lands/survey" in seen.stdout
    assert "make-before-break" in seen.stdout
    assert "Nothing interrupts traffic." in seen.stdout
    done = longgang.command("apply", "--objective", "latency")
    assert done.returncode == 0, done.stdout + done.stderr
    assert longgang.client.describe("lands/survey").promises[0].delay_s < before
    assert not any(longgang.client.differences().values())
    assert longgang.command("plan", "--objective", "latency").returncode == 0
    assert longgang.client.apply(text)[1].outcome == UNCHANGED
    wrong = longgang.command("plan", "--objective", "latency", "x.yaml")
    assert (wrong.returncode, "leave out files" in wrong.stderr) == (1, True)
