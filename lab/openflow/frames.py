"""What a frame says between two routers of the lab: labels in its Ethernet addresses, so that it never grows.

    destination  02:00:PP:PP:VV:VV   P: path label, good inside one domain; V: the VRF at the far router
    source       06:QQ:NN:NN:RR:RR   Q: queue 0–7; N: partition (NRP) or 0; R: the router that let the packet in
                 0e:…                the same for a measurement, which the last router keeps

On a border or circuit the destination is the neighbour's own address and the source stays, so that its queue counts
there too. Bit numbers below count from the last bit, as OpenFlow's registers do.
"""

from __future__ import annotations

LABEL_BASE = 0x02 << 40
SOURCE_BASE = 0x06 << 40
MEASUREMENT_BIT = 0x08 << 40
PATH_SHIFT, PARTITION_SHIFT, QUEUE_SHIFT = 16, 16, 32
PATH_MASK = 0xFF00_FFFF_0000
SOURCE_KIND_MASK = 0xFF << 40


def mac(number: int) -> str:
    """Write 48 bits as an Ethernet address."""
    return ":".join(f"{number >> shift & 255:02x}" for shift in range(40, -1, -8))


def source(queue: int, router: int) -> str:
    return mac(SOURCE_BASE | queue << QUEUE_SHIFT | router)


def label(path: int, vrf: int) -> str:
    return mac(LABEL_BASE | path << PATH_SHIFT | vrf)
