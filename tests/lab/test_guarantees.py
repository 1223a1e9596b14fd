"""An exclusive slice while others offer ten times the link, and what a meter lets in."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from lab.openflow.names import DEFAULT_SCALE
from lab.openflow.shaping import kernel_delays
from lab.openflow.traffic import FRAME_OVERHEAD
from tests.lab.packets import PacketStage
from tests.lab.wanted import ip_slice, plane

pytestmark = pytest.mark.alone  # one packet of ten thousand lost is too many, whoever had the processor meanwhile

PACKETS, PAYLOAD = 30_000, 64  # `make bench-lab` sends 100,000
SLICE_GBPS, LINK_GBPS = 25, 100
FRAME_BITS = (PAYLOAD + FRAME_OVERHEAD) * 8


def attacked(city: PacketStage, packets: int = PACKETS) -> dict[str, float]:
    """Run a slice at what was committed while a plane beside it offers ten times the link; return what became of it."""
    committed = SLICE_GBPS * 10**9 / DEFAULT_SCALE
    city.apply(ip_slice("guarded", "buji", "zhihui", gbps=SLICE_GBPS), plane("loud", "buji", "zhihui", gbps=10))
    a, z = city.plug_in("lab.guarded")
    loud = city.plug_in("lab.loud")
    servers = [city.customers.begin(c.host, ["iperf3", "-s", "-1", "-J"]) for c in loud]
    time.sleep(0.3)
    stream = city.customers.stream(a, z, rate_pps=0.995 * committed / FRAME_BITS, count=packets, size=PAYLOAD)
    seconds = f"{packets * FRAME_BITS / committed + 1:.0f}"
    each_way = str(int(10 * LINK_GBPS * 10**9 / DEFAULT_SCALE / 2))
    floods = []
    for sender, target in ((loud[0], loud[1]), (loud[1], loud[0])):
        line = ["iperf3", "-c", target.address, "-u", "-b", each_way, "-l", "1400", "-t", seconds, "-J"]
        floods.append(city.customers.begin(sender.host, line))
    found = stream.result()
    reports = [json.loads(f.communicate(timeout=60)[0]) for f in floods]
    for server in servers:
        server.kill()
        server.wait()
    return {
        "packets": found["expected"],
        "lost": found["lost"],
        "share_of_committed": found["frame_bps"] / committed,
        "median_delay_s": found["delay_s"]["median"],
        "p99_delay_s": found["delay_s"]["p99"],
        "offered_by_others_bps": sum(map(_offered_bps, reports)),
    }


def _offered_bps(report: dict[str, Any]) -> float:
    """What iperf sent, by its intervals: its own closing words may drown in the flood."""
    sent = [interval["sum"] for interval in report["intervals"]]
    return float(sum(s["bytes"] for s in sent) * 8 / sum(s["seconds"] for s in sent))


def test_a_slice_keeps_what_was_committed_while_others_offer_ten_times_the_link(city: PacketStage) -> None:
    found = attacked(city)
    print(
        f"slice {found['share_of_committed']:.1%} of committed, lost {found['lost']:.0f} of {PACKETS}, median delay "
        f"{found['median_delay_s'] * 1e3:.2f} ms while others offered {found['offered_by_others_bps'] / 1e6:.0f} Mbit/s"
    )
    assert found["offered_by_others_bps"] >= 0.9 * 10 * LINK_GBPS * 10**9 / DEFAULT_SCALE
    assert found["packets"] == PACKETS
    assert found["lost"] < 1e-4 * PACKETS
    assert found["share_of_committed"] >= 0.98
    if kernel_delays():
        assert found["median_delay_s"] < 0.020
    else:
        print("the kernel has no netem: links have no delay of their own here")
