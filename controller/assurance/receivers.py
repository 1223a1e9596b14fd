"""What receivers of light measure, judged: too little power, blocks that no code corrects, seconds full of them, a way
that became longer.

Equipment may say so itself; this asks for nothing but the measurements. An alarm is raised after two samples in a row
(seconds: see `severe`) and cleared after three that are clearly better. A gap is no sample: it neither raises nor
clears. Power is held against the limits that equipment tells, by severity; where it tells none that is critical, what
the line mode needs is, and where it tells no other, so much over that. Chromatic dispersion
grows with length alone, so a step of it tells of a way that nobody wrote down; the domain may still be about to tell of
it, and is given more samples for that. What a wavelength is compared with is learnt on the way that its domain tells,
anew for whoever is led elsewhere; what is learnt must agree with the lengths of fibres on the map, taken that most
wavelengths do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from controller.assurance.severe import SEVERE, UNAVAILABLE, SevereSeconds

LEAST_RX_DBM: Mapping[str, float] = {  # by line mode: what its receiver needs (OpenROADM's catalogue, OIF's 400ZR)
    "100G QPSK SC-FEC": -22.0,
    "100G QPSK oFEC": -18.0,
    "200G QPSK": -18.0,
    "400G 16QAM": -14.0,
    "400G QPSK": -15.0,
    "800G 16QAM": -11.0,
    "400ZR": -12.0,
}
WARNING, MINOR, MAJOR, CRITICAL = 1, 2, 3, 4
LIMIT_METRICS: Mapping[str, int] = {  # what equipment tells: below this power (dBm) it is so bad
    "rx_warning_dbm": WARNING,
    "rx_minor_dbm": MINOR,
    "rx_major_dbm": MAJOR,
    "rx_critical_dbm": CRITICAL,
}
OVER_LEAST_DB = ((3.0, WARNING), (1.0, MAJOR), (0.0, CRITICAL))  # of power over what the receiver needs
BETTER_DB = 0.5
RAISE_AFTER, CLEAR_AFTER = 2, 3
STEP_PS_NM, CALM_PS_NM = 50.0, 40.0
STEP_AFTER = 5  # samples: by then a domain has told that it led a wavelength another way
LEARN = 5  # samples of which the usual dispersion is the mean
MOST_SAY = 5  # wavelengths
UNSURE = 0.1  # lengths on maps are as good as that
PS_NM_KM = 16.7  # G.652 fibre at 1550 nm

RX_POWER, UNCORRECTABLE, DISPERSION = "rx_power", "fec_uncorrectable", "dispersion_step"
SEVERE_IN_A_ROW = "unavailable"  # ten severely errored seconds: unavailable time has begun
OF_FRAMES = frozenset({UNCORRECTABLE, SEVERE_IN_A_ROW})  # kinds of alarms: frames are spoilt
METRICS = frozenset({"rx_dbm", "uncorrectable_per_s", "dispersion_ps_nm", SEVERE, UNAVAILABLE})


def least_power_dbm(mode: str, told_dbm: Mapping[int, float]) -> float | None:
    """Return what a receiver needs: what it tells itself, else what its line mode needs; None: neither is known.

    told_dbm: limits by severity.
    """
    return told_dbm.get(CRITICAL, LEAST_RX_DBM.get(mode))


@dataclass(slots=True)
class Patience:
    """One alarm's severity over samples; 0: none."""

    raise_after: int = RAISE_AFTER
    severity: int = 0
    _worse: int = 0
    _better: int = 0
    _least: int = 0
    _most: int = 0

    def step(self, asked: int, calm: int) -> bool:
        """Take a sample; return whether the severity changed. asked: what it stands for; calm: where it lets it be."""
        self._least = min(asked, self._least) if self._worse else asked
        self._worse = self._worse + 1 if asked > self.severity else 0
        self._most = max(calm, self._most) if self._better else calm
        self._better = self._better + 1 if calm < self.severity else 0
        if self._worse >= self.raise_after:
            self.severity = self._least
        elif self._better >= CLEAR_AFTER:
            self.severity = self._most
        else:
            return False
        self._worse = self._better = 0
        return True


@dataclass(frozen=True, slots=True)
class Complaint:
    """A change of one alarm. severity 0: it is over. words: what was measured."""

    kind: str
    severity: int
    words: str


@dataclass(slots=True)
class Receiver:
    """One wavelength's receiver, on the way that its domain tells.

    least_dbm: what its mode needs; None: nothing is known of it. told_dbm: limits that equipment tells, by severity.
    """

    route: tuple[str, ...]
    least_dbm: float | None
    told_dbm: Mapping[int, float] = field(default_factory=dict)
    power: Patience = field(default_factory=Patience)
    blocks: Patience = field(default_factory=Patience)
    dispersion: Patience = field(default_factory=lambda: Patience(STEP_AFTER))
    seconds: SevereSeconds = field(default_factory=SevereSeconds)
    _usual: float = 0.0
    _learnt: int = 0
    expected_ps_nm: float | None = None  # by length and the other wavelengths; None: not known
    longer_ps_nm: float = 0.0  # than usual, as measured last

    @property
    def complains(self) -> bool:
        return bool(self.power.severity or self.blocks.severity or self.dispersion.severity or self.seconds.alarm)

    @property
    def standing(self) -> dict[str, int]:
        """Return the alarms that stand: kind → severity."""
        every = {RX_POWER: self.power, UNCORRECTABLE: self.blocks, DISPERSION: self.dispersion}
        found = {kind: one.severity for kind, one in every.items() if one.severity}
        return {**found, SEVERE_IN_A_ROW: CRITICAL} if self.seconds.alarm else found

    @property
    def limits_dbm(self) -> dict[int, float]:
        """Return below which power it is how bad."""
        least = self.told_dbm.get(CRITICAL, self.least_dbm)
        usual = {} if least is None else {severity: least + over for over, severity in OVER_LEAST_DB}
        return {**usual, **self.told_dbm}

    def take(self, metric: str, value: float, at: float = 0.0) -> Complaint | None:
        """Take a sample of one of METRICS, measured at `at` (the domain's clock); return what changed by it."""
        if metric == "rx_dbm":
            return self._power(value)
        if metric == "uncorrectable_per_s":
            severity = CRITICAL if value > 0 else 0
            changed = self.blocks.step(severity, severity)
            return self._changed(UNCORRECTABLE, self.blocks, f"{value:.3g} blocks a second") if changed else None
        if metric in (SEVERE, UNAVAILABLE):
            words = self.seconds.take(metric, value, at)
            return None if words is None else Complaint(SEVERE_IN_A_ROW, CRITICAL if words else 0, words)
        return self._dispersion(value)

    def _power(self, value_dbm: float) -> Complaint | None:
        limits = self.limits_dbm
        if not limits:
            return None
        asked = max((severity for severity, limit in limits.items() if value_dbm < limit), default=0)
        calm = max((severity for severity, limit in limits.items() if value_dbm < limit + BETTER_DB), default=0)
        if not self.power.step(asked, calm):
            return None
        over = value_dbm - limits.get(CRITICAL, min(limits.values()))
        return self._changed(RX_POWER, self.power, f"{value_dbm:.1f} dBm, {over:.1f} dB over what it needs")

    def _dispersion(self, value: float) -> Complaint | None:
        if self._learnt < LEARN:
            if self._learnt and abs(value - self._usual) > STEP_PS_NM:
                self._learnt = 0  # it stepped before anything was known
            self._usual = (self._usual * self._learnt + value) / (self._learnt + 1)
            self._learnt += 1
            expected = self.expected_ps_nm
            if self._learnt == LEARN and expected and abs(self._usual - expected) > max(STEP_PS_NM, UNSURE * expected):
                self._usual = expected  # it was led another way before we looked
            return None
        self.longer_ps_nm = value - self._usual
        off = abs(self.longer_ps_nm)
        if not self.dispersion.step(MAJOR if off > STEP_PS_NM else 0, MAJOR if off > CALM_PS_NM else 0):
            return None
        return self._changed(DISPERSION, self.dispersion, f"{self.longer_ps_nm:+.0f} ps/nm, {self.longer_km:+.1f} km")

    @property
    def learning(self) -> bool:
        """Return whether it has begun to learn its dispersion and still does."""
        return 0 < self._learnt < LEARN

    @property
    def usual_ps_nm(self) -> float | None:
        """Return the dispersion so far; None where there was none."""
        return self._usual if self._learnt else None

    @property
    def longer_km(self) -> float:
        return self.longer_ps_nm / PS_NM_KM

    @staticmethod
    def _changed(kind: str, patience: Patience, words: str) -> Complaint:
        return Complaint(kind, patience.severity, words if patience.severity else "")


def expect(receivers: Mapping[str, Receiver], lengths_m: Mapping[str, int]) -> None:
    """Tell receivers that still learn what dispersion to expect. lengths_m: by wavelength, of its way on the map.

    Fibres of one kind disperse alike: the wavelength in the middle says what a metre makes. Fewer than MOST_SAY tell
    nothing.
    """
    usual = {c: r.usual_ps_nm for c, r in receivers.items()}
    a_metre = [d / lengths_m[c] for c, d in usual.items() if d is not None and lengths_m.get(c)]
    if len(a_metre) >= MOST_SAY:
        middle = median(a_metre)
        for circuit, receiver in receivers.items():
            receiver.expected_ps_nm = middle * lengths_m[circuit] if lengths_m.get(circuit) else None
