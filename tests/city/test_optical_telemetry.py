"""The optical domain streams over gNMI what the plant measures: a dark circuit is a gap, never a perfect value."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from optical_client import Client, wavelength
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from lab.supervision import RunningCity, start_city


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    with start_city("longgang", tmp_path_factory.mktemp("city"), domains=["city-otn"]) as running:
        yield running


def leaves(directory: Path, port: int) -> dict[str, Any]:
    """Return what the domain measures of circuits now: "id/leaf" → value."""
    trust = grpc.ssl_channel_credentials((directory / "ca.pem").read_bytes())
    metadata = (("authorization", f"Bearer {(directory / 'secrets' / 'token').read_text()}"),)
    path = gnmi_pb2.Path(elem=[gnmi_pb2.PathElem(name="onecity-flow:circuits")])
    with grpc.secure_channel(f"127.0.0.1:{port}", trust) as channel:
        stub = gnmi_pb2_grpc.gNMIStub(channel)
        request = gnmi_pb2.GetRequest(path=[path], encoding=gnmi_pb2.JSON_IETF)
        try:
            answer = stub.Get(request, metadata=metadata, timeout=5)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:  # not found: the plant has not told its first state yet
                raise
            return {}
    found = {}
    for notification in answer.notification:
        for update in notification.update:
            circuit = next(e.key["id"] for e in update.path.elem if "id" in e.key)
            found[f"{circuit}:{update.path.elem[-1].name}"] = json.loads(update.val.json_ietf_val)
    return found


def wait(city: RunningCity, wanted: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(60):
        found = leaves(city.directory, city.domain_process("city-otn").ports["gnmi"])
        if wanted.items() <= found.items():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{wanted} not in {found}")


def test_a_circuit_tells_state_latency_and_margin(city: RunningCity) -> None:
    domain = Client(city.directory, city.domain_process("city-otn").ports["grpc"])
    domain.prepare("g1", wavelength("t.g/a-z"))
    domain.commit("g1")
    wait(city, {"t.g/a-z:oper-status": "UP", "t.g/a-z:active-leg": "working"})
    deadline = time.monotonic() + 4
    while "t.g/a-z:margin-db" not in (found := wait(city, {})) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert 40_000 < int(found["t.g/a-z:latency-ns"]) < 60_000
    assert 5 < float(found["t.g/a-z:margin-db"]) < 20
    city.plant({"type": "cut", "fibre": "f-nanwan-buji"})
    wait(city, {"t.g/a-z:oper-status": "DOWN", "t.g/a-z:active-leg": "none"})
    city.plant({"type": "restore", "what": "all"})
    wait(city, {"t.g/a-z:oper-status": "UP"})
    domain.cancel("g1")
    for _ in range(40):
        if not any(k.startswith("t.g/") for k in wait(city, {})):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("a cancelled circuit is still measured")
    domain.close()


def test_a_plant_that_was_restarted_hears_everything_again(city: RunningCity) -> None:
    domain = Client(city.directory, city.domain_process("city-otn").ports["grpc"])
    domain.prepare("g2", wavelength("t.h/a-z"))
    domain.commit("g2")
    wait(city, {"t.h/a-z:oper-status": "UP"})
    city.domain_process("plant").kill()
    city.domain_process("plant").restart()
    for _ in range(60):
        if city.plant({"type": "status"})["units"].get("city-otn") == 1:
            break
        time.sleep(0.05)
    assert city.plant({"type": "status"})["units"]["city-otn"] == 1
    city.plant({"type": "cut", "fibre": "f-nanwan-buji"})
    wait(city, {"t.h/a-z:oper-status": "DOWN"})
    city.plant({"type": "restore", "what": "all"})
    domain.cancel("g2")
    domain.close()
