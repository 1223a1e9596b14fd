"""What circuits measure of themselves each second: delay, margin, errors, and what the receivers of wavelengths get.

A receiver without light measures nothing; it still counts the seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.plant.circuits import Circuits, CircuitState
from lab.plant.errored_seconds import ErroredSeconds
from lab.plant.receivers import blocks_per_s

MARGIN_WAVERS_DB, POWER_WAVERS_DB, DISPERSION_WAVERS_PS_NM = 0.05, 0.05, 2.0


class LightSamples:
    """Remembers the counters of receivers: blocks that codes could not correct, and seconds by how they were."""

    def __init__(self, circuits: Circuits, random: np.random.Generator) -> None:
        self._circuits, self._random = circuits, random
        self._uncorrected: dict[str, int] = {}  # by wavelength, so far
        self._seconds: dict[str, ErroredSeconds] = {}  # by wavelength

    def circuits(self) -> dict[str, dict[str, Any]]:
        """Return the values of the second that is over, by circuit; to be asked once for each."""
        found = {}
        for circuit in self._circuits.states:
            state = self._circuits.told(circuit)
            margin = self._measured(state.margin_db, MARGIN_WAVERS_DB)
            found[circuit] = {
                "latency_s": state.latency_s,
                "margin_db": margin,
                "loss_ratio": 0.0 if margin is None or margin > 0 else 1.0,  # the code corrects all, or it does not
                "pre_fec_ber": state.ber,
                "up": state.up,
            }
            if state.up and state.rx_dbm is not None:
                found[circuit] |= self._received(circuit, state)
            elif self._circuits.counts(circuit):
                found[circuit] |= self._counted(circuit, None)
        self._uncorrected = {c: n for c, n in self._uncorrected.items() if c in found}
        self._seconds = {c: s for c, s in self._seconds.items() if c in found}
        return found

    def _counted(self, circuit: str, share: float | None) -> dict[str, Any]:
        """Count one more second, with this share of its blocks lost (None: without light)."""
        seconds = self._seconds.setdefault(circuit, ErroredSeconds())
        seconds.take(share)
        return {
            "errored_s": seconds.errored,
            "severely_errored_s": seconds.severely_errored,
            "unavailable_s": seconds.unavailable,
        }

    def _received(self, circuit: str, state: CircuitState) -> dict[str, Any]:
        blocks = blocks_per_s(self._circuits.specs[circuit].mode)
        fresh = int(self._random.poisson(blocks * state.loss))
        lost = self._uncorrected[circuit] = self._uncorrected.get(circuit, 0) + fresh
        return {
            **self._counted(circuit, fresh / blocks),
            "rx_dbm": self._measured(state.rx_dbm, POWER_WAVERS_DB),
            "dispersion_ps_nm": self._measured(state.dispersion_ps_nm, DISPERSION_WAVERS_PS_NM),
            "uncorrectable_blocks": lost,
        }

    def _measured(self, value: float | None, wavers: float) -> float | None:
        return None if value is None else value + float(self._random.uniform(-wavers, wavers))
