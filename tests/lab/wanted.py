"""Intents of these tests, as people would write them."""

from __future__ import annotations

from pathlib import Path

INTENTS = Path(__file__).resolve().parents[2] / "intents"


def intent(name: str) -> str:
    """Return one of the intents that ship with the product."""
    return (INTENTS / f"{name}.yaml").read_text(encoding="utf-8")


def ip_slice(name: str, a: str, z: str, *lines: str, gbps: int = 20, protection: str = "standby", net: int = 77) -> str:
    """A slice over the IP network between two sites; `lines` are further ones of its spec."""
    more = "".join(f"\n  {line}" for line in lines)
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: lab}}
spec:
  bandwidth: {gbps}Gbps
  isolation: nrp
  protection: {protection}{more}
  endpoints:
    - {{site: {a}, lan: 10.{net}.1.0/24}}
    - {{site: {z}, lan: 10.{net}.2.0/24}}
"""


def plane(name: str, *sites: str, gbps: int = 1, net: int = 88) -> str:
    """A plane over sites, each with a LAN of 10.<net>."""
    listed = "\n".join(f"    - {{site: {s}, lan: 10.{net}.{n}.0/24}}" for n, s in enumerate(sites, 1))
    return f"""apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {{name: {name}, tenant: lab}}
spec:
  bandwidth: {gbps}Gbps
  sites:
{listed}
"""
