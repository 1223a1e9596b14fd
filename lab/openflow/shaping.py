"""What a cable can carry: HTB on the sending end of every link, with the queues and partitions of a router's port.

A port has a class for each partition (NRP) that is configured on its link, with exactly that rate for itself, and one
for the rest of the link, as wide as what the partitions leave; under it eight priorities, 7 first. A frame says in its
source address, which inside the city is the routers' to write, which partition and queue it belongs to (frames.py).
Delay is given where the kernel has sch_netem.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

QUEUES = 8
SHARED_CLASS, FIRST_QUEUE, FIRST_PARTITION = 0x2, 0x10, 0x100
BUFFER_S = 0.2  # what a port holds before it drops: at these rates fewer packets than a real one
MIN_RATE_BPS = 8_000
# What waits in a partition because this machine was busy may leave faster than it came, from what nobody uses. Its
# average stays what the meter at the service's ingress lets in.
DRAIN = 1.5
_FRAME_BYTES, _USUAL_BYTES = 1514, 757


def port_lines(interface: str, rate_bps: float, partitions: Mapping[int, float], delay_s: float = 0.0) -> list[str]:
    """Return `tc -batch` lines that shape a port from nothing. partitions: number → bit/s."""
    lines = [
        f"qdisc add dev {interface} root handle 1: htb default {FIRST_QUEUE:x}",
        _class("add", interface, 0x1, None, rate_bps, rate_bps),
    ]
    lines += _shared("add", interface, rate_bps - sum(partitions.values()))
    lines += [_queue(interface, FIRST_QUEUE + q, rate_bps, delay_s) for q in range(QUEUES)]
    lines += [_filter(interface, 0x0600 | q, 0xF7FF, -8, FIRST_QUEUE + q, 60_000) for q in range(1, QUEUES)]
    for number, rate in sorted(partitions.items()):
        lines += _partition_lines(interface, number, rate, delay_s)
    return lines


def change_lines(
    interface: str, rate_bps: float, old: Mapping[int, float], new: Mapping[int, float], delay_s: float = 0.0
) -> list[str]:
    """Return the lines that take a shaped port from some partitions to others; nobody else's frames are dropped."""
    lines: list[str] = []
    for number in sorted(old.keys() - new.keys()):
        lines += [
            f"filter del dev {interface} parent 1: protocol all prio {_priority(number)} u32",
            f"class del dev {interface} classid 1:{_minor(number):x}",
        ]
    lines += _shared("change", interface, rate_bps - sum(new.values()))
    for number, rate in sorted(new.items()):
        if number not in old:
            lines += _partition_lines(interface, number, rate, delay_s)
        elif old[number] != rate:
            lines.append(_class("change", interface, _minor(number), 0x1, rate, rate * DRAIN) + " prio 0")
    return lines


def narrow_lines(interface: str, rate_bps: float, partitions: Mapping[int, float]) -> list[str]:
    """Return the lines that give a shaped port another rate, and its partitions theirs; what waits in it stays."""
    lines = [_class("change", interface, 0x1, None, rate_bps, rate_bps)]
    lines += _shared("change", interface, rate_bps - sum(partitions.values()))
    for number, rate in sorted(partitions.items()):
        lines.append(_class("change", interface, _minor(number), 0x1, rate, rate * DRAIN) + " prio 0")
    return lines


def apply(lines: Sequence[str]) -> None:
    """Run tc once over many lines; raises subprocess.CalledProcessError."""
    if lines:
        subprocess.run(["tc", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


@lru_cache(maxsize=1)
def kernel_delays() -> bool:
    """Whether this kernel has sch_netem, so that links can have their length's delay."""
    probe = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1us"]
    if subprocess.run(probe, capture_output=True).returncode != 0:
        return False
    subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], capture_output=True)
    return True


def _shared(verb: str, interface: str, rate_bps: float) -> list[str]:
    rate = max(rate_bps, MIN_RATE_BPS)
    lines = [_class(verb, interface, SHARED_CLASS, 0x1, rate, rate)]
    # HTB serves what a class is promised before anything borrowed: with next to nothing promised, priority decides.
    least = max(MIN_RATE_BPS, rate / 1000)
    for queue in range(QUEUES):
        priority = f" prio {QUEUES - 1 - queue}"
        lines.append(_class(verb, interface, FIRST_QUEUE + queue, SHARED_CLASS, least, rate) + priority)
    return lines


def _partition_lines(interface: str, number: int, rate_bps: float, delay_s: float) -> Iterable[str]:
    yield _class("add", interface, _minor(number), 0x1, rate_bps, rate_bps * DRAIN) + " prio 0"
    yield _leaf(interface, _minor(number), rate_bps, delay_s)
    yield _filter(interface, number, 0xFFFF, -6, _minor(number), _priority(number))


def _class(verb: str, interface: str, minor: int, parent: int | None, rate_bps: float, ceil_bps: float) -> str:
    under = "1:" if parent is None else f"1:{parent:x}"
    burst = max(2 * _FRAME_BYTES, int(ceil_bps / 8 * 0.005))
    rates = f"rate {int(rate_bps)}bit ceil {int(ceil_bps)}bit burst {burst} cburst {burst} quantum {_FRAME_BYTES}"
    return f"class {verb} dev {interface} parent {under} classid 1:{minor:x} htb {rates}"


def _leaf(interface: str, minor: int, rate_bps: float, delay_s: float) -> str:
    limit = max(30 * _FRAME_BYTES, int(rate_bps / 8 * BUFFER_S))
    if delay_s:
        return f"qdisc add dev {interface} parent 1:{minor:x} netem delay {delay_s * 1e6:.1f}us limit {limit // 64}"
    return f"qdisc add dev {interface} parent 1:{minor:x} bfifo limit {limit}"


def _queue(interface: str, minor: int, rate_bps: float, delay_s: float) -> str:
    """One priority of the shared rest, which may be flooded: it drops what has waited longest.

    Where a queue refuses the newest instead, the switch takes that as the cable's refusal of all that it was sending in
    the same go, and other queues lose packets for which they have room.
    """
    if delay_s:
        return _leaf(interface, minor, rate_bps, delay_s)
    limit = max(60, int(rate_bps / 8 * BUFFER_S / _USUAL_BYTES))
    return f"qdisc add dev {interface} parent 1:{minor:x} pfifo_head_drop limit {limit}"


def _filter(interface: str, value: int, mask: int, offset: int, minor: int, priority: int) -> str:
    match = f"u32 match u16 {value:#06x} {mask:#06x} at {offset} flowid 1:{minor:x}"
    return f"filter add dev {interface} parent 1: protocol all prio {priority} {match}"


def _minor(partition: int) -> int:
    return FIRST_PARTITION + partition


def _priority(partition: int) -> int:
    """Partitions are looked at before queues; a preference of its own lets one go without the others."""
    return 1000 + partition
