"""Many services on Longgang, so that cost can be counted and measured where much stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Network
from itertools import cycle

from controller.changes.pipeline import Wanted
from controller.intent.model import ExclusiveSlice, Isolation, Service
from tests.support.intents import plane, slice_between
from tests.verification.scene import Scene, empty

SITES = (
    "zhihui",
    "nanwan",
    "buji",
    "jihua",
    "bantian",
    "pinghu",
    "longgang",
    "baolong",
    "pingdi",
    "yuanshan",
    "henggang",
)
MBPS = 10**6


def services(count: int) -> Iterator[Service]:
    """Yield small planes of three sites, every tenth service a slice on a partition of its own."""
    around = cycle(range(len(SITES)))
    for number in range(count):
        at = next(around)
        a, b, c = (SITES[(at + step) % len(SITES)] for step in (0, 3, 7))
        if number % 10 == 9:
            yield slice_between(f"s{number:05}", a, c, 2 * MBPS, isolation=Isolation.NRP)
        else:
            pool = IPv4Network((10 << 24) + (number << 10)).supernet(new_prefix=20)
            yield plane(f"p{number:05}", a, b, c, rate_bps=MBPS, lan_pool=pool)


def one_more() -> ExclusiveSlice:
    """A slice within one domain, at the edge of which much else ends."""
    return replace(slice_between("one-more", "buji", "zhihui", MBPS, isolation=Isolation.NRP))


@cache
def standing(count: int) -> Scene:
    scene, done = empty().after(Wanted(tuple(services(count))))
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken[:3]]
    return scene
