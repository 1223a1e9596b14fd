"""What must not reach does not: other planes with the same addresses, wrong VLANs, false senders, what is broadcast."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from lab.openflow.customers import Customer
from lab.openflow.names import Names, gateway_mac
from lab.openflow.wire import UDP, datagram, raw
from lab.plant.units import parse_address
from tests.lab.packets import PacketStage
from tests.lab.wanted import plane
from tests.support.stage import eventually

RED, BLUE = "lab.red", "lab.blue"
_SEND = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for frame in map(bytes.fromhex, sys.argv[2:]):
    for _ in range(20):
        s.send(frame)
"""
_COUNT = """
import select, socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.bind((sys.argv[1], 0))
s.settimeout(0.05)
print("ready", flush=True)
end, found = None, 0
while end is None or time.monotonic() < end:
    if end is None and select.select([sys.stdin], [], [], 0)[0]:
        end = time.monotonic() + float(sys.argv[2])
    try:
        found += bytes.fromhex(sys.argv[3]) in s.recv(65536)
    except TimeoutError:
        pass
print(found)
"""
MARK = b"onecity-mark"
UNDER_WAY_S = 0.5  # far longer than a packet takes through the idle city


@pytest.fixture(scope="module")
def planes(city: PacketStage) -> dict[str, list[Customer]]:
    """Two planes over the same sites with the same addresses in their LANs."""
    city.apply(plane("red", "buji", "zhihui", "longgang"), plane("blue", "buji", "zhihui", "longgang"))
    return {vpn: city.plug_in(vpn) for vpn in (RED, BLUE)}


def by_site(customers: list[Customer]) -> dict[str, Customer]:
    return {c.access.rpartition(".")[2]: c for c in customers}


def test_planes_with_the_same_addresses_never_meet(city: PacketStage, planes: dict[str, list[Customer]]) -> None:
    red, blue = by_site(planes[RED]), by_site(planes[BLUE])
    assert [c.address for c in red.values()] == [c.address for c in blue.values()]
    assert {c.host for c in red.values()}.isdisjoint(c.host for c in blue.values())
    senders = {"red": red, "blue": blue}
    for colour, customers in senders.items():
        stream = city.customers.stream(customers["buji"], customers["longgang"], rate_pps=50, count=50)
        found = stream.result()
        assert (found["lost"], found["twice"]) == (0, 0), colour
    # With blue's host unplugged nobody answers blue, although red's has the same address.
    city.stage.city.plant({"type": "unplug", "host": blue["longgang"].host})
    eventually(lambda: city.ping(red["buji"].host, red["longgang"].address))
    assert not city.ping(blue["buji"].host, blue["longgang"].address)


def test_a_host_in_a_vlan_that_nobody_ordered_reaches_nothing(
    city: PacketStage, planes: dict[str, list[Customer]]
) -> None:
    red = by_site(planes[RED])
    access = next(a for a in city.customers.accesses(RED) if a["access"].endswith("zhihui"))
    stranger = city.customers.free_host(access["port"])
    (customer, length, gateway) = access["links"][0]
    city.customers.wire(stranger, access["vlan"] + 500, [f"{customer}/{length}", "10.88.2.99/32"], [gateway])
    assert not city.ping(stranger, gateway)
    assert not city.ping(stranger, red["buji"].address)


@pytest.mark.parametrize("false", ["203.0.113.7", "10.88.3.10"], ids=["nobody's", "another site's of the plane"])
def test_a_sender_that_is_not_who_he_says_is_not_carried(
    city: PacketStage, planes: dict[str, list[Customer]], false: str
) -> None:
    red = by_site(planes[RED])
    liar, target = red["buji"], red["zhihui"]
    eventually(lambda: city.ping(liar.host, target.address, "-I", liar.address))
    city.customers.run(liar.host, ["ip", "addr", "add", f"{false}/32", "dev", "lo"])
    both = ip_address(false).packed + ip_address(target.address).packed
    heard = listen(city, target, mark=both)  # as they stand in the header
    assert not city.ping(liar.host, target.address, "-I", false)
    assert heard() == [0]
    city.customers.run(liar.host, ["ip", "addr", "del", f"{false}/32", "dev", "lo"])


@pytest.mark.parametrize("kind", ["0806", "0800", "88b5"], ids=["ARP", "IPv4", "an unknown type"])
def test_what_is_broadcast_stays_in_its_site(city: PacketStage, planes: dict[str, list[Customer]], kind: str) -> None:
    red, blue = by_site(planes[RED]), by_site(planes[BLUE])
    heard = listen(city, red["zhihui"], red["longgang"], blue["buji"], blue["zhihui"])
    send(city, red["buji"], bytes.fromhex("ffffffffffff" + "020000000001" + kind + "45" * 28) + MARK)
    assert heard() == [0, 0, 0, 0]


def test_a_frame_that_carries_the_city_s_own_labels_is_not_believed(
    city: PacketStage, planes: dict[str, list[Customer]]
) -> None:
    red, frames = by_site(planes[RED]), []
    heard = listen(city, red["zhihui"])
    packet = datagram("02:00:00:00:00:01", (4, 0x0A58010A), (4, 0x0A58020A), UDP, (7000, 7000), MARK)[12:]
    for path in range(1, 12):
        for vrf in range(1, 4):
            frames.append(bytes.fromhex(f"0200{path:04x}{vrf:04x}" + "0e0000000001") + packet)
    send(city, red["buji"], *frames)
    assert heard() == [0]


def test_ipv6_is_as_isolated_as_ipv4(city: PacketStage, planes: dict[str, list[Customer]]) -> None:
    """No intent asked for IPv6 here, so that nothing of it may pass, not even to a neighbour."""
    red, blue = by_site(planes[RED]), by_site(planes[BLUE])
    for n, customer in enumerate((red["buji"], red["zhihui"], blue["buji"]), 1):
        line = ["ip", "addr", "add", f"fd00:77::{n}/64", "dev", f"{customer.host}-e", "nodad"]
        assert city.customers.run(customer.host, line).returncode == 0
    for n in (2, 3):
        assert not city.ping(red["buji"].host, f"fd00:77::{n}")


@pytest.mark.parametrize("source", ["fd00:77::1", "::ffff:10.88.1.10"], ids=["its own", "IPv4's in disguise"])
def test_ipv6_that_is_handed_to_the_router_itself_goes_no_further(
    city: PacketStage, planes: dict[str, list[Customer]], source: str
) -> None:
    """No question for an address stops these: they are sent to the hardware address that takes the site's IPv4."""
    red, blue = by_site(planes[RED]), by_site(planes[BLUE])
    heard = listen(city, red["zhihui"], red["longgang"], blue["buji"], blue["zhihui"])
    targets = ("fd00:77::2", "::ffff:10.88.2.10", "ff02::1")
    send(city, red["buji"], *(to_router(city, "lg-buji", source, target) for target in targets))
    assert heard() == [0, 0, 0, 0]
    # The same as IPv4, by the same way, comes through.
    ear = listen(city, red["zhihui"])
    send(city, red["buji"], to_router(city, "lg-buji", red["buji"].address, red["zhihui"].address))
    assert ear()[0] > 0


def to_router(city: PacketStage, node: str, source: str, target: str) -> bytes:
    """A datagram for a router to pass on, with the mark in it."""
    ends = (parse_address(source), parse_address(target))
    assert ends[0] is not None
    assert ends[1] is not None
    frame = datagram("02:00:00:00:00:01", *ends, UDP, (7000, 7000), MARK)
    return raw(gateway_mac(Names(city.stage.city.city).number[node])) + frame[6:]


def send(city: PacketStage, sender: Customer, *frames: bytes) -> None:
    """Send each frame twenty times, as it stands."""
    line = ["python3", "-c", _SEND, f"{sender.host}-e", *(f.hex() for f in frames)]
    assert city.customers.run(sender.host, line).returncode == 0


def listen(city: PacketStage, *customers: Customer, mark: bytes = MARK) -> Callable[[], list[int]]:
    """Count the frames at customers' that contain a mark; call what is returned, at the end, for their numbers."""
    ears = []
    for customer in customers:
        line = ["python3", "-c", _COUNT, f"{customer.host}-e", str(UNDER_WAY_S), mark.hex()]
        command = city.customers.command(customer.host, line)
        ears.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for ear in ears:
        assert ear.stdout is not None
        assert ear.stdout.readline().strip() == "ready"

    def heard() -> list[int]:
        for ear in ears:
            assert ear.stdin is not None
            ear.stdin.close()
        numbers = []
        for ear in ears:
            assert ear.stdout is not None
            numbers.append(int(ear.stdout.readline()))
            ear.wait(30)
        return numbers

    return heard


def test_the_ear_of_these_tests_hears(city: PacketStage, planes: dict[str, list[Customer]]) -> None:
    red = by_site(planes[RED])
    heard = listen(city, red["zhihui"], mark=ip_address(red["buji"].address).packed)
    eventually(lambda: city.ping(red["buji"].host, red["zhihui"].address))
    assert heard()[0] > 0
