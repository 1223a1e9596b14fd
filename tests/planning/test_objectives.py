"""One-key tuning: what moves is better off, keeps its intent, and is free beside everything at every moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.model import Boundaries, ExclusiveSlice, Isolation, Protection, Service, ServiceId, Slo
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.objectives import Objective, Tuned, movable, tune
from controller.planning.place import place
from controller.planning.placement import LabelReservation, Placement
from controller.planning.price import price
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, conference, plane, slice_between
from tests.support.invariants import check_all, check_capacity, check_labels

CITY = city_map("longgang")
LOOSE = Slo(latency_s=0.02, availability=0.9)
AROUND = Boundaries(exclude_nodes=frozenset({"otn-nanwan", "lg-nanwan"}))
Standing = dict[ServiceId, tuple[Service, Placement]]


def _standing(*wanted: Service, city: CityMap = CITY) -> tuple[Ledger, Standing]:
    outcome = place(city, Ledger(city), wanted, {}, NOW)
    assert outcome.refusals == (), str(outcome.refusals[0])
    return outcome.ledger, {s.metadata.service: (s, outcome.placements[s.metadata.service]) for s in wanted}


def _went_around(name: str, isolation: Isolation, *ends: str) -> tuple[Ledger, Standing]:
    """A slice that was placed while its quickest way was closed, and may use it now."""
    asked = slice_between(name, *(ends or ("buji", "zhihui")), isolation=isolation, slo=LOOSE)
    ledger, standing = _standing(replace(asked, boundaries=AROUND))
    return ledger, {sid: (asked, placement) for sid, (_, placement) in standing.items()}


def _tuned(ledger: Ledger, standing: Standing, objective: Objective) -> Tuned:
    found = tune(CITY, ledger, movable(standing), standing, objective)
    placed = {m.service.metadata.service: m.new for m in found.moves}
    check_all(CITY, {sid: standing[sid][0] for sid in placed}, placed)
    return found


@pytest.mark.parametrize("isolation", [Isolation.TIMESLOT, Isolation.WAVELENGTH, Isolation.NRP])
def test_a_slice_goes_back_to_the_quickest_way_once_that_is_open(isolation: Isolation) -> None:
    ledger, standing = _went_around("s", isolation)
    found = _tuned(ledger, standing, Objective.LATENCY)
    (move,) = found.moves
    assert max(p.delay_s for p in move.new.promises) < max(p.delay_s for p in move.old.promises)
    assert move.before.endswith(" ms")
    assert {a.vlan for a in move.new.attachments} == {a.vlan for a in move.old.attachments}
    assert not {c.id for c in move.new.circuits} & {c.id for c in move.old.circuits}
    again = {move.service.metadata.service: (move.service, move.new)}
    assert tune(CITY, found.ledger, movable(again), again, Objective.LATENCY).moves == ()


def test_old_and_new_are_both_there_for_a_while() -> None:
    """Many moves in one change: what all old and all new placements hold together is still there to hold."""
    wanted = [
        slice_between(f"s{i}", "buji", "zhihui", 20 * GBPS, isolation=Isolation.NRP, slo=LOOSE, boundaries=AROUND)
        for i in range(4)
    ]
    more = [
        slice_between(f"t{i}", "buji", "zhihui", isolation=Isolation.TIMESLOT, slo=LOOSE, boundaries=AROUND)
        for i in range(4)
    ]
    ledger, standing = _standing(*wanted, *more)
    opened: Standing = {sid: (replace(s, boundaries=Boundaries()), p) for sid, (s, p) in standing.items()}
    found = _tuned(ledger, opened, Objective.LATENCY)
    assert len(found.moves) == 8
    held: dict[str, int] = {}
    for move in found.moves:
        for link in {*_rates(move.old), *_rates(move.new)}:
            held[link] = held.get(link, 0) + max(_rates(move.old).get(link, 0), _rates(move.new).get(link, 0))
    assert all(bps <= CITY.link_by_id[link].capacity_bps for link, bps in held.items() if link in CITY.link_by_id)
    both = [(r.resource, r.label, m.old.service) for m in found.moves for p in (m.old, m.new) for r in _optical(p)]
    assert len({(resource, label) for resource, label, _ in both}) == len(both)


def _rates(placement: Placement) -> dict[str, int]:
    found: dict[str, int] = {}
    for r in placement.rates:
        found[r.link] = found.get(r.link, 0) + r.rate_bps
    return found


def _optical(placement: Placement) -> list[LabelReservation]:
    return [r for r in placement.labels if r.resource.startswith(("slot:", "channel:"))]


def test_the_ledger_afterwards_holds_the_new_placements_and_nothing_of_the_old() -> None:
    ledger, standing = _went_around("s", Isolation.TIMESLOT)
    found = _tuned(ledger, standing, Objective.LATENCY)
    fresh = Ledger(CITY)
    for move in found.moves:
        fresh.add(move.new)
    assert found.ledger.dump() == fresh.dump()


def test_cost_takes_fewer_links_where_the_intent_leaves_room() -> None:
    ledger, standing = _went_around("c", Isolation.TIMESLOT)
    (move,) = _tuned(ledger, standing, Objective.COST).moves
    assert price(move.new, CITY) < price(move.old, CITY)
    assert move.before.startswith("price ")


def test_balance_leads_a_partition_off_the_fullest_link() -> None:
    asked = {"isolation": Isolation.NRP, "slo": LOOSE}
    first = [slice_between(f"a{i}", "nanwan", "zhihui", 30 * GBPS, **asked) for i in range(2)]
    ledger, standing = _standing(*first)
    found = _tuned(ledger, standing, Objective.BALANCE)
    assert found.moves
    peaks = [max(k.capacity_bps - book.free_bps(k.id) for k in CITY.links) for book in (ledger, found.ledger)]
    assert peaks[1] < peaks[0]


def test_availability_adds_a_standby_where_the_intent_leaves_it_open() -> None:
    asked = slice_between("v", "buji", "zhihui", isolation=Isolation.TIMESLOT, slo=LOOSE)
    ledger, standing = _standing(asked)
    (move,) = _tuned(ledger, standing, Objective.AVAILABILITY).moves
    assert move.new.circuits[0].protect is not None
    assert move.new.promises[0].availability > move.old.promises[0].availability
    never = replace(asked, protection=Protection.NONE)
    ledger, standing = _standing(never)
    assert _tuned(ledger, standing, Objective.AVAILABILITY).moves == ()


def test_what_others_depend_on_stays_where_it_is() -> None:
    office = plane("office", "buji", "zhihui")
    part = slice_between("part", "buji", "zhihui", isolation=Isolation.NRP, slo=LOOSE)
    vip = conference("vc", "office", "zhihui", "buji", slo=LOOSE)
    far: ExclusiveSlice = replace(
        slice_between("far", "buji", "zhihui", isolation=Isolation.TIMESLOT, slo=LOOSE),
        diverse_from=(ServiceId("gov/other"),),
    )
    other = slice_between("other", "buji", "zhihui", isolation=Isolation.TIMESLOT, slo=LOOSE)
    _, standing = _standing(office, part, vip, other, far)
    assert list(movable(standing)) == ["gov/part"]


def test_the_same_network_is_tuned_the_same_way() -> None:
    ledger, standing = _went_around("s", Isolation.TIMESLOT)
    one, two = (_tuned(ledger, standing, Objective.LATENCY) for _ in range(2))
    assert one.moves == two.moves
    check_capacity(CITY, [m.new for m in one.moves])
    check_labels([m.new for m in one.moves])
