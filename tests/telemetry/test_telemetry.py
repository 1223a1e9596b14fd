"""Windows, gaps, and what a service gets from what carries it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent.model import service_id
from controller.network.model import PortRef
from controller.planning.placement import Attachment, CircuitPlacement, Leg, Placement, Steering
from controller.rendering.classification import class_id
from controller.southbound.driver import Sample
from controller.telemetry.subjects import by_class, flow_subjects
from controller.telemetry.telemetry import Telemetry
from controller.telemetry.windows import Windows, WindowSettings
from tests.support.intents import conference


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def telemetry(clock: Clock) -> Telemetry:
    return Telemetry((), clock)


def sample(subject: str, metric: str, value: float, domain: str = "city-ip") -> Sample:
    return Sample(domain, subject, metric, value, at=0.0)


def slice_placement() -> Placement:
    circuit = CircuitPlacement(
        "gov.video/buji-zhihui", "city-otn", PortRef("otn-buji", "otn-buji/c3"), PortRef("otn-zhihui", "otn-zhihui/c3"),
        0, 0, "wavelength", 10**10, "ODU2e", "10G", Leg(("f-1",), 5, (), 1e-4), None,
    )  # fmt: skip
    access = Attachment(
        "buji", "buji", "city-ip", "node:lg-buji", "tp:acc-1", 101, "172.16.0.1", "172.16.0.2", 30, (), 10**10
    )
    return Placement(service_id("gov", "video"), "ExclusiveSlice", 1001, attachments=(access,), circuits=(circuit,))


def vip_placement() -> Placement:
    steering = Steering("city-ip", service_id("gov", "office"), "node:a", "node:b", "video", ("vip/x",), "best-effort")
    return Placement(service_id("gov", "flood"), "VipAssurance", 1002, steering=(steering,))


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60), st.integers(1, 20))
def test_percentiles_are_those_of_the_newest_samples(values: list[float], size: int) -> None:
    windows = Windows(WindowSettings(samples=size, window_s=1e6))
    for i, value in enumerate(values):
        windows.add("link:x", "delay_s", value, float(i))
    found = windows.indicator("link:x", "delay_s", float(len(values) - 1))
    assert found is not None
    held = values[-size:]
    assert found.value == values[-1]
    assert found.samples == len(held)
    assert (found.p50, found.p99) == pytest.approx(tuple(np.percentile(held, (50, 99))))


def test_a_sample_older_than_the_window_does_not_enter_percentiles() -> None:
    windows = Windows(WindowSettings(window_s=10.0))
    windows.add("link:x", "delay_s", 99.0, 0.0)
    windows.add("link:x", "delay_s", 1.0, 20.0)
    found = windows.indicator("link:x", "delay_s", 21.0)
    assert found is not None
    assert (found.p99, found.samples, found.age_s) == (1.0, 1, 1.0)


def test_a_gap_is_none_and_never_zero() -> None:
    clock = Clock()
    seen = telemetry(clock)
    assert seen.measured("tunnel:x") is None
    seen.take([sample("tunnel:x", "delay_s", 0.002)])
    assert seen.indicator("tunnel:x", "delay_s") is not None
    clock.now += 60
    assert seen.indicator("tunnel:x", "delay_s") is None
    assert seen.measured("tunnel:x") is None


def test_a_value_that_is_not_finite_is_not_a_sample() -> None:
    seen = telemetry(Clock())
    seen.take([sample("tunnel:x", "delay_s", math.nan), sample("tunnel:x", "loss_ratio", math.inf)])
    assert seen.measured("tunnel:x") is None


def test_a_service_gets_the_worst_of_what_carries_it() -> None:
    seen = telemetry(Clock())
    access = "access:gov.video/gov.video.buji"
    seen.take([
        sample(access, "delay_s", 0.003), sample(access, "loss_ratio", 0.0), sample(access, "throughput_bps", 9e9),
        sample("circuit:gov.video/buji-zhihui", "latency_s", 0.0002, "city-otn"),
        sample("circuit:gov.video/buji-zhihui", "up", 0.0, "city-otn"),
    ])  # fmt: skip
    view = seen.service_view(slice_placement())
    assert view.delay_s is not None
    assert (view.delay_s.value, view.delay_s.subject) == (0.003, access)
    assert view.loss_ratio is not None
    assert view.loss_ratio.value == 0.0
    assert view.jitter_s is None
    assert view.subjects == 2
    assert view.silent == ()
    assert view.down == ("circuit:gov.video/buji-zhihui",)


def test_throughput_is_the_lowest_of_what_carries_anything_and_zero_where_nothing_does() -> None:
    seen = telemetry(Clock())
    access, circuit = "access:gov.video/gov.video.buji", "circuit:gov.video/buji-zhihui"

    def rate(of_access: float, of_circuit: float) -> float:
        seen.take([sample(access, "throughput_bps", of_access), sample(circuit, "throughput_bps", of_circuit)])
        found = seen.service_view(slice_placement()).throughput_bps
        assert found is not None
        return found.value

    assert [rate(9e9, 0.0), rate(0.0, 9e9), rate(8e9, 9e9), rate(0.0, 0.0)] == [9e9, 9e9, 8e9, 0.0]


def test_a_carrier_without_samples_is_named_as_silent() -> None:
    seen = telemetry(Clock())
    seen.take([sample("circuit:gov.video/buji-zhihui", "latency_s", 0.0002)])
    assert seen.service_view(slice_placement()).silent == ("access:gov.video/gov.video.buji",)


def test_a_vip_is_measured_by_its_own_flows_only() -> None:
    seen = telemetry(Clock())
    seen.take([
        sample("flow:vip.flood.video@gov.office/gov.office.buji", "delay_s", 0.004),
        sample("flow:vip.flood.video@gov.other/gov.other.buji", "delay_s", 9.0),
        sample("flow:vip.flood.audio@gov.office/gov.office.buji", "delay_s", 9.0),
        sample("flow:vip.fire.video@gov.office/gov.office.buji", "delay_s", 9.0),  # another assurance of that plane
    ])  # fmt: skip
    view = seen.service_view(vip_placement())
    assert view.delay_s is not None
    assert view.delay_s.value == 0.004
    assert view.subjects == 1


def test_a_vips_flows_are_looked_for_by_the_names_that_its_rules_bear_on_the_wire() -> None:
    vip = conference("flood", "office", "zhihui", "buji")
    rule = class_id(vip, "video")
    reported = by_class([f"flow:{rule}@gov.office/gov.office.buji", "flow:video@gov.office/x", "flow:odd"])
    (found,) = flow_subjects(vip_placement(), reported)
    assert found == "flow:vip.flood.video@gov.office/gov.office.buji"


def test_a_flow_that_went_with_its_party_leaves_no_gap() -> None:
    clock = Clock()
    seen = telemetry(clock)
    flows = [f"flow:vip.flood.video@gov.office/gov.office.{at}" for at in ("buji", "nanwan")]
    seen.take([sample(flow, "delay_s", 0.004) for flow in flows])
    assert seen.service_view(vip_placement()).subjects == 2
    for _ in range(30):
        clock.now += 1.0
        seen.take([sample(flows[0], "delay_s", 0.004)])
    view = seen.service_view(vip_placement())
    assert (view.subjects, view.silent) == (1, ())


def test_silence_of_a_domain_is_counted_once_and_again_when_it_comes_back() -> None:
    clock = Clock()
    driver = FakeDriver("city-ip")
    seen = Telemetry((driver,), clock)  # type: ignore[arg-type]
    seen.take([sample("link:x", "delay_s", 1.0)])
    assert seen.gaps() == {"city-ip": 0}
    clock.now += 10
    assert seen.gaps() == {"city-ip": 1}
    seen.take([sample("link:x", "delay_s", 1.0)])
    assert seen.gaps() == {"city-ip": 1}


def test_withdrawn_services_are_forgotten_and_series_are_bounded() -> None:
    windows = Windows(WindowSettings(series=2, window_s=10))
    for i in range(3):
        windows.add(f"tunnel:{i}", "delay_s", 1.0, 0.0)
    assert windows.subjects() == ("tunnel:0", "tunnel:1")
    assert windows.refused == 1
    assert windows.forget_silent(100.0) == 2
    windows.add("tunnel:9", "delay_s", 1.0, 100.0)
    assert windows.subjects() == ("tunnel:9",)


class FakeDriver:
    """A domain's telemetry: yields one batch, then breaks or waits."""

    def __init__(self, domain: str, *, broken: bool = False) -> None:
        self.domain = domain
        self.broken = broken

    async def samples(self, interval_s: float) -> AsyncIterator[tuple[Sample, ...]]:
        if self.broken:
            raise ValueError("a defect")
        yield (sample(f"link:{self.domain}", "delay_s", 0.001, self.domain),)
        await asyncio.Event().wait()


async def test_a_broken_domain_does_not_cost_the_others_their_values() -> None:
    seen = Telemetry((FakeDriver("bad", broken=True), FakeDriver("good")))  # type: ignore[arg-type]
    await seen.start()
    for _ in range(100):
        if seen.measured("link:good"):
            break
        await asyncio.sleep(0.01)
    assert seen.measured("link:good") is not None
    assert seen.silence_s("bad") is None
    await seen.stop()
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("telemetry")]
