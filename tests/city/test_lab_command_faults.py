"""Everything that can break in the plant can be broken, seen and repaired by the operator's command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.command import command

FIBRE, LINK, CIRCUIT = "f-nanwan-buji", "link:lg-nanwan.ge-2..lg-buji.ge-1", "infra/lg-bantian.ge-3-lg-zhihui.ge-3"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A detached city; what names it in a command."""
    where = ["--dir", str(tmp_path_factory.mktemp("faults"))]
    assert command(["up", "longgang", "--detach", "--domains", "city-otn,compute-ip", *where]) == 0
    yield where
    assert command(["stop", *where]) == 0


def status(city: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert command(["status", *city]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("breaking", "seen", "repaired"),
    [
        (["cut", FIBRE], f"{FIBRE} is cut", FIBRE),
        (["degrade", FIBRE, "--loss", "1%"], f"{FIBRE} loses 1.00%", FIBRE),
        (
            ["degrade", FIBRE, "--jitter", "2ms"],
            f"{FIBRE} loses 0.00%, 0 ms slower, 0.0 dB dimmer, varies by 2 ms",
            FIBRE,
        ),
        (["down", "lg-buji"], "lg-buji is down", "lg-buji"),
        (["flood", LINK, "--rate", "130Gbps"], f"{LINK} carries 130 Gbit/s of somebody else's", LINK),
        (["fail", CIRCUIT], f"a line card of {CIRCUIT} is broken", CIRCUIT),
        (["stick", CIRCUIT, "--unnoticed"], f"{CIRCUIT} stays on its first way", CIRCUIT),
        (["degrade", CIRCUIT, "--light", "6dB"], f"{CIRCUIT} loses 0.00%, 0 ms slower, 6.0 dB dimmer", CIRCUIT),
        (["detour", FIBRE, "--by", "12km"], f"{FIBRE} is 12 km longer than anybody was told", FIBRE),
        (["alarm", "lg-buji"], "node:node:lg-buji/FAN is raised for nothing", "lg-buji"),
        (["alarm", FIBRE, "--kind", "eye"], f"fibre:{FIBRE}/EYE is raised for nothing", FIBRE),
        (["lie", "compute-ip"], "compute-ip goes on telling what it told last", "compute-ip"),
        (["clock", "compute-ip", "--ahead", "1h"], "the clock of compute-ip is +3600 s wrong", "compute-ip"),
        (["clock", "city-otn", "--behind", "5min"], "the clock of city-otn is -300 s wrong", "city-otn"),
    ],
)
def test_a_fault_is_seen_until_it_is_repaired(
    city: list[str], breaking: list[str], seen: str, repaired: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([*breaking, *city]) == 0
    assert f"  {seen}" in status(city, capsys)
    assert command(["restore", repaired, *city]) == 0
    assert "nothing is broken" in status(city, capsys)
    assert command([*breaking, *city]) == 0
    assert command(["restore", "--all", *city]) == 0
    assert "nothing is broken" in status(city, capsys)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["flood", LINK], "the following arguments are required: --rate"),
        (["flood", LINK, "--rate", "130"], "is no rate; write 130Gbps or 500Mbps"),
        (["flood", "link:nobody", "--rate", "1Gbps"], "no link 'link:nobody'"),
        (["degrade", FIBRE, "--jitter", "11s"], "delay and jitter 0 to 10 seconds"),
        (["fail", "och-nobody"], "no circuit 'och-nobody'"),
        (["detour", FIBRE], "the following arguments are required: --by"),
        (["detour", FIBRE, "--by", "12"], "is no length; write 800m or 12km"),
        (["detour", "nothing", "--by", "12km"], "no fibre or wavelength 'nothing'"),
        (["detour", FIBRE, "--by", "500km"], "a detour is up to 200 km long"),
        (["alarm", "lg-bujj"], "no node or fibre 'lg-bujj'; did you mean"),
        (["alarm", "lg-buji", "--kind", "a/b"], "is no kind of alarm; write one word"),
        (["stick", "nobody"], "no circuit or tunnel 'nobody'"),
        (["lie", "city-i"], "no domain 'city-i'; there are"),
        (["clock", "compute-ip"], "clock needs either --ahead or --behind"),
        (["clock", "compute-ip", "--ahead", "1h", "--behind", "1h"], "clock needs either --ahead or --behind"),
        (["clock", "compute-ip", "--ahead", "5"], "is no time; write 30s, 5min or 1h"),
        (["restore", "compute-ip"], "compute-ip"),
    ],
)
def test_a_wrong_word_gets_one_sentence_and_breaks_nothing(
    city: list[str], wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([*wrong, *city]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "nothing is broken" in status(city, capsys)
