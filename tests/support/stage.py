"""A city and a daemon as processes, as a user would start them, and a client of the northbound API.

End-to-end tests and measurements stand on this: real NETCONF over SSH, real gRPC, real gNMI, nothing in between.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ncclient import manager
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import controller_pb2_grpc, intent_pb2, plan_pb2, status_pb2

from lab.supervision import RunningCity, start_city

START_S = 90.0  # a machine on which others work has kept a daemon from its first line for half a minute
CHANGE_S = 120.0
COMMITTED, UNCHANGED, REFUSED, FAILED = (
    plan_pb2.CHANGE_OUTCOME_COMMITTED,
    plan_pb2.CHANGE_OUTCOME_UNCHANGED,
    plan_pb2.CHANGE_OUTCOME_REFUSED,
    plan_pb2.CHANGE_OUTCOME_FAILED,
)


class Client:
    """The northbound API; changes are timed from the request to the event that ends them."""

    def __init__(self, address: str) -> None:
        options = (("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20))
        self.channel = grpc.insecure_channel(address, options=options)
        self.stub: Any = controller_pb2_grpc.ControllerServiceStub(self.channel)  # type: ignore[no-untyped-call]

    def apply(self, *texts: str, **more: Any) -> tuple[float, plan_pb2.ChangeResult]:
        """Apply documents; return the seconds it took and how it ended."""
        started = time.perf_counter()
        return self.ended(self.begin(*texts, **more), started)

    def begin(self, *texts: str, **more: Any) -> str:
        """Ask for a change and return its id."""
        request = pb.ApplyRequest(documents=_documents(texts), reason="test", **more)
        return str(self.stub.Apply(request, timeout=CHANGE_S).change_id)

    def delete(self, *services: str) -> tuple[float, plan_pb2.ChangeResult]:
        started = time.perf_counter()
        change = self.stub.Delete(pb.DeleteRequest(services=services, reason="test"), timeout=CHANGE_S).change_id
        return self.ended(change, started)

    def plan(self, *texts: str, native: bool = False) -> plan_pb2.Plan:
        request = pb.PlanRequest(documents=_documents(texts), native=native)
        return self.stub.Plan(request, timeout=CHANGE_S).plan

    def ended(self, change: str, started: float | None = None) -> tuple[float, plan_pb2.ChangeResult]:
        """Watch a change to its end."""
        started = time.perf_counter() if started is None else started
        for event in self.stub.WatchChange(pb.WatchChangeRequest(change_id=change), timeout=CHANGE_S):
            if event.HasField("result"):
                return time.perf_counter() - started, event.result
        raise RuntimeError(f"change {change} ended without a result")

    def services(self) -> dict[str, status_pb2.ServiceStatus]:
        return {s.service: s for s in self.stub.GetServices(pb.GetServicesRequest(), timeout=30).services}

    def describe(self, service: str) -> status_pb2.ServiceDescription:
        request = pb.DescribeServiceRequest(service=service)
        return self.stub.DescribeService(request, timeout=30).description

    def differences(self) -> dict[str, list[str]]:
        """Return the paths in which each domain differs from what is desired; all must be reachable."""
        domains = self.stub.Diff(pb.DiffRequest(), timeout=60).domains
        assert all(d.reachable for d in domains), [d.message for d in domains]
        return {d.domain: [x.path for x in d.differences] for d in domains}


def _documents(texts: tuple[str, ...]) -> list[intent_pb2.Document]:
    return [intent_pb2.Document(source_name=f"document-{i}.yaml", yaml=text) for i, text in enumerate(texts)]


class Stage:
    """A running city with a daemon over it. The daemon can be killed and started again over the same store."""

    def __init__(self, city: RunningCity) -> None:
        self.city = city
        text = city.config_path.read_text(encoding="utf-8")
        settings = yaml.safe_load(text)
        if "optics" not in settings:  # propagation takes a second of every daemon's start, and is tested by itself
            city.config_path.write_text(f"{text}\noptics: table\n", encoding="utf-8")
        self.address, self.metrics = settings["listen"], settings["metrics"]
        self.log = city.directory / "logs" / "daemon.log"
        self.client = Client(self.address)
        self.daemon = self._start({})
        self._await_daemon()

    def _start(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        guarded = [sys.executable, "-m", "lab.process", str(os.getpid()), "controller.cli.main"]
        with self.log.open("ab") as log:
            line = [*guarded, "serve", "-c", str(self.city.config_path)]
            return subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, **environment})

    def kill_daemon(self) -> None:
        """kill -9."""
        self.daemon.kill()
        self.daemon.wait()

    def start_daemon(self, *, wait: bool = True, **environment: str) -> None:
        """Start it over the same store; `wait=False` for one that may die before it is ready."""
        self.daemon = self._start(environment)
        if wait:
            self._await_daemon()

    def _await_daemon(self) -> None:
        def last_words() -> str | None:
            if self.daemon.poll() is None:
                return None
            return f"the daemon ended with {self.daemon.returncode}:\n{self.log.read_text(errors='replace')[-2000:]}"

        wait_ready(self.address, ended=last_words)

    def down(self) -> list[str]:
        """Return the links that the controller's map shows as down."""
        topology = self.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology
        return [link.id for link in topology.links if not link.up]

    def mend(self) -> None:
        """Repair everything in the plant and wait until the map says so."""
        self.city.plant({"type": "restore", "what": "all"})
        eventually(lambda: not self.down())

    def stop(self) -> None:
        self.client.channel.close()
        self.daemon.terminate()
        try:
            self.daemon.wait(20)
        except subprocess.TimeoutExpired:
            self.kill_daemon()

    @contextmanager
    def session(self, domain: str) -> Iterator[manager.Manager]:
        """A NETCONF session of somebody who does not ask the controller."""
        settings = yaml.safe_load(self.city.config_path.read_text(encoding="utf-8"))
        entry = next(d for d in settings["domains"] if d["name"] == domain)
        host, port = entry["address"].split(":")
        password = (self.city.directory / entry["passwordFile"]).read_text().strip()
        login = {"username": entry["username"], "password": password, "allow_agent": False, "look_for_keys": False}
        with manager.connect(host=host, port=int(port), hostkey_verify=False, **login) as session:
            yield session

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `onecity` command against this daemon."""
        environment = {**os.environ, "ONECITY_SERVER": self.address}
        line = [sys.executable, "-m", "controller.cli.main", *arguments]
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=CHANGE_S)


@contextmanager
def stage(city: str, directory: Path, **more: Any) -> Iterator[Stage]:
    """Yield a city with a daemon; everything is stopped at the end. `more`: as `start_city` takes it."""
    with start_city(city, directory, **more) as running:
        standing = Stage(running)
        try:
            yield standing
        finally:
            standing.stop()


def wait_ready(address: str, within_s: float = START_S, ended: Callable[[], str | None] = lambda: None) -> None:
    """Wait until the health service says that changes are accepted; `ended` says why it never will."""
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                if health.Check(health_pb2.HealthCheckRequest(), timeout=1.0).status == 1:
                    return
            except grpc.RpcError:
                pass
            if why := ended():
                raise RuntimeError(why)
            time.sleep(0.05)
    raise RuntimeError(f"no daemon is ready at {address} within {within_s:.0f} s")


def eventually(holds: Any, within_s: float = 30.0) -> None:
    """Wait until a condition holds; fails with its last answer."""
    deadline = time.monotonic() + within_s
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within_s:g} s"
        time.sleep(0.05)
