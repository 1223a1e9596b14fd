"""Services of one way: where the quickest fails too often, a slower one that does not is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.model import Isolation, Protection, Slo
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.draft import ratio_text
from controller.planning.place import place
from controller.planning.placement import Placement
from tests.support.cities import city_map
from tests.support.intents import NOW, slice_between
from tests.support.invariants import check_all


def _shaky(city: CityMap) -> CityMap:
    """The quickest way from Bantian to the Wisdom Centre often fails: over light a node, over IP the direct link."""
    nodes = {**city.nodes, "otn-pinghu": replace(city.nodes["otn-pinghu"], availability=0.99)}
    direct = {"node:lg-bantian", "node:lg-zhihui"}
    links = tuple(
        replace(k, availability=0.99, delay_s=1e-4) if {k.src.node, k.dst.node} == direct else k for k in city.links
    )
    return replace(city, nodes=nodes, links=links, version=city.version + 1)


CITY = _shaky(city_map("longgang"))
KINDS = (Isolation.NRP, Isolation.TIMESLOT, Isolation.WAVELENGTH)


def _asked(kind: Isolation, availability: float, **more: object) -> Placement | tuple[str, ...]:
    """Return the placement, or what a refusal offers."""
    options = {"protection": Protection.NONE, "slo": Slo(availability=availability), **more}
    wanted = slice_between("s", "bantian", "zhihui", isolation=kind, **options)  # type: ignore[arg-type]
    outcome = place(CITY, Ledger(CITY), [wanted], {}, NOW)
    check_all(CITY, {wanted.metadata.service: wanted}, outcome.placements)
    for placement in outcome.placements.values():
        return placement
    return outcome.refusals[0].would_fit


@pytest.mark.parametrize("kind", KINDS)
def test_the_quickest_way_gives_way_to_one_that_fails_less_often(kind: Isolation) -> None:
    quick = _asked(kind, 0.9)
    better = _asked(kind, 0.999)
    assert isinstance(quick, Placement)
    assert isinstance(better, Placement)
    (one,), (other,) = quick.promises, better.promises
    assert one.availability < 0.991
    assert other.availability >= 0.999
    assert one.delay_s < other.delay_s


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_offers_the_highest_availability_of_any_way(kind: Isolation) -> None:
    best = _asked(kind, 0.999)
    assert isinstance(best, Placement)
    offers = _asked(kind, 0.999999999)
    assert f"1 Gbit/s at availability {ratio_text(best.promises[0].availability)}" in offers


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_of_latency_holds_beside_that_of_availability(kind: Isolation) -> None:
    quick, better = _asked(kind, 0.9), _asked(kind, 0.999)
    assert isinstance(quick, Placement)
    assert isinstance(better, Placement)
    between = (quick.promises[0].delay_s + better.promises[0].delay_s) / 2
    offers = _asked(kind, 0.999, slo=Slo(latency_s=between, availability=0.999))
    assert isinstance(offers, tuple)


def test_without_room_for_a_standby_one_way_alone_may_do() -> None:
    tight = Slo(latency_s=1.2e-4, availability=0.999)  # two ways are so quick, over the same ducts
    alone = _asked(Isolation.NRP, 0.999, protection=Protection.AUTO, slo=tight)
    assert isinstance(alone, Placement)
    assert all(t.standby is None for t in alone.tunnels)


def test_ways_over_several_domains_count_all_their_parts() -> None:
    wanted = slice_between("s", "bantian", "longgang", isolation=Isolation.NRP, protection=Protection.NONE)
    quick = replace(wanted, slo=Slo(availability=0.9))
    often = replace(wanted, slo=Slo(availability=0.995))
    promises = []
    for one in (quick, often):
        outcome = place(CITY, Ledger(CITY), [one], {}, NOW)
        assert outcome.refusals == (), str(outcome.refusals[0])
        (placement,) = outcome.placements.values()
        promises.append(placement.promises[0])
    assert promises[0].availability < 0.991
    assert promises[1].availability >= 0.995
