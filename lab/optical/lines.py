"""What line equipment streams of its fibres (amplifiers, channel monitors), and its alarms on fading light.

OpenConfig's paths: `/optical-amplifier/amplifiers/amplifier[name]/state/…`, one preamplifier at each end of a fibre,
named `<fibre>@<node>`; `/channel-monitors/channel-monitor[name]/channels/channel[lower-frequency][upper-frequency]/
state/power`, frequencies in MHz. Span loss is no leaf of these models: `/onecity-flow:fibres/fibre[id]/state/
span-loss-db`. Alarms of margin, of errors before correction and of span loss have no identity there either: their
types are words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from onecity.optical.v1 import optical_pb2 as pb

from lab.gnmi import TelemetryTree
from lab.gnmi.alarms import clear_alarm, raise_alarm
from lab.gnmi.paths import escape
from lab.optical.alarms import MARGIN_DB, SPAN_DB, Thresholds, ber_thresholds_db, q2_db
from lab.optical.containers import MODES
from lab.optical.equipment import Equipment

MARGIN, PRE_FEC_BER, SPAN_LOSS = "MARGIN", "PRE_FEC_BER", "SPAN_LOSS"
LOWEST_MHZ, GRID_MHZ = 191_325_000, 50_000  # C band on the 50 GHz grid (G.694.1)


class Lines:
    """Writes into the tree; remembers what it wrote and which alarms stand."""

    def __init__(self, equipment: Equipment, tree: TelemetryTree) -> None:
        self._equipment, self._tree = equipment, tree
        self._margin, self._ber, self._span = Thresholds(), Thresholds(), Thresholds()
        self._written: set[str] = set()

    def fibres(self, samples: Mapping[str, Mapping[str, Any]], at_ns: int) -> None:
        """Take one second's samples; what is measured no more disappears."""
        before, self._written = self._written, set()
        for name, values in samples.items():
            fibre = self._equipment.fibres.get(name)
            if fibre is None:
                continue
            loss_db = float(values["span_loss_db"])
            self._put(f"/onecity-flow:fibres/fibre[id={escape(name)}]/state/span-loss-db", f"{loss_db:.2f}", at_ns)
            over_db = loss_db - fibre.loss_db
            text = f"{name} loses {over_db:.1f} dB more light than it should"
            self._alarm(self._span, f"fibre:{name}", SPAN_LOSS, -over_db, SPAN_DB, text)
            for node, end in values["ends"].items():
                self._end(f"{name}@{node}", end, at_ns)
        for gone in before - self._written:
            self._tree.remove(gone)

    def _end(self, name: str, values: Mapping[str, Any], at_ns: int) -> None:
        base = f"/optical-amplifier/amplifiers/amplifier[name={escape(name)}]/state"
        for leaf, value in (
            ("actual-gain", "gain_db"),
            ("input-power-total", "input_dbm"),
            ("output-power-total", "output_dbm"),
        ):
            self._put(f"{base}/{leaf}/instant", f"{values[value]:.2f}", at_ns)
        monitor = f"/channel-monitors/channel-monitor[name={escape(name)}]/channels"
        for channel, power_dbm in values["channels"].items():
            lower = LOWEST_MHZ + (int(channel) - 1) * GRID_MHZ
            entry = f"channel[lower-frequency={lower}][upper-frequency={lower + GRID_MHZ}]"
            self._put(f"{monitor}/{entry}/state/power", f"{power_dbm:.2f}", at_ns)

    def light(self, spec: pb.CircuitSpec, margin_db: float, ber: float) -> None:
        """Judge the light of a wavelength; what rides in one has no light of its own."""
        mode = MODES.get(spec.mode)
        if spec.layer != pb.LAYER_WAVELENGTH or mode is None:
            return
        subject = f"circuit:{spec.id}"
        self._alarm(self._margin, subject, MARGIN, margin_db, MARGIN_DB, f"{spec.id} has {margin_db:.1f} dB of margin")
        limits = ber_thresholds_db(mode.q_limit_db)
        text = f"{spec.id} corrects {ber:.1e} bit errors"
        self._alarm(self._ber, subject, PRE_FEC_BER, q2_db(ber), limits, text)

    def kept(self, circuits: Collection[str]) -> None:
        """Forget circuits that are gone. One that is dark keeps its alarms: nothing says that they are over."""
        keep = {f"circuit:{c}" for c in circuits}
        for alarms, kind in ((self._margin, MARGIN), (self._ber, PRE_FEC_BER)):
            for subject in alarms.forget(keep):
                clear_alarm(self._tree, subject, kind)

    def _alarm(
        self, kind: Thresholds, subject: str, type_id: str, value: float, limits: tuple[float, ...], text: str
    ) -> None:
        severity = kind.step(subject, value, limits)
        if severity:
            raise_alarm(self._tree, subject, type_id, severity, text)
        elif severity == "":
            clear_alarm(self._tree, subject, type_id)

    def _put(self, path: str, value: str, at_ns: int) -> None:
        self._written.add(path)
        self._tree.update(path, value, at_ns)
