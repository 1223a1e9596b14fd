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
    """Return what the domain measures of circuits now: "id:leaf" → value."""
    told = updates(directory, port, "onecity-flow:circuits")
    return {
        f"{next(e.key['id'] for e in u.path.elem if 'id' in e.key)}:{u.path.elem[-1].name}": _value(u) for u in told
    }


def _value(update: Any) -> Any:
    return json.loads(update.val.json_ietf_val)


def updates(directory: Path, port: int, *names: str) -> list[Any]:
    """Return all that stands below a path now, as gnmi.Update."""
    trust = grpc.ssl_channel_credentials((directory / "ca.pem").read_bytes())
    metadata = (("authorization", f"Bearer {(directory / 'secrets' / 'token').read_text()}"),)
    path = gnmi_pb2.Path(elem=[gnmi_pb2.PathElem(name=name) for name in names])
    with grpc.secure_channel(f"127.0.0.1:{port}", trust) as channel:
        stub = gnmi_pb2_grpc.gNMIStub(channel)
        request = gnmi_pb2.GetRequest(path=[path], encoding=gnmi_pb2.JSON_IETF)
        try:
            answer = stub.Get(request, metadata=metadata, timeout=5)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:  # not found: the plant has not told its first state yet
                raise
            return []
    return [update for notification in answer.notification for update in notification.update]


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


LIT = "infra/lg-bantian.ge-2-lg-pinghu.ge-1"
SECONDS = ("errored-seconds", "severely-errored-seconds", "unavailable-seconds")


def test_a_wavelength_tells_the_seconds_that_it_counted_in_the_dark_too_and_the_limits_of_its_light(
    city: RunningCity,
) -> None:
    port = city.domain_process("city-otn").ports["gnmi"]

    def seconds() -> dict[str, int]:
        told = updates(city.directory, port, "terminal-device", "logical-channels", "channel", "otn", "state")
        mine = (u for u in told if any(e.key.get("index") == LIT for e in u.path.elem))
        return {u.path.elem[-1].name: int(_value(u)) for u in mine if u.path.elem[-1].name in SECONDS}

    def counted(leaf: str, least: int) -> dict[str, int]:
        deadline = time.monotonic() + 30
        while (found := seconds()).get(leaf, -1) < least and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found[leaf] >= least
        return found

    before = counted("errored-seconds", 0)
    city.plant({"type": "degrade", "link": LIT, "loss": 0.01})
    found = counted("errored-seconds", before["errored-seconds"] + 2)
    assert {leaf: found[leaf] for leaf in SECONDS[1:]} == {leaf: before[leaf] for leaf in SECONDS[1:]}
    for _ in range(10):  # what is dark is told when the light has come back; a busy plant may have slept through it
        city.plant({"type": "degrade", "link": LIT, "light_db": 20.0})  # its patch cord is out
        time.sleep(2.5)
        city.plant({"type": "restore", "what": "all"})
        time.sleep(2.0)
        if (found := seconds())["severely-errored-seconds"] > before["severely-errored-seconds"]:
            break
    assert found["severely-errored-seconds"] > before["severely-errored-seconds"]
    assert found["unavailable-seconds"] == before["unavailable-seconds"]
    told = updates(city.directory, port, "components", "component", "transceiver", "thresholds", "threshold", "state")
    limits = {
        next(e.key["severity"] for e in u.path.elem if "severity" in e.key): _value(u)
        for u in told
        if u.path.elem[1].key["name"] == LIT and u.path.elem[-1].name == "input-power-lower"
    }
    assert limits == {"openconfig-alarm-types:CRITICAL": "-18.00", "openconfig-alarm-types:WARNING": "-15.00"}
