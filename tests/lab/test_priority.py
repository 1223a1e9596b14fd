"""A VIP's packets on a link that carries more than it can: they go first, and nobody else's in their way."""

from __future__ import annotations

from typing import Any

from lab.openflow.names import DEFAULT_SCALE
from lab.openflow.traffic import FRAME_OVERHEAD
from tests.lab.packets import PacketStage
from tests.lab.wanted import plane

LINK_GBPS, CROWD_GBPS, VIDEO_GBPS = 100, 95, 20  # together more than the link
SECONDS, VIDEO_BYTES, CROWD_BYTES = 4.0, 400, 1200
COUNCIL = f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: council, tenant: lab}}
spec:
  protects: crowd
  window: {{start: now, duration: 2h}}
  conference:
    mcu: {{site: zhihui, address: 10.66.2.10}}
    media: {{video: {{bandwidth: {VIDEO_GBPS}Gbps}}}}
    parties:
      - {{name: mayor, site: buji, address: 10.66.1.10}}
"""
VIDEO_PORT, OTHER_PORT = 20100, 9000  # the first is the catalogue's for video, the second nobody's


def pps(gbps: float, payload: int) -> float:
    """How many packets a second are so much of the city's traffic here."""
    return gbps * 1e9 / DEFAULT_SCALE / ((payload + FRAME_OVERHEAD) * 8)


def flooded(city: PacketStage) -> dict[str, dict[str, Any]]:
    """Send a party's video and as much else of its plane that the link is full; return what became of each."""
    city.apply(plane("crowd", "buji", "zhihui", gbps=CROWD_GBPS, net=66))
    city.apply(COUNCIL)
    mayor, mcu = city.plug_in("lab.crowd")
    assert (mayor.address, mcu.address) == ("10.66.1.10", "10.66.2.10")
    streams = {}
    for name, port, gbps, size in (
        ("the rest", OTHER_PORT, CROWD_GBPS, CROWD_BYTES),
        ("video", VIDEO_PORT, 0.88 * VIDEO_GBPS, VIDEO_BYTES),
    ):
        rate = pps(gbps, size)
        count = int(SECONDS * rate)
        streams[name] = city.customers.stream(mayor, mcu, rate_pps=rate, count=count, size=size, port=port)
    return {name: stream.result() for name, stream in streams.items()}


def test_a_party_s_video_survives_while_the_rest_of_its_plane_floods_the_link(city: PacketStage) -> None:
    found = flooded(city)
    for name, said in found.items():
        delay = said["delay_s"]["median"] * 1e3
        print(f"{name}: lost {said['lost']} of {said['expected']}, median delay {delay:.1f} ms")
    video, rest = found["video"], found["the rest"]
    assert rest["frame_bps"] + video["frame_bps"] > 0.9 * LINK_GBPS * 1e9 / DEFAULT_SCALE
    assert rest["lost"] > 0  # by itself it would fit
    assert video["lost"] <= 1e-3 * video["expected"]
    assert video["delay_s"]["median"] < rest["delay_s"]["median"] / 5
