"""What the clients ask for, drawn from a seed: services of every kind, each with a few shapes to change between."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

IP_SITES = ("buji", "longgang", "nanwan", "pingdi", "henggang", "longcheng")
PAIRS = (("buji", "longgang"), ("nanwan", "pingdi"), ("henggang", "longcheng"), ("buji", "nanwan"))
# All of these meet on buji–nanwan, where two of 60 Gbit/s have no room: an IP link is lit for the second, and whoever
# fits rides along.
WIDE_PAIRS = (("jihua", "nanwan"), ("buji", "longcheng"), ("buji", "zhihui"))
KINDS = ("plane", "timeslot", "nrp", "plane", "timeslot", "vip", "wide", "wide")


@dataclass
class Family:
    """Services that only one client changes, so that the order of what it asked for is known."""

    number: int
    services: dict[str, str] = field(default_factory=dict)  # service id → kind

    @property
    def tenant(self) -> str:
        return f"t{self.number}"

    def slots(self) -> list[tuple[str, str]]:
        """Return (name, kind) of all the services this family may have; the VIP protects the first plane."""
        return [(f"{kind}-{n}", kind) for n, kind in enumerate(KINDS)]

    def service(self, name: str) -> str:
        return f"{self.tenant}/{name}"

    def document(self, name: str, kind: str, draw: random.Random) -> str:
        """Return one shape of one service."""
        slot = int(name.rsplit("-", 1)[1])
        lan = f"10.{10 + self.number * 20 + slot}"
        if kind == "plane":
            return self._plane(name, lan, draw)
        if kind == "vip":
            return self._vip(name, draw)
        if kind == "wide":
            return self._wide(name, lan, draw)
        return self._slice(name, kind, lan, draw)

    def _head(self, name: str, kind: str) -> str:
        return f"apiVersion: onecity/v1\nkind: {kind}\nmetadata: {{name: {name}, tenant: {self.tenant}}}\nspec:\n"

    def _plane(self, name: str, lan: str, draw: random.Random) -> str:
        # The first two stay: a VIP over this plane has its parties there.
        sites = ["buji", "longgang", *draw.sample(IP_SITES[2:], draw.randrange(0, 3))]
        rows = "".join(f"    - {{site: {s}, lan: {lan}.{IP_SITES.index(s)}.0/24}}\n" for s in sites)
        return f"{self._head(name, 'DedicatedPlane')}  bandwidth: {draw.choice((20, 50, 80))}Mbps\n  sites:\n{rows}"

    def _slice(self, name: str, isolation: str, lan: str, draw: random.Random) -> str:
        # Another pair is another circuit: built first, and the old one removed in a step of its own.
        a, z = PAIRS[(self.number + int(name.rsplit("-", 1)[1]) + draw.choice((0, 0, 1))) % len(PAIRS)]
        rate = draw.choice(("1Gbps", "2Gbps")) if isolation == "timeslot" else draw.choice(("50Mbps", "90Mbps"))
        protection = draw.choice(("standby", "none"))
        if isolation == "timeslot" and protection == "standby" and rate == "1Gbps":
            protection = "restoration"
        return (
            f"{self._head(name, 'ExclusiveSlice')}  bandwidth: {rate}\n  isolation: {isolation}\n"
            f"  protection: {protection}\n  slo: {{latency: 15ms, availability: 99%}}\n  endpoints:\n"
            f"    - {{site: {a}, lan: {lan}.1.0/24}}\n    - {{site: {z}, lan: {lan}.2.0/24}}\n"
        )

    def _wide(self, name: str, lan: str, draw: random.Random) -> str:
        a, z = draw.choice(WIDE_PAIRS)
        return (
            f"{self._head(name, 'ExclusiveSlice')}  bandwidth: {draw.choice((30, 45, 60))}Gbps\n  isolation: nrp\n"
            f"  protection: none\n  slo: {{latency: 15ms, availability: 99%}}\n  endpoints:\n"
            f"    - {{site: {a}, lan: {lan}.1.0/24}}\n    - {{site: {z}, lan: {lan}.2.0/24}}\n"
        )

    def _vip(self, name: str, draw: random.Random) -> str:
        start = datetime.now(UTC) - timedelta(minutes=1)
        end = start + timedelta(days=1)
        lan = f"10.{10 + self.number * 20}"
        return (
            f"{self._head(name, 'VipAssurance')}  protects: plane-0\n"
            f'  window: {{start: "{start.isoformat()}", end: "{end.isoformat()}"}}\n'
            f"  conference:\n    mcu: {{access: buji, address: {lan}.0.10}}\n    parties:\n"
            f"      - {{name: p0, access: longgang, address: {lan}.1.{draw.randrange(20, 60)}}}\n"
        )
