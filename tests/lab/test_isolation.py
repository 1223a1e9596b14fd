"""What must not reach does not: other planes with the same addresses, wrong VLANs, false senders, what is broadcast."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from lab.openflow.customers import Customer
from lab.openflow.names import Names, gateway_mac
from tests.lab.packets import PacketStage
from tests.lab.wanted import plane
from tests.support.stage import eventually

RED, BLUE = "lab.red", "lab.blue"
_SEND = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for _ in range(20):
    s.send(bytes.fromhex(sys.argv[2]))
"""
_COUNT = """
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.bind((sys.argv[1], 0))
s.settimeout(0.1)
print("ready", flush=True)
end, found = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    try:
        found += bytes.fromhex(sys.argv[3]) in s.recv(65536)
    except TimeoutError:
        pass
print(found)
"""


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
    assert city.ping(red["buji"].host, red["longgang"].address)
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
    assert city.ping(liar.host, target.address, "-I", liar.address)
    city.customers.run(liar.host, ["ip", "addr", "add", f"{false}/32", "dev", "lo"])
    both = (ip_address(false).packed + ip_address(target.address).packed).hex()
    heard = listen(city, target, both)  # as they stand in the header
    assert not city.ping(liar.host, target.address, "-I", false)
    assert heard() == 0
    city.customers.run(liar.host, ["ip", "addr", "del", f"{false}/32", "dev", "lo"])


@pytest.mark.parametrize("kind", ["0806", "0800", "88b5"], ids=["ARP", "IPv4", "an unknown type"])
def test_what_is_broadcast_stays_in_its_site(city: PacketStage, planes: dict[str, list[Customer]], kind: str) -> None:
    red, blue, mark = by_site(planes[RED]), by_site(planes[BLUE]), "6f6e65636974792d6d61726b"
    ears = [listen(city, c, mark) for c in (red["zhihui"], red["longgang"], blue["buji"], blue["zhihui"])]
    sender = red["buji"].host
    frame = "ffffffffffff" + "020000000001" + kind + "45" * 28 + mark
    city.customers.run(sender, ["python3", "-c", _SEND, f"{sender}-e", frame])
    assert [heard() for heard in ears] == [0, 0, 0, 0]


def test_a_frame_that_carries_the_city_s_own_labels_is_not_believed(
    city: PacketStage, planes: dict[str, list[Customer]]
) -> None:
    red, mark = by_site(planes[RED]), "6f6e65636974792d6d61726b"
    heard = listen(city, red["zhihui"], mark)
    sender, frames = red["buji"].host, []
    for path in range(1, 12):
        for vrf in range(1, 4):
            header = "4500003c00000000401100000a5801 0a0a58020a".replace(" ", "")
            frames.append(f"0200{path:04x}{vrf:04x}" + "0e0000000001" + "0800" + header + "00" * 8 + mark)
    for frame in frames:
        city.customers.run(sender, ["python3", "-c", _SEND, f"{sender}-e", frame])
    assert heard() == 0


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
    red, blue, mark = by_site(planes[RED]), by_site(planes[BLUE]), "6f6e65636974792d6d61726b"
    ears = [listen(city, c, mark) for c in (red["zhihui"], red["longgang"], blue["buji"], blue["zhihui"])]
    sender = red["buji"].host
    gateway = gateway_mac(Names(city.stage.city.city).number["lg-buji"]).replace(":", "")
    for target in ("fd00:77::2", "::ffff:10.88.2.10", "ff02::1"):
        addresses = ip_address(source).packed.hex() + ip_address(target).packed.hex()
        frame = gateway + "020000000001" + "86dd" + "60000000" + "0014" + "11" + "40" + addresses + "00" * 8 + mark
        city.customers.run(sender, ["python3", "-c", _SEND, f"{sender}-e", frame])
    assert [heard() for heard in ears] == [0, 0, 0, 0]


def listen(city: PacketStage, customer: Customer, mark: str, seconds: float = 2.0):  # type: ignore[no-untyped-def]
    """Count the frames at a customer's that contain a mark; call what is returned for their number."""
    line = ["python3", "-c", _COUNT, f"{customer.host}-e", str(seconds), mark]
    process = city.customers.begin(customer.host, line)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return lambda: json.loads(process.communicate(timeout=30)[0])


def test_the_ear_of_these_tests_hears(city: PacketStage, planes: dict[str, list[Customer]]) -> None:
    red = by_site(planes[RED])
    heard = listen(city, red["zhihui"], "0a580101".replace("0101", "010a"))  # 10.88.1.10
    eventually(lambda: city.ping(red["buji"].host, red["zhihui"].address))
    assert heard() > 0
