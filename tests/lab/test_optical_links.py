"""A circuit that the optical controller commits is a link between two switches; a teardown or a cut takes it away."""

from __future__ import annotations

import subprocess

from lab.openflow.names import DEFAULT_SCALE
from lab.openflow.sandbox import PID_FILE
from tests.lab.packets import PacketStage
from tests.lab.wanted import intent
from tests.support.stage import eventually

ENDS = ("p3-otn-1", "p7-otn-1")  # lg-buji and lg-longgang: each one's first spare port towards the OTN


def interfaces(city: PacketStage) -> dict[str, bool]:
    """Return the circuits' interfaces of the room and whether they are up."""
    pid = (city.stage.city.directory / PID_FILE).read_text()
    line = ["nsenter", "-t", pid, "-n", "ip", "-o", "-br", "link"]
    found = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    return {i.split()[0].partition("@")[0]: "LOWER_UP" in i for i in found if "-otn-" in i}


def queue_rate(city: PacketStage, interface: str) -> str:
    pid = (city.stage.city.directory / PID_FILE).read_text()
    line = ["nsenter", "-t", pid, "-n", "tc", "class", "show", "dev", interface]
    found = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    return next(line for line in found if "1:1 root" in line)


def test_a_circuit_is_a_link_while_it_is_lit(city: PacketStage) -> None:
    assert interfaces(city) == {}
    unprotected = intent("natural-resources").replace("protection: standby", "protection: none")
    unprotected = unprotected.replace("99.99%", "99%").replace("spec:\n", "spec:\n  assurance: off\n")
    city.apply(unprotected)
    link = interfaces(city)
    assert len(link) == 2
    assert all(link.values())
    assert {name.split(".")[0] for name in link} == set(ENDS)
    scaled = 5 * 10**9 // DEFAULT_SCALE
    assert all(f"rate {scaled // 1000}Kbit" in queue_rate(city, name) for name in link)
    a, z = city.plug_in("natural-resources.natural-resources")
    assert city.ping(a.host, z.address)

    # Cut, and left alone by the controller, it is there and dark; whole again, it is lit again.
    (way,) = city.stage.client.describe("natural-resources/natural-resources").paths
    fibre = next(hop for hop in way.hops if hop.startswith("odu-f-")).removeprefix("odu-").rpartition("-")[0]
    assert city.stage.city.plant({"type": "cut", "fibre": fibre})["ok"]
    eventually(lambda: interfaces(city) == dict.fromkeys(link, False), within_s=60.0)
    assert not city.ping(a.host, z.address)
    city.restore()
    eventually(lambda: interfaces(city) == dict.fromkeys(link, True), within_s=60.0)
    eventually(lambda: city.ping(a.host, z.address), within_s=60.0)
    city.delete("natural-resources/natural-resources")
    eventually(lambda: interfaces(city) == {}, within_s=60.0)
