"""Whoever makes tickets hears of every incident's end, however long it was away; what it refuses holds up nothing."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from controller.assurance.incidents import Incident
from controller.loop import webhook as room
from controller.loop.webhook import Webhook

WITHIN_S = 20.0


class Receiver:
    """Answers by `answer(incident)`; keeps what it took with 200."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}  # incident → how it is answered; "" for all others
        self.taken: list[tuple[str, str]] = []
        self.asked = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                name = told["groupLabels"]["incident"]
                receiver.asked += 1
                code = receiver.codes.get(name, receiver.codes.get("", 200))
                if code == 0:  # hangs up in the middle
                    self.connection.close()
                    return
                if code == 200:
                    receiver.taken.append((name, told["status"]))
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, ValueError):
                    """The connection was hung up."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(room, "PAUSES_S", (0.01, 0.02))
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


def incident(name: str, *, over: bool = False) -> Incident:
    return Incident(
        name, "fibre:f", "fibre", "f is cut", 1e9, 0.0, frozenset({"fibre:f"}), closed=1e9 + 9 if over else None
    )


async def until(holds: Any) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 – a receiver in a thread tells no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("code", [503, 429, 0])
async def test_a_receiver_that_is_away_for_long_hears_the_end_of_the_story_when_it_is_back(
    receiver: Receiver, code: int
) -> None:
    receiver.codes[""] = code
    hook = Webhook(receiver.url)
    await hook.start()
    try:
        hook.tell(incident("i1"))
        await until(lambda: receiver.asked >= 8)  # more often than any list of pauses is long
        hook.tell(incident("i1", over=True))
        hook.tell(incident("i2"))
        assert (hook.waiting, hook.lost) == (2, 0)
        receiver.codes[""] = 200
        await until(lambda: not hook.waiting)
        assert sorted(receiver.taken) == [("i1", "resolved"), ("i2", "firing")]
        assert hook.lost == 0
    finally:
        await hook.stop()


async def test_what_is_refused_is_given_up_and_what_always_fails_holds_up_no_other(receiver: Receiver) -> None:
    receiver.codes.update(refused=400, broken=500)
    hook = Webhook(receiver.url)
    await hook.start()
    try:
        for name in ("refused", "broken", "fine"):
            hook.tell(incident(name))
        await until(lambda: receiver.taken == [("fine", "firing")])
        await until(lambda: hook.waiting == 1)
        assert hook.lost == 1
    finally:
        await hook.stop()


async def test_news_that_come_while_the_last_are_on_their_way_are_told_too(receiver: Receiver) -> None:
    hook = Webhook(receiver.url)
    await hook.start()
    try:
        for n in range(20):
            hook.tell(incident("i1", over=n == 19))
            await asyncio.sleep(0.002)
        await until(lambda: not hook.waiting and receiver.taken[-1:] == [("i1", "resolved")])
    finally:
        await hook.stop()


async def test_memory_is_bounded_and_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WAITING", 3)
    hook = Webhook("http://127.0.0.1:1/")
    for n in range(5):
        hook.tell(incident(f"i{n}"))
    assert (hook.waiting, hook.lost) == (3, 2)
