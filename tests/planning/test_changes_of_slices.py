"""A change of a slice is built while the old circuits still carry: nothing of theirs may be taken before they go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.model import ExclusiveSlice, Isolation, Protection, Slo
from controller.network.ledger import Ledger
from controller.planning.place import PlanOutcome, place
from controller.planning.placement import Placement
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, slice_between

CITY = city_map("longgang")
LOOSE = Slo(latency_s=0.02, availability=0.9)


def _optical(placement: Placement) -> set[tuple[str, int]]:
    """What the circuits hold in the optical domain."""
    ports = {str(ref) for c in placement.circuits for ref in (c.a, c.z)}
    return {
        (r.resource, r.label)
        for r in placement.labels
        if r.resource.startswith(("slot:", "channel:")) or r.resource.partition(":")[2] in ports
    }


def _change(before: ExclusiveSlice, after: ExclusiveSlice) -> tuple[Placement, PlanOutcome]:
    first = place(CITY, Ledger(CITY), [before], {}, NOW)
    old = first.placements[before.metadata.service]
    return old, place(CITY, first.ledger, [after], {before.metadata.service: (before, old)}, NOW)


@pytest.mark.parametrize("isolation", [Isolation.TIMESLOT, Isolation.WAVELENGTH])
@pytest.mark.parametrize("ends", [("buji", "pinghu"), ("longgang", "pinghu"), ("longgang", "buji")])
@pytest.mark.parametrize("protection", [Protection.NONE, Protection.STANDBY])
def test_other_endpoints_take_nothing_that_the_old_circuit_still_holds(
    isolation: Isolation, ends: tuple[str, str], protection: Protection
) -> None:
    asked = {"isolation": isolation, "slo": LOOSE, "protection": protection}
    before = slice_between("s", "buji", "zhihui", **asked)
    old, outcome = _change(before, slice_between("s", *ends, **asked))
    if outcome.refusals:  # some pairs are out of reach with a standby
        assert "without regeneration" in outcome.refusals[0].binds
        return
    assert not _optical(old) & _optical(outcome.placements[before.metadata.service])


def test_a_circuit_that_stays_keeps_what_it_has() -> None:
    before = slice_between("s", "buji", "zhihui", isolation=Isolation.TIMESLOT, slo=LOOSE)
    old, outcome = _change(before, replace(before, slo=replace(LOOSE, latency_s=0.01)))
    assert outcome.placements[before.metadata.service].circuits == old.circuits


def test_a_client_port_carries_the_old_circuit_and_the_new_one_for_a_while() -> None:
    before = slice_between("s", "zhihui", "buji", 60 * GBPS, isolation=Isolation.TIMESLOT, slo=LOOSE)
    after = slice_between("s", "zhihui", "nanwan", 60 * GBPS, isolation=Isolation.TIMESLOT, slo=LOOSE)
    old, outcome = _change(before, after)
    new = outcome.placements[before.metadata.service]
    assert new.circuits[0].a != old.circuits[0].a
