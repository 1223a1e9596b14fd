"""Traffic that is moved, cut off or left without its controllers: how many packets that costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from lab.openflow.customers import Customer
from lab.openflow.processes import process_name
from tests.lab.packets import PacketStage
from tests.lab.wanted import ip_slice
from tests.support.stage import COMMITTED

RATE_PPS, SECONDS = 1000.0, 4.0
BEFORE_S = 1.0  # traffic runs this long before anything happens
MODEST = "slo: {availability: 99%}"  # what a way without a standby can promise
Event = Callable[[PacketStage], None]


@pytest.fixture
def repaired(city: PacketStage) -> Iterator[PacketStage]:
    yield city
    city.restore()
    city.delete(*city.stage.client.services())


def during(city: PacketStage, a: Customer, z: Customer, event: Event, seconds: float = SECONDS) -> dict[str, float]:
    """Send 1,000 packets a second while something happens; return what the receiver says of them."""
    stream = city.customers.stream(a, z, rate_pps=RATE_PPS, count=int(RATE_PPS * seconds))
    time.sleep(BEFORE_S)
    event(city)
    found = stream.result()
    assert found["refused"] == 0
    print(f"lost {found['lost']} of {found['expected']}, the longest outage {found['longest_outage_s'] * 1e3:.0f} ms")
    return found


def test_a_planned_move_loses_no_packet(repaired: PacketStage) -> None:
    repaired.apply(ip_slice("moved", "buji", "zhihui", MODEST, protection="none"))
    a, z = repaired.plug_in("lab.moved")
    away = ip_slice("moved", "buji", "zhihui", MODEST, "avoid: {nodes: [node:lg-nanwan]}", protection="none")

    def move(city: PacketStage) -> None:
        assert city.stage.client.apply(away)[1].outcome == COMMITTED

    found = during(repaired, a, z, move)
    assert (found["lost"], found["twice"]) == (0, 0)
    route = [p.via for p in repaired.stage.client.describe("lab/moved").promises]
    assert not any("lg-nanwan" in via for via in route)


@pytest.mark.parametrize("fibre", ["f-nanwan-buji", "f-zhihui-nanwan"], ids=["its first hop", "a later hop"])
def test_a_cut_of_the_working_path_costs_at_most_100_ms_where_there_is_a_standby(
    repaired: PacketStage, fibre: str
) -> None:
    repaired.apply(ip_slice("guarded", "buji", "zhihui"))
    a, z = repaired.plug_in("lab.guarded")
    found = during(repaired, a, z, lambda city: cut(city, fibre))
    assert found["lost"] > 0  # the cut was real
    assert found["longest_outage_s"] <= 0.1


def test_a_cut_without_a_standby_costs_at_most_a_second(repaired: PacketStage) -> None:
    repaired.apply(ip_slice("single", "buji", "zhihui", MODEST, protection="none"))
    a, z = repaired.plug_in("lab.single")
    found = during(repaired, a, z, lambda city: cut(city, "f-nanwan-buji"))
    assert found["lost"] > 0
    assert found["longest_outage_s"] <= 1.0


def test_no_controller_that_starts_again_costs_a_packet(repaired: PacketStage) -> None:
    repaired.apply(ip_slice("steady", "buji", "zhihui"))
    a, z = repaired.plug_in("lab.steady")

    def again(city: PacketStage) -> None:
        city.stage.kill_daemon()
        city.stage.start_daemon()
        for name in ("city-ip", process_name("city-ip")):
            process = city.stage.city.domain_process(name)
            process.kill()
            process.restart()
        city.customers.settled()

    found = during(repaired, a, z, again, seconds=9.0)
    assert (found["lost"], found["twice"]) == (0, 0)
    assert repaired.ping(a.host, z.address)


def cut(city: PacketStage, fibre: str) -> None:
    assert city.stage.city.plant({"type": "cut", "fibre": fibre})["ok"]
