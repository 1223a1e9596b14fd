"""A thousand services that stand while others are measured: planes, partitions, timeslots, as a city has them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

WEST, EAST = ("zhihui", "nanwan", "buji", "jihua", "bantian", "pinghu"), ("longgang", "baolong", "pingdi", "yuanshan")
SITES = (*WEST, *EAST, "henggang")


def thousand(count: int = 1000) -> Iterator[str]:
    """Yield documents: nine planes of three sites to every slice on its own partition."""
    around = cycle(range(len(SITES)))
    for number in range(count):
        at = next(around)
        a, b, c = (SITES[(at + step) % len(SITES)] for step in (0, 3, 7))
        yield _slice(number, a, c) if number % 10 == 9 else _plane(number, a, b, c)


def _plane(number: int, *sites: str) -> str:
    second, third = divmod(number, 250)
    lans = [f"10.{100 + second * 4 + i}.{third}.0/24" for i in range(len(sites))]
    rows = "".join(f"    - {{site: {site}, lan: {lan}}}\n" for site, lan in zip(sites, lans, strict=True))
    return f"""apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {{name: plane-{number:04d}, tenant: bench, labels: {{set: standing}}}}
spec:
  bandwidth: 10Mbps
  sites:
{rows}"""


def _slice(number: int, a: str, b: str) -> str:
    second, third = divmod(number, 250)
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: slice-{number:04d}, tenant: bench, labels: {{set: standing}}}}
spec:
  bandwidth: 20Mbps
  isolation: nrp
  slo: {{latency: 10ms}}
  endpoints:
    - {{site: {a}, lan: 10.{200 + second}.{third}.0/25}}
    - {{site: {b}, lan: 10.{200 + second}.{third}.128/25}}
"""
