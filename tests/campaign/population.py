"""The services that stand while faults come, and which of them could still be carried: worked out beside the daemon."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controller.assurance.components import closure
from tests.support.cities import city_map, topologies

CITY = city_map("longgang")
ROUTES = {c.id: c.route for t in topologies("longgang") for c in t.circuits}


@dataclass(frozen=True, slots=True)
class Member:
    """One service between two sites, with a packet that proves it."""

    name: str
    kind: str  # "plane" | "pinned" | "slots" | "guarded" | "kept"
    a: str
    z: str
    number: int

    @property
    def service(self) -> str:
        return f"camp/{self.name}"

    @property
    def packet(self) -> dict[str, str]:
        lan = f"10.{100 + self.number}.2.9"
        return {"type": "trace", "vpn": f"camp.{self.name}", "access": self.a, "dst": lan}

    def document(self) -> str:
        lans = (f"10.{100 + self.number}.1.0/24", f"10.{100 + self.number}.2.0/24")
        if self.kind == "plane":
            rows = "".join(f"    - {{site: {s}, lan: {lan}}}\n" for s, lan in zip((self.a, self.z), lans, strict=True))
            return _document("DedicatedPlane", self.name, f"  bandwidth: 50Mbps\n  sites:\n{rows}")
        isolation = "nrp" if self.kind == "pinned" else "timeslot"
        protection = {"guarded": "standby", "kept": "restoration"}.get(self.kind, "none")
        rows = "".join(f"    - {{site: {s}, lan: {lan}}}\n" for s, lan in zip((self.a, self.z), lans, strict=True))
        body = (
            f"  bandwidth: 1Gbps\n  isolation: {isolation}\n  protection: {protection}\n"
            f"  slo: {{latency: 20ms, availability: 99%}}\n  endpoints:\n{rows}"
        )
        return _document("ExclusiveSlice", self.name, body)


def _document(kind: str, name: str, body: str) -> str:
    return f"apiVersion: onecity/v1\nkind: {kind}\nmetadata: {{name: {name}, tenant: camp}}\nspec:\n{body}"


PAIRS = (("nanwan", "buji"), ("zhihui", "bantian"), ("jihua", "pinghu"), ("longgang", "pingdi"), ("buji", "henggang"))


def members() -> tuple[Member, ...]:
    """Return the population: every kind between every pair of sites."""
    kinds = ("plane", "pinned", "slots", "guarded", "kept")
    return tuple(
        Member(f"{kind}-{n}", kind, *pair, number=len(kinds) * n + k)
        for n, pair in enumerate(PAIRS)
        for k, kind in enumerate(kinds)
    )


def vip() -> str:
    """Return a conference over the first plane."""
    now = datetime.now(UTC)
    window = f'{{start: "{(now - timedelta(minutes=1)).isoformat()}", end: "{(now + timedelta(hours=6)).isoformat()}"}}'
    return _document(
        "VipAssurance",
        "council",
        f"  protects: plane-0\n  slo: {{availability: 99%}}\n  window: {window}\n  conference:\n"
        "    mcu: {access: nanwan, address: 10.100.1.10}\n    parties:\n"
        "      - {name: p0, access: buji, address: 10.100.2.20}\n",
    )


def carriable(roots: Set[str]) -> Iterator[Member]:
    """Yield the services that something could still carry with these components failed."""
    down = closure(CITY, roots, ROUTES)
    for member in members():
        a, z = (CITY.sites[s].access for s in (member.a, member.z))
        assert a is not None
        assert z is not None
        if f"node:{a.node}" in down or f"node:{z.node}" in down:
            continue
        if member.kind in ("plane", "pinned"):
            # Traffic between two domains crosses no third one, and none leaves a domain to come back to it.
            own = {CITY.nodes[n].domain for n in (a.node, z.node)}
            there = [k for k in CITY.links if {CITY.nodes[e.node].domain for e in (k.src, k.dst)} <= own]
            edges = [(k.src.node, k.dst.node) for k in there if f"link:{k.id}" not in down]
            ends = (a.node, z.node)
        else:
            edges = [e for o in CITY.odu_links.values() if f"odu:{o.id}" not in down for e in ((o.a, o.z), (o.z, o.a))]
            ends = (f"otn-{member.a}", f"otn-{member.z}")
            if any(f"node:{e}" in down for e in ends):
                continue
        if _joined(edges, *ends):
            yield member


def _joined(edges: list[tuple[str, str]], start: str, end: str) -> bool:
    seen, front = {start}, [start]
    while front:
        front = [b for a, b in edges if a in front and b not in seen]
        seen.update(front)
    return end in seen
