"""Starts a city's processes, keeps their ports, and leaves nothing behind.

Each child ends by itself when its stdin closes, so that it goes with its parent through Ctrl-C, an exception or
kill -9 alike; where the starting thread is the main thread the kernel guards a hung child too.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import yaml

from lab.city import City, load_city
from lab.credentials import make_credentials, write_known_hosts, write_private
from lab.inventory import configuration
from lab.plant.link import connect
from lab.ports import free_port, is_free

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 3.0
PLANT_TIMEOUT_S = 90.0
_THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


class LabError(Exception):
    """The lab cannot do what was asked; the message is one sentence for a person."""


class DomainProcess:
    """One process of the lab. Ports that it got at its first start are its own for good."""

    def __init__(
        self,
        name: str,
        command: Callable[[dict[str, int]], Sequence[str]],
        log: Path,
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """python: the interpreter that runs it. environment: what it gets beside ours."""
        self.name, self._command, self._log = name, command, log
        self._python, self._environment = python, dict(environment or {})
        self.ports: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._line = b""

    @property
    def pid(self) -> int:
        return self._running().pid

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process; `wait_ready` waits for it."""
        command = list(self._command(self.ports))
        if threading.current_thread() is threading.main_thread():
            command = ["-m", "lab.process", str(os.getpid()), *command]
        else:
            command = ["-m", *command]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._python, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **_THREADS, **self._environment},
                start_new_session=True,  # a Ctrl-C is for the parent, which ends its children in order
            )
        self._line = b""

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait for the ready line and remember the ports in it; raises LabError."""
        process, deadline = self._running(), time.monotonic() + timeout_s
        assert process.stdout is not None
        while not self._line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                self.kill()
                raise LabError(f"{self.name} was not ready after {timeout_s:g} s; its log is {self._log}")
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                self.kill()
                raise LabError(f"{self.name} ended before it was ready: {self._last_words()}")
            self._line += chunk
        ready = json.loads(self._line.splitlines()[0])
        self.ports = {k: int(v) for k, v in ready.items() if k != "ready"}

    def _last_words(self) -> str:
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return f"{lines[-1] if lines else 'it said nothing'} (log {self._log})"

    def kill(self) -> None:
        """End it as a power failure would."""
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        self._reap(process)

    def stop(self) -> None:
        """End it in order, at the latest after STOP_TIMEOUT_S."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reap(self.process)

    def pause(self) -> None:
        """Hang it: it keeps its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Start it again, on the same ports, with the state that it left on disk."""
        if self.alive():
            self.stop()
        self.start()
        self.wait_ready()

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise LabError(f"{self.name} was never started")
        return self.process

    @staticmethod
    def _reap(process: subprocess.Popen[bytes]) -> None:
        process.wait()
        streams: tuple[BinaryIO | Any, ...] = (process.stdin, process.stdout)
        for stream in streams:
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@dataclass(frozen=True, slots=True)
class Plant:
    """What the domain controllers of a city stand on: its processes in the order in which they need each other.

    devices: domain → the socket behind which its devices are, where that is not the plant's own.
    """

    processes: Mapping[str, DomainProcess]
    devices: Mapping[str, Path] = field(default_factory=dict)


class RunningCity:
    """A city that is up. Use as a context manager, or call `stop`."""

    def __init__(self, city: City, directory: Path, processes: dict[str, DomainProcess]) -> None:
        self.city, self.directory, self._processes = city, directory, processes
        self._plant_socket: socket.socket | None = None
        self._plant_lines: BinaryIO | None = None
        self._lock = threading.Lock()

    @property
    def config_path(self) -> Path:
        return self.directory / "onecity.yaml"

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(name for name in self._processes if name != "plant")

    def domain_process(self, name: str) -> DomainProcess:
        """Return the process of a domain (or "plant")."""
        if name not in self._processes:
            raise LabError(f"no domain {name!r} runs here; there are {', '.join(self._processes)}")
        return self._processes[name]

    def plant(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send one operator command and return the plant's answer."""
        with self._lock:
            try:
                return self._exchange(command)
            except (OSError, LabError):
                self._hang_up()  # the plant was restarted: its new instance knows nothing of this connection
                return self._exchange(command)

    def _exchange(self, command: dict[str, Any]) -> dict[str, Any]:
        if self._plant_socket is None or self._plant_lines is None:
            self._plant_socket = operator_socket(self.directory)
            self._plant_lines = self._plant_socket.makefile("rb")
        return exchange(self._plant_socket, self._plant_lines, command)

    def _hang_up(self) -> None:
        for end in (self._plant_lines, self._plant_socket):
            if end is not None:
                end.close()
        self._plant_socket = self._plant_lines = None

    def stop(self) -> None:
        """End every process; nothing is left behind."""
        self._hang_up()
        for process in self._processes.values():
            if process.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.process.send_signal(signal.SIGCONT)
                    process.process.terminate()
        for process in self._processes.values():
            process.stop()

    def __enter__(self) -> RunningCity:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_city(
    city: str,
    directory: Path,
    *,
    domains: Sequence[str] | None = None,
    listen: str | None = None,
    metrics: str | None = None,
    bring_up_scale: float = 0.0,
    plant: Callable[[str, Path], Plant] | None = None,
) -> RunningCity:
    """Start a city's processes in parallel and write all that a controller needs to reach them.

    domains: only these (default all). listen, metrics: what onecity.yaml tells the daemon; default ports that are
    free now. plant: what it stands on, given city and directory (default: the modelled one). Raises LabError,
    CityError.
    """
    plan = load_city(city)
    wanted = _wanted(plan, domains)
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    make_credentials(directory, [d for d in wanted if d in plan.ip])
    (directory / "logs").mkdir(exist_ok=True)
    stands_on = (plant or modelled_plant)(city, directory)
    processes = dict(stands_on.processes)
    processes |= {d: _domain(plan, city, d, directory, bring_up_scale, stands_on.devices.get(d)) for d in wanted}
    before = kept(directory)
    earlier = _kept_ports(before)
    for name in wanted:
        protocol = "netconf" if name in plan.ip else "grpc"
        processes[name].ports = earlier.get(name) or {protocol: free_port(), "gnmi": free_port()}
    running = RunningCity(plan, directory, processes)
    try:
        if plant is not None:  # a plant that is more than one process comes up in order, before anyone looks at it
            for process in stands_on.processes.values():
                process.start()
                process.wait_ready(PLANT_TIMEOUT_S)
        rest = [p for p in processes.values() if not p.alive()]
        for process in rest:
            process.start()
        for process in rest:
            process.wait_ready()
    except BaseException:
        running.stop()
        raise
    listen = listen or before.get("listen") or f"127.0.0.1:{free_port()}"
    metrics = metrics or before.get("metrics") or f"127.0.0.1:{free_port()}"
    _write_configuration(running, listen, metrics, lights=not stands_on.devices)
    return running


def kept(directory: Path) -> dict[str, Any]:
    """Return what an earlier run in this directory told the daemon, which may be running still; {} where none did."""
    try:
        document = yaml.safe_load((directory / "onecity.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}


def _kept_ports(document: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return the ports of each domain that are free still, so that a running daemon finds it there again."""
    found: dict[str, dict[str, int]] = {}
    for domain in document.get("domains") or ():
        try:
            own = "grpc" if domain["driver"] == "optical" else "netconf"
            ends = {own: domain["address"], "gnmi": domain["telemetry"]}
            ports = {end: int(str(address).rpartition(":")[2]) for end, address in ends.items()}
        except (KeyError, TypeError, ValueError):
            continue
        if all(map(is_free, ports.values())):
            found[str(domain.get("name"))] = ports
    return found


def _wanted(plan: City, domains: Sequence[str] | None) -> list[str]:
    every = [*plan.ip, plan.optical.name]
    for name in domains or ():
        if name not in every:
            raise LabError(f"{plan.name} has no domain {name!r}; there are {', '.join(every)}")
    return [d for d in every if domains is None or d in domains]


def modelled_plant(city: str, directory: Path) -> Plant:
    """One process that knows where every packet would go."""
    arguments = ["lab.plant.main", "--city", city, "--dir", str(directory), "--watch-stdin"]
    return Plant({"plant": DomainProcess("plant", lambda ports: arguments, directory / "logs" / "plant.log")})


def _domain(
    plan: City, city: str, name: str, directory: Path, bring_up_scale: float, devices: Path | None
) -> DomainProcess:
    where = ["--city", city, "--dir", str(directory), "--watch-stdin"]

    def optical(ports: dict[str, int]) -> list[str]:
        numbers = ["--port", str(ports.get("grpc", 0)), "--gnmi-port", str(ports.get("gnmi", 0))]
        return ["lab.optical.main", *where, *numbers, "--bring-up-scale", str(bring_up_scale)]

    def ip(ports: dict[str, int]) -> list[str]:
        numbers = ["--netconf-port", str(ports.get("netconf", 0)), "--gnmi-port", str(ports.get("gnmi", 0))]
        behind = ["--devices", str(devices)] if devices is not None else []
        return ["lab.ip.main", "--domain", name, *where, *numbers, *behind]

    command = optical if name == plan.optical.name else ip
    return DomainProcess(name, command, directory / "logs" / f"{name}.log")


def _write_configuration(running: RunningCity, listen: str, metrics: str, *, lights: bool) -> None:
    endpoints = {d: running.domain_process(d).ports for d in running.domains}
    write_known_hosts(running.directory, {d: p["netconf"] for d, p in endpoints.items() if "netconf" in p})
    document = configuration(running.city, endpoints, listen, metrics, lights=lights)
    text = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)
    write_private(running.config_path, text.encode())


def operator_socket(directory: Path) -> socket.socket:
    """Connect to the plant of a run directory as its operator; raises LabError."""
    try:
        connection = connect(directory / "plant.sock")
    except OSError as error:
        raise LabError(
            f"no city runs in {directory}, or its plant is dead; `onecity lab status --dir {directory}` tells"
        ) from error
    connection.settimeout(60.0)
    connection.sendall(b'{"type":"hello","role":"operator"}\n')
    return connection


def exchange(connection: socket.socket, lines: BinaryIO, command: dict[str, Any]) -> dict[str, Any]:
    """Send one command line, return the one answer line."""
    connection.sendall(json.dumps(command).encode() + b"\n")
    answer = lines.readline()
    if not answer:
        raise LabError("the plant closed the connection")
    reply: dict[str, Any] = json.loads(answer)
    return reply
