"""What wears out or sticks on real packets: cables too narrow, light that goes, switches that will not move."""

from __future__ import annotations

import signal

import pytest

from lab.openflow.names import DEFAULT_SCALE, Names
from tests.lab.packets import PacketStage
from tests.lab.test_optical_links import interfaces, queue_rate
from tests.lab.wanted import intent
from tests.support.stage import eventually

SLICE = "natural-resources/natural-resources"
LINK = "link:lg-nanwan.ge-2..lg-buji.ge-1"


def test_a_cable_made_too_narrow_is_and_is_as_wide_as_before_once_it_is_repaired(city: PacketStage) -> None:
    running = city.stage.city
    interface = Names(running.city).interface("lg-nanwan", "ge-2")
    before = queue_rate(city, interface)
    running.plant({"type": "degrade", "link": LINK, "rate_bps": 2e9})
    assert f"rate {2 * 10**9 // DEFAULT_SCALE // 1000}Kbit" in queue_rate(city, interface)
    assert running.plant({"type": "status"})["narrowed"] == {LINK: 2e9}
    running.plant({"type": "restore", "what": LINK})
    assert queue_rate(city, interface) == before
    assert running.plant({"type": "status"})["narrowed"] == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": "degrade", "link": LINK, "loss": 0.01}, "real cables lose and delay nothing by chance"),
        ({"type": "degrade", "link": LINK, "jitter_s": 0.002}, "real cables lose and delay nothing by chance"),
        ({"type": "degrade", "link": LINK, "rate_bps": 1e12}, "degrade it to less"),
        ({"type": "degrade", "link": "link:nobody", "rate_bps": 1e9}, "no link 'link:nobody'"),
        ({"type": "stick", "name": "slice/a.b/c-d"}, "a group of its switch, which moves by itself"),
        ({"type": "flood", "link": LINK, "rate_bps": 1e9}, "is not for real packets; there are cut, degrade"),
    ],
)
def test_what_real_packets_cannot_do_is_said_in_a_sentence(
    city: PacketStage, wrong: dict[str, object], said: str
) -> None:
    answer = city.stage.city.plant(wrong)
    assert not answer["ok"]
    assert said in answer["error"]


def test_light_that_goes_takes_the_cable_down_with_it(city: PacketStage) -> None:
    unprotected = intent("natural-resources").replace("protection: standby", "protection: none")
    city.apply(unprotected.replace("99.99%", "99%").replace("spec:\n", "spec:\n  assurance: off\n"))
    whole = dict.fromkeys(interfaces(city), True)
    assert len(whole) == 2
    for light_db, up in ((20.0, True), (50.0, False)):  # the margin is thinner, and gone
        city.stage.city.plant({"type": "degrade", "link": "f-zhihui-longcheng", "light_db": light_db})
        eventually(lambda up=up: interfaces(city) == dict.fromkeys(whole, up), within_s=10.0)
    city.restore()
    eventually(lambda: interfaces(city) == whole, within_s=10.0)
    city.delete(SLICE)


def test_a_protection_switch_that_sticks_leaves_its_cable_dark(city: PacketStage) -> None:
    plant = city.stage.city.plant
    city.apply(intent("natural-resources").replace("spec:\n", "spec:\n  assurance: off\n"))
    whole = dict.fromkeys(interfaces(city), True)
    assert len(whole) == 2
    parts = city.stage.client.describe(SLICE).parts
    (circuit,) = {p.subject.partition(":")[2] for p in parts if p.subject.startswith("circuit:")}
    city.stage.daemon.send_signal(signal.SIGSTOP)  # it would lead the slice elsewhere within moments
    try:
        plant({"type": "cut", "fibre": "f-nanwan-buji"})
        assert interfaces(city) == whole  # its standby carries it
        plant({"type": "stick", "name": circuit})
        assert interfaces(city) == dict.fromkeys(whole, False)
        assert plant({"type": "status"})["stuck"] == [circuit]
    finally:
        plant({"type": "restore", "what": "all"})
        city.stage.daemon.send_signal(signal.SIGCONT)
    city.restore()
    eventually(lambda: interfaces(city) == whole, within_s=10.0)
    city.delete(SLICE)
