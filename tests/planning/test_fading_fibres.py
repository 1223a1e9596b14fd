"""Fibres that fade are not ridden anew where another way keeps what is asked: a preference, said, and never a ban."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.model import Isolation, Protection, Service, Slo
from controller.network.damage import Elements, damaged
from controller.network.fading import calm, fading_under
from controller.network.ledger import Ledger
from controller.planning.place import PlanOutcome, Standing, place
from controller.planning.placement import Placement
from controller.planning.why import explain
from controller.planning.worked import worked_over
from tests.support.cities import city_map
from tests.support.intents import NOW, slice_between

CITY = city_map("longgang")
FIBRE = "f-nanwan-buji"
FADES = replace(CITY, fading=frozenset({FIBRE}))
LOOSE = Slo(latency_s=0.02, availability=0.9)
KINDS = (Isolation.TIMESLOT, Isolation.WAVELENGTH, Isolation.NRP)
NOTE = f"avoids fibre {FIBRE}: it is fading"


def _place(*wanted: Service, city: object = FADES, standing: Standing | None = None) -> PlanOutcome:
    assert isinstance(city, type(CITY))
    ledger = Ledger(city)
    for _, placement in (standing or {}).values():
        ledger.add(placement)
    outcome = place(city, ledger, wanted, standing or {}, NOW)
    assert outcome.refusals == (), str(outcome.refusals[0])
    return outcome


def _of(outcome: PlanOutcome) -> Placement:
    (placement,) = outcome.placements.values()
    return placement


def _rides(placement: Placement) -> bool:
    return bool(fading_under(FADES, worked_over(placement)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_slice_goes_around_what_fades_and_says_so(kind: Isolation) -> None:
    wanted = slice_between("s", "nanwan", "buji", isolation=kind, slo=LOOSE, protection=Protection.NONE)
    assert _rides(_of(_place(wanted, city=CITY)))
    outcome = _place(wanted)
    placement = _of(outcome)
    assert not _rides(placement)
    assert placement.notes == (NOTE,)
    assert _of(_place(wanted)) == placement
    found = explain(FADES, outcome.ledger, wanted, placement, {wanted.metadata.service: (wanted, placement)})
    assert NOTE in found.reasons
    assert any(o.verdict == f"rides fibre {FIBRE}, which is fading" for c in found.choices for o in c.options)


@pytest.mark.parametrize("kind", KINDS)
def test_where_only_what_fades_keeps_the_latency_it_is_ridden_and_that_is_said(kind: Isolation) -> None:
    loose = slice_between("s", "nanwan", "buji", isolation=kind, slo=LOOSE, protection=Protection.NONE)
    quick, slow = (_of(_place(loose, city=c)).promises[0].delay_s for c in (CITY, FADES))
    between = (quick + slow) / 2
    placement = _of(_place(replace(loose, slo=replace(LOOSE, latency_s=between))))
    assert _rides(placement)
    assert placement.notes == (f"rides fibre {FIBRE}: it is fading, and no way around it keeps what is asked",)


def test_who_needs_every_way_gets_the_one_that_fades_too() -> None:
    wanted = slice_between(
        "s", "nanwan", "buji", isolation=Isolation.TIMESLOT, slo=LOOSE, protection=Protection.STANDBY
    )
    placement = _of(_place(wanted))
    (circuit,) = placement.circuits
    assert circuit.protect is not None


@pytest.mark.parametrize("kind", KINDS)
def test_who_stands_over_what_fades_stays_and_planning_it_again_changes_nothing(kind: Isolation) -> None:
    wanted = slice_between("s", "nanwan", "buji", isolation=kind, slo=LOOSE, protection=Protection.NONE)
    other = slice_between("t", "nanwan", "zhihui", isolation=kind, slo=LOOSE, protection=Protection.NONE)
    for city in (CITY, FADES):
        placed = _place(wanted, other, city=city).placements
        standing = {s.metadata.service: (s, placed[s.metadata.service]) for s in (wanted, other)}
        for later in (FADES, CITY):
            assert _place(wanted, other, city=later, standing=standing).placements == placed


def test_a_repair_does_not_lead_onto_what_fades() -> None:
    wanted = slice_between(
        "s", "zhihui", "buji", isolation=Isolation.TIMESLOT, slo=LOOSE, protection=Protection.NONE
    )  # over nanwan, or around over jihua
    before = _of(_place(wanted, city=CITY))
    assert "odu-f-zhihui-nanwan-1" in before.circuits[0].working.route
    standing = {wanted.metadata.service: (wanted, before)}
    elements = Elements(CITY)
    cut = damaged(CITY, elements.damage([elements.named("fibre:f-zhihui-nanwan")]))
    quickest = _of(_place(wanted, city=cut, standing=standing))
    around = {f for hop in quickest.circuits[0].working.route for f in CITY.odu_links[hop].fibres} - {FIBRE}
    for fibre in sorted(around):
        fades = replace(cut, fading=frozenset({fibre}))
        after = _of(_place(wanted, city=fades, standing=standing))
        assert not fading_under(fades, worked_over(after))
        assert after.notes == (f"avoids fibre {fibre}: it is fading",)


def test_a_batch_that_is_led_together_goes_around_too() -> None:
    wanted = [
        slice_between(f"s{n}", "nanwan", "buji", isolation=Isolation.NRP, slo=LOOSE, protection=Protection.NONE)
        for n in range(12)
    ]
    found = _place(*wanted).placements
    assert len(found) == 12
    assert not any(_rides(p) for p in found.values())
    assert any(_rides(p) for p in _place(*wanted, city=CITY).placements.values())


def test_the_map_without_what_fades_is_made_once_and_not_at_all_where_nothing_does() -> None:
    assert calm(CITY) is None
    found = calm(FADES)
    assert found is calm(FADES)
    assert found is not None
    assert not found.fibres[FIBRE].up
    assert found.link_index is FADES.link_index
    dark = replace(FADES, fibres={**FADES.fibres, FIBRE: replace(FADES.fibres[FIBRE], up=False)})
    assert calm(dark) is None  # what is cut is nobody's way anyhow
