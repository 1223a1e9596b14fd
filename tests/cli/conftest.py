"""The command as people run it: a process of its own, against a real server with changes kept in memory."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.northbound.server import NorthboundServer
from tests.northbound.conftest import changes, server

__all__ = ["changes", "server"]

ONECITY = str(Path(sys.executable).with_name("onecity"))


@dataclass(frozen=True)
class Ended:
    """What one run left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Ended]]


def environment(server: NorthboundServer, **more: str) -> dict[str, str]:
    return {**os.environ, "ONECITY_SERVER": f"127.0.0.1:{server.port}", "USER": "ann", "LOGNAME": "ann", **more}


@pytest.fixture
def run(server: NorthboundServer, tmp_path: Path) -> Run:
    async def run(*arguments: str, stdin: str | None = None, **more: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            ONECITY,
            *arguments,
            cwd=tmp_path,
            env=environment(server, **more),
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode() if stdin is not None else None), 20)
        assert "Traceback" not in err.decode()
        return Ended(process.returncode or 0, out.decode(), err.decode())

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write(name: str = "video", spec: str = "{rate: 1}", labels: str = "{}", folder: str = "intents") -> str:
        path = tmp_path / folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = f"{{name: {name}, tenant: gov, labels: {labels}}}"
        path.write_text(f"kind: ExclusiveSlice\nmetadata: {meta}\nspec: {spec}\n")
        return str(path.relative_to(tmp_path))

    return write
