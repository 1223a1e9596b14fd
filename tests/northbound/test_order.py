"""The example of a northbound system runs as it is, against a real server."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from controller.northbound.server import NorthboundServer
from tests.northbound.remembered import RememberedChanges

ORDER = Path(__file__).parents[2] / "intents" / "order.py"


async def ordered(server: NorthboundServer, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ORDER), "--server", f"127.0.0.1:{server.port}", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode or 0, out.decode(), err.decode()


async def test_an_order_is_placed_once_and_its_status_shown(
    server: NorthboundServer, changes: RememberedChanges
) -> None:
    code, out, err = await ordered(server)
    assert (code, err) == (0, "")
    assert "order 2026-0042 is change c1" in out
    assert "committed" in out
    assert "delay    0.21 ms, promised 20 ms" in out
    again = await ordered(server)
    assert again[0] == 0
    assert len(changes.changes) == 1
    kind, spec, labels = changes.standing["shop/order-2026-0042"]
    assert (kind, labels) == ("ExclusiveSlice", {"order": "2026-0042"})
    assert (spec["bandwidth"], spec["class"], spec["protection"]) == ("10000000000bps", "video", "standby")


async def test_an_order_that_nobody_answers_fails_with_a_sentence(
    server: NorthboundServer, changes: RememberedChanges
) -> None:
    await server.stop(0)
    code, out, err = await ordered(server)
    assert (code, out) == (1, "")
    assert err
    assert "Traceback" not in err
