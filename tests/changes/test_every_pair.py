"""A slice can be had between any two sites of any city, in every way of isolating it that the city can offer."""

from __future__ import annotations

from itertools import combinations

import pytest

from controller.changes.pipeline import Wanted, plan
from tests.changes.wanted import NOW, empty, services
from tests.support.cities import city_map

SLICE = """apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: pair, tenant: t}}
spec:
  bandwidth: 1Gbps
  isolation: {isolation}
  protection: none
  slo: {{availability: 99%}}
  endpoints:
    - {{site: {a}, lan: 10.1.1.0/24}}
    - {{site: {z}, lan: 10.1.2.0/24}}
"""
PAIRS = [(name, a, z) for name in ("longgang",) for a, z in combinations(sorted(city_map(name).sites), 2)]
PAIRS += [("wuhan", *pair) for pair in list(combinations(sorted(city_map("wuhan").sites), 2))[::40]]
PAIRS += [("kunming", *pair) for pair in list(combinations(sorted(city_map("kunming").sites), 2))[::120]]


@pytest.mark.parametrize("isolation", ["timeslot", "nrp"])
@pytest.mark.parametrize(("name", "a", "z"), PAIRS)
def test_any_two_sites_can_have_a_slice(name: str, a: str, z: str, isolation: str) -> None:
    city = city_map(name)
    if any(city.sites[s].access is None for s in (a, z)):
        pytest.skip("a site without a router")
    found = plan(*empty(city), city, Wanted(services(SLICE.format(a=a, z=z, isolation=isolation))), NOW)
    same_router = city.sites[a].access.node == city.sites[z].access.node  # type: ignore[union-attr]
    if found.refusals:
        assert same_router, found.refusals[0]
    assert not found.proofs.broken, found.proofs.broken[0]
