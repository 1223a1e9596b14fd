"""The conference of 300 parties on real switches: how long until the last entry stands, and what it lets through."""

from __future__ import annotations

import time

from tests.lab.packets import PacketStage
from tests.lab.wanted import intent

INSTALLED_S = 5.0
TRIES = 3


def test_a_conference_of_300_parties_is_installed_in_five_seconds(city: PacketStage) -> None:
    city.apply(intent("office"))
    took: list[float] = []
    while len(took) < TRIES and min(took, default=99.0) > INSTALLED_S:  # a busy machine may take its time once
        city.delete(*(s for s in city.stage.client.services() if s == "government/council"))
        started = time.perf_counter()
        city.apply(intent("conference"))
        took.append(time.perf_counter() - started)
    held = city.customers.rule_counts()
    print(f"300 parties in {min(took):.2f} s; the switches hold {sum(held.values())} rules")
    assert min(took) <= INSTALLED_S
    hosts = city.plug_in("government.office")
    assert all(city.ping(h.host, hosts[0].address) for h in hosts[1:])
    city.delete("government/council")
    assert sum(city.customers.rule_counts().values()) < sum(held.values()) - 900
