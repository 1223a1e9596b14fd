"""Light over fibres by GNPy: each kind of link propagated once, its noise kept, so that a path is a sum.

Inverse GSNR adds, as do the squares of polarisation figures and dispersion. A run over one link passes two ROADMs
where a path of n links passes n + 1, so one of them is taken off every link and added once to the path. The band is
lit in full: what is found does not depend on what is placed. GNPy is an extra (`onecity[optical]`).
"""

from __future__ import annotations

import importlib.util
import logging
import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from controller.network.light import Light, LightEnds, Mode
from controller.network.model import CityMap
from controller.optics import equipment

log = logging.getLogger(__name__)

_SPAN_STEP_M, _LOSS_STEP_DB = 10, 0.01  # links alike within these are one link to GNPy


def available() -> bool:
    """Say whether GNPy is installed."""
    return importlib.util.find_spec("gnpy") is not None


class Lamps:
    """The light of links, learnt aside and shown on maps; of a map that names others their light is not known yet.

    `how`: "gnpy", "table" (nothing is learnt) or "auto" (as far as GNPy is installed).
    """

    def __init__(self, how: str = "auto") -> None:
        self._on = how != "table" and available()
        self._known: dict[tuple[int, float], Light] = {}
        self._alone = threading.Lock()  # GNPy keeps results on what it shares

    def learn(self, links: Iterable[tuple[int, float]]) -> None:
        """Propagate links of (length in m, loss in dB); takes about 10 ms for each that is new. Not for the event loop.

        A link that GNPy cannot design is left to the table.
        """
        with self._alone:
            for length_m, loss_db in links if self._on else ():
                if (length_m, loss_db) in self._known:
                    continue
                try:
                    self._known[length_m, loss_db] = link_light(length_m, loss_db)
                except Exception as error:  # whatever the library makes of equipment that it cannot place
                    log.warning("no propagation over %d m, %g dB, so by the table: %s", length_m, loss_db, error)

    def on(self, city: CityMap) -> CityMap:
        """Return the map with the light of its fibres as far as it is known."""
        if not self._known:
            return city
        fibres = {name: replace(f, light=self._known.get((f.length_m, f.loss_db))) for name, f in city.fibres.items()}
        return replace(city, fibres=fibres, line_mode=mode())


def link_light(length_m: float, loss_db: float) -> Light:
    """Return what one link of this length and loss does to light, one ROADM in it."""
    return _link(round(length_m / _SPAN_STEP_M) * _SPAN_STEP_M, round(loss_db / _LOSS_STEP_DB) * _LOSS_STEP_DB)


@cache
def _link(length_m: float, loss_db: float) -> Light:
    run = propagate([(length_m, loss_db)])
    ends = mode().ends
    return Light(
        run.line_noise, max(0.0, run.pdl_db**2 - ends.pdl2), max(0.0, run.pmd_ps**2 - ends.pmd2), run.dispersion
    )


@dataclass(frozen=True, slots=True)
class Run:
    """What the receiver sees at the worst channel. Noise is inverse GSNR in 0.1 nm, linear; dispersion is in ps/nm."""

    line_noise: float
    gsnr_db: float
    pdl_db: float
    pmd_ps: float
    dispersion: float
    penalty_db: float

    @property
    def margin_db(self) -> float:
        return self.gsnr_db - equipment.REQUIRED_OSNR_DB - self.penalty_db - equipment.MARGIN_DB


def propagate(links: Sequence[tuple[float, float]]) -> Run:
    """Propagate the full band over links of (length in m, loss in dB), ROADM to ROADM; GNPy designs the amplifiers."""
    from gnpy.core.equipment import trx_mode_params
    from gnpy.tools.json_io import load_eqpt_topo_from_json
    from gnpy.tools.worker_utils import designed_network
    from gnpy.topology.request import PathRequest, compute_constrained_path
    from gnpy.topology.request import propagate as run

    library, network = load_eqpt_topo_from_json(equipment.library(), _topology(links))
    network, _, _ = designed_network(library, network)
    si = library["SI"]["default"]
    asked = {
        **trx_mode_params(library, equipment.TYPE, equipment.FORMAT), "request_id": "link", "source": "trx 0",
        "destination": f"trx {len(links)}", "bidir": False, "nodes_list": [f"trx {len(links)}"], "trx_type": "coherent",
        "trx_mode": equipment.FORMAT, "loose_list": ["STRICT"], "path_bandwidth": 100e9, "effective_freq_slot": None,
        "nb_channel": None, "power": 1e-3, "tx_power": 1e-3, "f_min": si.f_min, "f_max": si.f_max,
        "spacing": si.spacing,
    }  # fmt: skip
    request = PathRequest(**asked)
    path = compute_constrained_path(network, request)
    run(path, request, library)
    receiver = path[-1]
    worst = int(np.argmin(receiver.snr_01nm - receiver.total_penalty))
    return Run(
        line_noise=_linear(receiver.raw_snr_01nm[worst]), gsnr_db=float(receiver.snr_01nm[worst]),
        pdl_db=float(receiver.pdl[worst]), pmd_ps=float(receiver.pmd[worst]),
        dispersion=float(receiver.chromatic_dispersion[worst]), penalty_db=float(receiver.total_penalty[worst]),
    )  # fmt: skip


def _linear(db: float) -> float:
    return float(10 ** (-db / 10))


@cache
def mode() -> Mode:
    """Return what the line mode needs, and what the two ends of a path add once."""
    one = propagate([(10_000, 3.5)])
    two = propagate([(10_000, 3.5), (10_000, 3.5)])
    roadm_pdl2 = 2 * one.pdl_db**2 - two.pdl_db**2
    roadm_pmd2 = 2 * one.pmd_ps**2 - two.pmd_ps**2
    noise = _linear(one.gsnr_db) - one.line_noise
    curves: dict[str, list[tuple[float, float]]] = {}
    for penalty in equipment.library()["Transceiver"][0]["mode"][0]["penalties"]:
        kind = next(k for k in penalty if k != "penalty_value")
        curves.setdefault(kind, []).append((float(penalty[kind]), float(penalty["penalty_value"])))
    return Mode(
        equipment.FORMAT, equipment.REQUIRED_OSNR_DB + equipment.MARGIN_DB + equipment.OPTIMISM_DB,
        LightEnds(noise, roadm_pdl2, roadm_pmd2),
        tuple(curves["pdl"]), tuple(curves["pmd"]), tuple(curves["chromatic_dispersion"]),
    )  # fmt: skip


def _topology(links: Sequence[tuple[float, float]]) -> dict[str, Any]:
    elements: list[dict[str, Any]] = []
    connections: list[dict[str, str]] = []
    last = len(links)
    for i in range(last + 1):
        elements.append({"uid": f"roadm {i}", "type": "Roadm"})
        if i in (0, last):
            elements.append({"uid": f"trx {i}", "type": "Transceiver"})
            connections += _both(f"trx {i}", f"roadm {i}")
    for i, (length_m, loss_db) in enumerate(links):
        km = length_m / 1000
        per_km = min(equipment.LOSS_DB_PER_KM, loss_db / km) if km else 0.0
        connector = max(0.0, loss_db - per_km * km) / 2
        for uid, a, z in ((f"fibre {i}", i, i + 1), (f"fibre {i} back", i + 1, i)):
            elements.append({
                "uid": uid, "type": "Fiber", "type_variety": "G.652",
                "params": {
                    "length": km, "loss_coef": per_km, "length_units": "km", "att_in": 0,
                    "con_in": connector, "con_out": connector,
                },
            })  # fmt: skip
            connections += [{"from_node": f"roadm {a}", "to_node": uid}, {"from_node": uid, "to_node": f"roadm {z}"}]
    return {"elements": elements, "connections": connections}


def _both(a: str, z: str) -> list[dict[str, str]]:
    return [{"from_node": a, "to_node": z}, {"from_node": z, "to_node": a}]


def sum_margin_db(links: Sequence[Light]) -> float:
    """Return the margin of a path as the planner sums it."""
    return mode().margin_db(*(math.fsum(x) for x in zip(*(k.sums for k in links), strict=True)))
