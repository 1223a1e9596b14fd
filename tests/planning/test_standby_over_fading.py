"""What fades stands by for a way around it where nothing else does: traffic leaves it, and does not come back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.model import ExclusiveSlice, Isolation, Protection, Service, ServiceId, Slo, VipAssurance
from controller.network.damage import Elements, damaged
from controller.network.fading import calm, fading_under, for_standbys, wary
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.constrained import DISJOINT, Burdens, apart
from controller.planning.layers import layers
from controller.planning.limits import DELAY
from controller.planning.objectives import Objective, tune
from controller.planning.paths import Mask, Path
from controller.planning.place import PlanOutcome, Standing, place
from controller.planning.placement import Placement
from controller.planning.why import explain
from controller.planning.worked import stands_by_over, worked_over
from tests.support.cities import city_map
from tests.support.intents import NOW, conference, plane, slice_between

CITY = city_map("longgang")
FIBRE = "f-zhihui-nanwan"
FADES = replace(CITY, fading=frozenset({FIBRE}))
WORN = for_standbys(FADES, wary(FADES).standby_only)  # as the slow loop asks
NOTE = f"standby rides fibre {FIBRE}, which is fading: no other way"
HALL = plane("hall", "zhihui", "nanwan", "buji", "pinghu")
MEETING = conference("meeting", "hall", "zhihui", "nanwan", "buji")
KINDS = (Isolation.TIMESLOT, Isolation.WAVELENGTH, Isolation.NRP)


def _place(city: CityMap, *wanted: Service, standing: Standing | None = None) -> PlanOutcome:
    ledger = Ledger(city)
    for _, placement in (standing or {}).values():
        ledger.add(placement)
    outcome = place(city, ledger, wanted, standing or {}, NOW)
    assert outcome.refusals == (), str(outcome.refusals[0])
    return outcome


def _stand(
    city: CityMap, *wanted: Service, standing: Standing | None = None
) -> dict[ServiceId, tuple[Service, Placement]]:
    """Place services beside what stands; return all of it."""
    placed = _place(city, *wanted, standing=standing).placements
    return {**(standing or {}), **{s.metadata.service: (s, placed[s.metadata.service]) for s in wanted}}


def _works_over(placement: Placement) -> tuple[str, ...]:
    return fading_under(FADES, worked_over(placement))


def _stands_by_over(placement: Placement) -> tuple[str, ...]:
    return fading_under(FADES, stands_by_over(placement))


def _guarded(kind: Isolation, name: str = "s") -> ExclusiveSlice:
    slo = Slo(latency_s=0.02, availability=0.9)
    return slice_between(name, "zhihui", "nanwan", isolation=kind, slo=slo, protection=Protection.STANDBY)


def test_a_vip_is_led_away_and_what_wears_out_stands_by_for_it() -> None:
    before = _stand(CITY, HALL, MEETING)
    assert _works_over(before[MEETING.metadata.service][1])
    outcome = _place(WORN, MEETING, standing=before)
    found = outcome.placements[MEETING.metadata.service]
    assert not _works_over(found)
    assert _stands_by_over(found) == (FIBRE,)
    assert found.notes == (NOTE,)
    assert all(p.availability >= MEETING.slo.availability for p in found.promises)
    told = explain(FADES, outcome.ledger, MEETING, found, {**before, MEETING.metadata.service: (MEETING, found)})
    assert NOTE in told.reasons


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_with_a_standby_is_led_away_like_a_vip(kind: Isolation) -> None:
    two = frozenset({FIBRE, "f-nanwan-compute"})  # of three ways through the optical domain
    fades = replace(CITY, fading=two)
    worn = for_standbys(fades, wary(fades).standby_only)
    wanted = _guarded(kind)
    before = _stand(CITY, wanted)
    assert _works_over(before[wanted.metadata.service][1])
    for city, standing in ((worn, before), (fades, {})):  # led away, and asked for while it fades
        found = _place(city, wanted, standing=standing).placements[wanted.metadata.service]
        assert not fading_under(fades, worked_over(found))
        standby = fading_under(fades, stands_by_over(found))
        assert standby
        assert found.notes == tuple(f"standby rides fibre {f}, which is fading: no other way" for f in standby)


def test_a_vip_keeps_its_standby_though_it_could_keep_its_word_without_one() -> None:
    modest = replace(MEETING, slo=replace(MEETING.slo, availability=0.9))
    before = _stand(CITY, HALL, modest)
    found = _place(WORN, modest, standing=before).placements[modest.metadata.service]
    assert not _works_over(found)
    assert all(t.standby is not None for t in found.tunnels)


def test_nobody_is_led_away_over_a_way_that_breaks_its_word() -> None:
    tight = replace(MEETING, slo=replace(MEETING.slo, latency_s=0.0002))
    before = _stand(CITY, HALL, tight)
    ledger = Ledger(CITY)
    for _, placement in before.values():
        ledger.add(placement)
    outcome = place(WORN, ledger, [tight], before, NOW, explain=False)
    assert [r.service for r in outcome.refusals] == [tight.metadata.service]


def _events() -> Iterator[CityMap]:
    """Yield maps as they come one after the other: other fibres are cut and mended, and at last all is well."""
    elements = Elements(FADES)
    for other in ("f-zhihui-longcheng", "f-henggang-zhihui", "f-nanwan-compute", "f-pinghu-zhihui"):
        yield damaged(FADES, elements.damage([elements.named(f"fibre:{other}")]))
        yield FADES
    yield CITY
    yield FADES


def test_a_vip_that_was_led_away_stays_away_whatever_happens_to_the_map() -> None:
    standing = _stand(WORN, MEETING, standing=_stand(CITY, HALL, MEETING))
    name = MEETING.metadata.service
    led = standing[name][1]
    refused = 0
    for city in _events():
        ledger = Ledger(CITY).on(city)
        for _, placement in standing.values():
            ledger.add(placement)
        outcome = place(city, ledger, [MEETING], standing, NOW, explain=False)
        refused += len(outcome.refusals)  # of the last cut: it stays as it is, with what stands by
        assert outcome.placements.get(name, led) == led  # also once all is well: nothing has to move
    assert refused == 1
    more = conference("meeting", "hall", "zhihui", "nanwan", "buji", "pinghu")
    grown = _place(FADES, more, standing=standing).placements[name]
    assert not _works_over(grown)
    assert {t.name: t for t in grown.tunnels}.items() >= {t.name: replace(t) for t in led.tunnels}.items()


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_that_was_led_away_stays_away(kind: Isolation) -> None:
    wanted = _guarded(kind)
    name = wanted.metadata.service
    standing = _stand(WORN, wanted, standing=_stand(CITY, wanted))
    led = standing[name][1]
    for city in (FADES, CITY, FADES):
        assert _place(city, wanted, standing=standing).placements[name] == led
    greater = replace(wanted, demands=tuple(replace(d, rate_bps=2 * d.rate_bps) for d in wanted.demands))
    assert not _works_over(_place(FADES, greater, standing=standing).placements[name])


@pytest.mark.parametrize("kind", KINDS)
def test_who_asks_for_the_quickest_ways_is_not_led_back_before_the_fibre_is_well(kind: Isolation) -> None:
    wanted = _guarded(kind)
    standing = _stand(WORN, wanted, standing=_stand(CITY, wanted))
    name = wanted.metadata.service
    led = standing[name][1]
    assert led.promises[0].delay_s > _stand(CITY, wanted)[name][1].promises[0].delay_s
    for city, moves in ((FADES, 0), (CITY, 1)):
        ledger = Ledger(city)
        ledger.add(led)
        assert len(tune(city, ledger, [name], standing, Objective.LATENCY).moves) == moves


def test_a_vip_without_any_standby_is_not_led_back_for_one() -> None:
    elements = Elements(CITY)
    cut = damaged(CITY, elements.damage([elements.named(f"fibre:{FIBRE}")]))
    modest = replace(MEETING, slo=replace(MEETING.slo, availability=0.9))
    standing = _stand(cut, HALL, modest)
    name = modest.metadata.service
    assert all(
        t.standby is None for t in standing[name][1].tunnels if {t.src, t.dst} == {"node:lg-zhihui", "node:lg-nanwan"}
    )
    after = _place(FADES, modest, standing=standing).placements[name]  # it is up again, and worn
    assert not _works_over(after)
    assert all(t.standby is not None for t in after.tunnels)


SITES = ("zhihui", "nanwan", "buji", "jihua", "bantian", "pinghu")
FIBRES = ("f-zhihui-nanwan", "f-nanwan-buji", "f-buji-jihua", "f-jihua-bantian", "f-bantian-pinghu", "f-pinghu-zhihui")


@settings(max_examples=60, deadline=None)
@given(
    ends=st.lists(st.sampled_from(SITES), min_size=2, max_size=2, unique=True),
    fading=st.sets(st.sampled_from(FIBRES), min_size=1, max_size=2),
    latency_us=st.sampled_from((150, 250, 400, 20_000)),
    protected=st.booleans(),
    stood=st.booleans(),
)
def test_no_working_way_runs_over_what_fades_where_any_placement_allows_it(
    ends: list[str], fading: set[str], latency_us: int, protected: bool, stood: bool
) -> None:
    city = replace(CITY, fading=frozenset(fading))
    wanted = slice_between(
        "s", *ends, isolation=Isolation.NRP, slo=Slo(latency_s=latency_us / 1e6, availability=0.5),
        protection=Protection.STANDBY if protected else Protection.NONE,
    )  # fmt: skip
    allowed, avoiding = _exist(city, wanted, protected)
    standing: dict[ServiceId, tuple[Service, Placement]] = {}
    if stood and allowed:
        standing = _stand(CITY, wanted)
        city = for_standbys(city, wary(city).standby_only)
    ledger = Ledger(city)
    for _, placement in standing.values():
        ledger.add(placement)
    outcome = place(city, ledger, [wanted], standing, NOW, explain=False)
    found = outcome.placements.get(wanted.metadata.service)
    assert (found is not None) == (avoiding if standing else allowed)
    if found is not None:
        assert bool(fading_under(city, worked_over(found))) is not avoiding


def _exist(city: CityMap, wanted: ExclusiveSlice, protected: bool) -> tuple[bool, bool]:
    """Whether there is any placement, and any of which the working way avoids what fades: by looking at all of them."""
    net = layers(CITY)
    core = np.array([k.domain == "city-ip" for k in net.links], dtype=np.bool_)
    ways = _ways(net.ip_burdens, core, *(f"node:lg-{e.site}" for e in wanted.endpoints))
    ways = [w for w in ways if net.ip_burdens.of(w)[DELAY] <= (wanted.slo.latency_s or 0.0)]
    pairs = [w for w in ways if not protected or any(apart(net.ip_burdens, w, o, DISJOINT) for o in ways)]
    good = [w for w in pairs if not fading_under(city, (net.links[i].id for i in w))]
    return bool(pairs), bool(good)


def _ways(burdens: Burdens, usable: Mask, a: str, z: str) -> list[Path]:
    """Return every way without loops."""
    graph, found = burdens.graph, list[Path]()

    def onward(at: str, seen: tuple[str, ...], way: Path) -> None:
        if at == z:
            found.append(way)
            return
        for i, edge in enumerate(graph.edges):
            if usable[i] and edge.src == at and edge.dst not in seen:
                onward(edge.dst, (*seen, edge.dst), (*way, i))

    onward(a, (a,), ())
    return found


@settings(max_examples=40, deadline=None)
@given(
    ends=st.lists(st.sampled_from(SITES), min_size=2, max_size=2, unique=True),
    fading=st.sets(st.sampled_from(sorted(CITY.fibres)), min_size=1, max_size=4),
    wave=st.booleans(),
    protected=st.booleans(),
    stood=st.booleans(),
)
def test_no_working_leg_runs_over_what_fades_where_any_circuit_allows_it(
    ends: list[str], fading: set[str], wave: bool, protected: bool, stood: bool
) -> None:
    city = replace(CITY, fading=frozenset(fading))
    wanted = slice_between(
        "s", *ends, isolation=Isolation.WAVELENGTH if wave else Isolation.TIMESLOT,
        slo=Slo(latency_s=0.02, availability=0.5), protection=Protection.STANDBY if protected else Protection.NONE,
    )  # fmt: skip
    standing = _stand(CITY, wanted)
    name = wanted.metadata.service
    (circuit,) = standing[name][1].circuits
    net = layers(CITY)
    burdens, parts = (net.fibre_burdens, net.fibre_of) if wave else (net.odu_burdens, net.odu_of)
    every = np.ones(len(parts), dtype=np.bool_)
    ways = _ways(burdens, every, circuit.a.node, circuit.z.node)
    good = [w for w in ways if not fading_under(city, (parts[i].id for i in w))]
    avoiding = any(not protected or any(apart(burdens, w, o, DISJOINT) for o in ways) for w in good)
    if stood:
        city = for_standbys(city, wary(city).standby_only)
    ledger = Ledger(city)
    if stood:
        ledger.add(standing[name][1])
    outcome = place(city, ledger, [wanted], standing if stood else {}, NOW, explain=False)
    assert bool(outcome.refusals) is (stood and not avoiding)
    for found in outcome.placements.values():
        assert bool(fading_under(city, worked_over(found))) is not avoiding


def test_where_nothing_fades_no_other_map_is_made() -> None:
    assert calm(CITY) is None
    assert wary(CITY) is CITY
    assert layers(CITY).carrying is None
    assert wary(FADES) is wary(FADES)
    assert wary(WORN) is WORN
    assert calm(calm(FADES) or CITY) is None
    assert isinstance(MEETING, VipAssurance)
