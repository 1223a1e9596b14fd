"""An exclusive slice while others offer ten times the link, and what a meter lets in."""

from __future__ import annotations

import json
import time

from lab.openflow.names import DEFAULT_SCALE
from lab.openflow.shaping import kernel_delays
from lab.openflow.traffic import FRAME_OVERHEAD
from tests.lab.packets import PacketStage
from tests.lab.wanted import ip_slice, plane

PACKETS, PAYLOAD = 100_000, 64
SLICE_GBPS, LINK_GBPS = 60, 100
FRAME_BITS = (PAYLOAD + FRAME_OVERHEAD) * 8


def test_a_slice_keeps_what_was_committed_while_others_offer_ten_times_the_link(city: PacketStage) -> None:
    committed = SLICE_GBPS * 10**9 / DEFAULT_SCALE
    city.apply(ip_slice("guarded", "buji", "zhihui", gbps=SLICE_GBPS), plane("loud", "buji", "zhihui", gbps=10))
    a, z = city.plug_in("lab.guarded")
    loud = city.plug_in("lab.loud")
    servers = [city.customers.begin(c.host, ["iperf3", "-s", "-1", "-J"]) for c in loud]
    time.sleep(0.3)
    stream = city.customers.stream(a, z, rate_pps=0.995 * committed / FRAME_BITS, count=PACKETS, size=PAYLOAD)
    seconds = PACKETS * FRAME_BITS / committed
    floods = []
    for sender, target in ((loud[0], loud[1]), (loud[1], loud[0])):
        offered = 10 * LINK_GBPS * 10**9 / DEFAULT_SCALE / 2  # both ways together: ten times the link
        line = ["iperf3", "-c", target.address, "-u", "-b", str(int(offered)), "-l", "1400", "-t", f"{seconds + 1:.0f}"]
        floods.append(city.customers.begin(sender.host, [*line, "-J"]))
    found = stream.result()
    attack = [json.loads(f.communicate(timeout=60)[0]) for f in floods]
    for server in servers:
        server.kill()
        server.wait()
    offered_bps = sum(a["end"]["sum"]["bits_per_second"] for a in attack if "sum" in a.get("end", {}))
    print(
        f"slice {found['frame_bps'] / committed:.1%} of committed, lost {found['lost']} of {PACKETS}, "
        f"median delay {found['delay_s']['median'] * 1e3:.2f} ms while others offered {offered_bps / 1e6:.0f} Mbit/s"
    )
    assert found["expected"] == PACKETS
    assert found["lost"] < 1e-4 * PACKETS
    assert found["frame_bps"] >= 0.98 * committed
    if kernel_delays():
        assert found["delay_s"]["median"] < 0.020
    else:
        print("the kernel has no netem: links have no delay of their own here")
