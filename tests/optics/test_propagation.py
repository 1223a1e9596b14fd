"""Light as sums of links: held against propagating whole paths, and what the planner makes of it."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent.model import Isolation, Protection, Slo
from controller.network.ledger import Ledger
from controller.network.light import LightEnds, Mode
from controller.optics import propagation
from controller.optics.equipment import OPTIMISM_DB
from controller.optics.propagation import Lamps
from controller.planning.place import place
from tests.support.cities import city_map
from tests.support.intents import GBPS, NOW, slice_between

CITY = city_map("longgang")
MODE = Mode(
    "m",
    19.0,
    LightEnds(1e-3, 2.25, 9.0),
    ((1.0, 0.5), (4.0, 2.5)),
    ((10.0, 0.0), (30.0, 0.5)),
    ((4000.0, 0.0), (18e3, 0.5)),
)
gnpy = pytest.mark.skipif(not propagation.available(), reason="GNPy is not installed: pip install 'onecity[optical]'")

sums = st.tuples(st.floats(1e-5, 1e-2), st.floats(0, 12), st.floats(0, 800), st.floats(0, 17_000))


@given(sums, sums)
def test_more_of_anything_never_leaves_more_margin(one: tuple[float, ...], more: tuple[float, ...]) -> None:
    together = tuple(x + y for x, y in zip(one, more, strict=True))
    assert MODE.margin_db(*together) <= MODE.margin_db(*one)


@gnpy
def test_a_path_judged_by_the_sum_of_its_links_is_judged_as_by_full_propagation() -> None:
    """Seeded paths of 1 to 8 hops: equal verdicts, and the sum is never the more hopeful of the two."""
    rng = random.Random(1)
    worst, verdicts = 0.0, 0
    for _ in range(30):
        links = [(km * 1000.0, round(km * 0.25 + 1.0, 2)) for km in rng.choices(range(5, 90), k=rng.randint(1, 8))]
        full = propagation.propagate(links).margin_db
        summed = propagation.sum_margin_db([propagation.link_light(*k) for k in links])
        assert (full >= 0) == (summed >= 0) or abs(full) <= 2 * OPTIMISM_DB
        if math.isfinite(full) and math.isfinite(summed):
            assert summed <= full
            worst = max(worst, full - summed)
            verdicts += 1
    assert verdicts >= 10
    assert worst <= 2 * OPTIMISM_DB


@gnpy
def test_every_link_is_propagated_once() -> None:
    lamps = Lamps("gnpy")
    links = [(f.length_m, f.loss_db) for f in CITY.fibres.values()]
    lamps.learn(links)
    before = propagation._link.cache_info().misses
    Lamps("gnpy").learn(links)
    assert propagation._link.cache_info().misses == before
    lit = lamps.on(CITY)
    assert all(f.light is not None for f in lit.fibres.values())
    assert Lamps("table").on(CITY) is CITY


@gnpy
def test_the_planner_lights_what_propagation_allows_and_says_what_is_short() -> None:
    """Short rings give what the table gives; a long span gives more than its careful row."""
    lamps = Lamps("gnpy")
    lamps.learn([(f.length_m, f.loss_db) for f in CITY.fibres.values()])
    lit = lamps.on(CITY)
    asked = {"isolation": Isolation.WAVELENGTH, "slo": Slo(latency_s=0.02, availability=0.9)}
    near = slice_between("w", "buji", "compute", 10 * GBPS, **asked)
    plain, known = (place(c, Ledger(c), [near], {}, NOW).placements[near.metadata.service] for c in (CITY, lit))
    assert plain.circuits == known.circuits
    far = slice_between("far", "bantian", "pingdi", protection=Protection.STANDBY, **asked)
    binds = place(lit, Ledger(lit), [far], {}, NOW).refusals[0].binds
    assert binds.startswith("reach of 100G QPSK SC-FEC: ")
    assert binds.endswith("far beyond its limits without regeneration")
    long_ones = {f: replace(x, length_m=78_000, loss_db=20.5) for f, x in CITY.fibres.items()}
    stretched = replace(CITY, fibres=long_ones, version=2)
    lamps.learn([(78_000, 20.5)])
    wide = lamps.on(stretched)
    hops = slice_between(
        "h", "buji", "pingdi", isolation=Isolation.WAVELENGTH, slo=Slo(latency_s=0.1, availability=0.5)
    )
    by_table = place(stretched, Ledger(stretched), [hops], {}, NOW).placements[hops.metadata.service]
    assert len(by_table.circuits[0].working.route) == 6
    (refusal,) = place(wide, Ledger(wide), [hops], {}, NOW).refusals
    assert "dB short of its margin without regeneration" in refusal.binds
