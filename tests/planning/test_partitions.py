"""Slices of the IP networks hold on every link what it may have to carry, and their partitions say the same."""

from __future__ import annotations

from dataclasses import replace

from controller.changes.pipeline import Planned, Wanted
from controller.intent.model import Demand, ExclusiveSlice, Isolation, Protection, Slo
from controller.planning.placement import Placement
from tests.support.intents import GBPS, access, slice_between
from tests.verification.scene import empty


def _placed(wanted: ExclusiveSlice) -> tuple[Placement, Planned]:
    done = empty().planned(Wanted((wanted,)))
    assert done.refusals == ()
    assert done.proofs.broken == (), [str(b) for b in done.proofs.broken]
    placement = done.plans[0].placement
    assert placement is not None
    return placement, done


def _star(protection: Protection, *sites: str, rate_bps: int = GBPS) -> ExclusiveSlice:
    """A slice from the first site to all others."""
    base = slice_between("star", sites[0], sites[1], isolation=Isolation.NRP, protection=protection)
    ends = tuple(access(s, rate_bps * (len(sites) if i == 0 else 1)) for i, s in enumerate(sites))
    demands = tuple(Demand(sites[0], s, rate_bps) for s in sites[1:])
    return replace(base, endpoints=ends, demands=demands, slo=Slo(availability=0.9))


def test_each_link_gives_its_partition_what_is_held_on_it_and_no_more() -> None:
    placement, done = _placed(_star(Protection.NONE, "zhihui", "nanwan", "buji"))
    held = {r.link: r.rate_bps for r in placement.rates if r.link.startswith("link:")}
    assert len(set(held.values())) == 2, "one link carries both demands, the next one only one"
    cut = {k: bps for p in done.model.partitions.values() for k, bps in p.rates.items()}
    assert cut == held


def test_a_need_inside_one_domain_is_held_beside_what_comes_over_the_second_border() -> None:
    """Nanwan is the second border: with the first one gone, its way to Zhihui carries both demands."""
    wanted = _star(Protection.STANDBY, "zhihui", "nanwan", "henggang", rate_bps=GBPS)
    placement, _ = _placed(wanted)
    held = {r.link: r.rate_bps for r in placement.rates if r.link.startswith("link:")}
    tunnel = next(t for t in placement.tunnels if (t.src, t.dst) == ("node:lg-zhihui", "node:lg-nanwan"))
    assert tunnel.rate_bps == 2 * GBPS
    assert all(held[k] >= 2 * GBPS for k in tunnel.working.links)


def test_every_mix_of_first_and_second_borders_has_its_tunnels() -> None:
    """Over two borders either may fail alone: from the district's second border to the centre's first, and so on."""
    wanted = slice_between(
        "far", "pingdi", "compute", isolation=Isolation.NRP, protection=Protection.STANDBY, slo=Slo(availability=0.9)
    )
    placement, _ = _placed(wanted)
    inside = {(t.src, t.dst) for t in placement.tunnels if t.domain == "city-ip"}
    assert inside == {("node:lg-nanwan", "node:lg-zhihui"), ("node:lg-zhihui", "node:lg-nanwan")}
    assert {s.rank for s in placement.stitches} == {1, 2}
    assert len(placement.stitches) == 4
    assert {s.rate_bps for s in placement.stitches} == {GBPS}


def test_a_tunnel_that_serves_one_demand_at_a_time_is_not_asked_for_both() -> None:
    """Normally it leads Nanwan to the first border, and once that is gone Zhihui to the second."""
    base = _star(Protection.STANDBY, "longgang", "nanwan", "zhihui")
    placement, _ = _placed(base)
    tunnel = next(t for t in placement.tunnels if (t.src, t.dst) == ("node:lg-nanwan", "node:lg-zhihui"))
    assert tunnel.rate_bps == GBPS
