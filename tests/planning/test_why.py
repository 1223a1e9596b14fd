"""Why a way was chosen, and why the runners-up lost."""

from __future__ import annotations

from dataclasses import replace

from controller.intent.model import AttachLayer, Boundaries, Isolation, Protection, Service, Slo
from controller.network.ledger import Ledger
from controller.planning.place import place
from controller.planning.why import Explanation, explain
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, conference, plane, slice_between

CITY = city_map("longgang")
LOOSE = Slo(latency_s=0.02, availability=0.9)
OPTICAL = AttachLayer.OPTICAL


def _why(wanted: Service, *beside: Service) -> Explanation:
    outcome = place(CITY, Ledger(CITY), [*beside, wanted], {}, NOW)
    assert outcome.refusals == (), str(outcome.refusals[0])
    standing = {s.metadata.service: (s, outcome.placements[s.metadata.service]) for s in (*beside, wanted)}
    placement = outcome.placements[wanted.metadata.service]
    return explain(CITY, outcome.ledger, wanted, placement, standing)


def test_the_way_in_use_comes_first_and_the_others_say_by_what_they_lost() -> None:
    found = _why(slice_between("s", "buji", "zhihui", isolation=Isolation.TIMESLOT, slo=LOOSE))
    (choice,) = found.choices
    assert (choice.a, choice.z, choice.layer) == ("buji", "zhihui", "odu")
    used, *others = choice.options
    assert used.chosen
    assert used.way == ("otn-buji", "odu-f-nanwan-buji-1", "otn-nanwan", "odu-f-zhihui-nanwan-1", "otn-zhihui")
    assert used.verdict == "in use: the quickest that keeps 20 ms"
    assert not any(o.chosen for o in others)
    slower = {o.way[2]: o.verdict for o in others}
    assert slower["otn-jihua"].endswith(" ms slower")
    assert all(o.delay_s > used.delay_s for o in others)
    assert 0 < used.load < 0.1
    assert 0 < used.price < 1


def test_every_reason_for_which_a_way_loses_is_said() -> None:
    base = slice_between("s", "buji", "zhihui", isolation=Isolation.TIMESLOT, slo=LOOSE)
    bounded = replace(base, boundaries=Boundaries(exclude_nodes=frozenset({"otn-nanwan"})))
    said = [o.verdict for o in _why(bounded).choices[0].options]
    assert any(v.startswith("otn-nanwan is outside the boundaries (not over otn-nanwan") for v in said)
    late = replace(base, slo=replace(LOOSE, latency_s=0.00015))
    assert any(o.verdict.startswith("latency: takes ") for o in _why(late).choices[0].options)
    filling = slice_between(
        "f", "zhihui", "nanwan", 100 * GBPS, isolation=Isolation.TIMESLOT, slo=LOOSE, attach=OPTICAL
    )
    said = [
        o.verdict for o in _why(replace(base, metadata=replace(base.metadata, name="z")), filling).choices[0].options
    ]
    assert "odu-f-zhihui-nanwan-1: no free slot left" in said
    other = slice_between("a", "buji", "nanwan", isolation=Isolation.TIMESLOT, slo=LOOSE)
    diverse = replace(base, diverse_from=(other.metadata.service,))
    assert any("gov/a uses it, to be diverse from" in o.verdict for o in _why(diverse, other).choices[0].options)


def test_the_other_kinds_of_isolation_are_planned_and_priced() -> None:
    found = _why(slice_between("s", "buji", "compute", slo=LOOSE))
    kinds = {k.isolation: k for k in found.kinds}
    assert kinds["timeslot"].chosen
    assert kinds["wavelength"].verdict == "comes after timeslot for class other at this rate"
    assert kinds["wavelength"].price is not None
    assert kinds["timeslot"].price is not None
    assert kinds["wavelength"].price > kinds["timeslot"].price
    video = {
        k.isolation: k for k in _why(slice_between("v", "buji", "compute", slo=LOOSE, traffic_class="video")).kinds
    }
    assert video["wavelength"].chosen
    assert video["nrp"].verdict == "class video rides the optical base only"
    far = slice_between("f", "bantian", "pingdi", traffic_class="video", protection=Protection.STANDBY)
    reach = {k.isolation: k.verdict for k in _why(far).kinds}
    assert "without regeneration" in reach["wavelength"]


def test_planes_partitions_and_vips_are_explained_over_ip() -> None:
    office = plane("office", "buji", "zhihui", "pingdi")
    found = _why(office)
    assert found.reasons[0].startswith("follows the ways that its routers choose")
    assert {c.layer for c in found.choices} == {"ip"}
    assert all(c.options[0].chosen for c in found.choices)
    part = _why(slice_between("n", "buji", "pingdi", isolation=Isolation.NRP, slo=LOOSE))
    assert part.choices[0].options[0].hops >= 3
    vip = _why(conference("vc", "office", "zhihui", "buji", slo=LOOSE), office)
    assert vip.choices[0].options[0].chosen


def test_the_same_service_is_explained_in_the_same_words() -> None:
    wanted = slice_between("s", "buji", "compute", protection=Protection.STANDBY, slo=LOOSE)
    assert _why(wanted) == _why(wanted)
