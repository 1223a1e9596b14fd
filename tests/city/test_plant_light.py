"""The plant's light hangs together: what a fault does to power, dispersion and errors follows from one model."""

from __future__ import annotations

import itertools

import pytest

from lab.city import load_city
from lab.plant.physical import Physical, PlantError
from lab.plant.receivers import DISPERSION_PS_NM_M, DROP_DBM, blocks_per_s, uncorrected
from lab.plant.world import World

CITY = load_city("longgang")
LENGTH_M = {f.id: f.length_m for f in CITY.optical.fibres}
LONG = max((c for c in CITY.optical.circuits), key=lambda c: len(c.route))
FIBRE = LONG.route[0]


def test_a_wavelength_receives_what_its_spans_let_through_and_disperses_by_its_length() -> None:
    physical = Physical(CITY)
    for circuit in CITY.optical.circuits:
        state = physical.circuits.states[circuit.id]
        assert state.rx_dbm == DROP_DBM
        assert state.dispersion_ps_nm == pytest.approx(DISPERSION_PS_NM_M * sum(LENGTH_M[f] for f in circuit.route))
        assert state.loss == 0.0


def test_power_falls_where_amplifiers_can_do_no_more_and_the_light_goes_before_the_receiver_is_blind() -> None:
    physical = Physical(CITY)
    last_dbm, last_db = DROP_DBM, 99.0
    for light_db in range(60):
        physical.apply({"type": "degrade", "link": FIBRE, "light_db": float(light_db)})
        state = physical.circuits.states[LONG.id]
        if not state.up:
            break
        assert state.rx_dbm is not None
        assert state.margin_db is not None
        assert state.rx_dbm <= last_dbm
        assert state.margin_db < last_db + 1e-9
        assert state.margin_db > 0
        last_dbm, last_db = state.rx_dbm, state.margin_db
    assert 30 < light_db < 40
    assert DROP_DBM - 8.0 <= last_dbm < DROP_DBM - 3.0  # it was weak by then


def test_a_patch_cord_weakens_one_wavelength_alone_and_blinds_its_receiver_in_the_end() -> None:
    physical = Physical(CITY)
    physical.apply({"type": "degrade", "link": LONG.id, "light_db": 6.0})
    found = physical.circuits.states
    assert found[LONG.id].rx_dbm == DROP_DBM - 6.0
    assert found[LONG.id].up
    assert {s.rx_dbm for c, s in found.items() if c != LONG.id and s.rx_dbm is not None} == {DROP_DBM}
    physical.apply({"type": "degrade", "link": LONG.id, "light_db": 9.0})
    assert not physical.circuits.states[LONG.id].up
    assert "dBm" in physical.circuits.states[LONG.id].reason
    physical.apply({"type": "restore", "what": LONG.id})
    assert physical.circuits.states[LONG.id].up


def test_a_detour_shows_in_dispersion_delay_and_on_a_fibre_in_its_loss() -> None:
    physical = Physical(CITY)
    before = physical.circuits.states[LONG.id]
    span_db = {f.id: physical.span_loss_db(f) for f in CITY.optical.fibres}
    physical.apply({"type": "detour", "link": FIBRE, "longer_m": 12_000})
    after = physical.circuits.states[LONG.id]
    assert (after.dispersion_ps_nm or 0) - (before.dispersion_ps_nm or 0) == pytest.approx(12 * 16.7)
    assert after.latency_s - before.latency_s == pytest.approx(12_000 * 4.897e-9)
    fibre = next(f for f in CITY.optical.fibres if f.id == FIBRE)
    assert physical.span_loss_db(fibre) - span_db[FIBRE] == pytest.approx(3.0)
    physical.apply({"type": "restore", "what": "all"})
    physical.apply({"type": "detour", "link": LONG.id, "longer_m": 12_000})
    after = physical.circuits.states[LONG.id]
    assert (after.dispersion_ps_nm or 0) - (before.dispersion_ps_nm or 0) == pytest.approx(12 * 16.7)
    assert physical.span_loss_db(fibre) == span_db[FIBRE]
    with pytest.raises(PlantError, match="no fibre or wavelength 'nowhere'"):
        physical.apply({"type": "detour", "link": "nowhere", "longer_m": 12_000})


def test_blocks_are_lost_only_where_the_margin_is_nearly_spent_or_a_card_spoils_them() -> None:
    assert uncorrected(1.0) == 0.0
    assert 0 < uncorrected(0.5) < 1e-6
    assert uncorrected(0.1) > uncorrected(0.2) > uncorrected(0.3) > uncorrected(0.5)
    assert blocks_per_s("100G QPSK oFEC") == pytest.approx(856_388, rel=1e-5)
    world = World(CITY)
    for _ in world.refresh():
        pass
    circuit = LONG.id
    told = [world.samples()["city-otn"]["circuits"][circuit]["uncorrectable_blocks"] for _ in range(3)]
    assert told == [0, 0, 0]
    world.operate({"type": "degrade", "link": circuit, "loss": 0.001})
    for _ in world.refresh():
        pass
    told = [world.samples()["city-otn"]["circuits"][circuit]["uncorrectable_blocks"] for _ in range(3)]
    assert [later - sooner for sooner, later in itertools.pairwise(told)] == [pytest.approx(856, rel=0.3)] * 2
    world.operate({"type": "cut", "fibre": FIBRE})
    for _ in world.refresh():
        pass
    assert "rx_dbm" not in world.samples()["city-otn"]["circuits"][circuit]  # a gap, no value


def test_channels_of_a_dim_span_are_weak_behind_it_and_not_before_it() -> None:
    world = World(CITY)
    dim, next_ = (next(f for f in CITY.optical.fibres if f.id == name) for name in LONG.route[:2])
    world.operate({"type": "degrade", "link": FIBRE, "light_db": 33.0 - dim.loss_db})  # 3 dB more than amplifiers have
    for _ in world.refresh():
        pass
    ends = world.samples()["city-otn"]["fibres"][next_.id]["ends"]
    (before,) = {next_.a, next_.z} & {dim.a, dim.z}
    (behind,) = {next_.a, next_.z} - {before}
    assert ends[before]["channels"][str(LONG.channel)] == pytest.approx(0.0, abs=0.1)
    assert ends[behind]["channels"][str(LONG.channel)] == pytest.approx(-3.0, abs=0.1)
    assert world.physical.circuits.states[LONG.id].rx_dbm == pytest.approx(DROP_DBM - 3.0)
