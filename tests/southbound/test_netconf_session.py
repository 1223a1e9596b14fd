"""The NETCONF session: quick, and never waiting for ever."""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from controller.errors import ConfigurationError, DomainError, DomainUnreachableError
from controller.southbound.driver import DomainTimers
from controller.southbound.netconf.client import NetconfClient
from controller.southbound.netconf.framing import Deframer, FramingError, frame
from controller.southbound.netconf.session import root_of
from tests.southbound.scripted_server import ScriptedServer, error, scripted_server

OPERATIONS = ("lock", "edit-config", "commit", "commit", "unlock")


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[NetconfClient]:
    with ThreadPoolExecutor(2) as executor:
        client = NetconfClient(server.settings, executor)
        await client.connect()
        yield client
        await client.close()


@pytest.mark.alone
async def test_a_change_of_five_requests_takes_milliseconds_not_ticks(client: NetconfClient) -> None:
    # Stock ncclient needs about 100 ms a request; the bound leaves room for a busy machine.
    taken_s = []
    for _ in range(20):
        start = time.perf_counter()
        for name in OPERATIONS:
            await client.call(name, f"<{name}/>", 5)
        taken_s.append(time.perf_counter() - start)
    assert statistics.median(taken_s) < 0.1


async def test_requests_sent_back_to_back_are_answered_in_order(server: ScriptedServer, client: NetconfClient) -> None:
    server.answer["edit-config"] = error("data-exists", "it is there")
    sent = [client.send(name, f"<{name}/>") for name in OPERATIONS]
    replies = await client.receive(sent, 5)
    assert server.received == list(OPERATIONS)
    assert [bool(reply.errors) for reply in replies] == [False, True, False, False, False]


async def test_a_reply_that_comes_twice_is_heard_once(server: ScriptedServer, client: NetconfClient) -> None:
    server.stutters = True
    for _ in range(3):
        assert not (await client.call("unlock", "<unlock><target><candidate/></target></unlock>", 2)).errors
    assert client.alive
    assert server.received == ["unlock"] * 3


async def test_a_server_that_leaves_the_first_request_lying_is_woken(
    server: ScriptedServer, client: NetconfClient
) -> None:
    server.dozes = True
    assert not (await client.call("lock", "<lock/>", 5)).errors
    assert server.received == ["lock", "get-config"]
    assert not (await client.call("unlock", "<unlock/>", 0.5)).errors


async def test_a_long_answer_arrives_whole(server: ScriptedServer, client: NetconfClient) -> None:
    server.answer["get"] = f"<data><x>{'龙岗' * 700_000}</x></data>"
    reply = await client.call("get", "<get/>", 10)
    data = reply.data()
    assert data is not None
    assert len(data[0].text or "") == 1_400_000


async def test_silence_ends_at_the_deadline_and_leaves_the_loop_free(
    server: ScriptedServer, client: NetconfClient
) -> None:
    server.answer["commit"] = None
    ticks = 0

    async def count() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    counting = asyncio.create_task(count())
    start = time.perf_counter()
    with pytest.raises(DomainUnreachableError, match=r"no answer to commit within 0\.3 s"):
        await client.call("commit", "<commit/>", 0.3)
    counting.cancel()
    assert time.perf_counter() - start < 1.0
    assert ticks > 10
    await asyncio.wait_for(client.ended.wait(), 2)
    assert not client.alive


async def test_a_session_that_dies_tells_every_request_under_way(server: ScriptedServer, client: NetconfClient) -> None:
    server.answer["commit"] = None
    sent = [client.send("commit", "<commit/>"), client.send("commit", "<commit/>")]
    await asyncio.sleep(0.05)
    server.drop_sessions()
    with pytest.raises(DomainUnreachableError, match="the session ended"):
        await client.receive(sent, 5)
    await asyncio.wait_for(client.ended.wait(), 2)
    with pytest.raises(DomainUnreachableError, match="has ended"):
        await client.call("lock", "<lock/>", 1)


async def test_a_server_with_another_key_is_refused_without_sending_the_password(
    server: ScriptedServer, tmp_path: Path
) -> None:
    host, kind, _ = (tmp_path / "known_hosts").read_text().split()
    other = "AAAAC3NzaC1lZDI1NTE5AAAAIBbPyJBv2r9mxWtFQdYVUqVe4IuzrXhVmBsRkBjM8b0K"
    (tmp_path / "known_hosts").write_text(f"{host} {kind} {other}\n")
    with ThreadPoolExecutor(2) as executor:
        client = NetconfClient(server.settings, executor)
        with pytest.raises(DomainError, match="host key") as caught:
            await client.connect()
    assert caught.value.tag == "host-key"
    assert not isinstance(caught.value, DomainUnreachableError)


async def test_a_wrong_password_is_refused_and_not_shown(server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter-two")
    with ThreadPoolExecutor(2) as executor:
        client = NetconfClient(server.settings, executor)
        with pytest.raises(DomainError, match="credentials of onecity") as caught:
            await client.connect()
    assert caught.value.tag == "access-denied"
    assert "hunter-two" not in repr(caught.value)


async def test_without_known_hosts_nothing_is_contacted(server: ScriptedServer) -> None:
    settings = dataclasses.replace(server.settings, known_hosts="")
    with ThreadPoolExecutor(2) as executor, pytest.raises(ConfigurationError, match="knownHosts"):
        await NetconfClient(settings, executor).connect()
    assert not server.sessions


async def test_a_port_that_takes_connections_and_says_nothing_ends_at_the_connect_deadline(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as real:
        listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        timers = DomainTimers(connect_s=0.4)
        settings = dataclasses.replace(real.settings, address=f"127.0.0.1:{port}", timers=timers)
        start = time.perf_counter()
        with ThreadPoolExecutor(2) as executor, pytest.raises(DomainUnreachableError, match=r"within 0\.4 s"):
            await NetconfClient(settings, executor).connect()
        assert time.perf_counter() - start < 2.5
        listener.close()


async def test_nobody_listening_is_told_at_once(server: ScriptedServer) -> None:
    settings = dataclasses.replace(server.settings, address="127.0.0.1:9")
    with ThreadPoolExecutor(2) as executor, pytest.raises(DomainUnreachableError, match="no NETCONF session at 127"):
        await NetconfClient(settings, executor).connect()


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.lists(st.integers(1, 50)), st.booleans())
def test_messages_survive_any_cutting_of_the_stream(messages: list[bytes], cuts: list[int], chunked: bool) -> None:
    if not chunked:
        messages = [message.replace(b"]", b".").strip() for message in messages]
    stream = b"".join(frame(message, chunked=chunked) for message in messages)
    deframer, found = Deframer(), []
    for size in cuts:
        found += deframer.feed(stream[:size], chunked=chunked)
        stream = stream[size:]
    found += deframer.feed(stream, chunked=chunked)
    assert found == messages


def test_bytes_that_are_no_frame_end_the_session_instead_of_waiting_for_more() -> None:
    with pytest.raises(FramingError):
        Deframer().feed(b"HTTP/1.1 400 Bad Request\r\n", chunked=True)


def test_the_first_tag_of_a_message_is_known_without_the_rest_of_it() -> None:
    reply = '<?xml version="1.0"?>\n<!-- ' + "x" * 2000 + ' -->\n<nc:rpc-reply xmlns:nc="urn:n" message-id="m&amp;é">'
    assert root_of(reply + "<broken") == ("{urn:n}rpc-reply", {"message-id": "m&é"})
    for text in ("", " ", "no XML", "<breaks-off", "<a b=>", "\ud800"):
        with pytest.raises((etree.XMLSyntaxError, ValueError)):
            root_of(text)
