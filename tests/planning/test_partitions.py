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
    held = {r.link: r.rate_bps for r in placement.rates}
    assert len(set(held.values())) == 2, "one link carries both demands, the next one only one"
    cut = {k: bps for p in done.model.partitions.values() for k, bps in p.rates.items()}
    assert cut == held
