"""A conference that fills links exactly is proven as it was planned: what never carries together is not added up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Network

import pytest

from controller.changes.pipeline import Planned, Wanted
from controller.intent.model import Isolation, MediaFlow, Slo, VipAssurance, Window
from controller.verification.proof import Property
from tests.support.intents import GBPS, conference, plane, slice_between
from tests.verification.scene import NOW, Scene, empty

OPEN = Window(NOW - timedelta(hours=1), NOW + timedelta(hours=3))
LOOSE = Slo(availability=0.5)


def _carried(*sites: str) -> Scene:
    """A hub and its spokes, 95 Gbit/s at the hub, of which a VIP may take all but one part in a hundred."""
    star = plane("office", *sites, slo=LOOSE, hub_and_spoke=True, floor_ratio=0.01, lan_pool=None)
    accesses = tuple(
        replace(
            a,
            rate_bps=95 * GBPS if a.hub else 95 * GBPS // (len(sites) - 1),
            lans=(IPv4Network("10.64.99.0/24") if a.hub else IPv4Network(f"10.64.0.{i}/32"),),
        )
        for i, a in enumerate(star.accesses)
    )
    scene, _ = empty().after(Wanted((replace(star, accesses=accesses),)))
    return scene


def _vip(rate_bps: int, *sites: str) -> VipAssurance:
    flows = (MediaFlow("vid", 17, 20_000, 20_999, rate_bps, "video", 34, 4),)
    return conference("vc", "office", *sites, flows=flows, slo=replace(LOOSE, latency_s=1.0), window=OPEN)


@pytest.mark.parametrize(
    "sites",
    [
        ("pinghu", "yuanshan", "buji", "pingdi"),
        ("zhihui", "buji", "longgang", "pingdi"),
        ("longgang", "buji", "jihua", "pingdi"),
        ("jihua", "henggang", "baolong", "nanwan"),
        ("buji", "pingdi", "longgang", "henggang"),
    ],
)
def test_what_the_planner_finds_room_for_is_proven(sites: tuple[str, ...]) -> None:
    done: Planned = _carried(*sites).planned(Wanted((_vip(95 * GBPS // 3, *sites),)))
    assert done.refusals == ()
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]


@pytest.mark.parametrize("rate_bps", [20 * GBPS + 384_000, 15 * GBPS + 384_000, 7_654_321_987])
def test_a_rate_that_the_wire_can_only_say_nearly_is_proven_too(rate_bps: int) -> None:
    """TE bandwidth is a float32: some rates read back a little less than was meant, which is no lack of room."""
    sites = ("zhihui", "buji")
    done = _carried(*sites).planned(Wanted((_vip(rate_bps, *sites),)))
    assert done.refusals == ()
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]


@pytest.mark.parametrize("rate_bps", [20 * GBPS + 384_000, 15 * GBPS + 384_000, 7_654_321_987])
def test_a_slice_of_such_a_rate_is_proven_too(rate_bps: int) -> None:
    wanted = slice_between("odd", "buji", "zhihui", rate_bps, isolation=Isolation.NRP, slo=LOOSE)
    done = empty().planned(Wanted((wanted,)))
    assert done.refusals == ()
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]


def test_a_second_conference_over_a_full_link_is_still_refused_by_proof() -> None:
    """The planner would refuse it; here it is asked what the proof says of twice the load."""
    sites = ("buji", "pingdi", "longgang", "henggang")
    scene, _ = _carried(*sites).after(Wanted((_vip(95 * GBPS // 3, *sites),)))
    links = tuple(replace(k, capacity_bps=k.capacity_bps // 2) for k in scene.city.links)
    thinner = replace(scene.city, links=links, version=scene.city.version + 1)
    assert {b.broken for b in Scene(thinner, scene.state, scene.model).in_full().broken} == {Property.CAPACITY}
