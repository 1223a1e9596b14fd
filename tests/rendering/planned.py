"""Services of every kind in Longgang, placed by the planner and rendered: the main job up to what goes on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from ipaddress import IPv4Address, ip_network

from controller.intent.model import (
    AccessSite,
    Conference,
    DedicatedPlane,
    Demand,
    ExclusiveSlice,
    Isolation,
    Metadata,
    Party,
    Service,
    ServiceId,
    SiteId,
    VipAssurance,
)
from controller.network.ledger import Ledger
from controller.planning.place import place
from controller.planning.placement import Placement
from controller.rendering.render import render
from controller.rendering.tree import Tree
from tests.rendering.wanted import FLOWS, WINDOW, city

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SITES = ("zhihui", "buji", "bantian", "pingdi", "longgang", "compute")


def access(site: str, rate_bps: int, lan: str, *, hub: bool = False) -> AccessSite:
    return AccessSite(site, SiteId(site), rate_bps, (ip_network(lan),), hub=hub)


def a_slice(name: str, isolation: Isolation, lan: int) -> ExclusiveSlice:
    ends = (access("buji", 10**9, f"10.{lan}.0.0/24"), access("pingdi", 10**9, f"10.{lan}.1.0/24"))
    return ExclusiveSlice(Metadata(name, "res"), ends, (Demand("buji", "pingdi", 10**9),), isolation=isolation)


OFFICE = DedicatedPlane(
    Metadata("office", "gov"), tuple(access(s, 10**8, f"10.1.{i}.0/24") for i, s in enumerate(SITES))
)
FINANCE = DedicatedPlane(
    Metadata("finance", "gov"),
    tuple(access(s, 10**8, f"10.2.{i}.0/24", hub=i == 0) for i, s in enumerate(("zhihui", "buji", "pingdi"))),
    hub_and_spoke=True,
)
POLICE = DedicatedPlane(
    Metadata("police", "gov"),
    tuple(access(s, 10**8, f"10.3.{i}.0/24") for i, s in enumerate(("zhihui", "jihua", "bantian"))),
    plane="B",  # routing would lead Zhihui to Jihua over A
)
FLOOD = VipAssurance(
    Metadata("flood", "gov"),
    OFFICE.metadata.service,
    WINDOW,
    Conference(
        Party("mcu", "zhihui", IPv4Address("10.1.0.9")),
        tuple(Party(f"p-{s}", s, IPv4Address(f"10.1.{i}.20")) for i, s in enumerate(SITES) if i in (1, 2, 3, 5)),
        FLOWS,
    ),
)
BUDGET_DAY = VipAssurance(Metadata("budget", "gov"), FINANCE.metadata.service, WINDOW, priority=1)
STANDING: tuple[Service, ...] = (
    OFFICE,
    FINANCE,
    POLICE,
    a_slice("survey", Isolation.NRP, 20),
    a_slice("archive", Isolation.TIMESLOT, 21),
)
VIPS: tuple[Service, ...] = (FLOOD, BUDGET_DAY)


@cache
def placed() -> Mapping[ServiceId, tuple[Service, Placement]]:
    """Return every service with the place that the planner found for it."""
    wanted = (*STANDING, *VIPS)
    outcome = place(city(), Ledger(city()), wanted, {}, NOW)
    assert not outcome.refusals, outcome.refusals
    return {s.metadata.service: (s, outcome.placements[s.metadata.service]) for s in wanted}


@cache
def planned() -> Mapping[ServiceId, dict[str, Tree]]:
    """Return every service's fragments by domain."""
    everyone = placed()
    return {name: render(*pair, city(), everyone) for name, pair in everyone.items()}


def with_a_site_more() -> dict[str, Tree]:
    """Return the office plane's fragments after one more site, placed on top of what stands."""
    wider = replace(OFFICE, accesses=(*OFFICE.accesses, access("jihua", 10**8, "10.1.9.0/24")))
    ledger = place(city(), Ledger(city()), (*STANDING, *VIPS), {}, NOW).ledger
    outcome = place(city(), ledger, [wider], placed(), NOW)
    assert not outcome.refusals, outcome.refusals
    return render(wider, outcome.placements[wider.metadata.service], city(), placed())


def rerouted() -> dict[str, Tree]:
    """Return the partitioned slice's fragments with paths changed over and a second tunnel to steer into."""
    service, placement = placed()[ServiceId("res/survey")]
    swapped = tuple(replace(t, working=t.standby, standby=t.working) if t.standby else t for t in placement.tunnels)
    steering = tuple(
        replace(s, tunnels=(*s.tunnels, next(t.name for t in swapped if t.domain == s.domain)))
        for s in placement.steering
    )
    return render(service, replace(placement, tunnels=swapped, steering=steering), city(), placed())
