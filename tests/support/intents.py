"""Small service values for tests of the pure rooms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from controller.intent.model import (
    AccessSite,
    Conference,
    DedicatedPlane,
    Demand,
    ExclusiveSlice,
    MediaFlow,
    Metadata,
    Party,
    ServiceId,
    SiteId,
    VipAssurance,
    Window,
)

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
WINDOW = Window(NOW + timedelta(hours=1), NOW + timedelta(hours=3))
GBPS = 10**9


def access(name: str, rate_bps: int = GBPS, site: str | None = None, **more: Any) -> AccessSite:
    """One access, by default at the site of the same name."""
    return AccessSite(name, SiteId(site or name), rate_bps, **more)


def plane(name: str, *sites: str, rate_bps: int = GBPS, **more: Any) -> DedicatedPlane:
    """A plane of tenant `gov` with one access at each site."""
    accesses = tuple(access(s, rate_bps, hub=more.get("hub_and_spoke", False) and s == sites[0]) for s in sites)
    more.setdefault("lan_pool", IPv4Network("10.64.0.0/12"))
    return DedicatedPlane(Metadata(name, "gov"), accesses, **more)


def slice_between(name: str, a: str, z: str, rate_bps: int = GBPS, **more: Any) -> ExclusiveSlice:
    """A slice of tenant `gov` between two sites."""
    attach = {"attach": more.pop("attach")} if "attach" in more else {}
    ends = (access(a, rate_bps, **attach), access(z, rate_bps, **attach))
    return ExclusiveSlice(Metadata(name, "gov"), ends, (Demand(a, z, rate_bps),), **more)


FLOWS = (
    MediaFlow("sig", 6, 5060, 5061, 64_000, "signalling", 40, 5),
    MediaFlow("aud", 17, 10_000, 10_999, 128_000, "audio", 46, 6),
    MediaFlow("vid", 17, 20_000, 20_999, 4_000_000, "video", 34, 4),
)


def conference(name: str, protects: str, mcu: str, *parties: str, window: Window = WINDOW, **more: Any) -> VipAssurance:
    """A conference over a plane of tenant `gov`: the MCU's access and those of the parties."""
    people = tuple(Party(f"p{i}", a, IPv4Address(f"10.64.{i // 250}.{i % 250 + 1}")) for i, a in enumerate(parties))
    meeting = Conference(Party("mcu", mcu, IPv4Address("10.64.99.1")), people, more.pop("flows", FLOWS))
    return VipAssurance(Metadata(name, "gov"), ServiceId(f"gov/{protects}"), window, meeting, **more)
