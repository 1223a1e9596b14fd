"""The IP domain controller between a plant (here: the test, on the real socket) and its readers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from city_ip import documents as doc
from city_ip.process import IpProcess
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from lab.gnmi.paths import parse_path, to_message
from tests.support.stage import eventually

_LINK = "link:lg-zhihui.ge-1..lg-nanwan.ge-1"
_LINK_PATH = f"/ietf-network:networks/network[network-id=net:city-ip]/ietf-network-topology:link[link-id={_LINK}]"


class FakePlant:
    """The plant's end of the line."""

    def __init__(self, directory: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / "plant.sock"))
        self._listener.listen()
        self._listener.settimeout(10)
        self._connection = self._lines = None

    def accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(10)
        self._connection, self._lines = connection, connection.makefile("rb")

    def receive(self) -> dict[str, Any]:
        assert self._lines is not None
        message: dict[str, Any] = json.loads(self._lines.readline())
        return message

    def send(self, message: dict[str, Any]) -> None:
        assert self._connection is not None
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def hang_up(self) -> None:
        assert self._lines is not None
        assert self._connection is not None
        self._lines.close()
        self._connection.close()

    def close(self) -> None:
        self.hang_up()
        self._listener.close()


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[IpProcess]:
    process = IpProcess(tmp_path)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def plant(domain: IpProcess) -> Iterator[FakePlant]:
    """A plant that starts after the domain, which waits for it."""
    plant = FakePlant(domain.directory)
    plant.accept()
    yield plant
    plant.close()


def _measured(domain: IpProcess, path: str, within_s: float = 5.0) -> Any:
    """Read one leaf as soon as it is there."""
    roots = grpc.ssl_channel_credentials((domain.directory / "ca.pem").read_bytes())
    token = (domain.directory / "secrets" / "token").read_text()
    request = gnmi_pb2.GetRequest(path=[to_message(parse_path(path))], encoding=gnmi_pb2.JSON_IETF)
    deadline = time.monotonic() + within_s
    with grpc.secure_channel(f"127.0.0.1:{domain.gnmi}", roots) as channel:
        while True:
            try:
                metadata = [("authorization", f"Bearer {token}")]
                answer = gnmi_pb2_grpc.gNMIStub(channel).Get(request, metadata=metadata, timeout=5)
                return json.loads(answer.notification[0].update[0].val.json_ietf_val)
            except grpc.RpcError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def test_the_plant_gets_everything_at_first_and_then_what_changes(domain: IpProcess, plant: FakePlant) -> None:
    assert plant.receive() == {"type": "hello", "role": "domain", "domain": "city-ip"}
    assert plant.receive() == {"type": "config", "replace": True, "put": {}, "drop": []}
    with domain.session() as session:
        session.edit_config(doc.config(doc.services(doc.small_service("gov.a", 100))), target="candidate")
        session.commit(confirmed=True, timeout="60")
        change = plant.receive()
        assert change["replace"] is False
        access = change["put"]["vpn-service/gov.a"]["vpn-nodes"]["vpn-node"][0]["vpn-network-accesses"]
        assert access["vpn-network-access"][0]["connection"]["encapsulation"] == {
            "type": "ietf-vpn-common:dot1q",
            "dot1q": {"cvlan-id": "100"},
        }
        session.cancel_commit()
        assert plant.receive()["drop"] == ["vpn-service/gov.a"]
        session.edit_config(doc.config(doc.services(doc.small_service("gov.b", 100))), target="candidate")
        session.commit()
        assert list(plant.receive()["put"]) == ["vpn-service/gov.b"]
    plant.hang_up()
    plant.accept()
    plant.receive()
    again = plant.receive()
    assert again["replace"] is True
    assert list(again["put"]) == ["vpn-service/gov.b"]


def test_a_link_that_goes_down_is_told_in_every_way(domain: IpProcess, plant: FakePlant) -> None:
    with domain.session() as session:
        session.create_subscription()
        plant.send({"type": "state", "full": False, "links": {_LINK: False}, "ports": {"lg-zhihui/ge-1": False}})
        told = session.take_notification(timeout=5).notification_xml
        assert f"<link-id>{_LINK}</link-id><oper-status>down</oper-status>" in told
        wanted = doc.networks(
            "<network><network-id>net:city-ip</network-id>"
            f'<link xmlns="urn:ietf:params:xml:ns:yang:ietf-network-topology"><link-id>{_LINK}</link-id>'
            '<te xmlns="urn:ietf:params:xml:ns:yang:ietf-te-topology"><oper-status/></te></link></network>'
        )
        data = session.get(filter=("subtree", wanted)).data
        assert [e.text for e in data.iter("{*}oper-status")] == ["down"]
    assert _measured(domain, f"{_LINK_PATH}/ietf-te-topology:te/oper-status") == "down"


def _absent(domain: IpProcess, path: str, within_s: float = 20.0) -> None:
    """Wait until nothing is measured there any more."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            _measured(domain, path, within_s=0.0)
        except grpc.RpcError:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} is still there")


def test_a_written_link_is_told_of_like_any_other_and_forgotten_with_its_configuration(
    domain: IpProcess, plant: FakePlant
) -> None:
    there, back = doc.link_name(doc.A, doc.Z), doc.link_name(doc.Z, doc.A)
    link = f"/ietf-network:networks/network[network-id=net:city-ip]/ietf-network-topology:link[link-id={there}]"
    alarm = f"/system/alarms/alarm[id=link:{there}/LINK_DOWN]/state/severity"
    plant.receive(), plant.receive()
    with domain.session() as session:
        session.create_subscription()

        def told() -> str:
            return str(session.take_notification(timeout=20).notification_xml)

        session.edit_config(doc.config(doc.link_both_ways()), target="candidate")
        session.commit()
        units = plant.receive()["put"]
        assert set(units) == {f"link/{there}", f"link/{back}"}
        assert units[f"link/{there}"]["source"] == {"source-node": "node:lg-buji", "source-tp": "tp:otn-1"}
        assert f"nt:link[nt:link-id='{there}']" in told()  # netconf-config-change
        assert {f"<link-id>{n}</link-id><oper-status>down</oper-status>" in told() for n in (there, back)} == {True}
        plant.send({"type": "state", "full": False, "links": {there: True, back: True}})
        assert f"<link-id>{there}</link-id><oper-status>up</oper-status>" in told()
        told()
        state = session.get(filter=("subtree", doc.own_network())).data
        assert [e.text for e in state.iter("{*}oper-status")].count("down") == 0
        assert _measured(domain, f"{link}/ietf-te-topology:te/oper-status") == "up"
        values = {"delay_s": 0.0001, "jitter_s": 0.000002, "loss_ratio": 1e-6, "throughput_bps": 8e9}
        for at in (1000.0, 1001.0):
            plant.send({"type": "samples", "at": at, "links": {there: values}})
        one_way = "perf-mon/pm[pm-type=ietf-network-vpn-pm:pm-type-network-link]/pm-attributes/one-way-pm-statistics"
        delay = f"{link}/ietf-network-vpn-pm:{one_way}/delay-statistics/intermediate-delay-percentile"
        assert _measured(domain, delay) == "100"
        port = "/networks/network/node[node-id=node:lg-buji]/termination-point[tp-id=tp:otn-1]"
        assert int(_measured(domain, f"{port}/pm-statistics/outbound-octets")) in (0, 10**9)
        plant.send({"type": "state", "full": False, "links": {there: False}})
        assert f"<link-id>{there}</link-id><oper-status>down</oper-status>" in told()
        assert _measured(domain, f"{link}/ietf-te-topology:te/oper-status") == "down"
        assert _measured(domain, alarm) == "openconfig-alarm-types:MAJOR"
        session.edit_config(doc.config(doc.link_removed(there, back)), target="candidate")
        session.commit()
        assert sorted(plant.receive()["drop"]) == sorted([f"link/{there}", f"link/{back}"])
        told()
        assert f"<link-id>{there}</link-id><oper-status>down</oper-status>" in told()
        _absent(domain, f"{link}/ietf-te-topology:te/oper-status")
        _absent(domain, alarm)
        plant.send({"type": "samples", "at": 1002.0, "links": {there: values}})  # taken before the plant heard of it
        plant.send({"type": "samples", "at": 1003.0, "links": {_LINK: values}})
        _measured(domain, delay.replace(there, _LINK))
        _absent(domain, delay)


def test_samples_appear_where_the_models_say(domain: IpProcess, plant: FakePlant) -> None:
    link = {"delay_s": 0.000060, "jitter_s": 0.000002, "loss_ratio": 1e-6, "throughput_bps": 8e9}
    access = {"delay_s": 0.0005, "loss_ratio": 0.0, "reachable": 2, "expected": 3}
    sample = {
        "type": "samples",
        "at": 1000.0,
        "links": {_LINK: link},
        "tunnels": {"slice/gov.a/x-y": {"delay_s": 0.0001, "up": 1}},
        "accesses": {"gov.a/gov.a.buji": access},
        "flows": {"vip.council.video@gov.a/gov.a.buji": {"jitter_s": 0.001}},
    }
    plant.send(sample)
    plant.send({**sample, "at": 1001.0})
    statistics = "/ietf-network-vpn-pm:perf-mon/pm[pm-type=ietf-network-vpn-pm:{}]/pm-attributes/one-way-pm-statistics"
    on_link = _LINK_PATH + statistics.format("pm-type-network-link")
    assert _measured(domain, f"{on_link}/delay-statistics/intermediate-delay-percentile") == "60"
    assert _measured(domain, f"{on_link}/delay-statistics/unit-value") == "ietf-lime-time-types:microseconds"
    assert _measured(domain, f"{on_link}/delay-statistics/min-delay-value") == "58"
    assert _measured(domain, f"{on_link}/jitter-statistics/high-jitter-percentile") == "2"
    assert _measured(domain, f"{on_link}/loss-statistics/loss-ratio") == "0.00010"
    tunnel = "/networks/network[network-id=vpn:gov.a]/link[link-id=tunnel:slice/gov.a/x-y]"
    on_tunnel = tunnel + statistics.format("pm-type-vpn-tunnel")
    assert _measured(domain, f"{on_tunnel}/delay-statistics/high-delay-percentile") == "100"
    port = "/networks/network/node[node-id=node:lg-zhihui]/termination-point[tp-id=tp:ge-1]"
    assert int(_measured(domain, f"{port}/pm-statistics/outbound-octets")) in (0, 10**9)
    unsteady = {**link, "jitter_s": 0.002, "least_delay_s": 0.000058}  # a fault makes nobody faster
    plant.send({**sample, "at": 1002.0, "links": {_LINK: unsteady}})
    eventually(lambda: _measured(domain, f"{on_link}/jitter-statistics/high-jitter-percentile") == "2000")
    assert _measured(domain, f"{on_link}/delay-statistics/min-delay-value") == "58"
    own = "[vpn=gov.a][access=gov.a.buji]/state"
    assert _measured(domain, f"/onecity-flow:accesses/access{own}/delay-us") == 500.0
    assert _measured(domain, f"/onecity-flow:accesses/access{own}/reachable") == 2
    assert _measured(domain, f"/onecity-flow:flows/flow[class=vip.council.video]{own}/jitter-us") == 1000.0


def test_what_is_no_longer_measured_disappears(domain: IpProcess, plant: FakePlant) -> None:
    path = "/onecity-flow:accesses/access[vpn=gov.a][access=x]/state/delay-us"
    plant.send({"type": "samples", "at": 1.0, "accesses": {"gov.a/x": {"delay_s": 0.001}}})
    assert _measured(domain, path) == 1000.0
    plant.send({"type": "samples", "at": 11.0, "accesses": {}})  # a plane's access comes every ten seconds
    assert _measured(domain, path) == 1000.0
    plant.send({"type": "samples", "at": 27.0, "accesses": {"gov.a/y": {"delay_s": 0.001}}})
    assert _measured(domain, path.replace("=x", "=y")) == 1000.0
    with pytest.raises(grpc.RpcError):
        _measured(domain, path, within_s=0.0)
