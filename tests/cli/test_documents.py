"""Programs get one document on standard output, whatever verb they call; people are told beside it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Run

Write = Callable[..., str]


async def test_apply_and_delete_end_in_one_document(run: Run, write: Write) -> None:
    ended = await run("apply", write(), "-o", "json")
    found = json.loads(ended.out)
    assert (ended.code, found["outcome"]) == (0, "committed")
    assert found["change_id"]
    assert "Done: 1 added" in ended.err
    again = await run("apply", write(), "-o", "json")
    assert json.loads(again.out)["outcome"] == "unchanged"
    watched = await run("watch", found["change_id"], "-o", "json")
    assert json.loads(watched.out)["outcome"] == "committed"
    gone = await run("delete", "gov/video", "--yes", "-o", "json")
    assert json.loads(gone.out)["outcome"] == "committed"


async def test_a_refusal_is_a_document_too(run: Run, write: Write) -> None:
    ended = await run("apply", write(spec="{refuse: 1}"), "-o", "json")
    assert ended.code == 1
    assert json.loads(ended.out)["outcome"] == "refused"
    assert "nothing was applied" in ended.err


async def test_one_part_of_the_map_is_only_that_part(run: Run) -> None:
    found = json.loads((await run("topology", "domains", "-o", "json")).out)
    assert {frozenset(d) >= {"id", "up"} for d in found} == {True}


async def test_a_mistyped_format_becomes_no_file(run: Run, write: Write) -> None:
    ended = await run("plan", write(), "-o", "jsn")
    assert ended.code == 1
    assert "table, json, yaml" in ended.err


async def test_a_saved_plan_goes_alone_and_once(run: Run, write: Write) -> None:
    file = write()
    await run("plan", file, "-o", "kept.plan")
    both = await run("apply", "kept.plan", file)
    assert (both.code, "a saved plan goes alone" in both.err) == (1, True)
    assert (await run("apply", "kept.plan")).code == 0
    again = await run("apply", "kept.plan")
    assert again.code == 1
    assert "was it applied before?" in again.err


@pytest.mark.parametrize("arguments", [("history", "nosuch/x"), ("diff", "--change", "NOSUCH")])
async def test_nothing_of_something_unknown_is_an_error(run: Run, arguments: tuple[str, ...]) -> None:
    ended = await run(*arguments)
    assert (ended.code, ended.out) == (1, "")


async def test_the_command_alone_shows_help_and_its_version(run: Run) -> None:
    alone = await run()
    assert (alone.code, "usage: onecity" in alone.out) == (0, True)
    told = await run("--version")
    assert (told.code, told.out.startswith("onecity ")) == (0, True)
    assert (await run("get", "--nonsense")).code == 1


async def test_endless_input_is_refused(run: Run) -> None:
    ended = await run("validate", "/dev/zero")
    assert ended.code == 1
    assert "is larger than" in ended.err


async def test_a_terminal_that_knows_no_arrows_gets_question_marks(run: Run, write: Write) -> None:
    ended = await run("plan", write(), PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert ended.code == 2
