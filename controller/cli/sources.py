"""Which files the arguments mean, and saved plans.

A directory means every *.yaml and *.yml in it, recursively and in order; `-` is standard input. Reading is all that
happens here: what the files say is the intent room's business, so that every mistake is reported in one voice.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.cli.errors import CommandError

SUFFIXES = (".yaml", ".yml")
MOST_BYTES = 15 * 1024 * 1024  # all sources of one call together; the server takes 16 MB a message
PLAN_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or standard input."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What `plan -o FILE` keeps: the documents as they were, and the digest of the plan that was seen."""

    digest: str
    sources: tuple[Source, ...]
    prune_label: str = ""
    prune_tenant: str = ""
    objective: str = ""  # instead of sources: what standing services are moved for


def read_sources(arguments: Sequence[str]) -> tuple[Source, ...]:
    """Return every file that the arguments mean, each once. Raises CommandError, or IntentError beside a file that is
    no text: with the mistakes of all files, as no message can carry that one to the daemon.
    """
    if not arguments:
        raise CommandError("name at least one intent file or directory, or - for standard input")
    held = {name: _held(name) for name in dict.fromkeys(_names(arguments))}
    size = sum(map(len, held.values()))
    if size > MOST_BYTES:
        raise CommandError(f"the files hold {size >> 20} MB together; at most {MOST_BYTES >> 20} MB go in one call")
    try:
        return tuple(Source(name, data.decode("utf-8")) for name, data in held.items())
    except UnicodeDecodeError as error:
        from controller.intent.reading import read

        read(list(held.items()), datetime.now(UTC))
        raise CommandError(f"a file is not UTF-8 text: {error}") from None


def _names(arguments: Iterable[str]) -> Iterable[str]:
    for argument in arguments:
        path = Path(argument)
        if argument == "-" or not path.is_dir():
            yield argument
            continue
        inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
        if not inside:
            raise CommandError(f"{argument}: holds no *.yaml file")
        yield from (str(p) for p in inside)


def _held(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MOST_BYTES + 1)
        with Path(name).open("rb") as file:  # a device has no size to ask for, and may have no end
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise CommandError(f"{name}: is larger than {MOST_BYTES >> 20} MB; split it into several files")
        return data
    except FileNotFoundError:
        raise CommandError(f"{name}: there is no such file or directory") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def save_plan(path: Path, plan: SavedPlan) -> None:
    """Write a plan, readable by its owner only: intents may be confidential."""
    text = json.dumps({"onecityPlan": PLAN_FORMAT, **asdict(plan)}, ensure_ascii=False, indent=1)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from None


def saved_plan(arguments: Sequence[str]) -> SavedPlan | None:
    """Return the plan that the one argument holds, or None where it is something else."""
    if len(arguments) != 1 or arguments[0] == "-" or not Path(arguments[0]).is_file():
        return None
    with Path(arguments[0]).open("rb") as file:
        if b'"onecityPlan"' not in file.read(64):
            return None
    try:
        content = json.loads(_held(arguments[0]))
        if content.pop("onecityPlan") != PLAN_FORMAT:
            raise CommandError(f"{arguments[0]}: is a plan of another version; plan again")
        sources = tuple(Source(**source) for source in content.pop("sources"))
        return SavedPlan(sources=sources, **content)
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
        raise CommandError(f"{arguments[0]}: is a damaged plan; plan again") from None
