"""Ways that a batch's slices are given together, before each is placed by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.model import Boundaries, Disjointness, ExclusiveSlice, Isolation, Protection, ServiceId, Slo
from controller.network.ledger import Ledger
from controller.planning.ahead import FEWEST, Ahead, proposals
from controller.planning.layers import layers
from controller.planning.place import place
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, slice_between
from tests.support.networks import Sample

CAPACITY = 10 * GBPS
# A square with one diagonal: 0-1-2-3-0 and 0-2, every cable 10 km.
SQUARE = Sample("square", 4, np.array([0, 1, 2, 0, 0]), np.array([1, 2, 3, 3, 2]), np.full(5, 10.0))
CITY = SQUARE.map(CAPACITY)


def _slice(number: int, a: int = 0, z: int = 2, rate_bps: int = GBPS, **more: Any) -> ExclusiveSlice:
    more = {"protection": Protection.NONE, "slo": Slo(latency_s=0.02, availability=0.5)} | more
    return slice_between(f"s{number:02}", f"s{a:04}", f"s{z:04}", rate_bps, isolation=Isolation.NRP, **more)


def _found(wanted: Sequence[ExclusiveSlice], rounds: int = 0, first: Sequence[ServiceId] = ()) -> Ahead:
    return proposals(CITY, layers(CITY), Ledger(CITY).free_array(), wanted, first, rounds)


def _held(found: Ahead, wanted: Sequence[ExclusiveSlice]) -> np.ndarray:
    """Return what the ways hold on every cable."""
    net, held = layers(CITY), np.zeros(len(CITY.links), dtype=np.int64)
    rate = {s.metadata.service: s.demands[0].rate_bps for s in wanted}
    for name, segments in found.ways.items():
        for working, standby in segments.values():
            for link in (*working, *(standby or ())):
                held[[link, net.reverse[link]]] += rate[name]
    return held


def test_a_few_slices_look_for_themselves() -> None:
    assert _found([_slice(i) for i in range(FEWEST - 1)]) == Ahead()
    assert len(_found([_slice(i) for i in range(FEWEST)]).ways) == FEWEST


def test_only_what_the_arrays_can_weigh_alone_is_given_ways() -> None:
    plain = [_slice(i) for i in range(FEWEST)]
    others = [
        _slice(20, diverse_from=(ServiceId("gov/s00"),)), _slice(21, together_with=(ServiceId("gov/s00"),)),
        replace(_slice(22), isolation=Isolation.TIMESLOT), _slice(23, a=1, z=1),
    ]  # fmt: skip
    found = _found([*plain, *others])
    assert sorted(found.ways) == [s.metadata.service for s in plain]
    assert found.left_out == frozenset()


def test_slices_across_a_border_look_for_themselves() -> None:
    city = city_map("longgang")
    domains: dict[str, str] = {}
    for name, site in sorted(city.sites.items()):
        if site.access is not None:
            domains.setdefault(city.nodes[site.access.node].domain, name)
    assert len(domains) > 1
    a, z = sorted(domains.values())[:2]
    wanted = [slice_between(f"s{i}", a, z, isolation=Isolation.NRP) for i in range(FEWEST)]
    assert proposals(city, layers(city), Ledger(city).free_array(), wanted) == Ahead()


def test_both_directions_of_a_cable_are_one() -> None:
    """Slices in either direction over the same cable do not get it twice."""
    wanted = [_slice(i, *((0, 1) if i % 2 else (1, 0)), 3 * GBPS, slo=Slo(latency_s=6e-5, availability=0.5))
              for i in range(FEWEST)]  # fmt: skip
    found = _found(wanted)
    assert len(found.ways) == CAPACITY // (3 * GBPS)
    assert (_held(found, wanted) <= CAPACITY).all()


def test_working_and_standby_differ_in_what_was_asked() -> None:
    wanted = [
        _slice(i, 1, 3, protection=Protection.STANDBY, disjoint=(Disjointness.NODE,)) for i in range(FEWEST)
    ]  # fmt: skip
    links, found = layers(CITY).links, _found(wanted)
    assert len(found.ways) == FEWEST
    for segments in found.ways.values():
        for working, standby in segments.values():
            assert standby is not None
            inner = [{links[i].dst.node for i in way[:-1]} for way in (working, standby)]
            assert not inner[0] & inner[1]


def test_ways_stay_inside_the_boundaries() -> None:
    away = Boundaries(exclude_nodes=frozenset({"n0000"}))
    found = _found([_slice(i, 1, 3, boundaries=away) for i in range(FEWEST)])
    assert len(found.ways) == FEWEST
    links = layers(CITY).links
    for segments in found.ways.values():
        assert all("node:n0000" not in (links[i].src.node, links[i].dst.node) for w, _ in segments.values() for i in w)


def test_in_rounds_two_small_ones_displace_a_large_one_but_never_one_that_goes_first() -> None:
    """Only 1-2 leads to 1 or 2 quickly enough: a slice of 6 Gbit/s comes first and keeps two of 5 Gbit/s out."""
    near = Slo(latency_s=6e-5, availability=0.5)
    wanted = [_slice(0, 1, 2, 6 * GBPS, slo=near), *(_slice(i, 1, 2, 5 * GBPS, slo=near) for i in (1, 2))]
    wanted += [_slice(i, 0, 3, 10**8) for i in range(10, 10 + FEWEST)]
    large, *two = (s.metadata.service for s in wanted[:3])
    assert _found(wanted).left_out == set(two)
    assert _found(wanted, rounds=2).left_out == {large}
    assert _found(wanted, rounds=2, first=[large]).left_out == set(two)


def test_a_placed_batch_rides_the_ways_that_competed() -> None:
    near = Slo(latency_s=6e-5, availability=0.5)
    wanted = [_slice(0, 1, 2, 6 * GBPS, slo=near), *(_slice(i, 1, 2, 5 * GBPS, slo=near) for i in (1, 2))]
    wanted += [_slice(i, 0, 3, 10**8) for i in range(10, 10 + FEWEST)]
    assert {r.service for r in place(CITY, Ledger(CITY), wanted, {}, NOW, 4).refusals} == {"gov/s00"}
    assert {r.service for r in place(CITY, Ledger(CITY), wanted, {}, NOW, 1).refusals} == {"gov/s01", "gov/s02"}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.permutations(range(4)), st.sampled_from((GBPS, 2 * GBPS, 5 * GBPS)), st.booleans()),
        min_size=FEWEST, max_size=16,
    ),
    st.sampled_from((0, 2)),
)  # fmt: skip
def test_what_is_proposed_fits_together_and_is_the_same_again(asked: list[tuple], rounds: int) -> None:
    wanted = [
        _slice(i, ends[0], ends[1], rate, protection=Protection.STANDBY if protected else Protection.NONE)
        for i, (ends, rate, protected) in enumerate(asked)
    ]
    found = _found(wanted, rounds)
    assert found == _found(wanted, rounds)
    assert (_held(found, wanted) <= CAPACITY).all()
    assert found.ways.keys() | found.left_out == {s.metadata.service for s in wanted}
    assert not found.ways.keys() & found.left_out
