"""A city of real packets with a daemon over it, one for all tests; without root or tools they skip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.openflow.processes import missing
from tests.lab.packets import PacketStage, packet_stage


@pytest.fixture(scope="session")
def real_packets() -> None:
    """Skip where there can be none, and say why."""
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="package")
def shared_city(real_packets: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PacketStage]:
    directory: Path = tmp_path_factory.mktemp("packets")
    with packet_stage("longgang", directory) as standing:
        yield standing


@pytest.fixture(scope="module")
def city(shared_city: PacketStage) -> Iterator[PacketStage]:
    """The one city, whole and empty: a module leaves it so."""
    yield shared_city
    shared_city.clear()
