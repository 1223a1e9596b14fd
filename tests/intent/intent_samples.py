"""Documents that are right, for tests to break one thing at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network

import pytest

from controller.errors import IntentError, Violation
from controller.intent import Catalogue, read
from controller.intent.model import Service
from controller.intent.reading import Memory

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
CITY = Catalogue(
    sites=frozenset({"zhihui", "buji", "longgang", "pingdi"}),
    regions=frozenset({"west", "centre", "east"}),
    nodes=frozenset({"node:lg-buji", "otn-buji"}),
    reserved=(IPv4Network("172.16.0.0/12"),),
)

PLANE = """\
apiVersion: onecity/v1
kind: DedicatedPlane
metadata: {name: office, tenant: gov}
spec:
  bandwidth: 1Gbps
  sites:
    - {site: zhihui, lan: 10.10.0.0/24}
    - {site: buji, lan: 10.10.1.0/24}
    - {site: longgang, lan: 10.10.2.0/24}
"""
SLICE = """\
apiVersion: onecity/v1
kind: ExclusiveSlice
metadata: {name: survey, tenant: gov}
spec:
  bandwidth: 10Gbps
  endpoints:
    - {site: buji, lan: 10.20.1.0/24}
    - {site: longgang, lan: 10.20.2.0/24}
"""
VIP = """\
apiVersion: onecity/v1
kind: VipAssurance
metadata: {name: council, tenant: gov}
spec:
  protects: office
  window: {start: now, duration: 2h}
  conference:
    mcu: {site: zhihui, address: 10.10.0.10}
    parties:
      - {name: p1, site: buji, address: 10.10.1.20}
      - {site: longgang, address: 10.10.2.20}
"""


def accepted(*texts: str | bytes) -> tuple[Service, ...]:
    """Read texts that have to be right, without memory of other tests."""
    documents = [(f"f{index}.yaml", text) for index, text in enumerate(texts)]
    return read(documents, NOW, CITY, memory=Memory())


def mistakes(*texts: str | bytes) -> tuple[Violation, ...]:
    """Read texts that have to be wrong and return what is wrong with them."""
    with pytest.raises(IntentError) as caught:
        accepted(*texts)
    return caught.value.violations


def mistake(*texts: str | bytes) -> Violation:
    """Read texts with exactly one mistake and return it."""
    (one,) = mistakes(*texts)
    return one
