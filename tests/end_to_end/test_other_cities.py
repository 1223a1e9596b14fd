"""Kunming and Wuhan are cities too: they come up, are discovered without a conflict, and carry a plane and a slice."""

from __future__ import annotations

from pathlib import Path

import pytest
from onecity.v1 import controller_pb2 as pb

from tests.support.stage import COMMITTED, stage

PLANE = """apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {{name: office, tenant: gov}}
spec:
  bandwidth: 100Mbps
  sites:
    - {{site: {0}, lan: 10.10.0.0/24}}
    - {{site: {1}, lan: 10.10.1.0/24}}
    - {{site: {2}, lan: 10.10.2.0/24}}
---
apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {{name: survey, tenant: gov}}
spec:
  bandwidth: 1Gbps
  isolation: timeslot
  endpoints:
    - {{site: {0}, lan: 10.20.0.0/24}}
    - {{site: {2}, lan: 10.20.2.0/24}}
"""


@pytest.fixture(autouse=True)
def _empty() -> None:
    """Each city here is of its own; Longgang is not needed."""


@pytest.mark.parametrize("city", ["kunming", "wuhan"])
def test_another_city_carries_a_plane_and_a_slice(city: str, tmp_path: Path) -> None:
    with stage(city, tmp_path) as standing:
        topology = standing.client.stub.GetTopology(pb.GetTopologyRequest(), timeout=10).topology
        assert all(d.up for d in topology.domains)
        assert not topology.problems
        sites = sorted(s.id for s in topology.sites if s.access)
        picked = sites[0], sites[len(sites) // 2], sites[-1]
        _, result = standing.client.apply(PLANE.format(*picked))
        assert result.outcome == COMMITTED, result.message
        assert not any(standing.client.differences().values())
