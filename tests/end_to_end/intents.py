"""Intents that the end-to-end tests ask for, as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def slice_over_three(name: str = "survey", lan: str = "10.40") -> str:
    """A slice on timeslots from the city's network to the district's: two IP domains and the optical one."""
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: lands}}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  protection: standby
  slo: {{latency: 5ms, loss: 1e-5, availability: 99.99%}}
  endpoints:
    - {{site: buji, lan: {lan}.1.0/24}}
    - {{site: longgang, lan: {lan}.2.0/24}}
"""


def office(name: str = "office", *, more: str = "", tenant: str = "gov") -> str:
    """A plane over both government networks."""
    return f"""apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {{name: {name}, tenant: {tenant}}}
spec:
  bandwidth: 100Mbps
  sites:
    - {{site: zhihui, lan: 10.10.0.0/24}}
    - {{site: buji, lan: 10.10.1.0/24}}
    - {{site: longgang, lan: 10.10.2.0/24}}
{more}"""


def partition(name: str = "partition", lan: str = "10.60") -> str:
    """A slice on a partition of the existing IP links, pinned, with a standby."""
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: lands}}
spec:
  bandwidth: 200Mbps
  isolation: nrp
  protection: standby
  slo: {{latency: 10ms}}
  endpoints:
    - {{site: buji, lan: {lan}.1.0/24}}
    - {{site: pingdi, lan: {lan}.2.0/24}}
"""


def wavelength(name: str, lan: str = "10.90") -> str:
    """A slice that takes the one client port of 100 Gbit/s at each of its two sites."""
    return f"""apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: {name}, tenant: lands}}
spec:
  bandwidth: 60Gbps
  isolation: wavelength
  protection: none
  slo: {{latency: 5ms, availability: 99%}}
  endpoints:
    - {{site: buji, lan: {lan}.1.0/24}}
    - {{site: zhihui, lan: {lan}.2.0/24}}
"""


def in_window(text: str, start: datetime, end: datetime) -> str:
    """The same slice or plane, standing in [start, end)."""
    window = f'  window: {{start: "{start.isoformat()}", end: "{end.isoformat()}"}}'
    return text.replace("spec:\n", f"spec:\n{window}\n", 1)


def council(start_s: float, length_s: float, parties: int = 2, plane: str = "office") -> str:
    """A conference over `office`, whose window opens `start_s` from now."""
    start = datetime.now(UTC) + timedelta(seconds=start_s)
    end = start + timedelta(seconds=length_s)
    homes = ("buji", "longgang")
    rows = "".join(
        f"      - {{name: p{n}, access: {homes[n % 2]}, address: 10.10.{1 + n % 2}.{20 + n}}}\n" for n in range(parties)
    )
    return f"""apiVersion: onecity/v1
kind: VipAssurance
metadata: {{name: council, tenant: gov}}
spec:
  protects: {plane}
  window: {{start: "{start.isoformat()}", end: "{end.isoformat()}"}}
  conference:
    mcu: {{access: zhihui, address: 10.10.0.10}}
    parties:
{rows}"""
