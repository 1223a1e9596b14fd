from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.southbound.scripted_server import ScriptedServer, scripted_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ScriptedServer]:
    """A NETCONF server that greets properly and answers as the test tells it to."""
    async with scripted_server(tmp_path) as running:
        yield running
