"""Whoever takes an offer of a refusal at its word is not turned away again.

Every offer is read as an engineer would read it – the numbers as they are written, nothing else changed – and asked
for in its place.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.intent.model import Boundaries, Disjointness, ExclusiveSlice, Isolation, Protection, Service, Slo
from controller.intent.quantities import delay, rate
from controller.network.ledger import Ledger
from controller.network.model import CityMap
from controller.planning.place import _Attempt, place
from controller.planning.placement import Placement, Refusal
from tests.planning.test_invariants import cities
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, slice_between

LONGGANG = city_map("longgang")
WHERE = ("buji", "bantian", "zhihui", "pingdi", "henggang", "compute")
FILLED = place(
    LONGGANG,
    Ledger(LONGGANG),
    [
        slice_between(f"f{i}", a, z, 77_777_770_000, isolation=Isolation.NRP, protection=Protection.NONE)
        for i, (a, z) in enumerate((("buji", "nanwan"), ("zhihui", "pinghu"), ("henggang", "longgang")))
    ],
    {},
    NOW,
).ledger
_OFFER = re.compile(r"([0-9.]+ [kMGT]?bit/s)(?: ≤ ([0-9.]+ [mµ]?s))?(.*)")
_REMARK = re.compile(r" ?(?:over (?:otn|r|lg)-[^ ,]*(?:, [^ ,]*)*|\(its standby; .*\))$")
_DISJOINT = {
    "with node-disjoint standby that may share a duct": Disjointness.NODE,
    "with SRLG-disjoint standby that may share a node": Disjointness.SRLG,
    "with standby over other cables of the same ducts": Disjointness.LINK,
}


def taken(asked: ExclusiveSlice, offer: str) -> ExclusiveSlice | None:
    """Return what the offer says in the place of what was asked; None for one that needs another network."""
    if offer.startswith("as asked, once"):
        return None
    found = _OFFER.fullmatch(offer)
    assert found is not None, offer
    bps = rate(found[1].replace(" ", ""))
    demands = tuple(replace(d, rate_bps=bps) for d in asked.demands)
    ends = tuple(replace(e, rate_bps=bps) for e in asked.endpoints)
    latency_s = None if found[2] is None else delay(found[2])
    changed = replace(asked, demands=demands, endpoints=ends, slo=replace(asked.slo, latency_s=latency_s))
    more = found[3].strip()
    more = more if more.endswith(" too") else _REMARK.sub("", more).strip()
    for clause in more.split(", ") if more else ():
        changed = _with(changed, clause)
    return changed


def _with(asked: ExclusiveSlice, clause: str) -> ExclusiveSlice:
    def slo(**values: Any) -> ExclusiveSlice:
        return replace(asked, slo=replace(asked.slo, **values))

    def bounds(**values: Any) -> ExclusiveSlice:
        return replace(asked, boundaries=replace(asked.boundaries, **values))

    if less := re.fullmatch(r"without (?:standby|restoration) \(availability (.*)\)", clause):
        return replace(slo(availability=_share(less[1])), protection=Protection.NONE)
    if less := re.fullmatch(r"(with standby )?at availability (.*)", clause):
        at = slo(availability=_share(less[2]))
        return replace(at, protection=Protection.STANDBY) if less[1] else at
    if less := re.fullmatch(r"in ([0-9]+) hops?", clause):
        return slo(most_hops=int(less[1]))
    if less := re.fullmatch(r"with jitter ≤ (.*)", clause):
        return slo(jitter_s=delay(less[1]))
    if less := re.fullmatch(r"with loss ≤ (.*)", clause):
        return slo(loss_ratio=float(less[1]))
    if clause in _DISJOINT:
        return replace(asked, disjoint=(_DISJOINT[clause],))
    if less := re.fullmatch(r"as (.*)", clause):
        return replace(asked, isolation=Isolation(less[1]))
    if less := re.fullmatch(r"at trust L([1-4])", clause):
        return bounds(least_trust=int(less[1]))
    if less := re.fullmatch(r"through (.*) too", clause):
        return bounds(exclude_regions=asked.boundaries.exclude_regions - {less[1]})
    if less := re.fullmatch(r"over (.*) too", clause):
        return bounds(exclude_nodes=asked.boundaries.exclude_nodes - {less[1]})
    if clause.startswith("also outside "):
        return bounds(include_regions=frozenset())
    assert clause == "over both planes", f"an offer that nobody can take: {clause}"
    return replace(asked, plane=None)


def _share(text: str) -> float:
    return float(text.removesuffix(" %")) / 100


def refused(city: CityMap, ledger: Ledger, service: Service) -> Refusal | None:
    outcome = place(city, ledger, [service], {}, NOW)
    return outcome.refusals[0] if outcome.refusals else None


def check_offers(city: CityMap, ledger: Ledger, asked: ExclusiveSlice) -> None:
    refusal = refused(city, ledger, asked)
    assert refusal is None or refusal.would_fit, f"nothing is offered instead:\n{refusal}"
    for offer in refusal.would_fit if refusal is not None else ():
        instead = taken(asked, offer)
        again = None if instead is None else refused(city, ledger, instead)
        assert again is None, f"{refusal}\n'{offer}' is offered, but taken at its word:\n{again}"


@st.composite
def slices(draw: st.DrawFn, sites: tuple[str, ...], nodes: tuple[str, ...], name: str = "asked") -> ExclusiveSlice:
    """A slice that asks for much: most of these are refused."""
    a, z, *_ = draw(st.permutations(sites))
    odd = st.integers(10**3, 12 * 10**6).map(lambda kbps: kbps * 1000)
    rates = st.one_of(st.sampled_from((10**7, GBPS, 10 * GBPS)), odd)
    bounds = Boundaries(
        exclude_nodes=frozenset(draw(st.lists(st.sampled_from(nodes), max_size=2))), least_trust=draw(st.integers(1, 3))
    )
    slo = Slo(
        draw(st.sampled_from((None, 0.02, 0.0003, 0.00011))), draw(st.sampled_from((None, None, 3e-6, 1e-5))),
        draw(st.sampled_from((None, None, 1e-7, 3e-7))),
        draw(st.sampled_from((0.9, 0.9995, 0.9999, 0.9999999))), draw(st.sampled_from((None, None, 1, 2))),
    )  # fmt: skip
    kinds = st.lists(st.sampled_from(tuple(Disjointness)), min_size=1, max_size=2, unique=True)
    return slice_between(
        name, a, z, draw(rates), isolation=draw(st.sampled_from(tuple(Isolation))), slo=slo,
        protection=draw(st.sampled_from((Protection.AUTO, Protection.NONE, Protection.STANDBY))),
        disjoint=tuple(draw(kinds)), plane=draw(st.sampled_from((None, None, "A"))), boundaries=bounds,
    )  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_refusal_offers_something_and_what_it_offers_is_kept(data: st.DataObject) -> None:
    city, sites = data.draw(cities())
    routers = tuple(sorted(n.removeprefix("node:") for n in city.nodes))
    filling = [slice_between(f"f{i}", *data.draw(st.permutations(sites))[:2], 333_333_000) for i in range(3)]
    ledger = place(city, Ledger(city), filling, {}, NOW).ledger
    check_offers(city, ledger, data.draw(slices(sites, routers)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=slices(WHERE, ("lg-jihua", "otn-zhihui", "lg-zhihui", "otn-nanwan")))
def test_offers_are_kept_in_a_city_that_others_use(asked: ExclusiveSlice) -> None:
    check_offers(LONGGANG, FILLED, asked)


def test_what_only_gives_way_together_is_offered_together() -> None:
    bounds = Boundaries(exclude_nodes=frozenset({"otn-zhihui"}), least_trust=4)
    asked = slice_between(
        "b", "buji", "pingdi", 12_345_678_000, isolation=Isolation.NRP, plane="A", boundaries=bounds,
        slo=Slo(1e-4, 1e-6, availability=0.99999, most_hops=2),
    )  # fmt: skip
    refusal = refused(LONGGANG, Ledger(LONGGANG), asked)
    assert refusal is not None
    assert refusal.would_fit == (
        "12.345678 Gbit/s ≤ 0.255 ms at trust L2, in 5 hops, with jitter ≤ 6.2 µs, "
        "without standby (availability 99.8312 %)",
    )
    check_offers(LONGGANG, Ledger(LONGGANG), asked)


def test_only_the_boundary_that_binds_is_asked_to_give_way() -> None:
    bounds = Boundaries(exclude_nodes=frozenset({"otn-zhihui", "otn-jihua"}), least_trust=2)
    asked = slice_between("b", "buji", "pingdi", isolation=Isolation.TIMESLOT, boundaries=bounds)
    refusal = refused(LONGGANG, Ledger(LONGGANG), replace(asked, protection=Protection.NONE, slo=Slo(availability=0.9)))
    assert refusal is not None
    assert "1 Gbit/s over otn-zhihui too" in refusal.would_fit


def test_the_nearest_jitter_and_loss_are_offered_however_far() -> None:
    steady = slice_between("s", "buji", "bantian", isolation=Isolation.NRP, slo=Slo(jitter_s=1e-6, availability=0.9))
    clean = replace(steady, slo=Slo(loss_ratio=1e-9, availability=0.9))
    for asked, least in ((steady, "1 Gbit/s with jitter ≤ 2.5 µs"), (clean, "1 Gbit/s with loss ≤ 2.1e-07")):
        refusal = refused(LONGGANG, Ledger(LONGGANG), asked)
        assert refusal is not None
        assert least in refusal.would_fit


def test_a_standby_is_said_to_be_no_longer_than_it_has_to_be() -> None:
    asked = slice_between(
        "h", "buji", "bantian", isolation=Isolation.NRP, protection=Protection.STANDBY,
        slo=Slo(availability=0.9, most_hops=2),
    )  # fmt: skip
    refusal = refused(LONGGANG, Ledger(LONGGANG), asked)
    assert refusal is not None
    assert refusal.binds == "hops: the shortest standby from lg-bantian to lg-buji is led over 3 links"
    assert "1 Gbit/s in 3 hops" in refusal.would_fit


def test_who_is_in_a_hurry_is_offered_nothing_and_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Service] = []
    placing = _Attempt.place

    def counted(attempt: _Attempt, service: Service) -> Placement:
        tried.append(service)
        return placing(attempt, service)

    monkeypatch.setattr(_Attempt, "place", counted)
    asked = slice_between("s", "buji", "bantian", slo=Slo(latency_s=1e-6))
    (refusal,) = place(LONGGANG, Ledger(LONGGANG), [asked], {}, NOW, explain=False).refusals
    assert refusal.binds.startswith("latency: ")
    assert refusal.would_fit == ()
    assert len(tried) <= 2  # on this map, and on one with a link that could be lit
