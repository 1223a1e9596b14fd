"""The limits of received power that equipment tells, kept until it tells others or none.

They are told when they change and with every heartbeat. One that is not told for two and a half of these, by a domain
that is heard otherwise, is told no more. A domain out of reach keeps its limits. Limits may come before the map knows
their wavelength.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from controller.assurance.receivers import LIMIT_METRICS
from controller.loop.alarms import EXPIRES_S, SILENT_S
from controller.southbound.driver import Sample

MOST = 100_000  # limits kept
NONE: Mapping[int, float] = {}


class ToldLimits:
    """By wavelength and severity, in dBm. `clock`: monotonic seconds; `silence_s`: see `Alarms`."""

    def __init__(self, clock: Callable[[], float], silence_s: Callable[[str], float | None]) -> None:
        self._clock, self._silence_s = clock, silence_s
        self._told: dict[str, dict[int, float]] = {}
        self._heard: dict[tuple[str, int], tuple[str, float]] = {}  # wavelength, severity → domain, when it told last

    def of(self, circuit: str) -> Mapping[int, float]:
        """Return what is told of a wavelength's receiver: severity → below this power it is so bad."""
        return self._told.get(circuit, NONE)

    def hear(self, samples: Sequence[Sample]) -> None:
        """Take those samples that are limits."""
        for sample in samples:
            severity = LIMIT_METRICS.get(sample.metric)
            if severity is not None:  # of a second's thousands of samples hardly any
                self._take(sample, sample.subject.partition(":")[2], severity)

    def _take(self, sample: Sample, circuit: str, severity: int) -> None:
        key, known = (circuit, severity), self.of(circuit)
        if key in self._heard or len(self._heard) < MOST:
            self._heard[key] = sample.domain, self._clock()
            if known.get(severity) != sample.value:
                self._told[circuit] = {**known, severity: sample.value}

    def expire(self) -> None:
        """Forget what is told no more."""
        for key in [key for key, told in self._heard.items() if self._unheard(*told)]:
            del self._heard[key]
            circuit, severity = key
            self._told[circuit] = {s: limit for s, limit in self._told[circuit].items() if s != severity}
            if not self._told[circuit]:
                del self._told[circuit]

    def _unheard(self, domain: str, at: float) -> bool:
        silence = self._silence_s(domain)
        return self._clock() - at > EXPIRES_S and silence is not None and silence < SILENT_S
