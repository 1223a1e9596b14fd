"""Which border a plane crosses: sooner one that does not wear out, and what it was led over stays that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.model import Service, ServiceId, Slo
from controller.network.damage import Elements, damaged
from controller.network.fading import for_standbys, wary
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.place import PlanOutcome, Standing, place
from controller.planning.placement import Placement
from controller.planning.worked import crossed_by
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, conference, plane
from tests.support.invariants import check_all

CITY = city_map("longgang")
FIBRE = "f-zhihui-compute"  # under the first border to the compute centre, and nothing else
FADES = replace(CITY, fading=frozenset({FIBRE}))
WORN = for_standbys(FADES, wary(FADES).standby_only)  # as the slow loop asks
HALL = plane("hall", "zhihui", "buji", "compute")
MEETING = conference("meeting", "hall", "zhihui", "buji", "compute")
NAME = HALL.metadata.service


def _place(city: CityMap, *wanted: Service, standing: Standing | None = None) -> PlanOutcome:
    ledger = Ledger(city)
    for _, placement in (standing or {}).values():
        ledger.add(placement)
    return place(city, ledger, wanted, standing or {}, NOW, explain=False)


def _stand(
    city: CityMap, *wanted: Service, standing: Standing | None = None
) -> dict[ServiceId, tuple[Service, Placement]]:
    outcome = _place(city, *wanted, standing=standing)
    assert outcome.refusals == (), str(outcome.refusals[0])
    placed = outcome.placements
    check_all(CITY, {s.metadata.service: s for s in wanted}, placed)
    return {**(standing or {}), **{s.metadata.service: (s, placed[s.metadata.service]) for s in wanted}}


def _order(placement: Placement) -> list[str]:
    return [s.link for s in sorted(placement.stitches, key=lambda s: s.rank) if s.link is not None]


def test_a_new_plane_crosses_the_border_that_does_not_wear_out_first_and_stitches_both() -> None:
    before, after = (_order(_stand(city, HALL)[NAME][1]) for city in (CITY, FADES))
    assert before == list(reversed(after))
    worn = {k.id for k in CITY.links if FIBRE in k.fibres}
    assert worn.isdisjoint(after[:1])
    assert not worn.isdisjoint(after[1:])


def test_the_plan_says_which_fibre_a_plane_avoids_at_its_border_and_what_stands_is_not_changed_for_a_word() -> None:
    after = _stand(FADES, HALL)
    assert after[NAME][1].notes == (f"avoids fibre {FIBRE}: it is fading",)
    for city in (CITY, FADES):
        assert _stand(city, HALL, standing=after) == after
    led = _stand(WORN, HALL, standing=_stand(CITY, HALL))
    assert led[NAME][1].notes == after[NAME][1].notes
    elsewhere = replace(CITY, fading=frozenset({"f-nanwan-compute", "f-pingdi-yuanshan"}))
    assert _stand(elsewhere, HALL)[NAME][1].notes == ()


def test_a_plane_that_stands_stays_where_it_is_until_it_is_led_elsewhere() -> None:
    before = _stand(CITY, HALL, MEETING)
    for city in (FADES, CITY):
        assert _stand(city, HALL, MEETING, standing=before) == before
    led = _stand(WORN, HALL, MEETING, standing=before)
    assert _order(led[NAME][1]) == list(reversed(_order(before[NAME][1])))
    old, new = (x[MEETING.metadata.service][1] for x in (before, led))
    assert {t.name: t.working for t in old.tunnels} == {t.name: t.working for t in new.tunnels}
    assert crossed_by(CITY, old, before[NAME][1]).isdisjoint(crossed_by(CITY, new, led[NAME][1]))
    names = {s.link: (s.name, s.vlan, s.a, s.z) for s in before[NAME][1].stitches}
    assert names == {s.link: (s.name, s.vlan, s.a, s.z) for s in led[NAME][1].stitches}


def test_what_was_led_over_the_other_border_stays_there_whatever_happens_elsewhere() -> None:
    standing = _stand(WORN, HALL, MEETING, standing=_stand(CITY, HALL, MEETING))
    led = _order(standing[NAME][1])
    elements = Elements(FADES)
    for other in ("f-zhihui-nanwan", "f-buji-jihua", "f-pinghu-zhihui"):
        for city in (damaged(FADES, elements.damage([elements.named(f"fibre:{other}")])), FADES, CITY):
            standing = {**standing, **_stand(city, HALL, standing=standing)}
            assert _order(standing[NAME][1]) == led


def test_while_the_better_border_is_cut_the_worn_one_carries_and_comes_second_again_when_placed_anew() -> None:
    standing = _stand(WORN, HALL, standing=_stand(CITY, HALL))
    elements = Elements(FADES)
    cut = damaged(FADES, elements.damage([elements.named("fibre:f-nanwan-compute")]))
    found = _stand(cut, HALL, standing=standing)[NAME][1]
    worn = {k.id for k in CITY.links if FIBRE in k.fibres}
    assert not worn.isdisjoint(r.link for r in found.rates)
    more = plane("hall", "zhihui", "buji", "compute", "nanwan")
    assert worn.isdisjoint(r.link for r in _stand(FADES, more, standing=standing)[NAME][1].rates)


@pytest.mark.parametrize("why", ["full", "slow", "alone"])
def test_the_worn_border_is_crossed_where_no_other_keeps_what_is_asked_and_the_slow_loop_is_told_why(why: str) -> None:
    wanted, city = HALL, CITY
    second = _stand(FADES, HALL)[NAME][1]
    if why == "full":
        wanted = plane("hall", "zhihui", "buji", "compute", rate_bps=5 * GBPS)
        ends = {k for link in second.stitches if link.rank == 1 for k in (link.link or "",)}
        both = ends | {CITY.link_by_id[k].reverse for k in ends}
        links = tuple(replace(k, capacity_bps=GBPS) if k.id in both else k for k in CITY.links)
        city = replace(CITY, links=links)
    elif why == "slow":
        two = plane("hall", "zhihui", "compute")
        best, worst = (_stand(c, two)[NAME][1].promises[0].delay_s for c in (CITY, FADES))
        assert best < worst
        wanted = replace(two, slo=Slo(latency_s=(best + worst) / 2, availability=0.9))
    else:
        elements = Elements(CITY)
        city = damaged(CITY, elements.damage([elements.named("fibre:f-nanwan-compute")]))
    fades = replace(city, fading=frozenset({FIBRE}))
    before = _place(city, wanted).placements[NAME]
    anew = _place(fades, wanted).placements[NAME]
    assert _order(anew) == _order(before)
    refused = _place(for_standbys(fades, wary(fades).standby_only), wanted, standing={NAME: (wanted, before)}).refusals
    binds = {"full": "has 1 Gbit/s left of 1 Gbit/s", "slow": "latency", "alone": "no way that is up"}
    assert binds[why] in refused[0].binds


SITES = ("zhihui", "nanwan", "buji", "pinghu", "compute", "pingdi", "baolong", "henggang", "longgang")


@settings(max_examples=60, deadline=None)
@given(
    sites=st.lists(st.sampled_from(SITES), min_size=2, max_size=5, unique=True),
    fading=st.sets(st.sampled_from(sorted(CITY.fibres)), min_size=1, max_size=3),
    only=st.sampled_from((None, "A")),
    latency_us=st.sampled_from((300, 500, 800, 20_000)),
)
def test_no_plane_is_refused_for_what_fades_and_none_is_led_onto_it_where_it_asks_not_to_be(
    sites: Iterable[str], fading: set[str], only: str | None, latency_us: int
) -> None:
    wanted = plane("p", *sites, plane=only, slo=Slo(latency_s=latency_us / 1e6, availability=0.9))
    name = wanted.metadata.service
    fades = replace(CITY, fading=frozenset(fading))
    asked, found = _place(CITY, wanted), _place(fades, wanted)
    assert bool(asked.refusals) == bool(found.refusals)
    if asked.refusals:
        return
    before = asked.placements[name]
    worn = for_standbys(fades, wary(fades).standby_only)
    led = _place(worn, wanted, standing={name: (wanted, before)})
    over = {k.id for k in CITY.links if k.border and not fading.isdisjoint(k.fibres)}
    clean = over.isdisjoint(r.link for r in found.placements[name].rates)
    assert clean is not bool(led.refusals)
    for placement in led.placements.values():
        assert over.isdisjoint(r.link for r in placement.rates)
        assert sorted(_order(placement)) == sorted(_order(before))
