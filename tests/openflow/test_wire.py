"""What routers of the lab say on the wire, judged by a library that others wrote."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.openflow import wire
from lab.openflow.names import gateway_mac
from lab.plant.units import Address

packet: Any = pytest.importorskip("os_ken.lib.packet.packet", reason="os-ken is not installed")
from os_ken.lib.packet import arp, ethernet, icmpv6, ipv4, ipv6, packet_utils, tcp, udp, vlan  # noqa: E402

MAC, PEER = gateway_mac(3), "02:99:00:00:00:01"
V4 = st.integers(1, 2**32 - 1).map(lambda n: (4, n))
V6 = st.integers(1, 2**128 - 1).map(lambda n: (6, n))
PAIRS = st.one_of(st.tuples(V4, V4), st.tuples(V6, V6))
VLANS, PORTS = st.integers(0, 4094), st.integers(0, 65535)


def text(address: Address) -> str:
    return str(IPv4Address(address[1]) if address[0] == 4 else IPv6Address(address[1]))


def read(frame: bytes) -> Any:
    return packet.Packet(frame)


@given(VLANS, V4, V4)
def test_an_arp_question_is_one(tag: int, ours: Address, wanted: Address) -> None:
    frame = wire.ask(tag, MAC, ours, wanted)
    seen = read(frame)
    assert (seen.get_protocol(ethernet.ethernet).dst, seen.get_protocol(ethernet.ethernet).src) == (
        "ff" + ":ff" * 5,
        MAC,
    )
    assert (seen.get_protocol(vlan.vlan).vid if tag else None) == (tag or None)
    said = seen.get_protocol(arp.arp)
    assert (said.opcode, said.src_mac, said.src_ip, said.dst_ip) == (1, MAC, text(ours), text(wanted))
    assert wire.read_question(frame) == wire.Question(tag, MAC, ours, wanted)


@given(VLANS, V4, V4)
def test_an_arp_answer_goes_to_who_asked_and_asks_nothing(tag: int, peer: Address, ours: Address) -> None:
    frame = wire.answer(wire.Question(tag, PEER, peer, ours), MAC)
    said = read(frame).get_protocol(arp.arp)
    assert (said.opcode, said.src_mac, said.src_ip, said.dst_mac, said.dst_ip) == (2, MAC, text(ours), PEER, text(peer))
    assert read(frame).get_protocol(ethernet.ethernet).dst == PEER
    assert wire.read_question(frame) == wire.Question(tag, MAC, ours, None)


@given(VLANS, V6, V6)
def test_neighbour_discovery_asks_the_solicited_node_s_group_and_has_a_right_checksum(
    tag: int, ours: Address, wanted: Address
) -> None:
    frame = wire.ask(tag, MAC, ours, wanted)
    seen = read(frame)
    head, said = seen.get_protocol(ipv6.ipv6), seen.get_protocol(icmpv6.icmpv6)
    group = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | wanted[1] & 0xFFFFFF)
    assert (ip_address(head.src), ip_address(head.dst), head.hop_limit) == (IPv6Address(ours[1]), group, 255)
    assert said.type_ == icmpv6.ND_NEIGHBOR_SOLICIT
    assert ip_address(said.data.dst) == IPv6Address(wanted[1])
    assert said.data.option.hw_src == MAC
    message = frame[wire.header(frame)[2] + 40 :]
    assert packet_utils.checksum_ip(head, len(message), message) == 0
    assert wire.read_question(frame) == wire.Question(tag, MAC, ours, wanted)


@given(VLANS, V6, V6)
def test_a_neighbour_s_advertisement_is_solicited_and_from_a_router(tag: int, peer: Address, ours: Address) -> None:
    frame = wire.answer(wire.Question(tag, PEER, peer, ours), MAC)
    seen = read(frame)
    said = seen.get_protocol(icmpv6.icmpv6)
    assert said.type_ == icmpv6.ND_NEIGHBOR_ADVERT
    assert said.data.res == 0b111  # router, solicited, override
    assert (ip_address(said.data.dst), said.data.option.hw_src) == (IPv6Address(ours[1]), MAC)
    message = frame[wire.header(frame)[2] + 40 :]
    assert packet_utils.checksum_ip(seen.get_protocol(ipv6.ipv6), len(message), message) == 0
    assert wire.read_question(frame) == wire.Question(tag, MAC, ours, None)


@given(PAIRS, st.sampled_from([6, 17]), PORTS, PORTS, st.binary(max_size=200))
def test_a_measurement_is_an_ordinary_packet_and_its_payload_is_read_back(
    ends: tuple[Address, Address], protocol: int, source: int, target: int, payload: bytes
) -> None:
    frame = wire.datagram(MAC, *ends, protocol, (source, target), payload)
    seen = read(frame)
    head = seen.get_protocol(ipv4.ipv4 if ends[0][0] == 4 else ipv6.ipv6)
    assert (ip_address(head.src), ip_address(head.dst)) == tuple(ip_address(text(e)) for e in ends)
    if ends[0][0] == 4:
        assert packet_utils.checksum(frame[14:34]) == 0
        assert head.total_length == len(frame) - 14
    else:
        assert head.payload_length == len(frame) - 54
    above = seen.get_protocol(udp.udp if protocol == 17 else tcp.tcp)
    assert (above.src_port, above.dst_port) == (source, target)
    assert wire.payload_of(frame) == payload


@given(st.binary(max_size=80))
def test_whatever_comes_is_a_question_or_none_and_never_an_error(noise: bytes) -> None:
    for start in (b"", bytes(12) + b"\x08\x06", bytes(12) + b"\x86\xdd", bytes(12) + b"\x81\x00\x00\x64\x86\xdd"):
        wire.read_question(start + noise)
        wire.payload_of(start + noise)
