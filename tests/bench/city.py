"""A city and a daemon as processes, as a user would start them, and a client that times what it asks."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import yaml
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import controller_pb2_grpc, intent_pb2, plan_pb2

from lab.supervision import RunningCity, start_city

START_S = 30.0
CHANGE_S = 120.0


class Client:
    """The northbound API, timed: every change from its request to the event that ends it."""

    def __init__(self, address: str) -> None:
        options = (("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20))
        self.channel = grpc.insecure_channel(address, options=options)
        self.stub = controller_pb2_grpc.ControllerServiceStub(self.channel)  # type: ignore[no-untyped-call]

    def apply(self, *texts: str) -> tuple[float, pb.ChangeResult]:
        """Apply documents; return the seconds it took and how it ended."""
        started = time.perf_counter()
        documents = [intent_pb2.Document(source_name=f"bench-{i}", yaml=t) for i, t in enumerate(texts)]
        change = self.stub.Apply(pb.ApplyRequest(documents=documents, reason="bench"), timeout=CHANGE_S).change_id
        return self._end(change, started)

    def delete(self, *services: str) -> tuple[float, pb.ChangeResult]:
        started = time.perf_counter()
        change = self.stub.Delete(pb.DeleteRequest(services=services, reason="bench"), timeout=CHANGE_S).change_id
        return self._end(change, started)

    def plan(self, *texts: str) -> tuple[float, plan_pb2.Plan]:
        started = time.perf_counter()
        documents = [intent_pb2.Document(source_name=f"bench-{i}", yaml=t) for i, t in enumerate(texts)]
        found = self.stub.Plan(pb.PlanRequest(documents=documents), timeout=CHANGE_S).plan
        return time.perf_counter() - started, found

    def _end(self, change: str, started: float) -> tuple[float, pb.ChangeResult]:
        for event in self.stub.WatchChange(pb.WatchChangeRequest(change_id=change), timeout=CHANGE_S):
            if event.HasField("result"):
                return time.perf_counter() - started, event.result
        raise RuntimeError(f"change {change} ended without a result")


@contextmanager
def serving(city: str, directory: Path) -> Iterator[tuple[RunningCity, Client]]:
    """Yield a running city and a client of a daemon that serves it; everything is stopped at the end."""
    with start_city(city, directory) as running:
        settings = yaml.safe_load(running.config_path.read_text())
        daemon = subprocess.Popen(
            [sys.executable, "-m", "controller.cli.main", "serve", "-c", str(running.config_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            wait_ready(settings["listen"])
            yield running, Client(settings["listen"])
        finally:
            daemon.terminate()
            daemon.wait(30)


def wait_ready(address: str, within_s: float = START_S) -> None:
    """Wait until the health service says that changes are accepted."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                if stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0).status == 1:
                    return
            except grpc.RpcError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"no daemon is ready at {address} within {within_s:.0f} s")


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return a percentile in milliseconds, nearest rank."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3


def write(path: Path, numbers: dict[str, float]) -> None:
    """Add numbers to the flat object in `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    known.update(numbers)
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
