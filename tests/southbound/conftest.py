from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.southbound.driver import DomainSettings, DomainTimers
from controller.southbound.netconf.driver import NetconfDriver, netconf_driver
from controller.southbound.optical.driver import OpticalDriver, optical_driver
from lab.credentials import make_credentials, write_known_hosts
from lab.supervision import DomainProcess
from tests.southbound.scripted_server import ScriptedServer, scripted_server

TIMERS = DomainTimers(connect_s=1.0, edit_s=1.0, commit_s=1.0, confirm_s=10.0, read_s=2.0)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ScriptedServer]:
    """A NETCONF server that greets properly and answers as the test tells it to."""
    async with scripted_server(tmp_path) as running:
        yield running


@dataclass(frozen=True)
class RunningDomain:
    """A domain controller of the lab, as a process, and what it takes to reach it."""

    process: DomainProcess
    settings: DomainSettings

    def revive(self) -> None:
        """Leave the process as the next test expects it."""
        if not self.process.alive():
            self.process.restart()


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("city")
    make_credentials(directory, ["city-ip"])
    return directory


@pytest.fixture(scope="session")
def ip_domain(run_directory: Path) -> Iterator[RunningDomain]:
    """Longgang's city IP domain, without the plant: configuration and topology, no traffic."""
    where = ["--city", "longgang", "--dir", str(run_directory), "--watch-stdin", "--domain", "city-ip"]

    def command(ports: dict[str, int]) -> list[str]:
        numbers = ["--netconf-port", str(ports.get("netconf", 0)), "--gnmi-port", str(ports.get("gnmi", 0))]
        return ["lab.ip.main", *where, *numbers]

    process = DomainProcess("city-ip", command, run_directory / "city-ip.log")
    process.start()
    process.wait_ready()
    write_known_hosts(run_directory, {"city-ip": process.ports["netconf"]})
    settings = DomainSettings(
        name="city-ip",
        driver="netconf",
        address=f"127.0.0.1:{process.ports['netconf']}",
        network_id="net:city-ip",
        username="onecity",
        password_file=str(run_directory / "secrets" / "city-ip.password"),
        known_hosts=str(run_directory / "known_hosts"),
        timers=TIMERS,
    )
    yield RunningDomain(process, settings)
    process.stop()


@pytest.fixture(scope="session")
def optical_domain(run_directory: Path) -> Iterator[RunningDomain]:
    """Longgang's optical domain, without the plant."""
    where = ["--city", "longgang", "--dir", str(run_directory), "--watch-stdin"]

    def command(ports: dict[str, int]) -> list[str]:
        numbers = ["--port", str(ports.get("grpc", 0)), "--gnmi-port", str(ports.get("gnmi", 0))]
        return ["lab.optical.main", *where, *numbers]

    process = DomainProcess("city-otn", command, run_directory / "city-otn.log")
    process.start()
    process.wait_ready()
    settings = DomainSettings(
        name="city-otn",
        driver="optical",
        address=f"127.0.0.1:{process.ports['grpc']}",
        ca_file=str(run_directory / "ca.pem"),
        token_file=str(run_directory / "secrets" / "token"),
        timers=TIMERS,
    )
    yield RunningDomain(process, settings)
    process.stop()


@pytest.fixture
async def ip(ip_domain: RunningDomain) -> AsyncIterator[NetconfDriver]:
    ip_domain.revive()
    driver = netconf_driver(ip_domain.settings)
    yield driver
    await driver.close()


@pytest.fixture
async def optical(optical_domain: RunningDomain) -> AsyncIterator[OpticalDriver]:
    optical_domain.revive()
    driver = optical_driver(optical_domain.settings)
    yield driver
    await driver.close()


@pytest.fixture
def txn() -> str:
    """A transaction id that no domain has seen."""
    return f"onecity-{time.monotonic_ns():x}-0"
