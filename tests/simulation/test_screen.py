"""Settling what is plain on arrays comes to the same as following every service, and looks at what failed only."""

from __future__ import annotations

from functools import cache

import pytest

from controller.network.damage import Failure
from controller.network.ledger import Ledger
from controller.simulation.report import Fate, Outcome
from controller.simulation.simulate import Simulation, Snapshot
from tests.support.large import GBPS, NOW, grown, large_city
from tests.support.networks import city

TOLD = (Fate.BREAKS, Fate.DEGRADES, Fate.ENDS, Fate.REPLACED)


@cache
def simulation(rate_bps: int = 100 * GBPS) -> Simulation:
    """A city of 60 routers and 150 cables in ducts, with 200 services of every plain kind and VIPs among them."""
    cables = city(60, 150, 20, 3)
    whole = large_city(cables, rate_bps)
    standing = grown(whole, cables, 200)
    ledger = Ledger(whole)
    for _, placement in standing.values():
        ledger.add(placement)
    return Simulation(Snapshot(whole, standing, ledger, NOW))


def _singles() -> tuple[Failure, ...]:
    return simulation().elements.singles()


def _told(outcome: Outcome) -> list[tuple[str, Fate, int, int]]:
    return [(e.service, e.fate, e.cut_at_once, e.cut_in_the_end) for e in outcome.effects if e.fate in TOLD]


def test_every_single_failure_comes_to_the_same_either_way() -> None:
    fates: set[Fate] = set()
    for failure in _singles()[::4]:
        quick, full = simulation().quick([failure]), simulation().fail([failure])
        assert (quick.counts, quick.untouched) == (full.counts, full.untouched), str(failure)
        assert _told(quick) == _told(full), str(failure)
        fates |= {e.fate for e in full.effects}
    assert fates >= {Fate.ENDS, Fate.REPLACED, Fate.SWITCHES, Fate.EXPOSED}


def test_what_is_placed_again_takes_as_long_as_the_planner_says() -> None:
    for failure in _singles()[::9]:
        quick = {e.service: e for e in simulation().quick([failure]).effects if e.fate is Fate.REPLACED}
        full = {e.service: e for e in simulation().fail([failure]).effects if e.fate is Fate.REPLACED}
        assert quick.keys() == full.keys()
        for sid, effect in quick.items():
            if effect.kind == "ExclusiveSlice" and effect.pairs == 1:
                assert effect.delay_in_the_end_s == pytest.approx(full[sid].delay_in_the_end_s, abs=1e-6)


def test_a_city_that_is_parted_comes_to_the_same_too() -> None:
    """Both cables of a router: what ends there is cut without the router being down."""
    whole = simulation().city
    by_node: dict[str, list[str]] = {}
    for link in whole.links:
        by_node.setdefault(link.src.node, []).append(link.id)
    links = next(links for _, links in sorted(by_node.items()) if len(links) == 2)
    failures = [simulation().elements.named(f"link:{link}") for link in links]
    quick, full = simulation().quick(failures), simulation().fail(failures)
    assert (quick.counts, _told(quick)) == (full.counts, _told(full))
    assert quick.count(Fate.BREAKS)


def test_where_links_are_full_the_planner_decides() -> None:
    """Capacity just above what is held: whether anything has a place is not plain any more."""
    most = max(link.used_bps for link in simulation().fail([_singles()[0]]).links)
    tight = simulation(most + 10**7)
    for failure in tight.elements.singles()[::40]:
        assert tight.quick([failure]).counts == tight.fail([failure]).counts
