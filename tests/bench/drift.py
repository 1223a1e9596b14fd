"""How soon a change behind the controller's back is told, and what it costs to compare a whole city.

Ten thousand services stand: planes of two sites, most of them inside one network, as most of a city's are. Told means
that the service says so itself (condition InSync), the domain having announced that its configuration changed. A full
comparison reads every domain over the wire and is timed from the request to the answer.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from lxml import etree
from onecity.v1 import controller_pb2 as pb
from onecity.v1 import status_pb2

from tests.support.stage import COMMITTED, Stage, stage

SERVICES, AT_ONCE = 10_000, 1_000
SAMPLES, COMPARISONS = 5, 3
WEST = ("zhihui", "nanwan", "buji", "jihua", "bantian", "pinghu")
EAST = ("longgang", "baolong", "pingdi", "yuanshan")
OFTEN_ACROSS = 20  # every so manieth goes over the border
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
L3NM = "urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw"
FILTER = (
    f'<l3vpn-ntw xmlns="{L3NM}"><vpn-services><vpn-service>'
    "<vpn-id>{}</vpn-id></vpn-service></vpn-services></l3vpn-ntw>"
)
WATCHED = "bench/small-00005"  # in the west


def measure(directory: Path, services: int = SERVICES) -> dict[str, float]:
    """Return the numbers, from a city of its own."""
    with stage("longgang", directory) as city:
        for first in range(0, services, AT_ONCE):
            _, result = city.client.apply(*(plane(n) for n in range(first, min(first + AT_ONCE, services))))
            assert result.outcome == COMMITTED, result.message
        whole = min(_compared_s(city) for _ in range(COMPARISONS))
        detected = statistics.median(_detected_s(city) for _ in range(SAMPLES))
    return {"drift.full_compare_10k_services_s": whole, "drift.detect_s": detected}


def plane(number: int) -> str:
    """Return a small plane of two sites."""
    homes = WEST if number % 10 < 6 else EAST
    a, b = homes[number % len(homes)], homes[(number + 1) % len(homes)]
    if number % OFTEN_ACROSS == 0:
        b = EAST[number % len(EAST)]
    lans = [f"10.{number >> 8 & 255}.{number & 255}.{16 * i}/28" for i in range(2)]
    return f"""apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {{name: small-{number:05d}, tenant: bench}}
spec:
  bandwidth: 1Mbps
  sites:
    - {{site: {a}, lan: {lans[0]}}}
    - {{site: {b}, lan: {lans[1]}}}
"""


def _compared_s(city: Stage) -> float:
    started = time.perf_counter()
    domains = city.client.stub.Diff(pb.DiffRequest(), timeout=300).domains
    elapsed_s = time.perf_counter() - started
    assert all(d.reachable and not d.differences for d in domains), [d.message for d in domains]
    return elapsed_s


def _detected_s(city: Stage) -> float:
    """Change a leaf of one service by another session, wait until the service says so, and put it back."""
    _await_in_sync(city, status_pb2.CONDITION_STATUS_TRUE)
    was = _changed(city, "4001")
    started = time.perf_counter()
    _await_in_sync(city, status_pb2.CONDITION_STATUS_FALSE)
    detected_s = time.perf_counter() - started
    _changed(city, was)
    return detected_s


def _changed(city: Stage, vlan: str) -> str:
    """Write another VLAN into the watched service; return what was there."""
    wanted = FILTER.format(WATCHED.replace("/", "."))
    with city.session("city-ip") as session:
        config = etree.fromstring(etree.tostring(session.get_config("running", filter=("subtree", wanted)).data_ele))
        config.tag = f"{{{BASE}}}config"  # renamed, not rebuilt: prefixes in values hang on its declarations
        leaf = next(config.iter(f"{{{L3NM}}}cvlan-id"))
        was, leaf.text = str(leaf.text), vlan
        session.edit_config(config, target="candidate")
        session.commit()
    return was


def _await_in_sync(city: Stage, status: int, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    request = pb.DescribeServiceRequest(service=WATCHED)
    while time.monotonic() < deadline:
        conditions = city.client.stub.DescribeService(request, timeout=30).description.status.conditions
        if any(c.type == "InSync" and c.status == status for c in conditions):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{WATCHED} did not become {status} within {within_s:g} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="onecity-bench-") as temporary:
        print(measure(Path(temporary)))
