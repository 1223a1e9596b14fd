"""Samples from a gNMI server: units, gaps, repetitions, lost streams, slow readers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygnmi.spec.v080 import gnmi_pb2

from controller.network.discovered import DiscoveredLink, DomainKind, DomainTopology
from controller.southbound import gnmi
from controller.southbound.driver import DomainSettings, Sample
from controller.southbound.gnmi import OPTICAL_ON_CHANGE, OPTICAL_SAMPLED, Telemetry
from controller.southbound.measurements import Translator
from lab.credentials import make_credentials
from lab.gnmi import TelemetryTree, serve_gnmi

LINK = "link:lg-zhihui.ge-1..lg-nanwan.ge-1"
PM = (
    "/ietf-network:networks/network[network-id={}]/ietf-network-topology:link[link-id={}]"
    "/ietf-network-vpn-pm:perf-mon/pm[pm-type=x]/pm-attributes/one-way-pm-statistics"
)
OWN = PM.format("net:city-ip", LINK)
TUNNEL = PM.format("vpn:gov.video", "tunnel:slice/gov.video/lg-buji-lg-nanwan")
PORT = (
    "/ietf-network:networks/network[network-id=net:city-ip]/node[node-id=node:lg-zhihui]"
    "/ietf-network-topology:termination-point[tp-id=tp:ge-1]/ietf-network-vpn-pm:pm-statistics"
)


class Server:
    """A gNMI server that can be stopped and started on its port."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.tree, self.port = directory, TelemetryTree(), 0
        make_credentials(directory, [])
        self.running: grpc.aio.Server | None = None

    async def start(self) -> None:
        certs, token = self.directory / "certs", (self.directory / "secrets" / "token").read_text()
        self.running, self.port = await serve_gnmi(
            self.tree, "127.0.0.1", self.port, certs / "server.pem", certs / "server.key", token
        )

    async def stop(self) -> None:
        if self.running is not None:
            await self.running.stop(grace=0)

    def settings(self) -> DomainSettings:
        return DomainSettings(
            name="city-ip",
            driver="netconf",
            address="127.0.0.1:1",
            ca_file=str(self.directory / "ca.pem"),
            token_file=str(self.directory / "secrets" / "token"),
            telemetry_address=f"127.0.0.1:{self.port}",
        )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path)
    await server.start()
    yield server
    await server.stop()


async def until(
    stream: AsyncIterator[tuple[Sample, ...]], wanted: set[tuple[str, str]], timeout_s: float = 5.0
) -> dict[tuple[str, str], Sample]:
    found: dict[tuple[str, str], Sample] = {}
    async with asyncio.timeout(timeout_s):
        while not wanted <= found.keys():
            found |= {(s.subject, s.metric): s for s in await anext(stream)}
    return found


async def test_values_arrive_in_si_units_under_the_subjects_names(server: Server) -> None:
    at = time.time_ns()
    for path, value in {
        f"{OWN}/delay-statistics/max-delay-value": "900",
        f"{OWN}/delay-statistics/intermediate-delay-percentile": "620",
        f"{OWN}/delay-statistics/unit-value": "ietf-lime-time-types:microseconds",
        f"{OWN}/jitter-statistics/high-jitter-percentile": "3",
        f"{OWN}/loss-statistics/loss-ratio": "0.00100",
        f"{TUNNEL}/delay-statistics/unit-value": "ietf-lime-time-types:microseconds",
        f"{TUNNEL}/delay-statistics/high-delay-percentile": "702",
        "/onecity-flow:flows/flow[class=vid][vpn=gov.conf][access=gov.conf.buji]/state/delay-us": 5000.5,
        "/onecity-flow:accesses/access[vpn=gov.office][access=gov.office.buji]/state/loss-ratio": 0.25,
        "/onecity-flow:tunnels/tunnel[name=slice/gov.video/a-b]/state/throughput-bps": 1000,
        "/ietf-te:te/tunnels/tunnel[name=slice/gov.video/a-b]/operational-state": "ietf-te-types:tunnel-state-down",
        f"/ietf-network:networks/network[network-id=net:city-ip]/ietf-network-topology:link[link-id={LINK}]"
        "/ietf-te-topology:te/oper-status": "down",
    }.items():
        server.tree.update(path, value, at)
    stream = Telemetry(server.settings()).samples(1.0)
    wanted = {
        (f"link:{LINK}", "delay_s"): 620e-6,
        (f"link:{LINK}", "jitter_s"): 3e-3,  # no unit stands beside it: the model's default is milliseconds
        (f"link:{LINK}", "loss_ratio"): 1e-5,
        (f"link:{LINK}", "up"): 0.0,
        ("tunnel:slice/gov.video/lg-buji-lg-nanwan", "delay_s"): 702e-6,
        ("tunnel:slice/gov.video/a-b", "throughput_bps"): 1000.0,
        ("tunnel:slice/gov.video/a-b", "up"): 0.0,
        ("flow:vid@gov.conf/gov.conf.buji", "delay_s"): 5.0005e-3,
        ("access:gov.office/gov.office.buji", "loss_ratio"): 0.25,
    }
    found = await until(stream, set(wanted))
    assert {key: sample.value for key, sample in found.items()} == pytest.approx(wanted)
    assert {sample.at for sample in found.values()} == {at / 1e9}
    await stream.aclose()  # type: ignore[attr-defined]


async def test_throughput_of_a_link_is_the_rate_of_its_ports_octets(server: Server) -> None:
    telemetry = Telemetry(server.settings())
    link = DiscoveredLink(LINK, "node:lg-zhihui", "tp:ge-1", "node:lg-nanwan", "tp:ge-1", 10**11, 6e-5)
    telemetry.learn(DomainTopology("city-ip", DomainKind.IP, "net:city-ip", (), (), (link,)))
    stream = telemetry.samples(0.1)
    at = time.time_ns()
    server.tree.update(f"{PORT}/outbound-octets", "1000", at)
    reading = asyncio.create_task(until(stream, {(f"link:{LINK}", "throughput_bps")}))
    await asyncio.sleep(0.3)
    server.tree.update(f"{PORT}/outbound-octets", "126000", at + 10**9)
    found = await reading
    assert found[f"link:{LINK}", "throughput_bps"].value == pytest.approx(1e6)
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_probe_that_stopped_is_a_gap_and_not_an_old_value(server: Server) -> None:
    path = "/onecity-flow:accesses/access[vpn=v][access=a]/state/delay-us"
    server.tree.update(path, 10, time.time_ns())
    stream = Telemetry(server.settings()).samples(0.1)
    await until(stream, {("access:v/a", "delay_s")})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.5)  # the server repeats its old value five times meanwhile
    await stream.aclose()  # type: ignore[attr-defined]


async def test_measurements_give_way_where_asked_and_states_do_not(server: Server) -> None:
    measured = "/onecity-flow:accesses/access[vpn=v][access=a]/state/delay-us"
    state = f"/ietf-network:networks/network[network-id=n]/ietf-network-topology:link[link-id={LINK}]"
    way_free = asyncio.Event()
    telemetry = Telemetry(server.settings())
    telemetry.wait = way_free.wait  # type: ignore[assignment]
    stream = telemetry.samples(0.1)
    server.tree.update(measured, 10, time.time_ns())
    server.tree.update(f"{state}/ietf-te-topology:te/oper-status", "down")
    found = await until(stream, {(f"link:{LINK}", "up")})
    server.tree.update(f"{state}/ietf-te-topology:te/oper-status", "up")
    found |= await until(stream, {(f"link:{LINK}", "up")})
    assert set(found) == {(f"link:{LINK}", "up")}
    way_free.set()
    found = await until(stream, {("access:v/a", "delay_s")})
    assert found["access:v/a", "delay_s"].value == pytest.approx(10e-6)
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_reader_that_falls_behind_soon_hears_what_is_newest(server: Server) -> None:
    """What was sent ahead is a small part of what stands: the rest comes with its newest value, and once."""
    paths = [f"/onecity-flow:accesses/access[vpn=v][access=a{n}]/state/delay-us" for n in range(20_000)]
    for path in paths:
        server.tree.update(path, 1, 10**9)
    way_free = asyncio.Event()
    way_free.set()
    telemetry = Telemetry(server.settings())
    telemetry.wait = way_free.wait  # type: ignore[assignment]
    stream = telemetry.samples(0.1)
    await until(stream, {(f"access:v/a{n}", "delay_s") for n in range(20_000)}, timeout_s=60.0)
    way_free.clear()
    for second in range(2, 8):
        for path in paths:
            server.tree.update(path, second, second * 10**9)
        await asyncio.sleep(0.15)  # longer than the interval: the server has sent what it may
    way_free.set()
    newest = old = 0
    async with asyncio.timeout(60.0):
        while newest < len(paths):
            batch = await anext(stream)
            newest += sum(s.at == 7.0 for s in batch)
            old += sum(s.at < 7.0 for s in batch)
    assert newest == len(paths)
    assert old < len(paths) / 2
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_lost_stream_resumes_by_itself(server: Server) -> None:
    path = "/onecity-flow:circuits/circuit[id=gov.video/a-b]/state"
    for leaf, value in {"oper-status": "UP", "latency-ns": "58000", "margin-db": 12.5, "active-leg": "protect"}.items():
        server.tree.update(f"{path}/{leaf}", value)
    stream = Telemetry(server.settings(), OPTICAL_ON_CHANGE, OPTICAL_SAMPLED).samples(0.1)
    subject = "circuit:gov.video/a-b"
    metrics = {(subject, name) for name in ("up", "delay_s", "margin_db", "active_leg")}
    found = await until(stream, metrics)
    assert found[subject, "delay_s"].value == pytest.approx(58e-6)
    assert found[subject, "active_leg"].value == 2
    await server.stop()
    await server.start()
    server.tree.update(f"{path}/oper-status", "DOWN")
    found = await until(stream, {(subject, "up")})
    assert found[subject, "up"].value == 0
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_stream_that_is_refused_is_told_once_with_the_domains_words_and_ends_with_it(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = server.directory / "secrets" / "token"
    right = token.read_text()
    token.write_text("of last year")
    server.tree.update("/onecity-flow:circuits/circuit[id=c]/state/oper-status", "UP")
    telemetry = Telemetry(server.settings(), OPTICAL_ON_CHANGE, ())
    stream = telemetry.samples(1.0)
    reading = asyncio.ensure_future(anext(stream))
    async with asyncio.timeout(20):
        while telemetry.reconnects < 2:  # noqa: ASYNC110 – it counts, and tells nobody
            await asyncio.sleep(0.02)
        assert telemetry.trouble.startswith("failures are not heard (UNAUTHENTICATED: ")
        token.write_text(right)
        await reading
    assert telemetry.trouble == ""
    await stream.aclose()  # type: ignore[attr-defined]
    told = [r.getMessage() for r in caplog.records if r.name == "controller.southbound.gnmi"]
    assert [t.partition(",")[0] for t in told] == [
        "failures of domain city-ip are not heard",
        "failures of domain city-ip are heard again",
    ]


async def test_seconds_and_limits_of_light_come_as_equipment_has_them(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    otn = "/terminal-device/logical-channels/channel[index=gov.video/a-b]/otn/state"
    limits = "/components/component[name=gov.video/a-b]/transceiver/thresholds"
    lower = limits + "/threshold[severity=openconfig-alarm-types:{}]/state/input-power-lower"
    at = time.time_ns()
    for leaf, value in {"errored-seconds": "31", "severely-errored-seconds": "12", "unavailable-seconds": "40"}.items():
        server.tree.update(f"{otn}/{leaf}", value, at)
    server.tree.update(lower.format("WARNING"), "NaN")
    server.tree.update(lower.format("CRITICAL"), "-16.50")
    stream = Telemetry(server.settings(), OPTICAL_ON_CHANGE, OPTICAL_SAMPLED).samples(0.1)
    subject = "circuit:gov.video/a-b"
    wanted = {"errored_s": 31.0, "severely_errored_s": 12.0, "unavailable_s": 40.0, "rx_critical_dbm": -16.5}
    found = await until(stream, {(subject, metric) for metric in wanted})
    assert {metric: sample.value for (_, metric), sample in found.items()} == wanted
    server.tree.update(lower.format("CRITICAL"), "-17.00")
    found = await until(stream, {(subject, "rx_critical_dbm")})
    assert found[subject, "rx_critical_dbm"].value == -17.0
    assert [m for m in caplog.messages if "rx_warning_dbm" in m] == [
        "domain city-ip: circuit:gov.video/a-b tells 'NaN' as rx_warning_dbm, a limit of received power that no "
        "receiver has (-60 to 20 dBm make sense); it is ignored, and what its line mode needs counts instead"
    ]
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_reader_that_sleeps_loses_the_oldest_batches_and_no_memory(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gnmi, "QUEUED_BATCHES", 3)
    monkeypatch.setattr(gnmi, "BATCH_SAMPLES", 1)
    path = "/onecity-flow:circuits/circuit[id=c]/state/oper-status"
    server.tree.update(path, "UP")
    telemetry = Telemetry(server.settings(), OPTICAL_ON_CHANGE, ())
    stream = telemetry.samples(1.0)
    await until(stream, {("circuit:c", "up")})
    for n in range(12):
        server.tree.update(path, "DOWN" if n % 2 == 0 else "UP")
        await asyncio.sleep(0.03)
    assert telemetry.dropped > 0
    batches = []
    while True:
        try:
            batches.append(await asyncio.wait_for(anext(stream), 0.2))
        except TimeoutError:
            break
    assert len(batches) <= 4
    assert batches[-1][0].value == 1


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(["networks", "link", "te", "oper-status", "flows", "flow", "state", ""]), max_size=4
            ),
            st.binary(max_size=12) | st.sampled_from([b"null", b'"x"', b"[]", b"{}", b"1e999", b'{"a":{"b":"7"}}']),
        ),
        max_size=5,
    )
)
def test_whatever_a_server_sends_never_breaks_the_reader(updates: list[tuple[list[str], bytes]]) -> None:
    notification = gnmi_pb2.Notification(timestamp=1)
    for names, value in updates:
        path = gnmi_pb2.Path(elem=[gnmi_pb2.PathElem(name=name) for name in names])
        notification.update.append(gnmi_pb2.Update(path=path, val=gnmi_pb2.TypedValue(json_ietf_val=value)))
    for sample in Translator("d", lambda port: None).samples(notification):
        assert sample.value == sample.value
