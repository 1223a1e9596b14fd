"""Ways kept for restoration: shared by what cannot fail together, lit by who fails, taken from nobody unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.intent.model import ExclusiveSlice, Isolation, Protection, ServiceId, Slo, Window
from controller.network.damage import Elements, Failure, damaged
from controller.network.ledger import Ledger
from controller.network.model import CityMap, Fibre, OduLink
from controller.planning.at_any_rate import at_any_rate
from controller.planning.emergency import is_emergency
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import CircuitPlacement, LabelReservation, Placement
from controller.planning.price import price
from tests.planning.test_invariants import cities
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, slice_between
from tests.support.invariants import check_kept, check_labels

OFTEN = Slo(availability=0.99)
Stands = dict[ServiceId, tuple[ExclusiveSlice, Placement]]


def _slice(name: str, a: str, z: str, **more: Any) -> ExclusiveSlice:
    more = {"isolation": Isolation.TIMESLOT, "protection": Protection.RESTORATION, "slo": OFTEN} | more
    return slice_between(name, a, z, more.pop("rate_bps", GBPS), **more)


def _place(
    city: CityMap, ledger: Ledger, stands: Stands, *services: ExclusiveSlice, dead: bool = False
) -> tuple[PlanOutcome, Stands]:
    outcome = place(city, ledger, services, stands, NOW)
    if dead:
        outcome = at_any_rate(city, outcome, services, stands, NOW, {s.metadata.service for s in services})
    named = {s.metadata.service: s for s in services}
    after = stands | {sid: (named[sid], p) for sid, p in outcome.placements.items()}
    return outcome, after | {sid: (stands[sid][0], p) for sid, p in outcome.unguarded.items()}


def _circuit(stands: Mapping[ServiceId, tuple[ExclusiveSlice, Placement]], name: str) -> CircuitPlacement:
    return stands[ServiceId(f"gov/{name}")][1].circuits[0]


def _kept(placement: Placement) -> set[tuple[str, int]]:
    return {(r.resource, r.label) for r in placement.labels if r.stands_by_for}


def _cut(city: CityMap, *fibres: str) -> CityMap:
    return damaged(city, Elements(city).damage(Failure("fibre", f) for f in fibres))


WEST = _slice("west", "nanwan", "buji")
NORTH = _slice("north", "bantian", "jihua")  # the other side of the ring


@pytest.mark.parametrize("isolation", [Isolation.TIMESLOT, Isolation.WAVELENGTH])
def test_two_that_cannot_fail_together_keep_the_same_for_both(isolation: Isolation) -> None:
    city = city_map("longgang")
    pair = [replace(s, isolation=isolation) for s in (WEST, NORTH)]
    outcome, stands = _place(city, Ledger(city), {}, *pair)
    west, north = (stands[s.metadata.service][1] for s in pair)
    assert _circuit(stands, "west").shared
    assert _circuit(stands, "west").standby is None
    both = {f"{k.partition(':')[2]}" for k, _ in _kept(west)} & {k.partition(":")[2] for k, _ in _kept(north)}
    assert both  # the rest of the ring serves both
    assert {(r, n) for r, n in _kept(west) if r.partition(":")[2] in both} == {
        (r, n) for r, n in _kept(north) if r.partition(":")[2] in both
    }
    check_labels(outcome.placements.values())


def test_two_over_one_duct_keep_a_way_each() -> None:
    city = city_map("longgang")
    _, stands = _place(city, Ledger(city), {}, WEST, _slice("west2", "nanwan", "buji"))
    first, second = (stands[ServiceId(f"gov/{n}")][1] for n in ("west", "west2"))
    assert _kept(first)
    assert _kept(second)
    assert not _kept(first) & _kept(second)


def test_a_way_kept_costs_less_than_a_standby_and_more_than_none() -> None:
    city = city_map("longgang")
    prices = []
    for protection in (Protection.NONE, Protection.RESTORATION, Protection.STANDBY):
        _, stands = _place(city, Ledger(city), {}, replace(WEST, protection=protection))
        prices.append(price(stands[WEST.metadata.service][1], city))
    assert prices[0] < prices[1] < prices[2]


def test_nobody_else_works_over_what_is_kept() -> None:
    city = city_map("longgang")
    ledger, stands = Ledger(city), {}  # type: Ledger, Stands
    every: Stands = stands
    for n in range(6):  # each of the ring's ODU4s has 80 slots
        outcome, every = _place(city, ledger, every, _slice(f"k{n}", "nanwan", "buji", rate_bps=10 * GBPS))
        ledger = outcome.ledger
    more = [_slice(f"w{n}", "zhihui", "pinghu", rate_bps=10 * GBPS, protection=Protection.NONE) for n in range(12)]
    outcome, every = _place(city, ledger, every, *more)
    assert outcome.refusals
    check_labels(p for _, p in every.values())


def test_who_fails_takes_what_was_kept_and_who_shared_it_stands_without() -> None:
    city = city_map("longgang")
    first, stands = _place(city, Ledger(city), {}, WEST, NORTH)
    before = _circuit(stands, "west")
    assert before.protect is not None
    broken = _cut(city, "f-nanwan-buji")
    outcome, after = _place(broken, first.ledger.on(broken), stands, WEST, dead=True)
    west, north = _circuit(after, "west"), _circuit(after, "north")
    assert west.working.route == before.protect.route
    assert west.working.slots == before.protect.slots
    assert set(outcome.unguarded) == {NORTH.metadata.service}
    assert north == replace(_circuit(stands, "north"), protect=None, shared=False)
    assert is_emergency(after[NORTH.metadata.service][1])
    assert after[NORTH.metadata.service][1].promises[0].standby_delay_s is None
    check_labels(p for _, p in after.values())


def test_once_it_is_mended_a_way_is_kept_again_and_nothing_that_works_moves() -> None:
    city = city_map("longgang")
    first, stands = _place(city, Ledger(city), {}, WEST, NORTH)
    broken = _cut(city, "f-nanwan-buji")
    second, after = _place(broken, first.ledger.on(broken), stands, WEST, dead=True)
    working = {n: _circuit(after, n).working for n in ("west", "north")}
    third, mended = _place(city, second.ledger.on(city), after, WEST, NORTH)
    assert not third.refusals
    assert not third.unguarded
    for name in ("west", "north"):
        assert _circuit(mended, name).working == working[name]
        assert _circuit(mended, name).shared
        assert not is_emergency(mended[ServiceId(f"gov/{name}")][1])
        check_kept(city, mended[ServiceId(f"gov/{name}")][1])
    check_labels(p for _, p in mended.values())


@pytest.mark.parametrize("before", [Protection.NONE, Protection.RESTORATION])
def test_who_gets_a_standby_of_its_own_works_on_where_it_works(before: Protection) -> None:
    """It was led the long way round while the short one was cut: that is where its standby comes to be."""
    city = city_map("longgang")
    broken = _cut(city, "f-nanwan-buji")
    first, stands = _place(broken, Ledger(broken), {}, replace(WEST, protection=before), dead=True)
    outcome, after = _place(city, first.ledger.on(city), stands, replace(WEST, protection=Protection.STANDBY))
    assert not outcome.refusals
    assert _circuit(after, "west").working == _circuit(stands, "west").working
    standby = _circuit(after, "west").standby
    assert standby is not None
    assert standby.route == ("odu-f-nanwan-buji-1",)
    check_labels(outcome.placements.values())


def test_an_unchanged_service_stays_as_it_is_to_the_byte() -> None:
    city = city_map("longgang")
    first, stands = _place(city, Ledger(city), {}, WEST, NORTH)
    again, _ = _place(city, first.ledger, stands, WEST, NORTH)
    assert again.placements == first.placements
    assert again.ledger.dump() == first.ledger.dump()


def test_a_partition_is_not_restored_and_says_so() -> None:
    city = city_map("longgang")
    outcome, _ = _place(city, Ledger(city), {}, replace(WEST, isolation=Isolation.NRP))
    assert "partition of the IP networks has a standby" in outcome.refusals[0].binds


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_whatever_fails_nothing_kept_is_promised_twice_and_all_is_given_back(data: st.DataObject) -> None:
    city, sites = data.draw(cities())
    ledger, stands = Ledger(city), {}  # type: Ledger, Stands
    whole, every = city, stands
    for turn in range(data.draw(st.integers(2, 8))):
        if turn > 1 and data.draw(st.booleans()):
            cuts = data.draw(st.lists(st.sampled_from(sorted(whole.fibres)), max_size=2, unique=True))
            city = _cut(whole, *cuts)
            wanted = [s for s, p in every.values() if any(_dark(city, c) for c in p.circuits) or is_emergency(p)]
            outcome, every = _place(city, ledger.on(city), every, *wanted, dead=True)
        else:
            a, z = data.draw(st.permutations(sites))[:2]
            protection = data.draw(st.sampled_from((Protection.RESTORATION,) * 3 + (Protection.NONE,)))
            isolation = data.draw(st.sampled_from((Isolation.TIMESLOT, Isolation.WAVELENGTH)))
            rate = data.draw(st.sampled_from((GBPS, 4 * GBPS)))
            slo = Slo(availability=0.9)
            new = _slice(f"x{turn}", a, z, rate_bps=rate, isolation=isolation, protection=protection, slo=slo)
            if data.draw(st.booleans()):
                start = NOW + timedelta(hours=data.draw(st.integers(0, 2)))
                new = replace(new, window=Window(start, start + timedelta(hours=data.draw(st.integers(1, 2)))))
            outcome, every = _place(city, ledger.on(city), every, new)
        ledger = outcome.ledger
        check_labels(p for _, p in every.values())
        for _, placement in every.values():
            check_kept(whole, placement)
        rebuilt = Ledger(city)
        for _, placement in every.values():
            rebuilt.add(placement)
        assert rebuilt.dump() == ledger.on(city).dump()
    for sid in every:
        ledger.remove(sid)
    assert ledger.dump() == Ledger(city).dump()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_nobody_is_refused_who_could_be_kept_a_way(data: st.DataObject) -> None:
    city, sites = data.draw(cities(channels=4, spare_ports=30, access="400Gbps"))
    isolation = data.draw(st.sampled_from((Isolation.TIMESLOT, Isolation.WAVELENGTH)))
    random, ledger = Random(data.draw(st.integers(0, 10**6))), Ledger(city)
    for number in range(30):
        a, z = random.sample(sites, 2)
        protection = random.choice((Protection.RESTORATION,) * 3 + (Protection.STANDBY, Protection.NONE))
        slots, rate = random.choice(((8, 10 * GBPS), (4, 5 * GBPS)))
        rate = 10 * GBPS if isolation is Isolation.WAVELENGTH else rate
        wanted = _slice(
            f"x{number}", a, z, rate_bps=rate, isolation=isolation, protection=protection, slo=Slo(availability=0.5)
        )
        outcome = place(city, ledger, [wanted], {}, NOW)
        if outcome.refusals and protection is not Protection.NONE and "port" not in outcome.refusals[0].binds:
            shared = protection is Protection.RESTORATION
            assert not _any_pair(city, ledger, isolation, (f"otn-{a}", f"otn-{z}"), slots, shared), outcome.refusals[0]
        ledger = outcome.ledger


def _any_pair(
    city: CityMap, ledger: Ledger, isolation: Isolation, ends: tuple[str, str], slots: int, shared: bool
) -> bool:
    """Try every pair of ways without a fibre or duct in common: one that is free, and one that may be kept.

    Not `shared`: both have to be free.
    """
    wave = isolation is Isolation.WAVELENGTH
    parts: Mapping[str, Fibre | OduLink] = city.fibres if wave else city.odu_links

    def under(route: tuple[str, ...]) -> tuple[set[str], set[str]]:
        fibres = {f for hop in route for f in getattr(parts[hop], "fibres", (hop,))}
        ducts = {f"srlg:{r}" for f in fibres for r in city.fibres[f].srlgs}
        nodes = {f"node:{n}" for f in fibres for n in (city.fibres[f].a, city.fibres[f].z) if n not in ends}
        return {f"fibre:{f}" for f in fibres} | ducts, nodes

    def labels(hop: str, risks: set[str]) -> set[int]:
        part, kind = parts[hop], "channel" if wave else "slot"
        size = part.channels if isinstance(part, Fibre) else part.slots
        kept = tuple(sorted(risks))
        free = (
            n for n in range(1, size + 1) if not ledger.rivals(LabelReservation(f"{kind}:{hop}", n, None, None, kept))
        )
        return set(free) - part.occupied

    def fits(route: tuple[str, ...], risks: set[str]) -> bool:
        found = [labels(hop, risks) for hop in route]
        return bool(set.intersection(*found)) if wave else all(len(f) >= slots for f in found)

    ways = [(route, *under(route)) for route in _routes(parts, *ends)]
    return any(
        not cables & others and fits(working, set()) and fits(kept, cables | nodes if shared else set())
        for working, cables, nodes in ways
        for kept, others, _ in ways
    )


def _routes(parts: Mapping[str, Fibre | OduLink], at: str, end: str, seen: frozenset[str] = frozenset()) -> list[Any]:
    if at == end:
        return [()]
    found = []
    for name, part in parts.items():
        onward = part.z if part.a == at else part.a if part.z == at else None
        if onward is not None and onward not in seen:
            found += [(name, *rest) for rest in _routes(parts, onward, end, seen | {at})]
    return found


def _dark(city: CityMap, circuit: CircuitPlacement) -> bool:
    parts = [city.fibres.get(h) or city.odu_links.get(h) for h in circuit.working.route]
    return any(part is None or not part.up for part in parts)
