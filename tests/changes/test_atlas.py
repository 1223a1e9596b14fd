"""The map as shown: one domain that is not there is one problem, not one for each of its cables."""

from __future__ import annotations

from dataclasses import replace

from controller.changes.atlas import topology_view
from controller.changes.domains import DomainState
from controller.network.ledger import Ledger
from controller.network.model import CityMap

CABLE = "lock id {} is carried by node:a/tp:{}; a cable joins one IP port and one optical client port"
DOUBLED = "lock id 7 is carried by node:a/tp:1, node:b/tp:1; a cable joins one IP port and one optical client port"


def test_loose_ends_of_a_domain_that_is_not_there_are_one_line(city: CityMap) -> None:
    known = {name: d for name, d in city.domains.items() if name != "city-otn"}
    problems = (*(CABLE.format(n, n) for n in range(100)), DOUBLED)
    without = replace(city, domains=known, problems=problems)
    states = {name: DomainState(name in known) for name in city.domains}
    shown = topology_view(without, states, Ledger(city)).problems
    assert shown == (
        "city-otn: not discovered yet; 100 cables and borders of other domains may end there",
        DOUBLED,
    )
    everywhere = topology_view(replace(city, problems=problems), states, Ledger(city)).problems
    assert everywhere == problems
