"""The verbs that read, in every format; errors that a person can act on; a quick start."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from onecity.v1 import plan_pb2, status_pb2

from controller.cli import services
from controller.cli.quantities import percent, rate, ratio, seconds
from controller.cli.screen import Screen, columns, width
from tests.cli.conftest import ONECITY, Run

Write = Callable[..., str]

SLICE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {name: video, tenant: gov}
spec:
  bandwidth: 10Gbps
  endpoints: [{site: buji}, {site: zhihui}]
"""


async def test_get_lists_measured_beside_promised(run: Run, write: Write) -> None:
    assert (await run("get")).out == "No services.\n"
    await run("apply", write())
    ended = await run("get")
    head, row = ended.out.splitlines()
    assert head.split()[:6] == ["service", "kind", "phase", "health", "delay", "/"]
    assert "0.21 ms / 20 ms" in row
    assert "– / 1e-4" in row
    assert "– / 10 Gbit/s" in row
    assert "Active" in row


async def test_get_as_json_and_yaml_keeps_numbers_and_gaps(run: Run, write: Write) -> None:
    await run("apply", write())
    (status,) = json.loads((await run("get", "gov/video", "-o", "json")).out)
    assert (status["phase"], status["slo"]["rate_bps"], status["measured"]["loss"]) == ("active", 10**10, None)
    assert status["measured"]["delay"]["value"] == 0.00021
    assert status["conditions"][0]["since"] == "2026-11-21T01:00:00Z"
    assert yaml.safe_load((await run("get", "-o", "yaml")).out)[0]["service"] == "gov/video"
    ended = await run("get", "gov/none")
    assert (ended.code, ended.err) == (1, "there is no service gov/none; `onecity get` lists those there are\n")


async def test_describe_shows_status_objectives_path_and_resources(run: Run, write: Write) -> None:
    await run("apply", write())
    out = (await run("describe", "gov/video")).out
    for words in (
        "ExclusiveSlice, wavelength",
        "Committed  True  Confirmed  on every domain",
        "delay         20 ms",
        "within",
        "no measurement from circuit:x",
        "optical  city-otn  working  0.1 ms  193.10 THz  otn-buji → f-1 → otn-zhihui",
        "channel  f-zhihui-nanwan  channel 5",
        "rides the east ring",
    ):
        assert words in out
    assert json.loads((await run("describe", "gov/video", "-o", "json")).out)["isolation"] == "wavelength"


async def test_explain_shows_the_way_in_use_and_why_the_others_lost(run: Run, write: Write) -> None:
    await run("apply", write())
    out = (await run("explain", "gov/video")).out
    lines = out.splitlines()
    assert lines[1] == "  isolation auto: class video tries wavelength, then timeslot"
    for words in (
        "*  wavelength  0.21 ms  11     in use",
        "   nrp         –        –      no way is up",
        "buji–zhihui, optical layer, wavelengths",
        "*  0.21 ms  1     2.5 %  11     in use: the quickest  otn-buji → otn-zhihui",
        "   0.5 ms   2     1 %    12     0.29 ms slower        otn-buji → otn-jihua → otn-zhihui",
        "… 3 more pairs of ends like these",
    ):
        assert words in out, out
    found = json.loads((await run("explain", "gov/video", "-o", "json")).out)
    assert found["isolations"][1]["price"] is None
    assert found["choices"][0]["options"][1]["verdict"] == "0.29 ms slower"
    ended = await run("explain", "gov/none")
    assert (ended.code, ended.err) == (1, "there is no service gov/none; `onecity get` lists those there are\n")


async def test_diff_says_by_its_exit_code_whether_there_is_any(run: Run) -> None:
    same = await run("diff", "city-otn")
    assert (same.code, same.out) == (0, "city-otn: as desired\n")
    other = await run("diff", "city-ip")
    assert (other.code, "~ /l3nm:vpn-id = 2   desired 1   (gov/video)" in other.out) == (2, True)
    gone = await run("diff", "gone")
    assert (gone.code, "cannot be compared: no session" in gone.out) == (1, True)


async def test_topology_shows_both_layers_and_problems(run: Run) -> None:
    out = (await run("topology")).out
    assert "10 Gbit/s  100 Gbit/s" in out
    assert "1 of 80" in out
    assert "problem: plug abc has one end only" in out
    assert json.loads((await run("topology", "-o", "json")).out)["sites"][0]["title"] == "Buji (布吉)"


async def test_history_schema_and_version_answer(run: Run) -> None:
    assert (await run("history")).out == "No changes.\n"
    assert json.loads((await run("schema")).out)["$schema"]
    assert (await run("version")).out.startswith("onecity ")
    assert "version" in json.loads((await run("version", "-o", "json")).out)


async def test_validate_needs_no_daemon_and_tells_every_mistake(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(SLICE)
    ended = await run("validate", "good.yaml", ONECITY_SERVER="127.0.0.1:1")
    assert (ended.code, ended.out) == (0, "1 intent in 1 file well formed.\n")
    (tmp_path / "bad.yaml").write_text(SLICE.replace("10Gbps", "10Gbs").replace("endpoints", "endpointz"))
    ended = await run("validate", "bad.yaml", ONECITY_SERVER="127.0.0.1:1")
    assert ended.code == 1
    assert "bad.yaml:5: spec.bandwidth" in ended.err
    assert "endpointz" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("get",), "no onecity daemon answers at 127.0.0.1:1; start it with `onecity serve`"),
        (("plan", "nowhere"), "nowhere: there is no such file or directory"),
        (("plan", "."), ".: holds no *.yaml file"),
        (("plan", "latin.yml"), "latin.yml:2: byte 0xe4 is not UTF-8"),
        (("plan",), "the following arguments are required"),
        (("get", "-o", "xml"), "invalid choice: 'xml'"),
        (("fly",), "there is no verb fly; there are apply, backup, blame, delete, describe"),
        (("history", "--limit", "0"), "--limit must be from 1 to 1000"),
    ],
)
async def test_what_goes_wrong_is_one_sentence_and_exit_code_one(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    if "latin.yml" in arguments:
        (tmp_path / "latin.yml").write_bytes(b"a: b\nc: \xe4\n")
    ended = await run(*arguments, ONECITY_SERVER="127.0.0.1:1")
    assert (ended.code, ended.out) == (1, "")
    assert words in ended.err
    assert ended.err.count("\n") == 1


async def test_a_reader_that_leaves_is_no_error(run: Run) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{ONECITY} --help | head -1; echo ${{PIPESTATUS[0]}}", executable="/bin/bash", stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert out.decode().splitlines()[1] == "0"
    assert err == b""


@pytest.mark.alone
async def test_the_command_starts_at_once(run: Run) -> None:
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        await run("--help")
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 0.35


def test_quantities_are_written_as_people_write_them() -> None:
    assert [rate(10**10), rate(2_500_000), rate(0), rate(None)] == ["10 Gbit/s", "2.5 Mbit/s", "0 bit/s", "–"]
    assert [seconds(0.00021), seconds(0.02), seconds(3e-7), seconds(2.5), seconds(0), seconds(None)] == [
        "0.21 ms", "20 ms", "300 ns", "2.5 s", "0 ms", "–",
    ]  # fmt: skip
    assert [ratio(1e-4), ratio(0.02), ratio(0), ratio(1.5e-6)] == ["1e-4", "2 %", "0", "1.5e-6"]
    assert [percent(0.99995), percent(0.999), percent(1)] == ["99.995 %", "99.9 %", "100 %"]
    assert [percent(0.999999996), percent(0.9999999)] == ["99.9999996 %", "99.99999 %"]  # never what it is not


def test_tables_stay_straight_with_chinese_names() -> None:
    assert width("布吉") == 4
    first, second = columns([["布吉", "a"], ["buji", "b"]])
    assert width(first) == width(second)


async def test_a_file_that_is_no_text_does_not_hide_the_mistakes_of_the_others(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bin.yaml").write_bytes(b"a: \xff\n")
    (tmp_path / "units.yaml").write_text("apiVersion: onecity/v2\n")
    ended = await run("validate", "bin.yaml", "units.yaml")
    assert ended.code == 1
    assert "bin.yaml:1: byte 0xff is not UTF-8" in ended.err
    assert "units.yaml:1: apiVersion" in ended.err


def test_who_waits_for_its_measurements_settles_unless_one_is_overdue() -> None:
    def word(*reasons: str) -> str:
        conditions = [status_pb2.Condition(type="Probed", status=unknown, reason=r) for r in reasons]
        return services.health(Screen(io.StringIO(), io.StringIO()), status_pb2.ServiceStatus(conditions=conditions))

    unknown = status_pb2.CONDITION_STATUS_UNKNOWN
    assert word("Settling") == "settling"
    assert word("Settling", "NoMeasurement") == "no measurement"
    assert word("NotRead") == "unknown"


def _council(count: int) -> status_pb2.ServiceDescription:
    """A VIP of so many parties, of which the last two are not well."""
    health = ["ok"] * (count - 2) + ["violated", "down"]
    return status_pb2.ServiceDescription(
        status=status_pb2.ServiceStatus(service="gov/council", kind="VipAssurance"),
        promises=[
            plan_pb2.Promise(a="mcu", z=f"p{n:03}", delay_s=n * 1e-5, budget_s=0.02, availability=0.9999)
            for n in range(count)
        ],
        paths=[plan_pb2.PathSegment(domain="city-ip", hops=["lg-buji", "lg-nanwan"])],
        parties=[status_pb2.PartyMeasured(name=f"p{n:03}", health=h) for n, h in enumerate(health)],
    )


def _described(found: status_pb2.ServiceDescription, *, every: bool) -> str:
    screen = Screen(io.StringIO(), io.StringIO())
    services.show_description(screen, found, ("error budget of the week: 52 % of 8 min left, burns 2×",), every=every)
    return screen.out.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_describe_shows_the_path_first_and_of_three_hundred_parties_the_worst_and_how_many_are_how() -> None:
    few = _described(_council(300), every=False)
    assert few.index("path over both layers") < few.index("promised between ends")
    assert "300 parties, 1 down, 1 violated, 298 ok" in few
    assert "error budget of the week" in few
    lines = few.splitlines()
    assert len(lines) < 50
    assert sum("mcu – p" in line for line in lines) == 10
    assert "mcu – p299" in next(line for line in lines if "mcu – p" in line)  # the nearest to its limit
    rows = [line.split()[0] for line in lines if line.strip().startswith("p2") or line.strip().startswith("p0")]
    assert rows == ["p299", "p298", "p000", "p001", "p002"]
    assert "295 better ones with --parties" in few
    all_of_them = _described(_council(300), every=True)
    assert sum("mcu – p" in line for line in all_of_them.splitlines()) == 300
    assert all(f"  p{n:03}  " in all_of_them for n in range(300))


def test_an_assurance_that_would_not_hold_when_its_window_opens_is_called_so_before() -> None:
    def word(status: int, kind: str = "Ready") -> str:
        conditions = [status_pb2.Condition(type=kind, status=status)]
        waiting = status_pb2.ServiceStatus(phase=status_pb2.PHASE_SCHEDULED, conditions=conditions)
        return services.health(Screen(io.StringIO(), io.StringIO()), waiting)

    assert word(status_pb2.CONDITION_STATUS_FALSE) == "not Ready"
    assert word(status_pb2.CONDITION_STATUS_TRUE) == "scheduled"
    assert word(status_pb2.CONDITION_STATUS_FALSE, "Committed") == "scheduled"


def test_what_is_not_well_comes_worst_first_and_the_rest_not_at_all() -> None:
    true, false = status_pb2.CONDITION_STATUS_TRUE, status_pb2.CONDITION_STATUS_FALSE

    def service(name: str, kind: str, status: int, reason: str = "") -> status_pb2.ServiceStatus:
        condition = status_pb2.Condition(type=kind, status=status, reason=reason)
        return status_pb2.ServiceStatus(service=name, conditions=[condition], phase=status_pb2.PHASE_ACTIVE)

    unknown = status_pb2.CONDITION_STATUS_UNKNOWN
    every = [
        service("a/settles", "Probed", unknown, "Settling"),
        service("b/at-risk", "Health", true, "AtRisk"),
        service("c/well", "Health", true, "Ok"),
        service("d/unguarded", "Protected", false),
        service("e/unseen", "Probed", unknown, "NoMeasurement"),
        service("f/broken", "WithinSlo", false),
        status_pb2.ServiceStatus(service="g/to-come", phase=status_pb2.PHASE_SCHEDULED),
    ]
    names = [s.service for s in services.unwell(every)]
    assert names == ["f/broken", "d/unguarded", "e/unseen", "b/at-risk", "a/settles"]
