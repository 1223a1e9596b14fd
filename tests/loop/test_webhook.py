"""Incidents over HTTP: whatever a receiver answers, the next one is told."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest

from controller.assurance.incidents import Incident
from controller.loop import webhook
from controller.loop.webhook import Webhook


def _incident(name: str) -> Incident:
    return Incident(name, f"fibre:{name}", "fibre", f"fibre {name} is cut", 0.0, 0.0, frozenset())


class _Receiver:
    """Answers each POST with the next of these, the last one for ever; keeps which incidents it was told of."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.told: list[str] = []
        self._more = asyncio.Condition()

    async def until(self, *told: str) -> None:
        """Wait until these were told, in this order, and nothing else."""
        async with asyncio.timeout(20), self._more:
            await self._more.wait_for(lambda: len(self.told) >= len(told))
        assert self.told == list(told)

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.partition("content-length:")[2].split()[0])
        body = json.loads(await reader.readexactly(size))
        async with self._more:
            self.told.append(body["groupLabels"]["incident"])
            self._more.notify_all()
        writer.write(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "odd",
    [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\n", b""],
    ids=["not HTTP", "error", "hung up"],
)
async def test_an_answer_that_nobody_expects_is_tried_again_and_silences_nothing(
    odd: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "PAUSES_S", (0.01, 0.01))
    receiver = _Receiver(odd, GOOD)
    async with receiver as url:
        hook = Webhook(url)
        await hook.start()
        hook.tell(_incident("one"))
        await receiver.until("one", "one")
        hook.tell(_incident("two"))
        await receiver.until("one", "one", "two")
        await hook.stop()
        assert hook.lost == 0


async def test_an_answer_that_is_cut_short_has_taken_it_all_the_same() -> None:
    receiver = _Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut short")
    async with receiver as url:
        hook = Webhook(url)
        await hook.start()
        hook.tell(_incident("one"))
        await receiver.until("one")
        hook.tell(_incident("two"))
        await receiver.until("one", "two")
        await hook.stop()


async def test_who_is_away_hears_the_end_of_the_story_and_not_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "WAITING", 2)
    receiver = _Receiver(GOOD)
    async with receiver as url:
        hook = Webhook(url)
        for name in ("old", "one", "two", "one"):
            hook.tell(_incident(name))
        await hook.start()
        await receiver.until("two", "one")
        await hook.stop()
        assert hook.lost == 1
