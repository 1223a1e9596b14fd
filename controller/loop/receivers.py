"""Watches the receivers of all wavelengths: their samples become alarms beside those that equipment raises itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.assurance.receivers import DISPERSION, LEAST_RX_DBM, METRICS, SEVERE_IN_A_ROW, Receiver, expect
from controller.loop.alarms import Alarm, Alarms
from controller.loop.limits import ToldLimits
from controller.network.model import Fibre
from controller.southbound.driver import Sample
from controller.telemetry.telemetry import Telemetry


class Receivers:
    """One for each wavelength on the way that its domain tells; `follow` keeps them up to date."""

    def __init__(self, alarms: Alarms, telemetry: Telemetry, limits: ToldLimits) -> None:
        self._alarms, self._telemetry, self._limits = alarms, telemetry, limits
        self._known: dict[str, Receiver] = {}

    @property
    def longer_km(self) -> dict[str, float]:
        """Return the wavelengths of which dispersion says that they run further than they did, and by how much."""
        return {c: r.longer_km for c, r in self._known.items() if r.dispersion.severity}

    def hear(self, samples: Sequence[Sample]) -> tuple[Alarm, ...]:
        """Take samples; return the alarms that are new, of another severity, or over."""
        self._limits.hear(samples)
        found: list[Alarm] = []
        for sample in samples:
            if sample.metric == "up" and sample.subject.startswith("circuit:"):
                found += self._lit(sample.subject, sample.value >= 0.5)
            elif sample.metric in METRICS:
                circuit = sample.subject.partition(":")[2]
                receiver = self._known.get(circuit)
                complaint = receiver.take(sample.metric, sample.value, sample.at) if receiver is not None else None
                if complaint is not None:
                    found.append(
                        self._alarms.judge(
                            sample.domain, sample.subject, complaint.kind, complaint.severity, complaint.words
                        )
                    )
        return tuple(found)

    def follow(
        self, routes: Mapping[str, tuple[str, ...]], modes: Mapping[str, str], fibres: Mapping[str, Fibre]
    ) -> tuple[Alarm, ...]:
        """Take the ways of wavelengths and the map's fibres; return the alarms of light that went elsewhere, as over.

        A new way has another dispersion by right. Power and errors are as they are measured, whatever the way: their
        alarms stay until they are better. Those of wavelengths that are gone are over.
        """
        over: list[Alarm] = []
        for circuit in [c for c in self._known if c not in routes]:
            over += self._end(circuit, self._known.pop(circuit))
        self._limits.expire()
        learning = False
        for circuit, route in routes.items():
            receiver = self._known.get(circuit)
            if receiver is None:
                receiver = self._known[circuit] = Receiver(route, LEAST_RX_DBM.get(modes.get(circuit, "")))
                receiver.seconds.lit(self._telemetry.newest(f"circuit:{circuit}", "up") != 0.0)
            elif receiver.route != route:
                if receiver.dispersion.severity:
                    over += self._alarms.end(f"circuit:{circuit}", DISPERSION)
                anew = Receiver(route, LEAST_RX_DBM.get(modes.get(circuit, "")))
                anew.power, anew.blocks, anew.seconds = receiver.power, receiver.blocks, receiver.seconds
                receiver = self._known[circuit] = anew
            receiver.told_dbm = self._limits.of(circuit)
            learning |= receiver.learning
            if receiver.complains:
                self._alarms.hold(f"circuit:{circuit}", receiver.standing)
        if learning:
            lengths_m = {c: sum(fibres[f].length_m for f in r if f in fibres) for c, r in routes.items()}
            expect(self._known, lengths_m)
        return tuple(over)

    def _lit(self, subject: str, lit: bool) -> tuple[Alarm, ...]:
        """Note that there is light, or none; states come before what is measured, so nothing of it counts wrongly."""
        receiver = self._known.get(subject.partition(":")[2])
        ended = receiver is not None and receiver.seconds.lit(lit)
        return self._alarms.end(subject, SEVERE_IN_A_ROW) if ended else ()

    def _end(self, circuit: str, receiver: Receiver) -> list[Alarm]:
        return [a for kind in receiver.standing for a in self._alarms.end(f"circuit:{circuit}", kind)]
