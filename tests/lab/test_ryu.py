"""The OpenFlow application runs unchanged on Ryu 4.34: the same reachability, a move without loss, a cut.

Ryu lives in an environment of its own (`make lab-ryu`), since it needs another eventlet and an old setuptools to build.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.openflow.customers import ask_openflow
from lab.openflow.processes import process_name
from tests.lab.packets import PacketStage, packet_stage
from tests.lab.test_moving import STANDBY_S, cut, during, least_outage
from tests.lab.wanted import intent, ip_slice

RYU = Path(os.environ.get("ONECITY_LAB_RYU", Path(__file__).resolve().parents[2] / "build" / "ryu" / "bin" / "python"))


@pytest.fixture(scope="module")
def ryu_city(real_packets: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PacketStage]:
    if not RYU.exists():
        pytest.skip("Ryu 4.34 is not installed; `make lab-ryu` puts it into build/ryu")
    with packet_stage("longgang", tmp_path_factory.mktemp("ryu"), python=str(RYU), library="ryu") as standing:
        yield standing


def test_the_application_runs_unchanged_on_ryu(ryu_city: PacketStage) -> None:
    ryu_city.apply(*map(intent, ("office", "natural-resources")))
    directory = ryu_city.stage.city.directory
    assert {ask_openflow(directory, d, {"type": "status"})["library"] for d in ryu_city.stage.city.city.ip} == {"ryu"}
    office = ryu_city.plug_in("government.office")
    wanted = {(a.host, z.address): True for a in office for z in office}
    assert ryu_city.customers.reachability(office, [c.address for c in office]) == wanted
    a, z = ryu_city.plug_in("natural-resources.natural-resources")
    assert ryu_city.ping(a.host, z.address)
    assert not ryu_city.ping(a.host, office[0].address)

    order = ip_slice("guarded", "buji", "zhihui")
    assert least_outage(ryu_city, "lab/guarded", order, lambda c: cut(c, "f-zhihui-nanwan"), STANDBY_S) <= STANDBY_S
    a, z = ryu_city.customers.by_vpn["lab.guarded"]
    ryu_city.restore()

    def again(city: PacketStage) -> None:
        process = city.stage.city.domain_process(process_name("city-ip"))
        process.kill()
        process.restart()
        city.customers.settled()

    assert during(ryu_city, a, z, again, seconds=8.0)["lost"] == 0
