"""The gNMI service over a TelemetryTree: Capabilities, Get, and Subscribe in the modes STREAM, ONCE and POLL.

Notifications carry the time of measurement, so a reader sees that a sample repeats an old value. TARGET_DEFINED is
ON_CHANGE. Nothing can be set: configuration goes through the domain's own protocol.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from lab.gnmi.paths import Elements, from_messages
from lab.gnmi.stream import Stream
from lab.gnmi.telemetry import TelemetryTree, notifications

_ENCODINGS = (gnmi_pb2.JSON, gnmi_pb2.JSON_IETF)


async def serve_gnmi(
    tree: TelemetryTree, host: str, port: int, cert_file: str | Path, key_file: str | Path, token: str
) -> tuple[grpc.aio.Server, int]:
    """Start a TLS server for clients that bear the token; port 0 lets the system pick. Returns (server, port)."""
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # a stream without news may ask if we live
    ]
    server = grpc.aio.server(options=options)
    gnmi_pb2_grpc.add_gNMIServicer_to_server(_GnmiService(tree, token), server)
    bound = server.add_secure_port(f"{host}:{port}", _credentials(cert_file, key_file))
    await server.start()
    return server, bound


def _credentials(cert_file: str | Path, key_file: str | Path) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials([(Path(key_file).read_bytes(), Path(cert_file).read_bytes())])


class _GnmiService(gnmi_pb2_grpc.gNMIServicer):  # type: ignore[misc]
    def __init__(self, tree: TelemetryTree, token: str) -> None:
        self._tree = tree
        self._expected = f"Bearer {token.strip()}".encode()

    async def _admit(self, context: Any) -> None:
        sent = dict(context.invocation_metadata() or ()).get("authorization", "")
        if not hmac.compare_digest(str(sent).encode(), self._expected):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid bearer token in metadata authorization")

    async def Capabilities(self, request: Any, context: Any) -> Any:  # noqa: N802 – gRPC's name
        await self._admit(context)
        return gnmi_pb2.CapabilityResponse(supported_encodings=_ENCODINGS, gNMI_version="0.8.0")

    async def Get(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._admit(context)
        await self._check_encoding(request.encoding, context)
        found = []
        for path in request.path or [gnmi_pb2.Path()]:
            leaves = self._tree.select([from_messages(request.prefix, path)])
            if not leaves and path.elem:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"nothing is measured at {_text(path)}")
            found.extend(notifications(leaves))
        return gnmi_pb2.GetResponse(notification=found)

    async def Set(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._admit(context)
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "telemetry cannot be set")

    async def _check_encoding(self, encoding: int, context: Any) -> None:
        if encoding not in _ENCODINGS:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "values are encoded as JSON_IETF")

    async def Subscribe(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: N802
        await self._admit(context)
        request = await anext(aiter(request_iterator), None)
        if request is None or request.WhichOneof("request") != "subscribe":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message must be a SubscriptionList")
            return
        wanted = request.subscribe
        await self._check_encoding(wanted.encoding, context)
        every = [from_messages(wanted.prefix, s.path) for s in wanted.subscription]
        if wanted.mode == gnmi_pb2.SubscriptionList.STREAM:
            stream = Stream(self._tree, wanted)
            try:
                async for response in stream.responses():
                    yield response
            finally:
                stream.close()
            return
        for response in self._now(every):
            yield response
        if wanted.mode == gnmi_pb2.SubscriptionList.POLL:
            async for _ in request_iterator:
                for response in self._now(every):
                    yield response

    def _now(self, patterns: Sequence[Elements]) -> list[Any]:
        answers = [gnmi_pb2.SubscribeResponse(update=n) for n in notifications(self._tree.select(patterns))]
        return [*answers, gnmi_pb2.SubscribeResponse(sync_response=True)]


def _text(path: Any) -> str:
    return "".join(f"/{e.name}" + "".join(f"[{k}={v}]" for k, v in e.key.items()) for e in path.elem)
