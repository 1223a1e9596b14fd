"""A VIP's packets on a link that carries more than it can: they go first, and nobody else's in their way."""

from __future__ import annotations

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


def test_a_party_s_video_survives_while_the_rest_of_its_plane_floods_the_link(city: PacketStage) -> None:
    city.apply(plane("crowd", "buji", "zhihui", gbps=CROWD_GBPS, net=66))
    city.apply(COUNCIL)
    mayor, mcu = city.plug_in("lab.crowd")
    assert (mayor.address, mcu.address) == ("10.66.1.10", "10.66.2.10")
    streams = []
    for port, gbps, size in ((OTHER_PORT, CROWD_GBPS, CROWD_BYTES), (VIDEO_PORT, 0.88 * VIDEO_GBPS, VIDEO_BYTES)):
        rate = pps(gbps, size)
        streams.append(
            city.customers.stream(mayor, mcu, rate_pps=rate, count=int(SECONDS * rate), size=size, port=port)
        )
    crowd, video = (s.result() for s in streams)
    for name, found in (("the rest", crowd), ("video", video)):
        delay = found["delay_s"]["median"] * 1e3
        print(f"{name}: lost {found['lost']} of {found['expected']}, median delay {delay:.1f} ms")
    assert crowd["frame_bps"] + video["frame_bps"] > 0.9 * LINK_GBPS * 1e9 / DEFAULT_SCALE
    assert crowd["lost"] > 0  # by itself it would fit
    assert video["lost"] <= 1e-3 * video["expected"]
    assert video["delay_s"]["median"] < crowd["delay_s"]["median"] / 5
