"""What a plan says that traffic will notice, for each way in which people change what stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.intents import office, partition, slice_over_three
from tests.support.stage import COMMITTED, Stage

NANWAN = "    - {site: nanwan, lan: 10.10.3.0/24}\n"
Change = Callable[[str], str]


def replacing(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


PLANE, SLICE, PART = office(more=NANWAN), slice_over_three(), partition()
NOTHING = "0 to add, 1 to change, 0 to remove. Nothing interrupts traffic."


@pytest.mark.parametrize(
    ("before", "change", "line", "sentence"),
    [
        (PLANE, replacing("100Mbps", "200Mbps"), ("~", "no interruption"), NOTHING),
        (office(), lambda _: PLANE, ("~", "no interruption"), NOTHING),
        (
            PLANE,
            lambda _: office(),
            ("~", "interrupts traffic at nanwan"),
            "0 to add, 1 to change, 0 to remove. Traffic of gov/office at nanwan is interrupted.",
        ),
        (
            PLANE,
            replacing("{site: buji,", "{site: buji, vlan: 333,"),
            ("~", "interrupts traffic at buji"),
            "0 to add, 1 to change, 0 to remove. Traffic of gov/office at buji is interrupted.",
        ),
        (
            SLICE,
            replacing("{site: longgang,", "{site: longgang, vlan: 333,"),
            ("~", "interrupts traffic at longgang"),
            "0 to add, 1 to change, 0 to remove. Traffic of lands/survey at longgang is interrupted.",
        ),
        (
            SLICE,  # another container: its light stops, whatever the field declares
            replacing("1Gbps", "2Gbps"),
            ("~", "interrupts traffic"),
            "0 to add, 1 to change, 0 to remove. Traffic of lands/survey is interrupted.",
        ),
        (PART, replacing("200Mbps", "300Mbps"), ("±", "make-before-break"), NOTHING),
        (SLICE, replacing("latency: 5ms", "latency: 8ms"), ("±", "make-before-break"), NOTHING),
    ],
    ids=[
        "a plane's bandwidth",
        "a site more",
        "a site less",
        "a plane's VLAN",
        "a slice's VLAN",
        "a circuit's bandwidth",
        "a partition's bandwidth",
        "an objective",
    ],
)
def test_a_plan_says_what_traffic_notices(
    longgang: Stage, tmp_path: Path, before: str, change: Change, line: tuple[str, str], sentence: str
) -> None:
    assert longgang.client.apply(before)[1].outcome == COMMITTED
    file = tmp_path / "after.yaml"
    file.write_text(change(before))
    said = longgang.command("plan", str(file))
    assert said.returncode == 2, said.stderr
    first = said.stdout.splitlines()[0]
    mark, effect = line
    assert first.split()[0] == mark
    assert first.endswith(f"  {effect}")
    assert said.stdout.splitlines()[-1] == sentence
    if "interrupts" in effect:
        refused = longgang.command("apply", str(file))
        assert (refused.returncode, "add --yes if that is meant" in refused.stderr) == (1, True)


def test_a_removal_says_whose_traffic_stops(longgang: Stage) -> None:
    longgang.client.apply(PLANE)
    refused = longgang.command("delete", "gov/office")
    assert refused.returncode == 1
    assert "Traffic of gov/office is interrupted." in refused.stdout
    assert set(longgang.client.services()) == {"gov/office"}
