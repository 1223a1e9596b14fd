"""Light that fades: the fibre that all who suffer share is to blame, and a trend tells when the margin is spent."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.causes import Cause
from controller.assurance.fading import (
    PACES,
    SPENT_DB,
    Light,
    Margin,
    fading,
    joined,
    longer,
    riders_of,
    spent_in_s,
    spoilt,
)
from lab.plant.light import margin_db
from tests.support.cities import city_map, topologies

CITY = city_map("longgang")
OPTICAL = next(t for t in topologies("longgang") if t.fibres)
ROUTES = {c.id: c.route for c in OPTICAL.circuits if c.layer == "wavelength"}
RIDERS = riders_of(
    ROUTES, ((k.id, k.circuit) for k in CITY.links), ((o.id, o.server_circuit) for o in OPTICAL.odu_links)
)


def _lights(worn: str, left_db: float = 0.8) -> dict[str, Light]:
    return {
        c: Light(r, left_db, 17.0 - left_db, None, True) if worn in r else Light(r, 17.0, 0.02, None, False)
        for c, r in ROUTES.items()
    }


@pytest.mark.parametrize("fibre", [f for f in CITY.fibres if sum(f in r for r in ROUTES.values()) > 1])
def test_a_fibre_that_fades_is_found_from_the_wavelengths_over_it(fibre: str) -> None:
    (found,) = fading(_lights(fibre), frozenset(), RIDERS)
    over = {c for c, r in ROUTES.items() if fibre in r}
    assert {c for c, r in ROUTES.items() if found.root[6:] in r} == over  # it, or one just like it
    assert found.at_risk == frozenset().union(*(RIDERS[c] | {f"circuit:{c}"} for c in over))
    assert not found.felt
    (said,) = fading(_lights(fibre), frozenset({fibre}), RIDERS)
    assert said.root == f"fibre:{fibre}"


def test_a_wavelength_that_fades_alone_accuses_its_transponder() -> None:
    circuit = max(ROUTES, key=lambda c: len(ROUTES[c]))
    lights = _lights("none") | {circuit: Light(ROUTES[circuit], 0.8, 16.0, None, True)}
    (found,) = fading(lights, frozenset(), RIDERS)
    assert found.root == f"circuit:{circuit}"


LONE, UNDER = "own/a-z", "f-with-one-wavelength"


def _alone() -> dict[str, Light]:
    return _lights("none") | {LONE: Light((UNDER,), 0.8, 16.0, None, True)}


def test_line_equipment_decides_whether_a_lone_wavelength_or_its_fibre_fades() -> None:
    (of_fibre,) = fading(_alone(), frozenset(), RIDERS, {UNDER: 16.2})
    assert of_fibre.root == f"fibre:{UNDER}"
    (of_transponder,) = fading(_alone(), frozenset(), RIDERS, {UNDER: 0.03})
    assert of_transponder.root == f"circuit:{LONE}"
    assert f"fibre:{UNDER}" not in of_transponder.members
    assert "its transponder, or the patch cord" in of_transponder.title
    (of_neither,) = fading(_alone(), frozenset(), RIDERS, {})
    assert of_neither.root == f"circuit:{LONE}"
    assert {f"fibre:{UNDER}", f"circuit:{LONE}"} <= of_neither.members
    assert f"its transponder or fibre {UNDER}, which nobody measures" in of_neither.title


def test_a_fibre_that_lost_less_than_the_light_that_is_missing_is_not_the_reason() -> None:
    for worn in (frozenset[str](), frozenset({UNDER})):
        found = {c.root: c for c in fading(_alone(), worn, RIDERS, {UNDER: 1.2})}
        assert f"circuit:{LONE}" in found
    weaker = _lights("none") | {LONE: Light((UNDER,), 16.5, 0.4, None, True, 7.0, True)}
    (cord,) = fading(weaker, frozenset(), RIDERS, {UNDER: 0.6})
    assert cord.root == f"circuit:{LONE}"
    assert cord.at_risk == cord.members


SHARED = [f for f in CITY.fibres if sum(f in r for r in ROUTES.values()) > 1]


@pytest.mark.parametrize("fibre", SHARED)
def test_frames_are_spoilt_by_the_fibre_that_all_who_lose_them_share_or_by_each_card(fibre: str) -> None:
    losing = {c: r for c, r in ROUTES.items() if fibre in r}
    (found,) = spoilt(losing, ROUTES, RIDERS, ())
    assert {c for c, r in ROUTES.items() if found.root[6:] in r} == losing.keys()
    assert found.felt
    assert {f"circuit:{c}" for c in losing} <= found.members
    worn = Cause(f"fibre:{fibre}", "degraded", "it is worn", frozenset({f"fibre:{fibre}"}), felt=False)
    (known,) = spoilt(losing, ROUTES, RIDERS, (worn,))
    assert (known.root, known.title, known.felt) == (worn.root, worn.title, True)
    one = min(losing)
    (card,) = spoilt({one: ROUTES[one]}, ROUTES, RIDERS, ())
    assert card.root == f"circuit:{one}"
    assert card.members == {f"circuit:{one}"} | RIDERS[one]


@pytest.mark.parametrize("fibre", SHARED)
def test_what_grew_longer_together_has_its_fibre_as_the_cause_and_what_did_alone_has_not(fibre: str) -> None:
    over = [c for c, r in ROUTES.items() if fibre in r]
    (found,) = longer({c: 12.0 + n / 10 for n, c in enumerate(over)}, ROUTES, RIDERS, {fibre: 3.0})
    assert found.root == f"fibre:{fibre}"
    assert "12 km longer" in found.title
    apart = longer({c: 12.0 + 5 * n for n, c in enumerate(over)}, ROUTES, RIDERS, {})
    assert sorted(c.root for c in apart) == sorted(f"circuit:{c}" for c in over)
    (alone,) = longer({over[0]: 12.0}, ROUTES, RIDERS, {})
    assert alone.root == f"circuit:{over[0]}"


def test_who_fell_a_little_accuses_nobody_and_who_did_not_fall_acquits() -> None:
    fibre = next(f for f in CITY.fibres if sum(f in r for r in ROUTES.values()) > 1)
    dimmer = {c: Light(r, 15.0, 2.0, None, False) if fibre in r else Light(r, 17.0, 0.0, None, False)
              for c, r in ROUTES.items()}  # fmt: skip
    assert fading(dimmer, frozenset(), RIDERS) == ()
    assert [c.at_risk for c in fading(dimmer, frozenset({fibre}), RIDERS)] == [frozenset()]


def test_what_packets_feel_and_what_light_tells_of_one_fibre_is_one_cause() -> None:
    felt = Cause("fibre:f", "degraded", "felt", frozenset({"fibre:f", "link:l"}))
    told = Cause("fibre:f", "degraded", "told", frozenset({"fibre:f", "circuit:c"}), frozenset({"circuit:c"}), False)
    (found,) = joined((felt,), (told,))
    assert (found.title, found.felt, found.at_risk) == ("felt", True, frozenset({"circuit:c"}))
    assert found.members == felt.members | told.members


@pytest.mark.parametrize("db_a_second", [0.2, 1.0, 2.5])
def test_a_fibre_that_dims_steadily_is_foretold_before_it_is_dark(db_a_second: float) -> None:
    dice, margin, foretold = random.Random(5), Margin(("f",)), None
    for second in range(400):
        left = margin_db("100G QPSK oFEC", (3.0 + db_a_second * max(0, second - 60),))
        assert left is not None
        if left <= 0:
            break
        margin.take(left + dice.uniform(-0.05, 0.05), float(second))
        if foretold is None and margin.spent_in_s() is not None:
            foretold = second
    assert foretold is not None
    assert foretold > 60  # not while it was as bright as ever
    assert second - foretold >= 4


@given(st.floats(1.0, 18.0), st.floats(0.05, 2.0), st.randoms(use_true_random=False))
def test_a_steady_fall_is_foretold_and_wavering_is_none(start_db: float, slope: float, dice: object) -> None:
    noise = [dice.uniform(-0.05, 0.05) for _ in range(30)]  # type: ignore[attr-defined]
    falling = [(float(n), start_db - slope * n + noise[n]) for n in range(30)]
    level = [(float(n), start_db + noise[n]) for n in range(30)]
    assert spent_in_s(level, 60.0) is None
    due = (start_db - slope * 29 - SPENT_DB) / slope
    found = spent_in_s(falling, 1e9)
    assert found is not None
    assert found == pytest.approx(max(0.0, due), rel=0.15, abs=1.0)
    assert (spent_in_s(falling, 60.0) is not None) == (found <= 60.0)


def test_a_margin_keeps_its_best_and_forgets_in_bounded_memory() -> None:
    margin = Margin(("f",))
    for second in range(20_000):
        margin.take(17.0 - second / 2000, float(second))
    assert margin.best_db == 17.0
    assert margin.fell_db == pytest.approx(10.0, abs=0.01)
    assert margin.spent_in_s() is None or math.isclose(margin.spent_in_s() or 0.0, 13_000, rel_tol=0.05)
    assert sum(len(kept) for kept in margin._kept) == sum(p.samples for p in PACES)


@given(st.sets(st.sampled_from(sorted(ROUTES)), max_size=4), st.sets(st.sampled_from(sorted(CITY.fibres)), max_size=2))
def test_who_shares_no_fibre_with_those_who_suffer_decides_nothing(ill: set[str], worn: set[str]) -> None:
    """So a look at thousands of wavelengths need not judge all of them, nor know more of a bright one than its way."""
    every = {c: Light(r, 0.8 if c in ill else 17.0, 9.0, None, c in ill) for c, r in ROUTES.items()}
    every |= {c: Light(r, 17.0, 0.1, None, False) for c, r in ROUTES.items() if c not in ill}
    fibres = {f for c in ill for f in ROUTES[c]} | worn
    fewer = {c: every[c] if c in ill else Light(r, None, 0.0, None, False) for c, r in ROUTES.items()}
    fewer = {c: light for c, light in fewer.items() if c in ill or not fibres.isdisjoint(light.route)}
    assert fading(fewer, worn, RIDERS) == fading(every, worn, RIDERS)
