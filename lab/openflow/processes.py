"""The packet city's processes: one that holds switches, hosts and cables, and one a domain that programs switches."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from lab.city import load_city
from lab.openflow.names import DEFAULT_SCALE
from lab.supervision import DomainProcess, LabError, Plant

HOSTS_PER_SITE = 3
_TOOLS = ("ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ovsdb-tool", "mnexec", "tc", "ip", "nsenter", "ethtool")


def missing() -> str:
    """Return why there can be no real packets here, in one clause; "" where there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "real packets need root, for network namespaces"
    tools = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if tools:
        return f"{', '.join(tools)} not installed; `make lab-deps` names the packages"
    try:
        import mininet  # noqa: F401
    except ImportError:
        return "the Python package mininet is not installed; pip install 'onecity[lab]'"
    return ""


def process_name(domain: str) -> str:
    return f"openflow-{domain}"


def packet_plant(
    scale: int = DEFAULT_SCALE, hosts: int = HOSTS_PER_SITE, python: str = sys.executable, library: str = ""
) -> Callable[[str, Path], Plant]:
    """Return what `start_city` takes as its plant. python, library: what runs the OpenFlow processes."""

    def make(city: str, directory: Path) -> Plant:
        reason = missing()
        if reason:
            raise LabError(reason)
        where = ["--city", city, "--dir", str(directory), "--scale", str(scale), "--watch-stdin"]
        logs = directory / "logs"
        holder = ["lab.openflow.main", *where, "--hosts", str(hosts)]
        processes = {"plant": DomainProcess("plant", lambda ports: holder, logs / "plant.log")}
        chosen = {"ONECITY_OPENFLOW_LIBRARY": library, "PYTHONWARNINGS": "ignore"}
        chosen["PYTHONPATH"] = os.pathsep.join(filter(None, [_source(), os.environ.get("PYTHONPATH", "")]))
        for domain in load_city(city).ip:
            line = ["lab.openflow.process", "--domain", domain, *where]
            processes[process_name(domain)] = _programmer(process_name(domain), line, logs, python, chosen)
        devices = {d: directory / f"openflow-{d}.sock" for d in load_city(city).ip}
        return Plant(processes, devices)

    return make


def _programmer(name: str, line: list[str], logs: Path, python: str, environment: dict[str, str]) -> DomainProcess:
    return DomainProcess(name, lambda ports: line, logs / f"{name}.log", python=python, environment=environment)


def _source() -> str:
    """Where this package is imported from, for an interpreter in which it is not installed."""
    return str(Path(__file__).resolve().parents[2])
