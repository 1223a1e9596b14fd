"""Numbered packets from one host to another, and what became of them: lost, late, twice, and for how long none came.

    python -m lab.openflow.traffic receive --port 7000 --count 10000
    python -m lab.openflow.traffic send 10.20.2.10 --port 7000 --rate 1000 --count 10000 --size 100

Uses the standard library only, so that a host needs nothing. A loss is timed by the sender's clock: how many numbers in
a row are missing over the rate at which they were sent, so that a receiver that was held up is not taken for a network
that was.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import struct
import sys
import time
from typing import Any

HEADER = struct.Struct("!IQ")  # number, when sent in ns (one clock for all hosts: they share the machine)
FRAME_OVERHEAD = 42  # Ethernet, IPv4 and UDP before the payload
_SO_RCVBUFFORCE = 33
_CATCH_UP_S = 0.1  # a sender that was held up longer goes on from there
_HASTE = 2.0  # times its rate at which a sender catches up: a burst at once would be other traffic than was asked for


def send(address: str, port: int, rate_pps: float, count: int, size: int) -> dict[str, Any]:
    """Send `count` packets with `size` bytes of payload, evenly."""
    sender = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((address, port))
    filler, refused = bytes(max(0, size - HEADER.size)), 0
    started = due = now = time.monotonic()
    for number in range(count):
        before, now = now, time.monotonic()
        if due - now < -_CATCH_UP_S:
            due = now
        wait = max(due, before + 1 / rate_pps / _HASTE) - now
        if wait > 0:
            time.sleep(wait)
            now = time.monotonic()
        due += 1 / rate_pps
        try:
            sender.send(HEADER.pack(number, time.monotonic_ns()) + filler)
        except OSError:
            refused += 1
    return {"sent": count, "refused": refused, "seconds": time.monotonic() - started}


def receive(port: int, count: int, idle_s: float, wait_s: float, rate_pps: float) -> dict[str, Any]:
    """Receive until the last number has come, or nothing for `idle_s`; say what came."""
    receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with contextlib.suppress(OSError):  # only root may have so much; without it a slow receiver looks like loss
        receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
    receiver.bind(("::", port))
    print("ready", flush=True)
    receiver.settimeout(wait_s)
    seen, delays, size, twice, disordered, latest = bytearray(count), [], 0, 0, 0, -1
    first = last = 0
    while latest < count - 1:
        try:
            data = receiver.recv(65536)
        except TimeoutError:
            break
        receiver.settimeout(idle_s)
        last = time.monotonic_ns()
        number, sent_ns = HEADER.unpack_from(data)
        if number >= count:
            continue
        twice += seen[number]
        first = first or last
        seen[number], size = 1, len(data)
        disordered += number < latest
        latest = max(latest, number)
        delays.append((last - sent_ns) / 1e9)
    return _summary(seen, sorted(delays), (last - first) / 1e9, size, twice, disordered, rate_pps)


def _summary(
    seen: bytearray, delays: list[float], seconds: float, size: int, twice: int, disordered: int, rate_pps: float
) -> dict[str, Any]:
    received, longest, run = sum(seen), 0, 0
    for came in seen:
        run = 0 if came else run + 1
        longest = max(longest, run)

    def quantile(share: float) -> float | None:
        return round(delays[min(len(delays) - 1, int(share * len(delays)))], 6) if delays else None

    return {
        "expected": len(seen),
        "received": received,
        "lost": len(seen) - received,
        "longest_outage_s": longest / rate_pps,
        "twice": twice,
        "out_of_order": disordered,
        "frame_bps": round(received * (size + FRAME_OVERHEAD) * 8 / seconds) if seconds else 0,
        "delay_s": {"median": quantile(0.5), "p99": quantile(0.99), "max": quantile(1.0)},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    sending, receiving = verbs.add_parser("send"), verbs.add_parser("receive")
    sending.add_argument("address")
    sending.add_argument("--size", type=int, default=64)
    receiving.add_argument("--idle", type=float, default=3.0, help="seconds without a packet after which all is over")
    receiving.add_argument("--wait", type=float, default=20.0, help="seconds until the first one")
    for verb in (sending, receiving):
        verb.add_argument("--port", type=int, default=7000)
        verb.add_argument("--rate", type=float, default=1000.0, help="packets a second")
        verb.add_argument("--count", type=int, required=True)
    o = parser.parse_args()
    if o.verb == "send":
        said = send(o.address, o.port, o.rate, o.count, o.size)
    else:
        said = receive(o.port, o.count, o.idle, o.wait, o.rate)
    print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
