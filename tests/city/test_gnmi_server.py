"""The telemetry tree over real gRPC with TLS."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from lab.credentials import make_credentials
from lab.gnmi import TelemetryTree, serve_gnmi
from lab.gnmi.paths import PathElement, escape, matches, parse_path, to_message

_DELAY = "/onecity-flow:accesses/access[vpn=gov.a][access=gov.a.buji]/state/delay-us"


class Wire:
    """A server with its tree, and a client's channel to it."""

    def __init__(self, tree: TelemetryTree, channel: Any, token: str) -> None:
        self.tree, self.token = tree, token
        self.stub = gnmi_pb2_grpc.gNMIStub(channel)

    @property
    def metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.token}")]

    def subscribe(self, path: str, **options: Any) -> Any:
        """Open a stream; `interval_s` makes it SAMPLE."""
        interval_s = options.pop("interval_s", None)
        mode = gnmi_pb2.ON_CHANGE if interval_s is None else gnmi_pb2.SAMPLE
        nanoseconds = int((interval_s or 0) * 1e9)
        wanted = gnmi_pb2.Subscription(path=to_message(parse_path(path)), mode=mode, sample_interval=nanoseconds)
        request = gnmi_pb2.SubscribeRequest(
            subscribe=gnmi_pb2.SubscriptionList(subscription=[wanted], encoding=gnmi_pb2.JSON_IETF, **options)
        )
        call = self.stub.Subscribe(metadata=self.metadata)
        asyncio.get_running_loop().create_task(call.write(request))
        return call


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    make_credentials(tmp_path, [])
    token = (tmp_path / "secrets" / "token").read_text()
    tree = TelemetryTree()
    certs = tmp_path / "certs"
    server, port = await serve_gnmi(tree, "127.0.0.1", 0, certs / "server.pem", certs / "server.key", token)
    roots = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", roots) as channel:
        yield Wire(tree, channel, token)
    await server.stop(grace=0)


async def _next(call: Any) -> Any:
    return await asyncio.wait_for(call.read(), 5)


def _values(response: Any) -> list[Any]:
    return [json.loads(u.val.json_ietf_val) for u in response.update.update]


async def test_capabilities_offer_json_ietf_to_those_with_the_token(wire: Wire) -> None:
    answer = await wire.stub.Capabilities(gnmi_pb2.CapabilityRequest(), metadata=wire.metadata)
    assert gnmi_pb2.JSON_IETF in answer.supported_encodings
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await wire.stub.Capabilities(gnmi_pb2.CapabilityRequest(), metadata=[("authorization", "Bearer guess")])
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_once_gives_what_is_there_and_ends(wire: Wire) -> None:
    wire.tree.update(_DELAY, 12.5, 1_000)
    call = wire.subscribe("/onecity-flow:accesses", mode=gnmi_pb2.SubscriptionList.ONCE)
    first = await _next(call)
    assert _values(first) == [12.5]
    assert first.update.timestamp == 1_000
    assert (await _next(call)).sync_response
    assert await _next(call) == grpc.aio.EOF


async def test_get_reads_and_refuses_what_nobody_measures(wire: Wire) -> None:
    wire.tree.update(_DELAY, "7")
    request = gnmi_pb2.GetRequest(path=[to_message(parse_path(_DELAY))], encoding=gnmi_pb2.JSON_IETF)
    answer = await wire.stub.Get(request, metadata=wire.metadata)
    assert json.loads(answer.notification[0].update[0].val.json_ietf_val) == "7"
    request = gnmi_pb2.GetRequest(path=[to_message(parse_path("/nothing"))], encoding=gnmi_pb2.JSON_IETF)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await wire.stub.Get(request, metadata=wire.metadata)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_on_change_tells_changes_and_removals_only(wire: Wire) -> None:
    wire.tree.update(_DELAY, 1)
    call = wire.subscribe("/accesses/access[vpn=gov.a]/state/*")
    assert _values(await _next(call)) == [1]
    assert (await _next(call)).sync_response
    wire.tree.update(_DELAY, 1)  # the same again: nothing to tell
    wire.tree.update(_DELAY.replace("gov.a]", "gov.b]"), 5)  # another VPN
    wire.tree.update(_DELAY, 2)
    assert _values(await _next(call)) == [2]
    wire.tree.remove("/onecity-flow:accesses/access[vpn=gov.a][access=gov.a.buji]")
    gone = await _next(call)
    assert gone.update.delete[0].elem[1].key["access"] == "gov.a.buji"


async def test_a_sample_repeats_the_value_with_its_own_time(wire: Wire) -> None:
    wire.tree.update(_DELAY, 1, 1_000)
    call = wire.subscribe("/", interval_s=0.1)
    responses = [await _next(call) for _ in range(5)]
    assert responses[1].sync_response
    repeated = [r for n, r in enumerate(responses) if n != 1]
    assert all(_values(r) == [1] and r.update.timestamp == 1_000 for r in repeated)


@pytest.mark.alone
async def test_many_updates_travel_in_few_notifications(wire: Wire) -> None:
    """20,000 leaves a second, from the first update to the last byte at the reader."""
    paths = [_DELAY.replace("gov.a.buji", f"gov.a.{n}") for n in range(20_000)]
    for path in paths:
        wire.tree.update(path, 0, 1)
    call = wire.subscribe("/onecity-flow:accesses", updates_only=True)
    assert (await _next(call)).sync_response
    start = time.perf_counter()
    for path in paths:
        wire.tree.update(path, 1.5, 2)
    received = messages = 0
    while received < len(paths):
        received += len((await _next(call)).update.update)
        messages += 1
    assert messages <= 60
    assert time.perf_counter() - start < 1.0


@given(st.lists(st.tuples(st.from_regex(r"[a-z][a-z:-]{0,8}", fullmatch=True), st.text(max_size=6)), max_size=4))
def test_paths_survive_their_text(steps: list[tuple[str, str]]) -> None:
    text = "".join(f"/{name}[k={escape(value)}]" for name, value in steps)
    elements = parse_path(text)
    assert [(e.name, e.keys["k"]) for e in elements] == steps
    assert matches(elements, elements)
    assert matches((), elements)
    assert all(isinstance(e, PathElement) for e in elements)
