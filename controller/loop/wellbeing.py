"""How services are, steadily, and whether it was measured since anything about them changed.

Stepped whenever somebody judges all services anyway, about once a second. Kept per service for as long as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from controller.assurance.components import Damage
from controller.assurance.health import Health, HealthSettings, HealthTrack, Judged, Steady
from controller.changes.views import Condition, SloView
from controller.intent.model import ServiceId
from controller.loop.health import LOST_RATIO
from controller.planning.placement import Placement
from controller.telemetry.indicator import ServiceIndicators
from controller.telemetry.telemetry import Telemetry

SWITCHED_S = 0.2  # after a failure: by then standbys carry (50 ms beside detection and hold-off)
SETTLES_S = 25.0  # after a change or an event: what is measured rarely comes every ten seconds, and may be missed once
PROBES = ("access:", "flow:")  # measured from access port to access port, through the forwarding under test
_WORDS = {
    Health.OK: ("True", "Ok"),
    Health.AT_RISK: ("True", "AtRisk"),
    Health.VIOLATED: ("False", "Violated"),
    Health.DOWN: ("False", "Down"),
    Health.UNKNOWN: ("Unknown", "NoMeasurement"),
}


class Witness(Protocol):
    """Who knows what failures do to services."""

    def harm(self, sid: ServiceId) -> Damage:
        """Return what is down does to a service now."""

    def touched_at(self, sid: ServiceId) -> float:
        """Return when something that a service rides went down or came back last; -inf: not of late."""

    def waits(self, sid: ServiceId) -> str:
        """Return what a service waits for whose repair was tried and failed; empty for all others."""


class Nobody:
    """Before anybody watches the network."""

    def harm(self, sid: ServiceId) -> Damage:
        return Damage.NONE

    def touched_at(self, sid: ServiceId) -> float:
        return float("-inf")

    def waits(self, sid: ServiceId) -> str:
        return ""


class Wellbeing:
    """The steady words of all services. `clock` is monotonic seconds."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float]) -> None:
        self._telemetry, self._clock = telemetry, clock
        self.witness: Witness = Nobody()
        self.fades: Callable[[ServiceId], bool] = lambda sid: False  # whether its light is spent, or soon will be
        self.stays: Callable[[ServiceId], str] = lambda sid: ""  # on what wears out, and why; empty for all others
        self._settings = HealthSettings()
        self._tracks: dict[ServiceId, HealthTrack] = {}
        self._confirmed: dict[ServiceId, float] = {}
        self._began = clock()

    def confirmed(self, puts: Iterable[str], drops: Iterable[ServiceId]) -> None:
        """Note that a change of these services has been confirmed everywhere just now."""
        now = self._clock()
        for sid in puts:
            self._confirmed[ServiceId(sid)] = now
        for sid in drops:
            self._confirmed.pop(sid, None)
            self._tracks.pop(sid, None)

    def judge(
        self,
        sid: ServiceId,
        word: str,
        reason: str,
        slo: SloView,
        measured: ServiceIndicators,
        *,
        unguarded: bool = False,
    ) -> Steady:
        """Take what is true of a service now; return its steady word.

        unguarded: nothing stands by for it for now, though it was asked for.
        """
        now = self._clock()
        harm = self.witness.harm(sid)
        health, why = Health(word), reason
        if harm is Damage.DEAD:
            health, why = Health.DOWN, "nothing that is up carries it"
        exposed = "what stood by is gone" if harm is Damage.EXPOSED else ""
        exposed = "it was led around a failure" if harm is Damage.SWITCHED else exposed
        exposed = exposed or ("nothing stands by for it for now" if unguarded else "")
        exposed = exposed or ("the margin of its light is spent, or soon will be" if self.fades(sid) else "")
        track = self._tracks.get(sid)
        if track is None:
            track = self._tracks[sid] = HealthTrack(now)
        track.step(Judged(health, pressure(slo, measured), exposed, why), now, self._settings)
        return track.now

    def now(self, sid: ServiceId) -> Health:
        """Return the steady word of a service; unknown where nobody judged it yet."""
        track = self._tracks.get(sid)
        return track.now.health if track is not None else Health.UNKNOWN

    def condition(self, steady: Steady) -> Condition:
        """Return the word as a condition."""
        status, reason = _WORDS[steady.health]
        lasting = self._clock() - steady.since
        message = f"{steady.reason}; for {lasting:.0f} s" if steady.reason else f"for {lasting:.0f} s"
        return Condition("Health", status, reason, message)

    def probed(self, sid: ServiceId, placement: Placement) -> Condition:
        """Say whether every carrier was measured since the last confirm and the last event on the path in use."""
        carriers = self._telemetry.carriers(placement)
        probes = [c for c in carriers if c.startswith(PROBES)] or list(carriers)
        since = self._unlike_since(sid)
        missing = [c for c in probes if (at := self._telemetry.measured_at(c)) is None or at < since]
        if not probes or missing:
            if not missing:
                return Condition("Probed", "Unknown", "NoMeasurement", "nothing to measure")
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            have = f"{len(probes) - len(missing)} of {len(probes)} measured since the last change or event"
            return Condition("Probed", "Unknown", "NoMeasurement", f"{have}, not {missing[0]}{more}")
        return Condition("Probed", "True", "Measured", f"{len(probes)} measured since the last change and event")

    def _unlike_since(self, sid: ServiceId) -> float:
        """Return when what was measured before stopped telling of a service: its last change, or event on its way."""
        return max(self._confirmed.get(sid, float("-inf")), self.witness.touched_at(sid))

    def settled(self, sid: ServiceId, found: Iterable[Condition]) -> tuple[Condition, ...]:
        """Return conditions as they are, but call those settling that wait for measurements which are about to come.

        Carriers are measured in turn, some every ten seconds: before that nothing is amiss. Later it is.
        """
        if self._clock() - max(self._unlike_since(sid), self._began) >= SETTLES_S:
            return tuple(found)
        return tuple(replace(c, reason="Settling") if c.reason == "NoMeasurement" else c for c in found)

    def lost(self, sid: ServiceId, placement: Placement) -> bool:
        """Return whether something measured since the last change and event says that it does not arrive.

        Only of what domains switch by themselves, and only what was measured well after they should have.
        """
        if not placement.circuits and not placement.tunnels:
            return False
        since = self._unlike_since(sid) + SWITCHED_S
        for probe in self._telemetry.carriers(placement):
            at = self._telemetry.measured_at(probe) if probe.startswith("access:") else None
            if at is not None and at >= since:
                found = self._telemetry.fresh(probe)
                short = found.get("reachable", 0.0) < found.get("expected", 0.0)
                if short or found.get("loss_ratio", 0.0) >= LOST_RATIO:
                    return True
        return False

    def ready(
        self, sid: ServiceId, protected: ServiceId | None, placement: Placement, down: Iterable[str]
    ) -> Condition:
        """Say before its window opens whether a service will hold: resources, paths, sessions; what a VIP protects."""
        missing = [f"{domain} cannot be reached" for domain in sorted(down)]
        harm = self.witness.harm(sid)
        if harm is Damage.DEAD:
            missing.append("nothing that is up would carry it")
        elif harm is not Damage.NONE:
            missing.append("a part of its ways is down, it would run unguarded")
        if protected is not None:
            missing += self._lacking(protected)
        if missing:
            return Condition("Ready", "False", "NotReady", "; ".join(missing))
        held = len(placement.rates) + len(placement.labels)
        parts = [f"{held} reservations held", f"{_ways(placement, protected)} up"]
        parts += [f"{protected} measured"] if protected is not None else []
        return Condition("Ready", "True", "Armed", ", ".join(parts))

    def _lacking(self, protected: ServiceId) -> list[str]:
        missing = []
        if self.witness.harm(protected) is Damage.DEAD:
            missing.append(f"nothing that is up carries {protected}")
        known = self._tracks.get(protected)
        if known is None or known.now.health in (Health.UNKNOWN, Health.DOWN):
            missing.append(f"{protected} is not measured, or down")
        return missing


def _ways(placement: Placement, protected: ServiceId | None) -> str:
    counted = [(len(placement.circuits), "circuit"), (len(placement.tunnels), "tunnel")]
    named = [f"{count} {what}{'s' * (count != 1)}" for count, what in counted if count]
    return " and ".join(named) or ("its ways" if protected is None else "the ways of what it protects")


def pressure(slo: SloView, measured: ServiceIndicators) -> float | None:
    """Return the worst measured value as a share of its limit; None where nothing is limited or measured."""
    limits: Mapping[str, float | None] = {
        "delay_s": slo.delay_s,
        "jitter_s": slo.jitter_s,
        "loss_ratio": slo.loss_ratio,
    }
    shares = [
        found.value / limit
        for name, limit in limits.items()
        if limit and (found := getattr(measured, name)) is not None
    ]
    return max(shares, default=None)
