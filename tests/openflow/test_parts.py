"""The small parts of the OpenFlow side: numbers, names, ranges of ports, queues, counted traffic, sockets' room."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.city import available, load_city
from lab.openflow import frames, shaping
from lab.openflow.buffers import BUFFER_BYTES, Buffers
from lab.openflow.names import Names, Place
from lab.openflow.numbers import Numbers
from lab.openflow.rules import cover, rule_matches
from lab.openflow.traffic import HEADER
from lab.plant.units import Rule
from tests.openflow.imagined import matches, number

PORT = st.integers(0, 65535)


@given(PORT, PORT)
def test_a_range_of_ports_is_covered_exactly_and_once(one: int, other: int) -> None:
    low, high = sorted((one, other))
    pairs = cover(low, high)
    assert len(pairs) <= 30
    for port in {low, high, max(0, low - 1), min(65535, high + 1), (low + high) // 2}:
        assert sum(port & mask == value for value, mask in pairs) == (low <= port <= high)
    assert sum(0x10000 - mask for _, mask in pairs) == high - low + 1


@given(st.sampled_from([None, 6, 17, 1]), st.none() | st.tuples(PORT, PORT), PORT, st.sampled_from([6, 17, 1]))
def test_a_classification_entry_matches_what_it_says_and_nothing_else(
    protocol: int | None, ports: tuple[int, int] | None, port: int, sent: int
) -> None:
    ranged = (min(ports), max(ports)) if ports else None
    rule = Rule("r", protocol, None, (4, 24, 0x0A010000), None, ranged, "t")
    packet = {"eth_type": 0x0800, "ipv4_dst": 0x0A010009, "ipv4_src": 1, "ip_proto": sent}
    packet |= {6: {"tcp_src": 9, "tcp_dst": port}, 17: {"udp_src": 9, "udp_dst": port}}.get(sent, {})
    found = sum(matches(tuple(sorted(m.items())), packet) for m in rule_matches(rule))
    has_ports = sent in (6, 17)
    wanted = protocol in (None, sent) and (ranged is None or (has_ports and ranged[0] <= port <= ranged[1]))
    if ranged is not None and protocol == 1:
        wanted = False  # no ports in ICMP: an entry that asks for them matches nothing
    assert found == wanted
    assert not any(matches(tuple(sorted(m.items())), {**packet, "ipv4_dst": 0x0A020009}) for m in rule_matches(rule))


def test_numbers_are_the_lowest_free_and_the_same_after_a_restart(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "n.json")
    numbers.begin()
    assert [numbers.of("path", name) for name in ("a", "b", "c", "a")] == [1, 2, 3, 1]
    assert numbers.of("meter", "a", first=2) == 2
    assert numbers.learn("k", "02:00:00:00:00:01")
    assert not numbers.learn("k", "02:00:00:00:00:01")
    numbers.retain()
    numbers.save()
    again = Numbers(tmp_path / "n.json")
    again.begin()
    assert (again.of("path", "c"), again.of("path", "a"), again.macs) == (3, 1, {"k": "02:00:00:00:00:01"})
    again.retain()  # "b" is asked for no more: its number is free
    assert again.of("path", "new") == 2


@pytest.mark.parametrize("content", ["", "{", '{"numbers": {}}', '{"numbers": {"p": {"a": "x"}}, "macs": {}}'])
def test_a_file_of_numbers_that_cannot_be_read_is_begun_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "n.json").write_text(content)
    assert Numbers(tmp_path / "n.json").of("path", "a") == 1


@pytest.mark.parametrize("name", available())
def test_every_interface_name_fits_and_says_where_it_is(name: str) -> None:
    city = load_city(name)
    names = Names(city)
    seen = set()
    for port in (p for d in city.ip.values() for p in d.ports):
        for vlan in (0, 4094):
            interface = names.interface(port.node, port.id, vlan)
            assert len(interface) <= 15
            assert names.place(interface) == Place(port.node, port.id, vlan)
            seen.add(interface)
    assert len(seen) == 2 * sum(len(d.ports) for d in city.ip.values())
    assert names.place("s1-up") is None
    assert names.place(f"p{len(names.nodes) + 1}-ge-1") is None


@given(st.integers(0, 7), st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535))
def test_labels_and_sources_keep_their_parts_apart(queue: int, router: int, path: int, vrf: int) -> None:
    source, label = number(frames.source(queue, router)), number(frames.label(path, vrf))
    assert (source >> frames.QUEUE_SHIFT & 7, source & 0xFFFF) == (queue, router)
    assert (label >> frames.PATH_SHIFT & 0xFFFF, label & 0xFFFF) == (path, vrf)
    assert source & frames.SOURCE_KIND_MASK == frames.SOURCE_BASE
    assert label & frames.SOURCE_KIND_MASK == frames.LABEL_BASE
    assert not source & 1 << 40  # never a group address
    assert not label & 1 << 40


def words(line: str) -> dict[str, str]:
    """Return each word of a line with the one after it."""
    return dict(pairwise(line.split()))


def test_a_port_has_eight_priorities_and_its_partitions_beside_them() -> None:
    lines = shaping.port_lines("p1-ge-1", 10e6, {9: 2e6, 4: 1e6})
    classes = {words(x)["classid"]: words(x) for x in lines if x.startswith("class")}
    assert classes["1:1"]["ceil"] == "10000000bit"
    assert classes["1:2"]["rate"] == "7000000bit"  # what the partitions leave
    assert (classes["1:109"]["rate"], classes["1:104"]["rate"]) == ("2000000bit", "1000000bit")
    priorities = [classes[f"1:{shaping.FIRST_QUEUE + q:x}"]["prio"] for q in range(8)]
    assert priorities == ["7", "6", "5", "4", "3", "2", "1", "0"]  # queue 7 first
    leaves = [words(x)["parent"] for x in lines if x.startswith("qdisc") and "root" not in x]
    assert sorted(leaves) == sorted(set(classes) - {"1:1", "1:2"})
    flows = {words(x)["flowid"] for x in lines if x.startswith("filter")}
    assert flows == set(leaves) - {"1:10"}  # what says nothing goes last, by default


def test_a_change_of_one_partition_leaves_the_others_alone() -> None:
    lines = shaping.change_lines("p1-ge-1", 10e6, {9: 2e6, 4: 1e6}, {9: 2e6, 5: 3e6})
    assert not any("1:109" in x for x in lines)
    assert [x for x in lines if " del " in x] == [
        "filter del dev p1-ge-1 parent 1: protocol all prio 1004 u32",
        "class del dev p1-ge-1 classid 1:104",
    ]
    shared = next(words(x) for x in lines if words(x).get("classid") == "1:2")
    assert (shared["change"], shared["rate"]) == ("dev", "5000000bit")


def test_shared_queues_drop_what_has_waited_longest_so_that_no_send_is_refused() -> None:
    lines = shaping.port_lines("p1-ge-1", 10e6, {9: 2e6})
    kinds = {words(x)["parent"]: x for x in lines if x.startswith("qdisc") and "root" not in x}
    assert all("pfifo_head_drop" in kinds[f"1:{shaping.FIRST_QUEUE + q:x}"] for q in range(8))


def received(numbers: list[int], count: int, rate_pps: float) -> dict[str, Any]:
    """What the receiver says when packets of these numbers come."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, "-m", "lab.openflow.traffic", "receive", "--idle", "0.5", "--wait", "10"]
    line += ["--port", str(port), "--count", str(count), "--rate", str(rate_pps)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        for n in numbers:
            sender.sendto(HEADER.pack(n, 0) + bytes(20), ("::1", port))
    said: dict[str, Any] = json.loads(process.communicate(timeout=30)[0])
    return said


def test_what_the_receiver_counts_is_what_was_lost_twice_and_out_of_order() -> None:
    found = received([0, 1, 2, 2, 6, 5, 9], count=10, rate_pps=1000.0)
    assert (found["received"], found["lost"], found["twice"], found["out_of_order"]) == (6, 4, 1, 1)
    assert found["longest_outage_s"] == 0.002  # 3 and 4, and 7 and 8: two in a row at 1,000 a second


_HOLD = """
import socket, sys
held = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)]
print("ready", flush=True)
sys.stdin.readline()
print(*(s.getsockopt(socket.SOL_SOCKET, o) for s in held for o in (socket.SO_RCVBUF, socket.SO_SNDBUF)), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="packet sockets need root")
def test_packet_sockets_of_a_process_get_their_room_once_and_others_are_left_alone() -> None:
    line = [sys.executable, "-c", _HOLD]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    buffers = Buffers(process.pid)
    assert (buffers.widen(), buffers.widen()) == (1, 0)
    sizes = [int(x) for x in process.communicate("\n", timeout=10)[0].split()]
    assert min(sizes[:2]) >= BUFFER_BYTES
    assert max(sizes[2:]) < BUFFER_BYTES
    assert Buffers(process.pid).widen() == 0  # it has gone, which is nobody's mistake


def test_a_packet_s_number_and_time_are_fixed_in_size() -> None:
    assert HEADER.size == 12
    assert struct.unpack("!IQ", HEADER.pack(7, 9)) == (7, 9)
