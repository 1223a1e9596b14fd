"""A real server on a loopback port, over changes kept in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
from onecity.v1 import controller_pb2_grpc

from controller.northbound.server import NorthboundServer
from controller.settings import Listen
from tests.northbound.remembered import RememberedChanges


@pytest.fixture
def changes() -> RememberedChanges:
    return RememberedChanges()


@pytest.fixture
async def server(changes: RememberedChanges) -> AsyncIterator[NorthboundServer]:
    server = NorthboundServer(changes, Listen("127.0.0.1", 0))
    await server.start()
    yield server
    await server.stop(0.1)


@pytest.fixture
async def stub(server: NorthboundServer) -> AsyncIterator[controller_pb2_grpc.ControllerServiceStub]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield controller_pb2_grpc.ControllerServiceStub(channel)
